"""Finds the memories that fit a question: full-text ranking, filters, no two nearly the same."""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, combinations

from rlm_runtime.memory.fit import Asked, asked, fit, same_form, told
from rlm_runtime.memory.kinds import kind_words
from rlm_runtime.memory.protocol import Memory, MemoryFilters, Retrieved
from rlm_runtime.memory.rows import MEMORY_COLUMNS, memory_from_row, passing
from rlm_runtime.memory.words import FRAME, nearly_same, words_of

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

# An unjudged memory keeps its weight; at the most a tenth is added or taken (Laplace's estimate).
_PREFERENCE = """
(0.9 + 0.2 * (memory_items.succeeded + 1.0) / (memory_items.succeeded + memory_items.failed + 2))
* CASE abs(memory_items.level - :level) WHEN 0 THEN 1.1 WHEN 1 THEN 1.05 ELSE 1.0 END
"""
# Notes, and exemplars, that are weighed: each costs about 30 µs.
_WEIGHED = 25
# Exemplars crowd out notes, which fit more questions.
_MOST_EXEMPLARS = 2
# An exemplar that has nothing but the form of the question.
_FORM_ONLY = 0.1

_BM25 = "-bm25(memory_fts, 2.0, 2.0, 1.0, 2.0, 2.0)"


