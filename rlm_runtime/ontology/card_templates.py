"""Queries for a sense card that are sure to run and to find something: they were run."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from rlm_runtime.errors import QueryError
from rlm_runtime.ontology.card_facts import CardFacts, Usage
from rlm_runtime.ontology.protocol import Ontology
from rlm_runtime.ontology.text import words
from rlm_runtime.ontology.vocabulary import NAME_PREDICATES, OWL

__all__ = ["working_queries"]

_WANTED = 2
_MAX_TRIED = 8
_NAME_WORDS = frozenset({"name", "title", "label"})
_MEMBER = "/(owl:unionOf/rdf:rest*/rdf:first)?"


def working_queries(
    ontology: Ontology, facts: CardFacts, *, timeout: float, seconds: float
) -> list[str]:
    """Give up to two queries, of different kinds, that find something in this ontology.

    They are models for others: a join and a count with labels in one language where there are
    instances; properties with union domains, and indirect subclasses, where there is a schema.

    Args:
        ontology: Where they are run.
        facts: What they are made from.
        timeout: Seconds for each of at most eight tries.
        seconds: Seconds for all of them.
    """
    until = time.monotonic() + seconds
    maker = _Maker(ontology, facts)
    of_data = (maker.counting(), maker.joining(), maker.listing())
    of_schema = (maker.properties(), maker.subclasses(), maker.rangeless())
    found: list[str] = []
    tried = 0
    for candidates in (
        *(of_data if facts.is_data else of_schema),
        *(of_schema if facts.is_data else of_data),
        maker.statements(),
        ("SELECT ?p (COUNT(*) AS ?n) WHERE { ?s ?p ?o } GROUP BY ?p ORDER BY DESC(?n)",),
    ):
        for query in candidates:
            tried += 1
            left = until - time.monotonic()
            if left <= 0:
                return found
            if _finds(ontology, query, min(timeout, left)):
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


class _Link(NamedTuple):
    cls: str
    predicate: str
    target: str
    # How many instances share one value: the more, the more there is to count.
    share: float


class _Maker:
    """Makes candidates of each kind of query, the best first."""

    def __init__(self, ontology: Ontology, facts: CardFacts) -> None:
        self._compact = ontology.compact
        self._facts = facts
        self._children = facts.children
        self._parents = Counter(p for supers in facts.supers.values() for p in set(supers))
        self._links = sorted(
            (
                _Link(cls, usage.predicate, target, usage.statements / max(usage.values, 1))
                for cls, usages in facts.usages.items()
                for usage in usages
                for target in usage.targets[:1]
                if cls and usage.kind == "iri" and self._name(target)
            ),
            key=lambda link: (-link.share, link.cls, link.predicate),
        )

    def counting(self) -> Iterator[str]:
        """Count instances by what they point to; first where many point to few."""
        for link in self._links:
            yield (
                f"SELECT ?y ?yLabel (COUNT(DISTINCT ?x) AS ?n) WHERE {{ {self._typed(link.cls)} ; "
                f"{self._compact(link.predicate)} ?y . {self._labelled('?y', link.target)} }} "
                "GROUP BY ?y ?yLabel ORDER BY DESC(?n)"
            )

    def joining(self) -> Iterator[str]:
        """List instances with what they point to, of another class than is counted first."""
        first = self._links[0].cls if self._links else ""
        for link in sorted(self._links, key=lambda link: link.cls == first):
            if self._name(link.cls):
                yield (
                    f"SELECT ?x ?xLabel ?y ?yLabel WHERE {{ {self._typed(link.cls)} ; "
                    f"{self._compact(link.predicate)} ?y . "
                    f"{self._labelled('?x', link.cls)} . {self._labelled('?y', link.target)} }} "
                    "ORDER BY ?xLabel ?yLabel"
                )

    def listing(self) -> Iterator[str]:
        """List instances by label."""
        for cls in self._facts.classes:
            if self._name(cls):
                yield (
                    f"SELECT ?x ?xLabel WHERE {{ {self._typed(cls)} . "
                    f"{self._labelled('?x', cls)} }} ORDER BY ?xLabel"
                )

    def properties(self) -> Iterator[str]:
        """List the properties of the class that is most often a domain."""
        domains = Counter(d for prop in self._facts.properties.values() for d in prop.domains)
        unions = OWL + "unionOf" in self._facts.predicates
        for domain in sorted(domains, key=lambda iri: (-domains[iri], iri))[:2]:
            for term in map(self._compact, self._facts.domain_terms):
                member = _MEMBER if unions and term == "rdfs:domain" else ""
                yield from self._with_label(f"?p {term}{member} {self._compact(domain)}")

    def subclasses(self) -> Iterator[str]:
        """List all classes below the one with the most."""
        below = {parent: self._count_below(parent) for parent in self._parents}
        for parent in sorted(below, key=lambda iri: (-below[iri], iri))[:2]:
            yield from self._with_label(f"?c rdfs:subClassOf+ {self._compact(parent)}")

    def rangeless(self) -> Iterator[str]:
        """List the properties for which no range is declared."""
        sorts = {sort for prop in self._facts.properties.values() for sort in prop.sorts}
        sort = "owl:ObjectProperty" if "object" in sorts else "rdf:Property"
        for term in map(self._compact, self._facts.domain_terms):
            range_term = term.replace("domain", "range")
            missing = f" FILTER NOT EXISTS {{ ?p {range_term} ?range }}"
            yield from self._with_label(f"?p a {sort}", missing)

    def _with_label(self, pattern: str, then: str = "") -> Iterator[str]:
        """Ask for what the pattern begins with, first with its label, in one language."""
        subject = pattern.split()[0]
        naming = self._facts.naming
        if naming:
            predicate = max(naming, key=lambda iri: (sum(naming[iri].values()), iri))
            languages = naming[predicate]
            best = max(languages, key=lambda tag: (languages[tag], tag))
            if 2 * languages.get("en", 0) > languages[best]:
                best = "en"
            one = f' FILTER(LANG(?label) = "{best}")' if len(languages) > 1 else ""
            yield (
                f"SELECT {subject} ?label WHERE {{ {pattern} ; "
                f"{self._compact(predicate)} ?label{one}{then} }}"
            )
        yield f"SELECT {subject} WHERE {{ {pattern}{then} }}"

    def statements(self) -> Iterator[str]:
        """List the statements with a predicate."""
        for predicate in self._facts.predicates:
            yield f"SELECT ?s ?o WHERE {{ ?s {self._compact(predicate)} ?o }} ORDER BY ?s LIMIT 10"

    def _typed(self, cls: str) -> str:
        path = "a/rdfs:subClassOf*" if self._parents[cls] else "a"
        return f"?x {path} {self._compact(cls)}"

    def _count_below(self, parent: str) -> int:
        found: set[str] = set()
        level = [parent]
        while level:
            level = [c for iri in level for c in self._children.get(iri, ()) if c not in found]
            found.update(level)
        return len(found)

    def _name(self, cls: str) -> Usage | None:
        """Give the predicate that names the instances of a class, in its best language."""
        usages = [u for u in self._facts.usages.get(cls, ()) if u.kind.startswith("string")]
        named = [u for u in usages if u.predicate in NAME_PREDICATES]
        named.sort(key=lambda u: (-u.subjects, u.kind != "string@en"))
        like = [u for u in usages if _NAME_WORDS.intersection(words(u.predicate)[-1:])]
        return next(iter([*named, *like]), None)

    def _labelled(self, subject: str, cls: str) -> str:
        """Write the part that binds a label, in one language when there are several."""
        name = self._name(cls)
        assert name is not None
        kinds = {u.kind for u in self._facts.usages[cls] if u.predicate == name.predicate}
        part = f"{subject} {self._compact(name.predicate)} {subject}Label"
        if len(kinds) > 1:
            part += f' FILTER(LANG({subject}Label) = "{name.kind.partition("@")[2]}")'
        # A label that only some have must not take the others away.
        return part if name.subjects == self._facts.classes[cls] else f"OPTIONAL {{ {part} }}"
