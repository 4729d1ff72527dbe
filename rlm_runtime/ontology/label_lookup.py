"""Texts in a label index: by IRI, by key, by words, by number."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Literal, NamedTuple

from rlm_runtime.ontology.label_schema import FIRST_WORD, KEY, KEY_START, KEY_START_LENGTHS
from rlm_runtime.ontology.label_words import LAST, WordLookup, all_of
from rlm_runtime.ontology.protocol import EntityKind

__all__ = ["Bounds", "Found", "TextLookup"]

# Of more texts that start alike, the first ones are taken in the order of their numbers.
_MANY = 2_000
# Left alone, SQLite would rather go through all texts of a kind.
_BY_KEY = "text t INDEXED BY text_key"
_FOUND = "e.iri, e.kind, e.label, e.types, t.text, t.spaced, t.id"


class Found(NamedTuple):
    """A text of an entity."""

    iri: str
    kind: EntityKind | None
    label: str
    types: str
    text: str
    spaced: str
    number: int

    @property
    def key(self) -> str:
        """The text's words without the gaps."""
        return self.spaced.replace(" ", "")


class Bounds(NamedTuple):
    """The numbers of the texts that are wanted; those of entities of one kind lie together."""

    first: int
    last: int


class TextLookup:
    """Questions about texts to one connection; one thread at a time."""

    def __init__(self, db: sqlite3.Connection) -> None:
        meta = {name: json.loads(value) for name, value in db.execute("SELECT * FROM meta")}
        classes, properties, self.count = meta["kinds"]
        self._bounds = {
            "class": Bounds(1, classes),
            "property": Bounds(classes + 1, properties),
            "instance": Bounds(properties + 1, self.count),
            "any": Bounds(1, self.count),
        }
        self._db = db
        self.words = WordLookup(db, meta["lengths"])

    def bounds(self, kind: EntityKind | Literal["any"]) -> Bounds:
        """Give the numbers of the texts of a kind."""
        return self._bounds[kind]

    def entity(self, iri: str) -> Found | None:
        """Give an entity by its IRI in full, without its texts."""
        row = self._db.execute(
            "SELECT iri, kind, label, types, '', '', 0 FROM entity WHERE iri = ?", (iri,)
        ).fetchone()
        return Found(*row) if row else None

    def exact(self, key: str, bounds: Bounds, most: int) -> list[Found]:
        """Give the texts with a key, the best first."""
        where = f"{KEY} = ? AND t.id BETWEEN ? AND ? ORDER BY t.id LIMIT ?"
        return list(self._texts(_BY_KEY, where, key, *bounds, most))

    def starting(self, spaced: str, bounds: Bounds) -> Iterator[Found]:
        """Give the texts whose key starts like that of some words, the best first.

        Those that start with just these words come before those where the last one goes on.
        """
        key = spaced.replace(" ", "")
        alike = f"{KEY} >= ? AND {KEY} < ?"
        span = (key, key + LAST)
        few = f"SELECT count(*) FROM (SELECT 1 FROM {_BY_KEY} WHERE {alike} LIMIT ?)"
        if self._db.execute(few, (*span, _MANY)).fetchone()[0] < _MANY:
            just = "(spaced = ? OR substr(spaced, 1, ?) = ?) DESC"
            place = (spaced, len(spaced) + 1, spaced + " ")
            where = f"{alike} AND t.id BETWEEN ? AND ? ORDER BY {just}, t.id"
            yield from self._texts(_BY_KEY, where, *span, *bounds, *place)
            return
        first, *others = spaced.split(" ")
        just = all_of(f'"{word}"' for word in (FIRST_WORD + first, *others))
        for text in islice(self.matching(just, bounds), _MANY):
            if f"{text.spaced} ".startswith(f"{spaced} "):
                yield text
        read = 0
        start = f'"{KEY_START}{key[: KEY_START_LENGTHS[-1]]}"'
        for text in islice(self.matching(start, bounds), _MANY):
            read += 1
            if text.key.startswith(key):
                yield text
        if read == _MANY:
            # Nearly all texts that start a little alike go on otherwise.
            where = f"{alike} AND t.id BETWEEN ? AND ? LIMIT ?"
            rest = self._texts(_BY_KEY, where, *span, *bounds, _MANY)
            yield from sorted(rest, key=lambda text: text.number)

    def matching(self, expression: str, bounds: Bounds, table: str = "names") -> Iterator[Found]:
        """Give the texts that fulfil a full-text expression, the best first, as they are read."""
        rows = self._db.execute(
            f"SELECT {_FOUND} FROM {table} n CROSS JOIN text t ON t.id = n.rowid "
            f"CROSS JOIN entity e ON e.id = t.entity "
            f"WHERE {table} MATCH ? AND n.rowid BETWEEN ? AND ? ORDER BY n.rowid",
            (expression, *bounds),
        )
        return (Found(*row) for row in rows)

    def numbers(self, expression: str, bounds: Bounds, most: int, table: str) -> list[int]:
        """Give the numbers of the best texts that fulfil a full-text expression."""
        rows = self._db.execute(
            f"SELECT rowid FROM {table} WHERE {table} MATCH ? AND rowid BETWEEN ? AND ? "
            "ORDER BY rowid LIMIT ?",
            (expression, *bounds, most),
        )
        return [number for (number,) in rows]

    def numbered(self, numbers: Sequence[int]) -> list[Found]:
        """Give texts by their numbers, in the same order."""
        marks = ",".join("?" * len(numbers))
        texts = {
            text.number: text for text in self._texts("text t", f"t.id IN ({marks})", *numbers)
        }
        return [texts[number] for number in numbers]

    def _texts(self, source: str, where: str, *values: str | int) -> Iterator[Found]:
        rows = self._db.execute(
            f"SELECT {_FOUND} FROM {source} CROSS JOIN entity e ON e.id = t.entity WHERE {where}",
            values,
        )
        return (Found(*row) for row in rows)
