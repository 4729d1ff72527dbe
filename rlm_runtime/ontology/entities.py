"""Collect the named entities of a store in one pass: kind, texts, classes, number of uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rlm_runtime.ontology.label_sorting import SortedRows
from rlm_runtime.ontology.protocol import EntityKind
from rlm_runtime.ontology.vocabulary import (
    COMMENT_PREDICATES,
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
# What statements say of an IRI, as bits; a later one is only heard without the earlier ones.
_DECLARED_CLASS, _DECLARED_PROPERTY, _CLASS, _PROPERTY, _SUBJECT = 1, 2, 4, 8, 16
_KINDS: tuple[tuple[int, EntityKind], ...] = (
    (_DECLARED_CLASS, "class"),
    (_DECLARED_PROPERTY, "property"),
    (_CLASS, "class"),
    (_PROPERTY, "property"),
    (_SUBJECT, "instance"),
)
# Predicate to what it says of its subject and of its object.
_SAID = {
    RDF + "type": (0, _CLASS),
    RDFS + "subClassOf": (_CLASS, _CLASS),
    RDFS + "subPropertyOf": (_PROPERTY, _PROPERTY),
    OWL + "inverseOf": (_PROPERTY, _PROPERTY),
    **dict.fromkeys((*DOMAINS, *RANGES), (_PROPERTY, _CLASS)),
}
_TEXT_PLACE = {iri: place for place, iri in enumerate(LABEL_PREDICATES)}
_COMMENT_PLACE = {iri: place for place, iri in enumerate(COMMENT_PREDICATES)}
# What is longer is hardly a name; literals may have megabytes.
_MAX_NAME = 1_000
_MAX_COMMENT = 2_000
_MAX_PARTS = 50_000


class Entity(NamedTuple):
    """One named entity.

    Attributes:
        iri: In full.
        kind: What it is; None when it is only mentioned as an object.
        uses: Statements that have it as predicate or object.
        texts: (predicate's place in LABEL_PREDICATES, text, language tag or "").
        comments: The same for COMMENT_PREDICATES.
        types: Its classes in full, in alphabetical order.
    """

    iri: str
    kind: EntityKind | None
    uses: int
    texts: tuple[tuple[int, str, str], ...]
    comments: tuple[tuple[int, str, str], ...]
    types: tuple[str, ...]


@dataclass(slots=True)
class _Part:
    """What some of the statements say of one IRI."""

    said: int = 0
    uses: int = 0
    texts: list[tuple[int, str, str]] = field(default_factory=list)
    comments: list[tuple[int, str, str]] = field(default_factory=list)
    types: list[str] = field(default_factory=list)


class _Parts(dict[str, _Part]):
    """What the statements since the last spill say, by IRI."""

    def __missing__(self, iri: str) -> _Part:
        part = self[iri] = _Part()
        return part

    def spill(self, rows: SortedRows) -> None:
        for iri, part in self.items():
            values = (part.texts, part.comments, part.types)
            rows.add((iri, part.said, part.uses, *map(tuple, values)))
        self.clear()


def collect_entities(
    store: pyoxigraph.Store,
    folder: Path | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Iterator[Entity]:
    """Read every statement of the default graph, which holds those of all graphs once.

    The terms of RDF, RDFS, OWL and XSD are left out unless the data describe them.

    Args:
        store: Read once.
        folder: For a temporary file, so that a store of any size needs little memory; None keeps
            everything in memory.
        on_progress: Called now and then with the number of statements read.

    Yields:
        Every IRI that occurs as subject, predicate or object, in alphabetical order.
    """
    rows = SortedRows(folder)
    _read(store, rows, on_progress)
    for iri, same in groupby(rows.drain(), itemgetter(0)):
        said, uses, lists = 0, 0, ((), (), ())
        for _, more_said, more_uses, *more in same:
            said, uses = said | more_said, uses + more_uses
            lists = tuple(a + b for a, b in zip(lists, more, strict=True))
        if said & _SUBJECT or not iri.startswith(META):
            kind: EntityKind | None = next((kind for bit, kind in _KINDS if said & bit), None)
            yield Entity(iri, kind, uses, lists[0], lists[1], tuple(sorted(set(lists[2]))))


def _read(
    store: pyoxigraph.Store, rows: SortedRows, on_progress: Callable[[int], None] | None
) -> None:
    from pyoxigraph import DefaultGraph, Literal, NamedNode

    parts, kept = _Parts(), 0
    quads = store.quads_for_pattern(None, None, None, DefaultGraph())
    for number, (node, relation, value, _) in enumerate(quads, 1):
        predicate = relation.value
        parts[predicate].uses += 1
        parts[predicate].said |= _PROPERTY
        subject = parts[node.value] if isinstance(node, NamedNode) else None
        if subject is not None:
            subject.said |= _SUBJECT
        if isinstance(value, NamedNode):
            _link(subject, predicate, parts[value.value], value.value)
        elif subject is not None and isinstance(value, Literal):
            kept += _tell(subject, predicate, value)
        if len(parts) + kept >= _MAX_PARTS:
            parts.spill(rows)
            kept = 0
            if on_progress is not None:
                on_progress(number)
    parts.spill(rows)


def _link(subject: _Part | None, predicate: str, target: _Part, iri: str) -> None:
    target.uses += 1
    said = _SAID.get(predicate)
    if said is None:
        return
    target.said |= said[1]
    if subject is None:
        return
    subject.said |= said[0]
    if predicate == RDF + "type":
        if iri in _CLASS_TYPES:
            subject.said |= _DECLARED_CLASS
        elif iri in _PROPERTY_TYPES:
            subject.said |= _DECLARED_PROPERTY
        if iri != OWL + "NamedIndividual":
            subject.types.append(iri)


def _tell(subject: _Part, predicate: str, value: pyoxigraph.Literal) -> int:
    """Keep a literal that is a name or a comment; say how much more is kept, roughly."""
    language = (value.language or "").lower()
    if predicate in _TEXT_PLACE:
        text = value.value[:_MAX_NAME]
        subject.texts.append((_TEXT_PLACE[predicate], text, language))
    elif predicate in _COMMENT_PLACE:
        text = value.value[:_MAX_COMMENT]
        subject.comments.append((_COMMENT_PLACE[predicate], text, language))
    else:
        return 0
    return 1 + len(text) // 200
