"""Runs with a store of memories: what they are shown, what they leave, what the records tell."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import mlflow
import pytest

from rlm_runtime import (
    ConfigurationError,
    MemoryStoreError,
    RunResult,
    TrackingWarning,
    run_dspy_rlm,
)
from rlm_runtime.engine import remembering
from rlm_runtime.logging.jsonl import LogReader
from rlm_runtime.memory import Memory, SQLiteMemoryBackend
from tests.support.collect import check_events
from tests.support.lms import ScriptedLM, cell, fields
from tests.support.memory_soundness import assert_sound

ROOT = Path(__file__).parent.parent
PROV = ROOT / "ontology" / "prov.ttl"
QUESTION = "What are the subclasses of Agent?"
PATIENT = 120.0
SUBMIT = cell(
    "SUBMIT(answer='Person and others.', sparql='SELECT ?c { ?c rdfs:subClassOf prov:Agent }', "
    "evidence=['prov:Agent'])"
)
VERDICT = fields(reason="The rows bear it out.", success="True", confidence="0.9")
LESSON = {
    "title": "Look below a class",
    "description": "subclasses of a class",
    "content": "Ask for rdfs:subClassOf with the class as object.",
    "tags": ["subclass"],
}
LESSONS = fields(lessons=json.dumps([LESSON]))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


def ask(path: Path | SQLiteMemoryBackend, *replies: Any, **options: Any) -> RunResult:
    options = {"model": ScriptedLM(*replies) if replies else "offline", **options}
    return run_dspy_rlm(QUESTION, PROV, memory_backend=path, **options)


def events_of(log: Path) -> list[dict[str, Any]]:
    events = list(LogReader(log))
    check_events(events)
    return events


def test_what_one_run_learns_the_next_one_is_shown(path: Path, tmp_path: Path) -> None:
    store = {
        "enable_mlflow": True,
        "mlflow_experiment": "memory",
        "mlflow_tracking_uri": f"sqlite:///{tmp_path / 'mlflow.db'}",
        "mlflow_timeout": PATIENT,
    }
    first = ask(path, extract_memories=True, **store)
    second = run_dspy_rlm(
        "What are the subclasses of Entity?", PROV, model="offline", memory_backend=path, **store
    )
    client = mlflow.MlflowClient(store["mlflow_tracking_uri"])
    learned, used = (client.get_run(str(one.mlflow_run_id)).data for one in (first, second))
    assert learned.params["has_memory"] == "True"
    assert learned.metrics["memories_retrieved"] == 0
    assert learned.metrics["memories_extracted"] >= 1
    assert learned.metrics["judgment_success"] == 1
    assert used.metrics["memories_retrieved"] >= 1
    assert "judgment_success" not in used.metrics

    with SQLiteMemoryBackend(path) as backend:
        stats = backend.get_stats()
        given = backend.get_usage_for_trajectory(second.run_id)
    assert (stats.runs, stats.trajectories, stats.judgments, stats.succeeded) == (2, 2, 1, 1)
    assert stats.memories == learned.metrics["memories_extracted"]
    assert len(given) == used.metrics["memories_retrieved"] == stats.usages
    assert_sound(path)

    spans = client.get_trace(str(second.trace_id)).data.spans
    (retrieval,) = [span for span in spans if span.span_type == "RETRIEVER"]
    (root,) = [span for span in spans if span.parent_id is None]
    assert retrieval.parent_id == root.span_id
    assert [one["id"] for one in retrieval.outputs] == [one.memory_id for one in given]
    names = {span.name for span in client.get_trace(str(first.trace_id)).data.spans}
    assert {"memory_judgment", "memory_extraction", "memory_storage"} <= names


def test_the_model_reads_memories_after_the_overview_and_the_log_tells(
    path: Path, tmp_path: Path
) -> None:
    with SQLiteMemoryBackend(path) as backend:
        known = backend.add_memory(Memory("Subclasses", "Look below the class.", ontology="prov"))
        backend.add_memory(Memory("Subclasses", "Of another ontology.", ontology="skos"))
    lm = ScriptedLM(SUBMIT)
    log = tmp_path / "run.jsonl"
    ask(path, model=lm, log_path=log)
    assert "Look below the class." in lm.prompts[0]
    assert "Of another ontology." not in lm.prompts[0]
    (used,) = [event for event in events_of(log) if event["event"] == "memory_usage"]
    assert used["memories"] == [known]


def test_no_memory_is_shown_where_none_is_wanted(path: Path) -> None:
    with SQLiteMemoryBackend(path) as backend:
        backend.add_memory(Memory("Subclasses", "Look below the class."))
        lm = ScriptedLM(SUBMIT)
        ask(backend, model=lm, retrieve_memories=0)
        assert "Look below the class." not in lm.prompts[0]
        # A store that was given open stays open.
        assert backend.get_stats().runs == 1


def test_the_sub_model_judges_and_writes_down_and_its_calls_stand_in_the_log(
    path: Path, tmp_path: Path
) -> None:
    judge = ScriptedLM(VERDICT, LESSONS, model="judge")
    log = tmp_path / "run.jsonl"
    result = ask(path, SUBMIT, sub_model=judge, extract_memories=True, log_path=log)
    with SQLiteMemoryBackend(path) as backend:
        judgment = backend.get_judgment(result.run_id)
        titles = {memory.title for memory in backend.get_all_memories()}
    assert judgment is not None
    assert (judgment.success, judgment.judge) == (True, "judge")
    assert LESSON["title"] in titles
    assert result.usage.by_model["judge"].calls == 2
    events = events_of(log)
    spans = {event["span_id"]: event for event in events if event["event"].endswith("_start")}
    asked = [event for event in spans.values() if event.get("model") == "judge"]
    above = []
    for event in asked:
        while not event["event"].startswith("memory"):
            event = spans[event["parent_id"]]
        above.append(event["event"])
    assert above == ["memory_judgment_start", "memory_extraction_start"]


@pytest.mark.usefixtures("swallowing")
@pytest.mark.parametrize("failing", [(RuntimeError("no judge"),), (VERDICT, RuntimeError("no"))])
def test_a_judge_that_fails_fails_no_run_and_loses_none(
    path: Path, tmp_path: Path, failing: tuple[Any, ...]
) -> None:
    judge = ScriptedLM(*failing, model="judge")
    log = tmp_path / "run.jsonl"
    with pytest.warns(TrackingWarning, match="learn from the run"):
        result = ask(path, SUBMIT, sub_model=judge, extract_memories=True, log_path=log)
    assert result.converged
    with SQLiteMemoryBackend(path) as backend:
        kept = backend.get_trajectory(result.run_id)
    assert kept is not None
    assert kept.answer == "Person and others."
    *_, warning, end = events_of(log)
    assert (warning["event"], warning["category"]) == ("warning", "memory")
    assert end["status"] == "FINISHED"
    assert end["metrics"].get("judgment_success") == (1.0 if len(failing) == 2 else None)


@pytest.mark.usefixtures("swallowing")
@pytest.mark.parametrize(
    ("constant", "replies", "options"),
    [
        ("_PATIENCE", [], {}),
        ("_PATIENCE", [VERDICT], {}),
        # Nothing is left of the run's own time, which ends it before its first turn.
        ("_GRACE", [], {"timeout": 1e-6}),
    ],
    ids=["judging", "writing", "time is over"],
)
def test_a_judge_that_hangs_holds_up_no_run(
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    constant: str,
    replies: list[str],
    options: dict[str, Any],
) -> None:
    monkeypatch.setattr(remembering, constant, 2.0)
    let_go = threading.Event()

    def hang(_prompt: str) -> str:
        let_go.wait(PATIENT)
        return VERDICT

    judge = ScriptedLM(*replies, hang, model="judge")
    log = tmp_path / "run.jsonl"
    try:
        with pytest.warns(TrackingWarning, match="TimeoutError: the model that judges"):
            result = ask(
                path, SUBMIT, sub_model=judge, extract_memories=True, log_path=log, **options
            )
    finally:
        let_go.set()
    assert len(judge.prompts) == len(replies) + 1
    assert result.converged is not bool(options)
    with SQLiteMemoryBackend(path) as backend:
        stats = backend.get_stats()
    assert (stats.trajectories, stats.judgments, stats.memories) == (1, len(replies), 0)
    *_, step, warning, end = LogReader(log)
    assert step["event"] == ("memory_extraction_end" if replies else "memory_judgment_end")
    assert step["error"]["type"] == "TimeoutError"
    assert "not done after 2 s" in warning["message"]
    assert end["status"] == "FINISHED"


def test_the_judge_reads_the_overview_without_secrets_and_the_writer_what_was_shown(
    path: Path,
) -> None:
    secret = "sk-proj-" + "a1B2c3D4e5" * 4
    with SQLiteMemoryBackend(path) as backend:
        shown = backend.add_memory(Memory("Subclasses", "Look below the class."))

    def forgetting(_prompt: str) -> str:
        with SQLiteMemoryBackend(path) as backend:
            backend.delete_memories([shown])
        return SUBMIT

    judge = ScriptedLM(VERDICT, LESSONS, model="judge")
    ask(
        path,
        forgetting,
        sub_model=judge,
        extract_memories=True,
        sense_card=f"Agent has three subclasses. {secret}",
    )
    judging, writing = judge.prompts
    for prompt in judge.prompts:
        assert "Agent has three subclasses." in prompt
        assert secret not in prompt
        # What the agent was told to give, in the words in which it was told.
        assert "one read-only query whose rows are the answer" in prompt
    assert "1. Subclasses\n> Look below the class." in writing
    # Nothing was printed: these are the rows of the query that was submitted.
    (rows,) = re.findall(r"\]\]\nc:iri\n((?:prov:\w+\n)+)\((\d+) rows\)", judging)
    assert "prov:Person" in rows[0]
    assert rows[0].count("\n") == int(rows[1])


@pytest.mark.usefixtures("swallowing")
def test_a_store_that_breaks_during_a_run_costs_no_answer(path: Path) -> None:
    def breaking(_prompt: str) -> str:
        with sqlite3.connect(path) as db:
            db.execute("DROP TABLE trajectories")
        return SUBMIT

    with pytest.warns(TrackingWarning, match="keep the run"):
        assert ask(path, breaking).converged


def test_what_cannot_work_is_said_before_anything_is_spent(path: Path) -> None:
    lm = ScriptedLM(SUBMIT)
    with pytest.raises(ConfigurationError, match="memory_backend="):
        run_dspy_rlm(QUESTION, PROV, model=lm, extract_memories=True)
    with pytest.raises(ConfigurationError, match="retrieve_memories"):
        ask(path, model=lm, retrieve_memories=-1)
    with pytest.raises(ConfigurationError, match="int"):
        ask(7, model=lm)  # pyright: ignore[reportArgumentType]
    path.write_text("This is no database. " * 100)
    with pytest.raises(MemoryStoreError, match=r"memory\.db"):
        ask(path, model=lm)
    assert not lm.prompts


def test_secrets_do_not_reach_the_store(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "sk-proj-" + "a1B2c3D4e5" * 4
    monkeypatch.setenv("SERVICE_PASSWORD", "correct-horse-battery")
    code = (
        f"print('{secret}')\nSUBMIT(answer='{secret} correct-horse-battery', "
        f"sparql='ASK {{ ?s ?p \"{secret}\" }}', evidence=['http://e/{secret}'])"
    )
    lm = ScriptedLM(cell(code), VERDICT, fields(lessons=json.dumps([LESSON | {"content": secret}])))
    run_dspy_rlm(f"What is {secret}?", PROV, model=lm, memory_backend=path, extract_memories=True)
    for prompt in lm.prompts[1:]:
        assert secret not in prompt
    stored = b"".join(file.read_bytes() for file in path.parent.glob("memory.db*"))
    assert b"[redacted]" in stored
    assert secret.encode() not in stored
    assert b"correct-horse-battery" not in stored


_KILLED = """
import os, signal, sys
from rlm_runtime import run_dspy_rlm
from tests.support.lms import ScriptedLM
from tests.test_memory_runs import LESSONS, PROV, QUESTION, SUBMIT, VERDICT

def die(prompt):
    os.kill(os.getpid(), signal.SIGKILL)

replies = [SUBMIT, VERDICT, LESSONS]
replies[int(sys.argv[2])] = die
run_dspy_rlm(
    QUESTION, PROV, model=ScriptedLM(*replies), memory_backend=sys.argv[1],
    extract_memories=True, run_id="killed",
)
"""


@pytest.mark.parametrize(("call", "kept"), [(0, (0, 0)), (1, (1, 0)), (2, (1, 1))])
def test_a_process_killed_while_it_learns_leaves_what_it_had_and_a_sound_store(
    path: Path, call: int, kept: tuple[int, int]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, str(path), str(call)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    with SQLiteMemoryBackend(path) as backend:
        stats = backend.get_stats()
    assert (stats.trajectories, stats.judgments) == kept
    assert_sound(path)
    # The same run again ends what was begun; what was judged is not judged again.
    judging = [] if kept[1] else [VERDICT]
    ask(path, SUBMIT, *judging, LESSONS, extract_memories=True, run_id="killed")
    with SQLiteMemoryBackend(path) as backend:
        assert backend.get_stats().runs == 1
        assert backend.get_stats().memories >= 1
    assert_sound(path)
