"""Run one checked query against a store, within a time bound."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from rlm_runtime.errors import QueryError, QueryTimeout
from rlm_runtime.ontology.protocol import Rows, Term
from rlm_runtime.ontology.query_guard import CheckedQuery
from rlm_runtime.ontology.syntax_hints import explain_syntax_error

if TYPE_CHECKING:
    from pyoxigraph import BlankNode, Literal, NamedNode, Store, Triple

__all__ = ["run_query", "to_term"]

_STATEMENT = ("subject", "predicate", "object")
_TermRow = tuple[Term | None, ...]


def to_term(node: NamedNode | BlankNode | Literal | Triple) -> Term:
    """Turn an engine's term into ours; a quoted triple becomes its text."""
    from pyoxigraph import BlankNode, Literal, NamedNode

    if isinstance(node, NamedNode):
        return Term(node.value, "iri")
    if isinstance(node, Literal):
        return Term(node.value, "literal", node.datatype.value, (node.language or "").lower())
    return Term(node.value, "bnode") if isinstance(node, BlankNode) else Term(str(node), "literal")


def run_query(store: Store, query: CheckedQuery, *, limit: int, timeout: float) -> Rows:
    """Run a query in a thread of its own and give its first rows.

    The engine cannot be stopped. After the time bound the caller is free; the thread goes on
    until the engine gives its next row, or to its end, and its result is thrown away.

    Raises:
        QueryTimeout: It did not end within ``timeout`` seconds.
        QueryError: The engine refused or failed.
    """
    running = _Running(store, query, limit)
    thread = threading.Thread(target=running.run, name="rlm-query", daemon=True)
    thread.start()
    thread.join(min(timeout, threading.TIMEOUT_MAX))
    if not running.done.is_set():
        running.stop.set()
        raise QueryTimeout(
            f"The query took longer than {timeout:g} s and was given up; this does not mean that "
            "there are no results. Make its patterns more specific, avoid patterns that share no "
            "variable, or raise the time bound."
        )
    if running.rows is None:
        raise running.error or QueryError("The engine broke down over the query. Simplify it.")
    return running.rows


class _Running:
    """One query in its thread: the result or the error, once ``done`` is set."""

    def __init__(self, store: Store, query: CheckedQuery, limit: int) -> None:
        self.stop = threading.Event()
        self.done = threading.Event()
        self.error: Exception | None = None
        self.rows: Rows | None = None
        self._store = store
        self._query = query
        self._limit = limit

    def run(self) -> None:
        try:
            self.rows = self._run()
        except SyntaxError as error:
            self.error = explain_syntax_error(self._query.text, str(error))
        # The engine's own errors: a custom function, a failing cast of the whole query.
        except (RuntimeError, ValueError, OSError) as error:
            self.error = QueryError(f"The query failed: {error}. Change the query.")
        except MemoryError as error:
            self.error = QueryError(f"The query needs too much memory: {error}. Narrow it.")
        finally:
            self.done.set()

    def _run(self) -> Rows:
        from pyoxigraph import QueryBoolean, QuerySolutions

        began = time.perf_counter()
        result = self._store.query(self._query.text, prefixes=dict(self._query.prefixes))
        if isinstance(result, QueryBoolean):
            word = "true" if result else "false"
            truth = Term(word, "literal", "http://www.w3.org/2001/XMLSchema#boolean")
            return Rows(("ask",), ((truth,),), "ASK", duration=time.perf_counter() - began)
        if isinstance(result, QuerySolutions):
            columns = self._columns([variable.value for variable in result.variables])
            rows: Iterator[_TermRow] = (
                tuple(to_term(row[name]) if row[name] is not None else None for name in columns)
                for row in result
            )
        else:
            columns = _STATEMENT
            # The engine itself gives each statement once.
            rows = ((to_term(t.subject), to_term(t.predicate), to_term(t.object)) for t in result)
        taken = list(islice(self._until_stopped(rows), self._limit + 1))
        return Rows(
            columns,
            tuple(taken[: self._limit]),
            self._query.form,
            truncated=len(taken) > self._limit,
            duration=time.perf_counter() - began,
        )

    def _columns(self, given: list[str]) -> tuple[str, ...]:
        """Put the columns of ``SELECT *``, which come sorted by name, into the query's order."""
        if not self._query.selects_all:
            return tuple(given)
        place = {name: i for i, name in enumerate(self._query.variables)}
        return tuple(sorted(given, key=lambda name: place.get(name, len(place))))

    def _until_stopped(self, rows: Iterator[_TermRow]) -> Iterator[_TermRow]:
        for row in rows:
            if self.stop.is_set():
                return
            yield row
