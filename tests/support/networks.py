"""Servers that are away in every manner, and a way to a server that kills it at a moment."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["AWAY", "Killer", "killer"]


@contextmanager
def _silent() -> Iterator[str]:
    """Take connections, and never say a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def _black_hole() -> Iterator[str]:
    """Drop what comes, as a firewall does: with its queue full a listener ignores who knocks."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def _healthy_but_stuck() -> Iterator[str]:
    """Say that all is well, and then leave every call without an answer."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/health":
                over.wait()
            with contextlib.suppress(OSError):
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"OK")

        do_POST = do_GET

        def log_message(self, *arguments: Any) -> None:
            return

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            over.set()
            server.shutdown()


AWAY: dict[str, Callable[[], contextlib.AbstractContextManager[str]]] = {
    "silent": _silent,
    "black hole": _black_hole,
    "healthy but stuck": _healthy_but_stuck,
}
"""Servers that keep their callers waiting."""


class Killer:
    """Forwards to a server until an answer comes to a certain request; then kills the server.

    Attributes:
        address: What to talk to.
        target: The port of the server.
        group: The server's process group.
        request: What the request contains; empty: forward all.
    """

    def __init__(self, listener: socket.socket) -> None:
        self.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.target = 0
        self.group = 0
        self.request = b""
        self.killed = threading.Event()
        self._listener = listener

    def serve(self) -> None:
        """Forward connections until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            server = socket.create_connection(("127.0.0.1", self.target))
            asked = bytearray()
            with server:
                back = threading.Thread(
                    target=self._answer, args=(server, client, asked), daemon=True
                )
                back.start()
                while data := client.recv(65536):
                    asked += data
                    server.sendall(data)
                server.shutdown(socket.SHUT_WR)
                back.join()

    def _answer(self, server: socket.socket, client: socket.socket, asked: bytearray) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if self.request and self.request in asked:
                    self.request = b""
                    os.killpg(self.group, signal.SIGKILL)
                    self.killed.set()
                    break
                asked.clear()
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)


@contextmanager
def killer() -> Iterator[Killer]:
    """Give a way to a server; say which by its attributes."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        way = Killer(listener)
        threading.Thread(target=way.serve, daemon=True).start()
        yield way
