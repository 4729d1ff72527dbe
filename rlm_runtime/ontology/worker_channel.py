"""A way between a process and its worker: messages go there and come back."""

from __future__ import annotations

import pickle
import socket
import sys
import time
from contextlib import suppress
from typing import Any

__all__ = ["Channel", "hand_over", "pack", "take_over"]

_LENGTH = 8
_AT_ONCE = 1 << 16
# Eleven days: a little less than a socket can wait.
_LONGEST = 1_000_000.0


class Channel:
    """One end of it; for one thread that sends at a time, and one that receives.

    Args:
        end: A connected socket.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._got = bytearray()

    def send(self, packed: bytes, timeout: float | None = None) -> None:
        """Send a message.

        Args:
            packed: The message, made by ``pack``.
            timeout: Seconds; None to wait for ever.

        Raises:
            TimeoutError: The other side did not take all of it in time.
            OSError: The other side is gone.
        """
        self._socket.settimeout(timeout if timeout is None else min(timeout, _LONGEST))
        self._socket.sendall(packed)

    def receive(self, timeout: float | None = None, *, awake: float = 0.0) -> Any:
        """Take the next message in; after a TimeoutError, this goes on where it was.

        Args:
            timeout: Seconds; None to wait for ever.
            awake: Seconds to look again and again before going to sleep: to be woken can take
                longer than a small answer.

        Raises:
            TimeoutError: It was not there in time.
            EOFError: The other side is gone.
            OSError: The same.
        """
        began = time.monotonic()
        if awake:
            self._socket.settimeout(0)
            while not self._got and time.monotonic() < began + awake:
                with suppress(BlockingIOError):
                    self._take_in()
        until = None if timeout is None else began + min(timeout, _LONGEST)
        while not self._is_whole():
            # 0 would mean not to wait at all.
            left = None if until is None else max(until - time.monotonic(), 1e-6)
            self._socket.settimeout(left)
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

    def _take_in(self) -> None:
        got = self._socket.recv(_AT_ONCE)
        if not got:
            raise EOFError
        self._got += got

    def _is_whole(self) -> bool:
        got = self._got
        return len(got) >= _LENGTH + int.from_bytes(got[:_LENGTH], "little")


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
