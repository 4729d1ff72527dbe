"""Run one query against a store, and stop it between two rows when that is wished."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pyoxigraph import (
    BlankNode,
    DefaultGraph,
    Literal,
    NamedNode,
    QueryBoolean,
    QuerySolutions,
    Store,
    Triple,
)

from rlm_runtime.errors import QueryError, QueryTimeout
from rlm_runtime.ontology.protocol import Term
from rlm_runtime.ontology.vocabulary import XSD
from rlm_runtime.ontology.worker_messages import EngineQuery, EngineRows

__all__ = ["GraphName", "is_corruption", "run_query", "to_term"]

_STATEMENT = ("subject", "predicate", "object")
# What a cell costs beside its text, in characters.
_CELL = 32
_MOST_CHARACTERS = 32_000_000
_UNBOUND = ("", "", "", "")
GraphName = NamedNode | BlankNode | DefaultGraph
_Node = NamedNode | BlankNode | Literal | Triple


def to_term(node: _Node) -> Term:
    """Turn an engine's term into ours; a quoted triple becomes its text."""
    return Term(*_cell(node))  # pyright: ignore[reportArgumentType]


def is_corruption(error: Exception) -> bool:
    """Say whether the engine found its files broken."""
    said = str(error)
    # Also when files are gone that it opens only now.
    return "Corruption: " in said or ("IO error: " in said and "No such file" in said)


def run_query(
    store: Store, whole: GraphName, query: EngineQuery, stopped: Callable[[], bool]
) -> EngineRows:
    """Run a query and give its first rows, within its limit and 32 million characters.

    Each cell counts as its text and 32 characters more.

    Args:
        store: What is asked.
        whole: The graph that is read where the query does not say which.
        query: Whatever it is, it is run.
        stopped: Says, between two rows, whether to go on.

    Raises:
        SyntaxError: As the engine says it.
        RuntimeError: Its files are broken.
        QueryTimeout: It was stopped.
        QueryError: The engine refused or failed, or a single row is too large.
    """
    began = time.perf_counter()
    try:
        columns, rows = _evaluated(store, whole, query)
        taken: list[str] = []
        count = size = 0
        truncated = False
        for row in rows:
            if stopped():
                raise QueryTimeout("The query was stopped.")
            cells: list[str] = []
            for node in row:
                cell = _UNBOUND if node is None else _cell(node)
                size += len(cell[0]) + _CELL
                cells += cell
            if count == query.limit or size > _MOST_CHARACTERS:
                truncated = True
                break
            count += 1
            taken += cells
    except MemoryError as error:
        raise QueryError(f"The query needs too much memory: {error}. Narrow it.") from error
    # The engine's own errors: a custom function, a failing cast of the whole query.
    except (RuntimeError, ValueError, OSError) as error:
        if is_corruption(error):
            raise
        raise QueryError(f"The query failed: {error}. Change the query.") from error
    if truncated and not count and query.limit:
        raise QueryError(
            f"The first row alone holds {size:,} characters, more than {_MOST_CHARACTERS:,}. "
            "Select less, or a part with SUBSTR."
        )
    return EngineRows(columns, count, taken, truncated, time.perf_counter() - began)


def _evaluated(
    store: Store, whole: GraphName, query: EngineQuery
) -> tuple[tuple[str, ...], Iterable[Sequence[_Node | None]]]:
    """Begin a query; give its columns, and its rows as they come."""
    graph = None if query.has_dataset else whole
    result: Any = store.query(query.text, prefixes=dict(query.prefixes), default_graph=graph)
    if isinstance(result, QueryBoolean):
        truth = Literal("true" if result else "false", datatype=NamedNode(XSD + "boolean"))
        return ("ask",), [[truth]]
    if not isinstance(result, QuerySolutions):
        # The engine itself gives each statement once.
        return _STATEMENT, ((t.subject, t.predicate, t.object) for t in result)
    columns = tuple(variable.value for variable in result.variables)
    if query.order is None:
        return columns, map(tuple, result)
    # Those of SELECT * come sorted by name.
    place = {name: i for i, name in enumerate(query.order)}
    ordered = tuple(sorted(columns, key=lambda name: place.get(name, len(place))))
    return ordered, ([row[name] for name in ordered] for row in result)


# One text for all equal ones crosses the pipe once.
_DATATYPES: dict[str, str] = {}


def _cell(node: _Node) -> tuple[str, str, str, str]:
    if isinstance(node, NamedNode):
        return node.value, "iri", "", ""
    if isinstance(node, Literal):
        datatype = node.datatype.value
        if len(_DATATYPES) < 1000:
            datatype = _DATATYPES.setdefault(datatype, datatype)
        return node.value, "literal", datatype, (node.language or "").lower()
    if isinstance(node, BlankNode):
        return node.value, "bnode", "", ""
    return str(node), "literal", "", ""
