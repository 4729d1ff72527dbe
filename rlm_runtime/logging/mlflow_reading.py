"""Opens MLflow stores to read from, and says plainly why one cannot be read."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from rlm_runtime.errors import ConfigurationError, RlmError
from rlm_runtime.logging.mlflow_health import is_server, probe
from rlm_runtime.logging.mlflow_store import DATABASES, resolve_tracking_uri
from rlm_runtime.redaction import without_login

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["existing_store", "reading"]

_TABLE = "experiments"
# Addresses without anything that tells them from folders.
_NAMES = ("databricks", "databricks-uc", "uc")


def existing_store(tracking_uri: str | None = None) -> str:
    """Give the address of the store to read from; makes nothing.

    Args:
        tracking_uri: The store or server. Default: what ``resolve_tracking_uri`` gives.

    Raises:
        ConfigurationError: MLflow is not installed, the settings cannot be read, or there is no
            such file or folder.
    """
    try:
        importlib.import_module("mlflow")
    except ImportError as error:
        raise ConfigurationError(
            f"Runs in MLflow cannot be read: it cannot be imported ({error}). "
            "Run: pip install 'rlm-runtime[mlflow]'"
        ) from error
    uri = resolve_tracking_uri(tracking_uri)
    place = _place(uri)
    if place is not None and not place.exists():
        raise ConfigurationError(
            f"There is no MLflow store {place}. Give the address of the store with --tracking-uri "
            "(tracking_uri=) or in MLFLOW_TRACKING_URI, as in sqlite:///runs/mlflow.db or "
            "http://127.0.0.1:5000."
        )
    return uri


@contextmanager
def reading(tracking_uri: str | None = None) -> Iterator[MlflowClient]:
    """Give a client of a store that is there; what MLflow raises meanwhile becomes an RlmError.

    Raises:
        ConfigurationError: There is no such store, or MLflow cannot do what is asked of it: a
            filter that it does not understand, a database of another version.
        RlmError: The store does not answer.
    """
    uri = existing_store(tracking_uri)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, ErrorCode
    from sqlalchemy.exc import SQLAlchemyError

    shown = without_login(uri)
    try:
        probe(uri)
        if uri.startswith(DATABASES):
            _look(uri)
        yield MlflowClient(tracking_uri=uri)
    except MlflowException as error:
        if error.error_code == ErrorCode.Name(INVALID_PARAMETER_VALUE):
            raise ConfigurationError(f"MLflow refuses this: {error.message.strip()}") from error
        advice = " Is the server up, and the address right?" if is_server(uri) else ""
        cause = error.message.strip().rstrip(".")
        raise RlmError(f"The MLflow store {shown} cannot be read: {cause}.{advice}") from error
    except SQLAlchemyError as error:
        # Without the statement that the database was asked.
        cause = str(getattr(error, "orig", None) or error).strip().rstrip(".")
        raise RlmError(
            f"The MLflow store {shown} cannot be read: {cause}. "
            "Is it a database of MLflow, and the address right?"
        ) from error


def _look(uri: str) -> None:
    """Make sure that a database answers and is one of MLflow.

    MLflow itself would try for minutes to reach one, and make its tables in any other.
    """
    from sqlalchemy import create_engine, inspect
    from sqlalchemy.pool import NullPool

    engine = create_engine(uri, poolclass=NullPool)
    if not inspect(engine).has_table(_TABLE):
        raise ConfigurationError(
            f"There is no MLflow store in {without_login(uri)}: the database has no table "
            f"{_TABLE!r}. Give the address of the store with --tracking-uri (tracking_uri=)."
        )


def _place(uri: str) -> Path | None:
    """Give the file or folder that a store is; None for servers."""
    if uri.startswith("sqlite"):
        from sqlalchemy.engine import make_url

        database = make_url(uri).database
        return Path(database) if database and database != ":memory:" else None
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme or uri in _NAMES else Path(uri)
