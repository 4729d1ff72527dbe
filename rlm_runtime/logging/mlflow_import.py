"""Makes MLflow runs of trajectory logs, for runs that were recorded without MLflow."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from rlm_runtime.logging.events import Event
from rlm_runtime.logging.jsonl import LogReader
from rlm_runtime.logging.mlflow_destination import plan_destination
from rlm_runtime.logging.mlflow_health import forget_away
from rlm_runtime.logging.mlflow_store import import_mlflow
from rlm_runtime.logging.mlflow_sync import OnProgress, Synced, deliver, need_mlflow, pending
from rlm_runtime.redaction import Redaction

__all__ = ["import_logs"]


def import_logs(
    paths: Sequence[str | Path],
    *,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    dry_run: bool = False,
    on_progress: OnProgress | None = None,
) -> list[Synced]:
    """Make MLflow runs, with their traces, of the runs in trajectory logs.

    A run that MLflow has already stays one run. A run without an end becomes KILLED; import it
    again after its end, and it becomes what it was. Secrets are removed on the way.

    Args:
        paths: The logs.
        tracking_uri: The store or server. Default: as ``resolve_tracking_uri`` gives it.
        experiment: Name of the experiment. Default: as for a run.
        dry_run: Only look.
        on_progress: Called after each run with its result, its number from 1, and how many there
            are.

    Raises:
        ConfigurationError: MLflow is not installed, or the project's settings cannot be read.
        LogFormatError: A file cannot be read, or is no log.

    Example::

        import_logs(["runs/demo.jsonl"], tracking_uri="http://127.0.0.1:5000", experiment="demo")
    """
    need_mlflow()
    import_mlflow(tracking_uri)
    forget_away()
    destination = plan_destination(tracking_uri, experiment)
    # Nobody knows who ran it, and where.
    destination = dataclasses.replace(destination, context={})
    files = [Path(path).expanduser() for path in paths]
    # Read twice: the first time to see that all of it is readable, and how many runs there are.
    total = sum(1 for _ in _runs_in(files))
    redaction = Redaction()
    results = []
    for number, (path, events) in enumerate(_runs_in(files), start=1):
        result = pending(path, events, destination)
        if not dry_run:
            result = deliver(result, [redaction(event) for event in events], destination)
        results.append(result)
        if on_progress is not None:
            on_progress(result, number, total)
    return results


def _runs_in(files: Sequence[Path]) -> Iterator[tuple[Path, list[Event]]]:
    """Give each run when it ends, then those without an end; holds only open runs in memory."""
    open_runs: dict[str, tuple[Path, dict[int, Event]]] = {}
    for path in dict.fromkeys(files):
        for event in LogReader(path):
            run_id = event["run_id"]
            if event["event"] == "run_start" and run_id in open_runs:
                _, before = open_runs[run_id]
                if before[min(before)]["ts"] != event["ts"]:
                    # Another run of the same id; the first one was killed.
                    yield path, _in_order(open_runs.pop(run_id)[1])
            _, events = open_runs.setdefault(run_id, (path, {}))
            # The same run may stand in several files.
            events.setdefault(event["seq"], event)
            if event["event"] == "run_end":
                yield path, _in_order(open_runs.pop(run_id)[1])
    for path, events in open_runs.values():
        yield path, _in_order(events)


def _in_order(events: dict[int, Event]) -> list[Event]:
    return [events[seq] for seq in sorted(events)]
