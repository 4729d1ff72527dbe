"""What a schema says of an entity, and what data really do: the values that hold it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from rlm_runtime.ontology.protocol import Term

__all__ = ["Axioms", "ClassSchema", "Count", "Expression", "PropertyUse", "ValueKind"]


class Count(NamedTuple):
    """A number that was counted up to a bound.

    Attributes:
        number: How many were counted.
        exact: False when counting stopped there and there are more.

    Example:
        >>> str(Count(1_000_000, exact=False))
        'more than 1,000,000'
    """

    number: int
    exact: bool = True

    def __str__(self) -> str:
        return f"{'' if self.exact else 'more than '}{self.number:,}"


class Expression(NamedTuple):
    """A class, data range, property or constraint: a name, or a construct written out.

    Attributes:
        text: With prefixed names, in Manchester's words: ``ex:hasPart some ex:Wheel``.
        iri: In full, when it is a name alone, else "".
        source: In full, who says so: a superclass, a superproperty or a shape; "" when the
            entity itself does.
    """

    text: str
    iri: str = ""
    source: str = ""


@dataclass(frozen=True)
class Axioms:
    """What RDFS, OWL and SHACL say of a class or a property.

    Attributes:
        supers: Direct superclasses or superproperties; of a class, then the restrictions that
            named superclasses hand down, with these as ``source``.
        ancestors: The superclasses or superproperties further up than the direct ones, in full,
            the nearest first; OWL's own are left out.
        subs: Direct subclasses or subproperties.
        equivalents: What it is equivalent to, by either side's statement; of a class also
            ``ex:A or ex:B`` when it is said to be the disjoint union of these.
        disjoint: What it is disjoint with, by whatever construct; superclasses' with ``source``.
        domains: A property's domains, its superproperties' with ``source``. Each one holds:
            several are an intersection; a union reads ``ex:A or ex:B``.
        ranges: Its ranges, likewise.
        inverses: Properties it is the inverse of, by either side's statement; those of equivalent
            properties with these as ``source``.
        characteristics: ``functional``, ``inverse functional``, ``transitive``, ``symmetric``,
            ``asymmetric``, ``reflexive``, ``irreflexive``, ``deprecated``.
        chains: Property chains that imply it, as ``ex:parent o ex:brother``.
        keys: Sets of properties that identify an instance of a class, as ``ex:country, ex:number``.
        shapes: What SHACL asks of instances of the class: ``ex:part min 1 class ex:Wheel``, with
            the shape or superclass that asks it as ``source``; its own first, then those of the
            nearest superclasses.
        excludes: What SHACL says that an instance must not be, ``ex:Point`` for a shape that asks
            for this class alone; superclasses' with ``source``.
        cut: What the limit cut: a field's name to how many are missing by ``source``, None when
            that is not known. Of ``subs`` there may be more.
        truncated: True when something was cut, or could not be read.
    """

    supers: tuple[Expression, ...] = ()
    ancestors: tuple[str, ...] = ()
    subs: tuple[Expression, ...] = ()
    equivalents: tuple[Expression, ...] = ()
    disjoint: tuple[Expression, ...] = ()
    domains: tuple[Expression, ...] = ()
    ranges: tuple[Expression, ...] = ()
    inverses: tuple[Expression, ...] = ()
    characteristics: tuple[str, ...] = ()
    chains: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    shapes: tuple[Expression, ...] = ()
    excludes: tuple[Expression, ...] = ()
    cut: Mapping[str, Mapping[str, int | None]] = field(default_factory=dict)
    truncated: bool = False


class ValueKind(NamedTuple):
    """One kind of values of a property.

    Attributes:
        kind: ``class`` (resources of that class), ``iri`` or ``bnode`` (of no class), or
            ``literal``.
        iri: The class or the datatype, in full; "" for the others.
        language: A literal's language tag in lower case, or "".
        values: How many values are of this kind; one of two classes counts for both.
    """

    kind: Literal["class", "iri", "bnode", "literal"]
    iri: str
    language: str
    values: int


@dataclass(frozen=True)
class PropertyUse:
    """How the instances of a class use a property.

    Attributes:
        predicate: In full.
        subjects: How many of the instances looked at have it.
        values: How many values they have in all.
        least: The fewest values that an instance has; 0 when some have none.
        most: The most values that an instance has.
        kinds: The kinds of values, the most frequent first.
        example: One value.
    """

    predicate: str
    subjects: int
    values: int
    least: int
    most: int
    kinds: tuple[ValueKind, ...]
    example: Term | None = None


@dataclass(frozen=True)
class ClassSchema:
    """The properties that instances of a class really use.

    Attributes:
        iri: The class, in full.
        instances: How many instances it and its subclasses have.
        examined: How many of them were looked at; the figures of ``properties`` are about these.
        properties: The most used first; ``rdf:type`` is left out.
        truncated: True when there are more properties than these.
    """

    iri: str
    instances: Count
    examined: int
    properties: tuple[PropertyUse, ...] = ()
    truncated: bool = False

    @property
    def sampled(self) -> bool:
        """Whether only some of the instances were looked at."""
        return not self.instances.exact or self.examined < self.instances.number
