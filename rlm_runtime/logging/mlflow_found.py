"""Runs that were found in MLflow, as plain values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

__all__ = [
    "FoundExperiment",
    "FoundRun",
    "experiment_report",
    "moment",
    "run_columns",
    "run_report",
    "run_texts",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HEAD = (
    "run_id",
    "experiment_id",
    "experiment",
    "name",
    "status",
    "start_time",
    "end_time",
    "artifact_uri",
)


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run in MLflow with what was logged to it.

    Attributes:
        run_id: MLflow's id; the id that a run of ours has in its log is ``tags["rlm.run_id"]``.
        experiment_id: The id of its experiment.
        experiment: The experiment's name.
        name: The run's name.
        status: ``RUNNING``, ``SCHEDULED``, ``FINISHED``, ``FAILED`` or ``KILLED``.
        start_time: When it began (UTC, milliseconds).
        end_time: When it ended; None while it goes on.
        artifact_uri: Where its artifacts are.
        params: Its params by name.
        metrics: The last value of each metric by name; may be NaN.
        tags: Its tags by name, MLflow's own among them.
    """

    run_id: str
    experiment_id: str
    experiment: str
    name: str
    status: str
    start_time: datetime | None
    end_time: datetime | None
    artifact_uri: str
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]


@dataclass(frozen=True, slots=True)
class FoundExperiment:
    """An experiment in MLflow.

    Attributes:
        experiment_id: Its id.
        name: Its name.
        created: When it was made (UTC, milliseconds); None where the store does not say.
        runs: How many runs it has, without deleted ones; None where only reading them all would
            tell (servers and folders).
        last_run: When its latest run began; None without runs, or where ``runs`` is None.
    """

    experiment_id: str
    name: str
    created: datetime | None
    runs: int | None
    last_run: datetime | None


def moment(milliseconds: int | None) -> datetime | None:
    """Give the time that MLflow keeps as milliseconds since 1970.

    Example:
        >>> moment(1_000).isoformat()
        '1970-01-01T00:00:01+00:00'
    """
    return None if milliseconds is None else _EPOCH + timedelta(milliseconds=milliseconds)


def run_report(run: FoundRun) -> dict[str, Any]:
    """Give a run as one JSON object; a metric without a finite value is text, as at MLflow's API.

    Example:
        >>> run = FoundRun("a1", "0", "study", "first", "FINISHED", moment(0), None, "", {},
        ...                {"loss": math.nan}, {})
        >>> run_report(run)["start_time"], run_report(run)["metrics"]
        ('1970-01-01T00:00:00.000Z', {'loss': 'NaN'})
    """
    head = {name: getattr(run, name) for name in _HEAD}
    times = {name: _time_text(head[name]) for name in ("start_time", "end_time")}
    metrics = {name: _number(value) for name, value in run.metrics.items()}
    return {**head, **times, "params": run.params, "metrics": metrics, "tags": run.tags}


def experiment_report(experiment: FoundExperiment) -> dict[str, Any]:
    """Give an experiment as one JSON object."""
    values = asdict(experiment)
    return {**values, **{name: _time_text(values[name]) for name in ("created", "last_run")}}


def run_columns(runs: Sequence[FoundRun]) -> dict[str, list[Any]]:
    """Give runs as columns, named as in MLflow's data frames; None where a run has no value.

    Returns:
        The values of each column, one for each run: ``run_id``, ``experiment_id``,
        ``experiment``, ``name``, ``status``, ``start_time``, ``end_time``, ``artifact_uri``, then
        ``params.*``, ``metrics.*`` and ``tags.*`` in the order of their names.
    """
    columns = {name: [getattr(run, name) for run in runs] for name in _HEAD}
    for group in ("params", "metrics", "tags"):
        parts = [getattr(run, group) for run in runs]
        for name in sorted({name for part in parts for name in part}):
            columns[f"{group}.{name}"] = [part.get(name) for part in parts]
    return columns


def run_texts(runs: Sequence[FoundRun]) -> tuple[list[str], Iterator[list[str]]]:
    """Give the columns of ``run_columns`` and a row of texts for each run; empty for no value."""
    columns = run_columns(runs)
    return [*columns], (
        [_text(value) for value in row] for row in zip(*columns.values(), strict=True)
    )


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(_time_text(value) if isinstance(value, datetime) else value)


def _time_text(time: datetime | None) -> str | None:
    if time is None:
        return None
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
