"""A stream of events becomes an MLflow run with its trace, in real stores."""

from __future__ import annotations

import contextlib
import json
import math
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient

from rlm_runtime.errors import ConfigurationError, TrackingWarning
from rlm_runtime.logging.jsonl import LogReader
from rlm_runtime.logging.mlflow_delivery import Delivery
from rlm_runtime.logging.mlflow_destination import Destination
from rlm_runtime.logging.mlflow_sink import MlflowSink
from tests.support.events import Stream, error, play, rlm_run, wait_for_workers


@pytest.fixture(params=["sqlite", "server"])
def store(request: pytest.FixtureRequest) -> str:
    """Each kind of store that people use."""
    name = "sqlite_store" if request.param == "sqlite" else "mlflow_server"
    return request.getfixturevalue(name)


def deliver(events: list[dict[str, Any]], **sink: Any) -> MlflowSink:
    target = MlflowSink(**{"experiment": "sink", "timeout": 60.0} | sink)
    play(events, target)
    return target


def runs_of(store: str, experiment: str, query: str = "") -> list[Any]:
    client = MlflowClient(store)
    found = client.get_experiment_by_name(experiment)
    return list(client.search_runs([found.experiment_id], query)) if found else []


def artifact(store: str, run_id: str, path: str, folder: Path) -> Path:
    return Path(MlflowClient(store).download_artifacts(run_id, path, str(folder)))


