"""Turn query results into plain, bounded values an LM can read: cells, kinds, tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rlm_runtime.errors import QueryError
from rlm_runtime.ontology.protocol import Ontology, Plain, Rows, Term
from rlm_runtime.ontology.terms import in_sparql, kind_of
from rlm_runtime.tools.query_text import is_sorted

__all__ = [
    "MAX_CELL",
    "MAX_COUNT",
    "MAX_RESULT",
    "MAX_ROWS",
    "bounded_limit",
    "cell",
    "column_kinds",
    "counted_table",
    "cut_note",
    "first_in_order",
    "join_notes",
    "occurs",
    "resolve",
    "select_rows",
    "suggestions",
    "tabulate",
]

MAX_CELL = 300
"""Characters of one text in a result; longer ones are cut visibly."""

MAX_RESULT = 24_000
"""Characters of one result as JSON. Code may use all of it; printing is bounded more tightly."""

MAX_ROWS = 1_000
"""Rows of one result."""

MAX_COUNT = 10_000
"""Rows that are fetched, to be counted and kept, when a result is cut."""


_MAX_SORTED = 5_000


def first_in_order(columns: str, pattern: str, most: int) -> str:
    """Write a query for the first solutions in order, names before blank nodes.

    They are the first of the 5,000 that the store gives first: to sort a million takes minutes.

    Example:
        >>> first_in_order("?x", "?x a ex:C", 3)  # doctest: +ELLIPSIS
        'SELECT ?x WHERE { { SELECT DISTINCT ... LIMIT 5000 } } ORDER BY isBlank(?x) ?x LIMIT 3'
    """
    some = f"SELECT DISTINCT {columns} WHERE {{ {pattern} }} LIMIT {_MAX_SORTED}"
    order = " ".join(f"isBlank({column}) {column}" for column in columns.split())
    return f"SELECT {columns} WHERE {{ {{ {some} }} }} ORDER BY {order} LIMIT {most}"


def cell(ontology: Ontology, term: Term | None) -> Plain:
    """Give a term as a plain value: IRIs as prefixed names, long texts cut visibly."""
    if term is None:
        return None
    if term.kind != "literal":
        return in_sparql(term, ontology.compact)
    value = term.plain
    if isinstance(value, str) and len(value) > MAX_CELL:
        return f"{value[:MAX_CELL]}… [+{len(value) - MAX_CELL} chars]"
    return value


def column_kinds(ontology: Ontology, terms: Sequence[Term | None]) -> str:
    """Name the kind of a column: one kind, ``mixed(…)``, or ``unbound`` when it has no value."""
    kinds = sorted({kind_of(term, ontology.compact) for term in terms if term is not None})
    if len(kinds) <= 1:
        return kinds[0] if kinds else "unbound"
    more = ", …" if len(kinds) > 4 else ""
    return f"mixed({', '.join(kinds[:4])}{more})"


def join_notes(*notes: str | None) -> dict[str, str]:
    """Give ``{"note": …}`` of the notes there are, or an empty dict."""
    text = " ".join(note for note in notes if note)
    return {"note": text} if text else {}


def tabulate(
    ontology: Ontology,
    rows: Rows,
    advice: str = "select fewer columns or page with ORDER BY and OFFSET",
) -> dict[str, Any]:
    """Give the rows as a table of plain values, cut between rows at MAX_RESULT characters.

    Args:
        ontology: What gave them.
        rows: The rows.
        advice: How to get those that are cut off.

    Returns:
        ``{"columns", "kinds", "rows", "count", "truncated"}``, and ``note`` when texts or rows
        were cut here.
    """
    table: list[dict[str, Plain]] = []
    size = 0
    for terms in rows.terms:
        row = {c: cell(ontology, t) for c, t in zip(rows.columns, terms, strict=True)}
        # As long as its JSON, or nearly, in half the time.
        size += len(repr(row))
        if size > MAX_RESULT and table:
            break
        table.append(row)
    kept = rows.terms[: len(table)]
    cut = len(table) < len(rows.terms)
    long = any(
        t is not None and t.kind == "literal" and len(t.value) > MAX_CELL for r in kept for t in r
    )
    return {
        "columns": list(rows.columns),
        "kinds": {
            column: column_kinds(ontology, [terms[i] for terms in kept])
            for i, column in enumerate(rows.columns)
        },
        "rows": table,
        "count": len(table),
        "truncated": rows.truncated or cut,
        **join_notes(
            f"Cut at {MAX_RESULT} characters: {len(table)} of {len(rows.terms)} rows; {advice}."
            if cut
            else None,
            f"Texts cut at {MAX_CELL} characters; SUBSTR(?x, {MAX_CELL + 1}, {MAX_CELL}) gives "
            "the next part."
            if long
            else None,
        ),
    }


def select_rows(
    ontology: Ontology, query: str, limit: int, timeout: float
) -> tuple[Rows, Rows | None]:
    """Run a query for rows to show, and for all of them to count and keep.

    Args:
        ontology: What is asked.
        query: The query.
        limit: The most rows to show.
        timeout: Seconds.

    Returns:
        The rows to show; and up to MAX_COUNT rows, None when so many cannot be had in time.

    Raises:
        QueryError: The query fails.
    """
    # What is sorted has been found as a whole before its first row comes; other rows may be slow
    # to come, and some of them are better than none.
    if is_sorted(query):
        every = _up_to(MAX_COUNT, ontology, query, timeout)
        if every is not None:
            if len(every) <= limit:
                return every, every
            return replace(every, terms=every.terms[:limit], truncated=True), every
    rows = ontology.select(query, limit=limit, timeout=timeout)
    if not rows.truncated:
        return rows, rows
    left = timeout - rows.duration
    return rows, _up_to(MAX_COUNT, ontology, query, left) if left > rows.duration else None


def _up_to(limit: int, ontology: Ontology, query: str, timeout: float) -> Rows | None:
    try:
        return ontology.select(query, limit=limit, timeout=timeout)
    except QueryError:
        # A few rows, if they can be had, tell more than an error would; and if not, so does theirs.
        return None


def counted_table(ontology: Ontology, rows: Rows, every: Rows | None) -> dict[str, Any]:
    """Give the rows of a query as a table; when they were cut, with ``total`` and how to get more.

    Args:
        ontology: What was asked.
        rows: What is shown; see ``select_rows``.
        every: All rows, or None.

    Returns:
        As ``tabulate``; ``total`` is None when there are more than MAX_COUNT rows.
    """
    table = tabulate(ontology, rows)
    if not rows.truncated:
        return table
    table["total"] = None if every is None or every.truncated else len(every)
    return {**table, **join_notes(cut_note(rows), table.get("note"))}


def cut_note(rows: Rows) -> str:
    """Say how to get more of a query's rows."""
    return (
        f"Cut at limit={len(rows)}: raise it (at most {MAX_ROWS}), or count, group or filter in "
        "SPARQL."
    )


