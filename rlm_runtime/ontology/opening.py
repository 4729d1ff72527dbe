"""Open an ontology, whatever it is given as."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack, cast

from rlm_runtime.errors import ConfigurationError
from rlm_runtime.ontology.protocol import Ontology

if TYPE_CHECKING:
    from rdflib import Graph

    from rlm_runtime.ontology.filling import OnProgress

__all__ = ["open_ontology"]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+://")


class _EndpointOptions(TypedDict, total=False):
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


def open_ontology(
    source: str | Path | Graph | Ontology,
    *,
    name: str | None = None,
    format: str | None = None,
    imports: Mapping[str, str | Path] | None = None,
    memory_limit: int | None = None,
    on_progress: OnProgress | None = None,
    **endpoint: Unpack[_EndpointOptions],
) -> Ontology:
    """Open an ontology; use it as a context manager, or close it.

    A SPARQL endpoint is asked over HTTP, and not before the first question. Anything else is held
    by a worker process, which all who open the same content share, and which is killed when a
    query takes too long or too much. Large files are read once, into a store in the cache folder.

    Files may be Turtle, TriG, N-Triples, N-Quads, N3, RDF/XML or JSON-LD, plain or packed with
    gzip. What a file holds decides, not its name. Prefixes are kept, relative IRIs are resolved
    against the file's own, and slightly wrong IRIs are let in.

    Args:
        source: The path of a file or of a folder of files; the http or https address of a SPARQL
            endpoint; an ``rdflib.Graph`` or ``Dataset``, which is copied as it is now; or an
            Ontology, which is given back as it is.
        name: A short name; by default the name of file or folder without suffixes, or the last
            part of the graph's identifier.
        format: ``turtle``, ``xml``, ``json-ld`` and so on, if it must not be guessed.
        imports: IRI of an ontology that is imported to the file that holds it. An
            ``rlm-imports.toml`` or a ``catalog-v001.xml`` beside the ontology may say it as well.
            Nothing is fetched.
        memory_limit: Bytes that queries may use together, beside the data; by default
            ``RLM_RUNTIME_QUERY_MEMORY``, else 4 GiB.
        on_progress: Called while a file is loaded, with the bytes read and those in all.
        **endpoint: For an address only: ``auth``, ``token``, ``headers``, ``allow_private``,
            ``default_graph``, ``named_graph``, ``prefixes``, ``federation``, ``search_query``;
            see ``RemoteOntology``.

    Raises:
        OntologyError: The source cannot be read; names the file and, if known, line and column.
        ConfigurationError: The address or an option cannot work, or ``format`` is unknown.

    Example:
        >>> import rdflib
        >>> graph = rdflib.Graph().parse(data="@prefix e: <http://e/> . e:Cat a e:Species .")
        >>> with open_ontology(graph, name="pets") as pets:
        ...     pets.select("SELECT ?x { ?x a e:Species }").rows
        [{'x': 'http://e/Cat'}]
    """
    from rlm_runtime.ontology.hosting import host_graph, host_path

    if isinstance(source, str) and _URL.match(source):
        from rlm_runtime.ontology.remote import RemoteOntology

        _refuse({"format": format, "imports": imports}, "files")
        _refuse({"memory_limit": memory_limit}, "files and graphs")
        return RemoteOntology(source, name=name, **endpoint)
    _refuse(endpoint, "the address of an endpoint")
    if isinstance(source, str | Path):
        return host_path(
            source,
            name=name,
            format=format,
            imports=imports,
            memory_limit=memory_limit,
            on_progress=on_progress,
        )
    _refuse({"format": format, "imports": imports}, "files")
    # A graph can only come from an rdflib that was imported already.
    rdflib = sys.modules.get("rdflib")
    if rdflib is not None and isinstance(source, rdflib.Graph):
        return host_graph(cast("Graph", source), name=name, memory_limit=memory_limit)
    _refuse({"memory_limit": memory_limit}, "files and graphs")
    if isinstance(source, Ontology):
        return source
    raise ConfigurationError(
        f"An ontology cannot be opened from a {type(source).__name__}. Give the path of an RDF "
        "file or of a folder of them, or an rdflib.Graph."
    )


def _refuse(options: Mapping[str, object], only_for: str) -> None:
    """Raise a ConfigurationError when any of these is given: here they could do nothing."""
    given = [f"{name}=" for name, value in options.items() if value is not None]
    if given:
        raise ConfigurationError(
            f"{', '.join(given)} can be given for {only_for} only. Leave it out."
        )
