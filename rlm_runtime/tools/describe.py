"""What is known of one entity: its statements, and what its being a class or property adds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from rlm_runtime.errors import QueryError
from rlm_runtime.ontology.labels import other_labels_of
from rlm_runtime.ontology.protocol import Description, Ontology, Plain, Term
from rlm_runtime.ontology.schema import Axioms
from rlm_runtime.ontology.text import local_name, search_key
from rlm_runtime.ontology.vocabulary import RDF, RDFS
from rlm_runtime.ontology.within import is_writable
from rlm_runtime.tools.describe_kinds import Asked, told_in, told_out, what_kind_adds
from rlm_runtime.tools.relationships import dealt, links
from rlm_runtime.tools.table import NAME
from rlm_runtime.tools.values import cell, column_kinds, join_notes

__all__ = ["entity_report"]

_TYPE = RDF + "type"
_DEFINED_BY = RDFS + "isDefinedBy"
_MAX_LABELS = 10
_MAX_RESTRICTED = 12


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
        ``types``; of a class ``superclasses`` (restrictions included), ``inherited_restrictions``
        (superclass to texts), ``equivalent``, ``disjoint_with``, ``keys``, ``shapes`` (class or
        shape to texts), ``subclasses``,
        ``domain_of``, ``inherits``, ``inherits_from`` (class to how many), ``range_of``,
        ``instances``, ``instances_with_subclasses``, ``example_instances``; of a property
        ``characteristics``, ``superproperties``, ``subproperties``, ``domain``,
        ``inherited_domain``, ``range``, ``inherited_range``, ``inverse``, ``chains``,
        ``equivalent``, ``disjoint_with``, ``statements``, ``examples``;
        ``domain_includes_of``, ``range_includes_of``, ``domain_includes`` and ``range_includes``
        are what schema.org's predicates of these names say. Then ``in_restrictions_of`` (up to
        twelve classes whose restrictions or shapes name it), ``properties`` and ``used_by``
        (predicate to values), ``used_by_counts`` where those are cut, ``kinds`` of the properties'
        values, ``labels`` of the entities named that have one worth telling, ``truncated`` and
        ``note``. What is inherited ends in where it is from: ``(from ex:Vehicle)``.
    """
    said = ontology.describe(f"<{iri}>", limit=limit)
    asked = Asked(ontology, iri, limit, timeout)
    fields = _head(ontology, said) | what_kind_adds(asked, said)
    outgoing = {
        p: terms
        for p, terms in said.outgoing.items()
        if p not in told_out(said.kind) and not (p == _DEFINED_BY and asked.says_nothing(terms))
    }
    not_told = f"?p NOT IN ({', '.join(f'<{p}>' for p in sorted(told_in(said.kind)))})"
    # Blank nodes have no names to go on with: of them only the number is told.
    named_links = [
        replace(link, others=tuple(term for term in link.others if term.kind != "bnode"))
        for link in links(ontology, iri, ("in",), not_told, limit, timeout)
    ]
    incoming = dealt(named_links, limit)
    compact = ontology.compact
    restricting = asked.restricted_in(_MAX_RESTRICTED + 1)
    fields |= {
        "in_restrictions_of": restricting[:_MAX_RESTRICTED],
        "properties": {
            compact(p): _texts(ontology, t, said.blank_values.get(p, ()))
            for p, t in outgoing.items()
        },
        "kinds": {compact(p): column_kinds(ontology, t) for p, t in outgoing.items()},
        "used_by": {compact(x.predicate): _texts(ontology, x.others) for x in incoming if x.others},
        "used_by_counts": {
            compact(x.predicate): x.count for x in incoming if x.count > len(x.others)
        },
    }
    told = (*outgoing.values(), said.outgoing.get(_TYPE, ()), *(x.others for x in incoming))
    named = asked.named | {t.value for terms in told for t in terms if t.kind == "iri"}
    named |= {e.iri for e in (*said.axioms.supers, *said.axioms.equivalents) if e.iri}
    constructed = _names_in(ontology, said.axioms)
    labels = {
        other: label
        for other, label in other_labels_of(
            ontology, sorted((named | constructed) - {iri}), timeout
        ).items()
        if other in named or search_key(label) != search_key(local_name(other))
    }
    hub = any(x.others and x.count > len(x.others) for x in incoming)
    notes = _notes(said, asked, limit, restricting, hub)
    return {
        **{key: value for key, value in fields.items() if value not in (None, [], {})},
        "labels": {compact(iri): label for iri, label in labels.items()},
        "truncated": bool(notes),
        **join_notes(*notes),
    }


def _names_in(ontology: Ontology, axioms: Axioms) -> set[str]:
    """Give the IRIs that axioms name: a restriction over numbers as names tells nothing alone."""
    expressions = (
        *(*axioms.supers, *axioms.subs, *axioms.equivalents, *axioms.disjoint, *axioms.shapes),
        *(*axioms.domains, *axioms.ranges, *axioms.inverses),
    )
    texts = [expression.text for expression in expressions]
    found = set[str]()
    for name in NAME.findall(" ".join((*texts, *axioms.chains, *axioms.keys))):
        try:
            found.add(ontology.expand(name))
        except QueryError:
            # A part of a text that only looks like a name.
            continue
    return {iri for iri in found if is_writable(iri)}


def _notes(
    said: Description, asked: Asked, limit: int, restricting: Sequence[str], hub: bool
) -> list[str]:
    """Say what was cut, if anything."""
    shown = sum(len(terms) for terms in said.outgoing.values())
    told = {
        f"Cut at limit={limit}: {shown} of {said.outgoing_count} statements from it are shown.": (
            shown < said.outgoing_count
        ),
        f"Cut at limit={limit}: there are more classes, properties, axioms or predicates.": (
            asked.cut or said.axioms.truncated
        ),
        f"More than {_MAX_RESTRICTED} classes have it in restrictions.": (
            len(restricting) > _MAX_RESTRICTED
        ),
        f"Cut at limit={limit}: used_by_counts has the full counts; see probe_relationships.": hub,
    }
    return [note for note, holds in told.items() if holds]


def _head(ontology: Ontology, said: Description) -> dict[str, Any]:
    return {
        "iri": ontology.compact(said.iri),
        "kind": said.kind or "only mentioned",
        "label": cell(ontology, said.labels[0]) if said.labels else None,
        "other_labels": [
            f"{cell(ontology, t)}{f'@{t.language}' if t.language else ''}"
            for t in said.labels[1 : _MAX_LABELS + 1]
        ],
        "comment": cell(ontology, said.comments[0]) if said.comments else None,
        "types": _texts(ontology, said.outgoing.get(_TYPE, ()), said.blank_values.get(_TYPE, ())),
    }


def _texts(ontology: Ontology, terms: Iterable[Term], unfolded: Sequence[str] = ()) -> list[Plain]:
    """Give terms as plain values; those of blank nodes are replaced by what is in them."""
    named = [cell(ontology, term) for term in terms if not unfolded or term.kind != "bnode"]
    return [*named, *unfolded]
