"""Find out which properties the instances of a class really use, from the data alone."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rlm_runtime.errors import QueryTimeout
from rlm_runtime.ontology.labels import values_clause
from rlm_runtime.ontology.schema import ClassSchema, Count, PropertyUse, ValueKind
from rlm_runtime.ontology.vocabulary import OWL, RDF, RDFS
from rlm_runtime.ontology.within import Within, is_writable

if TYPE_CHECKING:
    from rlm_runtime.ontology.protocol import Ontology, Term

__all__ = ["ClassSchemas", "class_and_below", "count_instances"]

_SAMPLES = (20_000, 500)
_MAX_CLASSES = 2_000
_MAX_COUNT = 1_000_000
_MAX_PROPERTIES = 200
_MAX_KINDS = 2_000
_MAX_KEPT = 256
_MAX_POPULATED = 100
_TYPE = RDF + "type"


class ClassSchemas:
    """The schemas of the classes of one ontology, each found out once; safe to share by threads.

    Args:
        ontology: What to ask; its ``select`` and ``compact`` are used.
    """

    def __init__(self, ontology: Ontology) -> None:
        self._ontology = ontology
        self._lock = threading.Lock()
        self._known: dict[str, ClassSchema] = {}

    def of(self, iri: str, *, limit: int, timeout: float = 20.0) -> ClassSchema:
        """Give the schema of a class.

        Of a class with more than 20,000 instances that many are looked at, as many of each subclass
        where there are so many, or 500 when even those take too long. They are the first that the
        store gives, not drawn by lot.

        Args:
            iri: The class, in full.
            limit: The most properties.
            timeout: Seconds for all queries together.

        Raises:
            QueryTimeout: Even a small sample took too long.
        """
        with self._lock:
            found = self._known.get(iri)
        if found is None:
            found = _find_out(self._ontology, iri, timeout)
            with self._lock:
                if len(self._known) >= _MAX_KEPT:
                    self._known.clear()
                self._known[iri] = found
        if len(found.properties) <= limit:
            return found
        return replace(found, properties=found.properties[:limit], truncated=True)


def class_and_below(asked: Within, iri: str) -> list[str]:
    """Give a class and all of its named subclasses, at most 2,000, in full, itself first."""
    query = f"SELECT DISTINCT ?x WHERE {{ ?x <{RDFS}subClassOf>+ <{iri}> FILTER(isIRI(?x)) }}"
    found = {term.value for (term,) in asked.ask(query, _MAX_CLASSES) if term}
    return [iri, *sorted(other for other in found - {iri} if is_writable(other))]


def count_instances(asked: Within, classes: Sequence[str]) -> Count:
    """Count what belongs to any of some classes, up to a million."""
    query = f"SELECT (COUNT(*) AS ?n) WHERE {{ {_instances(classes, _MAX_COUNT + 1)} }}"
    count = _number(asked.ask(query, 1)[0][0])
    return Count(min(count, _MAX_COUNT), count <= _MAX_COUNT)


def _instances(classes: Sequence[str], most: int) -> str:
    """Write a pattern for the first instances of some classes, each once, as ?s."""
    which = f"{values_clause(classes)} ?s <{_TYPE}> ?x"
    once = "DISTINCT " if len(classes) > 1 else ""
    return f"{{ SELECT {once}?s WHERE {{ {which} }} LIMIT {most} }}"


def _evenly(classes: Sequence[str], most: int) -> str:
    """Write a pattern for instances as ?s, as many of each class; the first would hide the rest."""
    share = max(1, most // len(classes))
    union = " UNION ".join(_instances([iri], share) for iri in classes)
    return f"{{ SELECT DISTINCT ?s WHERE {{ {union} }} }}"


def _find_out(ontology: Ontology, iri: str, timeout: float) -> ClassSchema:
    classes, counted = [iri], None
    for size in _SAMPLES:
        # A smaller sample must have its time as well.
        asked = Within(ontology, timeout / len(_SAMPLES))
        try:
            if counted is None:
                classes = class_and_below(asked, iri)
                counted = count_instances(asked, classes)
            if counted.exact and counted.number <= size:
                return _examined(asked, iri, counted, _instances(classes, size))
            populated = _populated(asked, classes) or [iri]
            return _examined(asked, iri, counted, _evenly(populated, size))
        except QueryTimeout:
            continue
    raise QueryTimeout(
        f"Looking at {_SAMPLES[-1]} instances of {ontology.compact(iri)} took longer than "
        f"{timeout:g} s. Ask about a subclass of it, or query its instances with a LIMIT."
    )


def _populated(asked: Within, classes: Sequence[str]) -> list[str]:
    query = f"SELECT ?x WHERE {{ {values_clause(classes)} FILTER EXISTS {{ ?s <{_TYPE}> ?x }} }}"
    return [term.value for (term,) in asked.ask(query, _MAX_POPULATED) if term]


def _examined(asked: Within, iri: str, counted: Count, sample: str) -> ClassSchema:
    examined = _number(asked.ask(f"SELECT (COUNT(*) AS ?n) WHERE {{ {sample} }}", 1)[0][0])
    uses = _uses(asked, sample, examined)
    _add_kinds(asked, sample, uses)
    properties = tuple(
        PropertyUse(
            predicate,
            use.subjects,
            use.values,
            use.least,
            use.most,
            tuple(sorted(use.kinds, key=lambda kind: (-kind.values, kind[:3]))),
            use.example,
        )
        for predicate, use in list(uses.items())[:_MAX_PROPERTIES]
    )
    return ClassSchema(iri, counted, examined, properties, len(uses) > _MAX_PROPERTIES)


def _number(term: Term | None) -> int:
    return int(term.value) if term else 0


@dataclass
class _Use:
    subjects: int
    values: int
    least: int
    most: int
    kinds: list[ValueKind] = field(default_factory=list)
    example: Term | None = None


def _uses(asked: Within, sample: str, examined: int) -> dict[str, _Use]:
    rows = asked.ask(
        "SELECT ?p (COUNT(?s) AS ?have) (SUM(?each) AS ?n) (MIN(?each) AS ?low) "
        "(MAX(?each) AS ?high) WHERE { { SELECT ?p ?s (COUNT(?o) AS ?each) WHERE { "
        f"{sample} ?s ?p ?o FILTER(?p != <{_TYPE}>) }} GROUP BY ?p ?s }} }} "
        "GROUP BY ?p ORDER BY DESC(?have) ?p",
        _MAX_PROPERTIES + 1,
    )
    uses = {}
    for predicate, *numbers in rows:
        have, values, low, high = (_number(term) for term in numbers)
        if predicate:
            least = low if have == examined else 0
            uses[predicate.value] = _Use(have, values, least, high)
    return uses


def _add_kinds(asked: Within, sample: str, uses: dict[str, _Use]) -> None:
    query = (
        "SELECT ?p ?sort ?type ?language (COUNT(*) AS ?n) (MIN(?o) AS ?example) WHERE { "
        f"{sample} ?s ?p ?o FILTER(?p != <{_TYPE}>) "
        f"OPTIONAL {{ ?o <{_TYPE}> ?class FILTER(isIRI(?class) "
        f"&& ?class != <{OWL}NamedIndividual>) }} "
        'BIND(IF(isLiteral(?o), "literal", IF(BOUND(?class), "class", '
        'IF(isIRI(?o), "iri", "bnode"))) AS ?sort) '
        'BIND(IF(isLiteral(?o), DATATYPE(?o), IF(BOUND(?class), ?class, "")) AS ?type) '
        'BIND(IF(isLiteral(?o), LCASE(LANG(?o)), "") AS ?language) '
        "} GROUP BY ?p ?sort ?type ?language ORDER BY ?p DESC(?n) ?sort ?type ?language"
    )
    for predicate, sort, type_, language, count, example in asked.ask(query, _MAX_KINDS):
        use = uses.get(predicate.value) if predicate else None
        if use is None or not (sort and count):
            continue
        kind: ValueKind = ValueKind(
            sort.value,  # pyright: ignore[reportArgumentType]
            type_.value if type_ else "",
            language.value if language else "",
            int(count.value),
        )
        use.kinds.append(kind)
        if use.example is None:
            use.example = example
