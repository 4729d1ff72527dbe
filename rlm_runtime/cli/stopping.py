"""Lets SIGTERM end a command in order, as Ctrl-C does."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

__all__ = ["stopped_by_sigterm"]


@contextlib.contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """End what goes on when the process is asked to stop, so that what it began is ended too."""

    def stop(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
