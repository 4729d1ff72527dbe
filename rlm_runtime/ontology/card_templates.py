"""Queries for a sense card that are sure to run and to find something: they were run."""

from __future__ import annotations

from collections.abc import Iterator

from rlm_runtime.errors import QueryError
from rlm_runtime.ontology.card_facts import CardFacts, Usage
from rlm_runtime.ontology.labels import NAME_PREDICATES
from rlm_runtime.ontology.protocol import Ontology
from rlm_runtime.ontology.text import words

__all__ = ["working_queries"]

_WANTED = 2
_MAX_TRIED = 8
_NAME_WORDS = frozenset({"name", "title", "label"})


def working_queries(ontology: Ontology, facts: CardFacts, *, timeout: float) -> list[str]:
    """Give up to two queries, of different kinds, that find something in this ontology.

    Args:
        ontology: Where they are run.
        facts: What they are made from.
        timeout: Seconds for each of at most eight tries.
    """
    found: list[str] = []
    tried = 0
    for candidates in (
        _listing(ontology, facts),
        _counting(ontology, facts),
        _subclasses(ontology, facts),
        _properties(ontology, facts),
        _statements(ontology, facts),
        ("SELECT ?p (COUNT(*) AS ?n) WHERE { ?s ?p ?o } GROUP BY ?p ORDER BY DESC(?n)",),
    ):
        for query in candidates:
            tried += 1
            if _finds(ontology, query, timeout):
                found.append(query)
                break
            if tried >= _MAX_TRIED:
                return found
        if len(found) == _WANTED:
            break
    return found


def _finds(ontology: Ontology, query: str, timeout: float) -> bool:
    try:
        return len(ontology.select(query, limit=1, timeout=timeout)) > 0
    except QueryError:
        return False


def _name(facts: CardFacts, cls: str) -> Usage | None:
    """Give the predicate that names the instances of a class."""
    usages = [u for u in facts.usages.get(cls, ()) if u.kind.startswith("string")]
    named = [u for u in usages if u.predicate in NAME_PREDICATES]
    like = [u for u in usages if words(u.predicate)[-1:] and words(u.predicate)[-1] in _NAME_WORDS]
    english = [u for u in named if u.kind == "string@en"]
    return next(iter([*english, *named, *like]), None)


def _labelled(ontology: Ontology, facts: CardFacts, cls: str, name: Usage) -> str:
    """Write the part that binds ?label, in one language when there are several."""
    languages = {u.kind for u in facts.usages[cls] if u.predicate == name.predicate}
    link = f"{ontology.compact(name.predicate)} ?label"
    _, _, language = name.kind.partition("@")
    if len(languages) < 2:
        return link
    return f'{link} FILTER(LANG(?label) = "{language}")'


def _listing(ontology: Ontology, facts: CardFacts) -> Iterator[str]:
    for cls in facts.classes:
        name = _name(facts, cls)
        if name:
            yield (
                f"SELECT ?x ?label WHERE {{ ?x a {ontology.compact(cls)} ; "
                f"{_labelled(ontology, facts, cls, name)} }} ORDER BY ?label LIMIT 10"
            )


def _counting(ontology: Ontology, facts: CardFacts) -> Iterator[str]:
    """Count instances by what they point to; first where many point to few."""
    links = [
        (usage.statements / max(usage.values, 1), cls, usage, target, name)
        for cls, usages in facts.usages.items()
        for usage in usages
        for target in usage.targets[:1]
        if cls and usage.kind == "iri" and (name := _name(facts, target))
    ]
    links.sort(key=lambda link: (-link[0], link[1], link[2].predicate))
    for _, cls, usage, target, name in links:
        yield (
            f"SELECT ?y ?label (COUNT(?x) AS ?n) WHERE {{ ?x a {ontology.compact(cls)} ; "
            f"{ontology.compact(usage.predicate)} ?y . ?y "
            f"{_labelled(ontology, facts, target, name)} }} "
            "GROUP BY ?y ?label ORDER BY DESC(?n) LIMIT 5"
        )


def _subclasses(ontology: Ontology, facts: CardFacts) -> Iterator[str]:
    parents = [parent for supers in facts.supers.values() for parent in supers]
    for parent in sorted(set(parents), key=lambda iri: (-parents.count(iri), iri)):
        name = ontology.compact(parent)
        yield f"SELECT ?sub WHERE {{ ?sub rdfs:subClassOf+ {name} }} ORDER BY ?sub"


def _properties(ontology: Ontology, facts: CardFacts) -> Iterator[str]:
    domains = [domain for prop in facts.properties.values() for domain in prop.domains]
    for domain in sorted(set(domains), key=lambda iri: (-domains.count(iri), iri)):
        yield (
            "SELECT ?p ?range WHERE { ?p rdfs:domain/(owl:unionOf/rdf:rest*/rdf:first)? "
            f"{ontology.compact(domain)} OPTIONAL {{ ?p rdfs:range ?range }} }} ORDER BY ?p"
        )


def _statements(ontology: Ontology, facts: CardFacts) -> Iterator[str]:
    for predicate in facts.predicates:
        name = ontology.compact(predicate)
        yield f"SELECT ?s ?o WHERE {{ ?s {name} ?o }} ORDER BY ?s LIMIT 10"
