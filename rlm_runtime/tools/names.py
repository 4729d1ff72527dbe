"""What several entities are called and are, and what blank nodes hold, with a query or two."""

from __future__ import annotations

from collections.abc import Sequence

from rlm_runtime.ontology.entities import LABEL_PREDICATES
from rlm_runtime.ontology.protocol import Ontology
from rlm_runtime.ontology.text import local_name, search_key
from rlm_runtime.tools.values import cell

__all__ = ["blank_nodes", "labels_of", "types_of"]

# Names proper; synonyms and notations would be misleading as the label of a link's end.
_NAMES = LABEL_PREDICATES[:7]
_RDF_FIRST = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#first>"
_RDF_REST = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#rest>"


def labels_of(ontology: Ontology, iris: Sequence[str], timeout: float) -> dict[str, str]:
    """Give the labels that say more than the local name: English first, then untagged ones."""
    if not iris:
        return {}
    names = "|".join(f"<{iri}>" for iri in _NAMES)
    query = f"SELECT ?x ?label WHERE {{ {_values(iris)} ?x {names} ?label }}"
    rows = ontology.select(query, limit=20 * len(iris), timeout=timeout)
    best: dict[str, tuple[int, str]] = {}
    for entity, label in rows.terms:
        if entity and label and label.kind == "literal":
            place = {"en": 0, "": 1}.get(label.language.split("-")[0], 2)
            best[entity.value] = min((place, label.value[:80]), best.get(entity.value, (9, "")))
    return {
        iri: label
        for iri, (_, label) in best.items()
        if search_key(label) != search_key(local_name(iri))
    }


def types_of(ontology: Ontology, iris: Sequence[str], timeout: float) -> dict[str, list[str]]:
    """Give the classes of each entity as prefixed names, in alphabetical order."""
    if not iris:
        return {}
    query = f"SELECT ?x ?type WHERE {{ {_values(iris)} ?x a ?type FILTER(isIRI(?type)) }}"
    rows = ontology.select(query, limit=20 * len(iris), timeout=timeout)
    types: dict[str, set[str]] = {}
    for entity, cls in rows.terms:
        if entity and cls and not cls.value.endswith("#NamedIndividual"):
            types.setdefault(entity.value, set()).add(ontology.compact(cls.value))
    return {iri: sorted(found) for iri, found in types.items()}


def _values(iris: Sequence[str]) -> str:
    return f"VALUES ?x {{ {' '.join(f'<{iri}>' for iri in dict.fromkeys(iris))} }}"


def blank_nodes(ontology: Ontology, iri: str, timeout: float) -> dict[str, str]:
    """Write out the blank nodes an entity points to, one level deep, lists as ``(a b)``.

    Returns:
        Blank node label to text, as in ``[owl:onProperty ex:part; owl:someValuesFrom ex:Wheel]``.
    """
    start = f"<{iri}> ?link ?b FILTER(isBlank(?b))"
    # The number of cells still to come puts the items of a list in their order.
    item = f"{_RDF_REST}* ?cell . ?cell {_RDF_FIRST} ?o ; {_RDF_REST}* ?tail"
    parts: dict[str, dict[str, list[str]]] = {}
    for pattern in (
        "?b ?p ?o FILTER(!isBlank(?o) && !STRENDS(STR(?p), '#type'))",
        f"?b ?p ?list . ?list {item} FILTER(?p != {_RDF_REST})",
        f"?b {item}",
    ):
        query = (
            f"SELECT ?b ?p ?o WHERE {{ {start} {pattern} }} "
            "GROUP BY ?link ?b ?p ?cell ?o ORDER BY ?link ?p DESC(COUNT(?tail)) ?o"
        )
        for node, predicate, value in ontology.select(query, limit=200, timeout=timeout).terms:
            if node and value:
                name = ontology.compact(predicate.value) if predicate else ""
                found = parts.setdefault(node.value, {}).setdefault(name, [])
                found.append(str(cell(ontology, value)))
    return {
        # Without a predicate: the node itself is a list.
        node: _list(told[""])
        if "" in told
        else "[" + "; ".join(f"{name} {_list(found)}" for name, found in told.items()) + "]"
        for node, told in parts.items()
    }


def _list(values: list[str]) -> str:
    return values[0] if len(values) == 1 else f"({' '.join(values)})"
