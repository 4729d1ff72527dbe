"""An invented company for tests: its graph as a Turtle file, its facts, and questions about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyoxigraph

from tests.support.company_data import draw_company
from tests.support.company_facts import company_facts
from tests.support.company_graph import PREFIXES, company_triples
from tests.support.company_questions import Question, company_questions

__all__ = ["QUESTIONS", "SEED", "Question", "write_company_graph"]

SEED = 7

QUESTIONS: list[Question] = company_questions(draw_company(SEED))
"""Questions about the graph of the default seed, with what its records say to them."""


def write_company_graph(path: Path, *, seed: int = SEED) -> dict[str, Any]:
    """Write the graph as Turtle, the same bytes for the same seed; about 4,600 triples.

    Classes and properties are in ``http://example.org/company#``, the records in
    ``http://example.org/company/id/``.

    Returns:
        Facts for checking answers, from the records and not from the graph; see
        ``company_facts``.
    """
    company = draw_company(seed)
    pyoxigraph.serialize(
        company_triples(company), path, format=pyoxigraph.RdfFormat.TURTLE, prefixes=PREFIXES
    )
    return company_facts(company)
