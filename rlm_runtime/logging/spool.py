"""The spool: runs that MLflow has not got yet, on disk, each in a folder of its own.

A run's folder holds ``events.jsonl``, which is a trajectory log like any other, and
``destination.json``, which says where the run goes. A lock beside it is held for as long as a
process works on the run: taken before the folder is made, and freed by the operating system when
the process dies. So a run whose lock is free is one that nobody looks after.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlm_runtime.errors import LogFormatError
from rlm_runtime.folders import state_folder
from rlm_runtime.logging.events import Event
from rlm_runtime.logging.jsonl import JsonlSink, LogReader

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["SpoolWriter", "SpooledRun", "spool_folder", "spooled_runs", "sweep"]

_EVENTS = "events.jsonl"
_DESTINATION = "destination.json"
_SWEPT_SECONDS = 5.0


def spool_folder() -> Path:
    """Give the folder of the spool; it need not exist yet."""
    return state_folder() / "spool"


class SpoolWriter:
    """Keeps a run in the spool while it goes on; each event is on disk when ``append`` returns.

    Only the user can read it.

    Args:
        run_id: The run's id.
        destination: Where the run goes, as plain JSON values; no secrets.

    Attributes:
        path: The run's folder.

    Raises:
        OSError: The folder cannot be made or written.

    Example:
        >>> writer = SpoolWriter("r1", {"tracking_uri": "http://127.0.0.1:5000"})
        >>> [run.destination["tracking_uri"] for run in spooled_runs() if run.path == writer.path]
        ['http://127.0.0.1:5000']
        >>> writer.remove()
        >>> writer.path.exists()
        False
    """

    def __init__(self, run_id: str, destination: Mapping[str, Any]) -> None:
        root = spool_folder()
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        # In order of time by name; a run id may hold anything, and may be used twice.
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
        digest = hashlib.sha256(run_id.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        self.path = root / f"{moment}-{digest}-{secrets.token_hex(4)}"
        self._lock = _lock_of(self.path)
        # Free but for a moment: somebody may be sweeping.
        self._lock.acquire(timeout=_SWEPT_SECONDS)
        self.path.mkdir(mode=0o700)
        (self.path / _DESTINATION).write_text(json.dumps(destination), encoding="utf-8")
        self._log = JsonlSink(self.path / _EVENTS)
        self._unwritten: list[Event] = []

    def append(self, event: Event) -> None:
        """Write one event, and what could not be written before it.

        Raises:
            OSError: The disk is full, for one; the event is kept for the next try.
        """
        self._unwritten.append(event)
        self._write()

    def release(self) -> None:
        """Leave the run to whoever delivers it later.

        Raises:
            OSError: Events that could not be written are lost.
        """
        try:
            self._write()
        finally:
            self._log.close()
            _free(self._lock)

    def _write(self) -> None:
        while self._unwritten:
            self._log.emit(self._unwritten[0])
            del self._unwritten[0]

    def remove(self) -> None:
        """Forget the run: MLflow has all of it."""
        self._log.close()
        _remove(self.path)
        _free(self._lock)


class SpooledRun:
    """A run that lies in the spool.

    Args:
        path: Its folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def destination(self) -> dict[str, Any]:
        """Where it goes.

        Raises:
            LogFormatError: That cannot be read.
        """
        file = self.path / _DESTINATION
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise LogFormatError(
                f"{file} does not say where the run goes ({error}). Its events are in "
                f"{self.path / _EVENTS}; deliver them with: rlm-runtime mlflow import"
            ) from error
        return found

    def events(self) -> list[Event]:
        """Give what is there of the run, oldest first.

        Raises:
            LogFormatError: The log is damaged.
        """
        file = self.path / _EVENTS
        return list(LogReader(file)) if file.exists() else []

    @contextmanager
    def claimed(self) -> Iterator[bool]:
        """Hold the run's lock, if it is free, so that nobody else delivers it meanwhile.

        Yields:
            Whether it is ours now; False when its process lives, or it is gone.
        """
        lock = _lock_of(self.path)
        try:
            lock.acquire(timeout=0)
        except OSError:
            # Held (a Timeout is an OSError), or another user's.
            yield False
            return
        try:
            yield self.path.is_dir()
        finally:
            _free(lock)

    def remove(self) -> None:
        """Forget the run: MLflow has all of it."""
        _remove(self.path)


def spooled_runs() -> list[SpooledRun]:
    """Give the runs in the spool, the oldest first."""
    root = spool_folder()
    if not root.is_dir():
        return []
    return [SpooledRun(path) for path in sorted(root.iterdir()) if path.is_dir()]


def sweep() -> None:
    """Remove the locks of processes that were killed just before they made a run's folder."""
    for path in spool_folder().glob("*.lock"):
        lock = _lock_of(path.with_suffix(""))
        if not path.with_suffix("").exists():
            with suppress(OSError):
                lock.acquire(timeout=0)
                _free(lock)


def _remove(folder: Path) -> None:
    # The events first: whoever is killed in the middle of this leaves a folder that is no run.
    with suppress(OSError):
        (folder / _EVENTS).unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _lock_of(folder: Path) -> BaseFileLock:
    from filelock import FileLock

    # Not bound to a thread: a run's worker frees what the run's own thread took.
    return FileLock(f"{folder}.lock", thread_local=False)


def _free(lock: BaseFileLock) -> None:
    # While it is ours: whoever waits for the file then sees that it is gone, and makes a new one.
    with suppress(OSError):
        os.unlink(lock.lock_file)
    lock.release()
