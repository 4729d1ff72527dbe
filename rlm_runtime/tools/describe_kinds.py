"""What its being a class or a property adds to the description of an entity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from rlm_runtime.ontology.protocol import Description, Ontology, Term
from rlm_runtime.ontology.schema import Count, Expression
from rlm_runtime.ontology.vocabulary import (
    DOMAINS,
    OR_MEMBER,
    OWL,
    RANGES,
    RDF,
    RDFS,
    SHACL,
    either,
)
from rlm_runtime.tools.values import cell, first_in_order

__all__ = ["Asked", "told_in", "told_out", "what_kind_adds"]

_MAX_PROPERTIES = 1_000
_TYPE = RDF + "type"
_SUBCLASS = RDFS + "subClassOf"
_INVERSE = OWL + "inverseOf"
_SAME = {"class": OWL + "equivalentClass", "property": OWL + "equivalentProperty"}
_APART = {"class": OWL + "disjointWith", "property": OWL + "propertyDisjointWith"}
_BOOLEAN = tuple(OWL + name for name in ("unionOf", "intersectionOf", "oneOf", "complementOf"))
# Statements that are told under names of their own, by the kind of the entity.
_TOLD_OUT = {
    "class": frozenset(
        {
            *(_TYPE, _SUBCLASS, _SAME["class"], _APART["class"], *_BOOLEAN),
            *(OWL + "disjointUnionOf", OWL + "hasKey", SHACL + "property"),
        }
    ),
    "property": frozenset(
        {
            *(_TYPE, _INVERSE, RDFS + "subPropertyOf", *DOMAINS, *RANGES),
            *(_SAME["property"], _APART["property"], OWL + "propertyChainAxiom"),
        }
    ),
}
# Their subjects are blank nodes, which tell nothing: lists, restrictions, shapes.
_FROM_BLANK = (
    *(RDF + "first", OWL + "onProperty", OWL + "onClass", OWL + "onDataRange"),
    *(OWL + "someValuesFrom", OWL + "allValuesFrom", OWL + "hasValue"),
    *(SHACL + "path", SHACL + "class"),
    *(OWL + "annotated" + name for name in ("Source", "Property", "Target")),
)
_TOLD_IN = {
    "class": frozenset(
        {
            *(*_FROM_BLANK, _TYPE, _SUBCLASS, _SAME["class"], _APART["class"]),
            *(*DOMAINS, *RANGES, SHACL + "targetClass"),
        }
    ),
    "property": frozenset(
        {
            *(*_FROM_BLANK, _INVERSE, RDFS + "subPropertyOf"),
            *(_SAME["property"], _APART["property"]),
        }
    ),
}
# From a class down to the names in the constructs it is made of.
_MADE_OF = (
    f"({either((_SUBCLASS, _SAME['class']))}/(({either(_BOOLEAN[:2])})/rdf:rest*/rdf:first)*/"
    f"({either([OWL + name for name in ('onProperty', 'someValuesFrom', 'allValuesFrom')])}|"
    f"{either([OWL + name for name in ('onClass', 'hasValue')])}))|"
    f"(sh:property/(sh:path|sh:class))"
)
_DEFINED_BY = RDFS + "isDefinedBy"
_PREFIXES = f"PREFIX owl: <{OWL}> PREFIX rdf: <{RDF}> PREFIX rdfs: <{RDFS}> PREFIX sh: <{SHACL}> "


def told_out(kind: str | None) -> frozenset[str]:
    """Give the predicates of statements from an entity that are told under names of their own."""
    return _TOLD_OUT.get(kind or "", frozenset({_TYPE}))


def told_in(kind: str | None) -> frozenset[str]:
    """Give the predicates of statements to an entity that are told so, or tell nothing."""
    return _TOLD_IN.get(kind or "", frozenset(_FROM_BLANK))


def what_kind_adds(asked: Asked, said: Description) -> dict[str, Any]:
    """Give the fields that only a class, or only a property, has; see ``entity_report``."""
    if said.kind == "class":
        return _of_class(asked, said)
    return _of_property(asked, said) if said.kind == "property" else {}


class Asked:
    """Bounded queries about one entity, the IRIs they gave, and whether any was cut."""

    def __init__(self, ontology: Ontology, iri: str, limit: int, timeout: float) -> None:
        self.ontology = ontology
        self.this = f"<{iri}>"
        self.limit = limit
        self.named: set[str] = set()
        self.cut = False
        self._timeout = timeout

    def terms(self, query: str, limit: int | None = None) -> tuple[tuple[Term | None, ...], ...]:
        query = _PREFIXES + query
        rows = self.ontology.select(query, limit=limit or self.limit, timeout=self._timeout)
        self.cut |= rows.truncated
        self.named.update(t.value for row in rows.terms for t in row if t and t.kind == "iri")
        return rows.terms

    def restricted_in(self, most: int) -> list[str]:
        """Give the prefixed names of the first classes whose restrictions or shapes name it."""
        return self.iris(f"?x {_MADE_OF} {self.this}", most)

    def iris(self, pattern: str, most: int) -> list[str]:
        """Give the prefixed names of the first ?x, in order."""
        found = self.terms(first_in_order("?x", f"{pattern} FILTER(isIRI(?x))", most))
        return [self.ontology.compact(term.value) for (term,) in found if term]

    def said_or_included(
        self, subject: str, predicates: Sequence[str], target: str
    ) -> tuple[list[str], list[str]]:
        """Give the prefixed names of all ?x that RDFS says, and of those that are included."""
        pattern = f"{_said_or_included(subject, predicates, target)} FILTER(isIRI(?x))"
        found: tuple[list[str], list[str]] = ([], [])
        for term, said in self.terms(first_in_order("?x ?said", pattern, self.limit + 1)):
            if term and said:
                found[not said.plain].append(self.ontology.compact(term.value))
        return found

    def says_nothing(self, defined_by: Sequence[Term]) -> bool:
        """Say whether every term here is defined by the same."""
        if len(defined_by) != 1 or defined_by[0].kind != "iri":
            return False
        other = f"?s <{_DEFINED_BY}> ?o FILTER(?o != <{defined_by[0].value}>)"
        return not self.terms(f"SELECT ?o WHERE {{ {other} }} LIMIT 1")

    def count(self, pattern: str, what: str = "*") -> int:
        ((number,),) = self.terms(f"SELECT (COUNT({what}) AS ?n) WHERE {{ {pattern} }}")
        return int(number.value) if number else 0


def _of_class(asked: Asked, said: Description) -> dict[str, Any]:
    this, compact = asked.this, asked.ontology.compact
    axioms = said.axioms
    direct, below = _number(said.instances), _number(said.instances_below)
    own: dict[str, str] = {}
    included: dict[str, str] = {}
    inherited: dict[str, str] = {}
    sources: Counter[str] = Counter()
    rows = asked.terms(
        "SELECT ?p ?d ?said (GROUP_CONCAT(DISTINCT COALESCE(STR(?r), ''); SEPARATOR='\\n') AS ?to) "
        f"WHERE {{ {this} rdfs:subClassOf* ?d . "
        f"{_said_or_included('?p', DOMAINS, '?d')} FILTER(isIRI(?p)) "
        f"OPTIONAL {{ ?p {either(RANGES, OR_MEMBER)} ?r FILTER(isIRI(?r)) }} }} "
        f"GROUP BY ?p ?d ?said ORDER BY (?d != {this}) ?p",
        _MAX_PROPERTIES,
    )
    asked.cut |= len(rows) > 4 * asked.limit
    for place, (prop, domain, said_so, target) in enumerate(rows):
        if not (prop and domain and target):
            continue
        ranges = sorted(filter(None, target.value.split("\n")))
        is_own = f"<{domain.value}>" == this
        if not is_own:
            sources[compact(domain.value)] += 1
        if place < 4 * asked.limit:
            asked.named.update(ranges)
            of_this = own if said_so and said_so.plain else included
            name = compact(prop.value)
            (of_this if is_own else inherited)[name] = " or ".join(map(compact, ranges)) or "any"
    in_range, included_in_range = asked.said_or_included("?x", RANGES, this)
    return {
        "superclasses": [e.text for e in axioms.supers if not e.source],
        "inherited_restrictions": _by_source(asked, [e for e in axioms.supers if e.source]),
        "equivalent": _told(asked, axioms.equivalents),
        "disjoint_with": _told(asked, axioms.disjoint),
        "keys": list(axioms.keys),
        "shapes": _by_source(asked, axioms.shapes),
        "subclasses": [e.text for e in axioms.subs],
        "domain_of": own,
        "domain_includes_of": included,
        "inherits_from": dict(sources),
        "inherits": {
            prop: ranges
            for prop, ranges in inherited.items()
            if prop not in own and prop not in included
        },
        "range_of": in_range,
        "range_includes_of": included_in_range,
        "instances": direct,
        "instances_with_subclasses": below if below != direct else None,
        "example_instances": asked.iris(f"?x a {this}", 3),
    }


def _of_property(asked: Asked, said: Description) -> dict[str, Any]:
    this, axioms = asked.this, said.axioms
    examples = asked.terms(first_in_order("?s ?o", f"?s {this} ?o", 3))
    return {
        "characteristics": list(axioms.characteristics),
        "superproperties": [e.text for e in axioms.supers],
        "subproperties": [e.text for e in axioms.subs],
        "domain": [e.text for e in axioms.domains if not e.source],
        "inherited_domain": _told(asked, [e for e in axioms.domains if e.source]),
        "domain_includes": asked.iris(f"{this} {either(DOMAINS[1:])} ?x", asked.limit + 1),
        "range": [e.text for e in axioms.ranges if not e.source],
        "inherited_range": _told(asked, [e for e in axioms.ranges if e.source]),
        "range_includes": asked.iris(f"{this} {either(RANGES[1:])} ?x", asked.limit + 1),
        "inverse": [e.text for e in axioms.inverses],
        "chains": list(axioms.chains),
        "equivalent": _told(asked, axioms.equivalents),
        "disjoint_with": _told(asked, axioms.disjoint),
        "statements": asked.count(f"?x {this} ?y"),
        "examples": [
            {"subject": cell(asked.ontology, s), "object": cell(asked.ontology, o)}
            for s, o in examples
        ],
    }


def _said_or_included(subject: str, predicates: Sequence[str], target: str) -> str:
    """Write a pattern for domains or ranges; ?said tells RDFS's predicate from schema.org's."""
    said = f"{subject} {either(predicates[:1], OR_MEMBER)} {target} BIND(true AS ?said)"
    included = f"{subject} {either(predicates[1:])} {target} BIND(false AS ?said)"
    return f"{{ {{ {said} }} UNION {{ {included} }} }}"


def _told(asked: Asked, expressions: Iterable[Expression]) -> list[str]:
    return [
        f"{e.text} (from {asked.ontology.compact(e.source)})" if e.source else e.text
        for e in expressions
    ]


def _by_source(asked: Asked, expressions: Iterable[Expression]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for expression in expressions:
        source = f"<{expression.source}>" if expression.source else asked.this
        found.setdefault(asked.ontology.compact(source[1:-1]), []).append(expression.text)
    return found


def _number(count: Count | None) -> int | str | None:
    if count is None:
        return None
    return count.number if count.exact else str(count)
