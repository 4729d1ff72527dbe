"""Opens the SQLite file of a memory store and shares it among threads, processes and forks."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rlm_runtime.errors import MemoryStoreError
from rlm_runtime.memory.migrations import migrate

__all__ = ["Database"]

_PATIENCE = 30.0
"""Seconds that a write waits for those of other processes."""


class Database:
    """One connection that all threads of a process take in turn, a transaction each.

    The file stays closed during an ``os.fork``; both processes open it again when they need it.

    Args:
        path: The file, made with its folders if it is missing and then readable by its owner
            only; or ``:memory:``.

    Raises:
        MemoryStoreError: The file cannot be opened, is none of ours, or was written by a newer
            version.

    Example:
        >>> database = Database(":memory:")
        >>> with database.reading("count memories") as db:
        ...     db.execute("SELECT count(*) FROM memory_items").fetchone()[0]
        0
    """

    def __init__(self, path: str | Path) -> None:
        self.path = (
            str(path) if str(path) == ":memory:" else str(Path(path).expanduser().absolute())
        )
        self._lock = threading.RLock()
        self._closed = False
        self._db: sqlite3.Connection | None = self._open()
        _OPEN[id(self)] = self

    @contextmanager
    def reading(self, doing: str) -> Iterator[sqlite3.Connection]:
        """See one state of the database in all queries of a block.

        Args:
            doing: What the block does, for messages: "read a memory".
        """
        with self._using(doing, "BEGIN") as db:
            yield db

    @contextmanager
    def writing(self, doing: str) -> Iterator[sqlite3.Connection]:
        """Change the database in a block, all of it or, when the block fails, nothing.

        Args:
            doing: What the block does, for messages: "add a memory".
        """
        with self._using(doing, "BEGIN IMMEDIATE") as db:
            yield db

    def close(self) -> None:
        """Close it for good; calling it again does nothing."""
        with self._lock:
            self._closed = True
            if self._db is not None:
                self._db.close()
                self._db = None

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
        except (OSError, ValueError, sqlite3.Error) as error:
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
    def unused(self) -> Iterator[None]:
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
    if not isinstance(error, OSError | ValueError | sqlite3.OperationalError):
        return "One of the values is none that it can keep."
    return "Check the path, its permissions, and that there is room on the disk."


_OPEN: weakref.WeakValueDictionary[int, Database] = weakref.WeakValueDictionary()
_FORKING: dict[int, ExitStack] = {}
"""By thread: what lets the databases be used again after its fork."""


def _before_fork() -> None:
    # A file that is open during a fork has locks that SQLite believes the child to have as well.
    stack = _FORKING[threading.get_ident()] = ExitStack()
    # Always in the same order, lest two threads that fork wait for each other.
    for reference in sorted(_OPEN.valuerefs(), key=id):
        database = reference()
        if database is not None:
            stack.enter_context(database.unused())


def _after_fork() -> None:
    _FORKING.pop(threading.get_ident()).close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )
