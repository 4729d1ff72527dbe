"""Words in a label index: whether they occur, what they begin, what they may be misspelt for."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from difflib import SequenceMatcher

from rlm_runtime.ontology.label_schema import SHORTEST_WORD
from rlm_runtime.ontology.text import unspaced_parts

__all__ = ["LAST", "WordLookup", "all_of", "any_of", "misspellings", "tokens_of"]

LAST = "\U0010ffff"
"""Comes after all other letters."""

_BEGIN = 8
_COMPLETIONS = 20
_CANDIDATES = 40
_ONE_OFF = 500
_MOST_SHARING = 2_000
# Below this likeness (difflib's ratio) a word of the vocabulary is another word, not a misspelling:
# "actvity" has 0.93 with "activity", "game" has 0.75 with "name".
_ALIKE = 0.76


def misspellings(word: str) -> list[str]:
    """Give the first letters of a word, and what is left of them without any one letter.

    Two words that begin with a letter too much, too few, wrong or swapped have one of these in
    common; of two that differ later, it is the beginning (the deletion neighbourhood of SymSpell,
    https://github.com/wolfgarbe/SymSpell).

    Example:
        >>> sorted({*misspellings("word")} & {*misspellings("wrod")})
        ['wod', 'wrd']
    """
    begin = word[:_BEGIN]
    return [begin, *[begin[:i] + begin[i + 1 :] for i in range(len(begin))]]


def tokens_of(word: str) -> str:
    """Write the full-text expression for a word; in a script without spaces, for its parts.

    Example:
        >>> tokens_of("tokyo"), tokens_of("東京都")
        ('("tokyo")', '("東京" AND "京都")')
    """
    return all_of(f'"{part}"' for part in unspaced_parts(word) or [word])


def any_of(expressions: Iterable[str]) -> str:
    """Write the full-text expression for texts that fulfil one of some expressions."""
    return f"({' OR '.join(expressions)})"


def all_of(expressions: Iterable[str]) -> str:
    """Write the full-text expression for texts that fulfil all of some expressions."""
    return f"({' AND '.join(expressions)})"


class WordLookup:
    """Questions about words to one connection; one thread at a time.

    Args:
        db: The connection.
        lengths: Length and first number of the words of each length, which are numbered by it.
    """

    def __init__(self, db: sqlite3.Connection, lengths: list[tuple[int, int]]) -> None:
        self._db = db
        self._lengths = lengths

    def occurs(self, word: str) -> bool:
        """Say whether any text has this word."""
        rows = self._db.execute(
            "SELECT 1 FROM names WHERE names MATCH ? LIMIT 1", (tokens_of(word),)
        )
        return rows.fetchone() is not None

    def texts(self, words: Iterable[str]) -> int:
        """Give about how many texts have one of these words."""
        values = tuple(words)
        marks = ",".join("?" * len(values))
        total = f"SELECT total(texts) FROM word WHERE word IN ({marks})"
        return int(self._db.execute(total, values).fetchone()[0])

    def completions(self, word: str) -> list[str]:
        """Give words that begin with this one, then words that it is part of, shorter first."""
        if len(word) < SHORTEST_WORD:
            return []
        if not word.isalpha():
            return self._longer(word)
        begin = "SELECT word FROM word WHERE word >= ? AND word < ? ORDER BY id LIMIT ?"
        found = [w for (w,) in self._db.execute(begin, (word, word + LAST, _COMPLETIONS))]
        if len(found) < _COMPLETIONS:
            inside = self._db.execute(
                "SELECT w.word FROM pieces p CROSS JOIN word w ON w.id = p.rowid "
                "WHERE pieces MATCH ? AND instr(w.word, ?) > 1 ORDER BY p.rowid LIMIT ?",
                (all_of(_pieces(word)), word, _COMPLETIONS - len(found)),
            )
            found += [w for (w,) in inside]
        return found

    def corrections(self, word: str) -> list[str]:
        """Give the words that this one may be a misspelling of, the most alike first."""
        found = _alike(word, self._one_letter_off(word)) or _alike(word, self._sharing_pieces(word))
        best = max(found.values(), default=0.0)
        near = [w for w in found if found[w] >= best - 0.05]
        return sorted(near, key=lambda w: (-found[w], w))

    def _longer(self, word: str) -> list[str]:
        """Give words with digits, which are not kept by themselves: few are worth correcting."""
        begin = "SELECT term FROM name_words WHERE term >= ? AND term < ? LIMIT ?"
        rows = self._db.execute(begin, (word, word + LAST, 10 * _COMPLETIONS))
        return sorted((w for (w,) in rows), key=lambda w: (len(w), w))[:_COMPLETIONS]

    def _one_letter_off(self, word: str) -> list[str]:
        expression = any_of(f'"{rest}"' for rest in misspellings(word) if rest)
        rows = self._db.execute(
            "SELECT w.word FROM misspelt m CROSS JOIN word w ON w.id = m.rowid "
            "WHERE misspelt MATCH ? AND length(w.word) BETWEEN ? AND ? LIMIT ?",
            (expression, len(word) - 1, len(word) + 1, _ONE_OFF),
        )
        return [w for (w,) in rows]

    def _sharing_pieces(self, word: str) -> list[str]:
        """Give the words of like length that have the most groups of three letters in common."""
        starts = [number for length, number in self._lengths if length >= len(word) - 2]
        ends = [number for length, number in self._lengths if length > len(word) + 2]
        if not starts:
            return []
        span = (starts[0], ends[0] - 1 if ends else 2**62)
        shared: Counter[int] = Counter()
        for piece in _pieces(f" {word} "):
            rows = self._db.execute(
                "SELECT rowid FROM pieces WHERE pieces MATCH ? AND rowid BETWEEN ? AND ? LIMIT ?",
                (piece, *span, _MOST_SHARING),
            )
            shared.update(number for (number,) in rows)
        near = [number for number, _ in shared.most_common(_CANDIDATES)]
        marks = ",".join("?" * len(near))
        return [
            w for (w,) in self._db.execute(f"SELECT word FROM word WHERE id IN ({marks})", near)
        ]


def _pieces(text: str) -> list[str]:
    return [f'"{text[i : i + 3]}"' for i in range(len(text) - 2)]


def _alike(word: str, others: Iterable[str]) -> dict[str, float]:
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(word)
    likeness: dict[str, float] = {}
    for other in others:
        matcher.set_seq1(other)
        ratio = matcher.ratio()
        if other != word and ratio >= _ALIKE:
            likeness[other] = ratio
    return likeness
