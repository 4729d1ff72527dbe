"""Ask an endpoint which prefixes its data declare."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlm_runtime.errors import QueryError
from rlm_runtime.ontology.remote_errors import Deadline, EndpointFailed

if TYPE_CHECKING:
    from rlm_runtime.ontology.remote import RemoteOntology

__all__ = ["declared_prefixes"]

_MOST = 300
_SAMPLE = 500
_SH = "http://www.w3.org/ns/shacl#"
_VANN = "http://purl.org/vocab/vann/"
_OLD, _NEW = "http://schema.org/", "https://schema.org/"
# schema.org is written with http in as many data as with https, and nobody declares which.
_QUERY = f"""SELECT DISTINCT ?prefix ?namespace WHERE {{
{{ ?d <{_SH}prefix> ?prefix ; <{_SH}namespace> ?namespace }}
UNION {{ ?d <{_VANN}preferredNamespacePrefix> ?prefix ; <{_VANN}preferredNamespaceUri> ?namespace }}
UNION {{ {{ SELECT ?p ?o WHERE {{ ?s ?p ?o }} LIMIT {_SAMPLE} }}
VALUES ?namespace {{ "{_OLD}" "{_NEW}" }} BIND("schema" AS ?prefix)
FILTER(STRSTARTS(STR(?p), ?namespace) || STRSTARTS(STR(?o), ?namespace)) }}
}}"""


def declared_prefixes(remote: RemoteOntology, deadline: Deadline) -> dict[str, str]:
    """Give the prefixes that the data declare by SHACL or VANN, none when that takes too long.

    Raises:
        EndpointFailed: The endpoint failed.
    """
    try:
        rows = remote.ask_text(_QUERY, _MOST, deadline)
    except EndpointFailed:
        raise
    except (QueryError, TimeoutError):
        return {}
    found: dict[str, str] = {}
    for prefix, namespace in rows.terms:
        # In data that use both, the usual one stays.
        if prefix and namespace and namespace.value != _NEW:
            found.setdefault(prefix.value, namespace.value)
    both = {row[1].value for row in rows.terms if row[1]} >= {_OLD, _NEW}
    if both and found.get("schema") == _OLD:
        del found["schema"]
    return found
