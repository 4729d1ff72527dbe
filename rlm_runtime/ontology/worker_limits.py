"""What a worker process may not do: use endless memory, open anything, outlive its parent."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

__all__ = ["allow_memory", "be_killed_first", "die_with_parent", "open_nothing_more"]

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9


def allow_memory(more: int) -> None:
    """Bound the address space of this process: what it has now, and so many bytes more.

    Where the system has no such bound, or allows less already, nothing changes.
    """
    try:
        import resource

        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = used + more
    if hard == resource.RLIM_INFINITY or wanted < hard:
        resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))


def open_nothing_more() -> None:
    """Keep this process from opening another file or socket, for good, and from dumping core.

    What is open already stays so. A query that says SERVICE, or LOAD, or whatever the engine may
    come to know, finds no way out.
    """
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


def be_killed_first() -> None:
    """Where memory is short, have the system kill this process and not its parent."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def die_with_parent() -> None:
    """Have the system kill this process when its parent ends, however it ends, where it can.

    The end of stdin tells of it, too, but not while another process holds the other end. A parent
    that has ended before this call is told of in that way only.
    """
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL)
