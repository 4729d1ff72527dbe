"""The tools an LM explores an ontology with: plain functions closed over one Ontology."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast, get_args

from rlm_runtime.ontology.protocol import EntityKind, Ontology, Plain, Rows
from rlm_runtime.tools.check_query import failed_check, joined_nothing, query_report
from rlm_runtime.tools.class_table import class_table
from rlm_runtime.tools.describe import entity_report
from rlm_runtime.tools.one_call import OneCall
from rlm_runtime.tools.relationships import DIRECTIONS, relationship_table
from rlm_runtime.tools.results import KeptResults, count_by, filtered, page
from rlm_runtime.tools.values import (
    MAX_RESULT,
    MAX_ROWS,
    bounded_limit,
    counted_table,
    join_notes,
    resolve,
    select_rows,
    tabulate,
)
from rlm_runtime.tools.why_empty import why_empty

__all__ = ["make_ontology_tools"]

_KINDS = ("any", *get_args(EntityKind))
_MAX_MATCHES = 50
_MAX_LABEL = 120
_MAX_STATEMENTS = 200
_FIRST_ROWS = 20


def make_ontology_tools(
    ontology: Ontology, *, timeout: float = 30.0
) -> dict[str, Callable[..., Any]]:
    """Make the tools of one ontology, by name.

    They take and give plain values; IRIs are prefixed names both ways. They are bounded in rows,
    characters and time and say when they cut. Long results stay here, under handles that all
    tools of this call share.

    Args:
        ontology: Local or remote.
        timeout: Seconds for the queries of one call; those that take longer raise QueryTimeout.

    Returns:
        ``search_entity``, ``describe_entity``, ``schema_of``, ``probe_relationships``,
        ``sparql_select``, ``check_query``, ``result_page``, ``result_filter`` and
        ``result_count_by``. They raise ValueError for a bad argument and QueryError for a bad
        query or an unknown name, with what to do about it.
    """
    results = KeptResults()

    def one_call() -> Ontology:
        return cast(Ontology, OneCall(ontology, timeout))

    def search_entity(query: str, limit: int = 10, kind: str = "any") -> dict[str, Any]:
        """Find entities by label, synonym or name, best first; kind: class, property, instance.

        Rows: iri, label, kind, match (exact, prefix, words, corrected, any), matched, types.
        """
        return _search_table(ontology, query, limit, kind)

    def describe_entity(iri: str, limit: int = 25) -> dict[str, Any]:
        """Tell what is known of an entity: comment, types, statements, used_by.

        A class: also superclasses, subclasses, shapes, … A property: domain, range, inverse, …
        """
        asked = one_call()
        full = resolve(asked, iri)
        return _fitting(lambda bound: entity_report(asked, full, bound, timeout), limit)

    def schema_of(class_iri: str, limit: int = 20) -> dict[str, Any]:
        """List what instances of a class (subclasses included) really use.

        Rows: property, used_by (instances), lacking, values, per_instance, kinds, example.
        """
        asked = one_call()
        full = resolve(asked, class_iri)
        return _fitting(lambda bound: class_table(asked, full, bound, timeout), limit)

    def probe_relationships(
        iri: str, predicate: str | None = None, direction: str = "both", limit: int = 15
    ) -> dict[str, Any]:
        """List statements from (out) and to (in) an entity; without a predicate: counts, samples.

        Rows: direction, predicate, other, label, type.
        """
        if direction not in DIRECTIONS:
            raise ValueError(
                f"direction must be one of {', '.join(DIRECTIONS)}, not {direction!r}."
            )
        asked = one_call()
        full = resolve(asked, iri)
        link = resolve(asked, predicate) if predicate is not None else None
        return _fitting(
            lambda bound: relationship_table(asked, full, link, direction, bound, timeout),
            limit,
        )

    def sparql_select(query: str, limit: int = 100) -> dict[str, Any]:
        """Run a read-only SPARQL query.

        If there are more rows than limit, or than fit: also `total`, and a `handle` for result_….
        """
        bound, note = bounded_limit(limit, MAX_ROWS)
        asked = one_call()
        rows, every = select_rows(asked, _query_text(query), bound, timeout)
        table = _select_table(asked, results, rows, every)
        empty = why_empty(asked, query, rows)
        why = empty.text if empty else joined_nothing(query, rows)
        return {**table, **join_notes(table.get("note"), note, why)}

    def result_page(handle: str, offset: int = 0, limit: int = 50) -> dict[str, Any]:
        """Give rows of a kept result."""
        bound, note = bounded_limit(limit, MAX_ROWS)
        table = page(ontology, results.get(handle), offset, bound)
        return {**table, **join_notes(table.get("note"), note)}

    def result_filter(
        handle: str,
        column: str,
        contains: str | None = None,
        equals: Plain = None,
        at_least: Plain = None,
        at_most: Plain = None,
    ) -> dict[str, Any]:
        """Keep its rows that meet all conditions as a new result."""
        kept = results.get(handle)
        rows, note = filtered(
            ontology,
            kept,
            column,
            contains=contains,
            equals=equals,
            at_least=at_least,
            at_most=at_most,
        )
        table = page(ontology, results.keep(rows, complete=kept.complete), 0, _FIRST_ROWS)
        return {**table, **join_notes(note, table.get("note"))}

    def result_count_by(handle: str, column: str, limit: int = 20) -> dict[str, Any]:
        """Count its rows by the values of a column."""
        bound, note = bounded_limit(limit, MAX_ROWS)
        table = count_by(ontology, results.get(handle), column, bound)
        return {**table, **join_notes(table.get("note"), note)}

    def check_query(query: str, limit: int = 100) -> dict[str, Any]:
        """Check a query before SUBMIT; never raises: ok (else error), warnings (list), rows, count.

        ties: rows past the query's LIMIT that sort like its last one. duplicates: repeated rows.
        """
        try:
            bound, note = bounded_limit(limit, MAX_ROWS)
            report = query_report(one_call(), _query_text(query), bound, timeout)
        except ValueError as error:
            return failed_check(str(error))
        return {**report, **join_notes(report.get("note"), note)}

    tools = (
        *(search_entity, describe_entity, schema_of, probe_relationships),
        *(sparql_select, check_query),
        *(result_page, result_filter, result_count_by),
    )
    return {tool.__name__: tool for tool in tools}


def _search_table(ontology: Ontology, query: str, limit: int, kind: str) -> dict[str, Any]:
    if kind not in _KINDS:
        raise ValueError(f"kind must be one of {', '.join(_KINDS)}, not {kind!r}.")
    bound, note = bounded_limit(limit, _MAX_MATCHES)
    if not isinstance(query, str):
        raise ValueError(f"query must be text to search for, not {query!r}.")
    found = ontology.search(query, limit=bound + 1, kind=kind)  # pyright: ignore[reportArgumentType]
    rows = [
        {
            "iri": ontology.compact(match.iri),
            "label": match.label[:_MAX_LABEL],
            "kind": match.kind,
            "match": match.rank,
            "matched": match.matched[:60] if match.matched != match.label else None,
            "types": ", ".join(ontology.compact(iri) for iri in match.types) or None,
        }
        for match in found[:bound]
    ]
    # A column of nothing but "-" is noise when printed.
    more = [column for column in ("matched", "types") if any(row[column] for row in rows)]
    # What an endpoint's search has to say of its bounds; who has a hit need not know.
    exact = any(match.rank == "exact" for match in found)
    bounds = None if exact else getattr(found, "note", None)
    return {
        "columns": ["iri", "label", "kind", "match", *more],
        "rows": rows,
        "count": len(rows),
        "truncated": len(found) > bound,
        **join_notes(note, None if rows else _nothing_found(query, kind), bounds),
    }


def _nothing_found(query: str, kind: str) -> str:
    if not any(character.isalnum() for character in query):
        return "There is no word in the query: search for a name, a label or a part of one."
    other = "" if kind == "any" else f" of kind {kind}; try kind='any'"
    return f"No name or label is like {query[:80]!r}{other}. Try other or fewer words."


def _query_text(query: object) -> str:
    if not isinstance(query, str) or not query.strip():
        raise ValueError(f"query must be SPARQL text, not {query!r}.")
    return query


def _select_table(
    ontology: Ontology, results: KeptResults, rows: Rows, every: Rows | None
) -> dict[str, Any]:
    """Give the rows of a query; when not all of them are shown, keep as many as can be had."""
    if every is None:
        return counted_table(ontology, rows, every)
    if not rows.truncated:
        table = tabulate(ontology, rows)
        if table["count"] == len(rows):
            return table
    return page(ontology, results.keep(every, complete=not every.truncated), 0, len(rows))


def _fitting(make: Callable[[int], dict[str, Any]], limit: int) -> dict[str, Any]:
    """Make a result, with a lower limit when it would be longer than MAX_RESULT as JSON.

    Args:
        make: Makes the result for a limit.
        limit: The limit to begin with; a note on it is added when it is above the maximum.
    """
    bound, note = bounded_limit(limit, _MAX_STATEMENTS)
    result = make(bound)
    while len(json.dumps(result, ensure_ascii=False)) > MAX_RESULT and bound > 1:
        bound //= 2
        note = f"Cut to limit={bound}, to stay below {MAX_RESULT} characters."
        result = make(bound)
    return {**result, **join_notes(result.get("note"), note)}
