"""The sense card: what an ontology is, as the first thing an LM reads of it; all from the data."""

from __future__ import annotations

from bisect import bisect_left

from rlm_runtime.ontology.card_detail import Detail, less_and_less
from rlm_runtime.ontology.card_lines import Card
from rlm_runtime.ontology.card_queries import gather_card_facts
from rlm_runtime.ontology.card_templates import working_queries
from rlm_runtime.ontology.protocol import Ontology

__all__ = ["make_sense_card"]

_LEAST = 300
_QUERY_TIMEOUT = 10.0


def make_sense_card(ontology: Ontology, *, max_chars: int = 3000) -> str:
    """Say what an ontology is: size, vocabulary, predicates in use, queries that run.

    Everything is found by queries, and two calls give the same text. When there is too much for
    ``max_chars``, descriptions and examples go first, then ranges and inverses, then predicates
    and classes from the rarest on; the card says how many were left out. No line is cut in the
    middle.

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
    card = Card(ontology, facts, queries)
    steps = list(less_and_less())

    def fits(detail: Detail) -> bool:
        return len("\n".join(card.lines(detail))) <= max_chars

    # A search by halves: writing a large card at every step takes longer than its queries.
    at = bisect_left(steps, True, hi=len(steps) - 1, key=fits)
    lines = card.lines(steps[at])
    if fits(steps[at]):
        return "\n".join(lines)
    while len("\n".join(lines)) > max_chars - 2:
        lines.pop()
    return "\n".join([*lines, "…"])
