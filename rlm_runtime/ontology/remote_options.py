"""The keywords of ``open_ontology`` that are for SPARQL endpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

__all__ = ["EndpointOptions"]


class EndpointOptions(TypedDict, total=False):
    """What can be said of an endpoint; ``RemoteOntology`` tells what each means."""

    auth: tuple[str, str] | None
    token: str | None
    headers: Mapping[str, str] | None
    allow_private: bool | None
    default_graph: str | Sequence[str]
    named_graph: str | Sequence[str]
    prefixes: Mapping[str, str] | None
    federation: Sequence[str]
    search_query: str | None
