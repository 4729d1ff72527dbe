"""What MLflow is told of a run beside its trace, as pure functions of the run's events."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rlm_runtime.logging.events import Event
from rlm_runtime.logging.jsonl import dump_event
from rlm_runtime.logging.mlflow_calls import TRAJECTORY, result_files
from rlm_runtime.logging.mlflow_values import MAX_PARAM, MAX_TAG, overlong, storable
from rlm_runtime.logging.tally import Tally
from rlm_runtime.logging.trace_tree import timestamp_ns

__all__ = [
    "ERROR_TAGS",
    "UNFINISHED",
    "error_tags_of",
    "files_of",
    "metrics_of",
    "name_of",
    "params_of",
    "tags_of",
]

_NAME = 60

UNFINISHED = "Unfinished"
"""What a run failed with whose end was not recorded."""

ERROR_TAGS = ("rlm.error_type", "rlm.error_message")
"""The tags that say what a run failed with."""


def name_of(start: Event) -> str:
    """Give a run a name to tell it by: the beginning of its question, and of its id.

    Example:
        >>> name_of({"query": "What is Activity?", "run_id": "0123456789", "program": "ask"})
        'What is Activity? 01234567'
    """
    about = " ".join((start["query"] or start["program"]).split())
    short = about if len(about) <= _NAME else about[: _NAME - 1] + "…"
    return storable(f"{short} {start['run_id'][:8]}")


def params_of(start: Event) -> dict[str, Any]:
    """Give a run's params: its settings, question and ontology."""
    given = {
        name: json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
        for name, value in start["params"].items()
    }
    named = {"query": start["query"], "ontology": start["ontology"]}
    return {**given, **{name: value for name, value in named.items() if value is not None}}


def tags_of(start: Event) -> dict[str, Any]:
    """Give the tags that a run begins with."""
    grouped = start["trajectory_id"] != start["run_id"]
    return {
        **start["tags"],
        "ontology": start["ontology"],
        "rlm.trajectory_id": start["trajectory_id"] if grouped else None,
    }


def error_tags_of(end: Event | None) -> dict[str, str]:
    """Give the tags that say what a run failed with; none when it did not."""
    error = end["error"] if end else {"type": UNFINISHED, "message": "The run was killed."}
    return dict(zip(ERROR_TAGS, (error["type"], error["message"]), strict=True)) if error else {}


def metrics_of(events: Sequence[Event], end: Event | None) -> dict[str, Any]:
    """Give a run's metrics; of one that was killed, those that its events add up to."""
    if end is not None:
        return end["metrics"]
    tally = Tally()
    for event in events:
        tally.emit(event)
    seconds = (timestamp_ns(events[-1]) - timestamp_ns(events[0])) / 1e9
    turns = {"iteration_count": tally.turns} if tally.turns else {}
    return {"duration_seconds": seconds, **turns, **tally.metrics()}


def files_of(events: Sequence[Event], end: Event | None) -> dict[str, bytes | str]:
    """Give a run's artifacts: its log, query, evidence, and the whole of what else is cut."""
    outputs = end["outputs"] if end else {}
    return {
        TRAJECTORY: b"".join(map(dump_event, events)),
        **result_files(str(outputs.get("sparql") or ""), outputs.get("evidence")),
        **overlong(params_of(events[0]), MAX_PARAM, "params"),
        **overlong({**tags_of(events[0]), **error_tags_of(end)}, MAX_TAG, "tags"),
    }
