"""Gather what a store says of one entity, in a fixed order and within a bound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rlm_runtime.ontology.protocol import Description, EntityKind, Term
from rlm_runtime.ontology.query_run import to_term

if TYPE_CHECKING:
    from pyoxigraph import NamedNode, Store

__all__ = ["describe_entity", "node", "occurs"]

_RDFS = "http://www.w3.org/2000/01/rdf-schema#"
_OWL = "http://www.w3.org/2002/07/owl#"
_SKOS = "http://www.w3.org/2004/02/skos/core#"

_LABELS = (
    _SKOS + "prefLabel",
    _RDFS + "label",
    "http://purl.org/dc/terms/title",
    "http://purl.org/dc/elements/1.1/title",
    "http://xmlns.com/foaf/0.1/name",
    "https://schema.org/name",
    "http://schema.org/name",
)
_COMMENTS = (
    _SKOS + "definition",
    _RDFS + "comment",
    "http://purl.obolibrary.org/obo/IAO_0000115",
    "http://purl.org/dc/terms/description",
    "http://purl.org/dc/elements/1.1/description",
    "https://schema.org/description",
    "http://schema.org/description",
)
_FIRST = (
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#type",
    _RDFS + "subClassOf",
    _RDFS + "subPropertyOf",
    _RDFS + "domain",
    _RDFS + "range",
    _OWL + "inverseOf",
    _OWL + "equivalentClass",
    _OWL + "equivalentProperty",
    _OWL + "disjointWith",
    _SKOS + "broader",
    _SKOS + "altLabel",
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


def describe_entity(store: Store, iri: str, kind: EntityKind | None, limit: int) -> Description:
    """Describe an entity that occurs.

    Args:
        store: Its default graph holds every statement once.
        iri: In full.
        kind: What it is.
        limit: The most statements to give in each direction.
    """
    from pyoxigraph import DefaultGraph

    term = node(iri)
    labels: list[tuple[int, Term]] = []
    comments: list[tuple[int, Term]] = []
    outgoing, incoming = _Statements(limit), _Statements(limit)
    for quad in store.quads_for_pattern(term, None, None, DefaultGraph()):
        predicate, value = quad.predicate.value, to_term(quad.object)
        if predicate in _LABELS and value.kind == "literal":
            labels.append((_LABELS.index(predicate), value))
        elif predicate in _COMMENTS and value.kind == "literal":
            comments.append((_COMMENTS.index(predicate), value))
        else:
            outgoing.add(predicate, value)
    for quad in store.quads_for_pattern(None, None, term, DefaultGraph()):
        incoming.add(quad.predicate.value, to_term(quad.subject))
    return Description(
        iri,
        kind,
        labels=_preferred(labels),
        comments=_preferred(comments),
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
            values.sort(key=_value_place)
            del values[self._limit :]

    def shared_out(self) -> dict[str, tuple[Term, ...]]:
        """Share the places out among predicates: each in turn gets one more."""
        predicates = sorted(self._values, key=_place)
        shares = _shares([self._counts[predicate] for predicate in predicates], self._limit)
        return {
            predicate: tuple(sorted(self._values[predicate], key=_value_place)[:share])
            for predicate, share in zip(predicates, shares, strict=True)
            if share
        }


def _language_place(term: Term) -> int:
    if term.language == "en":
        return 0
    return 1 if term.language.startswith("en-") else 3 if term.language else 2


def _preferred(found: list[tuple[int, Term]]) -> tuple[Term, ...]:
    """Order texts: English, then untagged ones, then the rest, each text once."""
    ordered = sorted(found, key=lambda item: (_language_place(item[1]), *item))
    return tuple(dict.fromkeys(term for _, term in ordered))


def _place(predicate: str) -> tuple[int, str]:
    return (_FIRST.index(predicate) if predicate in _FIRST else len(_FIRST)), predicate


def _value_place(term: Term) -> tuple[object, ...]:
    # Blank nodes have labels made up anew at each load, which order nothing.
    kinds = ("iri", "literal", "bnode")
    return kinds.index(term.kind), _language_place(term), *term


def _shares(counts: Sequence[int], places: int) -> list[int]:
    """Say how many places each gets of those there are."""
    shares = [0] * len(counts)
    while places > 0 and any(share < count for share, count in zip(shares, counts, strict=True)):
        for i, count in enumerate(counts):
            if shares[i] < count and places > 0:
                shares[i] += 1
                places -= 1
    return shares
