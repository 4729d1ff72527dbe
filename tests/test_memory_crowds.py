"""Many threads and processes share a store of memories, and some of them are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rlm_runtime.memory.protocol import Judgment, Memory, Retrieved, StoredRun, Trajectory
from rlm_runtime.memory.sqlite import SQLiteMemoryBackend
from rlm_runtime.types import Step
from tests.support.memory_soundness import assert_sound

ROOT = Path(__file__).parent.parent
ROUNDS = 15


def learn(store: SQLiteMemoryBackend, worker: str, turn: int) -> None:
    """Do what a run does with a store: retrieve, be kept and judged, add what it taught."""
    shared = Memory(f"Shared {turn}", "Everybody learns this.", tags=(worker,))
    run_id = f"{worker}-{turn}"
    store.add_memory(shared)
    found = {given.memory.memory_id for given in store.retrieve("everybody learns", k=5)}
    assert found
    store.add_run(StoredRun(run_id, "What?", "prov", trajectory_id=worker))
    store.add_run(StoredRun("same", "What?", "prov"))
    store.record_usage(run_id, [Retrieved(shared, 1.0)])
    store.add_trajectory(Trajectory(run_id, [Step("think", "print(1)", "1")], "x" * 5000))
    store.add_judgment(Judgment(run_id, True))
    store.add_judgment(Judgment("same", True))
    store.add_memory(Memory(f"Own {run_id}", "Only one learns this.", run_id=run_id))


def learn_all(path: str, worker: str) -> None:
    """Be one process of many."""
    print("ready", flush=True)
    sys.stdin.readline()
    with SQLiteMemoryBackend(path) as store:
        for turn in range(ROUNDS):
            learn(store, worker, turn)


def learn_for_ever(path: str, worker: str) -> None:
    """Tell of each run that is kept, until somebody kills this process."""
    with SQLiteMemoryBackend(path) as store:
        for turn in range(100_000):
            learn(store, worker, turn)
            print(turn, flush=True)


def started(doing: Callable[[str, str], None], path: Path, worker: str) -> subprocess.Popen[str]:
    name = doing.__name__
    code = f"import sys; from tests.test_memory_crowds import {name}; {name}(*sys.argv[1:])"
    return subprocess.Popen(
        [sys.executable, "-c", code, str(path), worker],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("one_object", [True, False], ids=["one object", "one each"])
def test_threads_and_processes_add_and_retrieve_at_once(tmp_path: Path, one_object: bool) -> None:
    path = tmp_path / "memories.db"
    processes = [started(learn_all, path, f"process{n}") for n in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    everybody = SQLiteMemoryBackend(path)
    together = threading.Barrier(9)

    def thread(worker: str) -> None:
        store = everybody if one_object else SQLiteMemoryBackend(path)
        together.wait(60)
        for turn in range(ROUNDS):
            learn(store, worker, turn)
        if store is not everybody:
            store.close()

    with ThreadPoolExecutor(8) as pool:
        threads = [pool.submit(thread, f"thread{n}") for n in range(8)]
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        together.wait(60)
        for done in threads:
            done.result(120)
    assert [process.communicate(timeout=120) for process in processes] == [("", "")] * 4

    workers = [f"process{n}" for n in range(4)] + [f"thread{n}" for n in range(8)]
    kept = {memory.title: memory for memory in everybody.get_all_memories()}
    assert set(kept) == {f"Shared {turn}" for turn in range(ROUNDS)} | {
        f"Own {worker}-{turn}" for worker in workers for turn in range(ROUNDS)
    }
    for turn in range(ROUNDS):
        shared = kept[f"Shared {turn}"]
        assert shared.tags == tuple(sorted(workers))
        assert (shared.accessed, shared.succeeded, shared.failed) == (12, 12, 0)
    stats = everybody.get_stats()
    assert stats.runs == stats.judgments == 12 * ROUNDS + 1
    assert (stats.memories, stats.usages) == (13 * ROUNDS, 12 * ROUNDS)
    everybody.close()
    assert_sound(path)


def test_a_process_that_is_killed_while_it_writes_leaves_a_sound_store(tmp_path: Path) -> None:
    path = tmp_path / "memories.db"
    bystander = SQLiteMemoryBackend(path)
    for number in range(12):
        worker = f"victim{number}"
        with started(learn_for_ever, path, worker) as victim:
            assert victim.stdout is not None
            for _ in range(1 + 3 * number):
                assert victim.stdout.readline()
            victim.kill()
            told = 1 + 3 * number + len(victim.stdout.readlines())
        assert victim.returncode == -signal.SIGKILL
        for turn in range(told):
            assert bystander.get_trajectory(f"{worker}-{turn}")
            assert bystander.get_judgment(f"{worker}-{turn}")
        titles = [memory.title for memory in bystander.get_all_memories()]
        # The last one may have been kept and not told of any more.
        assert sum(title.startswith(f"Own {worker}-") for title in titles) - told in (0, 1)
        assert_sound(path)
    bystander.close()
    with SQLiteMemoryBackend(path) as store:
        learn(store, "survivor", 0)
    assert_sound(path)


def test_a_process_that_is_killed_at_any_statement_leaves_a_sound_store(tmp_path: Path) -> None:
    path = tmp_path / "memories.db"
    point = 0
    while True:
        victim = os.fork()
        if victim == 0:
            _learn_until(path, f"victim{point}", point)
        _, status = os.waitpid(victim, 0)
        assert_sound(path)
        if not os.WIFSIGNALED(status):
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
        point += 1
    assert status == 0
    assert point > 40
    with SQLiteMemoryBackend(path) as store:
        assert store.get_trajectory(f"victim{point}-0")


def test_forks_in_the_middle_of_writing_share_the_store(tmp_path: Path) -> None:
    path = tmp_path / "memories.db"
    enough = threading.Event()
    with SQLiteMemoryBackend(path) as store, SQLiteMemoryBackend(path) as another:

        def write(mine: SQLiteMemoryBackend, worker: str) -> int:
            turn = 0
            while not enough.is_set():
                learn(mine, worker, turn)
                turn += 1
            return turn

        with ThreadPoolExecutor(2) as pool:
            turns = [pool.submit(write, store, "one"), pool.submit(write, another, "two")]
            children = [_forked(store, f"child{n}") for n in range(20)]
            ends = [os.waitpid(child, 0)[1] for child in children]
            enough.set()
            own = sum(turn.result(60) for turn in turns)
        assert ends == [0] * 20
        assert store.get_stats().runs == own + 20 * 3 + 1
    assert_sound(path)


def _forked(store: SQLiteMemoryBackend, worker: str) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        for turn in range(3):
            learn(store, worker, turn)
        store.close()
        code = 0
    finally:
        os._exit(code)


def _learn_until(path: Path, worker: str, point: int) -> None:
    """Kill this process before the statement of that number, or leave it after the last one."""
    code = 1
    try:
        store = SQLiteMemoryBackend(path)
        passed = 0

        def count(statement: str) -> None:
            nonlocal passed
            passed += 1
            if passed > point:
                os.kill(os.getpid(), signal.SIGKILL)

        with store._database.reading("count its statements") as db:
            pass
        db.set_trace_callback(count)
        learn(store, worker, 0)
        code = 0
    finally:
        os._exit(code)
