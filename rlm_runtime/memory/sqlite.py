"""Keeps memories in a SQLite file that many threads and processes use at once."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from rlm_runtime.errors import MemoryStoreError
from rlm_runtime.memory import rows
from rlm_runtime.memory.migrations import migrate
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
from rlm_runtime.memory.words import searchable

__all__ = ["SQLiteMemoryBackend"]

_PATIENCE = 30.0
"""Seconds that a write waits for those of other processes."""

_PAGE = 500
"""Memories that are read at once while all are given."""

_MISLED = "succeeded + failed >= 4 AND failed > succeeded"
"""SQL: most of the runs that had a memory failed, and they are enough to tell."""

_RUN_IDS = "SELECT run_id FROM runs WHERE trajectory_id = ? ORDER BY created_at DESC, rowid DESC"


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
        self.path = (
            str(path) if str(path) == ":memory:" else str(Path(path).expanduser().absolute())
        )
        self._lock = threading.RLock()
        self._closed = False
        self._db: sqlite3.Connection | None = self._open()
        _OPEN.add(self)

    def add_run(self, run: StoredRun) -> bool:
        """Keep a run; False when it was there already, and then nothing changes."""
        row = rows.run_row(run)
        with self._writing("add a run") as db:
            return _insert(db, "runs", row)

    def add_trajectory(self, trajectory: Trajectory) -> bool:
        """Keep a trajectory; False when its run has one already.

        Raises:
            MemoryStoreError: Its run is not in the store.
        """
        row = rows.trajectory_row(trajectory)
        with self._writing("add a trajectory") as db:
            _require_run(db, row["run_id"])
            return _insert(db, "trajectories", row)

    def get_trajectory(self, run_id: str) -> Trajectory | None:
        """Give what a run did; by the id of a trajectory, of its latest run that has one."""
        with self._reading("read a trajectory") as db:
            row = _of_run(db, "trajectories", run_id)
            return None if row is None else rows.trajectory_from_row(row)

    def add_judgment(self, judgment: Judgment) -> bool:
        """Keep a judgment and note it with the memories that the run was given, once.

        False when the run was judged before; the first judgment stays.

        Raises:
            MemoryStoreError: Its run is not in the store.
        """
        row = rows.judgment_row(judgment)
        with self._writing("add a judgment") as db:
            _require_run(db, row["run_id"])
            new = _insert(db, "judgments", row)
            if new:
                _note_judgment(db, row["run_id"])
            return new

    def get_judgment(self, run_id: str) -> Judgment | None:
        """Give how a run was judged; by the id of a trajectory, its latest run that was."""
        with self._reading("read a judgment") as db:
            row = _of_run(db, "judgments", run_id)
            return None if row is None else rows.judgment_from_row(row)

    def add_memory(self, memory: Memory) -> str:
        """Keep a memory, or merge it into the same one; give its ``memory_id``.

        Counts of the same memory stay; new tags are added.
        """
        row, tags = rows.memory_row(memory), sorted({rows.text(tag) for tag in memory.tags})
        known = row["memory_id"]
        with self._writing("add a memory") as db:
            new = _insert(db, "memory_items", row)
            added = db.executemany(
                "INSERT OR IGNORE INTO memory_tags (memory_id, tag) VALUES (?, ?)",
                [(known, tag) for tag in tags],
            ).rowcount
            if new or added > 0:
                _index(db, known)
        return known

    def has_memory(self, memory_id: str) -> bool:
        """Say whether there is such a memory, retired ones too."""
        return self.get_memory(memory_id) is not None

    def get_memory(self, memory_id: str) -> Memory | None:
        """Give a memory, retired ones too."""
        with self._reading("read a memory") as db:
            return _memory(db, memory_id)

    def get_all_memories(self, filters: MemoryFilters | None = None) -> Iterator[Memory]:
        """Give all memories that pass, the oldest first; those added meanwhile may be among them."""
        condition, values = rows.passing(filters or MemoryFilters())
        page = (
            f"SELECT {rows.MEMORY_COLUMNS}, memory_items.item FROM memory_items WHERE {condition}"
            " AND (memory_items.created_at, memory_items.item) > (?, ?)"
            f" ORDER BY memory_items.created_at, memory_items.item LIMIT {_PAGE}"
        )
        last: tuple[str, int] = ("", 0)
        while True:
            with self._reading("read the memories") as db:
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
        from rlm_runtime.memory.retrieval import retrieve

        with self._reading("search the memories") as db:
            return retrieve(db, task, k, filters or MemoryFilters())

    def record_usage(self, run_id: str, retrieved: Sequence[Retrieved]) -> None:
        """Note that a run was given memories, in this order; counts them as accessed, once.

        The run may be added later. Memories that were deleted meanwhile are passed over.
        """
        run, moment = rows.text(run_id), rows.now()
        with self._writing("record what a run was given") as db:
            for rank, found in enumerate(retrieved, start=1):
                known = found.memory.memory_id
                new = db.execute(
                    "INSERT OR IGNORE INTO memory_usage (memory_id, run_id, rank, score, created_at)"
                    " SELECT memory_id, ?, ?, ?, ? FROM memory_items WHERE memory_id = ?",
                    (run, rank, found.score, moment, known),
                ).rowcount
                if new:
                    _count(db, known, accessed=1)
            _note_judgment(db, run)

    def get_usage_for_trajectory(self, run_id: str) -> list[MemoryUsage]:
        """Give what a run was given, or all runs of a trajectory, in order of rank."""
        known = rows.text(run_id)
        with self._reading("read what a run was given") as db:
            found = db.execute(
                f"SELECT * FROM memory_usage WHERE run_id = ? OR run_id IN ({_RUN_IDS})"
                " ORDER BY rank, created_at, run_id",
                (known, known),
            )
            return [rows.usage_from_row(row) for row in found]

    def get_usage_for_memory(self, memory_id: str) -> list[MemoryUsage]:
        """Give the runs that were given a memory, the oldest first."""
        with self._reading("read which runs were given a memory") as db:
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
        with self._writing("count for a memory") as db:
            known = _require_memory(db, memory_id)
            _count(db, known, accessed=accessed, succeeded=success, failed=failure)

    def set_retired(self, memory_id: str, retired: bool) -> None:
        """Take a memory out of retrieval, or back in.

        Raises:
            MemoryStoreError: There is no such memory.
        """
        with self._writing("retire a memory") as db:
            known = _require_memory(db, memory_id)
            db.execute(
                "UPDATE memory_items SET retired = ? WHERE memory_id = ?", (bool(retired), known)
            )

    def get_stats(self) -> StoreStats:
        """Say how much there is."""
        with self._reading("count what there is") as db:
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
        with self._lock:
            self._closed = True
            if self._db is not None:
                self._db.close()
                self._db = None

    def __enter__(self) -> SQLiteMemoryBackend:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def _reading(self, doing: str) -> Iterator[sqlite3.Connection]:
        with self._using(doing, "BEGIN") as db:
            yield db

    @contextmanager
    def _writing(self, doing: str) -> Iterator[sqlite3.Connection]:
        with self._using(doing, "BEGIN IMMEDIATE") as db:
            yield db

    @contextmanager
    def _using(self, doing: str, begin: str) -> Iterator[sqlite3.Connection]:
        """Hold the connection for one transaction; errors of SQLite become ours."""
        with self._lock:
            if self._closed:
                raise MemoryStoreError(f"Cannot {doing}: the memory store {self.path} is closed.")
            try:
                if self._db is None:
                    self._db = self._open()
                db = self._db
                try:
                    db.execute(begin)
                    yield db
                    db.execute("COMMIT")
                finally:
                    if db.in_transaction:
                        db.execute("ROLLBACK")
            except (sqlite3.Error, OverflowError) as error:
                raise MemoryStoreError(
                    f"Cannot {doing} in the memory store {self.path}: {error}. {_advice(error)}"
                ) from error

    def _open(self) -> sqlite3.Connection:
        try:
            if self.path != ":memory:":
                _make(Path(self.path))
            # Statements are autocommitted, for transactions are begun by hand; the lock is ours.
            db = sqlite3.connect(
                self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise self._unopened(f"{error}. {_advice(error)}") from error
        try:
            db.row_factory = sqlite3.Row
            migrate(db)
            _set_journal(db)
            db.execute("PRAGMA foreign_keys = ON")
        except (sqlite3.Error, MemoryStoreError) as error:
            db.close()
            advice = "" if isinstance(error, MemoryStoreError) else f". {_advice(error)}"
            raise self._unopened(f"{error}{advice}") from error
        return db

    @contextmanager
    def _unused(self) -> Iterator[None]:
        """Keep the file closed for a while."""
        with self._lock:
            if self._db is not None and self.path != ":memory:":
                self._db.close()
                self._db = None
            yield

    def _unopened(self, why: str) -> MemoryStoreError:
        return MemoryStoreError(f"Cannot open the memory store {self.path}: {why}")


def _make(path: Path) -> None:
    """Make the file and its folders, unless they are there; only the owner can read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _set_journal(db: sqlite3.Connection) -> None:
    """Have readers and a writer not wait for each other, where the file system can do that."""
    until = time.monotonic() + _PATIENCE
    while db.execute("PRAGMA journal_mode").fetchone()[0] not in ("wal", "memory"):
        try:
            if db.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
                return
        except sqlite3.OperationalError:
            # SQLite does not wait here for another process that does the same.
            if time.monotonic() > until:
                raise
            time.sleep(0.01)
    db.execute("PRAGMA synchronous = NORMAL")


