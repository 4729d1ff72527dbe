"""Gather what a store says of one entity, in a fixed order and within a bound."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

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
    from pyoxigraph import NamedNode, Quad, Store

__all__ = [
    "describe_entity",
    "node",
    "occurs",
    "predicate_place",
    "preferred",
    "shares",
    "value_place",
]

_MAX_READ = 5_000
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

    In each direction up to 5,000 statements are looked at; of more, the first of each predicate.

    Args:
        store: Where it occurs.
        whole: The graph that holds every statement once.
        iri: In full.
        kind: What it is.
        limit: The most statements to give in each direction; blank nodes get the places that
            names and literals leave.
    """
    term = node(iri)
    labels: list[tuple[int, Term]] = []
    comments: list[tuple[int, Term]] = []
    outgoing: dict[str, list[Term]] = {}
    incoming: dict[str, list[Term]] = {}
    quads, outgoing_count = _first_statements(store, whole, "s", term, limit)
    for quad in quads:
        predicate, value = quad.predicate.value, to_term(quad.object)
        if predicate in NAME_PREDICATES and value.kind == "literal":
            labels.append((NAME_PREDICATES.index(predicate), value))
        elif predicate in COMMENT_PREDICATES and value.kind == "literal":
            comments.append((COMMENT_PREDICATES.index(predicate), value))
        else:
            outgoing.setdefault(predicate, []).append(value)
    outgoing_count -= len(labels) + len(comments)
    quads, incoming_count = _first_statements(store, whole, "o", term, limit)
    for quad in quads:
        incoming.setdefault(quad.predicate.value, []).append(to_term(quad.subject))
    return Description(
        iri,
        kind,
        labels=preferred(labels),
        comments=preferred(comments),
        outgoing=_shared_out(outgoing, limit),
        incoming=_shared_out(incoming, limit),
        outgoing_count=outgoing_count,
        incoming_count=incoming_count,
        truncated=max(outgoing_count, incoming_count) > limit,
    )


def _first_statements(
    store: Store, whole: GraphName, side: Literal["s", "o"], term: NamedNode, limit: int
) -> tuple[list[Quad], int]:
    """Give statements of which a term is the subject or object, and how many there are.

    Of a hub with a million of them the engine counts, many times faster than one reads them.
    """
    from pyoxigraph import Variable

    def first(predicate: NamedNode | None, most: int) -> list[Quad]:
        pattern = (term, predicate, None) if side == "s" else (None, predicate, term)
        return list(islice(store.quads_for_pattern(*pattern, whole), most))

    quads = first(None, _MAX_READ + 1)
    if len(quads) <= _MAX_READ:
        return quads, len(quads)
    # What is given for a variable must be in the answer.
    query = f"SELECT ?{side} ?p (COUNT(*) AS ?n) {{ ?s ?p ?o }} GROUP BY ?{side} ?p"
    given: Any = {Variable(side): term}
    solutions: Any = store.query(query, default_graph=whole, substitutions=given)
    counts = {row["p"]: int(row["n"].value) for row in solutions}
    each = max(limit, _MAX_READ // len(counts))
    return [quad for predicate in counts for quad in first(predicate, each)], sum(counts.values())


def _shared_out(found: dict[str, list[Term]], limit: int) -> dict[str, tuple[Term, ...]]:
    """Share the places out among predicates: each in turn gets one more, blank nodes last."""
    predicates = sorted(found, key=predicate_place)
    blank = [sum(term.kind == "bnode" for term in found[predicate]) for predicate in predicates]
    named = [len(found[p]) - count for p, count in zip(predicates, blank, strict=True)]
    dealt = shares(named, limit)
    rest = shares(blank, limit - sum(dealt))
    return {
        predicate: tuple(sorted(found[predicate], key=value_place)[: first + more])
        for predicate, first, more in zip(predicates, dealt, rest, strict=True)
        if first + more
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
