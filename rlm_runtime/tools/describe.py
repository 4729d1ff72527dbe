"""What is known of one entity: its statements, and what its being a class or property adds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from rlm_runtime.errors import QueryError
from rlm_runtime.ontology.describing import predicate_place, shares
from rlm_runtime.ontology.labels import other_labels_of
from rlm_runtime.ontology.protocol import Description, Ontology, Plain, Term
from rlm_runtime.ontology.schema import Axioms
from rlm_runtime.ontology.text import local_name, search_key
from rlm_runtime.ontology.vocabulary import COMMENT_PREDICATES, NAME_PREDICATES, RDF, RDFS
from rlm_runtime.ontology.within import is_writable
from rlm_runtime.tools.describe_kinds import Asked, told_in, told_out, what_kind_adds
from rlm_runtime.tools.relationships import dealt, links
from rlm_runtime.tools.restricting import restrictions_with
from rlm_runtime.tools.table import NAME
from rlm_runtime.tools.values import cell, column_kinds, join_notes

__all__ = ["entity_report"]

_TYPE = RDF + "type"
_DEFINED_BY = RDFS + "isDefinedBy"
_NODE = Term("", "bnode")
_MAX_LABELS = 10
_MAX_PREDICATES = 100


def entity_report(ontology: Ontology, iri: str, limit: int, timeout: float) -> dict[str, Any]:
    """Describe an entity.

    Args:
        ontology: What to ask.
        iri: The entity, in full; it occurs in the ontology.
        limit: The most statements in each direction, and entries in each field; a class may have
            four times as many properties.
        timeout: Seconds for each query.

    Returns:
        ``iri``, ``kind`` and whatever applies of ``label``, ``other_labels``, ``comment``,
        ``types``; of a class ``superclasses`` (restrictions included), ``ancestors`` (those further
        up, the nearest first, up to half the limit), ``inherited_restrictions`` (superclass to
        texts), ``equivalent``, ``disjoint_with``, ``must_not_be`` (what SHACL excludes), ``keys``,
        ``shapes`` (class or shape to texts), ``subclasses``, ``equal_subclasses`` (one to those of
        them that are equivalent to it), ``domain_of``, ``inherits``, ``inherits_from`` (class to
        how many), ``range_of``, ``instances``, ``instances_with_subclasses``,
        ``example_instances``; of a property ``characteristics``, ``superproperties``,
        ``ancestors``, ``subproperties``, ``domain``, ``inherited_domain``, ``range``,
        ``inherited_range``, ``inverse``, ``chains``, ``equivalent``, ``disjoint_with``,
        ``statements``, ``examples``; ``domain_includes_of``, ``range_includes_of``,
        ``domain_includes`` and ``range_includes`` are what schema.org's predicates of these names
        say. ``none_stated`` names the main ones of these that the schema does not say. Then
        ``in_restrictions_of`` (up to half the limit of classes whose restrictions or shapes name
        it, to what these say; of a property without its name), ``properties`` and ``used_by``
        (predicate to values), ``kinds`` of the properties' values, ``labels`` of the entities named
        that have one worth telling, ``truncated``, ``cut`` (field to how many it lacks, None when
        that is not known) and ``note``. Where the values of a key were cut, ``properties_counts``,
        ``used_by_counts``, ``shapes_counts`` and ``inherited_restrictions_counts`` have their full
        number, None when that is not known. What is inherited ends in where it is from:
        ``(from ex:Vehicle)``.
    """
    said = ontology.describe(f"<{iri}>", limit=limit)
    asked = Asked(ontology, iri, limit, timeout)
    fields = _head(ontology, said) | what_kind_adds(asked, said)
    not_told = f"?p NOT IN ({', '.join(f'<{p}>' for p in sorted(told_in(said.kind)))})"
    # Blank nodes have no names to go on with: of them only the number is told.
    named_links = [
        replace(link, others=tuple(term for term in link.others if term.kind != "bnode"))
        for link in links(ontology, iri, ("in",), not_told, limit, timeout)
    ]
    incoming = dealt(named_links, limit)
    compact = ontology.compact
    restricting = restrictions_with(asked)
    outgoing, missing = _outgoing(asked, said, timeout)
    fields |= {
        "in_restrictions_of": restricting,
        "properties": {compact(p): values.texts for p, values in outgoing.items()},
        "properties_counts": {compact(p): v.count for p, v in outgoing.items() if v.missing},
        "kinds": {compact(p): v.kind for p, v in outgoing.items() if v.texts},
        "used_by": {compact(x.predicate): _texts(ontology, x.others) for x in incoming if x.others},
        "used_by_counts": {
            compact(x.predicate): x.count for x in incoming if x.count > len(x.others)
        },
    }
    told = (
        *(v.terms for v in outgoing.values()),
        said.outgoing.get(_TYPE, ()),
        *(x.others for x in incoming),
    )
    named = asked.named | {t.value for terms in told for t in terms if t.kind == "iri"}
    named |= {e.iri for e in (*said.axioms.supers, *said.axioms.equivalents) if e.iri}
    constructed = _names_in(
        ontology, said.axioms, [*restricting.values(), *fields.get("ancestors", ())]
    )
    labels = {
        other: label
        for other, label in other_labels_of(
            ontology, sorted((named | constructed) - {iri}), timeout
        ).items()
        if other in named or search_key(label) != search_key(local_name(other))
    }
    hub = any(x.others and x.count > len(x.others) for x in incoming)
    notes = _notes(said, asked, missing, hub)
    return {
        **{key: value for key, value in fields.items() if value not in (None, [], {})},
        "labels": {compact(iri): label for iri, label in labels.items()},
        "truncated": bool(notes),
        **({"cut": dict(sorted(asked.cut.items()))} if asked.cut else {}),
        **join_notes(*notes),
    }


@dataclass(frozen=True)
class _Values:
    """What is told of the values of one predicate, and how many there are."""

    terms: tuple[Term, ...]
    texts: list[Plain]
    kind: str
    count: int

    @property
    def missing(self) -> int:
        return max(0, self.count - len(self.texts))


def _outgoing(asked: Asked, said: Description, timeout: float) -> tuple[dict[str, _Values], int]:
    """Give the statements that are not told otherwise, and how many are missing in all.

    Of a predicate names and literals come first, then blank nodes.
    """
    ontology, skipped = asked.ontology, told_out(said.kind)
    counts = _counts(asked, said, timeout)
    if counts.get(_TYPE, 0) > len(said.outgoing.get(_TYPE, ())):
        asked.note_cut("types", counts[_TYPE] - len(said.outgoing.get(_TYPE, ())))
    predicates = sorted(counts.keys() | said.blank_values.keys(), key=predicate_place)
    told = [p for p in predicates if p not in skipped and not _says_nothing(asked, said, p)]
    named: dict[str, tuple[Term, ...]] = {}
    blank: dict[str, list[Plain]] = {}
    for p in told:
        terms = said.outgoing.get(p, ())
        named[p] = tuple(term for term in terms if term.kind != "bnode")
        nodes = [cell(ontology, term) for term in terms if term.kind == "bnode"]
        blank[p] = list(said.blank_values.get(p, nodes))
    # Of each at least one: what is written out tells more than a number.
    left = max(asked.limit - sum(map(len, named.values())), sum(map(bool, blank.values())))
    dealt_out = dict(zip(told, shares([len(blank[p]) for p in told], left), strict=True))
    outgoing = {
        p: _Values(
            named[p],
            [*_texts(ontology, named[p]), *blank[p][: dealt_out[p]]],
            column_kinds(ontology, [*named[p], *([_NODE] if dealt_out[p] else [])]),
            counts.get(p, 0),
        )
        for p in told
    }
    # Of predicates that were not even counted.
    uncounted = said.outgoing_count - sum(counts.values())
    if uncounted > 0:
        asked.note_cut("properties", uncounted)
    return outgoing, sum(values.missing for values in outgoing.values()) + max(0, uncounted)


def _counts(asked: Asked, said: Description, timeout: float) -> dict[str, int]:
    """Count the statements from an entity by predicate, labels and comments left out."""
    shown = {predicate: len(terms) for predicate, terms in said.outgoing.items()}
    if sum(shown.values()) >= said.outgoing_count:
        return shown
    texts = ", ".join(f"<{each}>" for each in (*NAME_PREDICATES, *COMMENT_PREDICATES))
    query = (
        f"SELECT ?p (COUNT(*) AS ?n) WHERE {{ {asked.this} ?p ?o "
        f"FILTER(!(isLiteral(?o) && ?p IN ({texts}))) }} GROUP BY ?p ORDER BY DESC(?n) ?p"
    )
    rows = asked.ontology.select(query, limit=_MAX_PREDICATES, timeout=timeout)
    counted = {str(row["p"]): int(row["n"] or 0) for row in rows.rows}
    return shown | counted


def _says_nothing(asked: Asked, said: Description, predicate: str) -> bool:
    return predicate == _DEFINED_BY and asked.says_nothing(said.outgoing.get(predicate, ()))


def _names_in(ontology: Ontology, axioms: Axioms, texts: Iterable[str]) -> set[str]:
    """Give the IRIs that texts name: a restriction over numbers as names tells nothing alone."""
    expressions = (
        *(*axioms.supers, *axioms.subs, *axioms.equivalents, *axioms.disjoint, *axioms.shapes),
        *(*axioms.domains, *axioms.ranges, *axioms.inverses, *axioms.excludes),
    )
    told = [*texts, *(expression.text for expression in expressions)]
    found = set[str]()
    for name in NAME.findall(" ".join((*told, *axioms.chains, *axioms.keys))):
        try:
            found.add(ontology.expand(name))
        except QueryError:
            # A part of a text that only looks like a name.
            continue
    return {iri for iri in found if is_writable(iri)}


def _notes(said: Description, asked: Asked, missing: int, hub: bool) -> list[str]:
    """Say what was cut, if anything."""
    counted = said.outgoing_count
    at_limit = sorted(asked.cut)
    cut = {
        f"{counted - missing} of {counted} statements from it are shown": missing > 0,
        f"there are more {', '.join(at_limit)}": bool(at_limit),
        "used_by has more, see probe_relationships": hub,
    }
    at = "; ".join(what for what, holds in cut.items() if holds)
    told = {
        f"Cut at limit={asked.limit}: {at}.": bool(at),
        "Not all that the schema says could be read.": (
            said.axioms.truncated and not said.axioms.cut
        ),
    }
    return [note for note, holds in told.items() if holds]


def _head(ontology: Ontology, said: Description) -> dict[str, Any]:
    types, unfolded = said.outgoing.get(_TYPE, ()), said.blank_values.get(_TYPE, ())
    return {
        "iri": ontology.compact(said.iri),
        "kind": said.kind or "only mentioned",
        "label": cell(ontology, said.labels[0]) if said.labels else None,
        "other_labels": [
            f"{cell(ontology, t)}{f'@{t.language}' if t.language else ''}"
            for t in said.labels[1 : _MAX_LABELS + 1]
        ],
        "comment": cell(ontology, said.comments[0]) if said.comments else None,
        "types": [
            *_texts(ontology, (t for t in types if t.kind != "bnode" or not unfolded)),
            *unfolded,
        ],
    }


def _texts(ontology: Ontology, terms: Iterable[Term]) -> list[Plain]:
    return [cell(ontology, term) for term in terms]
