"""What is found out about endpoints, kept for a while so that the next run need not ask."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rlm_runtime.errors import QueryError
from rlm_runtime.ontology.prefix_names import prefixes_for
from rlm_runtime.ontology.prefixes import PrefixMap, namespace_of
from rlm_runtime.ontology.remote_errors import Deadline, EndpointFailed

if TYPE_CHECKING:
    from rlm_runtime.ontology.remote import RemoteOntology
    from rlm_runtime.ontology.remote_fulltext import FullText
    from rlm_runtime.ontology.sense_card import SenseCard

__all__ = ["Known", "known_of", "learn_prefixes"]

_SECONDS = 600.0
_MOST = 64
_MOST_PREFIXES = 300
_SAMPLE = 500
_SH = "http://www.w3.org/ns/shacl#"
_VANN = "http://purl.org/vocab/vann/"
_OLD, _NEW = "http://schema.org/", "https://schema.org/"
_QUERY = f"""SELECT DISTINCT ?prefix ?namespace ?s ?p ?o WHERE {{
{{ ?d <{_SH}prefix> ?prefix ; <{_SH}namespace> ?namespace }}
UNION {{ ?d <{_VANN}preferredNamespacePrefix> ?prefix ; <{_VANN}preferredNamespaceUri> ?namespace }}
UNION {{ SELECT ?s ?p ?o WHERE {{ ?s ?p ?o }} LIMIT {_SAMPLE} }}
UNION {{ SELECT ?s ?o WHERE {{ ?s a ?o }} LIMIT {_SAMPLE} }}
}}"""

_known: dict[Hashable, Known] = {}
_lock = threading.Lock()


@dataclass
class Known:
    """What is known of one endpoint, with one login and choice of graphs.

    Attributes:
        until: When it is too old, on the monotonic clock.
        prefixes: Those that the data declare, and those made for what has none.
        asked_for_prefixes: Whether they were asked for.
        always_post: Whether it takes no GET, or no long ones.
        label_predicates: Label predicates that are in use, the best first; None when not asked.
        full_text: Its way of full-text search; None when it has none that is known.
        cards: Sense cards by their greatest length.
    """

    until: float = field(default_factory=lambda: time.monotonic() + _SECONDS)
    prefixes: Mapping[str, str] = field(default_factory=dict)
    asked_for_prefixes: bool = False
    always_post: bool = False
    label_predicates: tuple[str, ...] | None = None
    full_text: FullText | None = None
    cards: dict[int, SenseCard] = field(default_factory=dict)


def known_of(key: Hashable) -> Known:
    """Give what is known of an endpoint, shared by all who ask with the same key.

    Example:
        >>> known_of("https://e.org/sparql") is known_of("https://e.org/sparql")
        True
    """
    with _lock:
        found = _known.get(key)
        if found is None or found.until < time.monotonic():
            if len(_known) >= _MOST:
                _known.clear()
            found = _known[key] = Known()
        return found


def learn_prefixes(
    remote: RemoteOntology, given: Mapping[str, str], deadline: Deadline
) -> dict[str, str]:
    """Give the prefixes that the data declare by SHACL or VANN, and some for what has none.

    They are none when that takes too long.

    Args:
        remote: The endpoint.
        given: Prefixes that win over them.
        deadline: Of the question.

    Raises:
        EndpointFailed: The endpoint failed.
    """
    try:
        rows = remote.ask_text(_QUERY, _MOST_PREFIXES + 2 * _SAMPLE, deadline)
    except EndpointFailed:
        raise
    except (QueryError, TimeoutError):
        return {}
    found: dict[str, str] = {}
    sample: list[str] = []
    for prefix, namespace, *statement in rows.terms:
        if prefix and namespace:
            found.setdefault(prefix.value, namespace.value)
        sample += [term.value for term in statement if term and term.kind == "iri"]
    # schema.org is written with http in as many data as with https, and nobody declares which.
    used = {namespace_of(iri) for iri in sample}
    if _OLD in used and _NEW not in used:
        found.setdefault("schema", _OLD)
    return {**found, **prefixes_for(sample, PrefixMap({**found, **given}))}
