"""Whole runs in MLflow: found by search, seen in their traces, apart under threads."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dspy
import mlflow
import pytest
from mlflow.entities import SpanStatusCode

from rlm_runtime import RunResult, arun_dspy_rlm, observe, open_ontology, run_dspy_rlm
from rlm_runtime.logging.jsonl import LogReader
from tests.support.collect import check_events
from tests.support.lms import ScriptedLM, cell, fields

PROV = Path(__file__).parent.parent / "ontology" / "prov.ttl"
PATIENT = 120.0
"""Seconds to wait for a store; a fresh SQLite schema takes several on a busy machine."""


@pytest.fixture(scope="module")
def prov() -> Iterator[Any]:
    with open_ontology(PROV) as ontology:
        yield ontology


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a fresh store, set as MLflow's own for the module."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        # What set_tracking_uri does, but undone afterwards.
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        patch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", uri)
        yield uri


def ask(ontology: Any, *replies: Any, **options: Any) -> RunResult:
    return run_dspy_rlm(
        "What is Activity?",
        ontology,
        model=ScriptedLM(*replies),
        enable_mlflow=True,
        mlflow_timeout=PATIENT,
        **options,
    )


LOOK = cell("print(describe_entity('prov:Activity'))")
FAIL = cell("print('before')\nraise ValueError('my mistake')")
SUBMIT = cell("SUBMIT(answer='A thing that goes on.', evidence=['prov:Activity'])")


def test_a_run_is_found_by_what_matters_and_its_trace_shows_every_cell(
    store: str, prov: Any
) -> None:
    result = ask(prov, LOOK, FAIL, SUBMIT, mlflow_experiment="found")
    runs = mlflow.search_runs(
        experiment_names=["found"],
        filter_string="params.ontology = 'prov' AND metrics.converged = 1",
        output_format="list",
    )
    assert [run.info.run_id for run in runs] == [result.mlflow_run_id]
    run = runs[0]
    assert run.info.status == "FINISHED"
    assert run.data.params["query"] == "What is Activity?"
    assert run.data.params["model"] == "scripted"
    assert run.data.tags["rlm.run_id"] == result.run_id
    assert run.data.metrics["iteration_count"] == 3
    assert run.data.metrics["evidence_grounded"] == 1.0
    assert run.data.metrics["code_errors"] == 1

    trace = mlflow.get_trace(result.trace_id)
    assert trace.info.request_metadata["mlflow.sourceRun"] == result.mlflow_run_id
    spans = {span.span_id: span for span in trace.data.spans}
    (root,) = (span for span in spans.values() if span.parent_id is None)
    assert (root.name, root.span_type) == ("run_dspy_rlm", "AGENT")
    turns = [span for span in spans.values() if span.parent_id == root.span_id]
    assert [span.name for span in turns] == ["iteration 1", "iteration 2", "iteration 3"]
    for turn in turns:
        parts = [span for span in spans.values() if span.parent_id == turn.span_id]
        assert [span.span_type for span in parts] == ["CHAT_MODEL", "TOOL"]
        lm, python = parts
        assert lm.get_attribute("mlflow.chat.tokenUsage")["total_tokens"] > 0
        assert python.name == "python"
    cells = [span for span in spans.values() if span.name == "python"]
    assert "describe_entity" in cells[0].inputs["code"]
    assert "prov:Activity" in cells[0].outputs["stdout"]
    assert "before" in cells[1].outputs["stdout"]
    assert [span.status.status_code for span in cells] == [
        SpanStatusCode.OK,
        SpanStatusCode.ERROR,
        SpanStatusCode.OK,
    ]
    (tool,) = (span for span in spans.values() if span.name == "describe_entity")
    assert tool.parent_id == cells[0].span_id
    assert trace.info.token_usage["total_tokens"] == result.usage.total.total_tokens


def test_a_failed_run_says_so_and_the_caller_gets_the_original_error(store: str, prov: Any) -> None:
    with pytest.raises(dspy.LMError, match="boom") as caught:
        ask(prov, LOOK, RuntimeError("boom"), mlflow_experiment="failed")
    (run,) = mlflow.search_runs(experiment_names=["failed"], output_format="list")
    assert run.info.status == "FAILED"
    assert run.data.tags["rlm.run_id"] == caught.value.run_id
    assert "boom" in run.data.tags["rlm.error_message"]
    assert run.data.params["ontology"] == "prov"


def test_a_run_inside_the_users_run_becomes_its_child(store: str, prov: Any) -> None:
    with mlflow.start_run(run_name="mine") as mine:
        result = ask(prov, SUBMIT)
        assert mlflow.active_run().info.run_id == mine.info.run_id
    child = mlflow.get_run(result.mlflow_run_id)
    assert child.data.tags["mlflow.parentRunId"] == mine.info.run_id


def test_eight_threads_keep_their_runs_apart(store: str, prov: Any, tmp_path: Path) -> None:
    before = (mlflow.get_tracking_uri(), dict(dspy.settings.config))
    results: dict[int, RunResult] = {}
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        barrier.wait()
        results[number] = ask(
            prov,
            cell(f"print('thread {number}', search_entity('activity')['count'])"),
            cell(f"SUBMIT(answer='answer {number}')"),
            run_id=f"thread-{number}",
            log_path=tmp_path / f"{number}.jsonl",
            mlflow_experiment=f"experiment {number}",
            mlflow_tags={"number": str(number)},
        )

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (mlflow.get_tracking_uri(), dict(dspy.settings.config)) == before
    assert mlflow.active_run() is None
    for number in range(8):
        events = list(LogReader(tmp_path / f"{number}.jsonl"))
        check_events(events)
        assert {event["run_id"] for event in events} == {f"thread-{number}"}
        cells = [event["code"] for event in events if event["event"] == "code_start"]
        assert f"thread {number}" in cells[0]
        (run,) = mlflow.search_runs(experiment_names=[f"experiment {number}"], output_format="list")
        assert run.info.run_id == results[number].mlflow_run_id
        assert run.data.tags["number"] == str(number)
        trace = mlflow.get_trace(results[number].trace_id)
        assert trace.info.request_metadata["mlflow.sourceRun"] == run.info.run_id
        assert trace.info.experiment_id == run.info.experiment_id
        codes = [span.inputs["code"] for span in trace.data.spans if span.name == "python"]
        assert f"thread {number}" in codes[0]


def test_any_program_becomes_one_run_with_one_tree(store: str) -> None:
    def lookup(city: str) -> str:
        """Look a city up."""
        return f"{city}: sunny"

    answer = fields(reasoning="Because.", answer="42")
    step = fields(next_thought="Look.", next_tool_name="lookup", next_tool_args='{"city": "Ghent"}')
    done = fields(next_thought="Done.", next_tool_name="finish", next_tool_args="{}")
    with (
        observe(
            "my program",
            enable_mlflow=True,
            mlflow_experiment="programs",
            mlflow_timeout=PATIENT,
        ) as run,
        dspy.context(lm=ScriptedLM(answer, step, done, answer)),
    ):
        dspy.ChainOfThought("question -> answer")(question="why?")
        dspy.ReAct("question -> answer", tools=[lookup])(question="Weather?")
        jobs = [
            (dspy.Predict("question -> answer"), dspy.Example(question=q).with_inputs("question"))
            for q in "abc"
        ]
        dspy.Parallel(num_threads=3, disable_progress_bar=True)(jobs)
    trace = mlflow.get_trace(run.trace_id)
    (root,) = (span for span in trace.data.spans if span.parent_id is None)
    assert root.name == "my program"
    top = [span.name for span in trace.data.spans if span.parent_id == root.span_id]
    assert sorted(top) == ["ChainOfThought", "Predict", "Predict", "Predict", "ReAct"]
    types = [span.span_type for span in trace.data.spans]
    assert types.count("CHAT_MODEL") == 7
    assert [s.outputs for s in trace.data.spans if s.name == "lookup"] == ["Ghent: sunny"]


AUTOLOGGED = """
import dspy, mlflow, sys
from rlm_runtime import run_dspy_rlm
from tests.support.lms import ScriptedLM, cell, fields

