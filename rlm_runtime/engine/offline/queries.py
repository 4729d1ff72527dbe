"""SPARQL for each kind of question, out of the predicates that the ontology uses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from rlm_runtime.engine.offline.vocabulary import Vocabulary

__all__ = ["Listing", "hierarchy", "listings", "of_all", "related"]

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


def hierarchy(kind: str, step: str, words: Vocabulary) -> str | None:
    """Give the path to what is above (or below) an entity, or None for what has no hierarchy.

    Args:
        kind: The entity's kind.
        step: ``super`` or ``sub``: the way that the path leads.
        words: The predicates in use.
    """
    if kind == "class":
        path = "rdfs:subClassOf"
    elif kind == "property":
        path = "rdfs:subPropertyOf"
    else:
        up = [*words.names("broader"), *(f"^{name}" for name in words.names("narrower"))]
        if not up:
            return None
        path = up[0] if len(up) == 1 else f"({'|'.join(up)})"
    return path if step == "super" else f"^{path}"


_STEP_WORDS = {
    ("class", "sub"): ("subclass", "subclasses"),
    ("class", "super"): ("superclass", "superclasses"),
    ("property", "sub"): ("subproperty", "subproperties"),
    ("property", "super"): ("superproperty", "superproperties"),
    ("instance", "sub"): ("narrower concept", "narrower concepts"),
    ("instance", "super"): ("broader concept", "broader concepts"),
}


def _steps(
    x: str, shown: str, kind: str, step: str, indirect: bool, v: Vocabulary
) -> list[Listing]:
    path = hierarchy(kind, step, v)
    if path is None:
        return []
    one, many = _STEP_WORDS[kind, step]
    if indirect:
        pattern = f"{x} ({path})+ ?entity . FILTER(?entity != {x})"
        return [
            Listing(
                pattern, f"{shown} has", f"direct or indirect {one}", f"direct or indirect {many}"
            )
        ]
    return [Listing(f"{x} {path} ?entity .", f"{shown} has", f"direct {one}", f"direct {many}")]


def listings(
    kind: str, x: str, shown: str, of: str, indirect: bool, v: Vocabulary
) -> list[Listing]:
    """Give what answers a question about one entity: the first listing with any row.

    Args:
        kind: The kind of question.
        x: The entity, as SPARQL has it.
        shown: The entity, as a reader is told it.
        of: The kind of the entity.
        indirect: Whether the whole hierarchy is asked for.
        v: The predicates in use.
    """
    up = f"{x} rdfs:subPropertyOf+ ?superproperty . ?superproperty"
    if kind in ("subclasses", "subproperties"):
        return _steps(x, shown, of, "sub", indirect, v)
    if kind in ("superclasses", "superproperties"):
        return _steps(x, shown, of, "super", indirect, v)
    if kind == "domain_of" and of == "class":
        used = f"?x a/rdfs:subClassOf* {x} ; ?entity ?value . FILTER(?entity != rdf:type)"
        pattern = f"{x} rdfs:subClassOf* ?class . ?entity {v.domain} ?class ."
        return [
            Listing(
                pattern,
                f"By domain, {shown} has",
                "property",
                "properties",
                "class",
                "inherited from",
                x,
            ),
            Listing(used, f"The instances of {shown} use", "property", "properties"),
        ]
    if kind == "domain_of":
        pattern = f"{x} ?entity ?value ."
        return [Listing(pattern, f"{shown} is described by", "property", "properties")]
    if kind == "range_of":
        return [
            Listing(f"?entity {v.range} {x} .", f"{shown} is the range of", "property",
                    "properties"),
            Listing(f"?value ?entity ?x . ?x a {x} .", f"Instances of {shown} are values of",
                    "property", "properties"),
        ]  # fmt: skip
    if kind in ("domain", "range"):
        path = v.domain if kind == "domain" else v.range
        used = f"?x {x} ?y . {'?x' if kind == 'domain' else '?y'} a ?entity ."
        role = "subjects" if kind == "domain" else "values"
        return [
            Listing(f"{x} {path} ?entity .", f"The {kind} of {shown} names", "class", "classes"),
            Listing(f"{up} {path} ?entity .", f"{shown} states no {kind} of its own; from the "
                    "property above it, it has", kind, f"{kind}s", "superproperty", "from"),
            Listing(used, f"{shown} states no {kind}; in the data its {role} belong to", "class",
                    "classes"),
        ]  # fmt: skip
    if kind == "inverse":
        path = v.both_ways("inverse", "owl:inverseOf")
        return [Listing(f"{x} {path} ?entity .", f"{shown} has", "inverse", "inverses")]
    if kind == "disjoint":
        path = v.both_ways("disjoint", "owl:disjointWith")
        pattern = f"{x} {path} ?entity ."
        if v.uses("members"):
            pattern = (
                f"{{ {pattern} }} UNION {{ ?all owl:members/rdf:rest*/rdf:first {x}, ?entity . "
                f"FILTER(?entity != {x}) }}"
            )
        lead = f"{shown} is declared disjoint with"
        above = f"{x} rdfs:subClassOf+ ?superclass . ?superclass {path} ?entity ."
        inherited = f"{shown} is, by what is above it, disjoint with"
        return [
            Listing(pattern, lead, of, _plural(of)),
            Listing(above, inherited, of, _plural(of), "superclass", "from"),
        ]
    if kind == "equivalent":
        path = v.both_ways("equivalent", "owl:equivalentClass")
        return [Listing(f"{x} {path} ?entity .", f"{shown} has", "equivalent", "equivalents")]
    if kind == "types":
        return [Listing(f"{x} a ?entity .", f"{shown} is of", "type", "types")]
    if kind == "instances" and of == "class":
        below = "a/rdfs:subClassOf*" if v.uses("subclass") else "a"
        return [Listing(f"?entity {below} {x} .", f"{shown} has", "instance", "instances")]
    if kind == "instances":
        pattern = f"?entity ?predicate {x} ."
        return [Listing(pattern, f"{shown} is what", "entity points to", "entities point to",
                        "predicate", "through")]  # fmt: skip
    return []


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
    one = what.replace("classes", "class").replace("properties", "property").rstrip("s")
    found = [Listing(declared, lead, "class" if what == "classes" else one, what)]
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
