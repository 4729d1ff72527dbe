"""Decides how the offline explorer answers: from the question and the findings, a cell."""

from __future__ import annotations

import re

from rlm_runtime.engine.offline.choice import choose
from rlm_runtime.engine.offline.links import linked, relation, values
from rlm_runtime.engine.offline.notes import Plan, misses_a_name, not_followed, not_found
from rlm_runtime.engine.offline.questions import Question
from rlm_runtime.engine.offline.search import Findings
from rlm_runtime.engine.offline.single import (
    BUILT_IN,
    about_one,
    all_of,
    ask,
    describe,
    domain_and_range,
    labels_of,
    overview,
)
from rlm_runtime.engine.offline.vocabulary import Vocabulary

__all__ = ["answer_cell"]


def answer_cell(question: Question, findings: Findings) -> Plan:
    """Decide how to answer.

    Args:
        question: The question, as it was read.
        findings: What the first cell printed.

    Returns:
        The reasoning in a sentence or two, and the cell.
    """
    v = Vocabulary(findings.uses)
    if question.kind == "all":
        return all_of(question, v)
    if question.kind == "overview":
        return overview(v)
    if question.kind == "linked":
        return linked(question, findings, v)
    chosen = [
        choose(wanted, findings.matches.get(number, []))
        for number, wanted in enumerate(question.wanted)
    ]
    if question.kind == "ask_type" and chosen[0].entities:
        name = re.sub("^(?:an? )?", "", question.wanted[1].text.lower())
        if name in BUILT_IN:
            return ask(question, chosen[:1], BUILT_IN[name], name)
    if not all(choice.entities for choice in chosen):
        # "Employees of Research who know …": part of the words after "of" is found.
        if question.kind == "values" and chosen[1].entities and not misses_a_name(chosen[0]):
            return linked(question, findings, v)
        if any(question.beyond in choice.unknown for choice in chosen):
            return not_followed(f"the question holds “{question.beyond}”", chosen)
        return not_found(chosen)
    if question.kind.startswith("ask_"):
        return ask(question, chosen)
    if question.kind in ("definition", "compared"):
        return describe(question, chosen, v)
    if question.kind == "labels":
        return labels_of(question, chosen[0], v)
    if question.kind == "values":
        return values(question, chosen, v)
    if question.kind == "related":
        return relation(question, chosen, v)
    if question.kind == "domain_range":
        return domain_and_range(question, chosen[0], v)
    return about_one(question, chosen[0], v)
