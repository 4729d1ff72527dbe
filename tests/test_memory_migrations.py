"""Stores of older versions get today's tables, once and whole; others are refused."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rlm_runtime.errors import MemoryStoreError
from rlm_runtime.memory.migrations import CURRENT_VERSION, migrate
from rlm_runtime.memory.protocol import Judgment, Memory, StoredRun, StoreStats, Trajectory
from rlm_runtime.memory.sqlite import SQLiteMemoryBackend
from rlm_runtime.memory.words import searchable
from rlm_runtime.types import Step

ROOT = Path(__file__).parent.parent
WHEN = "2026-01-01T00:00:00.000000Z"

# As version 1 wrote it.
VERSION_1 = f"""
CREATE TABLE schema_migrations (
    version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL);
INSERT INTO schema_migrations VALUES (1, 'first tables', '{WHEN}');
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
INSERT INTO runs VALUES ('r', 't', 'How many?', 'prov', 'm', 1, 'submitted', '{WHEN}', '{{}}');
INSERT INTO trajectories VALUES (
    'r', '[{{"reasoning": "a", "code": "b", "output": "c", "error": null}}]', '30', '', '["x"]');
INSERT INTO judgments VALUES ('r', 1, 'Right.', 1.0, 'rules', '{WHEN}');
"""


def memories(number: int) -> list[Memory]:
    return [
        Memory(
            f"wasDerivedFrom {n}",
            f"Content {n}",
            description="d",
            ontology="prov",
            query="How many?",
            tags=("one", "two"),
            run_id="r",
            created_at=WHEN,
            accessed=1,
            succeeded=n,
        )
        for n in range(number)
    ]


def old_store(path: Path, number: int = 3) -> list[Memory]:
    """Write a store of version 1 with some memories."""
    kept = memories(number)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(VERSION_1)
        names = [column[1] for column in db.execute("PRAGMA table_info(memory_items)")]
        db.executemany(
            f"INSERT INTO memory_items VALUES ({', '.join('?' * len(names))})",
            [[getattr(m, name) for name in names] for m in kept],
        )
        db.executemany(
            "INSERT INTO memory_tags VALUES (?, ?)",
            [(m.memory_id, t) for m in kept for t in m.tags],
        )
        db.execute("INSERT INTO memory_usage VALUES (?, 'r', 1, 1, ?)", (kept[0].memory_id, WHEN))
    db.close()
    return kept


def tables(path: Path) -> dict[str, str]:
    with sqlite3.connect(path) as db:
        found = db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return {name: "".join(sql.split()) for name, sql in found}


def assert_whole(path: Path, kept: list[Memory]) -> None:
    """Everything of the old store is there, its words are indexed, and the tables are today's."""
    with SQLiteMemoryBackend(path) as store:
        assert list(store.get_all_memories()) == kept
        assert store.get_trajectory("t") == Trajectory("r", (Step("a", "b", "c"),), "30", "", ["x"])
        assert store.get_judgment("r") == Judgment("r", True, "Right.", 1.0, "rules", WHEN)
        assert [(u.rank, u.score, u.success) for u in store.get_usage_for_trajectory("r")] == [
            (1, 0.0, True)
        ]
        if kept:
            assert store.retrieve("derived", filters=None)
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        versions = [version for (version,) in db.execute("SELECT version FROM schema_migrations")]
        assert versions == list(range(1, CURRENT_VERSION + 1))
        indexed = db.execute("SELECT title, tags FROM memory_fts ORDER BY rowid").fetchall()
        assert indexed == [(searchable(m.title), "one two") for m in kept]
    new = path.with_name("new.db")
    SQLiteMemoryBackend(new).close()
    assert tables(path) == tables(new)


def test_a_store_of_version_1_migrates_with_all_that_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    assert_whole(path, old_store(path))


def test_a_migrated_store_is_used_like_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    kept = old_store(path)
    with SQLiteMemoryBackend(path) as store:
        store.add_memory(Memory(kept[0].title, kept[0].content, tags=("three",)))
        store.add_memory(Memory("another", "one", level=2))
        store.add_run(StoredRun("s", "?", "prov"))
        store.record_usage("s", store.retrieve("derived"))
        store.add_judgment(Judgment("s", False))
        assert [m.level for m in store.get_all_memories()][-1] == 2
        assert store.get_stats().memories == 4


