"""What a worker process may not do: use endless memory, open anything, outlive its parent."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

__all__ = [
    "allow_memory",
    "be_killed_first",
    "die_with_parent",
    "dump_no_core",
    "has_open",
    "open_no_socket",
    "open_nothing_more",
]

_PR_SET_PDEATHSIG = 1
_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2
_SIGKILL = 9
# How the kernel names an architecture, and its numbers of socket() and io_uring_setup().
_SOCKET_CALLS = {"x86_64": (0xC000003E, 41, 425), "aarch64": (0xC00000B7, 198, 425)}
# The steps of a packet filter, which here looks at the number of a system call.
_LOAD, _IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_CALL_NUMBER, _ARCHITECTURE = 0, 4
_ALLOW, _NOT_PERMITTED = 0x7FFF0000, 0x00050000 | 13


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


def open_no_socket() -> None:
    """Keep this thread, and all that it starts, from opening a socket, for good.

    A query that says SERVICE, or whatever the engine may come to know, finds no way out. Only
    Linux on the usual processors can do this.
    """
    machine = os.uname().machine if sys.platform == "linux" and sys.maxsize > 2**32 else ""
    if machine not in _SOCKET_CALLS:
        return
    architecture, socket, ring = _SOCKET_CALLS[machine]
    steps = (
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_IF_EQUAL, 0, 4, architecture),
        (_LOAD, 0, 0, _CALL_NUMBER),
        (_IF_EQUAL, 1, 0, socket),
        (_IF_EQUAL, 0, 1, ring),
        (_RETURN, 0, 0, _NOT_PERMITTED),
        (_RETURN, 0, 0, _ALLOW),
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    system = ctypes.CDLL(None)
    # Without rights to gain, no process needs the right to bind itself.
    system.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
    system.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program, 0, 0)


def open_nothing_more() -> None:
    """Keep this process from opening another file or socket, for good.

    What is open already stays so.
    """
    with contextlib.suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


def has_open(files: Iterable[Path]) -> bool:
    """Say whether this process has all these files open; False where that cannot be found out."""
    held: set[tuple[int, int]] = set()
    try:
        for descriptor in os.listdir("/dev/fd"):
            # The one of this listing is closed by now.
            with contextlib.suppress(OSError):
                status = os.fstat(int(descriptor))
                held.add((status.st_dev, status.st_ino))
        return held.issuperset((status.st_dev, status.st_ino) for status in map(os.stat, files))
    except OSError:
        return False


def dump_no_core() -> None:
    """Keep this process from filling the disk with its memory when it crashes."""
    with contextlib.suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def be_killed_first() -> None:
    """Where memory is short, have the system kill this process and not its parent."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def die_with_parent() -> None:
    """Have the system kill this process when its parent ends, however it ends, where it can.

    The end of its channel tells of it, too, but not while another process holds the other end. A
    parent that has ended before this call is told of in that way only.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL)
