"""Puts figures and values of events into the few words that a line has room for."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rlm_runtime.cli.output import one_line
from rlm_runtime.errors import ConfigurationError

__all__ = [
    "age_seconds",
    "call_words",
    "command_words",
    "cost_words",
    "counted",
    "joined",
    "result_words",
    "shorten",
    "tag_values",
    "time_words",
    "token_words",
    "value_text",
]

_MAX_LINES = 24
_MAX_CHARS = 2_400
_MAX_ARGUMENT = 56
_MAX_KEYS = 40
_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([dhms])")


def command_words(program: str, *arguments: str) -> str:
    """Give a command to copy, which finds the program also when its environment is not active."""
    beside = Path(sys.executable).parent / program
    if shutil.which(program) is None and beside.exists():
        here = Path.cwd()
        program = str(beside.relative_to(here) if beside.is_relative_to(here) else beside)
    return shlex.join([program, *arguments])


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Give a number with its noun; without a plural of its own that gets an s.

    Example:
        >>> counted(1, "run"), counted(2000, "event"), counted(2, "memory", "memories")
        ('1 run', '2,000 events', '2 memories')
    """
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def tag_values(pairs: Sequence[str]) -> dict[str, str]:
    """Give the keys and values of what ``--tag`` was given.

    Raises:
        ConfigurationError: One is no ``key=value``.

    Example:
        >>> tag_values(["team=a", "why=x=y"])
        {'team': 'a', 'why': 'x=y'}
    """
    tags = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise ConfigurationError(f"--tag {pair!r} is no key=value. Write: --tag team=a")
        tags[key] = value
    return tags


def time_words(seconds: float) -> str:
    """Give a duration as a human says it.

    Example:
        >>> time_words(0.0021), time_words(1.234), time_words(125)
        ('2 ms', '1.2 s', '2 min 5 s')
    """
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.0005 else "<1 ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def age_seconds(age: str) -> float:
    """Read what the user gave for ``--older-than``.

    Raises:
        ConfigurationError: It is no age.

    Example:
        >>> age_seconds("1.5h")
        5400.0
    """
    match = _AGE.fullmatch(age.strip().lower())
    if match is None:
        raise ConfigurationError(
            f"--older-than {age} is no age. Give a number with d, h, m or s, such as 30d."
        )
    return float(match[1]) * _UNITS[match[2]]


def token_words(input_tokens: float, output_tokens: float) -> str:
    """Give tokens in and out, as in ``1,200 tokens in, 34 out``."""
    return f"{input_tokens:,.0f} tokens in, {output_tokens:,.0f} out"


def cost_words(dollars: float) -> str:
    """Give a cost with two digits that matter.

    Example:
        >>> cost_words(1.5), cost_words(0.00123), cost_words(0)
        ('$1.50', '$0.0012', '$0.00')
    """
    if dollars >= 0.1 or dollars <= 0:
        return f"${dollars:,.2f}"
    return f"${dollars:.{1 - int(f'{dollars:e}'.partition('e')[2])}f}"


def joined(parts: Iterable[str | None]) -> str:
    """Join what there is with dots."""
    return " · ".join(part for part in parts if part)


def call_words(name: str, arguments: Mapping[str, Any], *, full: bool = False) -> str:
    """Give a call as Python writes it.

    Example:
        >>> call_words("search_entity", {"query": "Activity", "limit": 3})
        'search_entity(query="Activity", limit=3)'
    """
    length = None if full else _MAX_ARGUMENT
    shown = (f"{key}={one_line(_literal(value), length)}" for key, value in arguments.items())
    return f"{name}({', '.join(shown)})"


def _literal(value: Any) -> str:
    if isinstance(value, str):
        # Line breaks stay real here, to become spaces: queries read better so than with \n.
        return f'"{value}"'
    if value is None or isinstance(value, bool):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def result_words(value: Any) -> str:
    """Say in a few words what a tool gave.

    Example:
        >>> result_words({"columns": ["c"], "rows": [{"c": 1}], "count": 1, "total": 40})
        '1 of 40 rows'
        >>> result_words([1, 2]), result_words("yes"), result_words({"ok": True, "n": 1})
        ('2 items', '"yes"', '{ok, n}')
    """
    if isinstance(value, Mapping):
        if isinstance(value.get("rows"), list):
            return _rows_words(value)
        return f"{{{one_line(', '.join(map(str, value)), _MAX_KEYS)}}}"
    if isinstance(value, list):
        return f"{len(value)} item{'' if len(value) == 1 else 's'}"
    if value is None:
        return "nothing"
    return one_line(_literal(value), _MAX_ARGUMENT)


def _rows_words(table: Mapping[str, Any]) -> str:
    count, total = len(table["rows"]), table.get("total")
    of = f" of {total:,}" if isinstance(total, int) and total != count else ""
    more = ", cut" if table.get("truncated") and not of else ""
    return f"{count:,}{of} row{'' if count == 1 and not of else 's'}{more}"


def value_text(value: Any) -> str:
    """Give a value as text: text as it is, anything else as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=2 if _is_large(value) else None)


def _is_large(value: Any) -> bool:
    return isinstance(value, list | dict) and len(json.dumps(value)) > _MAX_ARGUMENT


def shorten(text: str) -> tuple[str, str | None]:
    """Cut long text between lines, else between characters.

    Returns:
        The text to show, and a note of what was cut, or None.

    Example:
        >>> shorten("short"), shorten("x" * 2500)[1]
        (('short', None), '… 100 more characters (--full shows all)')
    """
    lines = text.split("\n")
    kept: list[str] = []
    room = _MAX_CHARS
    for line in lines[:_MAX_LINES]:
        if kept and len(line) > room:
            break
        kept.append(line[:room])
        room -= len(kept[-1]) + 1
    shown = "\n".join(kept)
    if len(shown) == len(text):
        return text, None
    left = len(lines) - len(kept)
    more = f"{left:,} more lines" if left > 1 else f"{len(text) - len(shown):,} more characters"
    return shown, f"… {more} (--full shows all)"
