"""Prints a run's steps and memories as they happen, as plain text on stderr."""

from __future__ import annotations

import re
import sys

from rlm_runtime.logging.events import Event
from rlm_runtime.logging.tally import Tally
from rlm_runtime.types import Step

__all__ = ["ConsoleSink", "memory_words", "visible"]

# C0 and C1 control characters, and those that turn the direction of writing.
_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)

_MEMORY_ENDS = frozenset(
    f"memory_{name}_end" for name in ("retrieval", "judgment", "extraction", "storage")
)


def visible(text: str) -> str:
    r"""Make the control characters of foreign text visible: they could drive the terminal.

    Example:
        >>> visible("red: \x1b[31m")
        'red: \\x1b[31m'
    """
    text = text.replace("\r\n", "\n")
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def memory_words(end: Event) -> str:
    """Say in a line what came of a step with memories, which ended without an error.

    Args:
        end: A ``memory_*_end`` event.

    Example:
        >>> memory_words({"event": "memory_storage_end", "added": 1, "merged": 1})
        'kept 1 new, 1 known already'
        >>> memory_words({"event": "memory_retrieval_end", "memories": [{"title": "Count"}]})
        'found 1: Count'
    """
    kind = end["event"].split("_")[1]
    if kind == "judgment":
        verdict = "success" if end["success"] else "failure"
        sure = "" if end["confidence"] is None else f" ({end['confidence']:.2g})"
        return f"judged {verdict}{sure}: {end['reason']}"
    if kind == "storage":
        return f"kept {end['added']} new, {end['merged']} known already"
    done, nothing = {
        "retrieval": ("found", "found none that fits"),
        "extraction": ("learned", "learned nothing"),
    }[kind]
    titles = [" ".join(str(one.get("title", "?")).split()) for one in end["memories"] or []]
    return f"{done} {len(titles)}: {'; '.join(titles)}" if titles else nothing


class ConsoleSink(Tally):
    """A sink that prints what was remembered and learned, and each finished step."""

    def __init__(self) -> None:
        super().__init__(on_step=_print_step)

    def emit(self, event: Event) -> None:
        """Take one event."""
        super().emit(event)
        if event["event"] in _MEMORY_ENDS and event["error"] is None:
            _print(f"--- memory {memory_words(event)}")


def _print_step(number: int, step: Step) -> None:
    parts = [f"--- step {number}"]
    if step.reasoning:
        parts.append(step.reasoning)
    parts.append("\n".join(f">>> {line}" for line in step.code.splitlines()))
    if step.output:
        parts.append(step.output.rstrip())
    if step.error:
        parts.append(f"ERROR: {step.error}")
    _print("\n".join(parts))


def _print(text: str) -> None:
    print(visible(text), file=sys.stderr, flush=True)
