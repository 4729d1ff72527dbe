"""A way between a process and its worker: messages go there and come back."""

from __future__ import annotations

import pickle
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

__all__ = ["Channel", "HungUp", "TimeIsOver", "hand_over", "pack", "take_over"]

_LENGTH = 8
_AT_ONCE = 1 << 16
# Eleven days: a little less than a socket can wait.
_LONGEST = 1_000_000.0


class TimeIsOver(Exception):
    """The other side did not do its part in time."""


class HungUp(Exception):
    """The other side is gone."""


class Channel:
    """One end of it; for one thread that sends at a time, and one that receives.

    Args:
        end: A connected socket.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._got = bytearray()

    def send(self, packed: bytes, until: float | None = None) -> None:
        """Send a message.

        Args:
            packed: The message, made by ``pack``.
            until: When to give up, by ``time.monotonic``; None for never.

        Raises:
            TimeIsOver: The other side did not take all of it in time.
            HungUp: The other side is gone.
        """
        with _told_apart(until):
            self._wait(until)
            self._socket.sendall(packed)

    def receive(self, until: float | None = None, *, awake: float = 0.0) -> Any:
        """Take the next message in; after TimeIsOver, this goes on where it was.

        Args:
            until: When to give up, by ``time.monotonic``; None for never.
            awake: Seconds to look again and again before going to sleep: to be woken can take
                longer than a small answer.

        Raises:
            TimeIsOver: It was not there in time.
            HungUp: The other side is gone.
        """
        with _told_apart(until):
            if awake:
                self._socket.settimeout(0)
                asleep = time.monotonic() + awake
                while not self._got and time.monotonic() < asleep:
                    with suppress(BlockingIOError):
                        self._take_in()
            while not self._is_whole():
                self._wait(until)
                self._take_in()
        body, self._got = memoryview(self._got)[_LENGTH:], bytearray()
        return pickle.loads(body)

    def hang_up(self) -> None:
        """Tell all who wait at either end that nothing comes any more."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give this end back."""
        self._socket.close()

    def _wait(self, until: float | None) -> None:
        """Have the socket wait so long; 0 would mean not at all."""
        left = None if until is None else max(until - time.monotonic(), 1e-6)
        self._socket.settimeout(left if left is None else min(left, _LONGEST))

    def _take_in(self) -> None:
        got = self._socket.recv(_AT_ONCE)
        if not got:
            raise HungUp
        self._got += got

    def _is_whole(self) -> bool:
        got = self._got
        return len(got) >= _LENGTH + int.from_bytes(got[:_LENGTH], "little")


@contextmanager
def _told_apart(until: float | None) -> Iterator[None]:
    """Tell what the system says of a socket from what a signal handler raises meanwhile."""
    try:
        yield
    except TimeoutError:
        if until is None or time.monotonic() < until:
            raise
        raise TimeIsOver from None
    except OSError as error:
        # The system's errors have numbers.
        if error.errno is None:
            raise
        raise HungUp from None


def pack(message: object) -> bytes:
    """Make a message ready to be sent."""
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return len(body).to_bytes(_LENGTH, "little") + body


def hand_over(end: socket.socket, pid: int) -> int | bytes:
    """Name a socket to a process: a descriptor that it has inherited, or what Windows calls it."""
    return end.share(pid) if sys.platform == "win32" else end.fileno()


def take_over(handed: Any) -> Channel:
    """Make a channel of a socket that another process has handed over."""
    if sys.platform == "win32":
        return Channel(socket.fromshare(handed))
    return Channel(socket.socket(fileno=handed))
