"""Read the ORDER BY and LIMIT of a query's outer level, and rewrite it to look past its end."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["QueryText", "read_query_text", "with_longer_limit", "with_sort_values"]

_OPAQUE = re.compile(
    r"""('''(?:[^\\]|\\.)*?'''|\"\"\"(?:[^\\]|\\.)*?\"\"\"|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"
    |<[^<>"{}|^`\\\s]*>|(?<![\w:])\#[^\n]*)""",
    re.VERBOSE | re.DOTALL,
)
_KEYWORD = re.compile(
    r"(?<![?$\w:])(SELECT|WHERE|FROM|ORDER\s+BY|LIMIT|OFFSET|GROUP\s+BY|HAVING|VALUES)\b",
    re.IGNORECASE,
)
_KEY = re.compile(r"\s*(ASC|DESC)?\s*(?:([?$]\w+)|([\w:.-]*)\s*\()", re.IGNORECASE)
_LIMIT = re.compile(r"\s*(\d+)")


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


def read_query_text(query: str) -> QueryText:
    """Read a query's outer ORDER BY and LIMIT; sub-queries, texts and comments are skipped.

    Args:
        query: A query that is known to be valid.

    Example:
        >>> read = read_query_text("SELECT ?x { ?x ex:n ?n } ORDER BY DESC(?n) ?x LIMIT 5 # 9")
        >>> read.order, read.limit
        (('?n', '?x'), 5)
    """
    masked = _OPAQUE.sub(lambda match: "\x00" * len(match[0]), query)
    outer = _outer(masked)
    limit_span = None
    order: tuple[str, ...] = ()
    projection_end = None
    selecting = False
    for keyword in _KEYWORD.finditer(outer):
        name = keyword[1].upper().split()[0]
        if name == "SELECT":
            selecting = True
        elif name == "LIMIT" and (number := _LIMIT.match(outer, keyword.end())):
            limit_span = number.span(1)
        elif name == "ORDER":
            order = _order_keys(query, masked, keyword.end())
        elif name in ("WHERE", "FROM") and selecting and projection_end is None:
            projection_end = keyword.start()
    brace = outer.find("{")
    if selecting and (projection_end is None or -1 < brace < projection_end):
        projection_end = brace
    if selecting and "*" in outer[:projection_end]:
        projection_end = None
    limit = int(query[slice(*limit_span)]) if limit_span else None
    return QueryText(query, limit, limit_span, order, projection_end)


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


def with_sort_values(read: QueryText) -> tuple[str, tuple[str, ...]] | None:
    """Give the query with its sort values selected as well.

    Returns:
        The query, and the names of the columns that hold the sort values; None when it has no
        ORDER BY or the sort values of ``SELECT *`` are not all variables.

    Example:
        >>> with_sort_values(read_query_text("SELECT ?x { ?x ex:n ?n } ORDER BY DESC(?n)"))
        ('SELECT ?x  (?n AS ?sort_value_0) { ?x ex:n ?n } ORDER BY DESC(?n)', ('sort_value_0',))
    """
    if not read.order:
        return None
    if read.projection_end is None:
        names = tuple(key[1:] for key in read.order if re.fullmatch(r"[?$]\w+", key))
        return (read.text, names) if len(names) == len(read.order) else None
    names = tuple(f"sort_value_{i}" for i in range(len(read.order)))
    added = " ".join(f"({key} AS ?{name})" for key, name in zip(read.order, names, strict=True))
    before, after = read.text[: read.projection_end], read.text[read.projection_end :]
    return f"{before} {added} {after}", names


def _outer(masked: str) -> str:
    """Blank everything inside braces and parentheses, keeping the positions."""
    depth = 0
    kept = []
    for character in masked:
        if character in "})":
            depth = max(depth - 1, 0)
        kept.append(character if depth == 0 else "\x00")
        if character in "{(":
            depth += 1
    return "".join(kept)


def _order_keys(query: str, masked: str, at: int) -> tuple[str, ...]:
    keys = []
    while key := _KEY.match(masked, at):
        if key[2]:
            keys.append(key[2])
            at = key.end()
            continue
        name = key[3] or ""
        if name.upper() == "VALUES":
            break
        opening = key.end() - 1
        at = _closing(masked, opening) + 1
        direction = name.upper() in ("ASC", "DESC") or key[1]
        expression = query[opening if direction or not name else key.start(3) : at]
        lone = re.fullmatch(r"\(\s*([?$]\w+)\s*\)", expression)
        keys.append(lone[1] if lone else expression)
    # What follows must be the next clause: half of the sort keys would tell of ties wrongly.
    if not re.match(r"[\s\0]*(LIMIT\b|OFFSET\b|VALUES\b|$)", masked[at:], re.IGNORECASE):
        return ()
    return tuple(
        key[1:-1].strip() if re.fullmatch(r"\(\s*[?$]\w+\s*\)", key) else key for key in keys
    )


def _closing(masked: str, opening: int) -> int:
    depth = 0
    for at in range(opening, len(masked)):
        depth += (masked[at] == "(") - (masked[at] == ")")
        if depth == 0:
            return at
    return len(masked) - 1
