"""Finds the memories that fit a question: full-text ranking, filters, no two nearly the same."""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, combinations

from rlm_runtime.memory.protocol import Memory, MemoryFilters, Retrieved
from rlm_runtime.memory.rows import MEMORY_COLUMNS, memory_from_row, passing
from rlm_runtime.memory.words import words_of

__all__ = ["retrieve"]

_MAX_CHARS = 20_000
_MAX_WORDS = 32
# Rows that are ranked for a question: each costs about 2 µs, and 5 µs more when it is filtered.
_MOST_ROWS = 2_500
_FIRST_LOOK = 300
# Of the words that are too frequent to rank all that have one: a word that more memories have than
# this share of them tells next to nothing beside others; so many count; so many are paired.
_TOO_COMMON = 0.1
_MOST_COMMON_WORDS = 6
_IN_PAIRS = 3
# Two memories with this share of their words in common (Jaccard) teach the same.
_SAME = 0.8

# Words of a question's frame. "Many", "most", "not", "without", "each" and their like stay: they
# tell a count from a list.
_FRAME = """
a about also am an and any are as at be been being but by can could did do does doing for from give
had has have having he her here hers him his how i if in into is it its itself just kindly know let
like list look me mine my need of on or our ours please she should show so some such tell than that
the their theirs them then there these they this those to too up us want was we were what when where
which while who whom whose why will with would you your yours
"""
_STOP_WORDS = frozenset(_FRAME.split())

# The question that it was learned from says best what a memory is about.
_BM25 = "-bm25(memory_fts, 1.5, 1.0, 1.0, 3.0, 1.0)"
# An unjudged memory keeps its rank; at the most a tenth is added or taken (Laplace's estimate).
_PREFERENCE = """
(0.9 + 0.2 * (memory_items.succeeded + 1.0) / (memory_items.succeeded + memory_items.failed + 2))
* CASE abs(memory_items.level - :level) WHEN 0 THEN 1.1 WHEN 1 THEN 1.05 ELSE 1.0 END
"""


def retrieve(
    db: sqlite3.Connection, task: str, k: int = 3, filters: MemoryFilters | None = None
) -> list[Retrieved]:
    """Find the memories that fit a question best.

    The rank is BM25 (Robertson and Zaragoza, 2009) over title, description, content, query and
    tags, as SQLite's FTS5 computes it, times small preferences for memories that helped and for
    the level of the filters. In a store of many thousands, ranking all that have any word of the
    question would take too long: those that have a rare word, or two of the others together, come
    first, and those with any of its words only when these are too few; of more than 2,500, the
    newest are ranked then.

    Args:
        db: A connection to the tables of a memory store; nothing is written.
        task: The question; any text. Its first 32 words that are no stop words count.
        k: How many memories at the most.
        filters: Which memories are wanted; None for all that are not retired.

    Returns:
        Best first, no two nearly the same; the same each time. Empty when no word is found.

    Raises:
        sqlite3.Error: The store cannot be read.

    Example:
        >>> from rlm_runtime.memory.migrations import migrate
        >>> empty = sqlite3.connect(":memory:", isolation_level=None)
        >>> migrate(empty)
        >>> retrieve(empty, "How many agents are there?")
        []
    """
    if k < 1:
        return []
    chosen: list[tuple[Retrieved, frozenset[str]]] = []
    seen: set[int] = set()
    for item, score in _ranked(db, _words(task), filters or MemoryFilters()):
        if item in seen:
            continue
        seen.add(item)
        memory = _memory(db, item)
        if memory is None:
            continue
        words = _own_words(memory)
        if all(_likeness(words, others) < _SAME for _, others in chosen):
            chosen.append((Retrieved(memory, score), words))
        if len(chosen) == k:
            break
    found = [one for one, _ in chosen]
    return sorted(found, key=lambda one: (-one.score, one.memory.memory_id))


def _words(task: str) -> list[str]:
    folded = (word.lower() for word in words_of(task[:_MAX_CHARS]))
    return list(dict.fromkeys(w for w in folded if w not in _STOP_WORDS))[:_MAX_WORDS]


