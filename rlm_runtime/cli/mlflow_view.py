"""Shows runs that were found in MLflow: as a list, one by one, side by side."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rlm_runtime.cli.output import Page, one_line
from rlm_runtime.cli.words import counted, time_words

if TYPE_CHECKING:
    from rlm_runtime.logging.mlflow_found import FoundExperiment, FoundRun

__all__ = ["comparable", "show_comparison", "show_experiments", "show_run", "show_runs"]

_SHORT_ID = 8
_MAX_NAME = 14
_MIN_VALUE = 10
_MIN_QUESTION = 10
# Columns of a page of which nobody says how wide it is.
_WIDTH = 100
# A page with fewer columns has room for dates only.
_NARROW = 90
# What is another for each run by its nature says nothing about their difference.
_ALWAYS_OTHER = ("run_id", "name", "start_time", "end_time", "artifact_uri", "tags.rlm.run_id")


def show_experiments(found: Sequence[FoundExperiment]) -> None:
    """Show experiments as a table, with their runs where the store can count them."""
    counted_ones = all(one.runs is not None for one in found)
    columns = ["id", "experiment", "created", *(["runs", "latest run"] if counted_ones else [])]
    rows = []
    for one in found:
        row = [one.experiment_id, one.name, _time(one.created)]
        rows.append([*row, f"{one.runs:,}", _time(one.last_run)] if counted_ones else row)
    Page().table(columns, rows)


def show_runs(runs: Sequence[FoundRun], most: int) -> None:
    """Show runs as a table; what is the same for all of them is told once, below it."""
    page = Page()
    if not runs:
        page.line("No run meets these conditions.")
        return
    shown = runs[:most]
    width = _width()
    columns = {
        "run": [run.run_id[:_SHORT_ID] for run in shown],
        "started": [_time(run.start_time)[: 10 if width < _NARROW else None] for run in shown],
        "status": [run.status for run in shown],
        "done": [_yes_no(run.metrics.get("converged")) for run in shown],
        "turns": [_number(run.metrics.get("iteration_count")) for run in shown],
        "experiment": [one_line(run.experiment, _MAX_NAME) for run in shown],
        "ontology": [one_line(run.params.get("ontology", ""), _MAX_NAME) for run in shown],
        "model": [_model_name(run.params.get("model", "")) for run in shown],
    }
    common = {
        name: columns.pop(name)[0]
        for name in ("status", "experiment", "ontology", "model")
        if len({*columns[name]}) == 1
    }
    taken = sum(2 + max(map(len, [name, *values])) for name, values in columns.items())
    room = max(width - taken, _MIN_QUESTION)
    columns["question"] = [one_line(run.params.get("query") or run.name, room) for run in shown]
    page.table([*columns], [*zip(*columns.values(), strict=True)])
    page.blank()
    number = counted(len(runs), "run")
    if len(shown) < len(runs):
        number = f"The first {len(shown)} of {number} (--limit, --json, --csv and export give more)"
    page.line((number, "bold"))
    told = [f"{name} {value}" for name, value in common.items() if value]
    if told:
        page.line(("all of these: ", "dim"), ", ".join(told))


def show_run(run: FoundRun) -> None:
    """Show a run: its head, params, metrics, and the tags that are not MLflow's own."""
    page = Page()
    head = {
        "run": run.run_id,
        "name": run.name,
        "experiment": run.experiment,
        "status": run.status,
        "started": _time(run.start_time),
        "took": _took(run),
        "artifacts": run.artifact_uri,
    }
    width = max(map(len, head)) + 2
    for name, value in head.items():
        if value:
            page.line((f"{name:<{width}}", "dim"), value)
    own = {name: value for name, value in run.tags.items() if not name.startswith("mlflow.")}
    metrics = {name: _number(value) for name, value in run.metrics.items()}
    for name, values in (("param", run.params), ("metric", metrics), ("tag", own)):
        if values:
            page.blank()
            page.table([name, "value"], [[key, values[key]] for key in sorted(values)])


def comparable(columns: Mapping[str, Sequence[Any]]) -> dict[str, bool]:
    """Tell which columns of runs can be compared, and whether they differ."""
    return {
        name: len({*map(str, values)}) > 1
        for name, values in columns.items()
        if name not in _ALWAYS_OTHER and not name.startswith("tags.mlflow.")
    }


def show_comparison(
    runs: Sequence[FoundRun], columns: Mapping[str, Sequence[Any]], names: Sequence[str]
) -> None:
    """Show fields of runs side by side.

    Args:
        runs: The runs.
        columns: All their fields.
        names: Which of them to show.
    """
    rows = [["started", *(_time(run.start_time) for run in runs)]]
    rows.append(["took", *map(_took, runs)])
    rows += [[_bare(name), *map(_value, columns[name])] for name in names]
    taken = max(len(row[0]) for row in rows)
    room = max((_width() - taken) // len(runs) - 2, _MIN_VALUE)
    shown = [[row[0], *(one_line(value, room) for value in row[1:])] for row in rows]
    Page().table(["", *(run.run_id[:_SHORT_ID] for run in runs)], shown)


def _width() -> int:
    return shutil.get_terminal_size((_WIDTH, 0)).columns


def _bare(name: str) -> str:
    """Give the name of a param or metric as it is known; only tags are marked as what they are."""
    return name.removeprefix("params.").removeprefix("metrics.")


def _took(run: FoundRun) -> str:
    if run.start_time is None or run.end_time is None:
        return ""
    return time_words((run.end_time - run.start_time).total_seconds())


def _model_name(model: str) -> str:
    """Give a model without its provider, which other columns have more use for the room of."""
    return one_line(model.rpartition("/")[2], _MAX_NAME)


def _time(value: datetime | None) -> str:
    return "" if value is None else f"{value.astimezone():%Y-%m-%d %H:%M}"


def _value(value: Any) -> str:
    if value is None:
        return ""
    return _number(value) if isinstance(value, float) else str(value)


def _number(value: float | None) -> str:
    """Give a metric: a whole or large number in full, any other with four digits that matter."""
    if value is None:
        return ""
    large = math.isfinite(value) and abs(value) >= 1_000
    return f"{value:,.0f}" if large or value.is_integer() else f"{value:.4g}"


def _yes_no(value: float | None) -> str:
    return "" if value is None else ("yes" if value else "no")
