"""What the parsers of Turtle and its kin leave to their caller: a bound on triples in triples."""

from __future__ import annotations

import re
from pathlib import Path

from rlm_runtime.errors import OntologyError
from rlm_runtime.ontology.rdf_bytes import RdfBytes

__all__ = ["RdfText"]

_MAX_DEPTH = 1_000

# Among so many single ones, an expression finds it in half the time.
_OPENS = re.compile(rb"<<")
# The end of a line of N-Triples, and of most statements of Turtle, ends all triples in triples.
_MARKS = re.compile(rb"<<|>>|\.[ \t\r]*\n")


class RdfText:
    """A stream of Turtle, TriG, N3, N-Triples or N-Quads that is checked while it is read.

    The parser recurses over triples in triples, and ends the whole process when they are some
    ten thousand deep.

    Args:
        path: Named in errors.
        content: Not yet read.
    """

    def __init__(self, path: Path, content: RdfBytes) -> None:
        self._path = path
        self._content = content
        self._depth = 0
        self._last = b""

    def read(self, size: int = -1) -> bytes:
        """Give up to ``size`` bytes.

        Raises:
            OntologyError: Triples are nested deeper than 1,000.
        """
        data = self._content.read(size)
        if not (self._depth or self._last or _OPENS.search(data) or data.endswith(b"<")):
            return data
        # A mark may lie across two reads.
        seen = self._last + data
        self._count(seen)
        self._last = b"<" if seen.endswith(b"<") and not seen.endswith(b"<<") else b""
        return data

    def _count(self, text: bytes) -> None:
        for mark in _MARKS.findall(text):
            if mark == b"<<":
                self._depth += 1
            else:
                self._depth = max(self._depth - 1, 0) if mark == b">>" else 0
            if self._depth > _MAX_DEPTH:
                raise OntologyError(
                    f"{self._path} nests triples in triples deeper than {_MAX_DEPTH}, as attacks "
                    "do. Flatten it."
                )
