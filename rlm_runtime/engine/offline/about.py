"""Plans for one thing, two, or all of a sort: the query and the words of an answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from rlm_runtime.engine.offline import cells
from rlm_runtime.engine.offline.cells import Listing, Notes, Plan
from rlm_runtime.engine.offline.choice import Choice
from rlm_runtime.engine.offline.findings import Findings, Found
from rlm_runtime.engine.offline.notes import a, notes_on, understood
from rlm_runtime.engine.offline.questions import Question
from rlm_runtime.engine.offline.vocabulary import Vocabulary

__all__ = ["BUILT_IN", "about_one", "all_of", "ask", "definition", "list_out", "overview"]
__all__ += ["relation"]

_SORTS = "Object Datatype Annotation Functional InverseFunctional Transitive Symmetric Deprecated"
BUILT_IN = {
    "class": ["owl:Class", "rdfs:Class"],
    "property": ["rdf:Property", *(f"owl:{sort}Property" for sort in _SORTS.split())],
    "concept": ["skos:Concept"],
    "data property": ["owl:DatatypeProperty"],
    **{f"{sort.lower()} property": [f"owl:{sort}Property"] for sort in _SORTS.split()},
}
"""What a thing can be by the languages of ontologies themselves."""

_CLASSES, _PROPERTIES = ("class", "classes"), ("property", "properties")
_CONCEPTS = ("concept", "concepts")
_FACTS = {
    "superclasses": "Superclasses",
    "subclasses": "Subclasses",
    **dict.fromkeys(("domain", "domain_includes"), "Domain"),
    **dict.fromkeys(("range", "range_includes"), "Range"),
}
_BY_PROPERTY = 'r["property"]'


def list_out(question: Question, listing: Listing, v: Vocabulary, notes: Notes) -> Plan:
    """Plan for a list, or its number."""
    if question.count:
        return cells.count_cell(listing, notes)
    return cells.list_cell(listing, v, notes)


def all_of(question: Question, findings: Findings, v: Vocabulary) -> Plan:
    """Plan for all classes, properties, instances or triples."""
    notes, what = Notes(understood(question, ())), question.what
    if what == "triples":
        pattern = "{ SELECT (COUNT(*) AS ?value) WHERE { ?s ?p ?o } }"
        return cells.values_cell(pattern, "Triples in this ontology: ", "None.", v, notes)
    one = {"classes": "class", "concepts": "concept"}.get(what, what.replace("ties", "ty"))
    declared = [name for name in BUILT_IN.get(one, ()) if name in findings.types]
    if what in ("individuals", "instances"):
        one = what[:-1]
        own = [t for t in findings.types if not re.match("(owl|rdfs?):(?!NamedIndividual)", t)]
        pattern = f"?entity a ?type . FILTER(?type IN ({', '.join(own)}))"
    elif what in ("classes", "properties") and not declared:
        pattern = "?s a ?entity ." if what == "classes" else "?s ?entity ?o ."
        one, what = f"{one} in use", f"{what} in use"
    else:
        pattern = _typed("?entity", declared or BUILT_IN[one])
    return list_out(question, Listing(pattern, "This ontology has", one, what), v, notes)


def _typed(x: str, types: Sequence[str]) -> str:
    if len(types) == 1:
        return f"{x} a {types[0]} ."
    return f"{x} a ?type . FILTER(?type IN ({', '.join(types)}))"


def overview(question: Question, v: Vocabulary) -> Plan:
    """Plan for what the ontology says of itself."""
    notes, lead = Notes(understood(question, ())), "This ontology says of itself:"
    return cells.statements_cell("?subject a owl:Ontology .", lead, _BY_PROPERTY, v, notes)


def about_one(question: Question, choice: Choice, findings: Findings, v: Vocabulary) -> Plan:
    """Plan for what stands in a certain relation to one entity."""
    x, notes = choice.first, notes_on(question, [choice])
    known = findings.described.get(x.iri, {})
    if question.kind == "labels":
        return _labels(question, x, v, notes)
    if question.kind == "domain_range":
        lacking = [r for r in ("domain", "range") if known and not _stated(r, known)]
        remark = " ".join([notes.remark, *(f"No {role} is stated." for role in lacking)]).strip()
        return cells.list_cell(_both_ends(x, v), v, replace(notes, remark=remark))
    listing = _listing(question, x, known, v)
    if listing:
        return list_out(question, listing, v, notes)
    none = (
        f"Not found in this ontology: nothing is stated to be broader or narrower than {x.shown}."
    )
    return cells.plain_cell(none, notes)


def _listing(
    question: Question, x: Found, known: Mapping[str, str], v: Vocabulary
) -> Listing | None:
    """Give what answers a question about one entity, or None for what has no hierarchy."""
    kind, has = question.kind, f"{x.shown} has"
    if kind.startswith(("sub", "super")):
        return _steps(kind.startswith("super"), question.indirect, x, v)
    if kind in ("domain", "range"):
        return _end(kind, x, known, v)
    if kind == "domain_of":
        return _properties(x, known, v)
    if kind == "range_of":
        lead = f"{x.shown} is the range of"
        return Listing(f"?entity {v.ends('range')} {x.iri} .", lead, *_PROPERTIES)
    if kind == "disjoint":
        above, names = "rdfs:subClassOf*", _CLASSES
        if x.kind == "property":
            above, names = "rdfs:subPropertyOf*", _PROPERTIES
        pattern = f"{x.iri} {above}/({v.both_ways(kind)}) ?entity .\n  FILTER(?entity != {x.iri})"
        return Listing(pattern, f"{x.shown} is disjoint with", *names)
    if kind in ("inverse", "equivalent"):
        return Listing(f"{x.iri} {v.both_ways(kind)} ?entity .", has, kind, f"{kind}s")
    if kind == "types":
        return Listing(f"{x.iri} a ?entity .", f"{x.shown} is of", "type", "types")
    if x.kind == "class":
        return Listing(f"?entity a/rdfs:subClassOf* {x.iri} .", has, "instance", "instances")
    pointing = ("entity points to", "entities point to")
    return Listing(f"?entity ?p {x.iri} .", f"{x.shown} is what", *pointing)


def _steps(up: bool, indirect: bool, x: Found, v: Vocabulary) -> Listing | None:
    far = "direct or indirect" if indirect else "direct"
    if x.kind == "instance":
        ways = [*v.in_use("broader"), *(f"^{name}" for name in v.in_use("narrower"))]
        names = [f"{far} {'broader' if up else 'narrower'} {word}" for word in _CONCEPTS]
    else:
        ways = ["rdfs:subClassOf" if x.kind == "class" else "rdfs:subPropertyOf"]
        words = _CLASSES if x.kind == "class" else _PROPERTIES
        names = [f"{far} {'super' if up else 'sub'}{word}" for word in words]
    if not ways:
        return None
    path = f"({'|'.join(ways)})" if len(ways) > 1 or ways[0][0] == "^" else ways[0]
    path += "+" if indirect else ""
    pattern = f"{x.iri} {path} ?entity ." if up else f"?entity {path} {x.iri} ."
    return Listing(pattern, f"{x.shown} has", *names)


def _stated(role: str, known: Mapping[str, str]) -> bool:
    return any(key in (role, f"{role}_includes") for key in known)


def _end(role: str, x: Found, known: Mapping[str, str], v: Vocabulary) -> Listing:
    path = v.ends(role)
    if known and not _stated(role, known):
        if "superproperties" in known:
            lead = f"From what is above it, the {role} of {x.shown} names"
            return Listing(f"{x.iri} rdfs:subPropertyOf+/{path} ?entity .", lead, *_CLASSES)
        if known.get("statements", "0") != "0":
            end, used = ("?s", "subjects") if role == "domain" else ("?o", "values")
            lead = f"{x.shown} states no {role}; in the data its {used} belong to"
            return Listing(f"?s {x.iri} ?o . {end} a ?entity .", lead, *_CLASSES)
    return Listing(f"{x.iri} {path} ?entity .", f"The {role} of {x.shown} names", *_CLASSES)


def _both_ends(x: Found, v: Vocabulary) -> Listing:
    roles = " ".join([*v.names("domain"), *v.names("range")])
    of = f"?class .\n  ?class {v.members} ?entity ." if v.members else "?entity ."
    pattern = f"VALUES ?role {{ {roles} }}\n  {x.iri} ?role {of}"
    lead = f"Domain and range of {x.shown} name"
    return Listing(pattern, lead, *_CLASSES, "?role", "({r['role']})")


def _properties(x: Found, known: Mapping[str, str], v: Vocabulary) -> Listing:
    if x.kind != "class":
        return Listing(f"{x.iri} ?entity ?value .", f"{x.shown} is described by", *_PROPERTIES)
    declared = any(key.startswith(("domain", "inherits")) for key in known)
    instances = known.get("instances_with_subclasses", known.get("instances", "0"))
    if instances != "0" and not declared:
        pattern = f"?s a/rdfs:subClassOf* {x.iri} ; ?entity ?value .\n  FILTER(?entity != rdf:type)"
        return Listing(pattern, f"The instances of {x.shown} use", *_PROPERTIES)
    pattern = f"{x.iri} rdfs:subClassOf* ?class .\n  ?entity {v.ends('domain')} ?class ."
    return Listing(pattern, f"Own and inherited, {x.shown} has", *_PROPERTIES)


def _labels(question: Question, x: Found, v: Vocabulary, notes: Notes) -> Plan:
    path = "|".join([v.labels, *v.in_use("synonym")])
    only = f' FILTER(LANGMATCHES(LANG(?value), "{question.what}"))' if question.what else ""
    language = f" in the language “{question.what}”" if question.what else ""
    none = f"Not found in this ontology: {x.shown} has no label{language}."
    pattern = f"{x.iri} {path} ?value{only}"
    return cells.values_cell(pattern, f"{x.shown} is called ", none, v, notes)


def relation(question: Question, chosen: Sequence[Choice], v: Vocabulary) -> Plan:
    """Plan for what leads from one thing to another: what may by declaration, and what does."""
    x, y = (choice.first for choice in chosen)
    pattern = f"VALUES (?from ?to) {{ ({x.iri} {y.iri}) ({y.iri} {x.iri}) }}\n  "
    pattern += "{ ?from ?entity ?to }"
    if x.kind == y.kind == "class":
        pattern += (
            f" UNION {{\n    ?from rdfs:subClassOf*/^({v.ends('domain')}) ?entity .\n"
            f"    ?to rdfs:subClassOf*/^({v.ends('range')}) ?entity }}"
        )
    lead = f"{x.shown} and {y.shown} are linked by"
    told = "from {r['from']} to {r['to']}"
    listing = Listing(pattern, lead, *_PROPERTIES, "?from ?to", told)
    return list_out(question, listing, v, notes_on(question, chosen))


def ask(question: Question, chosen: Sequence[Choice], v: Vocabulary, built_in: str = "") -> Plan:
    """Plan for yes or no on two things, or on one and a key of BUILT_IN."""
    x, y = chosen[0].first, chosen[-1].first
    if built_in:
        pattern, told = _typed(x.iri, BUILT_IN[built_in]), a(built_in)
    elif question.kind == "ask_disjoint":
        above = "rdfs:subClassOf* "
        pattern = f"{x.iri} {above}?c .\n  {y.iri} {above}?d .\n  ?c {v.both_ways('disjoint')} ?d ."
        told = f"disjoint with {y.shown}"
    elif x.kind == "instance":
        pattern, told = f"{x.iri} a/rdfs:subClassOf* {y.iri}", f"an instance of {y.shown}"
    else:
        path = "rdfs:subPropertyOf+" if x.kind == "property" else "rdfs:subClassOf+"
        pattern, told = f"{x.iri} {path} {y.iri}", f"a sub{x.kind} of {y.shown}"
    notes = replace(notes_on(question, chosen), thinking=f"Asked: whether {x.label} is {told}.")
    return cells.ask_cell(pattern, f"{x.shown} is {told}", notes)


def definition(
    question: Question, chosen: Sequence[Choice], findings: Findings, v: Vocabulary
) -> Plan:
    """Plan for telling what things are."""
    entities = [found for choice in chosen for found in choice.entities]
    notes, first = notes_on(question, chosen), entities[0]
    known = findings.described.get(first.iri, {})
    if first.kind == "instance" and "comment" not in known:
        pattern = f"VALUES ?subject {{ {' '.join(found.iri for found in entities)} }}"
        key = _BY_PROPERTY if len(entities) == 1 else f'r["subject"] + " " + {_BY_PROPERTY}'
        lead = f"What is stated of {' and '.join(found.shown for found in entities)}:"
        return cells.statements_cell(pattern, lead, key, v, notes)
    told = {x.iri: f"{x.shown} is {a(x.types or x.kind)}: " for x in entities}
    facts = {} if len(entities) > 1 else _facts(known)
    return cells.definition_cell(told, facts, v, notes)


def _facts(known: Mapping[str, str]) -> dict[str, str]:
    """Choose the fields of a description that are worth telling, and how to name them."""
    facts = {}
    for key, name in _FACTS.items():
        values = known.get(key, "").split(", ")
        # In brackets stand restrictions, which are no names.
        if values != [""] and "[" not in known[key]:
            some = "Some of the " if len(values) > cells.MOST_IN_A_FACT else ""
            facts[key] = some + (name.removesuffix("es") if len(values) == 1 else name)
    return facts
