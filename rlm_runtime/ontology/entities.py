"""Collect the named entities of a store in one pass: kind, texts, classes, number of uses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rlm_runtime.ontology.protocol import EntityKind
from rlm_runtime.ontology.vocabulary import (
    DOMAINS,
    LABEL_PREDICATES,
    META,
    OWL,
    RANGES,
    RDF,
    RDFS,
)

if TYPE_CHECKING:
    import pyoxigraph

__all__ = ["Entity", "collect_entities"]

_CLASS_TYPES = frozenset({OWL + "Class", RDFS + "Class", OWL + "DeprecatedClass"})
_PROPERTY_TYPES = frozenset(
    {RDF + "Property", OWL + "ObjectProperty", OWL + "DatatypeProperty"}
    | {OWL + "AnnotationProperty", OWL + "OntologyProperty", OWL + "FunctionalProperty"}
    | {OWL + "InverseFunctionalProperty", OWL + "TransitiveProperty", OWL + "DeprecatedProperty"}
    | {OWL + "SymmetricProperty", OWL + "AsymmetricProperty"}
    | {OWL + "ReflexiveProperty", OWL + "IrreflexiveProperty"}
)
_BETWEEN_PROPERTIES = frozenset({RDFS + "subPropertyOf", OWL + "inverseOf"})
_TO_CLASS = frozenset({*DOMAINS, *RANGES})


@dataclass
class Entity:
    """One named entity.

    Attributes:
        iri: In full.
        kind: What it is; None when it is only mentioned as an object.
        texts: (predicate's place in LABEL_PREDICATES, text, language tag or "").
        types: Its classes in full, in alphabetical order.
        uses: Statements that have it as predicate or object.
    """

    iri: str
    kind: EntityKind | None = None
    texts: list[tuple[int, str, str]] = field(default_factory=list)
    types: tuple[str, ...] = ()
    uses: int = 0


class _Pass:
    """What one pass over the statements gathers."""

    def __init__(self) -> None:
        self.entities: dict[str, Entity] = {}
        self.declared_classes: set[str] = set()
        self.declared_properties: set[str] = set()
        self.classes: set[str] = set()
        self.properties: set[str] = set()
        self.subjects: set[str] = set()
        self.types: dict[str, set[str]] = {}

    def entity(self, iri: str) -> Entity:
        found = self.entities.get(iri)
        if found is None:
            found = self.entities[iri] = Entity(iri)
        return found

    def link(self, subject: str | None, predicate: str, target: str) -> None:
        """Take a statement whose object is an IRI; the subject is None for a blank node."""
        self.entity(target).uses += 1
        if predicate == RDF + "type":
            self.classes.add(target)
            if subject is not None:
                self._typed(subject, target)
        elif predicate == RDFS + "subClassOf":
            self.classes.update(iri for iri in (subject, target) if iri)
        elif predicate in _BETWEEN_PROPERTIES:
            self.properties.update(iri for iri in (subject, target) if iri)
        elif predicate in _TO_CLASS:
            self.classes.add(target)
            if subject is not None:
                self.properties.add(subject)

    def _typed(self, subject: str, target: str) -> None:
        if target in _CLASS_TYPES:
            self.declared_classes.add(subject)
        elif target in _PROPERTY_TYPES:
            self.declared_properties.add(subject)
        if target != OWL + "NamedIndividual":
            self.types.setdefault(subject, set()).add(target)

    def kind(self, iri: str) -> EntityKind | None:
        if iri in self.declared_classes:
            return "class"
        if iri in self.declared_properties:
            return "property"
        if iri in self.classes:
            return "class"
        if iri in self.properties:
            return "property"
        return "instance" if iri in self.subjects else None


def collect_entities(store: pyoxigraph.Store) -> dict[str, Entity]:
    """Read every statement of the default graph, which holds those of all graphs once.

    The terms of RDF, RDFS, OWL and XSD are left out unless the data describe them.

    Returns:
        IRI to Entity, for every IRI that occurs as subject, predicate or object.
    """
    from pyoxigraph import DefaultGraph, Literal, NamedNode

    label_place = {iri: place for place, iri in enumerate(LABEL_PREDICATES)}
    seen = _Pass()
    predicates: dict[str, int] = {}
    for quad in store.quads_for_pattern(None, None, None, DefaultGraph()):
        predicate = quad.predicate.value
        predicates[predicate] = predicates.get(predicate, 0) + 1
        node, value = quad.subject, quad.object
        subject = node.value if isinstance(node, NamedNode) else None
        if subject is not None:
            seen.subjects.add(subject)
        if isinstance(value, NamedNode):
            seen.link(subject, predicate, value.value)
        elif subject is not None and isinstance(value, Literal) and predicate in label_place:
            text = (label_place[predicate], value.value, (value.language or "").lower())
            seen.entity(subject).texts.append(text)
    for iri, uses in predicates.items():
        seen.properties.add(iri)
        seen.entity(iri).uses += uses
    for iri in seen.subjects:
        entity = seen.entity(iri)
        entity.types = tuple(sorted(seen.types.get(iri, ())))
    for iri in [i for i in seen.entities if i.startswith(META) and i not in seen.subjects]:
        del seen.entities[iri]
    for iri, entity in seen.entities.items():
        entity.kind = seen.kind(iri)
    return seen.entities
