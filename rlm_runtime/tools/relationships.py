"""The statements from and to an entity: counts by predicate and fair samples of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rlm_runtime.errors import QueryError
from rlm_runtime.ontology.describing import shares
from rlm_runtime.ontology.labels import every_label_of, values_clause
from rlm_runtime.ontology.owl_text import INNER_OF_ONE
from rlm_runtime.ontology.protocol import Ontology, Plain, Term
from rlm_runtime.ontology.terms import kind_of
from rlm_runtime.ontology.vocabulary import OWL, SHACL, either
from rlm_runtime.ontology.within import is_writable
from rlm_runtime.tools.values import cell, first_in_order, join_notes

__all__ = ["DIRECTIONS", "Links", "dealt", "links", "relationship_table"]

DIRECTIONS = ("both", "out", "in")
_MAX_PREDICATES = 40
_ON = (SHACL + "path", OWL + "onProperty")


@dataclass(frozen=True)
class Links:
    """The statements of one entity with one predicate in one direction.

    Attributes:
        side: ``out`` (the entity is the subject) or ``in`` (the object).
        predicate: In full.
        count: How many there are.
        others: The other ends of some of them, in order.
    """

    side: str
    predicate: str
    count: int
    others: tuple[Term, ...]


def links(
    ontology: Ontology, iri: str, sides: Sequence[str], condition: str, limit: int, timeout: float
) -> list[Links]:
    """Count an entity's statements by predicate and sample each predicate; see ``dealt``.

    Args:
        ontology: What to ask.
        iri: The entity, in full.
        sides: ``out``, ``in`` or both.
        condition: A SPARQL expression over ``?p``.
        limit: The most samples of each predicate; names come before blank nodes.
        timeout: Seconds for each query.

    Returns:
        The most frequent predicates first, at most 40 of each side.
    """
    counts: list[tuple[str, str, int]] = []
    for side in sides:
        query = (
            f"SELECT ?p (COUNT(*) AS ?n) WHERE {{ {_pattern(iri, '?p', side)} "
            f"FILTER({condition}) }} GROUP BY ?p ORDER BY DESC(?n) ?p"
        )
        rows = ontology.select(query, limit=_MAX_PREDICATES, timeout=timeout).rows
        named = [(str(row["p"]), int(row["n"] or 0)) for row in rows if row["p"]]
        counts += [(side, p, number) for p, number in named if is_writable(p)]
    found = []
    for side, predicate, count in counts:
        query = first_in_order("?other", _pattern(iri, f"<{predicate}>", side), limit)
        terms = ontology.select(query, limit=limit, timeout=timeout).terms
        found.append(Links(side, predicate, count, tuple(t for (t,) in terms if t)))
    return found


def dealt(found: Sequence[Links], limit: int) -> list[Links]:
    """Share the limit fairly among predicates: each in turn keeps one more of its samples."""
    each = shares([len(link.others) for link in found], limit)
    return [
        replace(link, others=link.others[:share]) for link, share in zip(found, each, strict=True)
    ]


def relationship_table(
    ontology: Ontology,
    iri: str,
    predicate: str | None,
    direction: str,
    limit: int,
    timeout: float,
) -> dict[str, Any]:
    """List statements of an entity.

    Args:
        ontology: What to ask.
        iri: The entity, in full.
        predicate: Only this predicate, in full; None for all.
        direction: ``out``, ``in`` or ``both``.
        limit: The most rows.
        timeout: Seconds for each query.

    Returns:
        A table with the columns direction, predicate, other, label, type, and ``counts``: how
        many statements there are in all, by direction and predicate.
    """
    sides = ("out", "in") if direction == "both" else (direction,)
    condition = f"?p = <{predicate}>" if predicate else "true"
    found = dealt(links(ontology, iri, sides, condition, limit, timeout), limit)
    found, owners = _owned(ontology, iri, found, timeout)
    iris = [term.value for link in found for term in link.others if term.kind == "iri"]
    labels, types = every_label_of(ontology, iris, timeout), _types_of(ontology, iris, timeout)
    rows: list[dict[str, Plain]] = [
        {
            "direction": link.side,
            "predicate": ontology.compact(link.predicate),
            "other": cell(ontology, term),
            "label": labels.get(term.value) if term.kind == "iri" else None,
            "type": ", ".join(types.get(term.value, [])[:3]) or None
            if term.kind == "iri"
            else owners.get((link.side, link.predicate, term)) or kind_of(term, ontology.compact),
        }
        for link in found
        for term in link.others
    ]
    total = sum(link.count for link in found)
    return {
        "counts": {f"{link.side} {ontology.compact(link.predicate)}": link.count for link in found},
        "columns": ["direction", "predicate", "other", "label", "type"],
        "rows": rows,
        "count": len(rows),
        "total": total,
        "truncated": total > len(rows),
        **join_notes(
            "There is no such statement." if not total else None,
            _how_to_get_more(predicate, limit) if total > len(rows) else None,
            f"Only the {_MAX_PREDICATES} most frequent predicates are told."
            if any(sum(x.side == side for x in found) == _MAX_PREDICATES for side in sides)
            else None,
        ),
    }


def _owned(
    ontology: Ontology, iri: str, found: Sequence[Links], timeout: float
) -> tuple[list[Links], dict[tuple[str, str, Term], str]]:
    """Say of the blank nodes that point to an entity what they are part of.

    They come from one result with the first that owns each: in another their labels mean other
    nodes.
    """
    blank = {
        link.predicate: sum(term.kind == "bnode" for term in link.others)
        for link in found
        if link.side == "in"
    }
    some = " UNION ".join(
        f"{{ SELECT (<{p}> AS ?via) ?node WHERE {{ ?node <{p}> <{iri}> FILTER(isBlank(?node)) }} "
        f"LIMIT {number} }}"
        for p, number in blank.items()
        if number
    )
    if not some:
        return list(found), {}
    query = (
        "SELECT ?via ?node (MIN(CONCAT(STR(?owner), '\\n', STR(?p), "
        f"COALESCE(CONCAT('\\n', STR(?on)), ''))) AS ?path) WHERE {{ {{ {some} }} "
        f"OPTIONAL {{ ?top ({either(INNER_OF_ONE)})* ?node . ?owner ?p ?top "
        f"FILTER(isBlank(?top) && isIRI(?owner)) "
        f"OPTIONAL {{ ?top {either(_ON)} ?on FILTER(isIRI(?on)) }} }} }} "
        "GROUP BY ?via ?node"
    )
    nodes: dict[str, dict[Term, None]] = {}
    owners: dict[tuple[str, str, Term], str] = {}
    try:
        rows = ontology.select(query, limit=sum(blank.values()), timeout=timeout / 4)
    except QueryError:
        return list(found), {}
    for via, node, path in rows.terms:
        if via and node:
            nodes.setdefault(via.value, {})[node] = None
            if path:
                names = map(ontology.compact, path.value.split("\n"))
                owners["in", via.value, node] = f"bnode of {' '.join(names)}"
    told = [
        replace(link, others=(*(t for t in link.others if t.kind != "bnode"), *owned))
        if link.side == "in" and (owned := nodes.get(link.predicate))
        else link
        for link in found
    ]
    return told, owners


def _types_of(ontology: Ontology, iris: Sequence[str], timeout: float) -> dict[str, list[str]]:
    """Give the classes of each entity as prefixed names, in alphabetical order."""
    if not iris:
        return {}
    query = f"SELECT ?x ?type WHERE {{ {values_clause(iris)} ?x a ?type FILTER(isIRI(?type)) }}"
    rows = ontology.select(query, limit=20 * len(iris), timeout=timeout)
    types: dict[str, set[str]] = {}
    for entity, cls in rows.terms:
        if entity and cls and not cls.value.endswith("#NamedIndividual"):
            types.setdefault(entity.value, set()).add(ontology.compact(cls.value))
    return {iri: sorted(found) for iri, found in types.items()}


def _how_to_get_more(predicate: str | None, limit: int) -> str:
    if predicate is None:
        return "Samples of each predicate; give predicate= for one of them, or raise limit."
    return f"Cut at limit={limit}: raise it, or use sparql_select."


def _pattern(iri: str, predicate: str, side: str) -> str:
    return f"<{iri}> {predicate} ?other" if side == "out" else f"?other {predicate} <{iri}>"
