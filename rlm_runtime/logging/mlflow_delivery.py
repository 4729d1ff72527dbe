"""Delivers a run's events to MLflow as a run with its trace: once, however often it is tried."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rlm_runtime.guard import shielded
from rlm_runtime.logging.events import Event
from rlm_runtime.logging.jsonl import dump_event
from rlm_runtime.logging.mlflow_calls import experiment_id_of, finish_run, upload
from rlm_runtime.logging.mlflow_store import ADVICE, connect
from rlm_runtime.logging.mlflow_trace import build_spans, build_trace_info, trace_id_of
from rlm_runtime.logging.mlflow_values import MAX_PARAM, MAX_TAG, metric_values, texts
from rlm_runtime.logging.trace_tree import timestamp_ns

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["RUN_ID_TAG", "Delivery", "Destination"]

_DEFAULT_EXPERIMENT = "0"
RUN_ID_TAG = "rlm.run_id"
"""The tag by which a run is found again."""


@dataclass(frozen=True)
class Destination:
    """Where a run goes in MLflow, and what it is called there.

    Attributes:
        tracking_uri: The store or server.
        experiment: Name of the experiment, made when missing; None for ``experiment_id``.
        experiment_id: Used when no name is given; None for that of the parent run, else MLflow's
            "Default".
        run_name: Defaults to the program's name and the first characters of the run id.
        parent_run_id: MLflow run that this one is nested in.
    """

    tracking_uri: str
    experiment: str | None = None
    experiment_id: str | None = None
    run_name: str | None = None
    parent_run_id: str | None = None


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
            ConfigurationError: The experiment was deleted.
        """
        from mlflow.entities import Param

        client = connect(self.destination.tracking_uri)
        if self.destination.experiment is not None:
            self._experiment_id = experiment_id_of(client, self.destination.experiment)
        elif self.destination.experiment_id is None and self.destination.parent_run_id:
            parent = client.get_run(self.destination.parent_run_id)
            self._experiment_id = parent.info.experiment_id
        run_id = self._find(client, start["run_id"])
        if run_id is None:
            name = f"{start['program']} {start['run_id'][:8]}"
            run = client.create_run(
                self._experiment_id,
                start_time=timestamp_ns(start) // 1_000_000,
                tags=texts(self._tags(start), MAX_TAG),
                run_name=self.destination.run_name or name,
            )
            run_id = run.info.run_id
        given = {
            name: json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
            for name, value in start["params"].items()
        }
        named = {"query": start["query"], "ontology": start["ontology"]}
        params = texts({**given, **{k: v for k, v in named.items() if v is not None}}, MAX_PARAM)
        client.log_batch(run_id, params=[Param(key, value) for key, value in params.items()])
        self.mlflow_run_id = run_id

    def finish(self, events: Sequence[Event]) -> bool:
        """Add metrics, artifacts and the trace, and end the run; one failing keeps no other back.

        Args:
            events: All events of the run, in order of ``seq``. Without a ``run_end`` the run
                counts as killed at the time of its last event.

        Returns:
            Whether all of it arrived.
        """
        if self.mlflow_run_id is None:
            with shielded("create the run in MLflow", advice=ADVICE):
                self.begin(events[0])
        run_id = self.mlflow_run_id
        if run_id is None:
            return False
        end = events[-1] if events[-1]["event"] == "run_end" else None
        with shielded("reach MLflow", advice=ADVICE) as reached:
            client = connect(self.destination.tracking_uri)
        if not reached.ok:
            return False
        with shielded("log metrics to MLflow", advice=ADVICE) as metrics:
            _log_metrics(client, run_id, end)
        with shielded("log artifacts to MLflow", advice=ADVICE) as artifacts:
            _log_artifacts(client, run_id, events, end)
        with shielded("write the trace to MLflow", advice=ADVICE) as trace:
            _write_trace(self.destination.tracking_uri, self._experiment_id, run_id, events)
            self.trace_id = trace_id_of(events[0]["run_id"])
        with shielded("end the run in MLflow", advice=ADVICE) as ended:
            status = end["status"] if end else "KILLED"
            finish_run(client, run_id, status, timestamp_ns(events[-1]) // 1_000_000)
        return metrics.ok and artifacts.ok and trace.ok and ended.ok

    def _find(self, client: MlflowClient, run_id: str) -> str | None:
        # MLflow's filters know no escape for the quote that they are written in.
        quote = '"' if "'" in run_id else "'"
        if quote in run_id:
            return None
        found = client.search_runs(
            [self._experiment_id], f"tags.`{RUN_ID_TAG}` = {quote}{run_id}{quote}", max_results=1
        )
        return found[0].info.run_id if found else None

    def _tags(self, start: Event) -> dict[str, Any]:
        from mlflow.tracking.context.default_context import DefaultRunContext

        grouped = start["trajectory_id"] != start["run_id"]
        return {
            **DefaultRunContext().tags(),
            **start["tags"],
            "ontology": start["ontology"],
            RUN_ID_TAG: start["run_id"],
            "rlm.trajectory_id": start["trajectory_id"] if grouped else None,
            "mlflow.parentRunId": self.destination.parent_run_id,
        }


def _log_metrics(client: MlflowClient, run_id: str, end: Event | None) -> None:
    from mlflow.entities import Metric, RunTag

    error = end["error"] if end else {"type": "Unfinished", "message": "The run was killed."}
    values = metric_values(end["metrics"]) if end else {}
    moment = timestamp_ns(end) // 1_000_000 if end else 0
    tags = {"rlm.error_type": error["type"], "rlm.error_message": error["message"]} if error else {}
    client.log_batch(
        run_id,
        metrics=[Metric(key, value, moment, 0) for key, value in values.items()],
        tags=[RunTag(key, value) for key, value in texts(tags, MAX_TAG).items()],
    )


def _log_artifacts(
    client: MlflowClient, run_id: str, events: Sequence[Event], end: Event | None
) -> None:
    outputs = end["outputs"] if end else {}
    upload(
        client,
        run_id,
        trajectory=b"".join(map(dump_event, events)),
        sparql=str(outputs.get("sparql") or ""),
        evidence=outputs.get("evidence"),
    )


def _write_trace(
    tracking_uri: str, experiment_id: str, run_id: str, events: Sequence[Event]
) -> None:
    from mlflow.entities import TraceData
    from mlflow.exceptions import MlflowException
    from mlflow.tracing.client import TracingClient

    client = TracingClient(tracking_uri)
    spans = build_spans(events)
    # The record first: the other way round costs the store half as much again.
    info = client.start_trace(
        build_trace_info(events, experiment_id=experiment_id, mlflow_run_id=run_id)
    )
    try:
        client.log_spans(experiment_id, spans)
    except (NotImplementedError, MlflowException) as error:
        if isinstance(error, MlflowException) and "not supported" not in error.message:
            raise
        # File stores and old servers keep no spans; they take them as an artifact of the trace.
        client._upload_trace_data(info, TraceData(spans=spans))
