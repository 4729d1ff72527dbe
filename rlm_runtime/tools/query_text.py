"""Read the ORDER BY and LIMIT of a query's outer level, and rewrite it to look past its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlm_runtime.errors import QueryError
from rlm_runtime.ontology.sparql_tokens import Token, closing, tokens

__all__ = ["QueryText", "is_sorted", "read_query_text", "with_longer_limit", "with_sort_values"]


@dataclass(frozen=True)
class QueryText:
    """What the outer level of a SELECT says of order and length.

    Attributes:
        limit: Its LIMIT, or None.
        order: The expressions of its ORDER BY, without ASC and DESC.
        text: The query.
        limit_span: Where the number of the LIMIT stands in the text.
        projection_end: Where more columns can be inserted; None for ``SELECT *`` and other forms.
    """

    text: str
    limit: int | None
    limit_span: tuple[int, int] | None
    order: tuple[str, ...]
    projection_end: int | None


def is_sorted(query: str) -> bool:
    """Say whether a query's rows are sorted; of one that is no query, that they are not.

    Example:
        >>> is_sorted("SELECT ?x { { SELECT ?x { ?x ?p ?o } ORDER BY ?o } }"), is_sorted("order '")
        (False, False)
    """
    if "order" not in query.lower():
        return False
    try:
        found = tokens(query)
    except QueryError:
        return False
    return any(found[i].text.upper() == "ORDER" for i in _outer(found) if found[i].kind == "word")


def read_query_text(query: str) -> QueryText:
    """Read a query's outer ORDER BY and LIMIT; sub-queries, texts and comments are skipped.

    Args:
        query: A query that is known to be valid.

    Example:
        >>> read = read_query_text("SELECT ?x { ?x ex:n ?n } ORDER BY DESC(?n) ?x LIMIT 5 # 9")
        >>> read.order, read.limit
        (('?n', '?x'), 5)
    """
    found = tokens(query)
    outer = _outer(found)
    limit_span = None
    order: tuple[str, ...] = ()
    projection_end = None
    selects_all = False
    for place, i in enumerate(outer):
        word = found[i].text.upper() if found[i].kind in ("word", "mark") else ""
        if word in ("WHERE", "FROM", "{") and projection_end is None:
            projection_end = found[i].start
        elif word == "*" and projection_end is None:
            selects_all = True
        elif word == "LIMIT":
            number = found[outer[place + 1]]
            limit_span = (number.start, number.start + len(number.text))
        elif word == "ORDER":
            order = _order_keys(query, found, i + 2)
    return QueryText(
        query,
        int(query[slice(*limit_span)]) if limit_span else None,
        limit_span,
        order,
        None if selects_all else projection_end,
    )


def with_longer_limit(read: QueryText, more: int) -> str:
    """Give the query with its LIMIT raised by ``more`` rows, or as it is when it has none.

    Example:
        >>> with_longer_limit(read_query_text("SELECT * { ?s ?p ?o } LIMIT 5 OFFSET 2"), 1)
        'SELECT * { ?s ?p ?o } LIMIT 6 OFFSET 2'
    """
    if read.limit is None or read.limit_span is None:
        return read.text
    start, end = read.limit_span
    return f"{read.text[:start]}{read.limit + more}{read.text[end:]}"


def with_sort_values(read: QueryText, columns: Sequence[str]) -> tuple[str, tuple[str, ...]] | None:
    """Give the query with those of its sort values selected as well that are no columns yet.

    Args:
        read: A query with an ORDER BY.
        columns: Its columns.

    Returns:
        The query, and the names of the columns that hold the sort values; None when they cannot
        be selected.

    Example:
        >>> with_sort_values(read_query_text("SELECT ?x { ?x ex:n ?n } ORDER BY ?x ?n"), ["x"])
        ('SELECT ?x (?n AS ?sort_value_1) { ?x ex:n ?n } ORDER BY ?x ?n', ('x', 'sort_value_1'))
    """
    names: list[str] = []
    added: list[str] = []
    for i, key in enumerate(read.order):
        if key[1:] in columns:
            names.append(key[1:])
        else:
            names.append(f"sort_value_{i}")
            added.append(f"({key} AS ?sort_value_{i}) ")
    if not added:
        return read.text, tuple(names)
    if read.projection_end is None:
        return None
    before, after = read.text[: read.projection_end], read.text[read.projection_end :]
    return f"{before}{''.join(added)}{after}", tuple(names)


def _outer(found: Sequence[Token]) -> list[int]:
    """Give the places of the tokens outside all braces and parentheses, ``{`` included."""
    places = []
    depth = 0
    for i, token in enumerate(found):
        if token.kind == "mark" and token.text in ("}", ")"):
            depth -= 1
        if depth == 0:
            places.append(i)
        if token.kind == "mark" and token.text in ("{", "("):
            depth += 1
    return places


def _order_keys(query: str, found: Sequence[Token], i: int) -> tuple[str, ...]:
    """Give the expressions from the token after ORDER BY on, up to the next clause."""
    keys = []
    while i < len(found):
        token = found[i]
        following = found[i + 1].text if i + 1 < len(found) else ""
        if token.kind == "var":
            keys.append(token.text)
            i += 1
            continue
        descending = token.kind == "word" and token.text.upper() in ("ASC", "DESC")
        call = following == "(" and token.text.upper() != "VALUES"
        if token.text != "(" and not call:
            break
        opening = i if token.text == "(" else i + 1
        end = closing(found, opening)
        if end is None:
            break
        first = found[opening if descending else i]
        inside = found[opening + 1 : end]
        lone = len(inside) == 1 and inside[0].kind == "var" and first.text == "("
        keys.append(inside[0].text if lone else query[first.start : found[end].start + 1])
        i = end + 1
    return tuple(keys)
