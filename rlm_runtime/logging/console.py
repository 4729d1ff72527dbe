"""Prints a run's steps as they happen, as plain text on stderr."""

from __future__ import annotations

import re
import sys

from rlm_runtime.logging.tally import Tally
from rlm_runtime.types import Step

__all__ = ["ConsoleSink", "visible"]

# C0 and C1 control characters, and those that turn the direction of writing.
_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def visible(text: str) -> str:
    r"""Make the control characters of foreign text visible: they could drive the terminal.

    Example:
        >>> visible("red: \x1b[31m")
        'red: \\x1b[31m'
    """
    text = text.replace("\r\n", "\n")
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


class ConsoleSink(Tally):
    """A sink that prints each finished step: what the model thought, ran and saw."""

    def __init__(self) -> None:
        super().__init__(on_step=_print_step)


def _print_step(number: int, step: Step) -> None:
    parts = [f"--- step {number}"]
    if step.reasoning:
        parts.append(step.reasoning)
    parts.append("\n".join(f">>> {line}" for line in step.code.splitlines()))
    if step.output:
        parts.append(step.output.rstrip())
    if step.error:
        parts.append(f"ERROR: {step.error}")
    print(visible("\n".join(parts)), file=sys.stderr, flush=True)
