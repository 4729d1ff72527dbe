"""One run in every kind of store: the same run each time, and what a wrong login does."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.server import get_app_client

from rlm_runtime import TrackingWarning, run_dspy_rlm
from rlm_runtime.logging.jsonl import LogReader
from rlm_runtime.logging.mlflow_sink import MlflowSink
from tests.support.collect import check_events
from tests.support.events import play, rlm_run
from tests.support.mlflow_server import Login
from tests.support.postgres import Postgres

PROV = Path(__file__).parent.parent / "ontology" / "prov.ttl"
PATIENT = 120.0
# Where a store keeps files and spans, what it calls the run, and whose login it has.
ITS_OWN = (
    "mlflow.artifactLocation",
    "mlflow.sourceRun",
    "mlflow.trace.infoFinalized",
    "mlflow.trace.spansLocation",
    "mlflow.user",
)


def common(values: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in values.items() if key not in ITS_OWN}


@contextmanager
def logged_in(username: str, password: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_USERNAME", username)
        patch.setenv("MLFLOW_TRACKING_PASSWORD", password)
        yield


def delivered(uri: str, run_id: str) -> MlflowSink:
    sink = MlflowSink("everywhere", tracking_uri=uri, timeout=PATIENT)
    play(rlm_run(run_id, tags={"team": "a"}), sink)
    return sink


def found_run(client: MlflowClient, experiment: str, run_id: str) -> Run:
    (where,) = client.search_experiments(filter_string=f"name = '{experiment}'")
    (run,) = client.search_runs([where.experiment_id], f"tags.`rlm.run_id` = '{run_id}'")
    return run


def content(uri: str, experiment: str, run_id: str, folder: Path) -> dict[str, Any]:
    """Give all that a store holds of a run, without what is the store's own."""
    client = MlflowClient(uri)
    run = found_run(client, experiment, run_id)
    downloaded = Path(client.download_artifacts(run.info.run_id, "", str(folder)))
    traces = client.search_traces(
        locations=[run.info.experiment_id], filter_string=f"run_id = '{run.info.run_id}'"
    )
    histories = [client.get_metric_history(run.info.run_id, name) for name in run.data.metrics]
    return {
        "info": (run.info.run_name, run.info.status, run.info.start_time, run.info.end_time),
        "params": run.data.params,
        "tags": common(run.data.tags),
        "metrics": {
            (one.key, one.value, one.step, one.timestamp) for line in histories for one in line
        },
        "artifacts": {
            path.relative_to(downloaded).as_posix(): path.read_bytes()
            for path in downloaded.rglob("*")
            if path.is_file()
        },
        "traces": [
            {
                "id": one.info.trace_id,
                "state": one.info.state,
                "times": (one.info.request_time, one.info.execution_duration),
                "previews": (one.info.request_preview, one.info.response_preview),
                "tags": common(one.info.tags),
                "metadata": common(one.info.trace_metadata),
                "spans": {span.span_id: span.to_dict() for span in one.data.spans},
            }
            for one in traces
        ],
    }


@pytest.fixture(scope="module")
def run_id() -> str:
    return secrets.token_hex(16)


