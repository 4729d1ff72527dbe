"""Prints a run's steps as they happen, as plain text on stderr."""

from __future__ import annotations

import sys

from rlm_runtime.logging.tally import Tally
from rlm_runtime.types import Step

__all__ = ["ConsoleSink"]


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
    print("\n".join(parts), file=sys.stderr, flush=True)
