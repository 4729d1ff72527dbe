"""SPARQL endpoints on this machine: a real one, and one that misbehaves as it is told."""

from __future__ import annotations

import gzip
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

__all__ = ["BadServer", "Seen", "bad_server", "json_rows", "reply", "serve", "zipped"]


def _oxigraph() -> str | None:
    beside = Path(sys.executable).with_name("oxigraph")
    return str(beside) if beside.exists() else shutil.which("oxigraph")


@contextmanager
def serve(*files: Path, arguments: tuple[str, ...] = ()) -> Iterator[str]:
    """Serve files of RDF with a real SPARQL server; give the address for queries."""
    program = _oxigraph()
    if program is None:
        pytest.skip("the program oxigraph is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    base = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [program, "serve", "--bind", f"127.0.0.1:{port}", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, server)
        for file in files:
            kind = {
                ".nt": "application/n-triples",
                ".ttl": "text/turtle",
                ".nq": "application/n-quads",
            }
            where = "store" if file.suffix == ".nq" else "store?default"
            request = urllib.request.Request(
                f"{base}/{where}",
                file.read_bytes(),
                {"Content-Type": kind[file.suffix]},
                method="POST",
            )
            urllib.request.urlopen(request, timeout=60).close()
        yield f"{base}/query"
    finally:
        server.terminate()
        server.wait(10)


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        assert server.poll() is None, "oxigraph ended at its start"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("oxigraph did not serve within 30 seconds")


@dataclass
class Seen:
    """One request that a bad server took."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def decoded(self) -> str:
        """Line and body as they were before they were encoded for an address or a form."""
        return urllib.parse.unquote_plus(f"{self.line} {self.body.decode(errors='replace')}")

    @property
    def text(self) -> str:
        """All of it, to look for what must not be in it."""
        return f"{self.line}\n{self.headers}\n{self.body.decode(errors='replace')}"


Script = Callable[[socket.socket, Seen], object]


@dataclass
class BadServer:
    """A server that does to each connection what its script says.

    Attributes:
        port: On 127.0.0.1.
        seen: The requests, in order.
    """

    port: int
    seen: list[Seen] = field(default_factory=list)

    def url(self, host: str = "127.0.0.1", path: str = "/sparql") -> str:
        """Give an address of it."""
        return f"http://{host}:{self.port}{path}"


@contextmanager
def bad_server(
    script: Script, secured: Callable[[socket.socket], socket.socket] = lambda sock: sock
) -> Iterator[BadServer]:
    """Serve requests with a script that is given the socket and the request.

    ``secured`` may speak TLS on the socket of a connection.

    The script writes the answer to the socket, or does not; then the connection is closed.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    server = BadServer(listening.getsockname()[1])
    open_sockets: set[socket.socket] = set()
    threads: list[threading.Thread] = []

    def talk(connection: socket.socket) -> None:
        try:
            with secured(connection) as stream:
                request = _read_request(stream)
                if request is not None:
                    server.seen.append(request)
                    script(stream, request)
        except OSError:
            # The client is gone, or the test is over.
            connection.close()

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            open_sockets.add(connection)
            thread = threading.Thread(target=talk, args=(connection,), daemon=True)
            threads.append(thread)
            thread.start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield server
    finally:
        # Closing alone does not wake a thread that waits in accept.
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        accepting.join(10)
        for connection in open_sockets:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in threads:
            thread.join(10)


def _read_request(connection: socket.socket) -> Seen | None:
    stream = connection.makefile("rb")
    line = stream.readline().decode("latin-1").strip()
    if not line:
        return None
    headers: dict[str, str] = {}
    while header := stream.readline().decode("latin-1").strip():
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", 0)))
    return Seen(line, headers, body)


def reply(
    body: bytes | str = b"",
    status: str = "200 OK",
    kind: str = "application/sparql-results+json",
    length: int | None = None,
    **headers: str,
) -> bytes:
    """Write an answer; ``length`` is what it says its length is."""
    raw = body.encode() if isinstance(body, str) else body
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(raw) if length is None else length}",
        "Connection: close",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + raw


def json_rows(*values: str, column: str = "x") -> str:
    """Write SPARQL JSON with one column of IRIs."""
    rows = [{column: {"type": "uri", "value": value}} for value in values]
    return json.dumps({"head": {"vars": [column]}, "results": {"bindings": rows}})


def zipped(data: bytes) -> bytes:
    """Pack with gzip."""
    return gzip.compress(data)
