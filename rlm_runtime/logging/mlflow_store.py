"""Reaches an MLflow tracking store: which one, whether it answers, its schema made once."""

from __future__ import annotations

import contextvars
import hashlib
import importlib
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

from rlm_runtime.errors import ConfigurationError
from rlm_runtime.folders import state_folder
from rlm_runtime.guard import shielded, warn_once
from rlm_runtime.logging.mlflow_health import check, probe
from rlm_runtime.settings import read_settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = [
    "ADVICE",
    "DATABASES",
    "attempt",
    "connect",
    "import_mlflow",
    "keeps_files",
    "reconnect",
    "resolve_tracking_uri",
    "turn_at",
]

ADVICE = (
    "The run itself and its trajectory log are not affected. Is the tracking server up, and the "
    "tracking URI right?"
)
"""What a reader can do when MLflow fails."""

_SCHEMA_LOCK_SECONDS = 120.0
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")

T = TypeVar("T")

_made: set[str] = set()
_made_lock = threading.Lock()
_turns: dict[str, threading.Lock] = {}


def import_mlflow(tracking_uri: str | None = None) -> ModuleType | None:
    """Import MLflow and what a store of this kind needs, on the calling thread.

    Importing it later, on a worker, can deadlock with an import of dspy or litellm elsewhere.

    Args:
        tracking_uri: The store or server. Default: what ``resolve_tracking_uri`` gives.

    Returns:
        The module, or None, with one TrackingWarning, when MLflow is not installed.

    Raises:
        ConfigurationError: The project's settings cannot be read.
    """
    try:
        with _no_warnings_of_the_import():
            mlflow = importlib.import_module("mlflow")
    except ImportError as error:
        warn_once(
            "mlflow is not installed",
            f"Nothing is sent to MLflow: it cannot be imported ({error}). "
            "Run: pip install 'rlm-runtime[mlflow]'",
        )
        return None
    if resolve_tracking_uri(tracking_uri).startswith(DATABASES):
        importlib.import_module("mlflow.store.tracking.sqlalchemy_store")
    return mlflow


@contextmanager
def _no_warnings_of_the_import() -> Iterator[None]:
    """Keep warnings of MLflow's own imports from users who turn warnings into errors."""
    if "mlflow" in sys.modules:
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def resolve_tracking_uri(explicit: str | None = None) -> str:
    """Give the tracking URI to use.

    The first of these that there is: the explicit one; what MLflow was told
    (``mlflow.set_tracking_uri``, else ``MLFLOW_TRACKING_URI``), or uses already because a run is
    active in the calling thread; ``mlflow_tracking_uri`` in the project's settings (see
    ``rlm_runtime.settings``); MLflow's own default, ``mlflow.db`` (or an old ``mlruns`` with
    experiments in it) in the working directory.

    Raises:
        ConfigurationError: The project's settings cannot be read.

    Example:
        >>> resolve_tracking_uri("http://127.0.0.1:5000")
        'http://127.0.0.1:5000'
    """
    if explicit:
        return explicit
    mlflow = importlib.import_module("mlflow")
    if mlflow.is_tracking_uri_set() or mlflow.active_run() is not None:
        return mlflow.get_tracking_uri()
    return read_settings().mlflow_tracking_uri or mlflow.get_tracking_uri()


def connect(tracking_uri: str) -> MlflowClient:
    """Give a client of a store that answers; does not touch MLflow's global state.

    A server is asked for its health first, because MLflow's own calls would try for minutes.
    A fresh database gets its schema here, under a lock that threads and processes share.

    Raises:
        MlflowException: The store does not answer or cannot be opened.
    """
    from mlflow import MlflowClient

    check(tracking_uri)
    with _schema_lock(tracking_uri):
        return MlflowClient(tracking_uri=tracking_uri)


def reconnect(tracking_uri: str) -> MlflowClient:
    """Give a client of a store that answered when the run began; see ``connect``."""
    from mlflow import MlflowClient

    probe(tracking_uri)
    return MlflowClient(tracking_uri=tracking_uri)


