"""Programs that tests talk to: a free port for each, and one for all workers of pytest-xdist."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

__all__ = ["Facts", "free_port_number", "shared"]

Facts = dict[str, str | int]
"""What a worker needs to know to use and to stop a program that another worker may have started."""


def free_port_number() -> int:
    """Give a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def shared(
    factory: pytest.TempPathFactory,
    name: str,
    start: Callable[[Path], Facts],
    stop: Callable[[Facts], None],
) -> Iterator[Facts]:
    """Use a program that the first worker to come starts and the last one to go stops.

    Args:
        factory: The session's; its folder is where the workers meet.
        name: Tells the program from others, and names its folder.
        start: Starts it in the given folder, and gives its facts when it is ready.
        stop: Stops it from its facts, in whichever worker is the last.
    """
    base = factory.getbasetemp()
    # A worker's own folder is in the one of the session.
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"shared-{name}"
    folder.mkdir(exist_ok=True)
    facts_file, users_file = folder / "facts.json", folder / "users"
    lock = FileLock(folder / "lock")
    with lock:
        users = int(users_file.read_text()) if users_file.exists() else 0
        if users == 0:
            facts_file.write_text(json.dumps(start(folder)))
        users_file.write_text(str(users + 1))
        facts = json.loads(facts_file.read_text())
    try:
        yield facts
    finally:
        with lock:
            users = int(users_file.read_text()) - 1
            users_file.write_text(str(users))
            if users == 0:
                stop(facts)
