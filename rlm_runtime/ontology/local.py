"""An ontology in memory, over pyoxigraph."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from rlm_runtime.errors import OntologyError, QueryError
from rlm_runtime.ontology.class_schema import ClassSchemas
from rlm_runtime.ontology.describing import describe_entity, node, occurs
from rlm_runtime.ontology.loading import Loaded
from rlm_runtime.ontology.prefixes import PrefixMap
from rlm_runtime.ontology.protocol import Description, EntityKind, Match, Rows
from rlm_runtime.ontology.query_guard import check_query
from rlm_runtime.ontology.query_run import run_query
from rlm_runtime.ontology.schema import ClassSchema

if TYPE_CHECKING:
    from pyoxigraph import Store

    from rlm_runtime.ontology.search import LabelIndex

__all__ = ["LocalOntology"]

# Enough to meet the namespaces that matter, in a fraction of a millisecond.
_SAMPLE = 500


class LocalOntology:
    """An ontology held in memory; see ``open_ontology``. Safe to use from several threads.

    Queries see the statements of all graphs as one; ``GRAPH`` and ``FROM`` tell them apart.

    Args:
        loaded: The store and the prefixes of its source.
        name: A short name.
        source: Where it came from.
    """

    def __init__(self, loaded: Loaded, *, name: str, source: str) -> None:
        self._store: Store | None = loaded.store
        own = loaded.prefixes
        if "schema" not in own and _uses_old_schema_org(loaded.store):
            own = {**own, "schema": "http://schema.org/"}
        self._prefixes = PrefixMap(own)
        self._name = name
        self._source = source
        self._index: LabelIndex | None = None
        self._index_lock = threading.Lock()
        self._schemas = ClassSchemas(self)

    @property
    def name(self) -> str:
        """A short name, as in ``prov``."""
        return self._name

    @property
    def source(self) -> str:
        """The path, or ``rdflib.Graph``."""
        return self._source

    @property
    def prefixes(self) -> Mapping[str, str]:
        """Prefix to namespace IRI: the source's own first, then the usual ones."""
        return self._prefixes

    @property
    def store(self) -> Store:
        """The store, for the modules of this package; it must not be changed."""
        if self._store is None:
            raise OntologyError(
                f"The ontology {self._name!r} is closed. Open it again with open_ontology."
            )
        return self._store

    def select(self, query: str, *, limit: int = 100, timeout: float = 30.0) -> Rows:
        """Run a read-only SPARQL query; known prefixes need no declaration.

        The query runs in a thread. The engine cannot be stopped: after the time bound the
        caller gets QueryTimeout at once, and the thread ends at the engine's next row.

        Args:
            query: SELECT, ASK, CONSTRUCT or DESCRIBE.
            limit: The most rows to return; more set ``truncated``.
            timeout: Seconds.

        Raises:
            QueryRejected: The query could change something or reach out.
            QueryTimeout: It ran longer than ``timeout``.
            QueryError: Anything else, with what to do.
            OntologyError: The ontology is closed.
        """
        if limit < 0 or not timeout > 0:
            raise QueryError(
                f"limit={limit} and timeout={timeout:g} cannot work: give a limit of at least 0 "
                "rows and a timeout of more than 0 seconds."
            )
        store = self.store
        checked = check_query(
            query, self._prefixes, lambda iri: store.contains_named_graph(node(iri))
        )
        return run_query(store, checked, limit=limit, timeout=timeout)

    def search(
        self, text: str, *, limit: int = 10, kind: EntityKind | Literal["any"] = "any"
    ) -> list[Match]:
        """Find entities by label, synonym or local name, best first."""
        return self._labels().search(text, limit=limit, kind=kind)

    def describe(self, iri: str, *, limit: int = 25) -> Description:
        """Say what is known of an entity.

        Of each predicate at least one value is shown, if ``limit`` allows; the rest is shared
        out evenly.

        Args:
            iri: An IRI in full, in angle brackets, or a prefixed name.
            limit: The most statements to give in each direction.

        Raises:
            QueryError: No such prefix, or nothing is said of this IRI; the message names the
                nearest entities.
        """
        full = self.expand(iri)
        if not self.contains(full):
            raise self._not_found(iri, full)
        return describe_entity(self.store, full, self._labels().kind(full), limit)

    def schema_of(self, iri: str, *, limit: int = 50) -> ClassSchema:
        """Say which properties the instances of a class and of its subclasses really use.

        Args:
            iri: An IRI in full, in angle brackets, or a prefixed name.
            limit: The most properties to give.

        Raises:
            QueryError: No such prefix; or it took too long (QueryTimeout).
        """
        return self._schemas.of(self.expand(iri), limit=limit)

    def contains(self, iri: str) -> bool:
        """Say whether an IRI in full is a subject, predicate, object or graph here."""
        return occurs(self.store, iri)

    def expand(self, name: str) -> str:
        """Give the full IRI of a prefixed name, ``<iri>`` or IRI.

        Raises:
            QueryError: The prefix is not known; the message lists those that are.
        """
        return self._prefixes.expand(name)

    def compact(self, iri: str) -> str:
        """Give the prefixed name of an IRI that is legal in SPARQL, else ``<iri>``."""
        return self._prefixes.compact(iri)

    def close(self) -> None:
        """Free the memory once running queries have ended; calling it again does nothing."""
        self._store = None
        self._index = None

    def __enter__(self) -> LocalOntology:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"LocalOntology(name={self._name!r}, source={self._source!r})"

    def _labels(self) -> LabelIndex:
        from rlm_runtime.ontology.search import LabelIndex

        store = self.store
        with self._index_lock:
            if self._index is None:
                self._index = LabelIndex.build(store, prefixes=self._prefixes)
            return self._index

    def _not_found(self, iri: str, full: str) -> QueryError:
        near = self.search(full, limit=3)
        names = ", ".join(f"{self.compact(match.iri)} ({match.label})" for match in near)
        advice = f"Did you mean {names}? Else search" if near else "Search"
        return QueryError(
            f"{iri} does not occur in the ontology {self._name!r}. {advice} for it by its label."
        )


def _uses_old_schema_org(store: Store) -> bool:
    """Say whether the first statements name schema.org with http, and none of them with https."""

    def names(namespace: str) -> bool:
        tests = " || ".join(f'STRSTARTS(STR({part}), "{namespace}")' for part in ("?s", "?p", "?o"))
        sample = f"{{ SELECT * WHERE {{ ?s ?p ?o }} LIMIT {_SAMPLE} }}"
        return bool(store.query(f"ASK {{ {sample} FILTER({tests}) }}"))

    return names("http://schema.org/") and not names("https://schema.org/")
