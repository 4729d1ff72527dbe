"""Runs blocking work for async callers: in a thread of its own, with a way to call it off."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

__all__ = ["in_background", "start"]

T = TypeVar("T")


def start(work: Callable[[], T], name: str) -> Future[T]:
    """Begin work in a daemon thread, in a copy of this context.

    A thread of its own: pools are small, and other work waits for them.
    """
    done: Future[T] = Future()
    # From here on nobody can cancel it; a waiting task that is cancelled leaves it to itself.
    done.set_running_or_notify_cancel()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            done.set_result(context.run(work))
        except BaseException as error:
            done.set_exception(error)
            if not isinstance(error, Exception | asyncio.CancelledError):
                raise

    threading.Thread(target=run, name=name, daemon=True).start()
    return done


async def in_background(work: Callable[[threading.Event], T], name: str) -> T:
    """Do work without blocking the event loop.

    Args:
        work: Gets an event that is set when the waiting task is cancelled.
        name: Of the thread.

    Returns:
        What the work returns; what it raises is raised here.
    """
    cancelled = threading.Event()
    done = start(lambda: work(cancelled), name)
    try:
        return await asyncio.wrap_future(done)
    except asyncio.CancelledError:
        cancelled.set()
        raise
