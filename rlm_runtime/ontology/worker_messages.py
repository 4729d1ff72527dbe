"""What a process and its workers say to each other: the values, and how they cross a pipe."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from rlm_runtime.ontology.rdf_format import Syntax

__all__ = [
    "MOST_AT_ONCE",
    "TRY_AGAIN",
    "EngineQuery",
    "EngineRows",
    "Opened",
    "Opening",
    "pack",
    "receive",
    "send",
]

MOST_AT_ONCE = 16
"""Questions that a worker answers at the same time; any more wait for their turn."""

TRY_AGAIN = 71
"""The code with which a worker ends whose successor will be able to answer."""

_LENGTH = 8


@dataclass(frozen=True)
class Opening:
    """What a worker shall hold, and how much it may use.

    Attributes:
        path: A file or folder, as the user named it; "" when ``statements`` are given.
        folder: The working directory that it was named in; "" where it does not matter.
        syntax: Forces the syntax of files.
        imports: IRI of an imported ontology to its file.
        statements: N-Quads, packed with zlib.
        prefixes: Prefixes that belong to ``statements``.
        usual: Prefixes that are known beside those of the source.
        memory_limit: Bytes that its queries may use beside the data.
        load_limit: Bytes that it may use to load them.
    """

    path: str = ""
    folder: str = ""
    syntax: Syntax | None = None
    imports: Mapping[str, str] = field(default_factory=dict)
    statements: bytes = b""
    prefixes: Mapping[str, str] = field(default_factory=dict)
    usual: Mapping[str, str] = field(default_factory=dict)
    memory_limit: int = 4 << 30
    load_limit: int = 4 << 30


class Opened(NamedTuple):
    """What a worker says of what it has loaded.

    Attributes:
        prefixes: Those of the source.
        unresolved_imports: IRIs of imported ontologies for which there was no local file.
    """

    prefixes: Mapping[str, str]
    unresolved_imports: tuple[str, ...]


class EngineQuery(NamedTuple):
    """A query as the engine takes it; nothing checks it any more.

    Attributes:
        text: The query.
        prefixes: Those that it uses and does not declare.
        order: The names that its columns are to be ordered by, if the engine's order is not theirs.
        limit: The most rows.
        has_dataset: Whether it says itself, by FROM, which graphs to read.
    """

    text: str
    prefixes: Mapping[str, str]
    order: tuple[str, ...] | None
    limit: int
    has_dataset: bool = False


class EngineRows(NamedTuple):
    """The rows of a query in few large lists, which cross a pipe ten times as fast as terms.

    Attributes:
        columns: Their names.
        length: How many rows there are; without columns, nothing else tells it.
        cells: Four texts a cell, row by row: value, kind, datatype, language; an unbound cell has
            the kind "".
        truncated: Whether there were more.
        duration: Seconds.
    """

    columns: tuple[str, ...]
    length: int
    cells: list[str]
    truncated: bool
    duration: float


def pack(message: object) -> bytes:
    """Make a message ready to be sent."""
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return len(body).to_bytes(_LENGTH, "little") + body


def send(descriptor: int, packed: bytes) -> None:
    """Write one message, in whole; the caller lets no other thread write meanwhile.

    Raises:
        OSError: Nobody reads any more.
    """
    left = memoryview(packed)
    while left:
        left = left[os.write(descriptor, left) :]


def receive(stream: IO[bytes]) -> Any:
    """Read one message.

    Raises:
        EOFError: The other side is gone, perhaps in the middle of a message.
    """
    length = int.from_bytes(_exactly(stream, _LENGTH), "little")
    return pickle.loads(_exactly(stream, length))


def _exactly(stream: IO[bytes], length: int) -> bytearray:
    read = bytearray(length)
    left = memoryview(read)
    while left:
        got = stream.readinto(left)  # pyright: ignore[reportAttributeAccessIssue]
        if not got:
            raise EOFError
        left = left[got:]
    return read
