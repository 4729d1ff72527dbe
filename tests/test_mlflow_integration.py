"""The helpers that log any program's run to MLflow, in real stores."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import mlflow
import pytest
import rdflib
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.utils.validation import _validate_param_name, _validate_tag_name

from rlm_runtime.errors import TrackingWarning
from rlm_runtime.logging import mlflow_integration as helpers
from rlm_runtime.logging.mlflow_values import cut, safe_key

PARAMS: dict[str, Any] = {
    "query": "What is Activity?",
    "ontology_name": "prov",
    "max_iterations": 8,
    "model": "offline",
    "sub_model": None,
    "has_memory": True,
}
CALLS = {
    "params": lambda **where: helpers.log_run_params(**PARAMS, **where),
    "metrics": lambda **where: helpers.log_run_metrics(3, True, **where),
    "tags": lambda **where: helpers.log_run_tags("prov", "definition", {"a": 1}, **where),
    "artifacts": lambda **where: helpers.log_artifacts(evidence=[1], **where),
    "end": lambda **where: helpers.end_mlflow_run(**where),
}


@pytest.fixture
def client(sqlite_store: str, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """A client of the store that MLflow uses of its own accord."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", sqlite_store)
    return MlflowClient(sqlite_store)


@pytest.fixture
def run_id(client: MlflowClient) -> str:
    return client.create_run("0").info.run_id


def test_params_metrics_and_tags_of_the_active_run(client):
    with mlflow.start_run() as run:
        assert helpers.log_run_params(**PARAMS)
        assert helpers.log_run_metrics(3, True, 1, 2, False, cost_usd=0.5, unknown=None)
        assert helpers.log_run_tags("prov", "definition", {"team": "a"})
    data = client.get_run(run.info.run_id).data
    assert data.params == {
        "query": "What is Activity?",
        "ontology": "prov",
        "max_iterations": "8",
        "model": "offline",
        "has_memory": "True",
    }
    assert data.metrics == {
        "iteration_count": 3,
        "converged": 1,
        "memories_retrieved": 1,
        "memories_extracted": 2,
        "judgment_success": 0,
        "cost_usd": 0.5,
    }
    assert {"ontology": "prov", "query_type": "definition", "team": "a"}.items() <= (
        data.tags.items()
    )


def test_an_explicit_run_and_client_need_no_active_run_nor_thread(client, run_id):
    answers: list[bool] = []

    def work() -> None:
        answers.extend(call(run_id=run_id, client=client) for call in CALLS.values())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert answers == [True] * len(CALLS)
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.info.end_time
    assert run.data.metrics["converged"] == 1


def test_an_explicit_run_leaves_the_active_one_alone(client, run_id):
    with mlflow.start_run() as active:
        assert helpers.log_run_metrics(1, False, run_id=run_id)
        assert helpers.end_mlflow_run("FAILED", run_id=run_id)
        assert mlflow.active_run().info.run_id == active.info.run_id
    assert client.get_run(active.info.run_id).data.metrics == {}
    assert client.get_run(run_id).info.status == "FAILED"


def test_ending_the_active_run_by_its_id_makes_it_inactive(client):
    run = mlflow.start_run()
    assert helpers.end_mlflow_run("KILLED", run_id=run.info.run_id)
    assert mlflow.active_run() is None
    assert client.get_run(run.info.run_id).info.status == "KILLED"


def test_artifacts_have_their_known_places(client, run_id, tmp_path):
    log = tmp_path / "my log.jsonl"
    log.write_text('{"v": 1}\n')
    assert helpers.log_artifacts(log, "SELECT ?ö {}", {"iri": "x"}, run_id=run_id)
    files = {
        "trajectory/trajectory.jsonl": '{"v": 1}\n',
        "queries/query.sparql": "SELECT ?ö {}",
        "evidence/evidence.json": '{\n  "iri": "x"\n}',
    }
    for path, text in files.items():
        assert Path(client.download_artifacts(run_id, path, str(tmp_path))).read_text() == text


def test_evidence_of_any_kind_becomes_readable_json(client, run_id, tmp_path):
    @dataclasses.dataclass
    class Fact:
        subject: rdflib.URIRef
        seen: frozenset[str]

    class Strange:
        def __repr__(self) -> str:
            raise ValueError("no repr")

    cycle: list[Any] = ["é 🦉 \ud800"]
    cycle.append(cycle)
    evidence = [Fact(rdflib.URIRef("http://x/a"), frozenset("ba")), rdflib.Literal(3), cycle]
    assert helpers.log_artifacts(evidence=[*evidence, Strange(), float("nan")], run_id=run_id)
    path = client.download_artifacts(run_id, "evidence/evidence.json", str(tmp_path))
    fact, literal, knot, strange, nan = json.loads(Path(path).read_text())
    assert fact == {"subject": "http://x/a", "seen": ["a", "b"]}
    assert literal == {"value": "3", "datatype": "http://www.w3.org/2001/XMLSchema#integer"}
    assert knot == ["é 🦉 \ud800", "<cycle>"]
    assert "Strange" in strange
    assert nan == "nan"


