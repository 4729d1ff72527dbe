"""Gather by queries what a sense card says of an ontology: size, schema, predicates in use."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rlm_runtime.errors import QueryError
from rlm_runtime.ontology.card_facts import CardFacts, PropertyFacts, Usage
from rlm_runtime.ontology.labels import NAME_PREDICATES, labels_of, values_clause
from rlm_runtime.ontology.protocol import Ontology, Term
from rlm_runtime.ontology.terms import kind_of

__all__ = ["gather_card_facts"]

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_RDFS = "http://www.w3.org/2000/01/rdf-schema#"
_OWL = "http://www.w3.org/2002/07/owl#"
_XSD = "http://www.w3.org/2001/XMLSchema#"
_META = (_RDF, _RDFS, _OWL, _XSD)
_SKOS_CONCEPT = "http://www.w3.org/2004/02/skos/core#Concept"
_COMMENTS = (
    _RDFS + "comment",
    "http://www.w3.org/2004/02/skos/core#definition",
    "http://purl.org/dc/terms/description",
    "http://purl.org/dc/elements/1.1/description",
    "https://schema.org/description",
    "http://schema.org/description",
    "http://www.w3.org/2004/02/skos/core#scopeNote",
    "http://www.w3.org/2004/02/skos/core#note",
)
_DATASETS = (
    _OWL + "Ontology",
    "http://www.w3.org/2004/02/skos/core#ConceptScheme",
    "http://rdfs.org/ns/void#Dataset",
    "http://www.w3.org/ns/dcat#Dataset",
)
# A domain or range is a class, or a union of classes.
_OR_MEMBER = f"(<{_OWL}unionOf>/<{_RDF}rest>*/<{_RDF}first>)?"
_MAX_CLASSES = 40
_MAX_ROWS = 5_000
_MAX_VALUE_LISTS = 24
_FEW_VALUES = 6


def gather_card_facts(ontology: Ontology, *, timeout: float) -> CardFacts:
    """Ask an ontology for what its card says.

    A query that fails or takes too long leaves its facts out and is told in ``missing``.

    Args:
        ontology: Local or remote.
        timeout: Seconds for each of about twenty queries; for all together three times that.
    """
    asker = _Asker(ontology, timeout, CardFacts())
    asker.about()
    asker.sizes()
    asker.schema()
    asker.names()
    counted = [iri for iri, count in asker.facts.classes.items() if count][:_MAX_CLASSES]
    asker.usages(counted)
    asker.untyped()
    asker.value_lists()
    return asker.facts


class _Asker:
    """The queries, each of which adds to the facts."""

    def __init__(self, ontology: Ontology, timeout: float, facts: CardFacts) -> None:
        self._ontology = ontology
        self._timeout = timeout
        self._until = time.monotonic() + 3 * timeout
        self.facts = facts

    def _ask(self, what: str, query: str) -> tuple[tuple[Term | None, ...], ...]:
        left = self._until - time.monotonic()
        if left <= 0:
            self.facts.missing.append(f"{what} (no time left)")
            return ()
        timeout = min(self._timeout, left)
        try:
            rows = self._ontology.select(query, limit=_MAX_ROWS, timeout=timeout)
        except QueryError as error:
            self.facts.missing.append(f"{what} ({type(error).__name__})")
            return ()
        if rows.truncated:
            self.facts.missing.append(f"{what} beyond {_MAX_ROWS} rows")
        return rows.terms

    def _counts(self, what: str, query: str) -> dict[str, int]:
        """Give the counts ?n by ?k, the highest first, of a query without an order."""
        rows = self._ask(what, f"{query} ORDER BY DESC(?n) ?k")
        return {key.value: int(n.value) for key, n in rows if key and n and key.kind != "bnode"}

    def _number(self, what: str, query: str) -> int | None:
        rows = self._ask(what, query)
        return int(rows[0][0].value) if rows and rows[0][0] else None

    def about(self) -> None:
        datasets = " ".join(f"<{iri}>" for iri in _DATASETS)
        texts = (*NAME_PREDICATES, *_COMMENTS)
        rows = self._ask(
            "its title",
            f"SELECT ?x ?p ?text WHERE {{ VALUES ?type {{ {datasets} }} ?x a ?type ; ?p ?text "
            f"FILTER(?p IN ({', '.join(f'<{iri}>' for iri in texts)})) }} ORDER BY ?x ?p ?text",
        )
        found: dict[str, list[tuple[int, int, str]]] = {"title": [], "comment": []}
        for place, (_, predicate, text) in enumerate(rows):
            if predicate and text:
                language = {"en": 0, "": 1}.get(text.language.split("-")[0], 2)
                field_name = "title" if predicate.value in NAME_PREDICATES else "comment"
                found[field_name].append((language, place, " ".join(text.value.split())))
        self.facts.title = min(found["title"], default=(0, 0, ""))[2]
        self.facts.comment = min(found["comment"], default=(0, 0, ""))[2]

    def sizes(self) -> None:
        facts = self.facts
        facts.predicates = self._counts(
            "predicates", "SELECT ?k (COUNT(*) AS ?n) WHERE { ?s ?k ?o } GROUP BY ?k"
        )
        facts.triples = self._number("triples", "SELECT (COUNT(*) AS ?n) WHERE { ?s ?p ?o }")
        types = self._counts(
            "classes", "SELECT ?k (COUNT(DISTINCT ?s) AS ?n) WHERE { ?s a ?k } GROUP BY ?k"
        )
        facts.classes = {iri: n for iri, n in types.items() if not iri.startswith(_META)}
        if any(iri.startswith(_OWL) for iri in types if iri != _OWL + "Ontology"):
            facts.declared.append("OWL")
        elif any(iri.startswith((_RDFS, _RDF + "Property")) for iri in types):
            facts.declared.append("RDFS")
        if _SKOS_CONCEPT in types:
            facts.declared.append("SKOS")
        facts.individuals = self._number(
            "instances",
            "SELECT (COUNT(DISTINCT ?s) AS ?n) WHERE { ?s a ?c FILTER("
            + " && ".join(f"!STRSTARTS(STR(?c), '{namespace}')" for namespace in _META)
            + ") }",
        )
        facts.namespaces = self._counts(
            "namespaces",
            "SELECT ?k (COUNT(*) AS ?n) WHERE { { SELECT DISTINCT ?s WHERE { ?s ?p ?o "
            'FILTER(isIRI(?s)) } } BIND(REPLACE(STR(?s), "[^/#]*$", "") AS ?k) } GROUP BY ?k',
        )

    def schema(self) -> None:
        facts = self.facts
        pair = "FILTER(isIRI(?a) && isIRI(?b)) } ORDER BY ?a ?b"
        for a, b in self._ask(
            "the class hierarchy",
            f"SELECT DISTINCT ?a ?b WHERE {{ ?a <{_RDFS}subClassOf> ?b {pair}",
        ):
            if a and b and a != b and not b.value.startswith(_META):
                facts.supers.setdefault(a.value, []).append(b.value)
                facts.classes.setdefault(b.value, 0)
            if a:
                facts.classes.setdefault(a.value, 0)
        for (a,) in self._ask(
            "declared classes",
            f"SELECT DISTINCT ?a WHERE {{ VALUES ?t {{ <{_OWL}Class> <{_RDFS}Class> }} ?a a ?t "
            "FILTER(isIRI(?a)) } ORDER BY ?a",
        ):
            if a and not a.value.startswith(_META):
                facts.classes.setdefault(a.value, 0)
        for (a,) in self._ask(
            "declared properties",
            f"SELECT DISTINCT ?a WHERE {{ VALUES ?t {{ <{_RDF}Property> <{_OWL}ObjectProperty> "
            f"<{_OWL}DatatypeProperty> <{_OWL}AnnotationProperty> }} ?a a ?t "
            "FILTER(isIRI(?a)) } ORDER BY ?a",
        ):
            if a:
                self._property(a.value)
        for iri in facts.predicates:
            self._property(iri)
        for name, path in (
            ("domains", f"<{_RDFS}domain>/{_OR_MEMBER}"),
            ("ranges", f"<{_RDFS}range>/{_OR_MEMBER}"),
            ("inverses", f"(<{_OWL}inverseOf>|^<{_OWL}inverseOf>)"),
        ):
            for a, b in self._ask(name, f"SELECT DISTINCT ?a ?b WHERE {{ ?a {path} ?b {pair}"):
                found = self._property(a.value) if a else None
                if found and b:
                    getattr(found, name).append(b.value)
        classes = sorted(facts.classes.items(), key=lambda item: (-item[1], item[0]))
        facts.classes = dict(classes)

    def _property(self, iri: str) -> PropertyFacts | None:
        if iri.startswith(_META):
            return None
        return self.facts.properties.setdefault(iri, PropertyFacts(iri))

    def names(self) -> None:
        facts = self.facts
        for target, predicates in ((facts.naming, NAME_PREDICATES), (facts.commenting, _COMMENTS)):
            used = [iri for iri in predicates if iri in facts.predicates]
            if not used:
                continue
            for predicate, language, count in self._ask(
                "languages",
                f"SELECT ?x ?lang (COUNT(*) AS ?n) WHERE {{ {values_clause(used)} ?s ?x ?v "
                "FILTER(isLiteral(?v)) BIND(LCASE(LANG(?v)) AS ?lang) } GROUP BY ?x ?lang",
            ):
                if predicate and count:
                    key = (predicate.value, language.value if language else "")
                    target[key] = target.get(key, 0) + int(count.value)
        wanted = [*facts.classes, *facts.properties][:500]
        try:
            facts.labels = labels_of(self._ontology, wanted, self._timeout)
        except QueryError as error:
            facts.missing.append(f"labels ({type(error).__name__})")

    def usages(self, classes: Sequence[str]) -> None:
        if not classes:
            return
        which = f"{values_clause(classes)} ?s a ?x ; ?p ?o FILTER(?p != <{_RDF}type>)"
        self._usages("?x", which)
        inside = "?o ?q ?v FILTER(isBlank(?o)) FILTER NOT EXISTS { ?o a ?any }"
        for cls, predicate, inner, _ in self._ask(
            "what is in blank nodes",
            f"SELECT ?x ?p ?q (COUNT(*) AS ?n) WHERE {{ {which} {inside} }} GROUP BY ?x ?p ?q "
            "ORDER BY ?x ?p DESC(?n) ?q",
        ):
            if cls and predicate and inner:
                for usage in self._of(cls.value, predicate.value, "bnode"):
                    usage.inside.append(inner.value)
        for cls, predicate, target, _ in self._ask(
            "what links point to",
            f"SELECT ?x ?p ?d (COUNT(*) AS ?n) WHERE {{ {which} ?o a ?d }} GROUP BY ?x ?p ?d "
            "ORDER BY ?x ?p DESC(?n) ?d",
        ):
            if cls and predicate and target and target.value != _OWL + "NamedIndividual":
                for usage in self._of(cls.value, predicate.value, "iri", "bnode"):
                    usage.targets.append(target.value)

    def _of(self, cls: str, predicate: str, *kinds: str) -> list[Usage]:
        usages = self.facts.usages.get(cls, ())
        return [u for u in usages if u.predicate == predicate and u.kind in kinds]

    def untyped(self) -> None:
        schema = "|".join(
            f"<{_RDFS}{name}>" for name in ("domain", "range", "subClassOf", "subPropertyOf")
        )
        which = (
            "?s ?p ?o FILTER(isIRI(?s)) FILTER NOT EXISTS { ?s a ?any } "
            f"FILTER NOT EXISTS {{ ?s {schema} ?any }}"
        )
        query = f"SELECT (COUNT(DISTINCT ?s) AS ?n) WHERE {{ {which} }}"
        self.facts.untyped = self._number("subjects without a class", query) or 0
        if self.facts.untyped:
            self._usages('""', which)

    def _usages(self, cls: str, which: str) -> None:
        for row in self._ask(
            "predicates of each class",
            f"SELECT ?c ?p ?type ?lang (COUNT(*) AS ?n) (COUNT(DISTINCT ?s) AS ?have) "
            f"(COUNT(DISTINCT ?o) AS ?values) (MIN(?o) AS ?low) (MAX(?o) AS ?high) "
            f"WHERE {{ {which} BIND({cls} AS ?c) "
            'BIND(IF(isLiteral(?o), STR(DATATYPE(?o)), IF(isIRI(?o), "iri", "bnode")) AS ?type) '
            'BIND(IF(isLiteral(?o), LCASE(LANG(?o)), "") AS ?lang) } '
            "GROUP BY ?c ?p ?type ?lang ORDER BY ?c DESC(?have) ?p DESC(?n)",
        ):
            c, predicate, sort, language, n, have, values, low, high = row
            if not (predicate and sort and n and have and values):
                continue
            known = {"iri": Term("", "iri"), "bnode": Term("", "bnode")}.get(sort.value)
            # The kind of a literal needs a value: the integer types count as one kind.
            like = (
                known or low or Term("", "literal", sort.value, language.value if language else "")
            )
            usage = Usage(
                predicate.value,
                kind_of(like, self._ontology.compact),
                int(n.value),
                int(have.value),
                int(values.value),
                low,
                high,
            )
            self.facts.usages.setdefault(c.value if c else "", []).append(usage)

    def value_lists(self) -> None:
        """List the values of predicates whose few texts repeat, as of a status or a country."""
        few = [
            (cls, usage)
            for cls, usages in self.facts.usages.items()
            for usage in usages
            if usage.kind.startswith("string")
            and usage.values <= _FEW_VALUES
            and usage.statements >= 3 * usage.values
        ]
        for cls, usage in few[:_MAX_VALUE_LISTS]:
            of_class = f"a <{cls}> ; " if cls else ""
            rows = self._ask(
                "the values of some predicates",
                f"SELECT DISTINCT ?v WHERE {{ ?s {of_class}<{usage.predicate}> ?v "
                "FILTER(isLiteral(?v)) } ORDER BY ?v",
            )
            compact = self._ontology.compact
            usage.listed = [v for (v,) in rows if v and kind_of(v, compact) == usage.kind]
