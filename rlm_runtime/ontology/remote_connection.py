"""A connection of http.client whose every write and read ends with the deadline of its query."""

from __future__ import annotations

import http.client
import io
import socket
from collections.abc import Callable
from typing import Any, cast

from rlm_runtime.ontology.remote_address import Origin
from rlm_runtime.ontology.remote_errors import Deadline

__all__ = ["Connection"]

_BUFFER = 65_536


class Connection(http.client.HTTPConnection):
    """A connection whose every write and read ends with the deadline of its query."""

    def __init__(
        self,
        origin: Origin,
        connect: Callable[[Origin, Deadline], socket.socket],
        deadline: Deadline,
    ) -> None:
        super().__init__(origin.host, origin.port)
        # Its port goes into the Host header unless it is this one.
        self.default_port = 443 if origin.scheme == "https" else 80
        self.origin = origin
        self.deadline = deadline
        self._connect_to = connect
        self._socket: socket.socket | None = None

    def connect(self) -> None:
        self._socket = self._connect_to(self.origin, self.deadline)
        # http.client needs no more of a socket than this.
        self.sock = cast(Any, _TimedSocket(self._socket, self))

    def dispose(self) -> None:
        self.close()
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class _TimedSocket:
    """What http.client uses of a socket; closing is left to the connection."""

    def __init__(self, sock: socket.socket, connection: Connection) -> None:
        self._sock = sock
        self._connection = connection

    def sendall(self, data: bytes) -> None:
        # One time-out bounds the whole of it, however slowly the other side takes it.
        self._sock.settimeout(self._connection.deadline.left())
        self._sock.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReads(self._sock, self._connection), _BUFFER)

    def close(self) -> None:
        """Do nothing: an answer may still be read."""


class _TimedReads(io.RawIOBase):
    def __init__(self, sock: socket.socket, connection: Connection) -> None:
        self._sock = sock
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._connection.deadline.left())
        return self._sock.recv_into(buffer)
