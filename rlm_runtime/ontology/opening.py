"""Open an ontology, whatever it is given as."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rlm_runtime.errors import ConfigurationError
from rlm_runtime.ontology.protocol import Ontology

if TYPE_CHECKING:
    from rdflib import Graph

__all__ = ["open_ontology"]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+://")


def open_ontology(
    source: str | Path | Graph | Ontology,
    *,
    name: str | None = None,
    format: str | None = None,
) -> Ontology:
    """Open an ontology; use it as a context manager, or close it.

    Files may be Turtle, TriG, N-Triples, N-Quads, N3, RDF/XML or JSON-LD, plain or packed with
    gzip. What a file holds decides, not its name. Prefixes are kept, relative IRIs are resolved
    against the file's own, and slightly wrong IRIs are let in.

    Args:
        source: The path of a file or of a folder of files; an ``rdflib.Graph`` or ``Dataset``,
            which is copied as it is now; or an Ontology, which is given back as it is.
        name: A short name; by default the name of file or folder without suffixes, or the last
            part of the graph's identifier.
        format: ``turtle``, ``xml``, ``json-ld`` and so on, if it must not be guessed.

    Raises:
        OntologyError: The source cannot be read; names the file and, if known, line and column.
        ConfigurationError: It is an address, or ``format`` is unknown.

    Example:
        >>> import rdflib
        >>> graph = rdflib.Graph().parse(data="@prefix e: <http://e/> . e:Cat a e:Species .")
        >>> with open_ontology(graph, name="pets") as pets:
        ...     pets.select("SELECT ?x { ?x a e:Species }").rows
        [{'x': 'http://e/Cat'}]
    """
    from rlm_runtime.ontology.loading import load_path
    from rlm_runtime.ontology.local import LocalOntology
    from rlm_runtime.ontology.rdf_format import bare_name, named_syntax

    if isinstance(source, str | Path):
        if isinstance(source, str) and _URL.match(source):
            raise ConfigurationError(
                f"{source} is an address, and remote endpoints are not available in this version. "
                "Fetch the data and give the path of the file."
            )
        path = Path(source).expanduser()
        loaded = load_path(path, named_syntax(format) if format else None)
        made_name = path.resolve().name if path.is_dir() else bare_name(path)
        return LocalOntology(loaded, name=name or made_name, source=str(source))
    # A graph can only come from an rdflib that was imported already.
    rdflib = sys.modules.get("rdflib")
    if rdflib is not None and isinstance(source, rdflib.Graph):
        from rlm_runtime.ontology.rdflib_source import graph_name, load_graph

        graph = cast("Graph", source)
        loaded = load_graph(graph)
        return LocalOntology(loaded, name=name or graph_name(graph), source="rdflib.Graph")
    if isinstance(source, Ontology):
        return source
    raise ConfigurationError(
        f"An ontology cannot be opened from a {type(source).__name__}. Give the path of an RDF "
        "file or of a folder of them, or an rdflib.Graph."
    )
