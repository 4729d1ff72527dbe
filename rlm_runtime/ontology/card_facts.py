"""What a sense card says of an ontology, as values, and the questions that find it out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from rlm_runtime.errors import QueryError
from rlm_runtime.ontology.labels import labels_of
from rlm_runtime.ontology.protocol import Ontology, Term

__all__ = ["MAX_ROWS", "Asker", "CardFacts", "PropertyFacts", "Usage", "whole"]

MAX_ROWS = 5_000
"""Rows that one question may have for its answer."""


@dataclass
class Usage:
    """How the instances of a class use a predicate, for one kind of value.

    Attributes:
        predicate: In full.
        kind: As ``kind_of`` names it.
        statements: How many there are.
        subjects: How many instances have one.
        values: How many different values there are.
        low: The first value in SPARQL's order, if any.
        high: The last one.
        targets: The classes of the values, in full, the most frequent first.
        inside: For blank nodes without a class, their predicates, in full.
        listed: All values, when they are few texts that repeat or the names of few instances.
        named: Listed names to the IRI of the one instance each names, if there is just one.
        tree: For links among few instances of one class: parent to children, as they are called.
    """

    predicate: str
    kind: str
    statements: int
    subjects: int
    values: int
    low: Term | None
    high: Term | None
    targets: list[str] = field(default_factory=list)
    inside: list[str] = field(default_factory=list)
    listed: list[Term] = field(default_factory=list)
    named: dict[str, str] = field(default_factory=dict)
    tree: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class PropertyFacts:
    """What the schema says of a property; all IRIs in full.

    Attributes:
        iri: The property.
        sorts: As what it is declared: ``object``, ``datatype``, ``annotation``, ``rdf:Property``.
        domains: Classes, those of a union one by one; ``ranges`` likewise, also datatypes.
        inverses: Its inverse properties, whichever of the two declares it.
        supers: Its direct superproperties.
    """

    iri: str
    sorts: list[str] = field(default_factory=list)
    domains: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    inverses: list[str] = field(default_factory=list)
    supers: list[str] = field(default_factory=list)


@dataclass
class CardFacts:
    """All that a card says; IRIs in full.

    Attributes:
        title: The ontology's own title, or "".
        comment: Its own description, or "".
        triples: Statements in all; None when they could not be counted.
        individuals: Instances of classes that are not part of RDF, RDFS or OWL; None likewise.
        declared: Which of ``OWL``, ``RDFS``, ``SKOS`` it uses to declare things.
        classes: Class to number of direct instances, the most first.
        supers: Class to its direct superclasses.
        anonymous: How many superclasses are blank nodes; None when not counted.
        domain_terms: The predicates that give the domains, in full.
        properties: Declared properties, and predicates in use outside RDF, RDFS and OWL.
        chains: Properties that have an owl:propertyChainAxiom.
        shaped: Property to the number of SHACL property shapes about it, the most first.
        predicates: Predicate to number of statements.
        usages: Class to the usages of its instances, for the classes with the most instances;
            under "" those of subjects without a class.
        untyped: Subjects without a class.
        annotated: Predicate that only classes and properties have to the kinds of its values:
            ``class``, ``property``, ``text``, ``iri`` or the prefixed name of a class.
        marks: Those of them with few texts that repeat, to these texts with their counts.
        naming: Label predicate to language (or "") to count; ``commenting`` for comments.
        labels: Labels of classes and properties that say more than their names.
        namespaces: Namespace to number of subjects.
        missing: What could not be found out, and why.
        failed: Whether a question failed, so that asking again may find out more.
        least: When there is too much to count: how many triples there are at least. Numbers are
            then of a sample, where they could not be had exactly.
        looked_at: Class to the number of its instances that usages are told of, if not all.
    """

    title: str = ""
    comment: str = ""
    triples: int | None = None
    individuals: int | None = None
    declared: list[str] = field(default_factory=list)
    classes: dict[str, int] = field(default_factory=dict)
    supers: dict[str, list[str]] = field(default_factory=dict)
    anonymous: int | None = None
    domain_terms: list[str] = field(default_factory=list)
    properties: dict[str, PropertyFacts] = field(default_factory=dict)
    chains: list[str] = field(default_factory=list)
    shaped: dict[str, int] = field(default_factory=dict)
    predicates: dict[str, int] = field(default_factory=dict)
    usages: dict[str, list[Usage]] = field(default_factory=dict)
    untyped: int = 0
    annotated: dict[str, list[str]] = field(default_factory=dict)
    marks: dict[str, dict[str, int]] = field(default_factory=dict)
    naming: dict[str, dict[str, int]] = field(default_factory=dict)
    commenting: dict[str, dict[str, int]] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    namespaces: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    failed: bool = False
    least: int | None = None
    looked_at: dict[str, int] = field(default_factory=dict)

    @property
    def is_data(self) -> bool:
        """Whether it is instances that count here, rather than a vocabulary's classes."""
        counted = self.individuals
        if counted is None and self.least is not None:
            counted = sum(self.classes.values())
        return (counted or 0) >= len(self.classes)

    @property
    def children(self) -> dict[str, list[str]]:
        """Class to its direct subclasses."""
        children: dict[str, list[str]] = {}
        for child, parents in self.supers.items():
            for parent in parents:
                children.setdefault(parent, []).append(child)
        return children


