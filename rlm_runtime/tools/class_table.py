"""The properties that the instances of a class really use, as a table."""

from __future__ import annotations

from typing import Any

from rlm_runtime.ontology.labels import every_label_of
from rlm_runtime.ontology.protocol import Ontology, Term
from rlm_runtime.ontology.schema import ClassSchema, PropertyUse, ValueKind
from rlm_runtime.ontology.terms import kind_of
from rlm_runtime.ontology.text import local_name, search_key
from rlm_runtime.tools.values import cell, join_notes

__all__ = ["class_table"]

_MAX_KINDS = 4


def class_table(ontology: Ontology, iri: str, limit: int, timeout: float) -> dict[str, Any]:
    """Tell what the instances of a class and of its subclasses use.

    Args:
        ontology: What to ask.
        iri: The class, in full; it occurs in the ontology.
        limit: The most properties.
        timeout: Seconds for the query for labels.

    Returns:
        ``class``, ``instances``, ``examined`` (when only some were looked at), and a table with a
        row for each property, the most used first: ``property``, ``label`` (when one of them has
        one that its name does not tell), ``used_by`` (instances that have it), ``lacking`` (those
        examined that do not), ``values``,
        ``per_instance`` (as in ``0-3``), ``kinds`` (of the values, with numbers when there are
        several) and ``example``.
    """
    schema = ontology.schema_of(f"<{iri}>", limit=limit)
    labels = _labels(ontology, [use.predicate for use in schema.properties], timeout)
    rows = [
        {
            "property": ontology.compact(use.predicate),
            "label": labels.get(use.predicate),
            "used_by": use.subjects,
            "lacking": schema.examined - use.subjects,
            "values": use.values,
            "per_instance": str(use.least) if use.least == use.most else f"{use.least}-{use.most}",
            "kinds": _kinds(ontology, use),
            "example": cell(ontology, use.example),
        }
        for use in schema.properties
    ]
    label = ["label"] if labels else []
    counts = ["used_by", "lacking", "values", "per_instance"]
    return {
        "class": ontology.compact(iri),
        "instances": _number(schema),
        **({"examined": schema.examined} if schema.sampled else {}),
        "columns": ["property", *label, *counts, "kinds", "example"],
        "rows": rows,
        "count": len(rows),
        "truncated": schema.truncated,
        **join_notes(
            None
            if rows
            else f"Nothing is an instance of {ontology.compact(iri)} or of a subclass; "
            "describe_entity tells what its schema says.",
            f"Figures are of the {schema.examined:,} instances examined, equally many of each "
            "subclass, and not of all: count all with SPARQL."
            if schema.sampled
            else None,
            f"Cut at limit={limit}: there are more properties." if schema.truncated else None,
        ),
    }


def _labels(ontology: Ontology, iris: list[str], timeout: float) -> dict[str, str]:
    """Give all labels when one of them tells something: a gap would read as if there were none."""
    labels = every_label_of(ontology, iris, timeout)
    telling = any(search_key(label) != search_key(local_name(x)) for x, label in labels.items())
    return labels if telling else {}


def _number(schema: ClassSchema) -> int | str:
    number = schema.instances
    return number.number if number.exact else str(number)


def _kinds(ontology: Ontology, use: PropertyUse) -> str:
    shown = use.kinds[:_MAX_KINDS]
    texts = [
        f"{_kind(ontology, kind)}{f' {kind.values:,}' if len(use.kinds) > 1 else ''}"
        for kind in shown
    ]
    left = len(use.kinds) - len(shown)
    return ", ".join(texts) + (f", {left} more" if left else "")


def _kind(ontology: Ontology, kind: ValueKind) -> str:
    if kind.kind == "class":
        return ontology.compact(kind.iri)
    if kind.kind == "literal":
        return kind_of(Term("", "literal", kind.iri, kind.language), ontology.compact)
    return kind.kind