mlflow.set_tracking_uri(sys.argv[1])
experiment = mlflow.set_experiment("autologged")
mlflow.dspy.autolog()
before = list(dspy.settings.callbacks)
assert before
result = run_dspy_rlm(
    "What is Activity?",
    "ontology/prov.ttl",
    model=ScriptedLM(cell("SUBMIT(answer='A thing.')")),
    enable_mlflow=True,
    mlflow_timeout=120,
)
assert dspy.settings.callbacks == before
with dspy.context(lm=ScriptedLM(fields(answer="42"))):
    dspy.Predict("question -> answer")(question="still traced?")
mlflow.flush_trace_async_logging()
traces = mlflow.search_traces(
    locations=[experiment.experiment_id], return_type="list", include_spans=True
)
mine, live = sorted(traces, key=lambda trace: trace.info.trace_id != result.trace_id)
assert mine.info.trace_id == result.trace_id
names = [span.name for span in live.data.spans]
assert "Predict.forward" in names and "python" not in names, names
"""


def test_autolog_switched_on_before_works_on_and_does_not_double(tmp_path: Path) -> None:
    # Autolog is process-wide, so it gets a process of its own.
    run = subprocess.run(
        [sys.executable, "-c", AUTOLOGGED, f"sqlite:///{tmp_path / 'mlflow.db'}"],
        cwd=PROV.parent.parent,
        env={**os.environ, "PYTHONPATH": "."},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr


AWAY = """
import sys, warnings
if sys.argv[1] == "absent":
    sys.modules["mlflow"] = None
