"""The sink that turns a stream of events into an MLflow run, off the thread of the run."""

from __future__ import annotations

import os
import threading

from rlm_runtime.guard import shielded, warn_once
from rlm_runtime.logging.events import Event
from rlm_runtime.logging.mlflow_delivery import Delivery, Destination
from rlm_runtime.logging.mlflow_store import ADVICE, import_mlflow, resolve_tracking_uri

__all__ = ["MlflowSink", "active_run_id"]


class MlflowSink:
    """Delivers one run to MLflow: params and tags at its start, the rest and the trace at its end.

    All talking to MLflow is done on a daemon thread with a client of its own; MLflow's global
    state (tracking URI, experiment, active runs) stays as it is. When MLflow is not installed
    there is one TrackingWarning and the sink does nothing.

    Args:
        experiment: Name of the experiment, made when missing. Default: that of the parent
            run, else the one set in MLflow, else "Default".
        run_name: Default: the program and the first characters of the run id.
        tracking_uri: The store or server. Default: the one set in MLflow.
        timeout: Seconds that ``close`` waits at most.
        parent_run_id: MLflow run to be nested in. Default: the caller's active run, if any.

    Example:
        >>> import tempfile
        >>> sink = MlflowSink(tracking_uri=f"sqlite:///{tempfile.mkdtemp()}/mlflow.db")
        >>> sink.close()
        >>> sink.mlflow_run_id is None, sink.delivered
        (True, False)
    """

    def __init__(
        self,
        experiment: str | None = None,
        run_name: str | None = None,
        tracking_uri: str | None = None,
        timeout: float = 10.0,
        parent_run_id: str | None = None,
    ) -> None:
        self.timeout = timeout
        self._delivery: Delivery | None = None
        self._delivered = False
        self._events: list[Event] = []
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        with shielded("set up MLflow", advice=ADVICE):
            mlflow = import_mlflow(tracking_uri)
            if mlflow is None:
                return
            uri = resolve_tracking_uri(tracking_uri)
            parent_run_id = parent_run_id or active_run_id(tracking_uri)
            experiment_id = None
            if parent_run_id is None and experiment is None:
                experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME")
                # Ids of experiments mean nothing in another store.
                if uri == mlflow.get_tracking_uri():
                    experiment_id = os.environ.get("MLFLOW_EXPERIMENT_ID")
                    experiment = None if experiment_id else experiment
            self._delivery = Delivery(
                Destination(
                    tracking_uri=uri,
                    experiment=experiment,
                    experiment_id=experiment_id,
                    run_name=run_name,
                    parent_run_id=parent_run_id,
                )
            )

    @property
    def mlflow_run_id(self) -> str | None:
        """The MLflow run, as soon as it exists."""
        return self._delivery.mlflow_run_id if self._delivery else None

    @property
    def trace_id(self) -> str | None:
        """The MLflow trace, as soon as it is written."""
        return self._delivery.trace_id if self._delivery else None

    @property
    def delivered(self) -> bool:
        """Whether MLflow has all of the run."""
        return self._delivered

    def emit(self, event: Event) -> None:
        """Keep the event; the run's first one sets the delivery going."""
        if self._delivery is None:
            return
        self._events.append(event)
        if event["event"] == "run_start":
            self._thread = threading.Thread(
                target=self._work, args=(self._delivery,), name="rlm-runtime-mlflow", daemon=True
            )
            self._thread.start()
        elif event["event"] == "run_end":
            self._over.set()

    def close(self) -> None:
        """Wait for the delivery, at most ``timeout`` seconds; then warn and let it go on."""
        if self._thread is None or self._delivery is None:
            return
        self._over.set()
        self._thread.join(self.timeout)
        if self._thread.is_alive():
            uri = self._delivery.destination.tracking_uri
            warn_once(
                f"late delivery to {uri}",
                f"The run was not delivered to MLflow at {uri} within {self.timeout:g} seconds. "
                f"The delivery goes on, but is lost when this process ends first. {ADVICE}",
            )

    def _work(self, delivery: Delivery) -> None:
        with shielded("create the run in MLflow", advice=ADVICE):
            delivery.begin(self._events[0])
        self._over.wait()
        with shielded("deliver the run to MLflow", advice=ADVICE):
            self._delivered = delivery.finish(self._events)


def active_run_id(tracking_uri: str | None = None) -> str | None:
    """Give the id of the calling thread's active MLflow run, if it is in this store.

    Args:
        tracking_uri: The store or server. Default: the one set in MLflow.
    """
    mlflow = import_mlflow(tracking_uri)
    if mlflow is None or resolve_tracking_uri(tracking_uri) != mlflow.get_tracking_uri():
        return None
    active = mlflow.active_run()
    return active.info.run_id if active else None