def keeps_files(tracking_uri: str) -> bool:
    """Tell whether a store is a folder."""
    return tracking_uri.startswith("file:")


def turn_at(tracking_uri: str) -> AbstractContextManager[object]:
    """Give what lets one thread of this process at a time write to a SQLite store.

    SQLite has those who find it locked sleep and ask again, and serves them in no order: with many
    threads, one of them may wait for seconds. Other stores need no turns.
    """
    if not tracking_uri.startswith("sqlite"):
        return nullcontext()
    with _made_lock:
        return _turns.setdefault(tracking_uri, threading.Lock())


def attempt(doing: str, call: Callable[[], T], seconds: float) -> tuple[bool, T | None]:
    """Make a call on a thread of its own; wait for it at most this many seconds.

    Args:
        doing: What the call does, as in "log params to MLflow"; part of the warning.
        call: The call; what it raises becomes one TrackingWarning.
        seconds: The bound. A call that takes longer goes on by itself.

    Returns:
        Whether the call worked in time, and what it gave.
    """
    results: list[T] = []

    def work() -> None:
        with shielded(doing, advice=ADVICE):
            results.append(call())

    context = contextvars.copy_context()
    thread = threading.Thread(
        target=context.run, args=(work,), name="rlm-runtime-mlflow", daemon=True
    )
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        warn_once(f"{doing}|late", f"Could not {doing} within {seconds:g} seconds. {ADVICE}")
        return False, None
    return (True, results[0]) if results else (False, None)


@contextmanager
def _schema_lock(tracking_uri: str) -> Iterator[None]:
    """Hold a lock while a database is opened for the first time in this process."""
    with _made_lock:
        needed = tracking_uri.startswith(DATABASES) and tracking_uri not in _made
    if not needed:
        yield
        return
    from filelock import FileLock

    with FileLock(_lock_file(tracking_uri), timeout=_SCHEMA_LOCK_SECONDS) as lock:
        _make_tables(tracking_uri)
        yield
        with _made_lock:
            _made.add(tracking_uri)
        # With the schema complete nobody needs the lock any more; leave no litter behind.
        with suppress(OSError):
            os.unlink(lock.lock_file)


def _make_tables(tracking_uri: str) -> None:
    """Make the tables of a new SQLite store all at once.

    MLflow makes them in dozens of steps, and a file that a killed process left in the middle of
    them could never be opened again.
    """
    path = _sqlite_file(tracking_uri)
    if path is None or _has_content(path):
        return
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine
    from sqlalchemy.engine import make_url

    draft = path.with_name(f"{path.name}.new")
    for left_over in (draft, draft.with_name(f"{draft.name}-journal")):
        left_over.unlink(missing_ok=True)
    uri = make_url(tracking_uri).set(database=str(draft))
    engine = create_sqlalchemy_engine(uri.render_as_string(hide_password=False))
    try:
        _initialize_tables(engine)
    finally:
        engine.dispose()
    # Another program, which knows nothing of our lock, may have been quicker.
    if not _has_content(path):
        draft.replace(path)
    draft.unlink(missing_ok=True)


def _has_content(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _lock_file(tracking_uri: str) -> Path:
    path = _sqlite_file(tracking_uri)
    if path is None:
        # Shared by the user's processes on this machine.
        digest = hashlib.sha256(tracking_uri.encode()).hexdigest()[:16]
        folder = state_folder() / "locks"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder / f"schema-{digest}.lock"
    folder = path.parent
    if not folder.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        raise ConfigurationError(
            f"The MLflow database {path} cannot be written. "
            "Give a tracking URI in a folder that exists and that you may write to."
        )
    return path.with_name(f"{path.name}.lock")


def _sqlite_file(tracking_uri: str) -> Path | None:
    if not tracking_uri.startswith("sqlite"):
        return None
    from sqlalchemy.engine import make_url

    database = make_url(tracking_uri).database
    return Path(database).absolute() if database and database != ":memory:" else None
