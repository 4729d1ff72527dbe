"""Decides how the offline explorer answers: from the question and the findings, a cell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from rlm_runtime.engine.offline import about
from rlm_runtime.engine.offline.cells import Listing, Plan, values_cell
from rlm_runtime.engine.offline.choice import Choice, choose, choose_several
from rlm_runtime.engine.offline.findings import Findings
from rlm_runtime.engine.offline.notes import not_followed, not_found, notes_on
from rlm_runtime.engine.offline.questions import Question
from rlm_runtime.engine.offline.vocabulary import Vocabulary

__all__ = ["answer_cell"]


def answer_cell(question: Question, findings: Findings) -> Plan:
    """Decide how to answer a question from what the first cell printed."""
    v = Vocabulary(findings.predicates)
    kind = question.kind
    if kind == "all":
        return about.all_of(question, findings, v)
    if kind == "overview":
        return about.overview(question, v)
    if kind == "linked":
        return _linked(question, findings, v)
    chosen = [choose(wanted, findings.matches) for wanted in question.wanted]
    if kind == "ask_type" and chosen[0].entities:
        name = re.sub("^(?:an? )?", "", question.wanted[1].text.lower())
        if name in about.BUILT_IN:
            return about.ask(question, chosen[:1], v, name)
    if not all(choice.entities for choice in chosen):
        # "Employees of Research who know …": part of the words after "of" is found.
        if kind == "values" and chosen[1].entities and not chosen[0].names:
            return _linked(question, findings, v)
        if any(question.beyond in choice.unknown for choice in chosen):
            return not_followed(f"the question holds “{question.beyond}”", chosen)
        return not_found(chosen)
    if kind.startswith("ask_"):
        return about.ask(question, chosen, v)
    if kind in ("definition", "compared"):
        return about.definition(question, chosen, findings, v)
    if kind == "values":
        return _values(question, chosen, findings, v)
    if kind == "related":
        return about.relation(question, chosen, v)
    return about.about_one(question, chosen[0], findings, v)


def _values(
    question: Question, chosen: Sequence[Choice], findings: Findings, v: Vocabulary
) -> Plan:
    """Plan for the value of a property; ``chosen`` are what has it, and the property."""
    subject, link = chosen
    if link.first.kind != "property" or question.count:
        return _combine(question, chosen, [], findings, v)
    of, name = " and ".join(x.shown for x in subject.entities), f"“{link.first.label}”"
    path = "|".join(found.iri for found in link.entities)
    known = findings.described.get(subject.first.iri, {})
    lead = f"{name} of {of}: "
    if "statements from it" in known.get("note", "") or not known.keys() & {path, f"^{path}"}:
        # Which way they are linked was not seen.
        lead = f"{name} links {of} with "
        path = "|".join(f"{found.iri}|^{found.iri}" for found in link.entities)
    elif path not in known:
        lead = f"No {name} of {of} is stated; that is the {name} of "
        path = f"^{path}"
    subjects = " ".join(found.iri for found in subject.entities)
    pattern = f"VALUES ?x {{ {subjects} }} ?x {path} ?value ."
    none = f"Not found in this ontology: {name} of {of} is not stated."
    notes = notes_on(replace(question, kind="values"), chosen)
    return values_cell(pattern, lead, none, v, notes)


def _linked(question: Question, findings: Findings, v: Vocabulary) -> Plan:
    """Plan for a question of no known form, from the kinds of the things that it names."""
    chosen = [c for wanted in question.wanted for c in choose_several(wanted, findings.matches)]
    named = [choice for choice in chosen if choice.entities]
    lacking = [choice for choice in chosen if not choice.entities]
    unknown = [choice for choice in lacking if choice.names]
    quantity = next((w for choice in unknown for w in choice.unknown if w[0].isdigit()), "")
    if question.beyond or quantity:
        return not_followed(f"the question holds “{question.beyond or quantity}”", named)
    if unknown or not named:
        return not_found([*named, *unknown] if unknown else chosen)
    return _combine(question, named, lacking, findings, v)


def _combine(
    question: Question,
    named: Sequence[Choice],
    lacking: Sequence[Choice],
    findings: Findings,
    v: Vocabulary,
) -> Plan:
    if question.beyond:
        return not_followed(f"the question holds “{question.beyond}”", named)
    instances, links, classes = (
        [choice for choice in named if choice.first.kind == kind]
        for kind in ("instance", "property", "class")
    )
    types = ", ".join(found.types for choice in instances for found in choice.entities).split(", ")
    # "The Finance department": the class only says what kind of thing Finance is.
    asked = [choice for choice in classes if choice.first.iri not in types]
    asked = asked or ([] if links else classes)
    if instances and len(asked) > 1:
        return not_followed("the question asks for several sorts of things", named)
    if instances and (asked or (links and question.count)):
        return _list_linked(question, asked, links, instances, lacking, v)
    if instances and links:
        return _values(question, [instances[0], links[0]], findings, v)
    if len(named) == 1 and question.count and not lacking and not links:
        return about.about_one(replace(question, kind="instances"), named[0], findings, v)
    if question.count:
        return not_followed("the question counts what its words name only in part", named)
    if len(named) == 2 and not links:
        return about.relation(question, named, v)
    return about.definition(question, [*named, *lacking], findings, v)


def _list_linked(
    question: Question,
    asked: Sequence[Choice],
    links: Sequence[Choice],
    instances: Sequence[Choice],
    lacking: Sequence[Choice],
    v: Vocabulary,
) -> Plan:
    """Plan for the instances of a class, or any things, that are linked with certain others."""
    lines = [f"?entity a/rdfs:subClassOf* {choice.first.iri} ." for choice in asked[:1]]
    # With several things to be linked with, it is open which of them a property is about.
    through = links if len(instances) == 1 else []
    path = "|".join(f"{x.iri}|^{x.iri}" for choice in through for x in choice.entities)
    for number, choice in enumerate(instances, start=1):
        end = f"?x{number}"
        lines.append(f"VALUES {end} {{ {' '.join(found.iri for found in choice.entities)} }}")
        any_link = f"{{ ?entity ?p{number} {end} }} UNION {{ {end} ?p{number} ?entity }}"
        lines.append(f"?entity {path} {end} ." if path else any_link)
    lead = " and ".join(choice.first.shown for choice in instances)
    lead += f" {'is' if len(instances) == 1 else 'are'} linked"
    lead += "".join(f" by “{choice.first.label}”" for choice in through) + " with"
    of = f" of {asked[0].first.label}" if asked else ""
    names = (f"instance{of}", f"instances{of}") if asked else ("thing", "things")
    notes = notes_on(question, [*asked, *links, *instances, *lacking])
    return about.list_out(question, Listing("\n  ".join(lines), lead, *names), v, notes)