def test_a_log_that_is_not_there_is_a_warning(client, run_id, tmp_path, swallowing):
    with pytest.warns(TrackingWarning, match=r"gone\.jsonl"):
        assert not helpers.log_artifacts(tmp_path / "gone.jsonl", run_id=run_id)


def test_values_too_long_for_mlflow_are_cut_and_say_so(client, run_id):
    assert helpers.log_run_params(**PARAMS | {"query": "q" * 10_000}, run_id=run_id)
    assert helpers.log_run_tags("prov", None, {"long": "t" * 10_000}, run_id=run_id)
    data = client.get_run(run_id).data
    assert len(data.params["query"]) == 6000
    assert data.params["query"].endswith("… [cut, 10000 characters in all]")
    assert len(data.tags["long"]) == 8000


def test_numbers_that_mlflow_cannot_show_are_left_out_with_a_warning(client, run_id, swallowing):
    further: dict[str, Any] = {"inf": float("inf"), "word": "3", "huge": 10**400, "fine": 2}
    with pytest.warns(TrackingWarning, match="no finite number") as warned:
        assert helpers.log_run_metrics(1, True, run_id=run_id, **further)
    assert len(warned) == 3
    metrics = client.get_run(run_id).data.metrics
    assert metrics["fine"] == 2
    assert not {"inf", "word", "huge"} & set(metrics)


@pytest.mark.parametrize("name", CALLS)
def test_without_an_active_run_each_helper_says_what_to_do(client, name, swallowing):
    with pytest.warns(TrackingWarning, match=r"setup_mlflow_tracking\(\) or give run_id=") as seen:
        assert CALLS[name]() is False
    assert len(seen) == 1


@pytest.mark.parametrize("name", CALLS)
def test_an_unknown_run_is_a_warning(client, name, swallowing):
    with pytest.warns(TrackingWarning, match="to MLflow|in MLflow") as warned:
        assert [CALLS[name](run_id="0" * 32) for _ in range(2)] == [False, False]
    assert len(warned) == 1


@pytest.mark.parametrize("name", [*CALLS, "setup"])
def test_a_server_that_is_away_costs_a_warning_and_a_moment(
    name, free_port, monkeypatch, swallowing
):
    uri = f"http://127.0.0.1:{free_port}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    environment = dict(os.environ)
    began = time.monotonic()
    call = CALLS.get(name, lambda run_id: helpers.setup_mlflow_tracking("x", "y")[0])
    with pytest.warns(TrackingWarning, match=uri):
        assert call(run_id="0" * 32) is False
    assert time.monotonic() - began < 20
    assert mlflow.active_run() is None
    assert dict(os.environ) == environment


def test_helpers_over_http_print_nothing(mlflow_server, monkeypatch, tmp_path, capfd):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    client = MlflowClient(mlflow_server)
    run = mlflow.start_run(experiment_id="0")
    assert all(call() for call in CALLS.values())
    assert mlflow.active_run() is None
    assert client.get_run(run.info.run_id).info.status == "FINISHED"
    evidence = client.download_artifacts(run.info.run_id, "evidence/evidence.json", str(tmp_path))
    assert json.loads(Path(evidence).read_text()) == [1]
    other = client.create_run("0").info.run_id
    assert all(call(run_id=other) for call in CALLS.values())
    assert "View" not in capfd.readouterr().out


SETUP = """
import os, sys, warnings
import dspy, mlflow
from dspy.utils import DummyLM
from rlm_runtime.logging.mlflow_integration import *
dspy.configure(lm=DummyLM([{"answer": "4"}] * 5))
environment = set(os.environ)
ok, run_id = setup_mlflow_tracking("study", "first", sys.argv[1])
assert ok and mlflow.active_run().info.run_id == run_id
assert dspy.Predict("question -> answer")(question="2+2").answer == "4"
ok, child = setup_mlflow_tracking()
assert ok and child != run_id
assert end_mlflow_run() and mlflow.active_run().info.run_id == run_id
assert log_run_metrics(1, True) and end_mlflow_run("FAILED")
assert mlflow.active_run() is None
mlflow.flush_trace_async_logging()
client = mlflow.MlflowClient(sys.argv[1])
run = client.get_run(run_id)
assert (run.info.status, run.info.run_name) == ("FAILED", "first")
assert client.get_experiment(run.info.experiment_id).name == "study"
assert client.get_run(child).data.tags["mlflow.parentRunId"] == run_id
(trace,) = client.search_traces(locations=[run.info.experiment_id])
assert trace.info.trace_metadata["mlflow.sourceRun"] == run_id
from mlflow.utils.autologging_utils import get_autologging_config as config
names = ["log_traces", "log_traces_from_eval", "log_compiles", "log_evals"]
assert [config("dspy", name) for name in names] == [True] * 4
assert config("dspy", "log_traces_from_compile") is False
assert setup_mlflow_tracking(log_compilation=True)[0] and end_mlflow_run()
assert config("dspy", "log_traces_from_compile") is True
assert set(os.environ) - environment <= {"MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID"}
"""


