"""What a process and its workers say to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rlm_runtime.ontology.rdf_format import Syntax

__all__ = ["MOST_AT_ONCE", "TRY_AGAIN", "EngineQuery", "EngineRows", "Opened", "Opening"]

MOST_AT_ONCE = 16
"""Questions that a worker answers at the same time; any more wait for their turn."""

TRY_AGAIN = 71
"""The code with which a worker ends whose successor will be able to answer."""


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
    """The rows of a query in few large lists, which cross a channel ten times as fast as terms.

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