def _advice(error: Exception) -> str:
    told = str(error)
    if "locked" in told or "busy" in told:
        return f"Another process has been writing for {_PATIENCE:g} seconds; try again."
    if "not a database" in told or "malformed" in told:
        return "Give the path of a memory store, or of a file that does not exist yet."
    return "Check the path, its permissions, and that there is room on the disk."


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
    known = rows.text(run_id)
    return db.execute(
        f"SELECT {table}.* FROM {table} JOIN runs USING (run_id)"
        " WHERE run_id = :known OR trajectory_id = :known"
        " ORDER BY run_id = :known DESC, runs.created_at DESC, runs.rowid DESC LIMIT 1",
        {"known": known},
    ).fetchone()


def _memory(db: sqlite3.Connection, memory_id: str) -> Memory | None:
    row = db.execute(
        f"SELECT {rows.MEMORY_COLUMNS} FROM memory_items WHERE memory_id = ?",
        (rows.text(memory_id),),
    ).fetchone()
    return None if row is None else rows.memory_from_row(row)


def _index(db: sqlite3.Connection, memory_id: str) -> None:
    """Have a memory found by its words and tags."""
    row = db.execute(
        f"SELECT item, {rows.MEMORY_COLUMNS} FROM memory_items WHERE memory_id = ?", (memory_id,)
    ).fetchone()
    told = rows.memory_from_row(row)
    texts = (told.title, told.description, told.content, told.query, " ".join(told.tags))
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
    return {name: count for name, count in found}


_OPEN: weakref.WeakSet[SQLiteMemoryBackend] = weakref.WeakSet()
_FORKING: dict[int, ExitStack] = {}
"""By thread: what lets the stores be used again after its fork."""


def _before_fork() -> None:
    # A file that is open during a fork has locks that SQLite believes the child to have as well.
    stack = _FORKING[threading.get_ident()] = ExitStack()
    for store in sorted(_OPEN, key=id):
        stack.enter_context(store._unused())


def _after_fork() -> None:
    _FORKING.pop(threading.get_ident()).close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )
