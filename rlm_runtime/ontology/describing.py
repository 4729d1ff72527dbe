"""Gather what a store says of one entity, in a fixed order and within a bound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rlm_runtime.ontology.protocol import Description, EntityKind, Term
from rlm_runtime.ontology.query_run import GraphName, to_term
from rlm_runtime.ontology.vocabulary import (
    COMMENT_PREDICATES,
    DOMAINS,
    NAME_PREDICATES,
    OWL,
    RANGES,
    RDF,
    RDFS,
    SKOS,
    language_place,
)

if TYPE_CHECKING:
    from pyoxigraph import NamedNode, Store

__all__ = [
    "describe_entity",
    "node",
    "occurs",
    "predicate_place",
    "preferred",
    "shares",
    "value_place",
]

_FIRST = (
    RDF + "type",
    RDFS + "subClassOf",
    RDFS + "subPropertyOf",
    *DOMAINS,
    *RANGES,
    OWL + "inverseOf",
    OWL + "equivalentClass",
    OWL + "equivalentProperty",
    OWL + "disjointWith",
    SKOS + "broader",
    SKOS + "altLabel",
)


def node(iri: str) -> NamedNode:
    """Make the engine's term of an IRI, also of one that is not quite legal."""
    from pyoxigraph import NamedNode, RdfFormat, parse

    try:
        return NamedNode(iri)
    except ValueError:
        # Lenient loading lets such IRIs in, and only the parser can make them.
        escaped = "".join(f"\\U{ord(char):08X}" for char in iri)
        line = f"<{escaped}> <x:p> <x:o> ."
        (quad,) = parse(line, RdfFormat.N_TRIPLES, lenient=True)
        assert isinstance(quad.subject, NamedNode)
        return quad.subject


def occurs(store: Store, iri: str) -> bool:
    """Say whether an IRI is a subject, predicate, object or graph."""
    term = node(iri)
    patterns = ((term, None, None), (None, term, None), (None, None, term))
    return store.contains_named_graph(term) or any(
        next(iter(store.quads_for_pattern(*pattern, None)), None) is not None
        for pattern in patterns
    )


def describe_entity(
    store: Store, whole: GraphName, iri: str, kind: EntityKind | None, limit: int
) -> Description:
    """Describe an entity that occurs.

    Args:
        store: Where it occurs.
        whole: The graph that holds every statement once.
        iri: In full.
        kind: What it is.
        limit: The most statements to give in each direction.
    """
    term = node(iri)
    labels: list[tuple[int, Term]] = []
    comments: list[tuple[int, Term]] = []
    outgoing, incoming = _Statements(limit), _Statements(limit)
    for quad in store.quads_for_pattern(term, None, None, whole):
        predicate, value = quad.predicate.value, to_term(quad.object)
        if predicate in NAME_PREDICATES and value.kind == "literal":
            labels.append((NAME_PREDICATES.index(predicate), value))
        elif predicate in COMMENT_PREDICATES and value.kind == "literal":
            comments.append((COMMENT_PREDICATES.index(predicate), value))
        else:
            outgoing.add(predicate, value)
    for quad in store.quads_for_pattern(None, None, term, whole):
        incoming.add(quad.predicate.value, to_term(quad.subject))
    return Description(
        iri,
        kind,
        labels=preferred(labels),
        comments=preferred(comments),
        outgoing=outgoing.shared_out(),
        incoming=incoming.shared_out(),
        outgoing_count=outgoing.count,
        incoming_count=incoming.count,
        truncated=max(outgoing.count, incoming.count) > limit,
    )


class _Statements:
    """Counts statements, and keeps the first values of each predicate, at most ``limit``."""

    def __init__(self, limit: int) -> None:
        self.count = 0
        self._limit = limit
        self._counts: Counter[str] = Counter()
        self._values: dict[str, list[Term]] = {}

    def add(self, predicate: str, value: Term) -> None:
        self.count += 1
        self._counts[predicate] += 1
        values = self._values.setdefault(predicate, [])
        values.append(value)
        # A hub has millions of them; sorting now and then is cheaper than after each.
        if len(values) > 2 * self._limit + 1000:
            values.sort(key=value_place)
            del values[self._limit :]

    def shared_out(self) -> dict[str, tuple[Term, ...]]:
        """Share the places out among predicates: each in turn gets one more."""
        predicates = sorted(self._values, key=predicate_place)
        dealt = shares([self._counts[predicate] for predicate in predicates], self._limit)
        return {
            predicate: tuple(sorted(self._values[predicate], key=value_place)[:share])
            for predicate, share in zip(predicates, dealt, strict=True)
            if share
        }


def preferred(found: list[tuple[int, Term]]) -> tuple[Term, ...]:
    """Order texts by language, then by the place of their predicate, each text once."""

    def place(item: tuple[int, Term]) -> tuple[object, ...]:
        language = item[1].language
        return language_place(language), language, *item

    return tuple(dict.fromkeys(term for _, term in sorted(found, key=place)))


def predicate_place(predicate: str) -> tuple[int, str]:
    """Order predicates: those that say what an entity is first."""
    return (_FIRST.index(predicate) if predicate in _FIRST else len(_FIRST)), predicate


def value_place(term: Term) -> tuple[object, ...]:
    """Order values: IRIs, then texts by language, then blank nodes."""
    # Blank nodes have labels made up anew at each load, which order nothing.
    kinds = ("iri", "literal", "bnode")
    return kinds.index(term.kind), language_place(term.language), *term


def shares(counts: Sequence[int], places: int) -> list[int]:
    """Deal out places one by one, so that a hub's many edges do not hide the few others.

    Example:
        >>> shares([10_000, 1, 2], 6)
        [3, 1, 2]
    """
    dealt = [0] * len(counts)
    left = min(places, sum(counts))
    while left:
        for i, count in enumerate(counts):
            if left and dealt[i] < count:
                dealt[i] += 1
                left -= 1
    return dealt
