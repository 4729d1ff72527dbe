"""Many runs at once, in threads and in processes: all arrive, and each keeps to itself."""

from __future__ import annotations

import json
import re
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dspy
import pytest
from mlflow import MlflowClient

from rlm_runtime import observe, sync
from rlm_runtime.errors import TrackingWarning
from rlm_runtime.logging.spool import SpoolWriter, spool_folder
from tests.support.crowd import deliver_one, sync_all
from tests.support.events import rlm_run
from tests.support.forks import preload, together
from tests.support.lms import ScriptedLM, fields

THREADS, RUNS_EACH = 8, 25
PATIENT = 120.0
# Each run has one of these in all that it gives and makes.
_MARK = re.compile(r"mark\d{3}")


def marked_run(mark: str, store: str, experiment: str) -> Any:
    """Do a run whose every value says which run it belongs to."""
    with observe(
        mark,
        query=f"What is {mark}?",
        params={"setting": mark, mark: 1},
        tags={"team": mark, f"tag-{mark}": "1"},
        enable_mlflow=True,
        mlflow_experiment=experiment,
        mlflow_tracking_uri=store,
        mlflow_timeout=PATIENT,
    ) as run:
        with dspy.context(lm=ScriptedLM(fields(answer=f"The answer of {mark}"))):
            prediction = dspy.Predict("question -> answer")(question=f"What is {mark}?")
        run.report(
            outputs={"answer": prediction.answer, "sparql": f"ASK {{ <{mark}> ?p ?o }}"},
            metrics={mark: int(mark.removeprefix("mark"))},
        )
        run.report(outputs={"evidence": [mark]})
    return run


def marks_in(*values: Any) -> set[str]:
    return set(_MARK.findall(json.dumps(values, default=str)))


@pytest.mark.parametrize("kind", ["sqlite_store", "mlflow_server"])
def test_runs_of_many_threads_all_arrive_and_share_nothing(kind, request, tmp_path):
    store = request.getfixturevalue(kind)
    experiment = f"crowd {tmp_path.name}"
    runs: dict[str, Any] = {}
    begin = threading.Barrier(THREADS)

    def work(thread: int) -> None:
        begin.wait()
        for number in range(thread * RUNS_EACH, (thread + 1) * RUNS_EACH):
            mark = f"mark{number:03}"
            runs[mark] = marked_run(mark, store, experiment)

    with warnings.catch_warnings(), ThreadPoolExecutor(THREADS) as pool:
        # A warning would be one of ours, and they are errors here.
        warnings.simplefilter("error", TrackingWarning)
        list(pool.map(work, range(THREADS)))

    client = MlflowClient(store)
    experiment_id = client.get_experiment_by_name(experiment).experiment_id
    found = client.search_runs([experiment_id], max_results=1000)
    by_mark = {run.data.params["setting"]: run for run in found}
    assert len(found) == len(by_mark) == THREADS * RUNS_EACH
    traces = {}
    for trace in _all_traces(client, experiment_id):
        traces.setdefault(trace.info.trace_metadata["mlflow.sourceRun"], []).append(trace)
    assert set(traces) == {run.info.run_id for run in found}
    for mark, run in by_mark.items():
        assert run.info.status == "FINISHED"
        assert run.data.tags["rlm.run_id"] == runs[mark].run_id
        assert run.info.run_id == runs[mark].mlflow_run_id
        assert run.data.metrics[mark] == int(mark.removeprefix("mark"))
        (trace,) = traces[run.info.run_id]
        assert trace.info.trace_id == runs[mark].trace_id
        assert [span.name for span in trace.data.spans][:2] == [mark, "Predict"]
        assert marks_in(run.to_dictionary(), trace.to_dict()) == {mark}
    # Reading 200 runs' files over HTTP takes longer than writing them.
    for mark, run in sorted(by_mark.items())[:: 1 if kind == "sqlite_store" else 8]:
        assert marks_in(*_files(client, run.info.run_id, tmp_path / mark)) == {mark}
    assert list(spool_folder().iterdir()) == []


def _all_traces(client: MlflowClient, experiment_id: str) -> list[Any]:
    traces, token = [], None
    while True:
        page = client.search_traces(
            locations=[experiment_id], max_results=100, page_token=token, include_spans=True
        )
        traces += page
        token = page.token
        if not token:
            return traces


def _files(client: MlflowClient, run_id: str, folder: Path) -> list[str]:
    folder.mkdir()
    root = Path(client.download_artifacts(run_id, "", str(folder)))
    texts = {p.name: p.read_text() for p in root.rglob("*") if p.is_file()}
    assert set(texts) == {"trajectory.jsonl", "query.sparql", "evidence.json"}
    return list(texts.values())


def test_eight_processes_on_a_store_that_does_not_exist_yet_all_deliver(tmp_path):
    store = f"sqlite:///{tmp_path}/fresh.db"
    preload()
    marks = [f"mark{number:03}" for number in range(8)]
    told = together(deliver_one, [(mark, store) for mark in marks], tmp_path)
    client = MlflowClient(store)
    for mark, (run_id, trace_id) in zip(marks, told, strict=True):
        run = client.get_run(run_id)
        assert run.info.status == "FINISHED"
        trace = client.get_trace(trace_id)
        assert trace.info.trace_metadata["mlflow.sourceRun"] == run_id
        assert marks_in(run.to_dictionary(), trace.to_dict()) == {mark}
    experiment_id = client.get_experiment_by_name("fresh").experiment_id
    assert len(client.search_runs([experiment_id])) == 8
    assert list(spool_folder().iterdir()) == []


def test_processes_that_sync_at_once_deliver_each_run_once(sqlite_store, tmp_path):
    names = [f"waits-{number}" for number in range(24)]
    for name in names:
        writer = SpoolWriter(name, {"tracking_uri": sqlite_store, "experiment": "shared"})
        for event in rlm_run(name):
            writer.append(event)
        writer.release()
    preload()
    told = [found for results in together(sync_all, [()] * 4, tmp_path) for found in results]
    assert {state for _, state in told} <= {"delivered", "running"}
    delivered = [name for name, state in told if state == "delivered"]
    assert sorted(delivered) == sorted(names)
    client = MlflowClient(sqlite_store)
    experiment_id = client.get_experiment_by_name("shared").experiment_id
    found = client.search_runs([experiment_id])
    assert sorted(run.data.tags["rlm.run_id"] for run in found) == sorted(names)
    assert {run.info.status for run in found} == {"FINISHED"}
    assert len(_all_traces(client, experiment_id)) == len(names)
    assert sync() == []
    assert list(spool_folder().iterdir()) == []
