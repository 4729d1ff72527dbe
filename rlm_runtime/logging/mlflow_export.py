"""Writes runs that were found in MLflow to files: CSV, JSON, Parquet."""

from __future__ import annotations

import csv
import importlib
import json
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from rlm_runtime.errors import ConfigurationError
from rlm_runtime.logging.mlflow_found import FoundRun, run_columns, run_report, run_texts

__all__ = ["FORMATS", "checked_output", "write_runs"]


def checked_output(path: Path) -> Path:
    """Give back where runs are to be written, before time is spent on finding them.

    Raises:
        ConfigurationError: The name tells no known format, or there is no such folder.
    """
    if path.suffix.lower() not in FORMATS:
        raise ConfigurationError(
            f"{path} tells no format. Give a name that ends in {', '.join(FORMATS)}."
        )
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ConfigurationError(f"{path} cannot be written: give a file in a folder that exists.")
    return path


def write_runs(runs: Sequence[FoundRun], path: str | Path) -> None:
    """Write runs to a file: one row each in CSV and Parquet, one object each in JSON.

    Columns are ``run_id``, ``experiment_id``, ``experiment``, ``name``, ``status``,
    ``start_time``, ``end_time`` (UTC), ``artifact_uri``, then ``params.*``, ``metrics.*`` and
    ``tags.*``. In Parquet times are timestamps in milliseconds, metrics 64-bit floats, the rest
    text. A file of that name is replaced when the new one is complete.

    Args:
        runs: What ``search_runs`` gave.
        path: A name that ends in ``.csv``, ``.json`` or ``.parquet``.

    Raises:
        ConfigurationError: The name tells no known format, the file cannot be written, or pyarrow,
            which comes with MLflow, is missing.
    """
    path = checked_output(Path(path))
    write = FORMATS[path.suffix.lower()]
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        write(runs, draft)
        os.replace(draft, path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        draft.unlink(missing_ok=True)


def _write_csv(runs: Sequence[FoundRun], path: Path) -> None:
    columns, rows = run_texts(runs)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


def _write_json(runs: Sequence[FoundRun], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        lines = (json.dumps(run_report(run), ensure_ascii=False) for run in runs)
        file.write("[\n" + ",\n".join(lines) + "\n]\n")


def _write_parquet(runs: Sequence[FoundRun], path: Path) -> None:
    try:
        pyarrow = importlib.import_module("pyarrow")
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ConfigurationError(
            f"Parquet needs pyarrow, which comes with MLflow ({error}). Run: pip install pyarrow"
        ) from error

    def kind(column: str) -> object:
        if column in ("start_time", "end_time"):
            return pyarrow.timestamp("ms", tz="UTC")
        return pyarrow.float64() if column.startswith("metrics.") else pyarrow.string()

    columns = run_columns(runs)
    arrays = {name: pyarrow.array(values, kind(name)) for name, values in columns.items()}
    parquet.write_table(pyarrow.table(arrays), path)


FORMATS = {".csv": _write_csv, ".json": _write_json, ".parquet": _write_parquet}
"""How to write each format, by the end of a file's name."""
