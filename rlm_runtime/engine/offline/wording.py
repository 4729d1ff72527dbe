"""Python text as a person would type it: double quotes, and lines of a fair length."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Sequence

__all__ = ["fstring", "items", "literal", "query_literal"]

_WIDTH = 88


def literal(text: str, before: str = "", after: str = "") -> str:
    """Give the literal of a text, in pieces where it would make its line too long.

    Example:
        >>> literal("a word", "    thinking=")
        '"a word"'
    """
    whole = _quoted(text)
    if len(before) + len(whole) + len(after) <= _WIDTH:
        return whole
    outer = re.match(" *", before)[0]  # pyright: ignore[reportOptionalSubscript]
    pieces = re.findall(r"(?s).{1,72}(?: |$)|.{1,72}", text)
    return "(\n" + "".join(f"{outer}    {_quoted(piece)}\n" for piece in pieces) + f"{outer})"


def fstring(text: str, rest: str) -> str:
    r"""Give an f-string of a text as it is and ``rest``, which may name variables in braces.

    Example:
        >>> print(fstring('a "{b}" has', " {n}"))
        f"a \"{{b}}\" has {n}"
    """
    return f'f"{_quoted(text)[1:-1].replace("{", "{{").replace("}", "}}")}{rest}"'


def query_literal(query: str) -> str:
    """Give the literal of a query, its long lines broken; texts in it must hold no spaces."""
    query = "\n".join("\n    ".join(_broken(line, _WIDTH)) for line in query.split("\n"))
    return _quoted(query) if "\\" in query or '"""' in query else f'"""{query}"""'


def items(texts: Sequence[str], column: int) -> str:
    """Give the literal of a list of texts that begins in a column."""
    shown = ", ".join(map(_quoted, texts))
    if column + len(shown) <= _WIDTH:
        return f"[{shown}]"
    # Broken only between texts: in JSON no NUL stands for itself.
    lines = _broken(", ".join(_quoted(text).replace(" ", "\0") for text in texts), _WIDTH - 4)
    return "[\n" + "".join(f"    {line}\n".replace("\0", " ") for line in lines) + "]"


def _broken(line: str, width: int) -> list[str]:
    return textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False)


def _quoted(text: str) -> str:
    # The escapes of JSON mean the same in Python.
    return json.dumps(text, ensure_ascii=False)
