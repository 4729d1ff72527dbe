"""What a sense card says of an ontology, as values."""

from __future__ import annotations

from dataclasses import dataclass, field

from rlm_runtime.ontology.protocol import Term

__all__ = ["CardFacts", "PropertyFacts", "Usage"]


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


@dataclass
class PropertyFacts:
    """What the schema says of a property; all IRIs in full.

    Attributes:
        iri: The property.
        sorts: As what it is declared: ``object``, ``datatype``, ``annotation``, ``rdf:Property``.
        domains: Classes, those of a union one by one; ``ranges`` likewise, also datatypes.
        inverses: Its inverse properties, whichever of the two declares it.
    """

    iri: str
    sorts: list[str] = field(default_factory=list)
    domains: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    inverses: list[str] = field(default_factory=list)


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
        predicates: Predicate to number of statements.
        usages: Class to the usages of its instances, for the classes with the most instances;
            under "" those of subjects without a class.
        untyped: Subjects without a class.
        annotated: Predicate that only classes and properties have to the kinds of its values:
            ``class``, ``property``, ``text``, ``iri`` or the prefixed name of a class.
        naming: (predicate, language or "") to count, for labels; ``commenting`` for comments.
        labels: Labels of classes and properties that say more than their names.
        namespaces: Namespace to number of subjects.
        missing: What could not be found out, and why.
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
    predicates: dict[str, int] = field(default_factory=dict)
    usages: dict[str, list[Usage]] = field(default_factory=dict)
    untyped: int = 0
    annotated: dict[str, list[str]] = field(default_factory=dict)
    naming: dict[tuple[str, str], int] = field(default_factory=dict)
    commenting: dict[tuple[str, str], int] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    namespaces: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    @property
    def is_data(self) -> bool:
        """Whether it is instances that count here, rather than a vocabulary's classes."""
        return (self.individuals or 0) >= len(self.classes)
