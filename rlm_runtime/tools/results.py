"""Keep long results of queries on our side, under handles, and give parts of them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from rlm_runtime.ontology.protocol import Ontology, Plain, Rows, Term
from rlm_runtime.tools.values import cell, column_kinds, join_notes, tabulate

__all__ = ["Kept", "KeptResults", "count_by", "filtered", "page"]

_MAX_BYTES = 10_000_000
_MAX_RESULTS = 20
_MAX_ALL_BYTES = 50_000_000
# What a term costs beside its text, roughly.
_TERM_BYTES = 100


@dataclass(frozen=True)
class Kept:
    """A result that is kept.

    Attributes:
        handle: Its name, as in ``r1``.
        rows: Its rows.
        complete: Whether these are all that its query gives.
        size: Bytes that they take, roughly.
    """

    handle: str
    rows: Rows
    complete: bool
    size: int

    def column(self, name: str) -> int:
        """Give the place of a column.

        Raises:
            ValueError: There is none of this name; the message names those there are.
        """
        bare = name.lstrip("?") if isinstance(name, str) else name
        if bare not in self.rows.columns:
            raise ValueError(
                f"{self.handle} has no column {name!r}; it has {', '.join(self.rows.columns)}."
            )
        return self.rows.columns.index(bare)

    def __str__(self) -> str:
        more = "" if self.complete else ", the query has more"
        return f"{self.handle} ({len(self.rows):,} rows{more}; {', '.join(self.rows.columns)})"


class KeptResults:
    """The results kept for one set of tools: at most 20, together about 50 MB.

    The oldest give way to a new one. Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, Kept] = {}
        self._made = 0

    def keep(self, rows: Rows, *, complete: bool) -> Kept:
        """Keep rows, as many as fit into 10 MB, and at least one.

        Args:
            rows: What a query gave, or a part of it.
            complete: Whether the query gives no more than these.
        """
        count, size = _fitting(rows)
        fitting = replace(rows, terms=rows.terms[:count])
        with self._lock:
            self._made += 1
            kept = Kept(f"r{self._made}", fitting, complete and count == len(rows), size)
            self._kept[kept.handle] = kept
            while (
                len(self._kept) > _MAX_RESULTS
                or sum(other.size for other in self._kept.values()) > _MAX_ALL_BYTES
            ):
                del self._kept[next(iter(self._kept))]
        return kept

    def get(self, handle: str) -> Kept:
        """Give what is kept under a handle.

        Raises:
            ValueError: Nothing, or no more; the message names what there is.
        """
        with self._lock:
            made, there = self._made, list(self._kept.values())
        for kept in there:
            if kept.handle == handle:
                return kept
        dropped = handle in [f"r{number}" for number in range(1, made + 1)]
        raise ValueError(
            f"{handle} gave way to later results: run its query again."
            if dropped
            else f"There is no result {handle!r}: sparql_select gives a handle when there are more "
            f"rows than it shows. Kept are: {'; '.join(map(str, there)) or 'none'}."
        )


def page(ontology: Ontology, kept: Kept, offset: int, limit: int) -> dict[str, Any]:
    """Give rows of a kept result as a table.

    Returns:
        As ``tabulate``; and ``handle`` and ``total``, which is None when there are more rows
        than are kept.

    Raises:
        ValueError: The offset is no whole number of at least 0.
    """
    if isinstance(offset, bool) or not isinstance(offset, int) or offset < 0:
        raise ValueError(f"offset must be a whole number of at least 0, not {offset!r}.")
    there = len(kept.rows)
    part = kept.rows.terms[offset : offset + limit]
    table = tabulate(ontology, replace(kept.rows, terms=part), "result_page gives the rest")
    end = offset + table["count"]
    which = "All" if kept.complete else f"The first {there:,}"
    more = f"{which} are kept as {kept.handle}"
    if end < there:
        more += f": result_page('{kept.handle}', {end}) goes on; or result_filter, result_count_by"
    elif offset >= there > 0:
        more += f": there is no row {offset}, counted from 0"
    return {
        **table,
        "total": there if kept.complete else None,
        "truncated": end < there or not kept.complete,
        "handle": kept.handle,
        **join_notes(f"{more}.", table.get("note")),
    }


