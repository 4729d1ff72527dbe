"""Ask an ontology for a sense card: bounded queries that never fail, only leave facts out."""

from __future__ import annotations

import time

from rlm_runtime.errors import QueryError
from rlm_runtime.ontology.card_facts import CardFacts
from rlm_runtime.ontology.protocol import Ontology, Term

__all__ = ["MAX_ROWS", "META", "OWL", "RDF", "RDFS", "Asker"]

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"
OWL = "http://www.w3.org/2002/07/owl#"
META = (RDF, RDFS, OWL, "http://www.w3.org/2001/XMLSchema#")
"""Namespaces of the languages that schemas are written in."""

MAX_ROWS = 5_000


class Asker:
    """Runs queries within a time for each and a time for all; tells the facts what failed.

    Args:
        ontology: What to ask.
        timeout: Seconds for each query; for all together three times that.
        facts: Their ``missing`` names what a query could not find out, and why.
    """

    def __init__(self, ontology: Ontology, timeout: float, facts: CardFacts) -> None:
        self.ontology = ontology
        self.timeout = timeout
        self.facts = facts
        self._until = time.monotonic() + 3 * timeout

    def ask(self, what: str, query: str) -> tuple[tuple[Term | None, ...], ...]:
        """Give the rows of a query, none when it fails."""
        left = self._until - time.monotonic()
        if left <= 0:
            self.facts.missing.append(f"{what} (no time left)")
            return ()
        timeout = min(self.timeout, left)
        try:
            rows = self.ontology.select(query, limit=MAX_ROWS, timeout=timeout)
        except QueryError as error:
            self.facts.missing.append(f"{what} ({type(error).__name__})")
            return ()
        if rows.truncated:
            self.facts.missing.append(f"{what} beyond {MAX_ROWS} rows")
        return rows.terms

    def counts(self, what: str, query: str) -> dict[str, int]:
        """Give the counts ?n by ?k, the highest first, of a query without an order."""
        rows = self.ask(what, f"{query} ORDER BY DESC(?n) ?k")
        return {key.value: int(n.value) for key, n in rows if key and n and key.kind != "bnode"}

    def number(self, what: str, query: str) -> int | None:
        """Give the one number of a query, None when it fails."""
        rows = self.ask(what, query)
        return int(rows[0][0].value) if rows and rows[0][0] else None