def test_a_memory_that_is_deleted_leaves_the_index_and_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    old_store(path)
    SQLiteMemoryBackend(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("DELETE FROM memory_items")
        for table in ("memory_fts", "memory_tags", "memory_usage"):
            assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_numbers_of_items_stay_when_the_file_is_compacted(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    kept = old_store(path)
    SQLiteMemoryBackend(path).close()
    db = sqlite3.connect(path)
    db.execute("DELETE FROM memory_items WHERE memory_id = ?", (kept[0].memory_id,))
    db.commit()
    db.execute("VACUUM")
    assert db.execute(
        "SELECT memory_fts.title, item.content FROM memory_fts"
        " JOIN memory_items AS item ON item.item = memory_fts.rowid"
    ).fetchall() == [(searchable(m.title), m.content) for m in kept[1:]]
    db.close()


@pytest.mark.parametrize(
    "left",
    [
        "ALTER TABLE memory_items ADD COLUMN level INTEGER",
        "CREATE TABLE new_items (memory_id TEXT)",
        "ALTER TABLE memory_usage ADD COLUMN score REAL NOT NULL DEFAULT 0",
        "CREATE VIRTUAL TABLE memory_fts USING fts5(title)",
    ],
)
def test_what_an_unrecorded_migration_left_is_repaired(tmp_path: Path, left: str) -> None:
    path = tmp_path / "old.db"
    kept = old_store(path)
    with sqlite3.connect(path) as db:
        db.execute(left)
    SQLiteMemoryBackend(path).close()
    with SQLiteMemoryBackend(path) as store:
        assert list(store.get_all_memories()) == kept
        assert store.retrieve("derived")
    assert "score" in tables(path)["memory_usage"]


KILLED = """
import os, signal, sqlite3, sys
path, steps = sys.argv[1], int(sys.argv[2])
from rlm_runtime.memory.migrations import migrate
db = sqlite3.connect(path, isolation_level=None)
done = 0
def count(statement):
    global done
    if not statement.startswith("--"):
        done += 1
        if done > steps:
            os.kill(os.getpid(), signal.SIGKILL)
db.set_trace_callback(count)
# A small cache has the pages of an unfinished migration written to the file.
db.execute("PRAGMA cache_size = 10")
migrate(db)
os._exit(0)
"""


@pytest.mark.parametrize("fresh", [False, True], ids=["version 1", "no file"])
def test_a_migration_that_is_killed_anywhere_is_repaired(tmp_path: Path, fresh: bool) -> None:
    ended = -signal.SIGKILL
    steps = 0
    while ended == -signal.SIGKILL:
        path = tmp_path / f"killed{steps}" / "store.db"
        path.parent.mkdir()
        kept = [] if fresh else old_store(path, 200)
        ended = subprocess.run(
            [sys.executable, "-c", KILLED, str(path), str(steps)], cwd=ROOT, timeout=60
        ).returncode
        if fresh:
            with SQLiteMemoryBackend(path) as store:
                assert store.get_stats() == StoreStats()
        else:
            assert_whole(path, kept)
        steps += 3
    assert ended == 0
    assert steps > 20


AT_ONCE = """
import sys
from rlm_runtime.memory.sqlite import SQLiteMemoryBackend
print("ready", flush=True)
sys.stdin.readline()
with SQLiteMemoryBackend(sys.argv[1]) as store:
    print(store.get_stats().memories)
"""


@pytest.mark.parametrize("fresh", [False, True], ids=["version 1", "no file"])
def test_processes_that_open_at_once_migrate_once(tmp_path: Path, fresh: bool) -> None:
    paths = [tmp_path / str(n) / "store.db" for n in range(3)]
    for path in paths:
        path.parent.mkdir()
        kept = [] if fresh else old_store(path, 500)
        openers = [
            subprocess.Popen(
                [sys.executable, "-c", AT_ONCE, str(path)],
                cwd=ROOT,
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            for _ in range(4)
        ]
        for opener in openers:
            assert opener.stdout is not None
            assert opener.stdout.readline() == "ready\n"
        for opener in openers:
            assert opener.stdin is not None
            opener.stdin.write("\n")
            opener.stdin.flush()
        told = [opener.communicate(timeout=60) for opener in openers]
        assert told == [(f"{len(kept)}\n", "")] * 4
        if not fresh:
            assert_whole(path, kept)


def newer(db: sqlite3.Connection) -> None:
    db.execute("INSERT INTO schema_migrations VALUES (7, 'from the future', '')")


def foreign(db: sqlite3.Connection) -> None:
    db.execute("DROP TABLE schema_migrations")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (newer, r"newer rlm-runtime: .* version 7, and 2 is .* Update rlm-runtime, or"),
        (foreign, r"database of something else\. Give another path"),
    ],
)
def test_what_this_version_does_not_know_is_refused_untouched(
    tmp_path: Path, change: Callable[[sqlite3.Connection], None], told: str
) -> None:
    path = tmp_path / "store.db"
    with sqlite3.connect(path) as db:
        db.executescript(VERSION_1)
        change(db)
    db.close()
    before = path.read_bytes()
    with pytest.raises(MemoryStoreError, match=rf"store\.db: .*{told}"):
        SQLiteMemoryBackend(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["store.db"]


def test_migrating_again_changes_nothing(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    migrate(db)
    changes = db.total_changes
    migrate(db)
    assert db.total_changes == changes
    db.close()
