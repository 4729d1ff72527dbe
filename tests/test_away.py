"""Servers that are away or die: nobody waits long, nothing is lost, and all arrives later, once."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from rlm_runtime import sync
from rlm_runtime.logging.jsonl import JsonlSink, LogReader
from rlm_runtime.logging.spool import spool_folder, spooled_runs
from tests.support.events import play, rlm_run
from tests.support.mlflow_server import start_server, stop_server
from tests.support.networks import AWAY, killer
from tests.support.timed_runs import Case, Runner, Timed, runner
from tests.test_spool import comparable, run_of

TIMEOUT = 4.0
ALLOWED = 1.0
"""Seconds that observation may add beyond its bound: named by what the product promises."""


@pytest.fixture(scope="module")
def _runner() -> Iterator[Runner]:
    with runner() as started:
        yield started


@pytest.fixture
def run(_runner: Runner, tmp_path: Path) -> Callable[..., Timed]:
    """Do a case in a process of its own."""

    def do(store: str | None = None, folder: Path = tmp_path, **options: Any) -> Timed:
        folder.mkdir(exist_ok=True)
        home = os.environ["RLM_RUNTIME_HOME"]
        return _runner(Case(str(folder), home, store, **{"timeout": TIMEOUT, **options}))

    return do


def least(seconds: Callable[[], float]) -> float:
    """Measure until it is within what is allowed, at most three times; give the least.

    A busy machine makes all take longer, and nothing take less; what hangs does so each time.
    """
    found = math.inf
    for _ in range(3):
        found = min(found, seconds())
        if found < ALLOWED:
            break
    return found


def is_told_once(timed: Timed, store: str) -> None:
    (message,) = timed.warnings
    assert store in message
    assert str(spool_folder()) in message
    assert "rlm-runtime mlflow sync" in message


def is_complete(timed: Timed, log: Path, runs: int) -> None:
    assert all("something that goes on" in answer.lower() for answer in timed.answers)
    events = list(LogReader(log))
    assert [event["event"] for event in events].count("run_end") == runs
    assert sorted(events, key=str) == sorted(
        (event for waiting in spooled_runs() for event in waiting.events()), key=str
    )


def test_a_server_that_refuses_costs_next_to_nothing(run, tmp_path, free_port):
    uri = f"http://127.0.0.1:{free_port}"
    is_told_once(run(uri), uri)
    assert len(spooled_runs()) == 1
    assert least(lambda: run(uri).in_all - run().in_all) < ALLOWED


@pytest.mark.parametrize("kind", AWAY)
def test_a_server_that_keeps_silent_costs_its_timeout_once(run, tmp_path, kind):
    bare = run(times=5)
    with AWAY[kind]() as uri:
        away = run(uri, tmp_path / "away", times=5)
        is_told_once(away, uri)
        is_complete(away, tmp_path / "away" / "log.jsonl", 5)
        # It is not asked again for a while.
        assert sum(away.seconds) - sum(bare.seconds) < 2 * TIMEOUT

        def beyond_the_timeout() -> float:
            timed = run(uri, tmp_path / "again")
            return max(timed.seconds[0] - TIMEOUT - bare.seconds[0], timed.exit - bare.exit)

        assert least(beyond_the_timeout) < ALLOWED


def sync_by_command(*options: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "rlm_runtime.cli", "mlflow", "sync", "--json", *options],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Server:
    """A server that can be killed, and begun again with all that it had."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._port = folder, port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> int:
        """Start it, and give its process group."""
        self._process, _ = start_server(self._folder, port=self._port)
        return self._process.pid

    def kill(self) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None:
            stop_server(self._process)


@pytest.fixture
def server(tmp_path: Path, free_port: int) -> Iterator[Server]:
    folder = tmp_path / "server"
    folder.mkdir()
    server = Server(folder, free_port)
    yield server
    server.stop()


def log_of(name: str, folder: Path) -> str:
    path = folder / f"{name}.jsonl"
    play(rlm_run(name, query=f"Who is {name}?" * 500, tags={"team": name}), JsonlSink(path))
    return str(path)


def test_what_a_dead_server_missed_arrives_as_if_it_had_lived(
    run, server, free_port, mlflow_server, tmp_path, monkeypatch
):
    """It is killed before the start, in mid-run, and twice during a delivery."""
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    names = ["before", "created", "middle", "traced"]
    logs = {name: log_of(name, tmp_path) for name in names}

    def away(name: str, store: str, **options: Any) -> Timed:
        timed = run(store, events=logs[name], **options)
        assert timed.answers == ["not delivered"]
        # What hangs would do so for minutes.
        assert sum(timed.seconds) < 2 * TIMEOUT
        return timed

    with killer() as way:
        way.target = free_port
        away("before", way.address)

        way.group, way.request = server.start(), b"/mlflow/runs/create"
        # The run is made, but nobody has heard of it.
        is_told_once(away("created", way.address), way.address)
        assert way.killed.is_set()
        server.kill()

        server.start()
        gate = tmp_path / "gate"
        with ThreadPoolExecutor(1) as pool:
            timing = pool.submit(run, way.address, events=logs["middle"], gate=str(gate))
            _wait_until_running(way.address, "middle")
            server.kill()
            gate.touch()
            timed = timing.result()
        assert timed.answers == ["not delivered"]
        is_told_once(timed, way.address)

        way.killed.clear()
        way.group, way.request = server.start(), b"/mlflow/traces"
        away("traced", way.address)
        assert way.killed.is_set()
        server.kill()

        server.start()
        told = sync_by_command()
        assert (told["delivered"], len(told["runs"])) == (len(names), len(names)), told
        assert sync() == []
        late = {
            name: comparable(run_of(way.address, name), way.address, tmp_path / f"late-{name}")
            for name in names
        }
    for name in names:
        healthy = run(mlflow_server, events=logs[name], timeout=120.0)
        assert healthy.answers == ["delivered"]
        found = run_of(mlflow_server, name)
        assert late[name] == comparable(found, mlflow_server, tmp_path / f"healthy-{name}")
    assert list(spool_folder().iterdir()) == []


def _wait_until_running(store: str, name: str) -> None:
    client = MlflowClient(store)
    deadline = threading.Event()
    for _ in range(600):
        experiment = client.get_experiment_by_name("away")
        assert experiment is not None
        runs = client.search_runs([experiment.experiment_id], f"tags.`rlm.run_id` = '{name}'")
        if runs and runs[0].data.params:
            assert runs[0].info.status == "RUNNING"
            return
        deadline.wait(0.1)
    raise AssertionError(f"{name} did not begin")
