"""Gather what a store says of one entity, in a fixed order and within a bound."""

from __future__ import annotations

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
    outgoing: dict[str, list[Term]] = {}
    for quad in store.quads_for_pattern(term, None, None, DefaultGraph()):
        predicate, value = quad.predicate.value, to_term(quad.object)
        if predicate in _LABELS and value.kind == "literal":
            labels.append((_LABELS.index(predicate), value))
        elif predicate in _COMMENTS and value.kind == "literal":
            comments.append((_COMMENTS.index(predicate), value))
        else:
            outgoing.setdefault(predicate, []).append(value)
    incoming: dict[str, list[Term]] = {}
    for quad in store.quads_for_pattern(None, None, term, DefaultGraph()):
        incoming.setdefault(quad.predicate.value, []).append(to_term(quad.subject))
    outgoing_count = sum(map(len, outgoing.values()))
    incoming_count = sum(map(len, incoming.values()))
    return Description(
        iri,
        kind,
        labels=_preferred(labels),
        comments=_preferred(comments),
        outgoing=_share(outgoing, limit),
        incoming=_share(incoming, limit),
        outgoing_count=outgoing_count,
        incoming_count=incoming_count,
        truncated=max(outgoing_count, incoming_count) > limit,
    )


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


def _share(values: dict[str, list[Term]], limit: int) -> dict[str, tuple[Term, ...]]:
    """Share out ``limit`` places among predicates, each in turn getting one more."""
    predicates = sorted(values, key=_place)
    shares = _shares([len(values[predicate]) for predicate in predicates], limit)
    return {
        predicate: tuple(sorted(values[predicate], key=_value_place)[:share])
        for predicate, share in zip(predicates, shares, strict=True)
        if share
    }


def _shares(counts: Sequence[int], places: int) -> list[int]:
    shares = [0] * len(counts)
    while places > 0:
        hungry = [i for i, count in enumerate(counts) if shares[i] < count]
        if not hungry:
            break
        each = max(1, min(places // len(hungry), min(counts[i] - shares[i] for i in hungry)))
        for i in hungry[:places]:
            shares[i] += each
            places -= each
    return shares
