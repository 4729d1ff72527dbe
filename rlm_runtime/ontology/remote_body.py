"""The body of an answer: unpacked, bounded in size and time, read piece by piece."""

from __future__ import annotations

import http.client
import re
import zlib

from rlm_runtime.errors import QueryError
from rlm_runtime.ontology.remote_errors import Deadline

__all__ = ["MAX_BYTES", "Body"]

MAX_BYTES = 64 * 2**20
"""The most bytes of one answer, unpacked."""

_PIECE = 65_536
_HEAD = 16_384
_TIMED_OUT = re.compile(rb"tim(?:ed[ -]?|e-?)out|time limit", re.I)
# Either of gzip and zlib, by what it begins with.
_GZIP_OR_ZLIB = 47


class Body:
    """The body of an answer; an engine's parser reads it as a file.

    Args:
        response: Its head has been read.
        deadline: Of all reads.
        name: The endpoint, for errors.
    """

    def __init__(self, response: http.client.HTTPResponse, deadline: Deadline, name: str) -> None:
        self._name = name
        self.limit = MAX_BYTES
        self._response = response
        self._deadline = deadline
        self._buffer = b""
        self._at = 0
        self._size = 0
        self._ended = False
        encoding = (response.headers.get("Content-Encoding") or "identity").strip().lower()
        self._unpack = _unpacker(encoding, name)

    def read(self, size: int = -1) -> bytes:
        """Give up to ``size`` bytes, at least one before the end; all of them when negative.

        Raises:
            TimeoutError: The deadline passed.
            QueryError: The body is larger than ``limit``, or packed wrongly.
            OSError: The connection broke.
            http.client.HTTPException: It ended before its end.
        """
        if size < 0:
            pieces = []
            while piece := self.read(_PIECE):
                pieces.append(piece)
            return b"".join(pieces)
        if self._at >= len(self._buffer):
            self._fill()
        piece = self._buffer[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def head(self) -> bytes:
        """Give its first bytes, up to 16 KB, without taking them away."""
        while not self._ended and len(self._buffer) - self._at < _HEAD:
            kept = self._buffer[self._at :]
            self._fill()
            self._buffer, self._at = kept + self._buffer, 0
        return self._buffer[self._at : self._at + _HEAD]

    def first(self) -> bytes:
        """Give up to 1 KB of what follows white space; of markup, more than its first byte."""
        while not self._buffer[self._at :].strip() and not self._ended:
            self._fill()
        first = self._buffer[self._at :].lstrip()
        return (self.head().lstrip() if first.startswith((b"<", b"\xef")) else first)[:1024]

    def says_timeout(self) -> bool:
        """Say whether its first bytes speak of a time-out."""
        return _TIMED_OUT.search(self.head()) is not None

    def ended_well(self) -> bool:
        """Read on for a little, and say whether it ended and its connection can be used again."""
        if not self._ended and self._at >= len(self._buffer):
            try:
                self._fill()
            except (OSError, QueryError, http.client.HTTPException):
                return False
        if not self._ended or self._buffer or self._response.will_close:
            return False
        self._response.close()
        return True

    def _fill(self) -> None:
        self._buffer, self._at = b"", 0
        while not self._buffer and not self._ended:
            self._deadline.left()
            if self._unpack is None:
                self._buffer = self._raw()
                self._ended = not self._buffer
            else:
                self._buffer = self._unpacked()
        self._size += len(self._buffer)
        if self._size > self.limit:
            raise QueryError(
                f"The answer of the endpoint {self._name} is larger than {self.limit // 2**20} MB. "
                "Select fewer columns, leave out long texts, or add a LIMIT."
            )

    def _raw(self) -> bytes:
        piece = self._response.read1(_PIECE)
        # http.client takes an early end for the end when it is read in pieces.
        if not piece and self._response.length:
            raise http.client.IncompleteRead(b"", self._response.length)
        return piece

    def _unpacked(self) -> bytes:
        """Unpack one piece, never more than 64 KB at once, however well it was packed."""
        assert self._unpack is not None
        packed = self._unpack.unconsumed_tail or self._unpack.unused_data
        if self._unpack.eof and packed:
            self._unpack = zlib.decompressobj(_GZIP_OR_ZLIB)
        elif not packed:
            packed = self._raw()
            if not packed:
                if not self._unpack.eof:
                    raise http.client.IncompleteRead(b"")
                self._ended = True
                return b""
            if self._unpack.eof:
                self._unpack = zlib.decompressobj(_GZIP_OR_ZLIB)
        try:
            return self._unpack.decompress(packed, _PIECE)
        except zlib.error as error:
            raise QueryError(
                f"The answer of the endpoint {self._name} is packed wrongly ({error}). "
                "Try again; tell those who run it if it stays so."
            ) from error


def _unpacker(encoding: str, name: str) -> zlib._Decompress | None:
    if encoding in ("identity", ""):
        return None
    if encoding in ("gzip", "x-gzip", "deflate"):
        return zlib.decompressobj(_GZIP_OR_ZLIB)
    # Only what is known is told: a header may hold anything, a login that was sent as well.
    shown = encoding if encoding in ("br", "zstd", "compress") else "something unknown"
    raise QueryError(
        f"The answer of the endpoint {name} is packed as {shown}, which was not asked for. "
        "Tell those who run it."
    )