from rlm_runtime import TrackingWarning, run_dspy_rlm
from rlm_runtime.logging.jsonl import LogReader
from tests.support.lms import ScriptedLM, cell

with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    for number in range(2):
        result = run_dspy_rlm(
            "What is Activity?",
            "ontology/prov.ttl",
            model=ScriptedLM(cell("SUBMIT(answer='A thing.')")),
            enable_mlflow=True,
            mlflow_tracking_uri=sys.argv[2],
            log_path=sys.argv[3],
        )
assert result.answer == "A thing." and result.converged
assert result.mlflow_run_id is None and result.trace_id is None
assert [event["event"] for event in LogReader(sys.argv[3])].count("run_end") == 2
told = [str(w.message) for w in seen if w.category is TrackingWarning]
print(*told, sep="\\n")
"""


@pytest.mark.parametrize(
    ("case", "said"), [("absent", "pip install 'rlm-runtime[mlflow]'"), ("refused", "127.0.0.1")]
)
def test_without_mlflow_there_is_one_warning_and_all_else_is_as_if_nothing_was(
    case: str, said: str, tmp_path: Path, free_port: int
) -> None:
    address = f"http://127.0.0.1:{free_port}"
    run = subprocess.run(
        [sys.executable, "-c", AWAY, case, address, tmp_path / "log.jsonl"],
        cwd=PROV.parent.parent,
        env={**os.environ, "PYTHONPATH": ".", "RLM_RUNTIME_RAISE": "0"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    (warning,) = run.stdout.splitlines()
    assert said in warning


def test_an_async_run_inside_the_users_run_becomes_its_child(store: str, prov: Any) -> None:
    async def main() -> RunResult:
        return await arun_dspy_rlm(
            "What is Activity?",
            prov,
            model=ScriptedLM(SUBMIT),
            enable_mlflow=True,
            mlflow_timeout=PATIENT,
        )

    elsewhere = mlflow.create_experiment("elsewhere")
    with mlflow.start_run(experiment_id=elsewhere) as mine:
        result = asyncio.run(main())
    child = mlflow.get_run(result.mlflow_run_id)
    assert child.data.tags["mlflow.parentRunId"] == mine.info.run_id
    assert child.info.experiment_id == mine.info.experiment_id


def test_params_of_any_kind_become_params(store: str) -> None:
    with observe(
        "sweep",
        params={"layers": [1, 2], "query": "not the question"},
        query="The question",
        enable_mlflow=True,
        mlflow_timeout=PATIENT,
    ) as run:
        run.report(outputs={"answer": "x"})
    params = mlflow.get_run(run.mlflow_run_id).data.params
    assert params == {"layers": "[1, 2]", "query": "The question"}
