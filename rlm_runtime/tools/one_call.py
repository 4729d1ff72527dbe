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

    What takes no time bound, ``describe`` and ``schema_of``, may outlast it by its own bound, but
    does not begin when nothing is left.

    Args:
        ontology: What is really asked.
        seconds: For all queries together.
    """

    def __init__(self, ontology: Ontology, seconds: float) -> None:
        self._ontology = ontology
        self._seconds = seconds
        self._until = time.monotonic() + seconds

    def select(self, query: str, *, limit: int = 100, timeout: float = 30.0) -> Rows:
        """Run a query; see ``Ontology.select``.

        Raises:
            QueryTimeout: The seconds are used up, by this query or by those before it.
        """
        return self._ontology.select(query, limit=limit, timeout=min(timeout, self._left()))

    def describe(self, iri: str, *, limit: int = 25) -> Description:
        """Say what is known of an entity, if there is time left; see ``Ontology.describe``."""
        self._left()
        return self._ontology.describe(iri, limit=limit)

    def schema_of(self, iri: str, *, limit: int = 50) -> ClassSchema:
        """Say what a class uses, if there is time left; see ``Ontology.schema_of``."""
        self._left()
        return self._ontology.schema_of(iri, limit=limit)

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