def filtered(
    ontology: Ontology,
    kept: Kept,
    column: str,
    *,
    contains: str | None,
    equals: Plain,
    at_least: Plain,
    at_most: Plain,
) -> tuple[Rows, str | None]:
    """Find the rows of a kept result whose value in a column meets all conditions given.

    Args:
        ontology: What it came from.
        kept: The result.
        column: The column.
        contains: A part of the text, name or IRI, in upper or lower case.
        equals: A number, a text, a prefixed name or an IRI.
        at_least: A number, or a text that sorts like one of a date.
        at_most: Likewise.

    Returns:
        The rows, and a note on the column's values when there are none.

    Raises:
        ValueError: No such column, or no condition.
    """
    i = kept.column(column)
    tests: list[Callable[[Term], bool]] = []
    if contains is not None:
        part = str(contains).casefold()
        tests.append(lambda term: any(part in t.casefold() for t in _texts(ontology, term)))
    if equals is not None:
        tests.append(lambda term: _equal(ontology, term, equals))
    if at_least is not None:
        tests.append(lambda term: _in_order(at_least, term.plain))
    if at_most is not None:
        tests.append(lambda term: _in_order(term.plain, at_most))
    if not tests:
        raise ValueError("Give a condition: contains, equals, at_least or at_most.")
    found = []
    for row in kept.rows.terms:
        term = row[i]
        if term is not None and all(test(term) for test in tests):
            found.append(row)
    values = [row[i] for row in kept.rows.terms]
    note = None
    if not found and values:
        some = ", ".join(str(cell(ontology, term)) for term in dict.fromkeys(values[:20]))
        kinds = column_kinds(ontology, values)
        note = f"No value meets that; {column} ({kinds}) has values like {some[:200]}."
    return replace(kept.rows, terms=tuple(found)), note


def count_by(ontology: Ontology, kept: Kept, column: str, limit: int) -> dict[str, Any]:
    """Count the rows of a kept result by the values of a column, the most frequent first.

    The table has that column, under its name, and ``count``.
    """
    i = kept.column(column)
    name = kept.rows.columns[i]
    name = "value" if name == "count" else name
    counts = Counter(terms[i] for terms in kept.rows.terms)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0] or ()))
    rows = [{name: cell(ontology, term), "count": n} for term, n in ranked[:limit]]
    return {
        "columns": [name, "count"],
        "rows": rows,
        "count": len(rows),
        "total": len(counts),
        "truncated": len(counts) > limit or not kept.complete,
        **join_notes(
            None
            if kept.complete
            else f"Counted in {kept}; COUNT and GROUP BY in SPARQL count beyond them.",
            f"Cut at limit={limit}: raise it for more values." if len(counts) > limit else None,
        ),
    }


def _fitting(rows: Rows) -> tuple[int, int]:
    """Say how many of the rows fit into one result, at least one, and the bytes they take."""
    size = 0
    for count, terms in enumerate(rows.terms):
        row = sum(_TERM_BYTES + (len(term.value) if term else 0) for term in terms)
        if count and size + row > _MAX_BYTES:
            return count, size
        size += row
    return len(rows), size


def _texts(ontology: Ontology, term: Term) -> tuple[str, ...]:
    return (term.value, ontology.compact(term.value)) if term.kind == "iri" else (term.value,)


def _equal(ontology: Ontology, term: Term, wanted: Plain) -> bool:
    if isinstance(wanted, str):
        bare = wanted.removeprefix("<").removesuffix(">") if term.kind == "iri" else wanted
        return bare in _texts(ontology, term)
    # True is no 1: a number asked for is no truth value.
    return term.plain == wanted and isinstance(term.plain, bool) == isinstance(wanted, bool)


def _in_order(low: Plain, high: Plain) -> bool:
    """Say whether two numbers, or two texts, are in ascending order; others never are."""
    if isinstance(low, str) and isinstance(high, str):
        return low <= high
    return isinstance(low, int | float) and isinstance(high, int | float) and low <= high
