"""A local ontology as its worker process holds it: a store, an index of names, and answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal

from pyoxigraph import Store

from rlm_runtime.ontology.cached_store import distrust
from rlm_runtime.ontology.describing import describe_entity, node, occurs
from rlm_runtime.ontology.loading import Loaded
from rlm_runtime.ontology.protocol import Description, EntityKind, Match
from rlm_runtime.ontology.query_run import run_query
from rlm_runtime.ontology.search import LabelIndex
from rlm_runtime.ontology.whole_graph import whole_graph
from rlm_runtime.ontology.worker_messages import EngineQuery, EngineRows

__all__ = ["LocalOntology"]

# Enough to meet the namespaces that matter, in a fraction of a millisecond.
_SAMPLE = 500


class LocalOntology:
    """What a worker process holds; ``HostedOntology`` asks it, and checks what it asks before.

    Safe to use from several threads. Queries see the statements of all graphs as one; ``GRAPH``
    and ``FROM`` tell them apart.

    Args:
        loaded: The store and the prefixes of its source.
        usual: Prefixes that are known beside them.
    """

    def __init__(self, loaded: Loaded, usual: dict[str, str]) -> None:
        self.prefixes = loaded.prefixes
        if "schema" not in self.prefixes and _uses_old_schema_org(loaded.store):
            self.prefixes = {**self.prefixes, "schema": "http://schema.org/"}
        self._known = {**usual, **self.prefixes}
        self._loaded = loaded
        self._store = loaded.store
        self._whole = whole_graph(loaded.store)
        labels = loaded.labels
        self._index = LabelIndex.open(labels, prefixes=self._known) if labels else None
        _rehearse(self._index or LabelIndex.build(Store()))
        self._index_lock = threading.Lock()

    def run(self, query: EngineQuery, stopped: Callable[[], bool]) -> EngineRows:
        """Run a query; see ``run_query``."""
        return run_query(self._store, self._whole, query, stopped)

    def search(self, text: str, limit: int, kind: EntityKind | Literal["any"]) -> list[Match]:
        """Find entities by label, synonym or local name, best first."""
        return self._labels().search(text, limit=limit, kind=kind)

    def describe(self, iri: str, limit: int) -> Description | None:
        """Say what is known of an entity, by its IRI in full; None when it does not occur."""
        if not self.contains(iri):
            return None
        return describe_entity(self._store, self._whole, iri, self._labels().kind(iri), limit)

    def contains(self, iri: str) -> bool:
        """Say whether an IRI in full is a subject, predicate, object or graph here."""
        return _is_text(iri) and occurs(self._store, iri)

    def has_graph(self, iri: str) -> bool:
        """Say whether there is a graph of this name."""
        return _is_text(iri) and self._store.contains_named_graph(node(iri))

    def distrust(self) -> bool:
        """Have the files of the store made anew at the next opening; False when there are none."""
        return distrust(self._loaded)

    def _labels(self) -> LabelIndex:
        with self._index_lock:
            if self._index is None:
                self._index = LabelIndex.build(self._store, prefixes=self._known)
            return self._index


def _rehearse(index: LabelIndex) -> None:
    """Use once what imports modules at its first use.

    A worker that answers can open no file, not even that of a module.
    """
    index.search("Ein Wört")
    node("http://e/not legal")


def _is_text(iri: str) -> bool:
    """Say whether an IRI is made of characters; half of a surrogate pair is none."""
    try:
        iri.encode()
    except UnicodeEncodeError:
        return False
    return True


def _uses_old_schema_org(store: Store) -> bool:
    """Say whether the first statements name schema.org with http, and none of them with https."""
    whole = whole_graph(store)

    def names(namespace: str) -> bool:
        tests = " || ".join(f'STRSTARTS(STR({part}), "{namespace}")' for part in ("?s", "?p", "?o"))
        sample = f"{{ SELECT * WHERE {{ ?s ?p ?o }} LIMIT {_SAMPLE} }}"
        return bool(store.query(f"ASK {{ {sample} FILTER({tests}) }}", default_graph=whole))

    return names("http://schema.org/") and not names("https://schema.org/")
