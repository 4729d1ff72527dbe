"""Plans for questions that name several things: values, and what is linked with what."""

from __future__ import annotations

from collections.abc import Sequence

from rlm_runtime.engine.offline.choice import Choice, choose_several
from rlm_runtime.engine.offline.notes import (
    Plan,
    misses_a_name,
    not_followed,
    not_found,
    notes,
)
from rlm_runtime.engine.offline.queries import Listing, related
from rlm_runtime.engine.offline.questions import Question
from rlm_runtime.engine.offline.search import Findings
from rlm_runtime.engine.offline.single import about_one, describe, list_out
from rlm_runtime.engine.offline.tellings import statements_cell
from rlm_runtime.engine.offline.vocabulary import Vocabulary, in_english

__all__ = ["linked", "relation", "values"]

_THINGS = ("thing", "things")


def relation(question: Question, chosen: Sequence[Choice], v: Vocabulary) -> Plan:
    """Plan for what leads from one thing to another."""
    x, y = (choice.entities[0] for choice in chosen)
    listing = related(x.iri, y.iri, (x.kind, y.kind), v, (x.label, y.label))
    what = f"what links {x.shown} and {y.shown}"
    return list_out(question, chosen, [listing], v, what)


def values(question: Question, chosen: Sequence[Choice], v: Vocabulary) -> Plan:
    """Plan for the value of a property; ``chosen`` are what has it, and the property."""
    subject, link = chosen
    if link.entities[0].kind != "property" or question.count:
        return _combine(question, chosen, (), v)
    of, name = subject.entities[0].shown, link.entities[0]
    subjects = " ".join(found.iri for found in subject.entities)
    path = "|".join(found.iri for found in link.entities)
    options = [
        (
            "SELECT ?subject ?value (MIN(STR(?name)) AS ?label) WHERE {\n"
            f"  VALUES ?subject {{ {subjects} }}\n  {pattern} .\n"
            f"  OPTIONAL {{ ?value {v.labels} ?name {in_english('name')} }}\n"
            "} GROUP BY ?subject ?value ORDER BY ?subject ?value",
            told,
        )
        for pattern, told in (
            (f"?subject {path} ?value", f"{{values}}: “{name.label}” of {{subject}}"),
            (
                f"?value {path} ?subject",
                f"No “{name.label}” of {{subject}} is stated; that itself is the “{name.label}” "
                "of {values}"
                if question.kind == "values"
                else f"{{values}}: the “{name.label}” of each is {{subject}}",
            ),
        )
    ]
    what = f"the value of {name.shown} for {of}"
    shown = {found.iri: found.shown for found in subject.entities}
    none = (
        f"Not found in this ontology: {of} and the property {name.shown} are there, but the one "
        "is not stated of the other."
    )
    cell = statements_cell(options, shown, none, notes(chosen, what))
    return f"The question asks for {what}.", cell


def linked(question: Question, findings: Findings, v: Vocabulary) -> Plan:
    """Plan for a question of no known form, from the kinds of the things that it names."""
    chosen = [
        choice
        for number, wanted in enumerate(question.wanted)
        for choice in choose_several(wanted, findings.matches.get(number, []))
    ]
    named = [choice for choice in chosen if choice.entities]
    lacking = [choice for choice in chosen if not choice.entities]
    names = [choice for choice in lacking if misses_a_name(choice)]
    quantity = next((w for c in names for w in c.unknown if w[0].isdigit()), "")
    if question.beyond or quantity:
        return not_followed(f"the question holds “{question.beyond or quantity}”", named)
    if names or not named:
        return not_found([*named, *names] if names else chosen)
    return _combine(question, named, lacking, v)


def _combine(
    question: Question, named: Sequence[Choice], lacking: Sequence[Choice], v: Vocabulary
) -> Plan:
    if question.beyond:
        return not_followed(f"the question holds “{question.beyond}”", named)
    instances = [choice for choice in named if choice.entities[0].kind == "instance"]
    types = ", ".join(found.types for choice in instances for found in choice.entities).split(", ")
    links = [choice for choice in named if choice.entities[0].kind == "property"]
    classes = [choice for choice in named if choice.entities[0].kind == "class"]
    # "The Finance department": the class only says what kind of thing Finance is.
    asked = [choice for choice in classes if choice.entities[0].iri not in types] or (
        [] if links else classes
    )
    if instances and len(asked) > 1:
        return not_followed("the question asks for several sorts of things", named)
    if instances and asked:
        return _list_linked(question, asked[0], links, instances, lacking, v)
    if instances and links and not question.count:
        return values(question, [instances[0], links[0]], v)
    if instances and links:
        return _count_values(question, instances[0], links[0], v)
    if len(named) == 1 and question.count and not lacking and not links:
        return about_one(Question("instances", count=True), named[0], v)
    if question.count:
        return not_followed("the question counts what its words name only in part", named)
    if len(named) == 2 and not links:
        return relation(Question("related"), named, v)
    lead = ""
    unclear = ", ".join(f"“{' '.join(choice.unknown)}”" for choice in lacking if choice.unknown)
    if unclear:
        lead = f"What {unclear} means here is not clear to the rules; this is what is known. "
    kind = "compared" if len(named) == 2 else "definition"
    return describe(Question(kind), named, v, lead)


def _count_values(question: Question, end: Choice, link: Choice, v: Vocabulary) -> Plan:
    of, name = end.entities[0], link.entities[0]
    told = f"“{name.label}” ({name.iri})"
    options = [
        Listing(f"?entity {name.iri} {of.iri} .", f"{told} leads to {of.shown} from", *_THINGS),
        Listing(f"{of.iri} {name.iri} ?entity .", f"{told} leads from {of.shown} to", *_THINGS),
    ]
    what = f"the number of what {name.shown} links with {of.shown}"
    return list_out(question, [end, link], options, v, what)


def _list_linked(
    question: Question,
    wanted: Choice,
    links: Sequence[Choice],
    instances: Sequence[Choice],
    lacking: Sequence[Choice],
    v: Vocabulary,
) -> Plan:
    cls = wanted.entities[0]
    below = "a/rdfs:subClassOf*" if v.uses("subclass") else "a"
    path = "|".join(found.iri for link in links for found in link.entities)
    shown = " and ".join(choice.entities[0].shown for choice in instances)
    ambiguous = len(instances) == 1 and len(instances[0].entities) > 1
    options = []
    # The property that is named may not be the one meant: then any link will do.
    for through in [path, ""] if path else [""]:
        pattern = f"?entity {below} {cls.iri} ."
        for number, choice in enumerate(instances, start=1):
            names = " ".join(found.iri for found in choice.entities)
            end, link = f"?with{number}", through or f"?link{number}"
            pattern += (
                f"\n  VALUES {end} {{ {names} }} "
                f"{{ ?entity {link} {end} }} UNION {{ {end} {link} ?entity }}"
            )
        options.append(
            Listing(
                pattern,
                f"{shown} {'is' if len(instances) == 1 else 'are'} linked with",
                f"instance of {cls.shown}",
                f"instances of {cls.shown}",
                *(("with1", "for") if ambiguous else ()),
            )
        )
    what = f"the instances of {cls.shown} that are linked with {shown}"
    return list_out(question, [wanted, *links, *instances, *lacking], options, v, what)
