"""SPARQL for each kind of question, out of the predicates that the ontology uses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from rlm_runtime.engine.offline.vocabulary import Vocabulary

__all__ = ["Listing", "hierarchy", "listings", "of_all", "related", "steps"]

_META = (
    "owl:Class rdfs:Class rdfs:Datatype rdf:Property owl:ObjectProperty owl:DatatypeProperty "
    "owl:AnnotationProperty owl:Ontology owl:Restriction owl:FunctionalProperty "
    "owl:TransitiveProperty owl:SymmetricProperty owl:InverseFunctionalProperty "
    "owl:AsymmetricProperty owl:IrreflexiveProperty owl:ReflexiveProperty "
    "owl:OntologyProperty owl:DeprecatedClass owl:DeprecatedProperty"
)
_DECLARED = {
    "classes": "owl:Class rdfs:Class",
    "object properties": "owl:ObjectProperty",
    "datatype properties": "owl:DatatypeProperty",
    "data properties": "owl:DatatypeProperty",
    "annotation properties": "owl:AnnotationProperty",
    "properties": (
        "rdf:Property owl:ObjectProperty owl:DatatypeProperty owl:AnnotationProperty "
        "owl:FunctionalProperty owl:InverseFunctionalProperty owl:TransitiveProperty "
        "owl:SymmetricProperty owl:OntologyProperty owl:DeprecatedProperty"
    ),
    "concepts": "skos:Concept",
}


@dataclass(frozen=True)
class Listing:
    """A pattern whose ``?entity`` are the answer, and how to speak of them.

    Attributes:
        pattern: The body of the query.
        lead: The sentence up to the number, as in "Agent (ex:Agent) has".
        one: What is listed, in the singular.
        many: The same in the plural.
        by: A further variable of the pattern by which the answer is grouped, or "".
        heading: What is said before that variable's value.
        own: The value of that variable that needs no mention.
    """

    pattern: str
    lead: str
    one: str
    many: str
    by: str = ""
    heading: str = ""
    own: str = ""


def hierarchy(x: str, kind: str, step: str, v: Vocabulary, *, times: str = "") -> str | None:
    """Give the pattern of what is above or below an entity, or None for what has no hierarchy.

    Args:
        x: The entity, as SPARQL has it.
        kind: Its kind.
        step: ``super`` or ``sub``: where ``?entity`` is.
        v: The predicates in use.
        times: ``+`` for any number of steps.

    Example:
        >>> hierarchy("ex:Dog", "class", "sub", Vocabulary({}))
        '?entity rdfs:subClassOf ex:Dog .'
    """
    if kind == "class":
        ways = ["rdfs:subClassOf"]
    elif kind == "property":
        ways = ["rdfs:subPropertyOf"]
    else:
        ways = [*v.names("broader"), *(f"^{name}" for name in v.names("narrower"))]
    if not ways:
        return None
    path = ways[0] if len(ways) == 1 and not ways[0].startswith("^") else f"({'|'.join(ways)})"
    low, high = ("?entity", x) if step == "sub" else (x, "?entity")
    itself = f" FILTER(?entity != {x})" if times else ""
    return f"{low} {path}{times} {high} .{itself}"


_STEP_WORDS = {
    ("class", "sub"): ("subclass", "subclasses"),
    ("class", "super"): ("superclass", "superclasses"),
    ("property", "sub"): ("subproperty", "subproperties"),
    ("property", "super"): ("superproperty", "superproperties"),
    ("instance", "sub"): ("narrower concept", "narrower concepts"),
    ("instance", "super"): ("broader concept", "broader concepts"),
}


def steps(
    x: str, shown: str, kind: str, step: str, v: Vocabulary, *, times: str = ""
) -> list[Listing]:
    """Give what lists what is above or below an entity; nothing for what has no hierarchy.

    Args:
        x: The entity, as SPARQL has it.
        shown: The entity, as a reader is told it.
        kind: Its kind.
        step: ``super`` or ``sub``.
        v: The predicates in use.
        times: ``+`` for any number of steps.
    """
    pattern = hierarchy(x, kind, step, v, times=times)
    far = "direct or indirect" if times else "direct"
    one, many = (f"{far} {word}" for word in _STEP_WORDS[kind, step])
    return [Listing(pattern, f"{shown} has", one, many)] if pattern else []


_ONE_PROPERTY = ("property", "properties")


def listings(kind: str, x: str, shown: str, of: str, v: Vocabulary) -> list[Listing]:
    """Give what answers a question about one entity: the first listing with any row.

    Args:
        kind: The kind of question.
        x: The entity, as SPARQL has it.
        shown: The entity, as a reader is told it.
        of: The kind of the entity.
        v: The predicates in use.
    """
    if kind in ("domain", "range"):
        return _ends(kind, x, shown, v)
    if kind == "disjoint":
        return _disjoint(x, shown, of, v)
    if kind == "domain_of" and of == "class":
        declared = f"{x} rdfs:subClassOf* ?class . ?entity {v.domain} ?class ."
        used = f"?x a/rdfs:subClassOf* {x} ; ?entity ?value . FILTER(?entity != rdf:type)"
        by = ("class", "inherited from", x)
        return [
            Listing(declared, f"By domain, {shown} has", *_ONE_PROPERTY, *by),
            Listing(used, f"The instances of {shown} use", *_ONE_PROPERTY),
        ]
    if kind == "domain_of":
        return [Listing(f"{x} ?entity ?value .", f"{shown} is described by", *_ONE_PROPERTY)]
    if kind == "range_of":
        used = f"?value ?entity ?x . ?x a {x} ."
        return [
            Listing(f"?entity {v.range} {x} .", f"{shown} is the range of", *_ONE_PROPERTY),
            Listing(used, f"Instances of {shown} are values of", *_ONE_PROPERTY),
        ]
    if kind == "inverse":
        path = v.both_ways("inverse", "owl:inverseOf")
        return [Listing(f"{x} {path} ?entity .", f"{shown} has", "inverse", "inverses")]
    if kind == "equivalent":
        path = v.both_ways("equivalent", "owl:equivalentClass")
        return [Listing(f"{x} {path} ?entity .", f"{shown} has", "equivalent", "equivalents")]
    if kind == "types":
        return [Listing(f"{x} a ?entity .", f"{shown} is of", "type", "types")]
    if of == "class":
        below = "a/rdfs:subClassOf*" if v.uses("subclass") else "a"
        return [Listing(f"?entity {below} {x} .", f"{shown} has", "instance", "instances")]
    to = ("entity points to", "entities point to", "predicate", "through")
    return [Listing(f"?entity ?predicate {x} .", f"{shown} is what", *to)]


def _ends(kind: str, x: str, shown: str, v: Vocabulary) -> list[Listing]:
    path, end, role = (
        (v.domain, "?x", "subjects") if kind == "domain" else (v.range, "?y", "values")
    )
    above = f"{x} rdfs:subPropertyOf+ ?superproperty . ?superproperty {path} ?entity ."
    inherited = f"{shown} states no {kind} of its own; from the property above it, it has"
    used = f"{shown} states no {kind}; in the data its {role} belong to"
    classes = ("class", "classes")
    return [
        Listing(f"{x} {path} ?entity .", f"The {kind} of {shown} names", *classes),
        Listing(above, inherited, kind, f"{kind}s", "superproperty", "from"),
        Listing(f"?x {x} ?y . {end} a ?entity .", used, *classes),
    ]


def _disjoint(x: str, shown: str, of: str, v: Vocabulary) -> list[Listing]:
    path = v.both_ways("disjoint", "owl:disjointWith")
    pattern = f"{x} {path} ?entity ."
    if v.uses("members"):
        pattern = (
            f"{{ {pattern} }} UNION {{ ?all owl:members/rdf:rest*/rdf:first {x}, ?entity . "
            f"FILTER(?entity != {x}) }}"
        )
    above = f"{x} rdfs:subClassOf+ ?superclass . ?superclass {path} ?entity ."
    inherited = f"{shown} is, by what is above it, disjoint with"
    names = (of, _plural(of))
    return [
        Listing(pattern, f"{shown} is declared disjoint with", *names),
        Listing(above, inherited, *names, "superclass", "from"),
    ]


def _plural(kind: str) -> str:
    return {"class": "classes", "property": "properties", "instance": "instances"}[kind]


def of_all(what: str) -> list[Listing]:
    """Give what answers a question about everything of a sort in the ontology."""
    lead = "This ontology has"
    if what in ("individuals", "instances"):
        pattern = (
            "?entity a ?type . FILTER NOT EXISTS { ?entity a ?meta . "
            f"VALUES ?meta {{ {_META} }} }}"
        )
        return [Listing(pattern, lead, "instance", "instances")]
    declared = f"VALUES ?declared {{ {_DECLARED[what]} }} ?entity a ?declared ."
    one = "class" if what == "classes" else what.replace("properties", "property").rstrip("s")
    found = [Listing(declared, lead, one, what)]
    if what == "classes":
        found.append(Listing("?x a ?entity .", lead, "class in use", "classes in use"))
    elif what == "properties":
        found.append(Listing("?x ?entity ?y .", lead, "property in use", "properties in use"))
    elif what == "concepts":
        found.extend(of_all("classes"))
    return found


def related(x: str, y: str, of: Sequence[str], v: Vocabulary, shown: Sequence[str]) -> Listing:
    """Give what leads from one entity to another: what may by declaration, and what does.

    Args:
        x: One entity, as SPARQL has it.
        y: The other.
        of: The kinds of the two.
        v: The predicates in use.
        shown: The two, as a reader is told them.
    """
    ways = []
    for start, end, way in ((x, y, shown), (y, x, shown[::-1])):
        # JSON writes a text with the escapes of SPARQL.
        named = (
            f"BIND({json.dumps(f'from {way[0]} to {way[1]}', ensure_ascii=False)} AS ?direction)"
        )
        if set(of) == {"class"}:
            ways.append(
                f"{{ {start} rdfs:subClassOf* ?above . ?entity {v.domain} ?above . "
                f"{end} rdfs:subClassOf* ?target . ?entity {v.range} ?target . {named} }}"
            )
        ways.append(f"{{ {start} ?entity {end} . {named} }}")
    pattern = "\n  UNION ".join(ways)
    lead = f"{shown[0]} and {shown[1]} are linked by"
    return Listing(pattern, lead, "property", "properties", "direction")