def retrieve(
    db: sqlite3.Connection, task: str, k: int = 3, filters: MemoryFilters | None = None
) -> list[Retrieved]:
    """Find the memories that fit a question best, if any do.

    A strategy is matched by title, description, tags and content, not by the question that taught
    it; an exemplar by its title and question. The kind of the question (how many, per x, the most,
    without …) counts like a telling word. The score is the weight of what a memory shares with
    the question (inverse document frequencies, 2 for a kind; half of it for what is in a
    strategy's content only), up to a quarter less when the memory is for other kinds as well,
    times small preferences for memories that helped and for the level of the filters.

    What shares too little is not given: several words or kinds must have a quarter of the
    question's weight together, one alone half of it. A strategy whose description (or else title)
    says for which kinds of questions it is always fits these, if they are more than counts and
    groups, and fits others by its words only. When no exemplar fits and there is room, one may come
    that asks for the very kinds of the question, unless these are only "how many" or "per x".

    The 25 strategies and 25 exemplars that are weighed are the first by BM25 (Robertson and
    Zaragoza, 2009), as SQLite's FTS5 computes it. In a store of many thousands, ranking all that
    have any word of the question would take too long: those that have a rare word, or two of the
    others together, come first, and those with any of its words only when these are too few; of
    more than 2,500, the newest are ranked then.

    Args:
        db: A connection to the tables of a memory store; nothing is written.
        task: The question; any text. Its first 32 words that are no stop words count.
        k: How many memories at the most. No more than two of them are exemplars, the second only
            when there are too few strategies, unless the filters ask for exemplars.
        filters: Which memories are wanted; None for all that are not retired.

    Returns:
        Best first, no two nearly the same; the same each time. Empty when nothing fits.

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
    filters = filters or MemoryFilters()

    @cache
    def matching(word: str) -> int:
        return _matching(db, f'"{word}"')

    if len(task) > _MAX_CHARS:
        # Without the word that the cut goes through.
        task = task[:_MAX_CHARS].rsplit(None, 1)[0]
    words = _words(task)
    (newest,) = db.execute("SELECT coalesce(max(item), 0) FROM memory_items").fetchone()
    question = asked(task, words, matching, newest)
    expressions = _expressions(db, [*words, *kind_words(question.kinds)], matching, newest)
    ranked: dict[int, _Weighed] = {}
    for candidates in _candidates(db, expressions, filters):
        new = [item for item in candidates if item not in ranked]
        ranked |= _weighed(db, question, new, filters.level)
        if sum(one.fits for one in ranked.values()) >= k:
            break
    by_rank = sorted(ranked.values(), key=lambda one: (-one.score, one.memory_id))
    ordered = [one for one in by_rank if one.fits]
    if filters.kind != "exemplar":
        exemplars = [one for one in ordered if one.exemplar][:_MOST_EXEMPLARS]
        ordered = [one for one in ordered if not one.exemplar or one is exemplars[0]]
        ordered += exemplars[1:] if exemplars else [one for one in by_rank if not one.fits][:1]
    chosen: list[tuple[Retrieved, frozenset[str]]] = []
    for one in ordered:
        memory = _memory(db, one.item)
        if memory is None:
            continue
        own = frozenset(words_of(f"{memory.title} {memory.content}"))
        if not any(nearly_same(own, others) for _, others in chosen):
            chosen.append((Retrieved(memory, one.score), own))
        if len(chosen) == k:
            break
    found = [one for one, _ in chosen]
    return sorted(found, key=lambda one: (-one.score, one.memory.memory_id))


def _words(task: str) -> list[str]:
    return list(dict.fromkeys(w for w in words_of(task) if w not in FRAME))[:_MAX_WORDS]


def _candidates(
    db: sqlite3.Connection, expressions: Iterable[tuple[str, int]], filters: MemoryFilters
) -> Iterator[list[int]]:
    """Give items, those of the most telling expression first; some come twice."""
    condition, values = passing(filters)
    best = f"""
        SELECT item, kind FROM (
            SELECT rowid AS row, {_BM25} AS told FROM memory_fts WHERE memory_fts MATCH ?
             ORDER BY told DESC, row LIMIT {_FIRST_LOOK})
          CROSS JOIN memory_items ON item = row
         WHERE {condition} ORDER BY told DESC, memory_id"""
    newest = f"""
        SELECT item, kind FROM (
            SELECT item, kind, memory_id, {_BM25} AS told
              FROM memory_fts CROSS JOIN memory_items ON item = memory_fts.rowid
             WHERE memory_fts MATCH ? AND {condition}
             ORDER BY memory_fts.rowid DESC LIMIT {_MOST_ROWS})
         ORDER BY told DESC, memory_id"""
    for expression, rows in expressions:
        given = (expression, *values)
        # To filter all that match costs more than to rank it, and is seldom needed.
        few = rows <= _MOST_ROWS
        if few:
            yield _first(db.execute(best, given))
        if not few or rows > _FIRST_LOOK:
            yield _first(db.execute(newest, given))


def _first(ranked: Iterable[tuple[int, str]]) -> list[int]:
    strategies: list[int] = []
    exemplars: list[int] = []
    for item, kind in ranked:
        (exemplars if kind == "exemplar" else strategies).append(item)
    return strategies[:_WEIGHED] + exemplars[:_WEIGHED]


@dataclass(frozen=True)
class _Weighed:
    score: float
    item: int
    memory_id: str
    exemplar: bool
    fits: bool


def _weighed(
    db: sqlite3.Connection, question: Asked, items: Sequence[int], level: int | None
) -> dict[int, _Weighed]:
    """Weigh items, and leave out what does not fit."""
    found = db.execute(
        f"SELECT item, memory_id, {_PREFERENCE}, kind, indexed.title, indexed.description,"
        " indexed.content, indexed.query, indexed.tags"
        " FROM memory_items JOIN memory_fts AS indexed ON indexed.rowid = item"
        " WHERE item IN (SELECT value FROM json_each(:items))",
        {"items": json.dumps(items), "level": level},
    )
    weighed: dict[int, _Weighed] = {}
    for item, known, preference, kind, *texts in found:
        memory = told(kind, *texts)
        weight = fit(question, memory)
        if weight > 0 or same_form(question, memory):
            score = (weight or _FORM_ONLY) * preference
            weighed[item] = _Weighed(score, item, known, memory.exemplar, weight > 0)
    return weighed


def _expressions(
    db: sqlite3.Connection, words: Sequence[str], matching: Callable[[str], int], newest: int
) -> Iterator[tuple[str, int]]:
    """Give full-text expressions, the most telling first, with how many rows match at the most.

    The first asks for a rare word or for common ones together, and lets the others count; the
    second for any common word.
    """
    counted = sorted(
        (rows, place, f'"{word}"')
        for place, word in enumerate(dict.fromkeys(words))
        if (rows := matching(word)) > 0
    )
    taken = [0, *accumulate(rows for rows, _, _ in counted)]
    bound = bisect_right(taken, _MOST_ROWS) - 1
    rare = [word for _, _, word in counted[:bound]]
    telling = [word for rows, _, word in counted[bound:] if rows <= _TOO_COMMON * newest]
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