def whole(term: Term) -> int:
    """Give a count as a number; an endpoint may send anything in its place.

    Example:
        >>> whole(Term("42", "literal")), whole(Term("many", "literal"))
        (42, 0)
    """
    return int(term.value) if term.value.isdecimal() else 0


class Asker:
    """Runs queries within a time for each and a time for all; they never fail, but leave facts out.

    Args:
        ontology: What to ask.
        timeout: Seconds for each query.
        seconds: Seconds for all together.
        facts: Their ``missing`` names what a query could not find out, and why.
    """

    def __init__(
        self, ontology: Ontology, timeout: float, seconds: float, facts: CardFacts
    ) -> None:
        self.ontology = ontology
        self.timeout = timeout
        self.facts = facts
        self._until = time.monotonic() + seconds

    def ask(self, what: str, query: str) -> tuple[tuple[Term | None, ...], ...]:
        """Give the rows of a query, none when it fails."""
        left = self._until - time.monotonic()
        if left <= 0:
            return self._failed(what, "no time left")
        timeout = min(self.timeout, left)
        try:
            rows = self.ontology.select(query, limit=MAX_ROWS, timeout=timeout)
        except QueryError as error:
            return self._failed(what, type(error).__name__)
        if rows.truncated:
            self.facts.missing.append(f"{what} beyond {MAX_ROWS} rows")
        return rows.terms

    def counts(self, what: str, query: str) -> dict[str, int]:
        """Give the counts ?n by ?k, the highest first, of a query without an order."""
        rows = self.ask(what, f"{query} ORDER BY DESC(?n) ?k")
        return {key.value: whole(n) for key, n in rows if key and n and key.kind != "bnode"}

    def counts_or_sample(self, what: str, pattern: str, key: str, sample: str) -> dict[str, int]:
        """Count the values of ``key`` in all matches of a pattern; where that fails, in a sample.

        Args:
            what: What is counted.
            pattern: Of all.
            key: A variable of both patterns.
            sample: A pattern for the sample.
        """

        def query(body: str) -> str:
            return f"SELECT ({key} AS ?k) (COUNT(*) AS ?n) WHERE {{ {body} }} GROUP BY {key}"

        before = len(self.facts.missing)
        found = self.counts(what, query(pattern))
        if len(self.facts.missing) == before:
            return found
        self.facts.missing[before:] = [f"all {what}"]
        return self.counts(f"{what} of a sample", query(sample))

    def labels(self, iris: Sequence[str]) -> dict[str, str]:
        """Give the labels that say more than the names, none when the query fails."""
        try:
            left = max(self._until - time.monotonic(), 0.1)
            return labels_of(self.ontology, iris, min(self.timeout, left))
        except QueryError as error:
            self._failed("labels", type(error).__name__)
            return {}

    def number(self, what: str, query: str) -> int | None:
        """Give the one number of a query, None when it fails."""
        rows = self.ask(what, query)
        return whole(rows[0][0]) if rows and rows[0][0] else None

    def _failed(self, what: str, why: str) -> tuple[()]:
        self.facts.missing.append(f"{what} ({why})")
        self.facts.failed = True
        return ()
