"""Say what entities of an endpoint are: kind, classes and label of a few at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rlm_runtime.errors import QueryError
from rlm_runtime.ontology.labels import values_clause
from rlm_runtime.ontology.protocol import EntityKind
from rlm_runtime.ontology.remote_errors import Deadline, EndpointFailed
from rlm_runtime.ontology.remote_request import LEGAL_IRI
from rlm_runtime.ontology.vocabulary import META, NAME_PREDICATES, OWL, RDF, RDFS, language_place

if TYPE_CHECKING:
    from rlm_runtime.ontology.remote import RemoteOntology

__all__ = ["Seen", "look_at"]

_SECONDS = 5.0
_MAX_TYPES = 3


@dataclass
class Seen:
    """What an entity is; what could not be found out in time is left as it is here.

    Attributes:
        kind: An instance, unless something says that it is a class or a property.
        types: Up to three of its classes, in full.
        label: Its best label, or "".
        mentioned: Whether it is no more than the end of a link.
    """

    kind: EntityKind = "instance"
    types: tuple[str, ...] = ()
    label: str = ""
    mentioned: bool = False


def look_at(remote: RemoteOntology, iris: Sequence[str], deadline: Deadline) -> dict[str, Seen]:
    """Say what some entities are.

    Args:
        remote: What to ask.
        iris: At most some dozens, in full.
        deadline: Of the query, which gets five seconds at the most.
    """
    which = values_clause([iri for iri in iris if LEGAL_IRI.fullmatch(iri)])
    names = " ".join(f"<{iri}>" for iri in NAME_PREDICATES)
    parts = {
        "type": f"?x <{RDF}type> ?value",
        "label": f"VALUES ?p {{ {names} }} ?x ?p ?value",
        "class": f"FILTER(EXISTS {{ ?one <{RDF}type> ?x }} || EXISTS {{ ?x <{RDFS}subClassOf> ?c }}"
        f" || EXISTS {{ ?c <{RDFS}subClassOf> ?x }})",
        "property": "FILTER EXISTS { ?one ?x ?other }",
        "subject": "FILTER EXISTS { ?x ?any ?other }",
    }
    union = " UNION ".join(
        f'{{ SELECT ?x ("{part}" AS ?what) ?value WHERE {{ {which} {pattern} }} }}'
        for part, pattern in parts.items()
    )
    query = f"SELECT ?x ?what ?value WHERE {{ {union} }}"
    seen = {iri: Seen() for iri in iris}
    try:
        rows = remote.ask_text(query, 60 * len(iris), deadline.part(_SECONDS))
    except EndpointFailed:
        raise
    except (QueryError, TimeoutError):
        return seen
    facts: dict[str, list[tuple[str, str, int]]] = {iri: [] for iri in iris}
    for entity, what, value in rows.terms:
        if entity and what and entity.value in facts:
            text, language = (value.value, value.language) if value else ("", "")
            facts[entity.value].append((what.value, text, language_place(language)))
    for iri, found in facts.items():
        seen[iri] = _seen(found)
    return seen


def _seen(found: list[tuple[str, str, int]]) -> Seen:
    types = {text for what, text, _ in found if what == "type"}
    whats = {what for what, _, _ in found}
    declared = {iri for iri in types if iri.startswith(META)}
    if any(iri.endswith("Class") for iri in declared):
        kind: EntityKind = "class"
    elif any(iri.endswith("Property") for iri in declared):
        kind = "property"
    else:
        kind = "class" if "class" in whats else "property" if "property" in whats else "instance"
    labels = [(language, text) for what, text, language in found if what == "label"]
    own = sorted(types - {OWL + "NamedIndividual"})
    return Seen(
        kind,
        tuple(own[:_MAX_TYPES]) if kind == "instance" else (),
        min(labels, default=(0, ""))[1],
        kind == "instance" and "subject" not in whats,
    )
