"""Take a query apart: the IRIs it names and the triple patterns that must match."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rdflib.plugins.sparql.parserutils import CompValue

__all__ = ["Pattern", "QueryParts", "query_parts"]

# Of these, only the first part must match for the query to have a solution.
_FIRST_ONLY = frozenset({"LeftJoin", "Minus"})


@dataclass(frozen=True)
class Pattern:
    """One triple pattern, each part as SPARQL text with full IRIs.

    Example:
        >>> Pattern("?x", "<http://e/p>", "?y").text
        '?x <http://e/p> ?y .'
    """

    subject: str
    predicate: str
    object: str

    @property
    def text(self) -> str:
        """The pattern as SPARQL."""
        return f"{self.subject} {self.predicate} {self.object} ."


@dataclass(frozen=True)
class QueryParts:
    """The parts of a query.

    Attributes:
        iris: IRIs in patterns, VALUES and filters, in full, without functions and datatypes.
        patterns: The triple patterns outside OPTIONAL, UNION, MINUS, GRAPH and sub-queries'
            negations: each of them must match.
    """

    iris: tuple[str, ...]
    patterns: tuple[Pattern, ...]


def query_parts(query: str, prefixes: Mapping[str, str]) -> QueryParts | None:
    """Take a query apart; None when it is beyond rdflib's parser.

    Args:
        query: A query that is known to run.
        prefixes: Prefix to namespace, for names whose prefix it does not declare.

    Example:
        >>> parts = query_parts("SELECT * { ?x a ex:A OPTIONAL { ?x ex:p ?y } }", {"ex": "http://e/"})
        >>> parts.iris[1:], len(parts.patterns)
        (('http://e/A', 'http://e/p'), 1)
    """
    from pyparsing import ParseBaseException
    from rdflib.plugins.sparql.algebra import translateQuery
    from rdflib.plugins.sparql.parser import parseQuery
    from rdflib.plugins.sparql.sparql import SPARQLError
    from rdflib.term import URIRef

    try:
        algebra = translateQuery(parseQuery(query), initNs=dict(prefixes)).algebra
    except (ParseBaseException, SPARQLError):
        return None
    iris: dict[str, None] = {}
    for node in _nodes(algebra):
        if isinstance(node, URIRef):
            iris.setdefault(str(node))
    triples = list(dict.fromkeys(_required(algebra)))
    blank = {term: f"_:b{i}" for i, term in enumerate(_blank_nodes(triples))}
    patterns = tuple(Pattern(*(blank.get(term) or term.n3() for term in t)) for t in triples)
    return QueryParts(tuple(iris), patterns)


def _blank_nodes(triples: list[tuple[Any, Any, Any]]) -> list[Any]:
    from rdflib.term import BNode

    return list(dict.fromkeys(term for t in triples for term in t if isinstance(term, BNode)))


def _nodes(node: Any) -> Iterator[Any]:
    """Walk the algebra in order; functions' names and paths' operators are not terms of it."""
    from rdflib.paths import AlternativePath, InvPath, MulPath, NegatedPath, SequencePath
    from rdflib.plugins.sparql.parserutils import CompValue

    if isinstance(node, CompValue):
        for key, value in node.items():
            if key not in ("iri", "datatype", "datasetClause", "PV", "_vars"):
                yield from _nodes(value)
    elif isinstance(node, dict):
        yield from _nodes(list(node.values()))
    elif isinstance(node, SequencePath | AlternativePath):
        yield from _nodes(list(node.args))
    elif isinstance(node, InvPath):
        yield from _nodes(node.arg)
    elif isinstance(node, MulPath):
        yield from _nodes(node.path)
    elif isinstance(node, NegatedPath):
        yield from _nodes(list(node.args))
    elif isinstance(node, list | tuple):
        for item in node:
            yield from _nodes(item)
    else:
        yield node


def _required(node: CompValue) -> Iterator[tuple[Any, Any, Any]]:
    if node.name == "BGP":
        yield from node.triples
    elif node.name == "Join":
        yield from _required(node.p1)
        yield from _required(node.p2)
    elif node.name in _FIRST_ONLY:
        yield from _required(node.p1)
    elif node.name not in ("Union", "Graph") and hasattr(node.get("p"), "name"):
        yield from _required(node.p)
