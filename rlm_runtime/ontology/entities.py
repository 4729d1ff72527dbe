"""Collect the named entities of a store in one pass: kind, texts, classes, number of uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from rlm_runtime.ontology.whole_graph import whole_graph

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
# Predicate to what kind of text it has, and its place among the predicates of that kind.
_NAME, _COMMENT = 0, 1
_TEXTS = {
    **{iri: (_COMMENT, place) for place, iri in enumerate(COMMENT_PREDICATES)},
    **{iri: (_NAME, place) for place, iri in enumerate(LABEL_PREDICATES)},
}
# What is longer is hardly a name; literals may have megabytes.
_LONGEST = (1_000, 2_000)
_MAX_PARTS = 50_000

_Text = tuple[int, str, str]
_Row = tuple[str, int, int, tuple[_Text, ...], tuple[_Text, ...], tuple[str, ...]]


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
    texts: tuple[_Text, ...]
    comments: tuple[_Text, ...]
    types: tuple[str, ...]


class _Part:
    """What some of the statements say of one IRI."""

    # Most IRIs have no texts: a list for each would take most of the memory.
    __slots__ = ("said", "texts", "types", "uses")

    def __init__(self) -> None:
        self.said = 0
        self.uses = 0
        self.texts: tuple[list[_Text], list[_Text]] | None = None
        self.types: list[str] | None = None


class _Parts(dict[str, _Part]):
    """What the statements since the last spill say, by IRI."""

    def __missing__(self, iri: str) -> _Part:
        part = self[iri] = _Part()
        return part

    def spill(self, rows: SortedRows) -> None:
        for iri, part in self.items():
            names, comments = map(tuple, part.texts) if part.texts else ((), ())
            types = tuple(part.types) if part.types else ()
            rows.add((iri, part.said, part.uses, names, comments, types))
        self.clear()


def collect_entities(
    store: pyoxigraph.Store,
    folder: Path | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Iterator[Entity]:
    """Read every statement of a store whose named graphs are merged.

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
    for iri, said, uses, names, comments, types in _merged(rows.drain()):
        if said & _SUBJECT or not iri.startswith(META):
            kind: EntityKind | None = next((kind for bit, kind in _KINDS if said & bit), None)
            yield Entity(iri, kind, uses, names, comments, tuple(sorted(set(types))))


def _merged(rows: Iterator[_Row]) -> Iterator[_Row]:
    """Make one row of all rows of an IRI, which follow each other."""
    last = next(rows, None)
    for row in rows:
        assert last is not None
        if row[0] != last[0]:
            yield last
            last = row
        else:
            lists = (last[3] + row[3], last[4] + row[4], last[5] + row[5])
            last = (row[0], last[1] | row[1], last[2] + row[2], *lists)
    if last is not None:
        yield last


def _read(
    store: pyoxigraph.Store, rows: SortedRows, on_progress: Callable[[int], None] | None
) -> None:
    from pyoxigraph import Literal, NamedNode

    parts, kept = _Parts(), 0
    quads = store.quads_for_pattern(None, None, None, whole_graph(store))
    for number, (node, relation, value, _) in enumerate(quads, 1):
        predicate = relation.value
        part = parts[predicate]
        part.uses += 1
        part.said |= _PROPERTY
        subject = parts[node.value] if isinstance(node, NamedNode) else None
        if subject is not None:
            subject.said |= _SUBJECT
        if isinstance(value, NamedNode):
            target = parts[value.value]
            target.uses += 1
            if predicate in _SAID:
                _link(subject, predicate, target, value.value)
        elif subject is not None and predicate in _TEXTS and isinstance(value, Literal):
            kept += _tell(subject, predicate, value)
        if len(parts) + kept >= _MAX_PARTS:
            parts.spill(rows)
            kept = 0
            if on_progress is not None:
                on_progress(number)
    parts.spill(rows)


def _link(subject: _Part | None, predicate: str, target: _Part, iri: str) -> None:
    of_subject, of_target = _SAID[predicate]
    target.said |= of_target
    if subject is None:
        return
    subject.said |= of_subject
    if predicate == RDF + "type":
        if iri in _CLASS_TYPES:
            subject.said |= _DECLARED_CLASS
        elif iri in _PROPERTY_TYPES:
            subject.said |= _DECLARED_PROPERTY
        if iri != OWL + "NamedIndividual":
            subject.types = subject.types or []
            subject.types.append(iri)


def _tell(subject: _Part, predicate: str, value: pyoxigraph.Literal) -> int:
    """Keep a name or a comment; say how much more is kept, roughly."""
    what, place = _TEXTS[predicate]
    text = value.value[: _LONGEST[what]]
    subject.texts = subject.texts or ([], [])
    subject.texts[what].append((place, text, (value.language or "").lower()))
    return 1 + len(text) // 200