def _ranked(
    db: sqlite3.Connection, words: Sequence[str], filters: MemoryFilters
) -> Iterator[tuple[int, float]]:
    """Give items and scores, those of the most telling expression first; some come twice."""
    condition, values = passing(filters)
    best = f"""
        SELECT item, told * {_PREFERENCE} AS score FROM (
            SELECT rowid AS row, {_BM25} AS told FROM memory_fts WHERE memory_fts MATCH ?
             ORDER BY told DESC, row LIMIT {_FIRST_LOOK})
          CROSS JOIN memory_items ON item = row
         WHERE {condition} ORDER BY score DESC, memory_id"""
    newest = f"""
        SELECT item, score FROM (
            SELECT item, memory_id, {_BM25} * {_PREFERENCE} AS score
              FROM memory_fts CROSS JOIN memory_items ON item = memory_fts.rowid
             WHERE memory_fts MATCH ? AND {condition}
             ORDER BY memory_fts.rowid DESC LIMIT {_MOST_ROWS})
         ORDER BY score DESC, memory_id"""
    for expression, rows in _expressions(db, words):
        given = (filters.level, expression, *values)
        # To filter all that match costs more than to rank it, and is seldom needed.
        few = rows <= _MOST_ROWS
        if few:
            yield from db.execute(best, given)
        if not few or rows > _FIRST_LOOK:
            yield from db.execute(newest, given)


def _expressions(db: sqlite3.Connection, words: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Give full-text expressions, the most telling first, with how many rows match at the most.

    The first asks for a rare word or for common ones together, and lets the others count; the
    second for any common word.
    """
    counted = sorted(
        (rows, place, f'"{word}"')
        for place, word in enumerate(words)
        if (rows := _matching(db, f'"{word}"')) > 0
    )
    taken = [0, *accumulate(rows for rows, _, _ in counted)]
    bound = bisect_right(taken, _MOST_ROWS) - 1
    rare = [word for _, _, word in counted[:bound]]
    (newest,) = db.execute("SELECT max(item) FROM memory_items").fetchone()
    telling = [word for rows, _, word in counted[bound:] if rows <= _TOO_COMMON * (newest or 0)]
    common = (telling or [word for _, _, word in counted[bound:]])[:_MOST_COMMON_WORDS]
    together, rows = _together(db, common, _MOST_ROWS - taken[bound])
    if rare or together:
        needed = _any([*rare, together] if together else rare)
        counting = f" AND {_any([*rare, *common])}" if common else ""
        yield needed + counting, taken[bound] + rows
    if common:
        yield _any(common), taken[-1]


def _together(db: sqlite3.Connection, words: Sequence[str], most: int) -> tuple[str, int]:
    """Ask for two of some words, or for as many as leave no more rows than these; or for none."""
    two = " OR ".join(f"({a} AND {b})" for a, b in combinations(words[:_IN_PAIRS], 2))
    rows = _matching(db, two) if two else 0
    if rows <= most:
        return two, rows
    expression = words[0]
    for word in words[1:]:
        narrower = f"{expression} AND {word}"
        fewer = _matching(db, narrower)
        if 0 < fewer <= most:
            return f"({narrower})", fewer
        if fewer:
            expression = narrower
    return "", 0


def _matching(db: sqlite3.Connection, expression: str) -> int:
    count = "SELECT count(*) FROM memory_fts WHERE memory_fts MATCH ?"
    return db.execute(count, (expression,)).fetchone()[0]


def _any(words: Sequence[str]) -> str:
    return f"({' OR '.join(words)})"


def _memory(db: sqlite3.Connection, item: int) -> Memory | None:
    row = db.execute(
        f"SELECT {MEMORY_COLUMNS} FROM memory_items WHERE item = ?", (item,)
    ).fetchone()
    return None if row is None else memory_from_row(row)


def _own_words(memory: Memory) -> frozenset[str]:
    told = f"{memory.title} {memory.content} {memory.query}"
    return frozenset(word.lower() for word in words_of(told))


def _likeness(some: frozenset[str], others: frozenset[str]) -> float:
    together = len(some | others)
    return len(some & others) / together if together else 1.0
