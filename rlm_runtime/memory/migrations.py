"""The tables of a memory store, and how an older store gets those of this version."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from rlm_runtime.errors import MemoryStoreError
from rlm_runtime.memory.rows import now
from rlm_runtime.memory.words import searchable

__all__ = ["CURRENT_VERSION", "migrate"]

_FIRST = """
CREATE TABLE runs (
    run_id TEXT PRIMARY KEY, trajectory_id TEXT NOT NULL, query TEXT NOT NULL,
    ontology TEXT NOT NULL, model TEXT NOT NULL, converged INTEGER, stop_reason TEXT,
    created_at TEXT NOT NULL, metadata TEXT NOT NULL);
CREATE INDEX runs_trajectory ON runs (trajectory_id, created_at);
CREATE TABLE trajectories (
    run_id TEXT PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
    steps TEXT NOT NULL, answer TEXT NOT NULL, sparql TEXT NOT NULL, evidence TEXT NOT NULL);
CREATE TABLE judgments (
    run_id TEXT PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
    success INTEGER NOT NULL, reason TEXT NOT NULL, confidence REAL NOT NULL,
    judge TEXT NOT NULL, created_at TEXT NOT NULL);
CREATE TABLE memory_items (
    memory_id TEXT PRIMARY KEY, title TEXT NOT NULL, content TEXT NOT NULL,
    description TEXT NOT NULL, kind TEXT NOT NULL, source TEXT NOT NULL, ontology TEXT,
    query TEXT NOT NULL, run_id TEXT, created_at TEXT NOT NULL,
    accessed INTEGER NOT NULL DEFAULT 0, succeeded INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0);
CREATE TABLE memory_tags (
    memory_id TEXT NOT NULL REFERENCES memory_items (memory_id) ON DELETE CASCADE,
    tag TEXT NOT NULL, PRIMARY KEY (memory_id, tag)) WITHOUT ROWID;
CREATE INDEX memory_tags_tag ON memory_tags (tag);
CREATE TABLE memory_usage (
    memory_id TEXT NOT NULL REFERENCES memory_items (memory_id) ON DELETE CASCADE,
    run_id TEXT NOT NULL, rank INTEGER NOT NULL, success INTEGER, created_at TEXT NOT NULL,
    PRIMARY KEY (memory_id, run_id));
CREATE INDEX memory_usage_run ON memory_usage (run_id, rank);
"""

# The number of an item is what ties it to the index of words. It is a column of its own because
# VACUUM may number rows anew that have none.
_ITEMS = """
CREATE TABLE new_items (
    item INTEGER PRIMARY KEY, memory_id TEXT NOT NULL UNIQUE, title TEXT NOT NULL,
    content TEXT NOT NULL, description TEXT NOT NULL, kind TEXT NOT NULL, source TEXT NOT NULL,
    ontology TEXT, query TEXT NOT NULL, level INTEGER, run_id TEXT, created_at TEXT NOT NULL,
    accessed INTEGER NOT NULL DEFAULT 0, succeeded INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0, retired INTEGER NOT NULL DEFAULT 0)
"""
_SEARCH = """
CREATE INDEX memory_items_age ON memory_items (created_at, item);
CREATE VIRTUAL TABLE memory_fts USING fts5(
    title, description, content, query, tags, tokenize = 'porter unicode61 remove_diacritics 2');
INSERT INTO memory_fts (rowid, title, description, content, query, tags)
    SELECT item, searchable(title), searchable(description), searchable(content),
           searchable(iif(kind = 'exemplar', query, '')), searchable(
               (SELECT coalesce(group_concat(tag, ' '), '') FROM memory_tags AS t
                 WHERE t.memory_id = i.memory_id))
      FROM memory_items AS i;
CREATE TRIGGER memory_items_gone AFTER DELETE ON memory_items BEGIN
    DELETE FROM memory_fts WHERE rowid = old.item;
END
"""


def _first_tables(db: sqlite3.Connection) -> None:
    for statement in _FIRST.strip().split(";\n"):
        db.execute(statement)


def _levels_retirement_search(db: sqlite3.Connection) -> None:
    db.create_function("searchable", 1, searchable, deterministic=True)
    # Each step holds also where some other program left a part of it done.
    db.execute("DROP TABLE IF EXISTS new_items")
    db.execute("DROP TABLE IF EXISTS memory_fts")
    db.execute(_ITEMS)
    kept = _columns(db, "memory_items") & _columns(db, "new_items")
    names = ", ".join(sorted(kept))
    db.execute(
        f"INSERT INTO new_items ({names}) SELECT {names} FROM memory_items"
        " ORDER BY created_at, rowid"
    )
    db.execute("DROP TABLE memory_items")
    db.execute("ALTER TABLE new_items RENAME TO memory_items")
    if "score" not in _columns(db, "memory_usage"):
        db.execute("ALTER TABLE memory_usage ADD COLUMN score REAL NOT NULL DEFAULT 0")
    # The trigger, which is last, has such an end of line within.
    for statement in _SEARCH.strip().split(";\n", 3):
        db.execute(statement)


def _columns(db: sqlite3.Connection, table: str) -> set[str]:
    return {name for (name,) in db.execute("SELECT name FROM pragma_table_info(?)", (table,))}


_MIGRATIONS: tuple[tuple[str, Callable[[sqlite3.Connection], None]], ...] = (
    ("first tables", _first_tables),
    ("levels, retirement, search", _levels_retirement_search),
)

CURRENT_VERSION = len(_MIGRATIONS)
"""Version of the tables that this package reads and writes."""


def migrate(db: sqlite3.Connection) -> None:
    """Bring a database to the tables of this version; an empty one gets them all.

    All that is missing is done and recorded in one transaction, so that a process that is killed
    leaves what was there before, and only one of several that come at once does it.

    Args:
        db: A connection in autocommit mode, with foreign keys off: tables are rebuilt.

    Raises:
        MemoryStoreError: The database belongs to something else or to a newer version.

    Example:
        >>> db = sqlite3.connect(":memory:", isolation_level=None)
        >>> migrate(db)
        >>> db.execute("SELECT max(version) FROM schema_migrations").fetchone()
        (2,)
    """
    if _version(db) == CURRENT_VERSION:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        db.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations"
            " (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL)"
        )
        for version in range(_version(db) + 1, CURRENT_VERSION + 1):
            name, change = _MIGRATIONS[version - 1]
            change(db)
            db.execute("INSERT INTO schema_migrations VALUES (?, ?, ?)", (version, name, now()))
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _version(db: sqlite3.Connection) -> int:
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    if "schema_migrations" not in tables:
        if tables:
            raise MemoryStoreError("It is a database of something else. Give another path.")
        return 0
    found = db.execute("SELECT coalesce(max(version), 0) FROM schema_migrations").fetchone()[0]
    if found > CURRENT_VERSION:
        raise MemoryStoreError(
            f"It was written by a newer rlm-runtime: its tables are of version {found}, and "
            f"{CURRENT_VERSION} is the newest that is known here. Update rlm-runtime, or give "
            "another path."
        )
    return found
