"""What the blank nodes hold that an entity points to."""

from __future__ import annotations

from rlm_runtime.ontology.protocol import Ontology
from rlm_runtime.ontology.vocabulary import RDF
from rlm_runtime.tools.values import cell

__all__ = ["blank_nodes"]

_FIRST = f"<{RDF}first>"
_REST = f"<{RDF}rest>"


def blank_nodes(ontology: Ontology, iri: str, timeout: float) -> dict[str, str]:
    """Write out the blank nodes an entity points to, one level deep, lists as ``(a b)``.

    Returns:
        Blank node label to text, as in ``[owl:onProperty ex:part; owl:someValuesFrom ex:Wheel]``.
    """
    start = f"<{iri}> ?link ?b FILTER(isBlank(?b))"
    # The number of cells still to come puts the items of a list in their order.
    item = f"{_REST}* ?cell . ?cell {_FIRST} ?o ; {_REST}* ?tail"
    parts: dict[str, dict[str, list[str]]] = {}
    for pattern in (
        "?b ?p ?o FILTER(!isBlank(?o) && !STRENDS(STR(?p), '#type'))",
        f"?b ?p ?list . ?list {item} FILTER(?p != {_REST})",
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
