"""Write down what an rdflib graph holds, for a worker to load."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rlm_runtime.errors import OntologyError
from rlm_runtime.ontology.prefixes import USUAL_PREFIXES

if TYPE_CHECKING:
    from rdflib import Graph
    from rdflib.term import Node

__all__ = ["graph_name", "statements_of"]

_QUICKLY = 1
_DEFAULT_GRAPH = "urn:x-rdflib:default"
_UNSAFE_IN_IRI = re.compile(r'[\x00-\x20<>"{}|^`\\]')
_UNSAFE_IN_LABEL = re.compile(r"[^A-Za-z0-9]")
_UNSAFE_IN_TEXT = re.compile(r'["\\\x00-\x1f]')


def statements_of(graph: Graph) -> tuple[bytes, dict[str, str]]:
    """Write down a graph, or all graphs of a Dataset, as they are now.

    Returns:
        N-Quads, packed with zlib, and the graph's prefixes, the user's own first.

    Raises:
        OntologyError: The graph is empty, or holds N3 formulas or variables.
    """
    from rdflib import Graph

    packer = zlib.compressobj(_QUICKLY)
    packed = [packer.compress(line.encode()) for line in _lines(graph)]
    if not packed:
        raise OntologyError("The rdflib.Graph holds no triples. Fill it before opening it.")
    # rdflib binds two dozen prefixes to every graph; those of the user come first.
    usual = dict(Graph().namespaces())
    bound = {prefix: str(namespace) for prefix, namespace in graph.namespaces()}
    own = {prefix: iri for prefix, iri in bound.items() if str(usual.get(prefix)) != iri}
    rest = {prefix: iri for prefix, iri in bound.items() if prefix not in USUAL_PREFIXES}
    return b"".join([*packed, packer.flush()]), {**own, **rest}


def graph_name(graph: Graph) -> str:
    """Make a short name from a graph's identifier: its last part, else ``graph``.

    Example:
        >>> import rdflib
        >>> graph_name(rdflib.Graph(identifier="http://e/shop#")), graph_name(rdflib.Graph())
        ('shop', 'graph')
    """
    from rdflib import Dataset, URIRef

    identifier = None if isinstance(graph, Dataset) else graph.identifier
    if not isinstance(identifier, URIRef):
        return "graph"
    return re.split(r"[/#:]", str(identifier).rstrip("/#:"))[-1] or "graph"


def _lines(graph: Graph) -> Iterator[str]:
    from rdflib import URIRef
    from rdflib.graph import ConjunctiveGraph

    if not isinstance(graph, ConjunctiveGraph):
        for triple in graph:
            yield f"{' '.join(map(_written, triple))} .\n"
        return
    for subject, predicate, value, context in graph.quads((None, None, None, None)):
        name = getattr(context, "identifier", context)
        named = isinstance(name, URIRef) and str(name) != _DEFAULT_GRAPH
        in_graph = f"<{_UNSAFE_IN_IRI.sub(_escaped, str(name))}>" if named else ""
        yield f"{_written(subject)} {_written(predicate)} {_written(value)} {in_graph} .\n"


def _written(node: Node) -> str:
    """Write a term as N-Triples does; rdflib itself refuses IRIs with spaces and the like."""
    from rdflib import BNode, Literal, URIRef

    if isinstance(node, URIRef):
        return f"<{_UNSAFE_IN_IRI.sub(_escaped, str(node))}>"
    if isinstance(node, BNode):
        return f"_:b{_UNSAFE_IN_LABEL.sub(lambda m: f'x{ord(m[0]):x}x', str(node))}"
    if isinstance(node, Literal):
        text = f'"{_UNSAFE_IN_TEXT.sub(_escaped, str(node))}"'
        if node.language:
            return f"{text}@{node.language}"
        return f"{text}^^{_written(node.datatype)}" if node.datatype else text
    raise OntologyError(
        f"The rdflib.Graph holds a {type(node).__name__} ({node!s:.60}), which is not RDF. "
        "Remove N3 formulas and variables."
    )


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04X}"
