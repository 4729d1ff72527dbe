"""The one place that swallows exceptions: observation must never harm what it observes.

The pattern of a single swallowing object that re-raises under test follows pydantic/logfire.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rlm_runtime.errors import TrackingWarning
from rlm_runtime.redaction import Redaction

__all__ = [
    "RAISE_VARIABLE",
    "Outcome",
    "contained",
    "forget_warnings",
    "quietly",
    "report",
    "shielded",
    "warn_once",
]

T = TypeVar("T")

RAISE_VARIABLE = "RLM_RUNTIME_RAISE"
"""Set this environment variable to 1 and swallowed errors re-raise, as in the test suite."""

_warned: set[str] = set()
_warned_lock = threading.Lock()


class Outcome:
    """What became of a guarded block: ``ok`` and, when it failed, ``error``."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    @property
    def ok(self) -> bool:
        """True unless the block raised."""
        return self.error is None


def warn_once(cause: str, message: str) -> None:
    """Issue a TrackingWarning, but only the first time for this cause in the process.

    Example:
        >>> import warnings
        >>> with warnings.catch_warnings(record=True) as seen:
        ...     warnings.simplefilter("always")
        ...     warn_once("docs: disk full", "The disk is full; the log stops here.")
        ...     warn_once("docs: disk full", "The disk is full; the log stops here.")
        >>> len(seen)
        1
    """
    with _warned_lock:
        if cause in _warned:
            return
        _warned.add(cause)
    message = Redaction().text(message)
    # A filter that turns warnings into errors, or a closed stderr, must not turn observation into
    # a failure.
    try:
        warnings.warn(message, TrackingWarning, stacklevel=3)
    except Exception:
        if os.environ.get(RAISE_VARIABLE) == "1":
            raise
        quietly(lambda: print(f"TrackingWarning: {message}", file=sys.stderr), None)


def forget_warnings(cause: str | None = None) -> None:
    """Let a cause warn again, or every cause, as in a new process."""
    with _warned_lock:
        if cause is None:
            _warned.clear()
        else:
            _warned.discard(cause)


@contextmanager
def shielded(doing: str, *, advice: str = "") -> Iterator[Outcome]:
    """Run a block of observation; swallow what it raises and warn once per cause.

    KeyboardInterrupt, SystemExit and other non-``Exception`` errors pass through.

    Args:
        doing: What the block does, as in "write the trajectory log"; part of the warning.
        advice: What the reader can do about a failure.

    Yields:
        An Outcome that tells afterwards whether the block worked.

    Example:
        >>> import os, warnings
        >>> os.environ["RLM_RUNTIME_RAISE"] = "0"
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     with shielded("divide") as outcome:
        ...         _ = 1 / 0
        >>> outcome.ok, type(outcome.error).__name__
        (False, 'ZeroDivisionError')
    """
    with contained() as outcome:
        yield outcome
    if outcome.error is not None:
        report(doing, outcome.error, advice=advice)


@contextmanager
def contained() -> Iterator[Outcome]:
    """Run a block of observation; keep what it raises, to be reported later with ``report``.

    For work on a thread of its own, whose failure somebody else tells of. KeyboardInterrupt,
    SystemExit and other non-``Exception`` errors pass through.

    Example:
        >>> with contained() as outcome:
        ...     _ = 1 / 0
        >>> outcome.ok, type(outcome.error).__name__
        (False, 'ZeroDivisionError')
    """
    outcome = Outcome()
    try:
        yield outcome
    except Exception as error:
        outcome.error = error


def report(doing: str, error: Exception, *, advice: str = "", cause: str = "") -> None:
    """Tell of an error that was contained: one TrackingWarning per cause.

    Args:
        doing: What failed, as in "write the trajectory log"; part of the warning.
        error: What was raised; under test it is raised again.
        advice: What the reader can do about it.
        cause: Warnings of the same cause are given once; default: what failed, and the error's
            type.
    """
    if os.environ.get(RAISE_VARIABLE) == "1":
        raise error
    said = quietly(lambda: Redaction().text(str(error)), "").strip()
    detail = said.splitlines()[0][:300] if said else ""
    kind = type(error).__name__
    message = f"Could not {doing}: {kind}{': ' + detail if detail else ''}."
    warn_once(cause or f"{doing}|{kind}", f"{message} {advice}".strip())


def quietly(action: Callable[[], T], default: T) -> T:
    """Give what an action of somebody else's object returns, or the default when it raises.

    For looking at foreign values (their ``repr``, their dump), where failing is no event.

    Example:
        >>> quietly(lambda: 1 / 0, -1.0)
        -1.0
    """
    try:
        return action()
    except Exception:
        return default
