"""An ontology seen through one call of a tool: all of its queries share a time bound."""

from __future__ import annotations

import time
from typing import Any

from rlm_runtime.errors import QueryTimeout
from rlm_runtime.ontology.protocol import Description, Ontology, Rows
from rlm_runtime.ontology.schema import ClassSchema

__all__ = ["OneCall"]


class OneCall:
    """Asks another ontology for up to some seconds in all, from when this is made.

    Args:
        ontology: What is really asked.
        seconds: For all queries together.
    """

    def __init__(self, ontology: Ontology, seconds: float) -> None:
        self._ontology = ontology
        # Called for every cell of a table.
        self.compact = ontology.compact
        self._seconds = seconds
        self._until = time.monotonic() + seconds

    def select(self, query: str, *, limit: int = 100, timeout: float = 30.0) -> Rows:
        """Run a query; see ``Ontology.select``.

        Raises:
            QueryTimeout: The seconds are used up, by this query or by those before it.
        """
        return self._ontology.select(query, limit=limit, timeout=min(timeout, self._left()))

    def describe(self, iri: str, *, limit: int = 25, timeout: float = 30.0) -> Description:
        """Say what is known of an entity; see ``Ontology.describe``."""
        return self._ontology.describe(iri, limit=limit, timeout=min(timeout, self._left()))

    def schema_of(self, iri: str, *, limit: int = 50, timeout: float = 20.0) -> ClassSchema:
        """Say what the instances of a class use; see ``Ontology.schema_of``."""
        return self._ontology.schema_of(iri, limit=limit, timeout=min(timeout, self._left()))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ontology, name)

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left > 0:
            return left
        raise QueryTimeout(
            f"The queries of this call took longer than {self._seconds:g} s in all and were given "
            "up; this does not mean that there is nothing. Ask for less with a lower limit, or "
            "use sparql_select with a LIMIT."
        )
