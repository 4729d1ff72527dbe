"""What its being a class or a property adds to the description of an entity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rlm_runtime.errors import QueryError
from rlm_runtime.ontology.labels import values_clause
from rlm_runtime.ontology.protocol import Description, Ontology, Term
from rlm_runtime.ontology.schema import Axioms, Count, Expression
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
from rlm_runtime.ontology.within import is_writable
from rlm_runtime.tools.values import cell, first_in_order

__all__ = ["Asked", "told_in", "told_out", "what_kind_adds"]

_MAX_PROPERTIES = 1_000
_MAX_COUNTED = 5_000
_TYPE = RDF + "type"
_SUBCLASS = RDFS + "subClassOf"
_INVERSE = OWL + "inverseOf"
_ABOVE = {"class": _SUBCLASS, "property": RDFS + "subPropertyOf"}
_SAME = {"class": OWL + "equivalentClass", "property": OWL + "equivalentProperty"}
_APART = {"class": OWL + "disjointWith", "property": OWL + "propertyDisjointWith"}
_BOOLEAN = tuple(OWL + name for name in ("unionOf", "intersectionOf", "oneOf", "complementOf"))
# Statements that are told under names of their own, by the kind of the entity.
_TOLD_OUT = {
    "class": frozenset(
        {
            *(_TYPE, _SUBCLASS, _SAME["class"], _APART["class"], *_BOOLEAN),
            *(OWL + "disjointUnionOf", OWL + "hasKey", SHACL + "property", SHACL + "not"),
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
# What is told of axioms: the name of their field to that of what an entity says itself, and to that
# of what it inherits where this stands apart.
_FIELDS = {
    "class": {
        "supers": ("superclasses", "inherited_restrictions"),
        "ancestors": ("ancestors",),
        "subs": ("subclasses",),
        "equivalents": ("equivalent",),
        "disjoint": ("disjoint_with",),
        "keys": ("keys",),
        "shapes": ("shapes",),
        "excludes": ("must_not_be",),
    },
    "property": {
        "supers": ("superproperties",),
        "ancestors": ("ancestors",),
        "subs": ("subproperties",),
        "equivalents": ("equivalent",),
        "disjoint": ("disjoint_with",),
        "domains": ("domain", "inherited_domain"),
        "ranges": ("range", "inherited_range"),
        "inverses": ("inverse",),
        "chains": ("chains",),
    },
}
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
    for field, sources in said.axioms.cut.items():
        names = _FIELDS[said.kind or ""][field]
        for source, number in sources.items():
            asked.note_cut(names[-1 if source else 0], number)
    below = _ABOVE.get(said.kind or "")
    if "subs" in said.axioms.cut and below:
        pattern = f"?x <{below}> {asked.this} FILTER(isIRI(?x) && ?x != {asked.this})"
        asked.cut[_FIELDS[said.kind or ""]["subs"][0]] = asked.left(pattern, len(said.axioms.subs))
    if said.kind == "class":
        return _of_class(asked, said)
    return _of_property(asked, said) if said.kind == "property" else {}


class Asked:
    """Bounded queries about one entity, the IRIs they gave, and the fields that were cut."""

    def __init__(self, ontology: Ontology, iri: str, limit: int, timeout: float) -> None:
        self.ontology = ontology
        self.this = f"<{iri}>"
        self.limit = limit
        self.named: set[str] = set()
        # How many are missing from a field; None when that is not known.
        self.cut: dict[str, int | None] = {}
        self._timeout = timeout
        # For what a description can do without: all of its queries share one bound.
        self.aside = timeout / 4

    def terms(self, query: str, limit: int | None = None) -> tuple[tuple[Term | None, ...], ...]:
        query = _PREFIXES + query
        rows = self.ontology.select(query, limit=limit or self.limit, timeout=self._timeout)
        self.named.update(t.value for row in rows.terms for t in row if t and t.kind == "iri")
        return rows.terms

    def iris(self, field: str, pattern: str, most: int) -> list[str]:
        """Give the prefixed names of the first ?x, in order; note when a field has more."""
        query = first_in_order("?x", f"{pattern} FILTER(isIRI(?x))", most + 1)
        rows = self.terms(query, most + 1)
        found = [self.ontology.compact(term.value) for (term,) in rows if term]
        if len(found) > most:
            self.cut[field] = self.left(f"{pattern} FILTER(isIRI(?x))", most)
        return found[:most]

    def left(self, pattern: str, shown: int) -> int | None:
        """Count the ?x of a pattern beyond those shown, or give None when that takes too much."""
        some = f"{{ SELECT DISTINCT ?x WHERE {{ {pattern} }} LIMIT {_MAX_COUNTED} }}"
        query = f"{_PREFIXES}SELECT (COUNT(*) AS ?n) WHERE {{ {some} }}"
        try:
            ((number,),) = self.ontology.select(query, limit=1, timeout=self.aside).terms
        except QueryError:
            return None
        found = int(number.value) if number else 0
        return found - shown if found < _MAX_COUNTED else None

    def note_cut(self, field: str, number: int | None = 1) -> None:
        """Note that so many more, None for an unknown number, are missing from a field."""
        before = self.cut.get(field, 0)
        self.cut[field] = None if number is None or before is None else before + number

    def in_range(self) -> dict[str, list[str]]:
        """Give the prefixed names of what has it as range, by RDFS or as an included one."""
        pattern = f"{_said_or_included('?x', RANGES, self.this)} FILTER(isIRI(?x))"
        found: dict[str, list[str]] = {"range_of": [], "range_includes_of": []}
        query = first_in_order("?x ?said", pattern, self.limit + 1)
        for place, (term, said) in enumerate(self.terms(query, self.limit + 1)):
            field = "range_of" if said and said.plain else "range_includes_of"
            if place == self.limit:
                self.cut[field] = None
            elif term:
                found[field].append(self.ontology.compact(term.value))
        return found

    def says_nothing(self, defined_by: Sequence[Term]) -> bool:
        """Say whether every term here is defined by the same."""
        if len(defined_by) != 1 or defined_by[0].kind != "iri":
            return False
        other = f"?s <{_DEFINED_BY}> ?o FILTER(?o != <{defined_by[0].value}>)"
        return not self.terms(f"SELECT ?o WHERE {{ {other} }} LIMIT 1")

    def count(self, pattern: str) -> int:
        ((number,),) = self.terms(f"SELECT (COUNT(*) AS ?n) WHERE {{ {pattern} }}")
        return int(number.value) if number else 0


def _of_class(asked: Asked, said: Description) -> dict[str, Any]:
    this, compact = asked.this, asked.ontology.compact
    axioms = said.axioms
    direct, below = _number(said.instances), _number(said.instances_below)
    told: dict[str, dict[str, str]] = {"domain_of": {}, "domain_includes_of": {}, "inherits": {}}
    seen = set[str]()
    sources: Counter[str] = Counter()
    rows = asked.terms(
        "SELECT ?p ?d ?said (GROUP_CONCAT(DISTINCT COALESCE(STR(?r), ''); SEPARATOR='\\n') AS ?to) "
        f"WHERE {{ {this} rdfs:subClassOf* ?d . "
        f"{_said_or_included('?p', DOMAINS, '?d')} FILTER(isIRI(?p) && isIRI(?d)) "
        f"OPTIONAL {{ ?p {either(RANGES, OR_MEMBER)} ?r FILTER(isIRI(?r)) }} }} "
        f"GROUP BY ?p ?d ?said ORDER BY (?d != {this}) ?p",
        _MAX_PROPERTIES,
    )
    missing = None if len(rows) == _MAX_PROPERTIES else 1
    for place, (prop, domain, said_so, target) in enumerate(rows):
        if not (prop and domain and target):
            continue
        ranges = sorted(filter(None, target.value.split("\n")))
        is_own = f"<{domain.value}>" == this
        if not is_own:
            sources[compact(domain.value)] += 1
            if prop.value in seen:
                continue
        seen.add(prop.value)
        of_this = "domain_of" if said_so and said_so.plain else "domain_includes_of"
        field = of_this if is_own else "inherits"
        if place >= 4 * asked.limit:
            asked.note_cut(field, missing)
        else:
            asked.named.update(ranges)
            told[field][compact(prop.value)] = " or ".join(map(compact, ranges)) or "any"
    if sources and missing is None:
        asked.note_cut("inherits_from", None)
    examples = asked.terms(first_in_order("?x", f"?x a {this} FILTER(isIRI(?x))", 3))
    handed_down = [e for e in axioms.supers if e.source]
    left = {source: n for source, n in axioms.cut.get("supers", {}).items() if source}
    return {
        "superclasses": [e.text for e in axioms.supers if not e.source],
        "ancestors": _ancestors(asked, axioms),
        "none_stated": _none_stated(axioms, {"superclasses": axioms.supers}),
        **_by_source(asked, "inherited_restrictions", handed_down, left),
        "equivalent": _told(asked, axioms.equivalents),
        "disjoint_with": _told(asked, axioms.disjoint),
        **_by_source(asked, "must_not_be", axioms.excludes, axioms.cut.get("excludes", {})),
        "keys": list(axioms.keys),
        **_by_source(asked, "shapes", axioms.shapes, axioms.cut.get("shapes", {})),
        "subclasses": [e.text for e in axioms.subs],
        "equal_subclasses": _equal(asked, axioms.subs),
        "domain_of": told["domain_of"],
        "domain_includes_of": told["domain_includes_of"],
        "inherits_from": dict(sources),
        "inherits": told["inherits"],
        **asked.in_range(),
        "instances": direct,
        "instances_with_subclasses": below if below != direct else None,
        "example_instances": [compact(term.value) for (term,) in examples if term],
    }


def _of_property(asked: Asked, said: Description) -> dict[str, Any]:
    this, axioms = asked.this, said.axioms
    examples = asked.terms(first_in_order("?s ?o", f"?s {this} ?o", 3))
    included = {
        field: asked.iris(field, f"{this} {either(predicates[1:])} ?x", asked.limit)
        for field, predicates in (("domain_includes", DOMAINS), ("range_includes", RANGES))
    }
    ends = {
        "domain": (*axioms.domains, *included["domain_includes"]),
        "range": (*axioms.ranges, *included["range_includes"]),
    }
    return {
        "characteristics": list(axioms.characteristics),
        "superproperties": [e.text for e in axioms.supers],
        "ancestors": _ancestors(asked, axioms),
        "subproperties": [e.text for e in axioms.subs],
        "domain": [e.text for e in axioms.domains if not e.source],
        "inherited_domain": _told(asked, [e for e in axioms.domains if e.source]),
        "domain_includes": included["domain_includes"],
        "range": [e.text for e in axioms.ranges if not e.source],
        "inherited_range": _told(asked, [e for e in axioms.ranges if e.source]),
        "range_includes": included["range_includes"],
        "none_stated": _none_stated(axioms, ends),
        "inverse": _told(asked, axioms.inverses),
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


def _none_stated(axioms: Axioms, told: Mapping[str, Sequence[object]]) -> list[str]:
    """Name what the schema does not say, unless it is not known whether it does."""
    known = axioms.cut or not axioms.truncated
    return [field for field, found in told.items() if known and not found]


def _ancestors(asked: Asked, axioms: Axioms) -> list[str]:
    """Name the first of those further up than the direct ones."""
    further = [asked.ontology.compact(iri) for iri in axioms.ancestors]
    most = max(1, asked.limit // 2)
    if len(further) > most:
        asked.note_cut("ancestors", len(further) - most)
    return further[:most]


def _equal(asked: Asked, subclasses: Sequence[Expression]) -> dict[str, list[str]]:
    """Say which of some classes are equivalent: the first one's name to those of the others."""
    known = {e.iri: e.text for e in subclasses if is_writable(e.iri)}
    if len(known) < 2:
        return {}
    pattern = f"{values_clause(list(known))} ?x <{_SAME['class']}>|^<{_SAME['class']}> ?y"
    query = f"SELECT DISTINCT ?x ?y WHERE {{ {pattern} FILTER(isIRI(?y)) }} ORDER BY ?x ?y"
    found: dict[str, list[str]] = {}
    told = set[str]()
    try:
        rows = asked.ontology.select(query, limit=_MAX_PROPERTIES, timeout=asked.aside)
    except QueryError:
        return {}
    for first, other in rows.terms:
        if not (first and other) or first == other or other.value not in known:
            continue
        if not {first.value, other.value} & told:
            found.setdefault(known[first.value], []).append(known[other.value])
            told.add(other.value)
    return found


def _told(asked: Asked, expressions: Iterable[Expression]) -> list[str]:
    return [
        f"{e.text} (from {asked.ontology.compact(e.source)})" if e.source else e.text
        for e in expressions
    ]


def _by_source(
    asked: Asked, name: str, expressions: Iterable[Expression], cut: Mapping[str, int | None]
) -> dict[str, Any]:
    """Give a field of texts by who says them, and one of full counts where the limit cut some."""

    def says(source: str) -> str:
        return asked.ontology.compact(source or asked.this[1:-1])

    found: dict[str, list[str]] = {}
    for expression in expressions:
        found.setdefault(says(expression.source), []).append(expression.text)
    counts = {
        says(source): None if left is None else left + len(found.get(says(source), ()))
        for source, left in cut.items()
    }
    return {name: found, f"{name}_counts": counts}


def _number(count: Count | None) -> int | str | None:
    if count is None:
        return None
    return count.number if count.exact else str(count)
