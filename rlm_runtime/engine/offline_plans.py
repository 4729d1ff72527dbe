"""Decides what the offline explorer answers: from the question and the findings, a cell."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rlm_runtime.engine.offline_cells import (
    Notes,
    ask_cell,
    description_cell,
    listing_cell,
    plain_cell,
    statements_cell,
)
from rlm_runtime.engine.offline_queries import (
    Listing,
    Vocabulary,
    hierarchy,
    listings,
    of_all,
    related,
)
from rlm_runtime.engine.offline_questions import Question
from rlm_runtime.engine.offline_search import Choice, Findings, Found, choose, choose_several

__all__ = ["Plan", "answer_cell"]

Plan = tuple[str, str]
"""Reasoning and cell."""

_RULES = "The offline explorer follows fixed rules and may have misread the question."
_IN_ENGLISH = 'FILTER(LANG(?name) = "" || LANGMATCHES(LANG(?name), "en"))'
_BUILT_IN = {
    "class": "owl:Class rdfs:Class",
    "property": (
        "rdf:Property owl:ObjectProperty owl:DatatypeProperty owl:AnnotationProperty "
        "owl:FunctionalProperty owl:TransitiveProperty owl:SymmetricProperty"
    ),
    "object property": "owl:ObjectProperty",
    "datatype property": "owl:DatatypeProperty",
    "data property": "owl:DatatypeProperty",
    "annotation property": "owl:AnnotationProperty",
    "functional property": "owl:FunctionalProperty",
    "inverse functional property": "owl:InverseFunctionalProperty",
    "transitive property": "owl:TransitiveProperty",
    "symmetric property": "owl:SymmetricProperty",
}
_ASKED = {
    "definition": "what {0} is",
    "compared": "how {0} and {1} differ",
    "related": "what links {0} and {1}",
    "superclasses": "what {0} is a special case of",
    "superproperties": "what {0} is a subproperty of",
    "subclasses": "the special cases of {0}",
    "subproperties": "the subproperties of {0}",
    "domain_of": "the properties of {0}",
    "range_of": "the properties that lead to {0}",
    "domain_range": "domain and range of {0}",
    "domain": "the domain of {0}",
    "range": "the range of {0}",
    "inverse": "the inverse of {0}",
    "labels": "the labels of {0}",
    "disjoint": "what is disjoint with {0}",
    "equivalent": "what is equivalent to {0}",
    "types": "the type of {0}",
    "instances": "the instances of {0}",
    "values": "the value of {1} for {0}",
    "ask_subclass": "whether {0} is a special case of {1}",
    "ask_disjoint": "whether {0} and {1} are disjoint",
    "ask_type": "whether {0} is of the type {1}",
}


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
        return _all(question, v)
    if question.kind == "overview":
        return _overview(v)
    if question.kind == "linked":
        return _linked(question, findings, v)
    chosen = [
        choose(wanted, findings.matches.get(number, []))
        for number, wanted in enumerate(question.wanted)
    ]
    if question.kind == "ask_type" and chosen[0].entities:
        name = re.sub("^(?:an? )?", "", question.wanted[1].text.lower())
        if name in _BUILT_IN:
            return _ask(question, chosen[:1], _BUILT_IN[name], name)
    if not all(choice.entities for choice in chosen):
        return _not_found(question, chosen)
    if question.kind in ("ask_type", "ask_subclass", "ask_disjoint"):
        return _ask(question, chosen, "", chosen[1].entities[0].shown)
    if question.kind in ("definition", "compared"):
        return _describe(question, chosen, v)
    if question.kind == "labels":
        return _labels(question, chosen[0], v)
    if question.kind == "values":
        return _values(question, chosen, v)
    if question.kind == "related":
        x, y = (choice.entities[0] for choice in chosen)
        listing = related(x.iri, y.iri, (x.kind, y.kind), v, (x.label, y.label))
        return _list(question, chosen, [listing], v)
    if question.kind == "domain_range":
        return _domain_range(question, chosen[0], v)
    return _about_one(question, chosen[0], v)


def _understood(question: Question, chosen: Sequence[Choice]) -> str:
    shown = [choice.entities[0].shown for choice in chosen if choice.entities]
    asked = _ASKED[question.kind].format(*shown, *("something",) * 2)
    return f"the number of {asked}" if question.count else asked


def _notes(chosen: Sequence[Choice], understood: str) -> Notes:
    remarks, doubts = [], [_RULES]
    for choice in chosen:
        first = choice.entities[0]
        if choice.inexact:
            remarks.append(
                f"(Nothing is called exactly “{choice.wanted.full[-1]}”; the nearest was taken.)"
            )
        also = [other.shown for other in choice.entities[1:]]
        also += [f"{other.shown}, {_a(other.kind)}" for other in choice.others]
        if also:
            doubts.append(f"{first.shown} was taken; called alike: {'; '.join(also)}.")
    return Notes(
        f"The question was read as one for {understood}.",
        " ".join(doubts),
        tuple(choice.entities[0].iri for choice in chosen),
        " ".join(remarks),
    )


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeio' else 'a'} {noun}"


def _all(question: Question, v: Vocabulary) -> Plan:
    understood = f"all {question.what} of the ontology"
    notes = Notes(
        f"The question was read as one for {understood}.",
        f"{_RULES} What the ontology uses without declaring it may be missing.",
    )
    reasoning = f"The question asks for {understood}."
    if question.what in ("triples", "statements"):
        query = 'SELECT ("all" AS ?subject) (COUNT(*) AS ?value) WHERE { ?s ?p ?o }'
        subject = {"all": f"Number of {question.what} in this ontology"}
        return reasoning, statements_cell([query], subject, "", "None.", notes)
    return reasoning, listing_cell(of_all(question.what), v, notes, count=question.count)


def _overview(v: Vocabulary) -> Plan:
    path = "|".join(dict.fromkeys(["dcterms:title", "dc:title", *v.names("label"), *v.texts]))
    query = (
        'SELECT ("it" AS ?subject) ?value WHERE {\n  VALUES ?kind { owl:Ontology '
        f"skos:ConceptScheme }} ?it a ?kind ; {path} ?value\n  "
        f"{_IN_ENGLISH.replace('?name', '?value')}\n}}"
    )
    notes = Notes("The question was read as one for what the ontology says of itself.", _RULES)
    cell = statements_cell(
        [query],
        {"it": "The ontology says of itself"},
        "",
        "The ontology says nothing of itself: it has no title and no description.",
        notes,
    )
    return "The question asks what the ontology is about.", cell


def _about_one(question: Question, choice: Choice, v: Vocabulary) -> Plan:
    found = choice.entities[0]
    understood = _understood(question, [choice])
    options = listings(question.kind, found.iri, found.shown, found.kind, question.indirect, v)
    if not options:
        return _unfit(question, found)
    below = ""
    step = {"sub": "sub", "sup": "super"}.get(question.kind[:3])
    if step and not question.indirect:
        path = hierarchy(found.kind, step, v)
        below = v.count(f"{found.iri} ({path})+ ?entity . FILTER(?entity != {found.iri})")
    return _list(question, [choice], options, v, below, understood)


def _list(
    question: Question,
    chosen: Sequence[Choice],
    options: Sequence[Listing],
    v: Vocabulary,
    below: str = "",
    understood: str = "",
) -> Plan:
    understood = understood or _understood(question, chosen)
    notes = _notes(chosen, understood)
    cell = listing_cell(options, v, notes, count=question.count, below=below)
    return f"The question asks for {understood}. I query for it, check, and submit.", cell


def _unfit(question: Question, found: Found) -> Plan:
    understood = _ASKED[question.kind].format(found.shown)
    answer = (
        f"Not answered: {found.shown} is {_a(found.kind)} of this ontology, which states no "
        f"hierarchy for it."
    )
    return f"The question asks for {understood}.", plain_cell(answer, Notes(understood, _RULES))


def _domain_range(question: Question, choice: Choice, v: Vocabulary) -> Plan:
    found = choice.entities[0]
    pattern = "\n  UNION ".join(
        f'{{ {found.iri} {path} ?entity . BIND("{role}" AS ?role) }}'
        for role, path in (("domain", v.domain), ("range", v.range))
    )
    listing = Listing(
        pattern, f"Domain and range of {found.shown} name", "class", "classes", "role"
    )
    return _list(question, [choice], [listing], v)


def _ask(question: Question, chosen: Sequence[Choice], built_in: str, name: str) -> Plan:
    x = chosen[0].entities[0]
    y = chosen[1].entities[0] if chosen[1:] else x
    kind = question.kind
    if built_in:
        pattern, told = f"{x.iri} a ?type . VALUES ?type {{ {built_in} }}", _a(name)
    elif kind == "ask_disjoint":
        up = "rdfs:subClassOf*"
        pattern = f"{x.iri} {up}/(owl:disjointWith|^owl:disjointWith)/^{up} {y.iri}"
        told = f"disjoint with {name}"
    elif x.kind == "instance":
        pattern, told = f"{x.iri} a/rdfs:subClassOf* {y.iri}", f"an instance of {name}"
    else:
        path = "rdfs:subPropertyOf+" if x.kind == "property" else "rdfs:subClassOf+"
        pattern = f"{x.iri} {path} {y.iri}"
        told = f"a sub{x.kind} of {name}"
    understood = f"whether {x.shown} is {told}"
    cell = ask_cell(
        f"ASK {{ {pattern} }}",
        f"Yes: {x.shown} is {told}.",
        f"No: this ontology does not say that {x.shown} is {told}.",
        _notes(chosen, understood),
    )
    return f"The question asks {understood}.", cell


def _describe(question: Question, chosen: Sequence[Choice], v: Vocabulary) -> Plan:
    entities = [found.iri for choice in chosen for found in choice.entities]
    others = [found for choice in chosen for found in choice.others]
    understood = _understood(question, chosen)
    notes = _notes(chosen, understood)
    also = "".join(f" {o.shown} is {_a(o.kind)} of the same name." for o in others)
    notes = Notes(
        notes.thinking, notes.reflection, tuple(entities), f"{notes.remark}{also}".strip()
    )
    predicates = " ".join(["rdf:type", *v.names("label"), *v.texts])
    query = (
        "SELECT ?entity ?predicate ?value WHERE {\n"
        f"  VALUES ?entity {{ {' '.join(entities)} }}\n"
        f"  VALUES ?predicate {{ {predicates} }}\n"
        f"  ?entity ?predicate ?value {_IN_ENGLISH.replace('?name', '?value')}\n}}"
    ).replace('FILTER(LANG(?value) = ""', 'FILTER(isIRI(?value) || LANG(?value) = ""')
    reasoning = f"The question asks for {understood}. Its description answers that."
    return reasoning, description_cell(query, entities, notes)


def _labels(question: Question, choice: Choice, v: Vocabulary) -> Plan:
    found = choice.entities[0]
    path = "|".join([*(v.names("label") or ["rdfs:label"]), *v.names("synonym")])
    only = f'FILTER(LANGMATCHES(LANG(?value), "{question.what}"))' if question.what else ""
    query = (
        f"SELECT ?subject ?value (LANG(?value) AS ?language) WHERE {{\n"
        f"  VALUES ?subject {{ {found.iri} }} ?subject {path} ?value {only}\n}} ORDER BY ?value"
    )
    understood = _understood(question, [choice]) + (
        f" in the language “{question.what}”" if question.what else ""
    )
    none = f"Not found in this ontology: {found.shown} has no such label."
    cell = statements_cell(
        [query], {found.iri: f"{found.shown} is called"}, "", none, _notes([choice], understood)
    )
    return f"The question asks for {understood}.", cell


def _values(question: Question, chosen: Sequence[Choice], v: Vocabulary) -> Plan:
    subject, link = chosen
    if link.entities[0].kind != "property" or question.count:
        return _combine(question, [subject, link], v)
    subjects = [found.iri for found in subject.entities]
    head = (
        "SELECT ?subject ?value (MIN(STR(?name)) AS ?label) WHERE {\n"
        f"  VALUES ?subject {{ {' '.join(subjects)} }}\n"
    )
    tail = (
        f"\n  OPTIONAL {{ ?value {v.labels} ?name {_IN_ENGLISH} }}\n"
        "} GROUP BY ?subject ?value ORDER BY ?subject ?value"
    )
    path = "|".join(found.iri for found in link.entities)
    queries = [
        f"{head}  ?subject {path} ?value .{tail}",
        f"{head}  ?value {path} ?subject .{tail}",
    ]
    names = link.entities[0].shown
    understood = f"the value of {names} for {subject.entities[0].shown}"
    notes = _notes(chosen, understood)
    notes = Notes(
        notes.thinking,
        notes.reflection,
        (*subjects, *(found.iri for found in link.entities)),
        notes.remark,
    )
    shown = {found.iri: f"{link.entities[0].label} of {found.shown}" for found in subject.entities}
    none = (
        f"Not found in this ontology: {subject.entities[0].shown} and the property {names} are "
        "there, but nothing is stated of the one by the other."
    )
    return f"The question asks for {understood}.", statements_cell(queries, shown, "", none, notes)


def _linked(question: Question, findings: Findings, v: Vocabulary) -> Plan:
    chosen = [
        choice
        for number, wanted in enumerate(question.wanted)
        for choice in choose_several(wanted, findings.matches.get(number, []))
    ]
    named = [choice for choice in chosen if choice.entities]
    lacking = [choice for choice in chosen if not choice.entities and _is_name(choice)]
    if lacking or not named:
        return _not_found(question, chosen if not named else [*named, *lacking])
    return _combine(question, named, v)


def _is_name(choice: Choice) -> bool:
    """Say whether words that nothing is called look like a name, and so cannot be ignored."""
    return any(
        re.search(r"[A-Z0-9:]", word) and word.lower() in choice.unknown
        for word in choice.wanted.text.split()
    )


def _combine(question: Question, named: Sequence[Choice], v: Vocabulary) -> Plan:
    """Answer from the kinds of what is named: a class and an instance, a property and …"""
    if question.beyond:
        return _beyond(question, named)
    kinds = {
        kind: [choice for choice in named if choice.entities[0].kind == kind]
        for kind in ("class", "property", "instance")
    }
    classes, links, instances = kinds["class"], kinds["property"], kinds["instance"]
    if instances and classes:
        return _list_linked(question, classes[0], links, instances, v)
    if instances and links:
        return _values(Question("values", question.wanted), [instances[0], links[0]], v)
    if len(named) == 1 and classes and question.count:
        return _about_one(Question("instances", question.wanted, True), named[0], v)
    if len(named) == 2 and not links:
        x, y = (choice.entities[0] for choice in named)
        listing = related(x.iri, y.iri, (x.kind, y.kind), v, (x.label, y.label))
        return _list(Question("related", question.wanted), named, [listing], v)
    return _describe(Question("definition", question.wanted), named, v)


def _list_linked(
    question: Question,
    wanted: Choice,
    links: Sequence[Choice],
    instances: Sequence[Choice],
    v: Vocabulary,
) -> Plan:
    cls = wanted.entities[0]
    below = "a/rdfs:subClassOf*" if v.has_hierarchy else "a"
    ambiguous = len(instances) == 1 and len(instances[0].entities) > 1
    path = "|".join(found.iri for link in links for found in link.entities)
    options = []
    for through in [path] * bool(path) + [""]:
        pattern = f"?entity {below} {cls.iri} ."
        for number, choice in enumerate(instances, start=1):
            end, link = f"?with{number}", through or f"?link{number}"
            names = " ".join(found.iri for found in choice.entities)
            pattern += (
                f"\n  VALUES {end} {{ {names} }} {{ ?entity {link} {end} }} "
                f"UNION {{ {end} {link} ?entity }}"
                if not through
                else f"\n  VALUES {end} {{ {names} }} ?entity {link}|^({link}) {end} ."
            )
        shown = " and ".join(choice.entities[0].shown for choice in instances)
        options.append(
            Listing(
                pattern,
                f"{shown} {'is' if len(instances) == 1 else 'are'} linked with",
                f"instance of {cls.shown}",
                f"instances of {cls.shown}",
                "with1" if ambiguous else "",
                "for" if ambiguous else "",
            )
        )
    understood = f"the instances of {cls.shown} that are linked with what it names"
    return _list(question, [wanted, *links, *instances], options, v, understood=understood)


def _beyond(question: Question, named: Sequence[Choice]) -> Plan:
    found = "; ".join(choice.entities[0].shown for choice in named)
    answer = (
        f"Not answered: the question asks for something (“{question.beyond}”) that the offline "
        f"explorer's rules cannot follow. What it names is there: {found}. A language model can "
        "answer it: give model= one."
    )
    reasoning = f"The question holds “{question.beyond}”, which my rules cannot follow."
    return reasoning, plain_cell(answer, Notes("No rule fits the question.", _RULES))


def _not_found(question: Question, chosen: Sequence[Choice]) -> Plan:
    missing = [choice for choice in chosen if not choice.entities]
    there = [choice.entities[0].shown for choice in chosen if choice.entities]
    looked = ", ".join(
        f"“{choice.wanted.full[-1] if choice.wanted.full else choice.wanted.text}”"
        for choice in missing
    )
    near = list(dict.fromkeys(found.shown for choice in missing for found in choice.near))
    answer = f"Not found in this ontology: nothing is called {looked or 'so'}."
    if near:
        answer += f" The nearest names are {', '.join(near[:4])}."
    if there:
        answer += f" {' and '.join(there)} {'is' if len(there) == 1 else 'are'} there."
    reasoning = f"Nothing was found that is called {looked}; I say so." if looked else "No term."
    notes = Notes(f"Searched for {looked or 'nothing: the question names nothing'}.", _RULES)
    return reasoning, plain_cell(answer, notes)
