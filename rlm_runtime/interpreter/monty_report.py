"""Words Monty's errors for an LM: where, what, and how to say it in the subset that Monty runs."""

from __future__ import annotations

import builtins
import difflib
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pydantic_monty import MontyCrashedError, MontyError, MontyRuntimeError, MontySyntaxError

from rlm_runtime.interpreter.limits import EXECUTION_INSTRUCTIONS

if TYPE_CHECKING:
    from pydantic_monty import Frame

__all__ = ["broken_because", "report", "with_output"]

_MAX_FRAMES = 8
_MAX_EXCERPT = 160
_MAX_MESSAGE = 4_000
_MAX_OUTPUT = 20_000

_MODULES = EXECUTION_INSTRUCTIONS.partition("Modules: ")[2].partition(".")[0]
# Patterns of Monty's own messages, so that the words of a tool's error bring no false hint.
_HINTS = (
    (r"support class inheritance", "Write a class without a base, or use functions and dicts."),
    (r"support yield", "Build a list and return it."),
    (r"support the 'del' statement", "Use d.pop(key), or assign None."),
    (r"support method decorators", "Use plain methods, or functions outside the class."),
    (r"support exception groups", "Use a plain except."),
    (r"^NotImplementedError: Wildcard imports", "Import the names that you need."),
    (r"'list' object is not an iterator$", "Write next(iter([...])) or index the list."),
    (r"^ModuleNotFoundError: No module named", f"Modules that exist: {_MODULES}."),
    (
        r"^PermissionError: |is not supported in this environment$",
        "The sandbox has no files, environment, network or processes; use the tools.",
    ),
    (
        r"^AttributeError: module '(?:os|sys)' has no",
        "The sandbox has no processes and no interpreter to reach; use the tools.",
    ),
    (
        r"object can't be awaited$|coroutine or an awaitable is required$",
        "Call tools without await.",
    ),
)
_UNBOUND = re.compile(r"(?:type object )?'(\w+)' (?:object )?has no attribute '(\w+)'")
_UNKNOWN = re.compile(r"name '(\w+)' is not defined")
_BROKEN = {
    "TimeoutError: feed time limit exceeded": "it ran longer than {cell_seconds:g} s",
    "TimeoutError: turn time limit exceeded": "it ran longer than {cell_seconds:g} s",
    "MemoryError: memory limit exceeded": "it needed more than {memory_bytes:,} bytes of memory",
    "MemoryError: the worker exceeded": "it needed more than {memory_bytes:,} bytes of memory",
    "RuntimeError: suspension limit": "it made more than {host_calls:,} calls to the host",
}


def broken_because(error: MontyError) -> str | None:
    """Say why a session must not be used any more, as a template of limits, or None if it may.

    A limit stops Monty in the middle of an operation, after which its heap may be inconsistent.
    """
    if isinstance(error, MontyCrashedError):
        return "its process died"
    text = _type_and_message(error)
    return next((why for start, why in _BROKEN.items() if text.startswith(start)), None)


def report(error: MontyError, cells: Mapping[str, int], names: Iterable[str]) -> str:
    """Give the traceback of an error in LM-written code, with a hint where one is known.

    Args:
        error: What Monty raised.
        cells: Monty's file name of each cell to the number of the cell; frames of other files
            are not the LM's code and are left out.
        names: Names of the tools, for a misspelt one.
    """
    current = max(cells.values(), default=0)
    frames: list[Frame] = []
    if isinstance(error, (MontyRuntimeError, MontySyntaxError)):
        frames = [frame for frame in error.traceback() if frame.filename in cells]
    lines = [_frame_line(frame, cells[frame.filename], current) for frame in frames]
    if len(lines) > _MAX_FRAMES:
        half = _MAX_FRAMES // 2
        lines[half:-half] = [f"… {len(lines) - 2 * half} more"]
    message = _type_and_message(error)[:_MAX_MESSAGE]
    hint = _hint(message, names)
    return "\n".join([*lines, message, *([f"Hint: {hint}"] if hint else [])])


def with_output(text: str, output: str) -> str:
    r"""Put what a cell printed before its error in front of the error's text.

    Example:
        >>> with_output("ValueError: no", "rows: 3")
        'Printed before the error:\nrows: 3\n\nValueError: no'
    """
    if not output.strip():
        return text
    cut = len(output) - _MAX_OUTPUT
    kept = output if cut <= 0 else f"{output[:_MAX_OUTPUT]}\n… {cut:,} more characters"
    return f"Printed before the error:\n{kept.rstrip()}\n\n{text}"


def _frame_line(frame: Frame, cell: int, current: int) -> str:
    where = f"line {frame.line}" if cell == current else f"cell {cell}, line {frame.line}"
    inside = frame.function_name
    if inside and inside != "<module>":
        where += f", in {inside}"
    source = (frame.source_line or "").strip().partition("\n")[0][:_MAX_EXCERPT]
    return f"{where}: {source}" if source else where


def _type_and_message(error: MontyError) -> str:
    if isinstance(error, MontySyntaxError):
        return f"SyntaxError: {error}"
    return str(error)


def _hint(message: str, names: Iterable[str]) -> str:
    for pattern, hint in _HINTS:
        if re.search(pattern, message):
            return hint
    if found := _UNBOUND.search(message):
        kind = getattr(builtins, found[1], None)
        if isinstance(kind, type) and hasattr(kind, found[2]):
            return f"Methods cannot be passed as values: write lambda x: x.{found[2]}() or similar."
    if found := _UNKNOWN.search(message):
        close = difflib.get_close_matches(found[1], list(names), n=3)
        return f"Did you mean {' or '.join(close)}?" if close else ""
    return ""
