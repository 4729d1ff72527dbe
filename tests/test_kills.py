"""A run that is killed, at any moment, loses nothing that it recorded, and ends honestly."""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from rlm_runtime import sync
from rlm_runtime.logging.events import Event
from rlm_runtime.logging.jsonl import LogReader
from rlm_runtime.logging.spool import spool_folder
from rlm_runtime.logging.trace_tree import timestamp_ns
from tests.support.forks import forked, pipe, preload
from tests.support.victim import RETURNED, run_and_wait

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
    process.join(LONGEST)
    assert process.exitcode == -9
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
        check_run(client, run, events, victim, tmp_path)
    assert set(statuses) == {"FINISHED", "KILLED"}
    assert sum(statuses.values()) > KILLS / 2
    print(statuses, Counter(run.state for run in results))


def check_run(
    client: MlflowClient, run: Any, events: list[Event], victim: Victim, folder: Path
) -> None:
    """Assert that MLflow tells of a run what its log tells, but perhaps for the very last event."""
    destination = folder / victim.run_id
    destination.mkdir()
    path = client.download_artifacts(
        run.info.run_id, "trajectory/trajectory.jsonl", str(destination)
    )
    kept = list(LogReader(path))
    assert kept == events[: len(kept)]
    assert len(kept) >= max(victim.emitted, len(events) - 1)
    ended = kept[-1]["event"] == "run_end"
    assert run.info.status == ("FINISHED" if ended else "KILLED"), victim
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
