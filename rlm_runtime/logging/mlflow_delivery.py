"""Delivers a run's events to MLflow as a run with its trace: once, however often it is tried."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rlm_runtime.errors import ConfigurationError
from rlm_runtime.guard import Outcome, contained
from rlm_runtime.logging.events import Event
from rlm_runtime.logging.mlflow_calls import experiment_id_of, finish_run, log_values, upload
from rlm_runtime.logging.mlflow_destination import Destination
from rlm_runtime.logging.mlflow_record import (
    ERROR_TAGS,
    UNFINISHED,
    error_tags_of,
    files_of,
    metrics_of,
    name_of,
    params_of,
    tags_of,
)
from rlm_runtime.logging.mlflow_store import connect, keeps_files, reconnect, turn_at
from rlm_runtime.logging.mlflow_trace import build_spans, build_trace_info, trace_id_of
from rlm_runtime.logging.mlflow_values import MAX_PARAM, MAX_TAG, metric_values, texts
from rlm_runtime.logging.trace_tree import require_start, timestamp_ns

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

__all__ = ["RUN_ID_TAG", "Delivery"]

_DEFAULT_EXPERIMENT = "0"
RUN_ID_TAG = "rlm.run_id"
"""The tag by which a run is found again."""


class Delivery:
    """Brings one run to MLflow, in two moves: ``begin`` with its first event, ``finish`` with all.

    Both may be repeated, by any process, and change nothing the second time: the run is found
    by its tag, the ids of trace and spans follow from the run's own, and values are the same.

    Args:
        destination: Where the run goes.

    Attributes:
        mlflow_run_id: The MLflow run, once it exists.
        trace_id: The trace, once it is written.
    """

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        self.mlflow_run_id: str | None = None
        self.trace_id: str | None = None
        self._experiment_id = destination.experiment_id or _DEFAULT_EXPERIMENT

    def begin(self, start: Event) -> None:
        """Make the run, RUNNING, with params and tags, or find the one made before.

        Args:
            start: The ``run_start`` event.

        Raises:
            MlflowException: The store does not answer, or refuses.
            ConfigurationError: The experiment was deleted, or another run has this run id.
        """
        with turn_at(self.destination.tracking_uri):
            self._begin(start)

    def _begin(self, start: Event) -> None:
        from mlflow.entities import Param, RunTag

        client = connect(self.destination.tracking_uri)
        if self.destination.experiment is not None:
            self._experiment_id = experiment_id_of(client, self.destination.experiment)
        elif self.destination.experiment_id is None and self.destination.parent_run_id:
            parent = client.get_run(self.destination.parent_run_id)
            self._experiment_id = parent.info.experiment_id
        own = texts(
            {RUN_ID_TAG: start["run_id"], "mlflow.parentRunId": self.destination.parent_run_id},
            MAX_TAG,
        )
        began = timestamp_ns(start) // 1_000_000
        run = _find(client, self._experiment_id, own[RUN_ID_TAG])
        if run is None:
            run = client.create_run(
                self._experiment_id,
                start_time=began,
                tags={**self.destination.context, **own},
                run_name=self.destination.run_name or name_of(start),
            )
        elif run.info.start_time != began:
            raise ConfigurationError(
                f"MLflow has another run with the run id {start['run_id']!r}, which began at "
                f"another time (its MLflow run is {run.info.run_id}). Give each run its own run_id."
            )
        # Those that MLflow has already it takes in no other form.
        params = {
            key: value
            for key, value in texts(params_of(start), MAX_PARAM, "params").items()
            if key not in run.data.params
        }
        tags = {**texts(tags_of(start), MAX_TAG, "tags"), **own}
        log_values(
            client,
            run.info.run_id,
            params=[Param(key, value) for key, value in params.items()],
            tags=[RunTag(key, value) for key, value in tags.items()],
        )
        self.mlflow_run_id = run.info.run_id

    def finish(self, events: Sequence[Event]) -> None:
        """Add metrics, artifacts and the trace, and end the run; one failing keeps no other back.

        Args:
            events: All events of the run, in order of ``seq``. Without a ``run_end`` the run
                counts as killed at the time of its last event, unless MLflow has its end.

        Raises:
            MlflowException: Not all of it arrived; the first error, with the others as notes.
            ConfigurationError: As ``begin``.
            LogFormatError: The events do not begin with ``run_start``.
        """
        require_start(events)
        with turn_at(self.destination.tracking_uri):
            if self.mlflow_run_id is None:
                self._begin(events[0])
            assert self.mlflow_run_id is not None, "begin makes the run"
            self._finish(self.mlflow_run_id, events)

    def _finish(self, run_id: str, events: Sequence[Event]) -> None:
        client = reconnect(self.destination.tracking_uri)
        run = client.get_run(run_id)
        end = events[-1] if events[-1]["event"] == "run_end" else None
        if end is None and _has_ended(run):
            self.trace_id = trace_id_of(events[0]["run_id"])
            return
        with contained() as values:
            _log_outcome(client, run, events, end)
        with contained() as artifacts:
            upload(client, run_id, files_of(events, end))
        with contained() as trace:
            if run.data.tags.get(ERROR_TAGS[0]) == UNFINISHED:
                # The whole of a trace may lack steps that its beginning had.
                _forget_trace(self.destination.tracking_uri, self._experiment_id, events)
            _write_trace(self.destination.tracking_uri, self._experiment_id, run_id, events)
            self.trace_id = trace_id_of(events[0]["run_id"])
        with contained() as ended:
            status = end["status"] if end else "KILLED"
            finish_run(client, run_id, status, timestamp_ns(events[-1]) // 1_000_000)
        _raise_first(values, artifacts, trace, ended)


def _find(client: MlflowClient, experiment_id: str, run_id_tag: str) -> Run | None:
    # MLflow's filters know no escape for the quote that they are written in; "_" fits any
    # character, so look at what was found.
    pattern = run_id_tag.replace("'", "_")
    how = "LIKE" if pattern != run_id_tag else "="
    found = client.search_runs([experiment_id], f"tags.`{RUN_ID_TAG}` {how} '{pattern}'")
    same = [run for run in found if run.data.tags[RUN_ID_TAG] == run_id_tag]
    return same[0] if same else None


def _has_ended(run: Run) -> bool:
    """Tell whether MLflow has the end of a run, and not only that of what was there of it."""
    over = run.info.status in ("FINISHED", "FAILED", "KILLED")
    return over and run.data.tags.get(ERROR_TAGS[0]) != UNFINISHED


def _log_outcome(
    client: MlflowClient, run: Run, events: Sequence[Event], end: Event | None
) -> None:
    from mlflow.entities import Metric, RunTag

    values = metric_values(metrics_of(events, end))
    moment = timestamp_ns(events[-1]) // 1_000_000
    tags = error_tags_of(end)
    log_values(
        client,
        run.info.run_id,
        metrics=[
            Metric(key, value, moment, 0)
            for key, value in values.items()
            if run.data.metrics.get(key) != value
        ],
        tags=[RunTag(key, value) for key, value in texts(tags, MAX_TAG, "tags").items()],
    )
    if not tags:
        # What was delivered before its end counted as killed.
        for key in set(ERROR_TAGS) & set(run.data.tags):
            client.delete_tag(run.info.run_id, key)


def _raise_first(*outcomes: Outcome) -> None:
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    for other in errors[1:]:
        errors[0].add_note(f"Also: {type(other).__name__}: {other}")
    if errors:
        raise errors[0]


def _forget_trace(tracking_uri: str, experiment_id: str, events: Sequence[Event]) -> None:
    from mlflow.tracing.client import TracingClient

    trace_id = trace_id_of(events[0]["run_id"])
    TracingClient(tracking_uri).delete_traces(experiment_id, trace_ids=[trace_id])


def _write_trace(
    tracking_uri: str, experiment_id: str, run_id: str, events: Sequence[Event]
) -> None:
    from mlflow.entities import TraceData
    from mlflow.exceptions import MlflowException
    from mlflow.tracing.client import TracingClient

    client = TracingClient(tracking_uri)
    spans = build_spans(events)
    info = build_trace_info(events, experiment_id=experiment_id, mlflow_run_id=run_id)
    if keeps_files(tracking_uri):
        # These write a trace once only.
        _forget_trace(tracking_uri, experiment_id, events)
    # The record first: the other way round costs the store half as much again.
    info = client.start_trace(info)
    try:
        client.log_spans(experiment_id, spans)
    except (NotImplementedError, MlflowException) as error:
        if isinstance(error, MlflowException) and "not supported" not in error.message:
            raise
        # File stores and old servers keep no spans; they take them as an artifact of the trace.
        client._upload_trace_data(info, TraceData(spans=spans))