def run_python(code: str, *args: str, folder: Path, **env: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error::rlm_runtime.errors.TrackingWarning", "-c", code, *args],
        env={**os.environ, "PYTHONPATH": os.getcwd(), **env},
        cwd=folder,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()


def test_setup_points_a_whole_program_at_store_experiment_and_run(tmp_path):
    repository = os.getcwd()
    run_python(SETUP, f"sqlite:///{tmp_path}/own.db", folder=tmp_path, PYTHONPATH=repository)


def test_setup_off_dspys_thread_still_starts_the_run(tmp_path):
    code = (
        "import sys, threading, warnings\n"
        "import dspy, mlflow\n"
        "from rlm_runtime.logging.mlflow_integration import *\n"
        "dspy.configure(lm=None)\n"
        "results = []\n"
        "def work():\n"
        "    results.append(setup_mlflow_tracking('x', None, sys.argv[1]))\n"
        "    results.append(end_mlflow_run())\n"
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    warnings.simplefilter('always')\n"
        "    thread = threading.Thread(target=work)\n"
        "    thread.start()\n"
        "    thread.join()\n"
        "assert results[0][0] and results[1], results\n"
        "assert sum('autologging of DSPy is off' in str(w.message) for w in seen) == 1\n"
    )
    run_python(code, f"sqlite:///{tmp_path}/own.db", folder=tmp_path)


def test_without_mlflow_each_helper_says_how_to_install_it_once(tmp_path):
    code = (
        "import sys, warnings\n"
        "sys.modules['mlflow'] = None\n"
        "from rlm_runtime.logging.mlflow_integration import *\n"
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    warnings.simplefilter('always')\n"
        "    assert setup_mlflow_tracking('x') == (False, None)\n"
        "    assert log_run_params('q', 'o', 1, 'm', None, False) is False\n"
        "    assert log_run_metrics(1, True) is False\n"
        "    assert log_run_tags('o') is False\n"
        "    assert log_artifacts(sparql_query='x') is False\n"
        "    assert end_mlflow_run() is False\n"
        "assert len(seen) == 1, [str(w.message) for w in seen]\n"
        "assert \"pip install 'rlm-runtime[mlflow]'\" in str(seen[0].message)\n"
    )
    run_python(code, folder=tmp_path, RLM_RUNTIME_RAISE="0")


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=400))
def test_every_text_becomes_a_key_that_mlflow_takes(name):
    key = safe_key(name)
    assert 0 < len(key) <= 250
    _validate_param_name(key)
    _validate_tag_name(key)


@settings(deadline=None, max_examples=200)
@given(st.text(st.characters(), max_size=300), st.integers(60, 200))
def test_cut_text_keeps_its_bound_and_says_what_is_missing(text, limit):
    short = cut(text, limit)
    short.encode()
    assert len(short) <= limit
    assert "\0" not in short
    assert ("[cut, " in short and len(short) == limit) or short in (text, cut(text, 10**6))


def test_no_secret_is_logged(sqlite_store):
    secret = "sk-proj-abcdefghijklmnop1234"
    client = MlflowClient(sqlite_store)
    run_id = client.create_run("0").info.run_id
    where: dict[str, Any] = {"run_id": run_id, "client": client}
    assert helpers.log_run_params(f"Use {secret}", "prov", 8, "offline", **where)
    assert helpers.log_run_tags("prov", None, {"api_key": "k123", "note": secret}, **where)
    assert helpers.log_artifacts(sparql_query=f"# {secret}", evidence=[secret], **where)
    run = client.get_run(run_id)
    files = Path(client.download_artifacts(run_id, "")).rglob("*.*")
    kept = [str(run.data.to_dictionary()), *(file.read_text() for file in files)]
    assert len(kept) == 3
    assert not [text for text in kept if secret in text or "k123" in text]
    assert all("[redacted]" in text for text in kept)
