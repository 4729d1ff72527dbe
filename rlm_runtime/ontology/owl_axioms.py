"""Gather what RDFS, OWL and SHACL say of a class or property, for any ontology, by queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import NamedTuple

from rlm_runtime.errors import QueryError
from rlm_runtime.ontology.class_schema import class_and_below, count_instances
from rlm_runtime.ontology.labels import values_clause
from rlm_runtime.ontology.owl_text import INNER, NodeTexts, most_said
from rlm_runtime.ontology.protocol import Description, Ontology, Term
from rlm_runtime.ontology.schema import Axioms, Expression
from rlm_runtime.ontology.vocabulary import META, OWL, RDF, RDFS, SHACL, either
from rlm_runtime.ontology.within import Within, is_writable

__all__ = ["with_axioms"]

_MAX_STATEMENTS = 3_000
_MAX_ABOVE = 100
_MAX_STARTS = 500
_MAX_HOPS = 3
_MAX_RELATED = 300
_TYPE = RDF + "type"
_BY_LIST = tuple(OWL + name for name in ("unionOf", "intersectionOf", "oneOf"))
_OF_CLASS = (
    *(RDFS + "subClassOf", OWL + "equivalentClass", OWL + "disjointWith", OWL + "complementOf"),
    *(OWL + "disjointUnionOf", OWL + "hasKey", *_BY_LIST),
)
_OF_PROPERTY = (
    *(RDFS + "subPropertyOf", RDFS + "domain", RDFS + "range", OWL + "equivalentProperty"),
    *(OWL + "inverseOf", OWL + "propertyDisjointWith", OWL + "propertyChainAxiom", _TYPE),
)
_CHARACTERISTICS = {
    **{OWL + f"{word}Property": word.lower() for word in ("Functional", "Transitive")},
    OWL + "InverseFunctionalProperty": "inverse functional",
    **{OWL + f"{word}Property": word.lower() for word in ("Symmetric", "Asymmetric")},
    **{OWL + f"{word}Property": word.lower() for word in ("Reflexive", "Irreflexive")},
    OWL + "DeprecatedProperty": "deprecated",
}


def with_axioms(
    ontology: Ontology, said: Description, *, limit: int, timeout: float = 10.0
) -> Description:
    """Add to a description what the schema says, its blank nodes written out, and counts.

    What the time does not allow, or an endpoint refuses to tell, is left out; then
    ``axioms.truncated`` is set.

    Args:
        ontology: What to ask; its ``select`` and ``compact`` are used.
        said: The statements of an entity, and its kind.
        limit: The most entries of each field.
        timeout: Seconds for all queries together, about seven.
    """
    if not is_writable(said.iri):
        return said
    asked = Within(ontology, timeout)
    about = _About(asked, said, limit)
    instances = below = None
    try:
        about.read()
        if said.kind == "class":
            instances = below = count_instances(asked, [said.iri])
            classes = class_and_below(asked, said.iri)
            below = count_instances(asked, classes) if len(classes) > 1 else instances
    except QueryError:
        asked.truncated = True
    return replace(
        said,
        axioms=about.axioms(),
        blank_values=about.blank_values(),
        instances=instances,
        instances_below=below,
    )


class _Words(NamedTuple):
    """The predicates that say of a class or of a property what is the same in both."""

    own: tuple[str, ...]
    above: str
    same: str
    apart: str
    all_apart: str


_WORDS = {
    "class": _Words(
        _OF_CLASS,
        RDFS + "subClassOf",
        OWL + "equivalentClass",
        OWL + "disjointWith",
        OWL + "AllDisjointClasses",
    ),
    "property": _Words(
        _OF_PROPERTY,
        RDFS + "subPropertyOf",
        OWL + "equivalentProperty",
        OWL + "propertyDisjointWith",
        OWL + "AllDisjointProperties",
    ),
}


def _some(columns: str, pattern: str) -> str:
    """Write a pattern that gives its first solutions only: there may be a hundred thousand."""
    return f"{{ SELECT {columns} WHERE {{ {pattern} }} LIMIT {_MAX_STARTS} }} "


class _About:
    """What was read about one entity."""

    def __init__(self, asked: Within, said: Description, limit: int) -> None:
        self._asked = asked
        self._said = said
        self._this = Term(said.iri, "iri")
        self._limit = limit
        self._words = _WORDS.get(said.kind or "")
        self._statements: dict[Term, dict[str, list[Term]]] = {}
        self._texts = NodeTexts(self._statements, asked.compact)
        self._above: list[Term] = []
        self._related: dict[str, list[tuple[Term, Term]]] = {}
        self._cut: dict[str, Mapping[str, int | None]] = {}
        self._all_read = False

    def read(self) -> None:
        """Ask for the ancestors, for the statements of all of them, and for what names them."""
        words = self._words
        if words:
            path = f"<{self._this.value}> <{words.above}>+ ?x FILTER(isIRI(?x))"
            found = self._asked.ask(
                f"SELECT DISTINCT ?x WHERE {{ {path} }} ORDER BY ?x", _MAX_ABOVE
            )
            if len(found) == _MAX_ABOVE:
                self._cut["ancestors"] = {"": None}
            self._above = [
                term for (term,) in found if term and term != self._this and is_writable(term.value)
            ]
            self._learn(self._asked.ask(self._names_query(words), _MAX_RELATED))
        self._learn(self._asked.ask(self._statements_query(), _MAX_STATEMENTS))
        if words:
            self._above = self._nearest_first(words.above)
            for role, entity, other in self._asked.ask(self._related_query(words), _MAX_RELATED):
                if role and entity and other:
                    self._related.setdefault(role.value, []).append((entity, other))
            own = product((self._this, *self._above), words.own)
            said = sum(len(set(self._values(term, predicate))) for term, predicate in own)
            self._asked.truncated |= said >= _MAX_STARTS
        self._all_read = not self._asked.truncated

    def _learn(self, statements: Iterable[tuple[Term | None, ...]]) -> None:
        for subject, predicate, value in statements:
            if subject and predicate and value:
                known = self._statements.setdefault(subject, {})
                known.setdefault(predicate.value, []).append(value)

    def _nearest_first(self, link: str) -> list[Term]:
        """Order the ancestors level by level; OWL's own, which say the same of all, left out."""
        order: dict[Term, None] = {self._this: None}
        level = [self._this]
        while level:
            parents = {parent for term in level for parent in self._values(term, link)}
            level = sorted(parents & set(self._above) - order.keys())
            order.update(dict.fromkeys(level))
        return [term for term in order if term != self._this and not term.value.startswith(META)]

    def axioms(self) -> Axioms:
        if self._words is None:
            return Axioms(truncated=self._asked.truncated)
        direct = self._values(self._this, self._words.above)
        shared = Axioms(
            ancestors=tuple(term.value for term in self._above if term not in direct),
            subs=self._bounded("subs", self._named("below")),
            equivalents=self._equivalents(self._words),
            disjoint=self._disjoint(self._words),
        )
        read = self._of_class(shared) if self._said.kind == "class" else self._of_property(shared)
        return replace(read, cut=self._cut, truncated=self._asked.truncated or bool(self._cut))

    def blank_values(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for predicate, values in self._statements.get(self._this, {}).items():
            texts = [self._texts.text(value) for value in values if value.kind == "bnode"]
            if texts:
                found[predicate] = tuple(sorted(texts)[: self._limit])
        return found

    def _names_query(self, words: _Words) -> str:
        """Write a query for what the entity is said to be below, equal to and so on, by name.

        By itself, so that it stands when an ancestor's thousand restrictions take all the time.
        """
        said = " ".join(f"<{iri}>" for iri in words.own)
        this = f"<{self._this.value}>"
        return (
            f"SELECT ?s ?p ?o WHERE {{ BIND({this} AS ?s) VALUES ?p {{ {said} }} "
            f"{this} ?p ?o FILTER(isIRI(?o)) }}"
        )

    def _statements_query(self) -> str:
        """Write a query for what the entity, its ancestors and their blank nodes say."""
        this, inner = f"<{self._this.value}>", f"({either(INNER)})*"
        parts = [
            # All in one, since a blank node is the same only within one result of an endpoint.
            _some("?s ?p ?o", f"BIND({this} AS ?s) {this} ?p ?o FILTER(isBlank(?o))"),
        ]
        hops = ""
        for depth in range(_MAX_HOPS):
            # Any predicate may lead to a blank node, and from there some lead on without end.
            start = f"?in{depth}" if depth else this
            hop = f"{start} ?any{depth} ?out{depth} FILTER(isBlank(?out{depth})) "
            hops += hop if depth else _some("?out0", hop)
            parts.append(f"{hops} ?out{depth} {inner} ?s FILTER(isBlank(?s)) ?s ?p ?o")
            hops += f"?out{depth} {inner} ?in{depth + 1} FILTER(isBlank(?in{depth + 1})) "
        all_ = values_clause([term.value for term in (self._this, *self._above)])
        if self._words:
            own = either(self._words.own)
            said = " ".join(f"<{iri}>" for iri in self._words.own)
            blank = _some("?b", f"{all_} ?x {own} ?b FILTER(isBlank(?b))")
            parts += [
                _some("?s ?p ?o", f"{all_} VALUES ?p {{ {said} }} ?x ?p ?o BIND(?x AS ?s)"),
                f"{blank} ?b {inner} ?s FILTER(isBlank(?s)) ?s ?p ?o",
            ]
        if self._said.kind == "class":
            shapes = f"(^<{SHACL}targetClass>)?/(<{SHACL}property>+|<{SHACL}not>)"
            asking = f"<{SHACL}property> <{SHACL}not> <{SHACL}deactivated>"
            # A list of alternatives may have a name.
            inside = f"FILTER(isBlank(?s) || EXISTS {{ ?s <{RDF}first> ?item }})"
            parts += [
                f"{all_} ?s <{SHACL}targetClass> ?x . ?s ?p ?o",
                f"{all_} VALUES ?p {{ {asking} }} ?x ?p ?o BIND(?x AS ?s)",
                f"{all_} ?x {shapes} ?s . ?s ?p ?o",
                f"{all_} ?x {shapes}/{inner} ?s {inside} ?s ?p ?o",
            ]
        return f"SELECT DISTINCT ?s ?p ?o WHERE {{ {' UNION '.join(f'{{ {p} }}' for p in parts)} }}"

    def _related_query(self, words: _Words) -> str:
        """Write a query for what names the entity or, to be disjoint, an ancestor."""
        this = values_clause([self._this.value])
        same, inverse = f"<{words.same}>|^<{words.same}>", f"<{OWL}inverseOf>|^<{OWL}inverseOf>"
        all_ = values_clause([term.value for term in (self._this, *self._above)])
        of_list = f"?cell <{RDF}first> ?x . ?head <{RDF}rest>* ?cell ."
        other = f"?head <{RDF}rest>*/<{RDF}first> ?other FILTER(isIRI(?other) && ?other != ?x)"
        parts = {
            "below": f"{{ SELECT ?x ?other WHERE {{ {this} ?other <{words.above}> ?x "
            f"FILTER(isIRI(?other) && ?other != ?x) }} ORDER BY ?other LIMIT {self._limit + 1} }}",
            "same": f"{this} ?other <{words.same}> ?x",
            "apart": f"{all_} ?other <{words.apart}> ?x",
            "all apart": f"{all_} {of_list} ?any <{OWL}members> ?head ; "
            f"<{_TYPE}> <{words.all_apart}> . {other}",
            "parts": f"{all_} {of_list} ?any <{OWL}disjointUnionOf> ?head . {other}",
            "inverse": f"{this} ?other <{OWL}inverseOf> ?x FILTER(isIRI(?other))",
            "inverse of same": f"<{self._this.value}> {same} ?x . ?x {inverse} ?other "
            "FILTER(isIRI(?x) && isIRI(?other))",
        }
        union = " UNION ".join(
            f'{{ {part} BIND("{role}" AS ?role) }}' for role, part in parts.items()
        )
        return f"SELECT DISTINCT ?role ?x ?other WHERE {{ {union} }}"

    def _of_class(self, shared: Axioms) -> Axioms:
        own = self._stated(self._this, self._words.above) if self._words else ()
        handed_down = [
            replaced
            for ancestor in self._above
            for predicate in (RDFS + "subClassOf", OWL + "equivalentClass")
            for replaced in self._stated(ancestor, predicate)
            if not replaced.iri
        ]
        return replace(
            shared,
            supers=self._bounded("supers", [*own, *handed_down]),
            keys=self._each("keys", OWL + "hasKey", lambda head: self._texts.joined(head, ", ")),
            shapes=self._bounded("shapes", self._asked_by_shapes()),
            excludes=self._bounded("excludes", self._excluded_by_shapes()),
        )

    def _of_property(self, shared: Axioms) -> Axioms:
        def ends(field: str, predicate: str) -> tuple[Expression, ...]:
            lines = [self._stated(p, predicate) for p in (self._this, *self._above)]
            return self._bounded(field, (e for found in lines for e in found))

        of_same = [
            expression
            for same, other in self._related.get("inverse of same", ())
            for expression in self._expressions([other], same)
        ]
        types = {term.value for term in self._values(self._this, _TYPE)}
        return replace(
            shared,
            supers=self._bounded("supers", self._stated(self._this, RDFS + "subPropertyOf")),
            domains=ends("domains", RDFS + "domain"),
            ranges=ends("ranges", RDFS + "range"),
            inverses=self._bounded(
                "inverses",
                [*self._stated(self._this, OWL + "inverseOf"), *self._named("inverse"), *of_same],
            ),
            characteristics=tuple(word for iri, word in _CHARACTERISTICS.items() if iri in types),
            chains=self._each(
                "chains",
                OWL + "propertyChainAxiom",
                lambda head: self._texts.joined(head, " o "),
            ),
        )

    def _equivalents(self, words: _Words) -> tuple[Expression, ...]:
        found = [*self._stated(self._this, words.same), *self._named("same")]
        if self._said.kind == "class":
            # In these words a class is defined directly, without a node that is equivalent.
            direct = {
                p: v for p, v in self._statements.get(self._this, {}).items() if p in _BY_LIST
            }
            for predicate, values in direct.items():
                node = Term(f"{self._this.value} {predicate}", "bnode")
                self._statements[node] = {predicate: values}
                found.append(Expression(self._texts.text(node)))
            for head in self._values(self._this, OWL + "disjointUnionOf"):
                found.append(Expression(self._texts.joined(head, " or ")))
        return self._bounded("equivalents", found)

    def _disjoint(self, words: _Words) -> tuple[Expression, ...]:
        found = []
        for entity in (self._this, *self._above):
            named = [
                other
                for role in ("apart", "all apart", "parts")
                for of, other in self._related.get(role, ())
                if of == entity
            ]
            apart = [*self._values(entity, words.apart), *named]
            if self._said.kind == "class":
                apart += self._values(entity, OWL + "complementOf")
            found += self._expressions(apart, entity)
        return self._bounded("disjoint", found)

    def _shapes(self) -> Iterator[tuple[Term, Term]]:
        """Give the classes from here up, each with itself and the shapes in force for it."""
        for target in (self._this, *self._above):
            aimed = [
                shape
                for shape, said in self._statements.items()
                if shape != target and target in said.get(SHACL + "targetClass", ())
            ]
            for shape in (target, *aimed):
                if not self._texts.deactivated(shape):
                    yield target, shape

    def _asked_by_shapes(self) -> Iterator[Expression]:
        for target, shape in self._shapes():
            asked = [self._texts.shape(term) for term in self._values(shape, SHACL + "property")]
            if not asked and shape != target:
                asked = [self._texts.shape(shape)]
            named = shape if shape.kind == "iri" else target
            source = "" if named == self._this else named.value
            yield from (Expression(text, source=source) for text in most_said(filter(None, asked)))

    def _excluded_by_shapes(self) -> Iterator[Expression]:
        for target, shape in self._shapes():
            others = map(self._texts.excluded, self._values(shape, SHACL + "not"))
            yield from self._expressions(others, shape if shape.kind == "iri" else target)

    def _values(self, subject: Term, predicate: str) -> Sequence[Term]:
        return self._statements.get(subject, {}).get(predicate, ())

    def _stated(self, subject: Term, predicate: str) -> list[Expression]:
        return self._expressions(self._values(subject, predicate), subject)

    def _named(self, role: str) -> list[Expression]:
        others = [other for of, other in self._related.get(role, ()) if of == self._this]
        return self._expressions(others, self._this)

    def _expressions(self, terms: Iterable[Term], said_by: Term) -> list[Expression]:
        """Write terms, names before constructs, in alphabetical order, each once."""
        source = "" if said_by == self._this else said_by.value
        written = {
            Expression(self._texts.text(term), term.value if term.kind == "iri" else "", source)
            for term in terms
            if term != self._this
        }
        return sorted(written, key=lambda expression: (not expression.iri, expression.text))

    def _bounded(self, field: str, found: Iterable[Expression]) -> tuple[Expression, ...]:
        """Take the first of each text, as many as the limit allows, and note what is cut."""
        once: dict[str, Expression] = {}
        for expression in found:
            once.setdefault(expression.text, expression)
        each = tuple(once.values())
        if len(each) > self._limit:
            left = Counter(expression.source for expression in each[self._limit :])
            self._cut[field] = left if self._all_read else dict.fromkeys(left)
        return each[: self._limit]

    def _each(self, field: str, predicate: str, write: Callable[[Term], str]) -> tuple[str, ...]:
        texts = sorted({write(head) for head in self._values(self._this, predicate)})
        return tuple(each.text for each in self._bounded(field, map(Expression, texts)))
