"""Between the start and the end of a run, nothing of MLflow runs on the caller's thread."""

from __future__ import annotations

import asyncio
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import dspy
import mlflow
import pytest

from rlm_runtime import arun_dspy_rlm, observe, run_dspy_rlm
from rlm_runtime.errors import TrackingWarning
from rlm_runtime.logging.events import Event
from tests.support.lms import ScriptedLM, fields

PROV = Path(__file__).parent.parent / "ontology" / "prov.ttl"
MLFLOW = str(Path(mlflow.__file__).parent)


class Watch:
    """A sink that from the first event on notes what MLflow does on the thread of the run."""

    def __init__(self) -> None:
        self.entered: list[str] = []
        self.events: list[str] = []

    def emit(self, event: Event) -> None:
        if event["event"] == "run_start":
            sys.setprofile(self._note)
        self.events.append(event["event"])

    def close(self) -> None:
        # Other sinks wait for MLflow after this.
        self.events.append("closed")

    def _note(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(MLFLOW):
            self.entered.append(f"{frame.f_code.co_filename}:{frame.f_code.co_name}")


@contextmanager
def watching() -> Iterator[Watch]:
    """Watch from the start of a run until the block ends, when the caller has its result."""
    watch = Watch()
    try:
        yield watch
    finally:
        sys.setprofile(None)


def offline(**options: Any) -> Any:
    return run_dspy_rlm("What is Activity?", PROV, model="offline", **options)


def offline_async(**options: Any) -> Any:
    return asyncio.run(arun_dspy_rlm("What is Activity?", PROV, model="offline", **options))


def observed(**options: Any) -> Any:
    with observe("observed", **options) as run, dspy.context(lm=ScriptedLM(fields(answer="yes"))):
        dspy.Predict("question -> answer")(question="?")
    return run


def observed_async(**options: Any) -> Any:
    async def work() -> Any:
        async with observe("observed", **options) as run:
            with dspy.context(lm=ScriptedLM(fields(answer="yes"))):
                await dspy.Predict("question -> answer").acall(question="?")
        return run

    return asyncio.run(work())


WAYS = [offline, offline_async, observed, observed_async]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_healthy_run_leaves_mlflow_to_its_worker(way: Callable[..., Any], sqlite_store):
    with watching() as watch:
        run = way(
            sinks=[watch], enable_mlflow=True, mlflow_tracking_uri=sqlite_store, mlflow_timeout=60
        )
    assert (watch.events[0], *watch.events[-2:]) == ("run_start", "run_end", "closed")
    assert run.trace_id is not None
    assert watch.entered == []


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_run_whose_server_is_away_does_so_too(way: Callable[..., Any], free_port, swallowing):
    uri = f"http://127.0.0.1:{free_port}"
    with watching() as watch, warnings.catch_warnings():
        warnings.simplefilter("ignore", TrackingWarning)
        run = way(sinks=[watch], enable_mlflow=True, mlflow_tracking_uri=uri)
    assert watch.events[-1] == "closed"
    assert run.mlflow_run_id is None
    assert watch.entered == []


def test_a_call_of_mlflow_on_the_thread_of_the_run_would_be_seen():
    class Intruder:
        def emit(self, event: Event) -> None:
            if event["event"] == "run_end":
                mlflow.active_run()

        def close(self) -> None:
            mlflow.get_tracking_uri()

    with watching() as watch:
        observed(sinks=[watch, Intruder()])
    names = [name.rpartition(":")[2] for name in watch.entered]
    assert {"active_run", "get_tracking_uri"} <= set(names)
