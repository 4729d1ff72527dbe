"""Write the tables of a label index from a store."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlm_runtime.errors import OntologyError
from rlm_runtime.ontology.entities import Entity, collect_entities
from rlm_runtime.ontology.label_schema import (
    FIRST_WORD,
    KEY_START,
    KEY_START_LENGTHS,
    MAX_TEXT,
    SHORTEST_WORD,
    create,
    finish,
)
from rlm_runtime.ontology.label_words import misspellings
from rlm_runtime.ontology.protocol import EntityKind
from rlm_runtime.ontology.text import local_name, unspaced_parts, whole_words, words

if TYPE_CHECKING:
    import pyoxigraph

__all__ = ["build"]

_KIND_ORDER: dict[EntityKind | None, int] = {"class": 0, "property": 1, "instance": 2, None: 3}
_MAX_WORD = 40
_BLOCK = 1_000


def build(
    store: pyoxigraph.Store,
    path: Path | None,
    language: str,
    on_progress: Callable[[int], None] | None,
) -> sqlite3.Connection:
    """Write the tables; see ``LabelIndex.build``.

    Texts are numbered in the order in which equally good matches are shown, and words by length:
    the first rows of a full-text query are the best, and nothing is sorted that is not shown.
    """
    try:
        db = create(path)
        try:
            _write(db, collect_entities(store, db, language, on_progress))
            finish(db)
        except BaseException:
            db.close()
            raise
    except sqlite3.Error as error:
        raise OntologyError(
            f"The label index cannot be written to {path or 'memory'} with SQLite "
            f"{sqlite3.sqlite_version}: {error}. It needs a folder that may be written, space there"
            " and for temporary files, and SQLite 3.34 or later with FTS5."
        ) from error
    return db


def _write(db: sqlite3.Connection, entities: Iterator[Entity]) -> None:
    db.execute(
        "CREATE TABLE work.found "
        "(kind, other, length, uses, entity, text, spaced, tokens, comments)"
    )
    written = 0
    while block := list(islice(entities, _BLOCK)):
        rows, found = [], []
        for number, entity in enumerate(block, written + 1):
            name = local_name(entity.iri)
            label = entity.names[0][1] if entity.names else name
            types = "\n".join(entity.types[:3]) if entity.kind == "instance" else ""
            rows.append((number, entity.iri, entity.kind, label, types))
            found += _found(number, entity, name)
        db.executemany("INSERT INTO entity VALUES (?, ?, ?, ?, ?)", rows)
        db.executemany("INSERT INTO work.found VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", found)
        written += len(block)
    db.execute(
        "CREATE TABLE work.placed AS SELECT entity, text, spaced, tokens, comments FROM work.found "
        "ORDER BY kind, other, length, uses DESC, entity, text"
    )
    db.execute("INSERT INTO text SELECT rowid, entity, text, spaced FROM work.placed")
    db.execute("INSERT INTO names(rowid, tokens) SELECT rowid, tokens FROM work.placed")
    db.execute(
        "INSERT INTO comments(rowid, tokens) "
        "SELECT rowid, comments FROM work.placed WHERE comments != ''"
    )
    kinds = "SELECT sum(kind = 0), sum(kind <= 1), count(*) FROM work.found"
    meta = {
        "kinds": [number or 0 for number in db.execute(kinds).fetchone()],
        "lengths": _write_words(db),
    }
    values = [(name, json.dumps(value)) for name, value in meta.items()]
    db.executemany("INSERT INTO meta VALUES (?, ?)", values)


def _found(number: int, entity: Entity, name: str) -> list[tuple[Any, ...]]:
    """Give the rows of the texts of an entity."""
    texts = {text: place == 2 for place, text in reversed(entity.names)}
    texts.setdefault(name, False)
    order = _KIND_ORDER[entity.kind]
    rows: list[tuple[Any, ...]] = []
    for text, is_foreign in texts.items():
        if split := words(text[:MAX_TEXT]):
            spaced = " ".join(split)
            length = len(spaced) - len(split) + 1
            place = (order, is_foreign, length, entity.uses, number)
            rows.append((*place, text, spaced, _name_tokens(text, split, spaced), ""))
    if rows and entity.comments:
        # A comment finds the first text of its entity.
        rows.sort()
        tokens = _comment_tokens("\n".join(text for _, text in entity.comments))
        rows[0] = (*rows[0][:-1], tokens)
    return rows


def _name_tokens(text: str, split: list[str], spaced: str) -> str:
    key = "".join(split)
    tokens = [spaced, FIRST_WORD + split[0], *[KEY_START + key[:n] for n in KEY_START_LENGTHS]]
    if text.lower() != spaced:
        tokens += whole_words(text[:MAX_TEXT])
    if not text.isascii():
        tokens += _parts(split)
    return " ".join(tokens)


def _comment_tokens(text: str) -> str:
    # The tokenizer splits and lowers ASCII as we do, and much faster.
    if text.isascii():
        return text
    split = whole_words(text)
    return " ".join([*split, *_parts(split)])


def _parts(split: list[str]) -> list[str]:
    """Give the pairs and the single characters of words in scripts without spaces."""
    return [part for word in split for pair in unspaced_parts(word) for part in (pair, *pair)]


def _write_words(db: sqlite3.Connection) -> list[tuple[int, int]]:
    """Write the words of the names without digits; give (length, first number) of each length."""
    db.execute(
        "INSERT INTO word (word, texts) SELECT term, doc FROM name_words "
        "WHERE length(term) BETWEEN ? AND ? AND term NOT GLOB ? ORDER BY length(term), term",
        (SHORTEST_WORD, _MAX_WORD, f"*[0-9{FIRST_WORD}{KEY_START}]*"),
    )
    db.executemany(
        "INSERT INTO misspelt(rowid, tokens) VALUES (?, ?)",
        (
            (number, " ".join(misspellings(word)))
            for number, word in db.execute("SELECT id, word FROM word")
        ),
    )
    # The spaces make the first and the last letters pieces of their own.
    db.execute("INSERT INTO pieces(rowid, word) SELECT id, ' ' || word || ' ' FROM word")
    return db.execute(
        "SELECT length(word), min(id) FROM word GROUP BY length(word) ORDER BY 1"
    ).fetchall()
