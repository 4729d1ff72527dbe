"""Collect the named entities of a store: kind, texts, classes, number of uses."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

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

_IS_A = RDF + "type"
_INDIVIDUAL = OWL + "NamedIndividual"
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
_KIND_OF: list[EntityKind | None] = [
    next((kind for bit, kind in _KINDS if said & bit), None) for said in range(2 * _SUBJECT)
]
_DECLARED = {
    **dict.fromkeys(_CLASS_TYPES, _DECLARED_CLASS),
    **dict.fromkeys(_PROPERTY_TYPES, _DECLARED_PROPERTY),
}
# Predicate to what it says of its subject and of its object.
_LINKS = {
    _IS_A: (0, _CLASS),
    RDFS + "subClassOf": (_CLASS, _CLASS),
    RDFS + "subPropertyOf": (_PROPERTY, _PROPERTY),
    OWL + "inverseOf": (_PROPERTY, _PROPERTY),
    OWL + "equivalentProperty": (_PROPERTY, _PROPERTY),
    **dict.fromkeys((*DOMAINS, *RANGES), (_PROPERTY, _CLASS)),
}
# Kinds of facts of an IRI, each with two numbers and a text: what statements say of it and how many
# use it; one of its classes; a name or comment with the places of its language and predicate.
_SAID, _TYPE, _NAME, _COMMENT = range(4)
_TEXTS = {
    **{iri: (_COMMENT, place) for place, iri in enumerate(COMMENT_PREDICATES)},
    **{iri: (_NAME, place) for place, iri in enumerate(LABEL_PREDICATES)},
}
# What is longer is hardly a name; literals may have megabytes.
_LONGEST = {_NAME: 1_000, _COMMENT: 2_000}

# Of terms that are only counted the engine reads each one once: to read those of every statement
# takes most of the time in a large store. What is given for ?p must be in the answer.
_PREDICATES = "SELECT ?p (COUNT(*) AS ?n) { ?s ?p ?o } GROUP BY ?p"
_OBJECTS = "SELECT ?p ?o (COUNT(*) AS ?n) { ?s ?p ?o } GROUP BY ?p ?o"
_SUBJECTS = "SELECT DISTINCT ?s { ?s ?p ?o }"
# For fewer statements it is not worth a query.
_MANY = 10_000

_Fact = tuple[str, int, int, int, str]


class Entity(NamedTuple):
    """One named entity.

    Attributes:
        iri: In full.
        kind: What it is; None when it is only mentioned as an object.
        uses: Statements that have it as predicate or object.
        names: (place of the language, text), the best first.
        comments: The same.
        types: Its classes in full, in alphabetical order.
    """

    iri: str
    kind: EntityKind | None
    uses: int
    names: list[tuple[int, str]]
    comments: list[tuple[int, str]]
    types: list[str]


def collect_entities(
    store: pyoxigraph.Store,
    db: sqlite3.Connection,
    language: str,
    on_progress: Callable[[int], None] | None = None,
) -> Iterator[Entity]:
    """Read every statement of a store whose named graphs are merged.

    The terms of RDF, RDFS, OWL and XSD are left out unless the data describe them.

    Args:
        store: What is read; the engine keeps its distinct subjects in memory for a while, and the
            distinct objects of one predicate.
        db: Sorts what is found, in a table ``work.fact``.
        language: Of several, it is the best; then comes none, and then all others.
        on_progress: Called now and then with the number of statements read.

    Yields:
        Every IRI that occurs as subject, predicate or object, in alphabetical order.
    """
    db.execute("CREATE TABLE work.fact (iri, what, first, second, text)")
    facts = _facts(store, {language.lower(): 0, "": 1}, on_progress)
    db.executemany("INSERT INTO work.fact VALUES (?, ?, ?, ?, ?)", facts)
    rows = db.execute("SELECT * FROM work.fact ORDER BY iri, what, first, second, text")
    for iri, of_one in groupby(rows, itemgetter(0)):
        said = uses = 0
        names: list[tuple[int, str]] = []
        comments: list[tuple[int, str]] = []
        types: list[str] = []
        for _, what, first, second, text in of_one:
            if what == _SAID:
                said |= first
                uses += second
            elif what == _NAME:
                names.append((first, text))
            elif what == _TYPE:
                said |= _DECLARED.get(text, 0)
                types.append(text)
            else:
                comments.append((first, text))
        if said & _SUBJECT or not iri.startswith(META):
            yield Entity(iri, _KIND_OF[said], uses, names, comments, types)
    db.execute("DROP TABLE work.fact")


def _facts(
    store: pyoxigraph.Store, languages: dict[str, int], on_progress: Callable[[int], None] | None
) -> Iterator[_Fact]:
    from pyoxigraph import NamedNode, Variable

    graph, read = whole_graph(store), 0

    def ask(query: str, **given: NamedNode) -> Iterable[Any]:
        values: Any = {Variable(name): value for name, value in given.items()}
        solutions: Any = store.query(query, default_graph=graph, substitutions=values)
        return solutions

    for relation, count in ask(_PREDICATES):
        predicate, uses = relation.value, int(count.value)
        yield predicate, _SAID, _PROPERTY, uses, ""
        quads = store.quads_for_pattern(None, relation, None, graph)
        if predicate in _TEXTS:
            yield from _texts(quads, *_TEXTS[predicate], languages)
        elif predicate in _LINKS or uses < _MANY:
            yield from _links(quads, predicate)
        else:
            for _, value, times in ask(_OBJECTS, p=relation):
                if isinstance(value, NamedNode):
                    yield value.value, _SAID, 0, int(times.value), ""
        read += uses
        if on_progress is not None:
            on_progress(read)
    for (node,) in ask(_SUBJECTS):
        if isinstance(node, NamedNode):
            yield node.value, _SAID, _SUBJECT, 0, ""


def _links(quads: Iterable[pyoxigraph.Quad], predicate: str) -> Iterator[_Fact]:
    from pyoxigraph import NamedNode

    of_subject, of_object = _LINKS.get(predicate, (0, 0))
    uses: Counter[str] = Counter()
    for node, _, value, _ in quads:
        if isinstance(value, NamedNode):
            target = value.value
            uses[target] += 1
            if isinstance(node, NamedNode):
                if of_subject:
                    yield node.value, _SAID, of_subject, 0, ""
                elif predicate == _IS_A and target != _INDIVIDUAL:
                    yield node.value, _TYPE, 0, 0, target
    for iri, times in uses.items():
        yield iri, _SAID, of_object, times, ""


def _texts(
    quads: Iterable[pyoxigraph.Quad], what: int, place: int, languages: dict[str, int]
) -> Iterator[_Fact]:
    from pyoxigraph import Literal, NamedNode

    for node, _, value, _ in quads:
        if isinstance(value, NamedNode):
            yield value.value, _SAID, 0, 1, ""
        elif isinstance(node, NamedNode) and isinstance(value, Literal):
            text = value.value[: _LONGEST[what]]
            tag = (value.language or "").lower()
            if text.strip():
                order = languages.get(tag, languages.get(tag.split("-")[0], 2))
                yield node.value, what, order, place, text
