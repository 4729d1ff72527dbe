"""What several entities of any ontology are called, with one query."""

from __future__ import annotations

from collections.abc import Sequence

from rlm_runtime.ontology.protocol import Ontology
from rlm_runtime.ontology.text import local_name, search_key
from rlm_runtime.ontology.vocabulary import NAME_PREDICATES, either, language_place
from rlm_runtime.ontology.within import is_writable

__all__ = ["every_label_of", "labels_of", "other_labels_of", "values_clause"]

# One entity may have a label in each of hundreds of languages.
_LEAST_ROWS = 5_000


def labels_of(ontology: Ontology, iris: Sequence[str], timeout: float) -> dict[str, str]:
    """Give the labels that say more than the local name, as ``other_labels_of`` gives them."""
    return {
        iri: label
        for iri, label in other_labels_of(ontology, iris, timeout).items()
        if search_key(label) != search_key(local_name(iri))
    }


def other_labels_of(ontology: Ontology, iris: Sequence[str], timeout: float) -> dict[str, str]:
    """Give the labels that are not the local name, as ``every_label_of`` gives them."""
    return {
        iri: label
        for iri, label in every_label_of(ontology, iris, timeout).items()
        if label != local_name(iri)
    }


def every_label_of(ontology: Ontology, iris: Sequence[str], timeout: float) -> dict[str, str]:
    """Give the labels of those that have one: English first, then untagged ones.

    Args:
        ontology: What to ask.
        iris: In full.
        timeout: Seconds.

    Returns:
        IRI to label, cut at 80 characters.
    """
    if not iris:
        return {}
    pattern = f"?x {either(NAME_PREDICATES)} ?label"
    query = f"SELECT ?x ?label WHERE {{ {values_clause(iris)} {pattern} }}"
    rows = ontology.select(query, limit=max(_LEAST_ROWS, 20 * len(iris)), timeout=timeout)
    best: dict[str, tuple[int, str]] = {}
    for entity, label in rows.terms:
        if entity and label and label.kind == "literal":
            found = (language_place(label.language), label.value[:80])
            best[entity.value] = min(found, best.get(entity.value, found))
    return {iri: label for iri, (_, label) in best.items()}


def values_clause(iris: Sequence[str]) -> str:
    """Write ``VALUES ?x { … }`` for some IRIs in full, each once, less those no query can name.

    Example:
        >>> values_clause(["http://e/a", "http://e/a", "http://e/a b"])
        'VALUES ?x { <http://e/a> }'
    """
    written = [f"<{iri}>" for iri in dict.fromkeys(iris) if is_writable(iri)]
    return f"VALUES ?x {{ {' '.join(written)} }}"
