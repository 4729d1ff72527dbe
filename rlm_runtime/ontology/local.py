"""A local ontology as its worker process holds it: a store, an index of names, and answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import chain, islice
from typing import Literal

from pyoxigraph import NamedNode, Store

from rlm_runtime.ontology.cached_store import distrust
from rlm_runtime.ontology.describing import describe_entity, node, occurs
from rlm_runtime.ontology.loading import Loaded
from rlm_runtime.ontology.prefix_names import prefixes_for
from rlm_runtime.ontology.prefixes import namespace_of
from rlm_runtime.ontology.protocol import Description, EntityKind, Match
from rlm_runtime.ontology.query_run import GraphName, run_query
from rlm_runtime.ontology.search import LabelIndex
from rlm_runtime.ontology.whole_graph import whole_graph
from rlm_runtime.ontology.worker_messages import EngineQuery, EngineRows

__all__ = ["LocalOntology"]

# Enough to meet the namespaces that matter, in a millisecond or two: at first all statements, of
# more some.
_FIRST = 300
_SPREAD = 3_000
_EVERY = 20
_OLD, _NEW = "http://schema.org/", "https://schema.org/"


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
        self._whole = whole_graph(loaded.store)
        sample = _sample(loaded, self._whole)
        namespaces = {namespace_of(iri) for iri in sample}
        if "schema" not in self.prefixes and _OLD in namespaces and _NEW not in namespaces:
            self.prefixes = {**self.prefixes, "schema": _OLD}
        made = prefixes_for(sample, {**usual, **self.prefixes})
        self.prefixes = {**self.prefixes, **made}
        self._known = {**usual, **self.prefixes}
        self._loaded = loaded
        self._store = loaded.store
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


def _sample(loaded: Loaded, whole: GraphName) -> list[str]:
    """Give the IRIs of some statements, each as often as it occurs in them."""
    quads = loaded.store.quads_for_pattern(None, None, None, whole)
    some = [islice(quads, _FIRST)]
    # A store on disk has its statements in no order of theirs; files go from topic to topic.
    if loaded.folder is None:
        some.append(islice(quads, 0, _SPREAD, _EVERY))
    return [
        term.value
        for quad in chain(*some)
        for term in (quad.subject, quad.predicate, quad.object)
        if isinstance(term, NamedNode)
    ]
