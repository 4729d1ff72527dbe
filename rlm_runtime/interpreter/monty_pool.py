"""The one pool of Monty worker processes that all interpreters of this process share."""

from __future__ import annotations

import atexit
import os
import threading
from typing import TYPE_CHECKING

from dspy.primitives.code_interpreter import CodeInterpreterError
from pydantic_monty import Monty

from rlm_runtime.errors import SandboxError

if TYPE_CHECKING:
    from pydantic_monty import MontySession

    from rlm_runtime.interpreter.limits import SandboxLimits

__all__ = ["SandboxFailure", "check_out", "refuse_after_fork"]

# Many more than CPUs, because a session mostly waits for its LM; an idle worker holds about 6 MB.
_MAX_WORKERS = 64
_CHECKOUT_SECONDS = 60.0
# A worker keeps memory that its sessions once used; a new one now and then gives it back.
_SESSIONS_PER_WORKER = 50

_lock = threading.Lock()
_pool: Monty | None = None
_owner = 0


class SandboxFailure(SandboxError, CodeInterpreterError):
    """The sandbox failed in a way that the code in it cannot repair.

    It is both a SandboxError of this package and DSPy's CodeInterpreterError.
    """


def check_out(limits: SandboxLimits) -> MontySession:
    """Give a fresh session in a worker of its own; leaving it hands the worker back.

    Raises:
        SandboxFailure: All workers stayed busy for a minute, the worker program is missing, or
            this process was forked from one that had used the sandbox.
    """
    session = _the_pool().checkout(
        limits={
            "max_feed_duration_secs": limits.cell_seconds,
            "max_memory": limits.memory_bytes,
            "max_suspensions": limits.host_calls,
            "max_recursion_depth": limits.recursion_depth,
        }
    )
    try:
        return session.__enter__()
    except TimeoutError:
        raise SandboxFailure(
            f"All {_MAX_WORKERS} sandbox workers stayed busy for {_CHECKOUT_SECONDS:g} s. "
            "Run fewer programs at once, or shut down interpreters that are no longer used."
        ) from None


def _the_pool() -> Monty:
    global _pool, _owner
    with _lock:
        if _pool is None:
            _pool = _open()
            _owner = os.getpid()
        refuse_after_fork(_owner)
        return _pool


def refuse_after_fork(owner: int) -> None:
    """Raise SandboxFailure unless this process is the owner of what is to be used.

    The threads that drive the workers do not survive a fork, so that using them would hang.
    """
    if owner != os.getpid():
        raise SandboxFailure(
            "The sandbox was used before this process was forked, and cannot be used after. "
            "Start worker processes with the 'spawn' or 'forkserver' method."
        )


def _open() -> Monty:
    try:
        return Monty(
            max_processes=_MAX_WORKERS,
            checkout_timeout=_CHECKOUT_SECONDS,
            max_checkouts_per_worker=_SESSIONS_PER_WORKER,
        ).__enter__()
    except OSError as error:
        raise SandboxFailure(
            f"The sandbox's worker program cannot be started: {error}. "
            "Install pydantic-monty-runtime again."
        ) from error


def _close() -> None:
    global _pool
    with _lock:
        pool, _pool = _pool, None
    if pool is not None and _owner == os.getpid():
        pool.__exit__(None, None, None)


def _forget_lock() -> None:
    # Another thread may have held the lock at the moment of the fork.
    global _lock
    _lock = threading.Lock()


atexit.register(_close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_lock)