def bounded_limit(limit: int, maximum: int) -> tuple[int, str | None]:
    """Check a limit and clamp it to the maximum.

    Returns:
        The limit to use, and a note when it was clamped.

    Raises:
        ValueError: It is no whole number, or below 1.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise ValueError(f"limit must be a whole number from 1 to {maximum}, not {limit!r}.")
    if limit > maximum:
        return maximum, f"limit={limit} is above the maximum and was taken as {maximum}."
    return limit, None


def suggestions(ontology: Ontology, text: str) -> str:
    """Name up to three entities that a text may have meant, or say how to look further."""
    near = [f"{ontology.compact(m.iri)} ({m.kind})" for m in ontology.search(text, limit=3)]
    if near:
        return f"Did you mean {', '.join(near)}?"
    return "No name is like it; search_entity(words) finds entities by other words."


def resolve(ontology: Ontology, name: str) -> str:
    """Give the full IRI of an entity that occurs in the ontology.

    Args:
        ontology: Where to look.
        name: A prefixed name, ``<iri>`` or IRI.

    Raises:
        ValueError: It is no text, or empty.
        QueryError: It is a label, has an unknown prefix, or occurs nowhere; with suggestions.
    """
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"An IRI or prefixed name is needed, as text, not {name!r}.")
    name = name.strip()
    if ":" not in name:
        raise QueryError(f"{name!r} is no IRI or prefixed name. {suggestions(ontology, name)}")
    iri = ontology.expand(name)
    if not occurs(ontology, iri):
        raise QueryError(f"{name} occurs nowhere in {ontology.name}. {suggestions(ontology, name)}")
    return iri


def occurs(ontology: Ontology, iri: str, *, timeout: float = 10.0) -> bool:
    """Say whether an IRI is subject, predicate or object of any statement."""
    for pattern in (f"<{iri}> ?p ?o", f"?s ?p <{iri}>", f"?s <{iri}> ?o"):
        if ontology.select(f"ASK {{ {pattern} }}", timeout=timeout).rows[0]["ask"]:
            return True
    return False
