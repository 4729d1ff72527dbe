"""Runs in processes of their own, timed to the very end of the process, without its imports.

Run as a program it imports everything once, and then forks a process for each case that it is
given; that one ends as any Python program does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

__all__ = ["Case", "Runner", "Timed", "runner"]

_ROOT = Path(__file__).parent.parent.parent
_LONGEST = 120.0


@dataclass(frozen=True)
class Case:
    """What a process does.

    Attributes:
        folder: Where it works; the log is ``log.jsonl`` in it.
        home: The state folder.
        store: The tracking URI; None for runs without MLflow.
        times: How many runs, one after the other.
        events: A log whose events are played instead of doing a run.
        gate: Wait for this file before the last event is played.
        timeout: Seconds to wait for MLflow at the end of a run.
    """

    folder: str
    home: str
    store: str | None = None
    times: int = 1
    events: str | None = None
    gate: str | None = None
    timeout: float = 10.0


@dataclass(frozen=True)
class Timed:
    """How it went.

    Attributes:
        seconds: What each run took its caller.
        exit: Seconds from the return of the last run to the end of the process.
        warnings: All of ours.
        answers: What each run answered.
    """

    seconds: list[float]
    exit: float
    warnings: list[str]
    answers: list[str] = field(default_factory=list)

    @property
    def in_all(self) -> float:
        """Seconds for all runs and the end of the process."""
        return sum(self.seconds) + self.exit


class Runner:
    """Does one case after the other."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, case: Case) -> Timed:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(case)) + "\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline())
        assert told.pop("status") == 0, told
        return Timed(**told)


@contextmanager
def runner() -> Iterator[Runner]:
    """Start the program that does cases."""
    env = {**os.environ, "PYTHONPATH": str(_ROOT), "RLM_RUNTIME_RAISE": "0"}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.timed_runs"],
        cwd=_ROOT,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Runner(process)
        assert process.stdin is not None
        process.stdin.close()


def _main() -> None:
    import tests.support.preloaded  # noqa: F401

    for line in sys.stdin:
        case = Case(**json.loads(line))
        report = Path(case.folder) / "report.json"
        child = os.fork()
        if child == 0:
            _work(case, report)
            # Leave the loop, and end as a program does that came to its end.
            break
        _, status = os.waitpid(child, 0)
        ended = time.monotonic()
        told = json.loads(report.read_text()) if report.exists() else {"returned": ended}
        told["exit"] = ended - told.pop("returned")
        print(json.dumps({**told, "status": status}), flush=True)


def _work(case: Case, report: Path) -> None:
    # What the parent reads and writes is not for this process.
    sys.stdin.detach()
    sys.stdout = sys.stderr
    os.chdir(case.folder)
    os.environ["RLM_RUNTIME_HOME"] = case.home
    seconds, answers = [], []
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(case.times):
            started = time.monotonic()
            answers.append(_play(case) if case.events else _ask(case))
            seconds.append(time.monotonic() - started)
    ours = [str(one.message) for one in told if one.category.__name__ == "TrackingWarning"]
    facts = {"seconds": seconds, "answers": answers, "warnings": ours}
    report.write_text(json.dumps({**facts, "returned": time.monotonic()}))


def _ask(case: Case) -> str:
    from rlm_runtime import run_dspy_rlm

    return run_dspy_rlm(
        "What is Activity?",
        _ROOT / "ontology" / "prov.ttl",
        model="offline",
        log_path=Path(case.folder, "log.jsonl"),
        enable_mlflow=case.store is not None,
        mlflow_experiment="away",
        mlflow_tracking_uri=case.store,
        mlflow_timeout=case.timeout,
    ).answer


def _play(case: Case) -> str:
    from rlm_runtime.logging.jsonl import LogReader
    from rlm_runtime.logging.mlflow_sink import MlflowSink

    sink = MlflowSink("away", tracking_uri=case.store, timeout=case.timeout)
    *events, last = LogReader(case.events or "")
    for event in events:
        sink.emit(event)
    if case.gate is not None:
        _wait_for(Path(case.gate))
    sink.emit(last)
    sink.close()
    return "delivered" if sink.delivered else "not delivered"


def _wait_for(file: Path) -> None:
    deadline = time.monotonic() + _LONGEST
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} did not come"
        time.sleep(0.01)


if __name__ == "__main__":
    _main()