def test_a_run_arrives_with_params_tags_metrics_artifacts_and_status(store, tmp_path, capfd):
    events = rlm_run("arrives", tags={"team": "a", "C#": "yes"})
    sink = deliver(events, tracking_uri=store)
    assert sink.delivered
    run = MlflowClient(store).get_run(sink.mlflow_run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "What is Activity? arrives"
    assert run.info.end_time - run.info.start_time == len(events) - 1
    assert run.data.params == {
        "query": "What is Activity?",
        "ontology": "prov",
        "max_iterations": "8",
        "model": "openai/gpt-test",
        "has_memory": "False",
    }
    assert run.data.metrics == {"iteration_count": 4, "converged": 1, "duration_seconds": 0.03}
    wanted = {"ontology": "prov", "team": "a", "C_": "yes", "rlm.run_id": "arrives"}
    assert wanted.items() <= run.data.tags.items()
    assert run.data.tags["mlflow.source.name"]
    log = artifact(store, sink.mlflow_run_id, "trajectory/trajectory.jsonl", tmp_path)
    assert list(LogReader(log)) == events
    query = artifact(store, sink.mlflow_run_id, "queries/query.sparql", tmp_path)
    assert query.read_text() == "SELECT ?s WHERE { ?s a owl:Class }"
    evidence = artifact(store, sink.mlflow_run_id, "evidence/evidence.json", tmp_path)
    assert json.loads(evidence.read_text()) == ["http://www.w3.org/ns/prov#Activity"]
    assert "View run" not in capfd.readouterr().out


def test_the_trace_hangs_on_its_run_and_can_be_searched(store):
    sink = deliver(rlm_run("searched"), tracking_uri=store)
    client = MlflowClient(store)
    trace = client.get_trace(sink.trace_id)
    assert len(trace.data.spans) == 18
    assert trace.info.trace_metadata["mlflow.sourceRun"] == sink.mlflow_run_id
    assert trace.info.token_usage["total_tokens"] == 660
    assert trace.info.request_preview == "What is Activity?"
    (experiment,) = {client.get_run(sink.mlflow_run_id).info.experiment_id}
    found = client.search_traces(
        locations=[experiment], filter_string=f"attributes.run_id = '{sink.mlflow_run_id}'"
    )
    assert [t.info.trace_id for t in found] == [sink.trace_id]
    failed = [span for span in trace.data.spans if span.status.status_code == "ERROR"]
    assert [span.name for span in failed] == ["python"]


def test_the_fluent_searches_find_run_and_trace(sqlite_store, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", sqlite_store)
    sink = deliver(rlm_run("fluent"))
    deliver(Stream("other", ontology="foaf", query="q").events)
    found = mlflow.search_runs(
        experiment_names=["sink"],
        filter_string="params.ontology = 'prov' AND metrics.converged = 1",
    )
    assert list(found["run_id"]) == [sink.mlflow_run_id]
    (experiment,) = set(found["experiment_id"])
    traces = mlflow.search_traces(
        run_id=sink.mlflow_run_id, locations=[experiment], return_type="list"
    )
    assert [t.info.trace_id for t in traces] == [sink.trace_id]
    assert mlflow.get_trace(sink.trace_id).info.client_request_id == "fluent"


def test_the_run_is_there_and_running_before_the_work_is_done(sqlite_store):
    events = rlm_run("early")
    sink = MlflowSink("sink", tracking_uri=sqlite_store, timeout=60)
    sink.emit(events[0])
    deadline = time.monotonic() + 60
    while sink.mlflow_run_id is None and time.monotonic() < deadline:
        time.sleep(0.01)
    run = MlflowClient(sqlite_store).get_run(sink.mlflow_run_id)
    assert run.info.status == "RUNNING"
    assert run.data.params["ontology"] == "prov"
    assert sink.trace_id is None
    assert not sink.delivered
    play(events[1:], sink)
    assert sink.delivered


def test_a_failed_run_says_how_it_failed(sqlite_store, tmp_path):
    stream = Stream("failed", query="q")
    stream.end(stream.root, status="FAILED", error=error("LMError", "no quota" * 2000))
    sink = deliver(stream.events, tracking_uri=sqlite_store)
    run = MlflowClient(sqlite_store).get_run(sink.mlflow_run_id)
    assert run.info.status == "FAILED"
    assert run.data.tags["rlm.error_type"] == "LMError"
    message = run.data.tags["rlm.error_message"]
    assert len(message) == 8000
    assert message.endswith("… [cut, 16000 characters in all: tags/rlm.error_message.txt]")
    whole = artifact(sqlite_store, sink.mlflow_run_id, "tags/rlm.error_message.txt", tmp_path)
    assert whole.read_text() == "no quota" * 2000


def test_a_stream_that_breaks_off_is_delivered_as_killed(sqlite_store):
    events = rlm_run("killed")[:9]
    sink = deliver(events, tracking_uri=sqlite_store)
    assert sink.delivered
    run = MlflowClient(sqlite_store).get_run(sink.mlflow_run_id)
    assert run.info.status == "KILLED"
    assert run.data.tags["rlm.error_type"] == "Unfinished"
    assert MlflowClient(sqlite_store).get_trace(sink.trace_id).info.state == "ERROR"


def test_delivering_again_changes_nothing(store):
    events = rlm_run("it's twice")
    first = deliver(events, tracking_uri=store, experiment="twice")
    before = MlflowClient(store).get_run(first.mlflow_run_id)
    trace = MlflowClient(store).get_trace(first.trace_id).to_dict()
    delivery = Delivery(Destination(store, "twice"))
    delivery.finish(events)
    assert (delivery.mlflow_run_id, delivery.trace_id) == (first.mlflow_run_id, first.trace_id)
    assert len(runs_of(store, "twice")) == 1
    assert MlflowClient(store).get_run(first.mlflow_run_id).to_dictionary() == (
        before.to_dictionary()
    )
    assert MlflowClient(store).get_trace(first.trace_id).to_dict() == trace


def test_global_state_of_mlflow_stays_as_it_is(sqlite_store, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", None)
    environment = dict(os.environ)
    wait_for_workers()
    before = mlflow.get_tracking_uri(), mlflow.active_run(), threading.active_count()
    deliver(rlm_run("global"), tracking_uri=sqlite_store, experiment="else")
    wait_for_workers()
    after = mlflow.get_tracking_uri(), mlflow.active_run(), threading.active_count()
    assert before == after
    assert dict(os.environ) == environment
    from mlflow.tracking import fluent

    assert fluent._active_experiment_id is None


def test_a_run_inside_an_active_run_becomes_its_child(sqlite_store, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", sqlite_store)
    experiment = MlflowClient(sqlite_store).create_experiment("of the parent")
    with mlflow.start_run(experiment_id=experiment) as parent:
        sink = deliver(rlm_run("child"), experiment=None)
        assert mlflow.active_run().info.run_id == parent.info.run_id
    child = MlflowClient(sqlite_store).get_run(sink.mlflow_run_id)
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert child.info.experiment_id == experiment
    assert MlflowClient(sqlite_store).get_run(parent.info.run_id).info.status == "FINISHED"


def test_without_any_setting_the_run_goes_where_mlflow_would_put_it(sqlite_store, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", sqlite_store)
    assert deliver(rlm_run("default"), experiment=None).delivered
    assert len(runs_of(sqlite_store, "Default")) == 1
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "named by environment")
    assert deliver(rlm_run("environment"), experiment=None).delivered
    assert len(runs_of(sqlite_store, "named by environment")) == 1


def test_many_runs_at_once_keep_to_themselves(sqlite_store):
    names = [f"parallel-{i}" for i in range(8)]
    barrier = threading.Barrier(len(names))
    sinks: dict[str, MlflowSink] = {}

    def run(name: str) -> None:
        barrier.wait()
        sinks[name] = deliver(
            rlm_run(name, query=f"Who is {name}?"), tracking_uri=sqlite_store, experiment=name
        )

    threads = [threading.Thread(target=run, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client = MlflowClient(sqlite_store)
    for name in names:
        (run_,) = runs_of(sqlite_store, name)
        assert run_.info.run_id == sinks[name].mlflow_run_id
        trace = client.get_trace(sinks[name].trace_id)
        assert trace.info.trace_metadata["mlflow.sourceRun"] == run_.info.run_id
        assert trace.info.experiment_id == run_.info.experiment_id
        assert trace.data.spans[0].inputs["query"] == f"Who is {name}?"


def test_processes_that_open_a_fresh_store_together_all_deliver(tmp_path):
    store = f"sqlite:///{tmp_path}/new/folder.db"
    code = (
        "import sys\n"
        "from tests.support.events import rlm_run, play\n"
        "from rlm_runtime.logging.mlflow_sink import MlflowSink\n"
        "sink = MlflowSink('fresh', tracking_uri=sys.argv[1], timeout=120)\n"
        "play(rlm_run(sys.argv[2]), sink)\n"
        "assert sink.delivered\n"
    )
    (tmp_path / "new").mkdir()
    env = {**os.environ, "PYTHONPATH": os.getcwd()}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, store, f"process-{i}"],
            env=env,
            cwd=tmp_path,
            stderr=subprocess.PIPE,
        )
        for i in range(3)
    ]
    for process in processes:
        _, stderr = process.communicate(timeout=300)
        assert process.returncode == 0, stderr.decode()
    assert len(runs_of(store, "fresh")) == 3
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["folder.db"]


def test_anything_that_a_run_can_hold_arrives(store, tmp_path):
    odd = "naïve 🦉 \ud800 \x00 " + "x" * 10
    big = "0123456789" * 200_000
    stream = Stream("odd", query=odd * 1000, ontology="öntologie", params={"note#1": odd, "l": [1]})
    cell = stream.start("code", stream.root, code=odd)
    stream.end(cell, stdout=big, error=error("Ödd\x00", odd))
    outputs = {"answer": odd, "sparql": odd, "evidence": {"é": [odd]}}
    stream.end(stream.root, outputs=outputs, metrics={"a#b": 1.5})
    sink = deliver(stream.events, tracking_uri=store)
    assert sink.delivered
    client = MlflowClient(store)
    run = client.get_run(sink.mlflow_run_id)
    assert len(run.data.params["query"]) == 6000
    assert "[cut, " in run.data.params["query"]
    whole = artifact(store, sink.mlflow_run_id, "params/query.txt", tmp_path)
    assert whole.read_text().count("🦉") == 1000
    assert run.data.params["note_1"].startswith("naïve 🦉 \\ud800 \\u0000")
    assert run.data.metrics == {"a_b": 1.5}
    root, python = client.get_trace(sink.trace_id).data.spans
    assert root.outputs["answer"].startswith("naïve 🦉 \\ud800")
    shown = python.outputs["stdout"]
    assert "[cut, 2000000 characters in all: trajectory/trajectory.jsonl]" in shown
    assert 99_000 < len(shown) < 101_000
    log = artifact(store, sink.mlflow_run_id, "trajectory/trajectory.jsonl", tmp_path)
    assert list(LogReader(log)) == stream.events


def test_no_temporary_files_are_left(sqlite_store, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    assert deliver(rlm_run("tidy"), tracking_uri=sqlite_store).delivered
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("answers", [False, True], ids=["refuses", "hangs"])
def test_a_server_that_is_away_costs_one_warning_and_a_bounded_wait(answers, free_port, swallowing):
    with socket.socket() as listener:
        if answers:
            # Takes connections, and never says a word.
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            port = listener.getsockname()[1]
        else:
            port = free_port
        began = time.monotonic()
        with pytest.warns(TrackingWarning) as warned:
            sink = deliver(rlm_run("away"), tracking_uri=f"http://127.0.0.1:{port}", timeout=30.0)
        assert time.monotonic() - began < 30
    assert not sink.delivered
    assert sink.mlflow_run_id is None
    assert sink.trace_id is None
    assert len(warned) == 1
    assert f"127.0.0.1:{port}" in str(warned[0].message)


@contextlib.contextmanager
def gateway(status: int) -> Iterator[str]:
    """A proxy whose server is away."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_gateway_without_its_server_is_no_server(swallowing):
    with gateway(503) as uri, pytest.warns(TrackingWarning, match="its gateway says 503"):
        sink = deliver(rlm_run("gateway"), tracking_uri=uri, timeout=30.0)
    assert not sink.delivered


def test_a_run_without_patience_harms_no_other(sqlite_store, swallowing):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        deliver(rlm_run("hasty"), tracking_uri=sqlite_store, timeout=0)
    assert deliver(rlm_run("patient"), tracking_uri=sqlite_store).delivered
    assert deliver(rlm_run("for ever"), tracking_uri=sqlite_store, timeout=math.inf).delivered


def test_params_that_fill_more_than_a_request_arrive(store):
    params = {f"p{i}": "語" * 6000 for i in range(40)}
    sink = deliver(rlm_run("wide", params=params), tracking_uri=store)
    assert sink.delivered
    assert len(MlflowClient(store).get_run(sink.mlflow_run_id).data.params) == 42


def test_whole_texts_do_not_meet_in_one_file(sqlite_store, tmp_path):
    params = {"a/b": "1" * 7000, "a_b": "2" * 7000, "語" * 250: "3" * 7000}
    sink = deliver(rlm_run("many", params=params), tracking_uri=sqlite_store)
    folder = artifact(sqlite_store, sink.mlflow_run_id, "params", tmp_path)
    assert sorted(path.read_text()[0] for path in folder.iterdir()) == ["1", "2", "3"]


def test_close_waits_no_longer_than_it_may(swallowing):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        uri = f"http://127.0.0.1:{listener.getsockname()[1]}"
        began = time.monotonic()
        with pytest.warns(TrackingWarning, match="longer than 0.2 seconds"):
            sink = deliver(rlm_run("late"), tracking_uri=uri, timeout=0.2)
        assert time.monotonic() - began < 20
        assert not sink.delivered
    # With nobody listening any more the delivery soon gives up; it must not outlive the test.
    assert sink._settled.wait(60)


def test_a_store_that_comes_back_before_the_end_gets_all(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder of the store should be")
    store = f"sqlite:///{blocked}/mlflow.db"
    events = rlm_run("back")
    delivery = Delivery(Destination(store, "sink"))
    with pytest.raises(ConfigurationError, match="cannot be written"):
        delivery.begin(events[0])
    blocked.unlink()
    blocked.mkdir()
    delivery.finish(events)
    (run,) = runs_of(store, "sink")
    assert (run.info.run_id, run.info.status) == (delivery.mlflow_run_id, "FINISHED")


def test_one_part_that_fails_keeps_no_other_back(sqlite_store, tmp_path, swallowing):
    (tmp_path / "wall").write_text("a file where the folder of the artifacts should be")
    MlflowClient(sqlite_store).create_experiment("walled", f"{tmp_path}/wall/artifacts")
    with pytest.warns(TrackingWarning, match="wall/artifacts") as warned:
        sink = deliver(rlm_run("walled"), tracking_uri=sqlite_store, experiment="walled")
    assert len(warned) == 1
    assert not sink.delivered
    run = MlflowClient(sqlite_store).get_run(sink.mlflow_run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["converged"] == 1
    assert MlflowClient(sqlite_store).get_trace(sink.trace_id).info.state == "OK"


def test_a_deleted_experiment_is_named_with_the_way_out(sqlite_store, swallowing):
    client = MlflowClient(sqlite_store)
    client.delete_experiment(client.create_experiment("gone"))
    with pytest.warns(TrackingWarning, match="mlflow experiments restore -x"):
        assert not deliver(rlm_run(), tracking_uri=sqlite_store, experiment="gone").delivered


def test_a_file_store_gets_the_spans_as_an_artifact(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    store = (tmp_path / "mlruns").as_uri()
    sink = deliver(rlm_run("file"), tracking_uri=store)
    assert sink.delivered
    assert len(MlflowClient(store).get_trace(sink.trace_id).data.spans) == 18


def test_without_mlflow_there_is_one_warning_and_nothing_else(tmp_path):
    code = (
        "import sys, warnings\n"
        "sys.modules['mlflow'] = None\n"
        "from tests.support.events import rlm_run, play\n"
        "from rlm_runtime.logging.mlflow_sink import MlflowSink\n"
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    warnings.simplefilter('always')\n"
        "    for _ in range(2):\n"
        "        sink = MlflowSink('x', tracking_uri='sqlite:///x.db')\n"
        "        play(rlm_run(), sink)\n"
        "        assert sink.mlflow_run_id is None and sink.trace_id is None\n"
        "        assert not sink.delivered\n"
        "ours = [w for w in seen if w.category.__name__ == 'TrackingWarning']\n"
        "assert len(ours) == 1, ours\n"
        "assert \"pip install 'rlm-runtime[mlflow]'\" in str(ours[0].message)\n"
    )
    env = {**os.environ, "RLM_RUNTIME_RAISE": "0", "PYTHONPATH": os.getcwd()}
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert list(tmp_path.iterdir()) == []
