"""Check a query before it is submitted: columns, rows, repeated rows, ties, empty reasons."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from rlm_runtime.errors import QueryError
from rlm_runtime.ontology.protocol import Ontology, Rows, Term
from rlm_runtime.tools.query_text import read_query_text, with_longer_limit, with_sort_values
from rlm_runtime.tools.values import cell, counted_table, join_notes, select_rows
from rlm_runtime.tools.why_empty import why_empty

__all__ = ["failed_check", "joined_nothing", "query_report"]

_LOOK_BEYOND = 20
_JOINED = re.compile(r"GROUP_CONCAT\s*\((?:[^()]|\([^()]*\))*\)\s*AS\s*[?$](\w+)", re.IGNORECASE)


def query_report(ontology: Ontology, query: str, limit: int, timeout: float) -> dict[str, Any]:
    """Run a query and report on what it gives; a bad query is reported, not raised.

    Args:
        ontology: What to ask.
        query: SELECT, ASK, CONSTRUCT or DESCRIBE.
        limit: The most rows to look at.
        timeout: Seconds.

    Returns:
        ``{"ok": True, "form", "columns", "kinds", "rows", "count", "total", "truncated",
        "duplicates", "ties", "warnings"}``, perhaps ``note``, or ``{"ok": False, "error",
        "warnings"}``. ``rows``, up to the limit, are those of the query's table; ``count`` is how
        many they are, ``total`` counts all rows (None when there are too many to count);
        ``ties`` is the number of rows past the query's own LIMIT that sort like its last row,
        None when that is unknown. ``warnings`` is empty when there is nothing to doubt.
    """
    try:
        rows, every = select_rows(ontology, query, limit, timeout)
    except QueryError as error:
        return failed_check(f"{type(error).__name__}: {error}")
    table = counted_table(ontology, rows, every)
    repeated = Counter(rows.terms)
    duplicates = len(rows.terms) - len(repeated)
    ties, chance = _past_the_limit(ontology, query, rows, timeout)
    empty = why_empty(ontology, query, rows)
    warnings = [empty.text] if empty and empty.doubtful else []
    if table["count"] < len(rows):
        warnings.append(f"`rows` holds the first {table['count']} of {len(rows)} rows only.")
    if duplicates:
        warnings.append(f"{duplicates} rows repeat another row; SELECT DISTINCT drops them.")
    if ties:
        warnings.append(
            f"Past the LIMIT, {'at least ' if ties == _LOOK_BEYOND else ''}{ties} more sort equal "
            "to the last row: where the highest or lowest are asked for, give them all."
        )
    warnings.extend(_column_warnings(ontology, rows))
    joined = joined_nothing(query, rows)
    if joined:
        warnings.append(joined)
    if chance:
        warnings.append("LIMIT without ORDER BY: which of the rows are given is left to chance.")
    return {
        "ok": True,
        "form": rows.form,
        "total": len(rows),
        **table,
        "duplicates": duplicates,
        "ties": ties,
        "warnings": warnings,
        **join_notes(table.get("note"), empty.text if empty and not empty.doubtful else None),
    }


def failed_check(error: str) -> dict[str, Any]:
    """Give the report on a query that did not run; it has a warning, so none passes unseen."""
    return {"ok": False, "error": error, "warnings": ["The query did not run."]}


def _past_the_limit(
    ontology: Ontology, query: str, rows: Rows, timeout: float
) -> tuple[int | None, bool]:
    """Look at the rows that the query's own LIMIT cuts off.

    Returns:
        How many of them sort like the last row (None when unknown), and whether there are some
        although nothing orders them.
    """
    if rows.form != "SELECT":
        return 0, False
    read = read_query_text(query)
    if not read.limit or len(rows) < read.limit:
        return 0, False
    sorting = with_sort_values(read, rows.columns) if read.order else (query, ())
    if sorting is None:
        return None, False
    text, names = sorting
    try:
        longer = ontology.select(
            with_longer_limit(read_query_text(text), _LOOK_BEYOND),
            limit=read.limit + _LOOK_BEYOND,
            timeout=timeout,
        )
    except QueryError:
        # These sort values cannot be selected, or not in time; that is no fault of the query.
        return None, False
    if not names:
        return 0, len(longer) > read.limit
    at = [longer.columns.index(name) for name in names]
    keys = [tuple(terms[i] for i in at) for terms in longer.terms[read.limit - 1 :]]
    ties = next((i for i, key in enumerate(keys) if key != keys[0]), len(keys))
    return ties - 1, False


def joined_nothing(query: str, rows: Rows) -> str | None:
    """Say what a query that joins texts and gives a column without values probably lacks.

    Example:
        >>> row = (Term("http://e/A", "iri"), None)
        >>> joined_nothing("SELECT ?x (GROUP_CONCAT(?y) AS ?ys) { … }", Rows(("x", "ys"), (row,)))
        'Column ys has no value: GROUP_CONCAT joins texts, of IRIs it needs STR(?…).'
    """
    joined = {match[1] for match in _JOINED.finditer(query)}
    for i, column in enumerate(rows.columns):
        if column in joined and rows.terms and all(terms[i] is None for terms in rows.terms):
            return (
                f"Column {column} has no value: GROUP_CONCAT joins texts, of IRIs it needs STR(?…)."
            )
    return None


def _column_warnings(ontology: Ontology, rows: Rows) -> list[str]:
    warnings = []
    if len(rows) < 2 or rows.form != "SELECT":
        return warnings
    for i, column in enumerate(rows.columns):
        without = [terms for terms in rows.terms if terms[i] is None]
        if len(without) == len(rows):
            warnings.append(f"Column {column} has no value in any row.")
        elif without:
            first = next((term for term in without[0] if term is not None), None)
            named = f" (first: {cell(ontology, first)})" if first else ""
            warnings.append(
                f"Column {column} is unbound in {len(without)} of {len(rows)} rows{named}."
            )
    for i, column in enumerate(rows.columns):
        if _repeats_by_language(rows, i):
            warnings.append(
                f"Rows repeat for each language of {column}: "
                f'FILTER(LANGMATCHES(LANG(?{column}), "en")) keeps one.'
            )
            break
    return warnings


def _repeats_by_language(rows: Rows, i: int) -> bool:
    """Say whether two rows differ in nothing but a text of another language."""
    languages: dict[tuple[Term | None, ...], str] = {}
    for terms in rows.terms:
        others = terms[:i] + terms[i + 1 :]
        text = terms[i]
        if text is None or text.kind != "literal" or not any(others):
            continue
        if languages.setdefault(others, text.language) != text.language:
            return True
    return False
