"""Finds the runs that a log holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlm_runtime.cli.output import one_line
from rlm_runtime.errors import ConfigurationError
from rlm_runtime.logging.events import Event
from rlm_runtime.logging.jsonl import LogReader
from rlm_runtime.logging.tally import Tally

__all__ = ["LogIndex", "LoggedRun", "choose_run", "note_event", "read_index", "run_report"]


@dataclass
class LoggedRun:
    """What a log says of one run.

    Attributes:
        run_id: Its id.
        start: Its ``run_start``; None when that is not in the log.
        end: Its ``run_end``; None when it goes on still, or its process was killed.
        events: How many events it has.
    """

    run_id: str
    start: Event | None = None
    end: Event | None = None
    events: int = 0

    @property
    def status(self) -> str:
        """``FINISHED``, ``FAILED``, ``KILLED``, or ``UNFINISHED`` without an end."""
        return self.end["status"] if self.end is not None else "UNFINISHED"

    @property
    def title(self) -> str:
        """Its question, else what ran; on one line."""
        start = self.start or {}
        return one_line(start.get("query") or start.get("program") or "", 60)

    def take(self, event: Event) -> None:
        """Note one event of the run."""
        self.events += 1
        if event["event"] == "run_start":
            self.start = event
        elif event["event"] == "run_end":
            self.end = event


@dataclass(frozen=True)
class LogIndex:
    """The runs of a log in order of their first events, and its torn lines (from 1)."""

    runs: list[LoggedRun]
    torn: list[int]


def read_index(path: Path) -> LogIndex:
    """Find the runs of a log.

    Raises:
        LogFormatError: The file cannot be read, or holds something else than events.
    """
    reader = LogReader(path)
    runs: dict[str, LoggedRun] = {}
    for event in reader:
        note_event(runs, event)
    return LogIndex(list(runs.values()), reader.torn)


def note_event(runs: dict[str, LoggedRun], event: Event) -> None:
    """Add what an event says to the runs known so far, by their ids."""
    run_id = str(event.get("run_id"))
    runs.setdefault(run_id, LoggedRun(run_id)).take(event)


def choose_run(runs: Iterable[LoggedRun], prefix: str) -> LoggedRun | None:
    """Give the run whose id begins so, or None.

    Raises:
        ConfigurationError: Several runs do.
    """
    found = [run for run in runs if run.run_id.startswith(prefix)]
    exact = [run for run in found if run.run_id == prefix]
    if len(found) > 1 and not exact:
        ids = ", ".join(run.run_id for run in found)
        raise ConfigurationError(f"Several runs begin with {prefix!r}: {ids}. Give more of the id.")
    return (exact or found or [None])[0]


def run_report(run: LoggedRun, events: Iterable[Event]) -> dict[str, Any]:
    """Give a run as one JSON object: its head, its steps, and what came of it.

    Args:
        run: What the log says of it.
        events: Its events.
    """
    tally = Tally()
    warnings: list[dict[str, Any]] = []
    for event in events:
        tally.emit(event)
        if event["event"] in ("warning", "budget"):
            keys = ("category", "message") if event["event"] == "warning" else _BUDGET
            warnings.append({"event": event["event"], **{key: event[key] for key in keys}})
    start: Mapping[str, Any] = run.start or {}
    end: Mapping[str, Any] = run.end or {}
    return {
        "run_id": run.run_id,
        "trajectory_id": start.get("trajectory_id"),
        **{key: start.get(key) for key in _HEAD},
        "started": start.get("ts"),
        "ended": end.get("ts"),
        "status": run.status,
        **{key: end.get(key) for key in _END},
        "duration_seconds": end["duration_ns"] / 1e9 if end else None,
        "metrics": end.get("metrics") or tally.metrics(),
        "steps": [
            {
                "number": number,
                "reasoning": step.reasoning,
                "code": step.code,
                "output": step.output,
                "error": step.error,
            }
            for number, step in enumerate(tally.steps, start=1)
        ],
        "warnings": warnings,
        "events": run.events,
    }


_BUDGET = ("kind", "limit", "used")
_HEAD = ("program", "query", "ontology", "params", "tags", "versions")
_END = ("stop_reason", "converged", "outputs", "usage", "error")
