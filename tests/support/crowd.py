"""What the processes of a crowd do."""

from __future__ import annotations

from rlm_runtime import sync
from rlm_runtime.logging.mlflow_sink import MlflowSink
from tests.support.events import play, rlm_run

__all__ = ["deliver_one", "sync_all"]


def deliver_one(run_id: str, store: str) -> tuple[str | None, str | None]:
    """Deliver a run; give its ids in MLflow."""
    sink = MlflowSink("fresh", tracking_uri=store, timeout=240)
    play(rlm_run(run_id, query=run_id), sink)
    return sink.mlflow_run_id, sink.trace_id


def sync_all() -> list[tuple[str | None, str]]:
    """Deliver the backlog; give what became of each run."""
    return [(run.run_id, run.state) for run in sync()]
