"""What a process does that is to be killed: runs that tell each event that they emit."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from rlm_runtime import run_dspy_rlm
from rlm_runtime.logging.events import Event
from rlm_runtime.logging.spool import spool_folder
from tests.support.lms import ScriptedLM

__all__ = ["RETURNED", "run_and_signal", "run_and_wait"]

RETURNED = "returned"
_PROV = Path(__file__).parent.parent.parent / "ontology" / "prov.ttl"
_TOUCHING = ("open", "os.mkdir", "os.remove", "os.rmdir", "os.rename", "shutil.rmtree")


class _Reporter:
    """A sink that tells the number and name of each event, before any other sink has it."""

    def __init__(self, reports: Connection) -> None:
        self._reports = reports

    def emit(self, event: Event) -> None:
        self._reports.send((event["seq"], event["event"]))

    def close(self) -> None:
        return


def run_and_wait(
    reports: Connection, run_id: str, log: Path, store: str, crash_at: int | None
) -> None:
    """Do one run, and then nothing until the end comes.

    Args:
        reports: Takes ``(seq, name)`` of each event, and ``RETURNED`` after the run.
        run_id: The run's id.
        log: Its log.
        store: The MLflow store.
        crash_at: Kill the process before so many operations on files in the spool; None never.
    """
    if crash_at is not None:
        _crash_at(crash_at)
    run_dspy_rlm(
        f"What is Activity? ({run_id})",
        _PROV,
        model="offline",
        run_id=run_id,
        log_path=log,
        sinks=[_Reporter(reports)],
        enable_mlflow=True,
        mlflow_experiment="killed",
        mlflow_tracking_uri=store,
        mlflow_timeout=120,
    )
    reports.send(RETURNED)
    signal.pause()


def run_and_signal(reports: Connection, run_id: str, store: str, number: signal.Signals) -> None:
    """Begin a run whose LM has this process signalled; tell the type and run of what it raises."""

    def reply(_: str) -> str:
        os.kill(os.getpid(), number)
        signal.pause()
        return ""

    try:
        run_dspy_rlm(
            "What is Activity?",
            _PROV,
            model=ScriptedLM(reply),
            run_id=run_id,
            enable_mlflow=True,
            mlflow_tracking_uri=store,
            mlflow_timeout=120,
        )
    except BaseException as error:
        reports.send((type(error).__name__, getattr(error, "run_id", None)))


def _crash_at(number: int) -> None:
    spool, count = str(spool_folder()), itertools.count(1)

    def watch(name: str, arguments: tuple[Any, ...]) -> None:
        if name not in _TOUCHING:
            return
        path = os.fspath(arguments[0]) if isinstance(arguments[0], str | os.PathLike) else ""
        # Inside a folder that is removed, names are relative to it.
        if (path.startswith(spool) or "/" not in path) and next(count) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
