"""A run that is killed, at any moment, loses nothing that it recorded, and ends honestly."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient

from rlm_runtime import sync
from rlm_runtime.logging.events import Event
from rlm_runtime.logging.jsonl import LogReader
from rlm_runtime.logging.mlflow_delivery import Delivery
from rlm_runtime.logging.mlflow_destination import Destination
from rlm_runtime.logging.spool import spool_folder
from rlm_runtime.logging.tally import Tally
from rlm_runtime.logging.trace_tree import timestamp_ns
from tests.support.chat_server import chat_server
from tests.support.events import ACTION, Stream, error
from tests.support.forks import exit_code, forked, pipe, preload
from tests.support.victim import RETURNED, run_and_signal, run_and_wait
from tests.test_cli_ask import start
from tests.test_spool import comparable

KILLS = 200
LOGS = 16
LONGEST = 120.0
"""Seconds for what takes a fraction of one."""


@dataclass(frozen=True)
class Moment:
    """When to kill: so long after an event, after the start, or after the return of the run."""

    after: int | str | None
    delay: float = 0.0
    crash_at: int | None = None


@dataclass
class Victim:
    """A run that was killed: what it had told of itself by then."""

    run_id: str
    log: Path
    moment: Moment
    told: list[Any] = field(default_factory=list)

    @property
    def emitted(self) -> int:
        """How many events had surely gone through all sinks."""
        events = [item for item in self.told if item != RETURNED]
        return len(events) if RETURNED in self.told else max(0, len(events) - 1)


def moments(count: int) -> list[Moment]:
    """Give moments at random, the same in each session; some of every kind."""
    chance = random.Random(3)
    kinds = [
        # Before and while the run begins.
        lambda: Moment(None, chance.uniform(0, 0.3)),
        # While MLflow makes the run, and in the middle of it.
        lambda: Moment(0, chance.uniform(0, 0.2)),
        lambda: Moment(chance.randrange(1, 30), chance.uniform(0, 0.02)),
        lambda: Moment(chance.randrange(1, 30), chance.uniform(0, 0.02)),
        # While it is delivered, and afterwards.
        lambda: Moment("run_end", chance.uniform(0, 0.12)),
        lambda: Moment(RETURNED, chance.uniform(0, 0.05)),
        # Between any two operations on the spool.
        lambda: Moment(RETURNED, crash_at=chance.randrange(1, 24)),
        lambda: Moment(RETURNED, crash_at=chance.randrange(1, 24)),
    ]
    return [kinds[number % len(kinds)]() for number in range(count)]


def kill(victim: Victim, store: str) -> None:
    """Let a run begin in a process of its own, and kill that at the moment."""
    moment = victim.moment
    reader, writer = pipe()
    process = forked(
        run_and_wait,
        writer,
        victim.run_id,
        victim.log,
        store,
        moment.crash_at,
        folder=victim.log.parent,
        env={"RLM_RUNTIME_HOME": os.environ["RLM_RUNTIME_HOME"]},
    )
    writer.close()
    with contextlib.suppress(EOFError):
        while moment.after is not None:
            assert reader.poll(LONGEST), f"{victim} hangs"
            victim.told.append(reader.recv())
            if victim.told[-1] == RETURNED or moment.after in victim.told[-1]:
                break
        time.sleep(moment.delay)
    process.kill()
    assert exit_code(process, LONGEST) == -signal.SIGKILL
    with contextlib.suppress(EOFError):
        while True:
            victim.told.append(reader.recv())


def test_a_process_killed_at_any_moment_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    monkeypatch.chdir(tmp_path)
    preload()
    store = f"sqlite:///{tmp_path}/mlflow.db"
    victims = [
        Victim(f"victim-{number:03}", tmp_path / f"log-{number % LOGS}.jsonl", moment)
        for number, moment in enumerate(moments(KILLS))
    ]
    # Two at once: one is killed while another writes to the same log, store and spool.
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda victim: kill(victim, store), victims))

    logged: dict[str, list[Event]] = {}
    for log in tmp_path.glob("log-*.jsonl"):
        reader = LogReader(log)
        for event in reader:
            logged.setdefault(event["run_id"], []).append(event)
        assert len(reader.torn) <= sum(victim.log == log for victim in victims)
    for victim in victims:
        events = logged.get(victim.run_id, [])
        assert [event["seq"] for event in events] == list(range(len(events)))
        assert len(events) >= victim.emitted

    results = sync()
    assert {run.state for run in results} <= {"delivered"}, results
    assert list(spool_folder().iterdir()) == []
    assert sync() == []

    client = MlflowClient(store)
    experiment_id = client.get_experiment_by_name("killed").experiment_id
    runs = Counter()
    by_id = {}
    for run in client.search_runs([experiment_id], max_results=1000):
        runs[run.data.tags["rlm.run_id"]] += 1
        by_id[run.data.tags["rlm.run_id"]] = run
    assert set(runs.values()) == {1}
    statuses = Counter()
    for victim in victims:
        events = logged.get(victim.run_id, [])
        if victim.run_id not in by_id:
            assert victim.emitted == 0, victim
            continue
        run = by_id[victim.run_id]
        statuses[run.info.status] += 1
        # The log has each event before the spool has it.
        check_run(client, run, events, max(victim.emitted, len(events) - 1), tmp_path)
    assert set(statuses) == {"FINISHED", "KILLED"}
    assert sum(statuses.values()) > KILLS / 2


def check_run(
    client: MlflowClient, run: Any, events: list[Event], at_least: int, folder: Path
) -> None:
    """Assert that MLflow tells of a run what its log tells, or at least so many events of it."""
    destination = folder / run.info.run_id
    destination.mkdir(exist_ok=True)
    path = client.download_artifacts(
        run.info.run_id, "trajectory/trajectory.jsonl", str(destination)
    )
    kept = list(LogReader(path))
    assert kept == events[: len(kept)]
    assert len(kept) >= at_least
    ended = kept[-1]["event"] == "run_end"
    assert run.info.status == ("FINISHED" if ended else "KILLED")
    assert ("rlm.error_type" in run.data.tags) == (not ended)
    assert run.info.end_time == timestamp_ns(kept[-1]) // 1_000_000

    (trace,) = client.search_traces(
        locations=[run.info.experiment_id],
        filter_string=f"attributes.run_id = '{run.info.run_id}'",
    )
    assert trace.info.state == ("OK" if ended else "ERROR")
    spans = trace.data.spans
    names = Counter(event["event"] for event in kept)
    assert sum(span.span_type == "CHAT_MODEL" for span in spans) == names["lm_start"]
    assert sum(span.name == "python" for span in spans) == names["code_start"]
    tools = [event["name"] for event in kept if event["event"] == "tool_start"]
    assert Counter(span.name for span in spans if span.name in tools) == Counter(tools)
    unfinished = [
        span
        for span in spans
        if any(event.attributes.get("exception.type") == "Unfinished" for event in span.events)
    ]
    assert {span.status.status_code for span in unfinished} <= {"ERROR"}
    assert (spans[0] in unfinished) == (not ended)
    for kind, test in {
        "lm": lambda span: span.span_type == "CHAT_MODEL",
        "code": lambda span: span.name == "python",
        "tool": lambda span: span.name in tools,
    }.items():
        open_ones = names[f"{kind}_start"] - names[f"{kind}_end"]
        assert sum(map(test, unfinished)) == open_ones


@st.composite
def streams(draw: st.DrawFn) -> list[Event]:
    """Give a run of any shape, and all of its events."""
    stream = Stream(f"run-{uuid.uuid4().hex}", query="q", params={"max_iterations": 3})
    open_steps = [stream.root]
    kinds = st.sampled_from(["module", "code", "tool", "lm", "warning", "end", "end"])
    for kind in draw(st.lists(kinds, max_size=25)):
        if kind == "end":
            if len(open_steps) > 1:
                failed = error() if draw(st.booleans()) else None
                stream.end(open_steps.pop(draw(st.integers(1, len(open_steps) - 1))), error=failed)
        elif kind == "warning":
            stream.add("warning", None, open_steps[-1], category="disk", message="full")
        else:
            named = {
                "module": {"name": draw(st.sampled_from(["Predict", "RLM"])), "signature": ACTION},
                "code": {"code": "1"},
                "tool": {"name": "search"},
                "lm": {"messages": [{"role": "user", "content": "hello"}]},
            }
            open_steps.append(stream.start(kind, open_steps[-1], **named[kind]))
    while len(open_steps) > 1:
        stream.end(open_steps.pop())
    tally = Tally()
    for event in stream.events:
        tally.emit(event)
    stream.end(stream.root, metrics={"duration_seconds": 60.0, **tally.metrics()})
    return stream.events


def summary(run: Any, store: str, folder: Path) -> dict[str, Any]:
    """Give all of a run, with the latest of each metric."""
    return {**comparable(run, store, folder), "metrics": run.data.metrics}


def test_a_run_cut_anywhere_is_a_run_and_becomes_whole(sqlite_store, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    other_store = f"sqlite:///{shutil.copyfile('mlflow.db', tmp_path / 'other.db')}"
    client = MlflowClient(sqlite_store)

    def deliver(events: list[Event], store: str) -> Any:
        delivery = Delivery(Destination(store))
        delivery.finish(events)
        return MlflowClient(store).get_run(delivery.mlflow_run_id)

    @given(st.data())
    @settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
    def holds(data: st.DataObject) -> None:
        events = data.draw(streams())
        part = deliver(events[: data.draw(st.integers(1, len(events)))], sqlite_store)
        check_run(client, part, events, 1, tmp_path)
        again = deliver(events, sqlite_store)
        assert again.info.run_id == part.info.run_id
        check_run(client, again, events, len(events), tmp_path)
        at_once = deliver(events, other_store)
        assert summary(again, sqlite_store, tmp_path / "again" / again.info.run_id) == summary(
            at_once, other_store, tmp_path / "at once" / at_once.info.run_id
        )

    holds()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_command_leaves_a_killed_run(sqlite_store, tmp_path, number, code):
    with chat_server(None) as server:
        child = start(server, "--tracking-uri", sqlite_store, "--experiment", "stopped")
        assert server.asked.wait(LONGEST)
        child.send_signal(number)
        _, errors = child.communicate(timeout=LONGEST)
    assert child.returncode == code, errors
    client = MlflowClient(sqlite_store)
    (run,) = client.search_runs([client.get_experiment_by_name("stopped").experiment_id])
    assert run.info.status == "KILLED"
    assert run.data.tags["rlm.error_type"] == {130: "KeyboardInterrupt", 143: "SystemExit"}[code]
    assert run.data.metrics["lm_calls"] == 1
    (trace,) = client.search_traces(locations=[run.info.experiment_id])
    assert trace.info.state == "ERROR"
    assert list(spool_folder().iterdir()) == []


@pytest.mark.parametrize(
    ("number", "code", "told"),
    [(signal.SIGINT, 0, ["KeyboardInterrupt"]), (signal.SIGTERM, -15, [])],
)
def test_a_signal_in_a_library_run_is_left_to_its_program(
    sqlite_store, tmp_path, number, code, told
):
    preload()
    reader, writer = pipe()
    home = {"RLM_RUNTIME_HOME": os.environ["RLM_RUNTIME_HOME"]}
    process = forked(
        run_and_signal, writer, "stopped", sqlite_store, number, folder=tmp_path, env=home
    )
    writer.close()
    heard = []
    with contextlib.suppress(EOFError):
        while reader.poll(LONGEST):
            heard.append(reader.recv())
    assert (exit_code(process, LONGEST), heard) == (code, [(name, "stopped") for name in told])
    # Nobody was there to record the end of what SIGTERM ended.
    assert [run.status for run in sync()] == ([] if told else ["KILLED"])
    client = MlflowClient(sqlite_store)
    (run,) = client.search_runs(["0"])
    assert run.info.status == "KILLED"
    assert run.data.tags["rlm.error_type"] == (told or ["Unfinished"])[0]
