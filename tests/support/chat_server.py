"""A local endpoint that speaks OpenAI's chat protocol and replies from a script."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ChatServer(ThreadingHTTPServer):
    """Gives its replies in order, the last one for ever.

    A text is a completion, a number an HTTP error, and None is never given.

    Attributes:
        base: The address to give as ``api_base``.
        asked: Set as soon as a request has come.
        requests: The bodies of the requests.
    """

    daemon_threads = True

    def __init__(self, *replies: str | int | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replies = list(replies)
        self.requests: list[dict] = []
        self.asked = threading.Event()
        self.released = threading.Event()
        self.lock = threading.Lock()
        self.base = f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that went away: some tests interrupt them."""


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            place = min(len(self.server.requests), len(self.server.replies) - 1)
            self.server.requests.append(body)
        self.server.asked.set()
        reply = self.server.replies[place]
        if reply is None:
            self.server.released.wait()
        elif isinstance(reply, int):
            self._send(reply, {"error": {"message": "the endpoint says no", "type": "test"}})
        else:
            self._send(200, self._completion(body, reply, place))

    def _completion(self, body: dict, text: str, place: int) -> dict:
        prompt = sum(len(str(message["content"]).split()) for message in body["messages"])
        completion = len(text.split())
        usage = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }
        message = {"role": "assistant", "content": text}
        return {
            "id": f"chatcmpl-{place}",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": usage,
        }

    def _send(self, status: int, value: dict) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@contextmanager
def chat_server(*replies: str | int | None) -> Iterator[ChatServer]:
    """Serve until the block ends."""
    with ChatServer(*replies) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()
