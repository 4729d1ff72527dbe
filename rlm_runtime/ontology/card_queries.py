"""Gather by queries what a sense card says of an ontology: size, schema, names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rlm_runtime.ontology.card_facts import MAX_ROWS, Asker, CardFacts, PropertyFacts, whole
from rlm_runtime.ontology.card_usages import gather_usages
from rlm_runtime.ontology.labels import values_clause
from rlm_runtime.ontology.protocol import Ontology
from rlm_runtime.ontology.vocabulary import (
    COMMENT_PREDICATES,
    DOMAINS,
    META,
    NAME_PREDICATES,
    OR_MEMBER,
    OWL,
    RANGES,
    RDF,
    RDFS,
    SHACL,
    SKOS,
    either,
    language_place,
)

__all__ = ["gather_card_facts"]

_TEXTS = (*COMMENT_PREDICATES, SKOS + "scopeNote", SKOS + "note")
_DATASETS = (
    OWL + "Ontology",
    SKOS + "ConceptScheme",
    "http://rdfs.org/ns/void#Dataset",
    "http://www.w3.org/ns/dcat#Dataset",
)
_PROPERTY_TYPES = {
    OWL + "ObjectProperty": "object",
    OWL + "DatatypeProperty": "datatype",
    OWL + "AnnotationProperty": "annotation",
    RDF + "Property": "rdf:Property",
}
_NAMESPACE = 'BIND(REPLACE(STR(?s), "[^/#]*$", "") AS ?k)'
_SOME_SUBJECTS = 20_000
_SOME_TEXTS = 50_000
_PAIR = "FILTER(isIRI(?a) && isIRI(?b)) } ORDER BY ?a ?b"


def gather_card_facts(
    ontology: Ontology, *, timeout: float, seconds: float, most: int | None = None
) -> CardFacts:
    """Ask an ontology for what its card says.

    A query that fails or takes too long leaves its facts out and is told in ``missing``.

    Args:
        ontology: Local or remote.
        timeout: Seconds for each of about twenty queries.
        seconds: Seconds for all together.
        most: The most triples that are looked at as a whole; of more, samples are. None means
            any number.
    """
    asker = Asker(ontology, timeout, seconds, CardFacts())
    _about(asker)
    if most is not None and _is_larger(asker, most):
        _sampled_sizes(asker)
    else:
        _sizes(asker)
    _classes(asker)
    _properties(asker)
    _names(asker)
    gather_usages(asker)
    return asker.facts


def _is_larger(asker: Asker, most: int) -> bool:
    """Say whether there are more triples than so many, without counting them all."""
    first = f"{{ SELECT ?s WHERE {{ ?s ?p ?o }} LIMIT {most + 1} }}"
    found = asker.number("triples", f"SELECT (COUNT(*) AS ?n) WHERE {{ {first} }}")
    if found is not None and found <= most:
        return False
    asker.facts.least = min(found or 0, most)
    return True


def _sampled_sizes(asker: Asker) -> None:
    """Find out what is in use where there is too much to count, from some subjects if need be."""
    facts = asker.facts
    some = f"{{ SELECT DISTINCT ?s WHERE {{ ?s ?p0 ?o0 }} LIMIT {_SOME_SUBJECTS} }}"
    facts.predicates = asker.counts_or_sample("predicates", "?s ?p ?o", "?p", f"{some} ?s ?p ?o")
    types = asker.counts_or_sample("classes", "?s a ?type", "?type", f"{some} ?s a ?type")
    _take_types(facts, types)
    facts.namespaces = asker.counts(
        "namespaces",
        f"SELECT ?k (COUNT(*) AS ?n) WHERE {{ {some} FILTER(isIRI(?s)) {_NAMESPACE} }} GROUP BY ?k",
    )


def _about(asker: Asker) -> None:
    datasets = " ".join(f"<{iri}>" for iri in _DATASETS)
    texts = (*NAME_PREDICATES, *_TEXTS)
    rows = asker.ask(
        "its title",
        f"SELECT ?x ?p ?text WHERE {{ VALUES ?type {{ {datasets} }} ?x a ?type ; ?p ?text "
        f"FILTER(?p IN ({', '.join(f'<{iri}>' for iri in texts)})) }} ORDER BY ?x ?p ?text",
    )
    found: dict[str, list[tuple[int, int, str]]] = {"title": [], "comment": []}
    for place, (_, predicate, text) in enumerate(rows):
        if predicate and text:
            field_name = "title" if predicate.value in NAME_PREDICATES else "comment"
            said = (language_place(text.language), place, " ".join(text.value.split()))
            found[field_name].append(said)
    asker.facts.title = min(found["title"], default=(0, 0, ""))[2]
    asker.facts.comment = min(found["comment"], default=(0, 0, ""))[2]


def _sizes(asker: Asker) -> None:
    facts = asker.facts
    facts.predicates = asker.counts(
        "predicates", "SELECT ?k (COUNT(*) AS ?n) WHERE { ?s ?k ?o } GROUP BY ?k"
    )
    if 0 < len(facts.predicates) < MAX_ROWS:
        facts.triples = sum(facts.predicates.values())
    else:
        facts.triples = asker.number("triples", "SELECT (COUNT(*) AS ?n) WHERE { ?s ?p ?o }")
    types = asker.counts(
        "classes", "SELECT ?k (COUNT(DISTINCT ?s) AS ?n) WHERE { ?s a ?k } GROUP BY ?k"
    )
    _take_types(facts, types)
    facts.individuals = asker.number(
        "instances",
        "SELECT (COUNT(DISTINCT ?s) AS ?n) WHERE { ?s a ?c FILTER("
        + " && ".join(f"!STRSTARTS(STR(?c), '{namespace}')" for namespace in META)
        + ") }",
    )
    facts.namespaces = asker.counts(
        "namespaces",
        "SELECT ?k (COUNT(*) AS ?n) WHERE { { SELECT DISTINCT ?s WHERE { ?s ?p ?o "
        f"FILTER(isIRI(?s)) }} }} {_NAMESPACE} }} GROUP BY ?k",
    )


def _take_types(facts: CardFacts, types: Mapping[str, int]) -> None:
    """Take in the classes, and what they tell of the languages of the schema."""
    facts.classes = {iri: n for iri, n in types.items() if not iri.startswith(META)}
    if any(iri.startswith(OWL) for iri in types if iri != OWL + "Ontology"):
        facts.declared.append("OWL")
    elif any(iri.startswith((RDFS, RDF + "Property")) for iri in types):
        facts.declared.append("RDFS")
    if SKOS + "Concept" in types:
        facts.declared.append("SKOS")


def _classes(asker: Asker) -> None:
    facts = asker.facts
    subclass = RDFS + "subClassOf"
    if subclass in facts.predicates:
        for a, b in asker.ask(
            "the class hierarchy", f"SELECT DISTINCT ?a ?b WHERE {{ ?a <{subclass}> ?b {_PAIR}"
        ):
            if a and b and a != b and not b.value.startswith(META):
                facts.supers.setdefault(a.value, []).append(b.value)
                facts.classes.setdefault(b.value, 0)
            if a:
                facts.classes.setdefault(a.value, 0)
        facts.anonymous = asker.number(
            "anonymous superclasses",
            f"SELECT (COUNT(*) AS ?n) WHERE {{ ?a <{subclass}> ?b FILTER(isBlank(?b)) }}",
        )
    for (a,) in asker.ask(
        "declared classes",
        f"SELECT DISTINCT ?a WHERE {{ VALUES ?t {{ <{OWL}Class> <{RDFS}Class> }} ?a a ?t "
        "FILTER(isIRI(?a)) } ORDER BY ?a",
    ):
        if a and not a.value.startswith(META):
            facts.classes.setdefault(a.value, 0)
    facts.classes = dict(sorted(facts.classes.items(), key=lambda item: (-item[1], item[0])))


def _properties(asker: Asker) -> None:
    facts = asker.facts
    for a, sort in asker.ask(
        "declared properties",
        f"SELECT DISTINCT ?a ?t WHERE {{ VALUES ?t "
        f"{{ {' '.join(f'<{iri}>' for iri in _PROPERTY_TYPES)} }} ?a a ?t "
        "FILTER(isIRI(?a)) } ORDER BY ?a",
    ):
        found = _property(facts, a.value) if a else None
        if found and sort:
            found.sorts.append(_PROPERTY_TYPES.get(sort.value, "rdf:Property"))
    for iri in facts.predicates:
        _property(facts, iri)
    facts.domain_terms = _in_use(facts, DOMAINS)
    inverses = _in_use(facts, (OWL + "inverseOf",))
    member = OR_MEMBER if _in_use(facts, (OWL + "unionOf",)) else ""
    for name, path in (
        ("domains", either(facts.domain_terms, member)),
        ("supers", either(_in_use(facts, (RDFS + "subPropertyOf",)))),
        ("ranges", either(_in_use(facts, RANGES), member)),
        ("inverses", either(inverses) and f"{either(inverses)}|^{either(inverses)}"),
    ):
        query = f"SELECT DISTINCT ?a ?b WHERE {{ ?a {path} ?b {_PAIR}"
        for a, b in asker.ask(name, query) if path else ():
            found = _property(facts, a.value) if a else None
            if found and b:
                getattr(found, name).append(b.value)
    if chain := either(_in_use(facts, (OWL + "propertyChainAxiom",))):
        rows = asker.ask("property chains", f"SELECT DISTINCT ?a WHERE {{ ?a {chain} ?b }}")
        facts.chains = sorted(a.value for (a,) in rows if a and a.kind == "iri")
    if shaped := either(_in_use(facts, (SHACL + "path",))):
        pattern = f"WHERE {{ ?s {shaped} ?k FILTER(isIRI(?k)) }}"
        facts.shaped = asker.counts(
            "shapes", f"SELECT ?k (COUNT(DISTINCT ?s) AS ?n) {pattern} GROUP BY ?k"
        )


def _in_use(facts: CardFacts, iris: Sequence[str]) -> list[str]:
    # When the predicates could not be counted, only those of the standard are looked for.
    return [i for i in iris if i in facts.predicates] if facts.predicates else list(iris[:1])


def _property(facts: CardFacts, iri: str) -> PropertyFacts | None:
    if iri.startswith(META):
        return None
    return facts.properties.setdefault(iri, PropertyFacts(iri))


def _names(asker: Asker) -> None:
    facts = asker.facts
    for target, predicates in ((facts.naming, NAME_PREDICATES), (facts.commenting, _TEXTS)):
        used = [iri for iri in predicates if iri in facts.predicates]
        if not used:
            continue
        texts = f"{values_clause(used)} ?s ?x ?v FILTER(isLiteral(?v))"
        if facts.least is not None:
            texts = f"{{ SELECT ?x ?v WHERE {{ {texts} }} LIMIT {_SOME_TEXTS} }}"
        for predicate, language, count in asker.ask(
            "languages",
            f"SELECT ?x ?lang (COUNT(*) AS ?n) WHERE {{ {texts} "
            "BIND(LCASE(LANG(?v)) AS ?lang) } GROUP BY ?x ?lang",
        ):
            if predicate and count:
                tag = language.value if language else ""
                target.setdefault(predicate.value, {})[tag] = whole(count)
    facts.labels = asker.labels([*facts.classes, *facts.properties][:500])
