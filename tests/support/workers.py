"""The worker processes of a process, as the system sees them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")
_PATIENCE = 30.0


def workers_of(parent: int | None = None) -> set[int]:
    """Give the process ids of a process's workers, this one's by default, dead or alive."""
    parent = os.getpid() if parent is None else parent
    return {pid for pid in _processes() if _is_worker(pid, parent)}


def alive(pid: int) -> bool:
    """Say whether a process runs; a zombie does not."""
    return _state(pid)[0] not in ("", "Z")


def becomes(condition: Callable[[], bool]) -> bool:
    """Wait until something is so; False when it does not become so in half a minute."""
    end = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def _processes() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _is_worker(pid: int, parent: int) -> bool:
    if _state(pid)[1] != parent:
        return False
    try:
        return b"worker_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _state(pid: int) -> tuple[str, int]:
    """Give a process's state and its parent; "" and 0 when there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "", 0
    return fields[0], int(fields[1])
