"""Plans for questions about one thing, or all: lists, counts, descriptions, yes or no."""

from __future__ import annotations

from collections.abc import Sequence

from rlm_runtime.engine.offline.cells import (
    BELOW,
    BY_NAMESPACE,
    EXPECTED,
    Notes,
    ask_cell,
    listing_cell,
    plain_cell,
    quoted,
)
from rlm_runtime.engine.offline.choice import Choice
from rlm_runtime.engine.offline.notes import RULES, Plan, a, notes, understood
from rlm_runtime.engine.offline.queries import Listing, hierarchy, listings, of_all, steps
from rlm_runtime.engine.offline.questions import Question
from rlm_runtime.engine.offline.tellings import description_cell, statements_cell
from rlm_runtime.engine.offline.vocabulary import Vocabulary, in_english

__all__ = [
    "BUILT_IN",
    "about_one",
    "all_of",
    "ask",
    "describe",
    "domain_and_range",
    "labels_of",
    "list_out",
    "overview",
]

BUILT_IN = {
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
"""What a thing can be by the languages of ontologies themselves."""


def all_of(question: Question, v: Vocabulary) -> Plan:
    """Plan for all classes, properties, instances or triples."""
    what = f"all {question.what} of the ontology"
    beside = Notes(
        f"The question was read as one for {what}.",
        f"{RULES} What the ontology uses without declaring it may be missing.",
    )
    reasoning = f"The question asks for {what}."
    if question.what in ("triples", "statements"):
        query = 'SELECT ("all" AS ?subject) (COUNT(*) AS ?value) WHERE { ?s ?p ?o }'
        told = f"This ontology has {{values}} {question.what}"
        return reasoning, statements_cell([(query, told)], {}, "None.", beside)
    options = of_all(question.what)
    cell = listing_cell(options, v, beside, count=question.count, further=BY_NAMESPACE)
    return reasoning, cell


def overview(v: Vocabulary) -> Plan:
    """Plan for what the ontology says of itself."""
    path = "|".join(dict.fromkeys(["dcterms:title", *v.names("label"), *v.texts]))
    options = [
        (
            f"SELECT ?subject ?value WHERE {{\n"
            f"  ?subject a {kind} ; {path} ?value\n  {in_english('value')}\n}}",
            "{subject} says of itself: {values}",
        )
        for kind in ("owl:Ontology", "skos:ConceptScheme")
    ]
    beside = Notes("The question was read as one for what the ontology says of itself.", RULES)
    none = "The ontology says nothing of itself: it has no title and no description."
    reasoning = "The question asks what the ontology is about."
    return reasoning, statements_cell(options, {}, none, beside)


def list_out(
    question: Question,
    chosen: Sequence[Choice],
    options: Sequence[Listing],
    v: Vocabulary,
    what: str,
    further: str = "",
) -> Plan:
    """Plan for a list, or its number."""
    beside = notes(chosen, what)
    cell = listing_cell(options, v, beside, count=question.count, further=further)
    return f"The question asks for {what}. I query for it, check, and submit.", cell


def about_one(question: Question, choice: Choice, v: Vocabulary) -> Plan:
    """Plan for what stands in a certain relation to one entity."""
    found = choice.entities[0]
    what = understood(question, [choice])
    further = ""
    step = {"sub": "sub", "sup": "super"}.get(question.kind[:3])
    if step is None:
        options = listings(question.kind, found.iri, found.shown, found.kind, v)
    else:
        times = "+" if question.indirect else ""
        options = steps(found.iri, found.shown, found.kind, step, v, times=times)
        every = hierarchy(found.iri, found.kind, step, v, times="+")
        if every and not times:
            further = BELOW.format(query=quoted(v.count(every)))
    if not options:
        answer = (
            f"Not found in this ontology: {found.shown} is {a(found.kind)}, and nothing is stated "
            "to be broader or narrower."
        )
        return f"The question asks for {what}.", plain_cell(answer, Notes(what, RULES))
    return list_out(question, [choice], options, v, what, further)


def domain_and_range(question: Question, choice: Choice, v: Vocabulary) -> Plan:
    """Plan for both ends of a property."""
    found = choice.entities[0]
    pattern = "\n  UNION ".join(
        f'{{ {found.iri} {path} ?entity . BIND("{role}" AS ?role) }}'
        for role, path in (("domain", v.domain), ("range", v.range))
    )
    lead = f"Domain and range of {found.shown} name"
    listing = Listing(pattern, lead, "class", "classes", "role")
    further = EXPECTED.format(roles=["domain", "range"])
    what = understood(question, [choice])
    return list_out(question, [choice], [listing], v, what, further)


def ask(question: Question, chosen: Sequence[Choice], built_in: str = "", name: str = "") -> Plan:
    """Plan for yes or no.

    Args:
        question: What is asked.
        chosen: One thing and another, or one thing alone when ``built_in`` is given.
        built_in: The types of RDF, RDFS or OWL of which the thing should have one.
        name: What to call these types.
    """
    x, y = chosen[0].entities[0], chosen[-1].entities[0]
    if built_in:
        pattern, told = f"{x.iri} a ?type . VALUES ?type {{ {built_in} }}", a(name)
    elif question.kind == "ask_disjoint":
        up = "rdfs:subClassOf*"
        pattern = f"{x.iri} {up}/(owl:disjointWith|^owl:disjointWith)/^{up} {y.iri}"
        told = f"disjoint with {y.shown}"
    elif x.kind == "instance":
        pattern, told = f"{x.iri} a/rdfs:subClassOf* {y.iri}", f"an instance of {y.shown}"
    else:
        path = "rdfs:subPropertyOf+" if x.kind == "property" else "rdfs:subClassOf+"
        pattern, told = f"{x.iri} {path} {y.iri}", f"a sub{x.kind} of {y.shown}"
    what = f"whether {x.shown} is {told}"
    cell = ask_cell(
        f"ASK {{ {pattern} }}",
        f"Yes: {x.shown} is {told}.",
        f"No: this ontology does not say that {x.shown} is {told}.",
        notes(chosen, what),
    )
    return f"The question asks {what}.", cell


def describe(question: Question, chosen: Sequence[Choice], v: Vocabulary, lead: str = "") -> Plan:
    """Plan for telling what things are; ``lead`` is put before the answer."""
    entities = [found.iri for choice in chosen for found in choice.entities]
    others = [found for choice in chosen for found in choice.others]
    what = understood(question, chosen) if len(chosen) < 3 else "what they are"
    beside = notes(chosen, what)
    also = [f"{other.shown} is {a(other.kind)} of the same name." for other in others]
    beside = Notes(
        beside.thinking,
        beside.reflection,
        tuple(entities),
        " ".join([*([beside.remark] if beside.remark else []), *also]),
    )
    predicates = " ".join(["rdf:type", *v.names("label"), *v.texts])
    query = (
        "SELECT ?entity ?predicate ?value WHERE {\n"
        f"  VALUES ?entity {{ {' '.join(entities)} }}\n"
        f"  VALUES ?predicate {{ {predicates} }}\n"
        f"  ?entity ?predicate ?value\n  {in_english('value', 'isIRI(?value)')}\n}}"
    )
    reasoning = f"The question asks for {what}. The descriptions answer that."
    return reasoning, description_cell(query, entities, v.texts, beside, lead)


def labels_of(question: Question, choice: Choice, v: Vocabulary) -> Plan:
    """Plan for what a thing is called, perhaps in one language."""
    found = choice.entities[0]
    path = "|".join([*(v.names("label") or ["rdfs:label"]), *v.names("synonym")])
    only = f'FILTER(LANGMATCHES(LANG(?value), "{question.what}"))' if question.what else ""
    query = (
        "SELECT ?subject ?value (LANG(?value) AS ?language) WHERE {\n"
        f"  VALUES ?subject {{ {found.iri} }} ?subject {path} ?value {only}\n}} ORDER BY ?value"
    )
    language = f" in the language “{question.what}”" if question.what else ""
    what = understood(question, [choice]) + language
    none = f"Not found in this ontology: {found.shown} has no label{language}."
    cell = statements_cell(
        [(query, "{subject} is called {values}")],
        {found.iri: found.shown},
        none,
        notes([choice], what),
    )
    return f"The question asks for {what}.", cell
