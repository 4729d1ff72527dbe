"""The sink that turns a stream of events into an MLflow run, off the thread of the run."""

from __future__ import annotations

import threading

from rlm_runtime.guard import contained, forget_warnings, report, shielded
from rlm_runtime.logging.events import Event
from rlm_runtime.logging.mlflow_delivery import Delivery
from rlm_runtime.logging.mlflow_destination import plan_destination
from rlm_runtime.logging.mlflow_health import is_server, mark_away
from rlm_runtime.logging.mlflow_store import ADVICE, import_mlflow, resolve_tracking_uri
from rlm_runtime.logging.mlflow_sync import deliver_backlog
from rlm_runtime.logging.spool import SpoolWriter
from rlm_runtime.redaction import without_login

__all__ = ["MlflowSink", "active_run_id"]

_LATE_SECONDS = 1.0


class MlflowSink:
    """Delivers one run to MLflow: params and tags at its start, the rest and the trace at its end.

    While the run goes on its events are in the spool, too, and stay there until MLflow has
    everything: what could not be delivered, because a server was away or the process was killed,
    is delivered by a later run or by ``sync``.

    All talking to MLflow is done on a daemon thread with a client of its own; MLflow's global
    state (tracking URI, experiment, active runs) stays as it is. Whatever fails is one
    TrackingWarning. When MLflow is not installed the sink does nothing.

    Args:
        experiment: Name of the experiment, made when missing. Default: that of the parent
            run, else the one set in MLflow, else "Default".
        run_name: Default: the beginning of the question, or the program, and of the run id.
        tracking_uri: The store or server. Default: as ``resolve_tracking_uri`` gives it.
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
        self._spool: SpoolWriter | None = None
        self._events: list[Event] = []
        self._over = threading.Event()
        self._settled = threading.Event()
        self._error: Exception | None = None
        self._no_worker: Exception | None = None
        with shielded("set up MLflow", advice=ADVICE):
            if import_mlflow(tracking_uri) is None:
                return
            parent_run_id = parent_run_id or _active_run_id(tracking_uri)
            self._delivery = Delivery(
                plan_destination(tracking_uri, experiment, run_name, parent_run_id)
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
        return self._settled.is_set() and self._error is None

    def emit(self, event: Event) -> None:
        """Keep the event; the run's first one sets the delivery going."""
        if self._delivery is None:
            return
        self._events.append(event)
        if event["event"] == "run_start":
            with shielded("keep the run for a later delivery to MLflow"):
                self._spool = SpoolWriter(
                    event["run_id"], self._delivery.destination.without_secrets()
                )
        if self._spool is not None:
            with shielded("keep an event for a later delivery to MLflow"):
                self._spool.append(event)
        if event["event"] == "run_start":
            self._start(self._delivery)
        elif event["event"] == "run_end":
            self._over.set()

    def close(self) -> None:
        """Wait for the delivery, at most ``timeout`` seconds, and warn if it did not come about."""
        if self._delivery is None or not self._events:
            return
        self._over.set()
        if self._no_worker is not None:
            self._settle(self._no_worker)
        uri = self._delivery.destination.tracking_uri
        doing = f"deliver the run to MLflow at {without_login(uri)}"
        if self._settled.wait(min(self.timeout, threading.TIMEOUT_MAX)):
            error = self._error
        else:
            if self.mlflow_run_id is None and self.timeout >= _LATE_SECONDS and is_server(uri):
                # It tells that it is well, and then does nothing.
                mark_away(uri)
            error = TimeoutError(f"it takes longer than {self.timeout:g} seconds")
        if error is None:
            # When it fails again, that is news.
            forget_warnings(doing)
            return
        kept = (
            f"what is recorded of it is kept in {self._spool.path}. To deliver it: "
            "rlm-runtime mlflow sync (a later run that reaches the store delivers it, too)."
            if self._spool is not None
            else "if it has a log: rlm-runtime mlflow import FILE"
        )
        report(doing, error, advice=f"The run itself is not harmed; {kept}", cause=doing)

    def _start(self, delivery: Delivery) -> None:
        worker = threading.Thread(
            target=self._work, args=(delivery,), name="rlm-runtime-mlflow", daemon=True
        )
        with contained() as started:
            worker.start()
        self._no_worker = started.error

    def _work(self, delivery: Delivery) -> None:
        with contained() as begun:
            delivery.begin(self._events[0])
        if begun.ok:
            deliver_backlog(delivery.destination, stop=self._over)
        self._over.wait()
        with contained() as finished:
            delivery.finish(self._events)
        self._settle(finished.error)
        if finished.ok:
            deliver_backlog(delivery.destination)

    def _settle(self, error: Exception | None) -> None:
        if self._spool is not None:
            with contained():
                if error is None:
                    self._spool.remove()
                else:
                    self._spool.release()
        self._error = error
        self._settled.set()


def active_run_id(tracking_uri: str | None = None) -> str | None:
    """Give the id of the calling thread's active MLflow run, if it is in this store.

    Never raises: what cannot work, the sink tells of.

    Args:
        tracking_uri: The store or server. Default: as ``resolve_tracking_uri`` gives it.
    """
    with contained():
        return _active_run_id(tracking_uri) if import_mlflow(tracking_uri) else None
    return None


def _active_run_id(tracking_uri: str | None) -> str | None:
    import mlflow

    if resolve_tracking_uri(tracking_uri) != mlflow.get_tracking_uri():
        return None
    active = mlflow.active_run()
    return active.info.run_id if active else None
