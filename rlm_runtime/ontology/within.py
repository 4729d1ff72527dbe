"""Several queries to one ontology that share a time bound."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from rlm_runtime.errors import QueryTimeout

if TYPE_CHECKING:
    from rlm_runtime.ontology.protocol import Ontology, Term

__all__ = ["Within", "is_writable"]

_NOT_IN_SPARQL = re.compile(r'[<>"{}|^`\\\x00-\x20]')


class Within:
    """Asks an ontology for up to some seconds in all.

    Args:
        ontology: What to ask.
        seconds: For all queries together.
    """

    def __init__(self, ontology: Ontology, seconds: float) -> None:
        self.compact = ontology.compact
        self.truncated = False
        self._ontology = ontology
        self._seconds = seconds
        self._until = time.monotonic() + seconds

    def ask(self, query: str, limit: int) -> tuple[tuple[Term | None, ...], ...]:
        """Give the rows of a query; ``truncated`` is set when there were more than the limit.

        Raises:
            QueryTimeout: The time is over.
            QueryError: Anything else.
        """
        left = self._until - time.monotonic()
        if left <= 0:
            raise QueryTimeout(f"The queries took longer than {self._seconds:g} s in all.")
        rows = self._ontology.select(query, limit=limit, timeout=left)
        self.truncated |= rows.truncated
        return rows.terms


def is_writable(iri: str) -> bool:
    """Say whether a query can name an IRI: lenient loading lets in some that none can.

    Example:
        >>> [is_writable(iri) for iri in ("http://e/a", "http://e/a b", "relative")]
        [True, False, False]
    """
    return ":" in iri and not _NOT_IN_SPARQL.search(iri)
