"""Sort more rows than memory should hold: sorted runs in a temporary file, merged when read."""

from __future__ import annotations

import heapq
import marshal
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

__all__ = ["SortedRows"]

_BLOCK = 500


class SortedRows:
    """Tuples of texts, numbers and tuples of these; they come out sorted, once.

    The rows stay in memory as long as there are at most ``most`` of them; without a folder, always.

    Example:
        >>> rows = SortedRows(None, most=2)
        >>> for row in [(2, "b"), (1, "a"), (3, "c")]:
        ...     rows.add(row)
        >>> list(rows.drain())
        [(1, 'a'), (2, 'b'), (3, 'c')]
    """

    def __init__(self, folder: Path | None, most: int = 50_000) -> None:
        self._folder = folder
        self._most = most
        self._rows: list[tuple[Any, ...]] = []
        self._file: IO[bytes] | None = None
        self._runs: list[tuple[int, int]] = []

    def add(self, row: tuple[Any, ...]) -> None:
        """Take a row."""
        self._rows.append(row)
        if len(self._rows) >= self._most and self._folder is not None:
            self._spill(self._folder)

    def drain(self) -> Iterator[tuple[Any, ...]]:
        """Give all rows in order and forget them."""
        self._rows.sort()
        if self._file is None:
            yield from self._rows
            return
        with self._file:
            yield from heapq.merge(*(self._run(*run) for run in self._runs), self._rows)

    def _spill(self, folder: Path) -> None:
        if self._file is None:
            import tempfile

            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (drain closes it)
        self._rows.sort()
        rows, start = iter(self._rows), self._file.tell()
        while block := list(islice(rows, _BLOCK)):
            marshal.dump(block, self._file)
        self._runs.append((start, self._file.tell()))
        self._rows.clear()

    def _run(self, start: int, end: int) -> Iterator[tuple[Any, ...]]:
        assert self._file is not None
        while start < end:
            # The runs are read in turns from one file.
            self._file.seek(start)
            block = marshal.load(self._file)
            start = self._file.tell()
            yield from block
