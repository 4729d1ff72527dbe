"""What processes of tests.support.forks begin with: everything imported, in one thread."""

from __future__ import annotations

import contextlib
import tempfile
import threading

import pydantic_monty
import pyoxigraph

from rlm_runtime import run_dspy_rlm
from rlm_runtime.logging.mlflow_delivery import Delivery
from rlm_runtime.logging.mlflow_destination import plan_destination
from rlm_runtime.logging.mlflow_sink import MlflowSink
from tests.support.events import rlm_run

__all__ = ["MlflowSink", "pydantic_monty", "pyoxigraph", "run_dspy_rlm"]


def _load() -> None:
    """Deliver a run, because MLflow imports much of itself on its first work only."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        destination = plan_destination(f"sqlite:///{folder}/mlflow.db")
        Delivery(destination).finish(rlm_run("first", query="long" * 2000))
    # A process must not be forked in the middle of another thread's work.
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(timeout=60)
            assert not thread.is_alive(), thread


_load()
