"""Reads the settings of a project from ``rlm.toml`` or from ``pyproject.toml``."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from rlm_runtime.errors import ConfigurationError

__all__ = ["Settings", "absolute_uri", "read_settings"]

_TABLE = "rlm_runtime"
_EXAMPLES = {
    "mlflow_tracking_uri": 'mlflow_tracking_uri = "http://127.0.0.1:5000"',
    "memory": 'memory = "memory.db"',
}
_EXAMPLE = _EXAMPLES["mlflow_tracking_uri"]
# Tracking URIs of MLflow that name a service and no folder.
_NAMES = ("databricks", "databricks-uc", "uc")


@dataclass(frozen=True)
class Settings:
    """What a project has set.

    Attributes:
        mlflow_tracking_uri: The MLflow store or server; a path in it is absolute.
        memory: The file with the memories of runs; absolute.
        path: The file that says so; None when there is none.
    """

    mlflow_tracking_uri: str | None = None
    memory: Path | None = None
    path: Path | None = None


def read_settings(folder: Path | None = None) -> Settings:
    """Read the settings that hold for a folder: those of the nearest file in it or above it.

    The file is an ``rlm.toml``, or a ``pyproject.toml`` with a table ``[tool.rlm_runtime]``; in
    one folder ``rlm.toml`` counts. Paths in it are relative to its own folder. It is read at each
    call, so a change of the file or of the folder is seen.

    Args:
        folder: Where to begin. Default: the current folder.

    Raises:
        ConfigurationError: The file cannot be read, is no TOML, or has an unknown key or a value
            of the wrong type.

    Example:
        >>> import tempfile
        >>> project = Path(tempfile.mkdtemp())
        >>> _ = (project / "rlm.toml").write_text('mlflow_tracking_uri = "http://127.0.0.1:5000"')
        >>> (project / "notebooks").mkdir()
        >>> read_settings(project / "notebooks").mlflow_tracking_uri
        'http://127.0.0.1:5000'
    """
    start = (folder or Path.cwd()).absolute()
    for here in (start, *start.parents):
        for path, table_of in ((here / "rlm.toml", _parse), (here / "pyproject.toml", _own_table)):
            data = _read(path)
            table = table_of(path, data) if data is not None else None
            if table is not None:
                return _settings(path, table)
    return Settings()


def absolute_uri(uri: str, folder: Path) -> str:
    """Make the path in a tracking URI absolute; a URI without one stays as it is.

    Args:
        uri: As MLflow takes it: ``sqlite:///runs/mlflow.db``, ``./mlruns``, ``http://…``.
        folder: What a relative path is relative to; absolute itself.

    Example:
        >>> absolute_uri("sqlite:///runs/mlflow.db", Path("/project"))
        'sqlite:////project/runs/mlflow.db'
        >>> absolute_uri("./mlruns", Path("/project"))
        'file:///project/mlruns'
        >>> absolute_uri("http://127.0.0.1:5000", Path("/project"))
        'http://127.0.0.1:5000'
    """
    if uri.startswith("sqlite"):
        scheme, _, rest = uri.partition(":///")
        path, mark, options = rest.partition("?")
        if not path or path.startswith((":memory:", "file:")):
            return uri
        return f"{scheme}:///{_within(folder, path).as_posix()}{mark}{options}"
    if uri.startswith("file:"):
        path = uri.removeprefix("file:")
        return uri if path.startswith("/") else _within(folder, unquote(path)).as_uri()
    # A single letter before the colon is a drive, not a scheme.
    if uri in _NAMES or re.match(r"[A-Za-z][\w+.-]+:", uri):
        return uri
    return _within(folder, uri).as_uri()


def _within(folder: Path, path: str) -> Path:
    # Unlike Path's, this leaves the home of an unknown user as it is written.
    return Path(os.path.normpath(folder / os.path.expanduser(path)))


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise ConfigurationError(
            f"The settings in {path} cannot be read: {error.strerror or error}. "
            "Make the file readable, or remove it."
        ) from error


def _own_table(path: Path, data: bytes) -> Any:
    # What is wrong with a file of other tools only is for them to say.
    if not re.search(rb"rlm[_-]runtime", data):
        return None
    tools = _parse(path, data).get("tool", {})
    if "rlm-runtime" in tools:
        raise ConfigurationError(
            f"{path} has a table [tool.rlm-runtime]. Write [tool.{_TABLE}], with an underscore."
        )
    return tools.get(_TABLE)


def _parse(path: Path, data: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except ValueError as error:
        raise ConfigurationError(
            f"{path} is no valid TOML: {error}. A setting is written like this: {_EXAMPLE}"
        ) from error


def _settings(path: Path, table: Any) -> Settings:
    if not isinstance(table, Mapping):
        raise ConfigurationError(
            f"In {path}, {_TABLE} is no table. Write [tool.{_TABLE}], and below it: {_EXAMPLE}"
        )
    unknown = ", ".join(repr(name) for name in table if name not in _EXAMPLES)
    if unknown:
        where = f"below [tool.{_TABLE}]" if path.name == "pyproject.toml" else "below no table"
        raise ConfigurationError(
            f"{path} has unknown settings: {unknown}. There are these, {where}: "
            f"{', '.join(_EXAMPLES.values())}"
        )
    uri = _text(path, table, "mlflow_tracking_uri", "a store or server")
    memory = _text(path, table, "memory", "the path of a file")
    return Settings(
        mlflow_tracking_uri=None if uri is None else absolute_uri(uri, path.parent),
        memory=None if memory is None else _within(path.parent, memory),
        path=path,
    )


def _text(path: Path, table: Mapping[str, Any], name: str, needed: str) -> str | None:
    value = table.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(
            f"In {path}, {name} is {_kind(value)}, where {needed} is needed. "
            f"Write: {_EXAMPLES[name]}"
        )
    return value.strip()


def _kind(value: Any) -> str:
    return "an empty text" if isinstance(value, str) else f"a value of type {type(value).__name__}"
