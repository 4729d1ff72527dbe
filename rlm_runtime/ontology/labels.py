"""What several entities of any ontology are called, with one query."""

from __future__ import annotations

from collections.abc import Sequence

from rlm_runtime.ontology.entities import LABEL_PREDICATES
from rlm_runtime.ontology.protocol import Ontology
from rlm_runtime.ontology.text import local_name, search_key

__all__ = ["NAME_PREDICATES", "labels_of", "values_clause"]

NAME_PREDICATES = LABEL_PREDICATES[:7]
"""Predicates of names proper, without synonyms and notations."""


def labels_of(ontology: Ontology, iris: Sequence[str], timeout: float) -> dict[str, str]:
    """Give the labels that say more than the local name: English first, then untagged ones.

    Args:
        ontology: What to ask.
        iris: In full.
        timeout: Seconds.

    Returns:
        IRI to label, cut at 80 characters.
    """
    if not iris:
        return {}
    names = "|".join(f"<{iri}>" for iri in NAME_PREDICATES)
    query = f"SELECT ?x ?label WHERE {{ {values_clause(iris)} ?x {names} ?label }}"
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


def values_clause(iris: Sequence[str]) -> str:
    """Write ``VALUES ?x { … }`` for some IRIs in full, each once.

    Example:
        >>> values_clause(["http://e/a", "http://e/a"])
        'VALUES ?x { <http://e/a> }'
    """
    return f"VALUES ?x {{ {' '.join(f'<{iri}>' for iri in dict.fromkeys(iris))} }}"