@pytest.fixture(scope="module")
def reference(run_id: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Give what a SQLite file holds of the run."""
    folder = tmp_path_factory.mktemp("reference")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        assert delivered(uri, run_id).delivered
        (folder / "artifacts").mkdir()
        held = content(uri, "everywhere", run_id, folder / "artifacts")
    assert held["info"][1] == "FINISHED"
    assert held["params"]["ontology"] == "prov"
    assert held["tags"]["team"] == "a"
    assert {key for key, *_ in held["metrics"]} >= {"iteration_count", "converged"}
    assert "evidence/evidence.json" in held["artifacts"]
    (trace,) = held["traces"]
    assert len(trace["spans"]) > 10
    return held


def file_store(request: pytest.FixtureRequest) -> str:
    # MLflow 3 asks for consent before it writes into this kind of store.
    request.getfixturevalue("monkeypatch").setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return (request.getfixturevalue("tmp_path") / "mlruns").as_uri()


def http(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue("mlflow_server")


def http_over_postgres(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue("postgres_server")


def postgres_directly(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue("postgres").new_database()


def http_with_login(request: pytest.FixtureRequest) -> str:
    server = request.getfixturevalue("auth_server")
    patch = request.getfixturevalue("monkeypatch")
    patch.setenv("MLFLOW_TRACKING_USERNAME", server.username)
    patch.setenv("MLFLOW_TRACKING_PASSWORD", server.password)
    return server.address


@pytest.mark.parametrize(
    "store", [file_store, http, http_over_postgres, postgres_directly, http_with_login]
)
def test_a_run_is_the_same_in_every_kind_of_store(
    store: Callable[[pytest.FixtureRequest], str],
    reference: dict[str, Any],
    run_id: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    uri = store(request)
    assert delivered(uri, run_id).delivered
    (tmp_path / "artifacts").mkdir()
    assert content(uri, "everywhere", run_id, tmp_path / "artifacts") == reference


def test_a_wrong_password_is_one_warning_and_no_harm(
    auth_server: Login, swallowing: None, tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    wrong = "not-the-password"
    with logged_in(auth_server.username, wrong), pytest.warns(TrackingWarning) as told:
        result = run_dspy_rlm(
            "What is Activity?",
            PROV,
            model="offline",
            enable_mlflow=True,
            mlflow_experiment="logins",
            mlflow_tracking_uri=auth_server.address,
            mlflow_timeout=PATIENT,
            log_path=log,
        )
    assert result.converged
    assert result.mlflow_run_id is None
    check_events(list(LogReader(log)))
    (warning,) = [one for one in told if one.category is TrackingWarning]
    message = str(warning.message)
    assert auth_server.address in message
    assert "401" in message or "login" in message
    assert wrong not in message
    with logged_in(auth_server.username, auth_server.password):
        assert MlflowClient(auth_server.address).get_experiment_by_name("logins") is None


def test_people_with_a_login_of_their_own_deliver_into_experiments_of_their_own(
    auth_server: Login, swallowing: None
) -> None:
    name, password = f"ada-{secrets.token_hex(4)}", secrets.token_hex(16)
    with logged_in(auth_server.username, auth_server.password):
        get_app_client("basic-auth", auth_server.address).create_user(name, password)
        MlflowClient(auth_server.address).create_experiment(f"not of {name}")

    def deliver(experiment: str) -> MlflowSink:
        sink = MlflowSink(experiment, tracking_uri=auth_server.address, timeout=PATIENT)
        play(rlm_run(secrets.token_hex(16)), sink)
        return sink

    with logged_in(name, password):
        assert deliver(f"of {name}").delivered
        with pytest.warns(TrackingWarning, match="(?i)permission denied"):
            assert not deliver(f"not of {name}").delivered


FIRST = """
import sys
from rlm_runtime.logging.mlflow_sink import MlflowSink
from tests.support.events import play, rlm_run
print("ready", flush=True)
sys.stdin.read()
sink = MlflowSink("together", tracking_uri=sys.argv[1], timeout=120)
play(rlm_run(sys.argv[2]), sink)
assert sink.delivered
"""


def test_eight_processes_make_the_schema_of_one_new_database(
    postgres: Postgres, tmp_path: Path
) -> None:
    uri = postgres.new_database()
    run_ids = [secrets.token_hex(16) for _ in range(8)]
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", FIRST, uri, run_id],
            # Artifacts go below the working directory.
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(PROV.parent.parent)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for run_id in run_ids
    ]
    assert [worker.stdout and worker.stdout.readline() for worker in workers] == ["ready\n"] * 8
    for worker in workers:
        assert worker.stdin
        worker.stdin.close()
        # Or communicate would close it again.
        worker.stdin = None
    said = [worker.communicate(timeout=PATIENT)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 8, "\n".join(said)
    client = MlflowClient(uri)
    assert {found_run(client, "together", one).info.status for one in run_ids} == {"FINISHED"}
