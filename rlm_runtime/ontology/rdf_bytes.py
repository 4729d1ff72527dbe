"""Read the bytes of an RDF file: unzipped, in UTF-8, without a byte order mark, and bounded."""

from __future__ import annotations

import codecs
import gzip
import os
import re
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from rlm_runtime.errors import OntologyError

__all__ = ["RdfBytes", "holds_more_than", "open_rdf"]

# N-Triples shrink to a tenth or a fiftieth; zip bombs to a thousandth.
_MAX_RATIO = 200
_ALWAYS_ALLOWED = 16 * 2**20
# Parsers need up to 0.2 microseconds a byte, 0.6 for names of JSON-LD by the million. Only what
# attacks them, such as nesting without end, takes them this long.
_MAX_SECONDS_A_BYTE = 2e-6
_PATIENCE = 10.0
_CHUNK = 1 << 16
_TAIL = 4096
# The longer marks first: the one of UTF-32 begins with the one of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_XML_ENCODING = re.compile(rb"""^\s*<\?xml[^>]*?\bencoding\s*=\s*["']([A-Za-z0-9._\-]+)["']""")


class RdfBytes:
    """The content of a file as UTF-8, to be read once from front to back.

    Attributes:
        head: The first bytes (up to 64 KiB), to decide the format by; they are read again.
        is_blank: Whether there is nothing but space in it.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = b""
        self._at = 0
        while len(self._left) < _CHUNK and (chunk := next(chunks, b"")):
            self._left += chunk
        self.head = self._left[:_CHUNK]
        self.is_blank = len(self.head) < _CHUNK and not self.head.strip()
        self._before = b""

    @property
    def tail(self) -> bytes:
        """The last bytes (up to 4 KiB) of what was read so far."""
        return (self._before + self._left[: self._at])[-_TAIL:]

    def read(self, size: int = -1) -> bytes:
        """Give up to ``size`` bytes, all that is left if it is negative; b"" at the end."""
        if size < 0:
            everything = b"".join([self._left[self._at :], *self._chunks])
            self._before = (self.tail + everything[-_TAIL:])[-_TAIL:]
            self._left, self._at = b"", 0
            return everything
        if self._at == len(self._left):
            self._before = self.tail
            self._left, self._at = next(self._chunks, b""), 0
        # Parsers ask for some kilobytes at a time; to cut them off the rest would copy that.
        data = self._left[self._at : self._at + size]
        self._at += len(data)
        return data


@contextmanager
def open_rdf(path: Path, on_read: Callable[[int], None] | None = None) -> Iterator[RdfBytes]:
    """Open a file for reading, whatever its compression and encoding.

    Args:
        path: Of a regular file.
        on_read: Called now and then with the bytes of the file that were read so far.

    Raises:
        OntologyError: It cannot be read, is a broken gzip file or one that unzips without end,
            holds text in no encoding that it names, grows meanwhile, or keeps its parser busy
            beyond all measure; also while it is read within the block.
    """
    try:
        with _opened(path) as (file, stream):
            yield RdfBytes(_in_utf8(_bounded(stream, file, path, on_read), path))
    except FileNotFoundError:
        raise OntologyError(f"There is no file {path}. Check the path.") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise OntologyError(
            f"{path} is a broken gzip file ({error}). Fetch or pack it again."
        ) from error
    except OSError as error:
        raise OntologyError(
            f"Cannot read {path}: {error.strerror or error}. Check that it may be read."
        ) from error


def holds_more_than(path: Path, size: int) -> bool:
    """Say whether a file holds more than ``size`` bytes, unzipped; a broken one holds less."""
    left = size
    try:
        if path.stat().st_size > size:
            return True
        with _opened(path) as (file, stream):
            if stream is file:
                return False
            while left >= 0 and (chunk := stream.read(_CHUNK)):
                left -= len(chunk)
    except (EOFError, zlib.error, OSError):
        return False
    return left < 0


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Open a file; give it and the stream of what it holds, which is itself unless it is zipped."""
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        yield file, cast(IO[bytes], gzip.GzipFile(fileobj=file)) if zipped else file


def _bounded(
    stream: IO[bytes], file: IO[bytes], path: Path, on_read: Callable[[int], None] | None
) -> Iterator[bytes]:
    size = os.fstat(file.fileno()).st_size
    most = size if stream is file else max(_ALWAYS_ALLOWED, _MAX_RATIO * size)
    # The time of this thread, in which the parser runs between two chunks: waiting does not count.
    begin = time.thread_time()
    total = 0
    while chunk := stream.read(_CHUNK):
        total += len(chunk)
        if total > most:
            raise OntologyError(
                f"{path} grows while it is read. Wait until it is written, and open it again."
                if stream is file
                else f"{path} unzips to more than {_MAX_RATIO} times its size, as attacks do. "
                "Unzip it first, if it is meant to."
            )
        if on_read is not None:
            on_read(file.tell())
        yield chunk
        spent = time.thread_time() - begin
        if spent > max(_PATIENCE, total * _MAX_SECONDS_A_BYTE):
            raise OntologyError(
                f"{path} keeps its parser busy for {spent:.0f} s with {total} bytes, as attacks "
                "do: by values nested without end, for example. Save it as N-Triples or N-Quads."
            )


def _in_utf8(chunks: Iterator[bytes], path: Path) -> Iterator[bytes]:
    first = next(chunks, b"")
    encoding, mark = _encoding(first)
    first = first[mark:]
    if encoding == "utf-8":
        yield first
        yield from chunks
        return
    try:
        decoder = codecs.getincrementaldecoder(encoding)()
    except LookupError:
        raise OntologyError(
            f"{path} names the encoding {encoding!r}, which is not known. Save it as UTF-8."
        ) from None
    try:
        text = decoder.decode(first)
        # The parser takes the declaration at its word.
        yield re.sub(
            r"""^(\s*<\?xml[^>]*?\bencoding\s*=\s*["'])[^"']*""", r"\1UTF-8", text
        ).encode()
        for chunk in chunks:
            yield decoder.decode(chunk).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise OntologyError(
            f"{path} is not valid text in {encoding}: {error}. Save it as UTF-8."
        ) from error


def _encoding(first: bytes) -> tuple[str, int]:
    """Name the encoding and the length of the byte order mark."""
    for mark, encoding in _MARKS:
        if first.startswith(mark):
            return encoding, len(mark)
    # RDF begins with an ASCII character, so that a zero byte beside it means UTF-16.
    if len(first) > 1 and not first[1] and first[0]:
        return "utf-16-le", 0
    if len(first) > 1 and not first[0] and first[1]:
        return "utf-16-be", 0
    declared = _XML_ENCODING.match(first)
    name = declared[1].decode().lower() if declared else "utf-8"
    return ("utf-8" if name in ("utf-8", "utf8", "us-ascii", "ascii") else name), 0
