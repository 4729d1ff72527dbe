"""Keeps memories in a SQLite file that many threads and processes use at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from rlm_runtime.errors import MemoryStoreError
from rlm_runtime.memory import rows
from rlm_runtime.memory.database import Database
from rlm_runtime.memory.protocol import (
    Judgment,
    Memory,
    MemoryFilters,
    MemoryUsage,
    Retrieved,
    StoredRun,
    StoreStats,
    Trajectory,
)
from rlm_runtime.memory.retrieval import retrieve
from rlm_runtime.memory.words import searchable

__all__ = ["SQLiteMemoryBackend"]

_PAGE = 500
"""Memories that are read at once while all are given."""

_MISLED = "succeeded + failed >= 4 AND failed > succeeded"
"""SQL: most of the runs that had a memory failed, and they are enough to tell."""

_OF_RUNS = "(run_id = :known OR run_id IN (SELECT run_id FROM runs WHERE trajectory_id = :known))"
"""SQL: it belongs to the run of that id, or to the runs of the trajectory of that id."""


class SQLiteMemoryBackend:
    """A memory store in one SQLite file; satisfies ``MemoryBackend``.

    Every method can be called from any thread, and any number of processes can have the file
    open; each change is one short transaction, so that a killed process leaves it sound. Before an
    ``os.fork`` the file is closed, and both processes open it again. Text that has no form in
    UTF-8 is kept with escapes.

    Args:
        path: The file, made with its folders if it is missing and readable by its owner only;
            or ``:memory:`` for a store that ends with this object.

    Raises:
        MemoryStoreError: The file cannot be opened, is none of ours, or was written by a newer
            version.

    Example:
        >>> with SQLiteMemoryBackend(":memory:") as store:
        ...     known = store.add_memory(Memory("Count", "Use COUNT(DISTINCT ?x)."))
        ...     store.get_memory(known).content
        'Use COUNT(DISTINCT ?x).'
    """

    def __init__(self, path: str | Path) -> None:
        self._database = Database(path)

    @property
    def path(self) -> str:
        """The file's absolute path, or ``:memory:``."""
        return self._database.path

    def add_run(self, run: StoredRun) -> bool:
        """Keep a run; False when it was there already, and then nothing changes."""
        row = rows.run_row(run)
        with self._database.writing("add a run") as db:
            return _insert(db, "runs", row)

    def add_trajectory(self, trajectory: Trajectory) -> bool:
        """Keep a trajectory; False when its run has one already.

        Raises:
            MemoryStoreError: Its run is not in the store.
        """
        row = rows.trajectory_row(trajectory)
        with self._database.writing("add a trajectory") as db:
            _require_run(db, row["run_id"])
            return _insert(db, "trajectories", row)

    def get_trajectory(self, run_id: str) -> Trajectory | None:
        """Give what a run did; by the id of a trajectory, of its latest run that has one."""
        with self._database.reading("read a trajectory") as db:
            row = _of_run(db, "trajectories", run_id)
            return None if row is None else rows.trajectory_from_row(row)

    def add_judgment(self, judgment: Judgment) -> bool:
        """Keep a judgment and note it with the memories that the run was given, once.

        False when the run was judged before; the first judgment stays.

        Raises:
            MemoryStoreError: Its run is not in the store.
        """
        row = rows.judgment_row(judgment)
        with self._database.writing("add a judgment") as db:
            _require_run(db, row["run_id"])
            new = _insert(db, "judgments", row)
            if new:
                _note_judgment(db, row["run_id"])
            return new

    def get_judgment(self, run_id: str) -> Judgment | None:
        """Give how a run was judged; by the id of a trajectory, its latest run that was."""
        with self._database.reading("read a judgment") as db:
            row = _of_run(db, "judgments", run_id)
            return None if row is None else rows.judgment_from_row(row)

    def add_memory(self, memory: Memory) -> str:
        """Keep a memory, or merge it into the same one; give its ``memory_id``.

        Counts of the same memory stay; new tags are added.
        """
        return self.add_memories([memory])[0]

    def add_memories(self, memories: Iterable[Memory]) -> list[str]:
        """Keep several as ``add_memory`` does: all of them or, when it fails, none."""
        given = [(rows.memory_row(memory), {*map(rows.text, memory.tags)}) for memory in memories]
        with self._database.writing("add memories") as db:
            for row, tags in given:
                _add_memory(db, row, sorted(tags))
        return [row["memory_id"] for row, _ in given]

    def delete_memories(self, memory_ids: Iterable[str]) -> int:
        """Remove memories and what they were used for, for good; give how many there were."""
        known = [(rows.text(memory_id),) for memory_id in memory_ids]
        with self._database.writing("delete memories") as db:
            return db.executemany("DELETE FROM memory_items WHERE memory_id = ?", known).rowcount

    def has_memory(self, memory_id: str) -> bool:
        """Say whether there is such a memory, retired ones too."""
        return self.get_memory(memory_id) is not None

    def get_memory(self, memory_id: str) -> Memory | None:
        """Give a memory, retired ones too."""
        with self._database.reading("read a memory") as db:
            return _memory(db, memory_id)

    def get_all_memories(self, filters: MemoryFilters | None = None) -> Iterator[Memory]:
        """Give all memories that pass, the oldest first; maybe those added meanwhile."""
        condition, values = rows.passing(filters or MemoryFilters())
        page = (
            f"SELECT {rows.MEMORY_COLUMNS}, memory_items.item FROM memory_items WHERE {condition}"
            " AND (memory_items.created_at, memory_items.item) > (?, ?)"
            f" ORDER BY memory_items.created_at, memory_items.item LIMIT {_PAGE}"
        )
        last: tuple[str, int] = ("", 0)
        while True:
            with self._database.reading("read the memories") as db:
                found = db.execute(page, [*values, *last]).fetchall()
            for row in found:
                yield rows.memory_from_row(row)
            if len(found) < _PAGE:
                return
            last = (found[-1]["created_at"], found[-1]["item"])

    def retrieve(
        self, task: str, k: int = 3, filters: MemoryFilters | None = None
    ) -> list[Retrieved]:
        """Find the memories that fit a question best, best first, no two nearly the same."""
        with self._database.reading("search the memories") as db:
            return retrieve(db, task, k, filters or MemoryFilters())

    def record_usage(self, run_id: str, retrieved: Sequence[Retrieved]) -> None:
        """Note that a run was given memories, in this order; counts them as accessed, once.

        The run may be added later. Memories that were deleted meanwhile are passed over.
        """
        run, moment = rows.text(run_id), rows.now()
        with self._database.writing("record what a run was given") as db:
            for rank, found in enumerate(retrieved, start=1):
                known = found.memory.memory_id
                new = db.execute(
                    "INSERT INTO memory_usage (memory_id, run_id, rank, score, created_at)"
                    " SELECT memory_id, ?, ?, ?, ? FROM memory_items WHERE memory_id = ?"
                    " ON CONFLICT DO NOTHING",
                    (run, rank, float(found.score), moment, known),
                ).rowcount
                if new:
                    _count(db, known, accessed=1)
            _note_judgment(db, run)

    def get_usage_for_trajectory(self, run_id: str) -> list[MemoryUsage]:
        """Give what a run was given, or all runs of a trajectory, in order of rank."""
        with self._database.reading("read what a run was given") as db:
            found = db.execute(
                f"SELECT * FROM memory_usage WHERE {_OF_RUNS} ORDER BY rank, created_at, run_id",
                {"known": rows.text(run_id)},
            )
            return [rows.usage_from_row(row) for row in found]

    def get_usage_for_memory(self, memory_id: str) -> list[MemoryUsage]:
        """Give the runs that were given a memory, the oldest first."""
        with self._database.reading("read which runs were given a memory") as db:
            found = db.execute(
                "SELECT * FROM memory_usage WHERE memory_id = ? ORDER BY created_at, run_id",
                (rows.text(memory_id),),
            )
            return [rows.usage_from_row(row) for row in found]

    def update_memory_stats(
        self, memory_id: str, *, accessed: int = 0, success: int = 0, failure: int = 0
    ) -> None:
        """Add to a memory's counts. What misled in most of at least 4 judged runs is retired.

        Raises:
            MemoryStoreError: There is no such memory.
        """
        with self._database.writing("count for a memory") as db:
            known = _require_memory(db, memory_id)
            _count(db, known, accessed=accessed, succeeded=success, failed=failure)

    def set_retired(self, memory_id: str, retired: bool) -> None:
        """Take a memory out of retrieval, or back in.

        Raises:
            MemoryStoreError: There is no such memory.
        """
        with self._database.writing("retire a memory") as db:
            known = _require_memory(db, memory_id)
            db.execute(
                "UPDATE memory_items SET retired = ? WHERE memory_id = ?", (bool(retired), known)
            )

    def get_stats(self) -> StoreStats:
        """Say how much there is."""
        with self._database.reading("count what there is") as db:
            return StoreStats(
                runs=_number(db, "SELECT count(*) FROM runs"),
                trajectories=_number(db, "SELECT count(*) FROM trajectories"),
                judgments=_number(db, "SELECT count(*) FROM judgments"),
                succeeded=_number(db, "SELECT count(*) FROM judgments WHERE success"),
                memories=_number(db, "SELECT count(*) FROM memory_items WHERE NOT retired"),
                retired=_number(db, "SELECT count(*) FROM memory_items WHERE retired"),
                usages=_number(db, "SELECT count(*) FROM memory_usage"),
                by_kind=_numbers(db, "kind"),
                by_source=_numbers(db, "source"),
                by_ontology=_numbers(db, "coalesce(ontology, '')"),
            )

    def close(self) -> None:
        """Close the store; calling it again does nothing."""
        self._database.close()

    def __enter__(self) -> SQLiteMemoryBackend:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _insert(db: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> bool:
    names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
    known = "memory_id" if "memory_id" in row else "run_id"
    return (
        db.execute(
            f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT ({known}) DO NOTHING", row
        ).rowcount
        > 0
    )


def _require_run(db: sqlite3.Connection, run_id: str) -> None:
    if not _number(db, "SELECT count(*) FROM runs WHERE run_id = ?", run_id):
        raise MemoryStoreError(f"There is no run {run_id} in the memory store; add it first.")


def _require_memory(db: sqlite3.Connection, memory_id: str) -> str:
    known = rows.text(memory_id)
    if not _number(db, "SELECT count(*) FROM memory_items WHERE memory_id = ?", known):
        raise MemoryStoreError(f"There is no memory {known} in the memory store; add it first.")
    return known


def _of_run(db: sqlite3.Connection, table: str, run_id: str) -> sqlite3.Row | None:
    """Find the row of a run, or of the latest run of a trajectory that has one."""
    return db.execute(
        f"SELECT found.* FROM (SELECT * FROM {table} WHERE {_OF_RUNS}) AS found"
        " JOIN runs USING (run_id)"
        " ORDER BY run_id = :known DESC, runs.created_at DESC, runs.rowid DESC LIMIT 1",
        {"known": rows.text(run_id)},
    ).fetchone()


def _memory(db: sqlite3.Connection, memory_id: str) -> Memory | None:
    row = db.execute(
        f"SELECT {rows.MEMORY_COLUMNS} FROM memory_items WHERE memory_id = ?",
        (rows.text(memory_id),),
    ).fetchone()
    return None if row is None else rows.memory_from_row(row)


def _add_memory(db: sqlite3.Connection, row: Mapping[str, Any], tags: Sequence[str]) -> None:
    known = row["memory_id"]
    new = _insert(db, "memory_items", row)
    added = db.executemany(
        "INSERT INTO memory_tags (memory_id, tag) VALUES (?, ?) ON CONFLICT DO NOTHING",
        [(known, tag) for tag in tags],
    ).rowcount
    if new or added > 0:
        _index(db, known)


def _index(db: sqlite3.Connection, memory_id: str) -> None:
    """Have a memory found by its words and tags, an exemplar by its question as well."""
    row = db.execute(
        f"SELECT item, {rows.MEMORY_COLUMNS} FROM memory_items WHERE memory_id = ?", (memory_id,)
    ).fetchone()
    told = rows.memory_from_row(row)
    query = told.query if told.kind == "exemplar" else ""
    texts = (told.title, told.description, told.content, query, " ".join(told.tags))
    db.execute(
        "INSERT OR REPLACE INTO memory_fts (rowid, title, description, content, query, tags)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (row["item"], *map(searchable, texts)),
    )


def _note_judgment(db: sqlite3.Connection, run_id: str) -> None:
    """Count a run's judgment, if it has one, for the memories where it was not counted yet."""
    judged = db.execute("SELECT success FROM judgments WHERE run_id = ?", (run_id,)).fetchone()
    if judged is None:
        return
    success = bool(judged["success"])
    unsettled = "run_id = ? AND success IS NULL"
    for (known,) in db.execute(
        f"SELECT memory_id FROM memory_usage WHERE {unsettled}", (run_id,)
    ).fetchall():
        _count(db, known, succeeded=int(success), failed=int(not success))
    db.execute(f"UPDATE memory_usage SET success = ? WHERE {unsettled}", (success, run_id))


def _count(
    db: sqlite3.Connection,
    memory_id: str,
    *,
    accessed: int = 0,
    succeeded: int = 0,
    failed: int = 0,
) -> None:
    """Add to the counts of a memory, and retire it if it failed now and mostly."""
    db.execute(
        "UPDATE memory_items SET accessed = accessed + ?, succeeded = succeeded + ?,"
        " failed = failed + ? WHERE memory_id = ?",
        (accessed, succeeded, failed, memory_id),
    )
    if failed:
        db.execute(
            f"UPDATE memory_items SET retired = 1 WHERE memory_id = ? AND {_MISLED}", (memory_id,)
        )


def _number(db: sqlite3.Connection, query: str, *values: Any) -> int:
    return db.execute(query, values).fetchone()[0]


def _numbers(db: sqlite3.Connection, column: str) -> dict[str, int]:
    found = db.execute(
        f"SELECT {column}, count(*) FROM memory_items WHERE NOT retired GROUP BY 1 ORDER BY 1"
    )
    return dict(found.fetchall())
