"""Write the tables of a label index from a store."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
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
from rlm_runtime.ontology.label_sorting import SortedRows
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
            _write(db, collect_entities(store, path and path.parent, on_progress), path, language)
            finish(db)
        except BaseException:
            db.close()
            raise
    except sqlite3.Error as error:
        raise OntologyError(
            f"The label index cannot be written to {path or 'memory'} with SQLite "
            f"{sqlite3.sqlite_version}: {error}. It needs a folder that may be written, space, "
            "and SQLite 3.34 or later with FTS5."
        ) from error
    return db


def _write(
    db: sqlite3.Connection, entities: Iterator[Entity], path: Path | None, language: str
) -> None:
    texts = SortedRows(path and path.parent)
    db.executemany(
        "INSERT INTO entity VALUES (?, ?, ?, ?, ?)", _entity_rows(entities, language.lower(), texts)
    )
    kinds = _write_texts(db, texts.drain())
    meta = {"kinds": kinds, "lengths": _write_words(db)}
    values = [(name, json.dumps(value)) for name, value in meta.items()]
    db.executemany("INSERT INTO meta VALUES (?, ?)", values)


def _entity_rows(
    entities: Iterable[Entity], language: str, texts: SortedRows
) -> Iterator[tuple[Any, ...]]:
    """Give the rows of the entities, and put their texts where they are sorted."""
    order = {language: 0, "": 1}

    def by_language(values: Iterable[tuple[int, str, str]]) -> list[tuple[int, int, str]]:
        found = [
            (order.get(tag, order.get(tag.split("-")[0], 2)), place, text)
            for place, text, tag in values
            if text.strip()
        ]
        found.sort()
        return found

    for number, entity in enumerate(entities, 1):
        best, name = by_language(entity.texts), local_name(entity.iri)
        foreign = {text: place == 2 for place, _, text in reversed(best)}
        foreign.setdefault(name, False)
        rows = []
        for text, is_foreign in foreign.items():
            if split := words(text[:MAX_TEXT]):
                spaced = " ".join(split)
                length = len(spaced) - len(split) + 1
                place = (_KIND_ORDER[entity.kind], is_foreign, length, -entity.uses, entity.iri)
                rows.append((*place, text, number, spaced))
        rows.sort()
        # A comment finds the first text of its entity.
        comments = "\n".join(text for _, _, text in by_language(entity.comments))
        for row in rows:
            texts.add((*row, comments))
            comments = ""
        types = "\n".join(entity.types[:3]) if entity.kind == "instance" else ""
        yield number, entity.iri, entity.kind, best[0][2] if best else name, types


def _write_texts(db: sqlite3.Connection, rows: Iterator[tuple[Any, ...]]) -> list[int]:
    """Number the texts; give the last number of classes, of properties and of all."""
    kinds: Counter[int] = Counter()
    written = 0
    while block := list(islice(rows, _BLOCK)):
        texts, names, comments = [], [], []
        for number, row in enumerate(block, written + 1):
            text, entity, spaced, comment = row[-4:]
            texts.append((number, entity, text, spaced))
            names.append((number, _name_tokens(text, spaced)))
            if comment:
                comments.append((number, _comment_tokens(comment)))
        db.executemany("INSERT INTO text VALUES (?, ?, ?, ?)", texts)
        db.executemany("INSERT INTO names(rowid, tokens) VALUES (?, ?)", names)
        db.executemany("INSERT INTO comments(rowid, tokens) VALUES (?, ?)", comments)
        kinds.update(row[0] for row in block)
        written += len(block)
    return [kinds[0], kinds[0] + kinds[1], written]


def _name_tokens(text: str, spaced: str) -> str:
    split, key = spaced.split(" "), spaced.replace(" ", "")
    tokens = [*split, FIRST_WORD + split[0], *[KEY_START + key[:n] for n in KEY_START_LENGTHS]]
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
