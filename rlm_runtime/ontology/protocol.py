"""What every ontology promises, local or remote: the protocol and the values it trades in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from rlm_runtime.ontology.schema import Axioms, ClassSchema, Count

__all__ = ["Description", "EntityKind", "Match", "Ontology", "Plain", "QueryForm", "Rows", "Term"]

Plain = str | int | float | bool | None
"""A value as plain Python: what JSON can hold."""

EntityKind = Literal["class", "property", "instance"]
QueryForm = Literal["SELECT", "ASK", "CONSTRUCT", "DESCRIBE"]

_XSD = "http://www.w3.org/2001/XMLSchema#"
_INTEGERS = frozenset(
    _XSD + sign + name
    for sign, name in (
        *(("", n) for n in ("integer", "long", "int", "short", "byte")),
        *(("nonNegative", "Integer"), ("positive", "Integer")),
        *(("nonPositive", "Integer"), ("negative", "Integer")),
        *(("unsigned", n) for n in ("Long", "Int", "Short", "Byte")),
    )
)
_FLOATS = frozenset(_XSD + name for name in ("decimal", "double", "float"))
_BOOLEAN = _XSD + "boolean"


class Term(NamedTuple):
    """One RDF term.

    Attributes:
        value: The IRI in full, the blank node's label without ``_:``, or the lexical form.
        kind: ``iri``, ``bnode`` or ``literal``.
        datatype: A literal's datatype IRI in full ("" for IRIs and blank nodes).
        language: A literal's language tag in lower case, or "".

    Example:
        >>> Term("42", "literal", "http://www.w3.org/2001/XMLSchema#integer").plain
        42
    """

    value: str
    kind: Literal["iri", "bnode", "literal"]
    datatype: str = ""
    language: str = ""

    @property
    def plain(self) -> Plain:
        """The term as int, float, bool or str; an ill-typed literal stays the text it is."""
        if self.kind != "literal":
            return self.value if self.kind == "iri" else f"_:{self.value}"
        try:
            if self.datatype in _INTEGERS:
                return int(self.value)
            if self.datatype in _FLOATS:
                number = float(self.value)
                # JSON has no NaN and no infinity; their lexical form says the same.
                return number if abs(number) != float("inf") and number == number else self.value
        except ValueError:
            return self.value
        if self.datatype == _BOOLEAN and self.value in ("true", "1", "false", "0"):
            return self.value in ("true", "1")
        return self.value


@dataclass(frozen=True)
class Rows:
    """The rows of a query.

    Attributes:
        columns: Names of the columns without ``?``, in the query's order. ASK has one column,
            ``ask``; CONSTRUCT and DESCRIBE have ``subject``, ``predicate``, ``object``.
        terms: One tuple a row, a Term or None (unbound) for each column.
        form: The query form.
        truncated: True when there were more rows than the limit.
        duration: Seconds that the query took.
    """

    columns: tuple[str, ...]
    terms: tuple[tuple[Term | None, ...], ...]
    form: QueryForm = "SELECT"
    truncated: bool = False
    duration: float = 0.0

    @property
    def rows(self) -> list[dict[str, Plain]]:
        """The rows as dicts of plain values; an unbound variable is None.

        Example:
            >>> Rows(("c",), ((Term("http://e/A", "iri"),),)).rows
            [{'c': 'http://e/A'}]
        """
        return [
            dict(zip(self.columns, (t.plain if t else None for t in row), strict=True))
            for row in self.terms
        ]

    def __len__(self) -> int:
        return len(self.terms)


@dataclass(frozen=True)
class Match:
    """One hit of an entity search.

    Attributes:
        iri: The entity, in full.
        label: Its best label, or its local name when it has none.
        kind: ``class``, ``property`` or ``instance``.
        matched: The text that matched (a label, a synonym or a local name).
        rank: How it matched, best first: ``exact``, ``prefix``, ``words``, ``corrected``, ``any``.
        types: For an instance, up to three of its classes, in full.
    """

    iri: str
    label: str
    kind: EntityKind
    matched: str
    rank: Literal["exact", "prefix", "words", "corrected", "any"]
    types: tuple[str, ...] = ()


@dataclass(frozen=True)
class Description:
    """What an ontology says of one entity.

    Attributes:
        iri: The entity, in full.
        kind: ``class``, ``property`` or ``instance``; None when it is only mentioned.
        labels: Its labels, as terms, the best first (in English, if there is one).
        comments: Its definitions, then its comments, as terms, ordered likewise.
        outgoing: Statements of which it is the subject, labels and comments left out:
            predicate IRI to values.
        incoming: Statements of which it is the object: predicate IRI to subjects.
        outgoing_count: How many outgoing statements there are in all, shown or not.
        incoming_count: How many incoming statements there are in all, shown or not.
        truncated: True when some were cut at the limit.
        axioms: Of a class or property: what its schema says, with constructs written out.
        blank_values: Predicate IRI to the blank nodes among its values, written out as in
            ``[ex:street "Main St"; ex:city ex:Ulm]``, lists as ``(ex:a ex:b)``.
        instances: Of a class: how many instances it has; None when that took too long.
        instances_below: Of a class: how many there are together with its subclasses'.
    """

    iri: str
    kind: EntityKind | None
    labels: tuple[Term, ...] = ()
    comments: tuple[Term, ...] = ()
    outgoing: Mapping[str, tuple[Term, ...]] = field(default_factory=dict)
    incoming: Mapping[str, tuple[Term, ...]] = field(default_factory=dict)
    outgoing_count: int = 0
    incoming_count: int = 0
    truncated: bool = False
    axioms: Axioms = field(default_factory=Axioms)
    blank_values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    instances: Count | None = None
    instances_below: Count | None = None


@runtime_checkable
class Ontology(Protocol):
    """A source of RDF that can be asked; safe to use from several threads at once."""

    @property
    def name(self) -> str:
        """A short name, as in ``prov``: the file's stem, or made from the endpoint."""
        ...

    @property
    def source(self) -> str:
        """Where it comes from: a path, an address, or ``rdflib.Graph``."""
        ...

    @property
    def prefixes(self) -> Mapping[str, str]:
        """Prefix to namespace IRI: the source's own first, then the usual ones."""
        ...

    def select(self, query: str, *, limit: int = 100, timeout: float = 30.0) -> Rows:
        """Run a read-only SPARQL query; known prefixes need no declaration.

        Args:
            query: SELECT, ASK, CONSTRUCT or DESCRIBE.
            limit: The most rows to return; more set ``truncated``.
            timeout: Seconds.

        Raises:
            QueryRejected: The query could change something or reach out.
            QueryTimeout: It ran longer than ``timeout``.
            QueryError: Anything else, with what to do.
        """
        ...

    def search(
        self, text: str, *, limit: int = 10, kind: EntityKind | Literal["any"] = "any"
    ) -> list[Match]:
        """Find entities by label, synonym or local name, best first."""
        ...

    def describe(self, iri: str, *, limit: int = 25, timeout: float = 30.0) -> Description:
        """Say what is known of an entity.

        Args:
            iri: An IRI in full, in angle brackets, or a prefixed name.
            limit: The most statements to give in each direction.
            timeout: Seconds; what the schema says is left out where they do not suffice for it.

        Raises:
            QueryError: No such prefix, or nothing is said of this IRI; or it took too long
                (QueryTimeout).
        """
        ...

    def schema_of(self, iri: str, *, limit: int = 50, timeout: float = 20.0) -> ClassSchema:
        """Say which properties the instances of a class and of its subclasses really use.

        Args:
            iri: An IRI in full, in angle brackets, or a prefixed name.
            limit: The most properties to give.
            timeout: Seconds.

        Raises:
            QueryError: No such prefix; or it took too long (QueryTimeout).
        """
        ...

    def contains(self, iri: str) -> bool:
        """Say whether an IRI in full is a subject, predicate, object or graph here."""
        ...

    def expand(self, name: str) -> str:
        """Give the full IRI of a prefixed name, ``<iri>`` or IRI.

        Raises:
            QueryError: The prefix is not known; the message lists those that are.
        """
        ...

    def compact(self, iri: str) -> str:
        """Give the prefixed name of an IRI that is legal in SPARQL, else ``<iri>``."""
        ...

    def close(self) -> None:
        """Free what it holds; calling it again does nothing."""
        ...

    def __enter__(self) -> Ontology: ...

    def __exit__(self, *exc: object) -> None: ...
