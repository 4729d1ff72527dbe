"""The sense card: what an ontology is, as the first thing an LM reads of it; all from the data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rlm_runtime.ontology.card_lines import Detail, card_lines
from rlm_runtime.ontology.card_queries import gather_card_facts
from rlm_runtime.ontology.card_templates import working_queries
from rlm_runtime.ontology.protocol import Ontology

__all__ = ["make_sense_card"]

_LEAST = 300
_QUERY_TIMEOUT = 10.0
_WHOLE = Detail(
    classes=60,
    predicates=60,
    example=30,
    comment=300,
    branches=60,
    names=60,
    prefixes=12,
    queries=2,
)
# What is given up, one step after the other, until a card fits.
_STEPS: tuple[dict[str, int], ...] = (
    {"comment": 160},
    {"example": 16, "names": 40},
    {"comment": 100, "predicates": 30},
    {"classes": 30, "branches": 30},
    {"predicates": 20, "comment": 60},
    {"example": 10, "names": 20},
    {"predicates": 15},
    {"classes": 20, "branches": 15},
    {"predicates": 12},
    {"classes": 14, "branches": 10},
    {"predicates": 9, "names": 15},
    {"classes": 10, "branches": 7},
    {"predicates": 7, "example": 0},
    {"classes": 8, "prefixes": 6},
    {"predicates": 5, "branches": 5, "names": 12},
    {"classes": 6, "branches": 4},
    {"predicates": 4, "queries": 1},
    {"classes": 4, "branches": 3, "names": 10},
    {"predicates": 3, "prefixes": 3, "comment": 0},
    {"classes": 3, "branches": 2},
    {"queries": 0, "branches": 0, "names": 8},
    {"classes": 2},
    {"classes": 1, "names": 6},
    {"classes": 0, "prefixes": 2},
    {"names": 4},
    {"names": 2, "prefixes": 1},
)


def make_sense_card(ontology: Ontology, *, max_chars: int = 3000) -> str:
    """Say what an ontology is: size, vocabulary, predicates in use, queries that run.

    Everything is found by queries, and two calls give the same text. When there is too much for
    ``max_chars``, examples go first, then predicates and classes from the rarest on; the card
    says how many were left out. No line is cut in the middle.

    Args:
        ontology: Local or remote.
        max_chars: The most characters, at least 300.

    Raises:
        ValueError: ``max_chars`` is too small for a card.

    Example:
        >>> import rdflib
        >>> from rlm_runtime.ontology import open_ontology
        >>> graph = rdflib.Graph().parse(data="<http://e/x> a <http://e/C> .", format="turtle")
        >>> with open_ontology(graph) as ontology:
        ...     "1 triples" in make_sense_card(ontology)
        True
    """
    if max_chars < _LEAST:
        raise ValueError(f"max_chars must be at least {_LEAST}, not {max_chars}.")
    facts = gather_card_facts(ontology, timeout=_QUERY_TIMEOUT)
    queries = working_queries(ontology, facts, timeout=_QUERY_TIMEOUT)
    lines: list[str] = []
    for detail in _less_and_less():
        lines = card_lines(ontology, facts, queries, detail)
        if len("\n".join(lines)) <= max_chars:
            return "\n".join(lines)
    while len("\n".join(lines)) > max_chars - 2:
        lines.pop()
    return "\n".join([*lines, "…"])


def _less_and_less() -> Iterator[Detail]:
    detail = _WHOLE
    yield detail
    for step in _STEPS:
        detail = replace(detail, **step)
        yield detail
