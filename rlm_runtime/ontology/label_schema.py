"""The tables of a label index, and how its databases are opened."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from rlm_runtime.errors import OntologyError

__all__ = [
    "FIRST_WORD",
    "KEY",
    "KEY_START",
    "KEY_START_LENGTHS",
    "MAX_TEXT",
    "SHORTEST_WORD",
    "connect_whole",
    "create",
    "finish",
]

KEY = "replace(spaced, ' ', '')"
"""SQL of a text's key: what two spellings of one name have in common."""

FIRST_WORD, KEY_START = "‹", "«"
"""They mark a text's first word and the first letters of its key among its words."""

KEY_START_LENGTHS = (1, 2, 3, 4)
"""How many first letters of a key are marked."""

MAX_TEXT = 300
"""Characters of a name or of a query that are looked at."""

SHORTEST_WORD = 3
"""Letters of the words that are kept for correction and completion."""

# Written last, so that a file that is not whole has the number 0.
_LAYOUT = 1
_FULL_TEXT = "content='', columnsize=0, detail=none, tokenize"
_TABLES = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE entity (
    id INTEGER PRIMARY KEY, iri TEXT UNIQUE, kind TEXT, label TEXT, types TEXT);
CREATE TABLE text (id INTEGER PRIMARY KEY, entity INTEGER, text TEXT, spaced TEXT);
CREATE TABLE word (id INTEGER PRIMARY KEY, word TEXT, texts INTEGER);
CREATE VIRTUAL TABLE names USING fts5(tokens, {_FULL_TEXT}='ascii');
CREATE VIRTUAL TABLE comments USING fts5(tokens, {_FULL_TEXT}='ascii');
CREATE VIRTUAL TABLE misspelt USING fts5(tokens, {_FULL_TEXT}='ascii');
CREATE VIRTUAL TABLE pieces USING fts5(word, {_FULL_TEXT}='trigram');
INSERT INTO names (names, rank) VALUES ('hashsize', 16000000);
"""
_QUICK = (
    *("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"),
    *("work.journal_mode = OFF", "work.synchronous = OFF", "cache_size = -64000"),
)
_ALL_WORDS = "CREATE VIRTUAL TABLE temp.name_words USING fts5vocab(main, names, row)"
_INDEXES = f"""
CREATE INDEX text_key ON text ({KEY});
CREATE UNIQUE INDEX word_word ON word (word);
"""


def create(path: Path | None) -> sqlite3.Connection:
    """Open a new database with empty tables, within a transaction that ``finish`` ends.

    Until then there is a second one beside it, ``work``, which begins empty and is never kept.

    Args:
        path: A file that does not exist yet; None for one in memory.
    """
    db = _connect(path.absolute().as_uri() + "?mode=rwc" if path else ":memory:")
    if path is None:
        db.execute("PRAGMA temp_store = MEMORY")
    db.execute("ATTACH '' AS work")
    # A file that is not whole is thrown away, so that nothing in it needs a journal.
    for setting in _QUICK:
        db.execute(f"PRAGMA {setting}")
    db.execute("BEGIN")
    for statement in _TABLES.strip().split(";\n"):
        db.execute(statement)
    db.execute(_ALL_WORDS)
    return db


def finish(db: sqlite3.Connection) -> None:
    """Add the indexes, which are quicker made when all rows are there, and mark it as whole."""
    for statement in _INDEXES.strip().split(";\n"):
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {_LAYOUT}")
    db.execute("COMMIT")
    db.execute("DETACH work")


def connect_whole(path: Path) -> sqlite3.Connection:
    """Open a finished file, which nobody may change any more; no question opens a further file.

    Raises:
        OntologyError: It is missing, broken, half-built, or of another layout.
    """
    try:
        db = _connect(path.absolute().as_uri() + "?mode=ro&immutable=1")
        db.execute("PRAGMA temp_store = MEMORY")
        (layout,) = db.execute("PRAGMA user_version").fetchone()
        db.execute(_ALL_WORDS)
    except sqlite3.Error as error:
        raise OntologyError(f"{path} is no label index: {error}. Build it again.") from error
    if layout != _LAYOUT:
        db.close()
        raise OntologyError(f"{path} is half-built or of another layout. Build it again.")
    return db


def _connect(uri: str) -> sqlite3.Connection:
    db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA cache_size = -16000")
    return db
