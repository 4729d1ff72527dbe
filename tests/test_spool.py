"""What MLflow has not got yet is kept on disk, and is delivered later: once."""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from rlm_runtime import import_logs, sync
from rlm_runtime.errors import ConfigurationError, LogFormatError, TrackingWarning
from rlm_runtime.logging.jsonl import JsonlSink, LogReader
from rlm_runtime.logging.mlflow_delivery import Delivery
from rlm_runtime.logging.mlflow_destination import Destination
from rlm_runtime.logging.mlflow_sink import MlflowSink
from rlm_runtime.logging.spool import SpooledRun, SpoolWriter, spool_folder, spooled_runs
from tests.support.events import Stream, error, play, rlm_run, wait_for_workers

ROOT = str(Path(__file__).parent.parent)


def run_of(store: str, run_id: str) -> Any:
    """The one MLflow run of a run."""
    client = MlflowClient(store)
    experiments = [e.experiment_id for e in client.search_experiments()]
    (run,) = client.search_runs(experiments, f"tags.`rlm.run_id` = '{run_id}'")
    return run


def spool(events: list[dict[str, Any]], store: str, **destination: Any) -> SpooledRun:
    """Leave a run in the spool, as a process that was killed does."""
    writer = SpoolWriter(events[0]["run_id"], {"tracking_uri": store, **destination})
    for event in events:
        writer.append(event)
    writer.release()
    return SpooledRun(writer.path)


# The spool


def test_a_run_is_in_the_spool_while_it_goes_on_and_gone_afterwards(sqlite_store):
    events = rlm_run("spooled")
    sink = MlflowSink("e", tracking_uri=sqlite_store, timeout=60)
    for event in events[:5]:
        sink.emit(event)
    (run,) = spooled_runs()
    assert run.events() == events[:5]
    assert run.destination["experiment"] == "e"
    with run.claimed() as ours:
        assert not ours
    play(events[5:], sink)
    assert sink.delivered
    assert list(spool_folder().iterdir()) == []


def test_the_spool_is_private(sqlite_store):
    sink = MlflowSink(tracking_uri=sqlite_store, timeout=60)
    sink.emit(rlm_run("private")[0])
    (run,) = spooled_runs()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (spool_folder(), run.path)}
    assert modes == {0o700}
    sink.close()


def test_the_spool_keeps_no_login_and_no_relative_path(
    tmp_path, monkeypatch, free_port, swallowing
):
    monkeypatch.chdir(tmp_path)
    with pytest.warns(TrackingWarning) as told:
        play(
            rlm_run("login"),
            MlflowSink(tracking_uri=f"http://me:hunter22@127.0.0.1:{free_port}"),
        )
    (run,) = spooled_runs()
    assert run.destination["tracking_uri"] == f"http://127.0.0.1:{free_port}"
    kept = b"".join(path.read_bytes() for path in run.path.iterdir())
    assert b"hunter22" not in kept
    assert "hunter22" not in str(told[0].message)
    run.remove()
    sink = MlflowSink(tracking_uri="sqlite:///missing/mlflow.db")
    with pytest.warns(TrackingWarning):
        play(rlm_run("relative"), sink)
    (run,) = spooled_runs()
    assert run.destination["tracking_uri"] == f"sqlite:///{tmp_path}/missing/mlflow.db"


def test_the_warning_says_what_happened_where_the_data_is_and_what_to_do(free_port, swallowing):
    uri = f"http://127.0.0.1:{free_port}"
    sinks = {name: MlflowSink(tracking_uri=uri) for name in ("first", "second")}
    with pytest.warns(TrackingWarning) as told:
        _ = [play(rlm_run(name), sink) for name, sink in sinks.items()]
    (warning,) = told
    message = str(warning.message)
    assert uri in message
    assert "refused" in message
    assert str(spool_folder()) in message
    assert "rlm-runtime mlflow sync" in message
    assert [run.events()[0]["run_id"] for run in spooled_runs()] == ["first", "second"]


def test_a_spool_that_cannot_be_written_loses_no_delivery(
    sqlite_store, tmp_path, monkeypatch, swallowing
):
    (tmp_path / "home").write_text("a file where the folder should be")
    monkeypatch.setenv("RLM_RUNTIME_HOME", str(tmp_path / "home"))
    sink = MlflowSink(tracking_uri=sqlite_store, timeout=60)
    with pytest.warns(TrackingWarning, match="keep the run for a later delivery"):
        play(rlm_run("unspooled"), sink)
    assert sink.delivered


# Delivering later


def comparable(run: Any, store: str, tmp_path: Path) -> dict[str, Any]:
    """All of a run but what any two runs differ in: its ids and places."""
    client = MlflowClient(store)
    (trace_id,) = [
        trace.info.trace_id
        for trace in client.search_traces(
            locations=[run.info.experiment_id],
            filter_string=f"attributes.run_id = '{run.info.run_id}'",
        )
    ]
    trace = client.get_trace(trace_id).to_dict()
    for key in ("mlflow.sourceRun", "mlflow.artifactLocation"):
        trace["info"].get("trace_metadata", {}).pop(key, None)
        trace["info"].get("tags", {}).pop(key, None)
    trace["info"].pop("trace_location", None)
    folder = Path(client.download_artifacts(run.info.run_id, "", str(tmp_path)))
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    info = {key: getattr(run.info, key) for key in ("run_name", "status", "start_time", "end_time")}
    metrics = {
        key: [
            (m.value, m.timestamp, m.step) for m in client.get_metric_history(run.info.run_id, key)
        ]
        for key in run.data.metrics
    }
    tags = {key: value for key, value in run.data.tags.items() if key != "mlflow.runName"}
    return {
        "info": info,
        "params": run.data.params,
        "metrics": metrics,
        "tags": tags,
        "files": files,
        "trace": trace,
    }


@pytest.mark.parametrize("cut", [None, 9], ids=["complete", "killed"])
def test_a_later_delivery_is_equal_in_every_field(
    sqlite_store, free_port, tmp_path, swallowing, cut
):
    uri = f"http://127.0.0.1:{free_port}"
    events = rlm_run("equal", tags={"team": "a"}, query="long" * 3000)[:cut]
    play(events, MlflowSink("healthy", tracking_uri=sqlite_store, timeout=60))
    with pytest.warns(TrackingWarning):
        play(events, MlflowSink("late", tracking_uri=uri))
    (told,) = sync(sqlite_store)
    assert (told.state, told.run_id, told.events) == ("delivered", "equal", len(events))
    client = MlflowClient(sqlite_store)
    # The trace of a run has one id, so the two runs of this test share it: compare one by one.
    late = client.get_run(told.mlflow_run_id)
    after = comparable(late, sqlite_store, tmp_path / "late")
    healthy_id = client.get_experiment_by_name("healthy").experiment_id
    (healthy,) = client.search_runs([healthy_id])
    play(events, MlflowSink("healthy", tracking_uri=sqlite_store, timeout=60))
    assert comparable(healthy, sqlite_store, tmp_path / "healthy") == after
    assert sync() == []


def test_a_killed_process_leaves_an_honest_run(sqlite_store, tmp_path):
    code = (
        "import os, signal, sys\n"
        "from tests.support.events import rlm_run\n"
        "from rlm_runtime.logging.mlflow_sink import MlflowSink\n"
        "sink = MlflowSink('killed', tracking_uri=sys.argv[1])\n"
        "for event in rlm_run('victim')[:9]:\n"
        "    sink.emit(event)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    env = {**os.environ, "PYTHONPATH": ROOT}
    done = subprocess.run([sys.executable, "-c", code, sqlite_store], env=env, cwd=tmp_path)
    assert done.returncode == -9
    (found,) = sync(dry_run=True)
    assert (found.state, found.status, found.events) == ("pending", "KILLED", 9)
    (told,) = sync()
    assert told.state == "delivered"
    run = run_of(sqlite_store, "victim")
    assert run.info.status == "KILLED"
    assert run.info.end_time - run.info.start_time == 8
    assert run.data.tags["rlm.error_type"] == "Unfinished"
    assert run.data.metrics["lm_calls"] == 1
    spans = (
        MlflowClient(sqlite_store).search_traces(locations=[run.info.experiment_id])[0].data.spans
    )
    assert len(spans) == 5
    assert spans[0].status.status_code == "ERROR"
    assert spans[0].end_time_ns == max(span.end_time_ns for span in spans)
    assert sync() == []


def test_a_run_whose_process_lives_is_left_alone(sqlite_store):
    events = rlm_run("alive")
    sink = MlflowSink(tracking_uri=sqlite_store, timeout=60)
    for event in events[:3]:
        sink.emit(event)
    (told,) = sync()
    assert (told.state, told.run_id, told.status) == ("running", "alive", None)
    play(events[3:], sink)
    assert run_of(sqlite_store, "alive").info.status == "FINISHED"
    assert sync() == []


def test_a_later_run_delivers_what_is_left_for_its_store(sqlite_store, tmp_path):
    spool(rlm_run("left"), sqlite_store)
    spool(rlm_run("elsewhere"), "http://127.0.0.1:9")
    (spool_folder() / "20200101-damaged").mkdir()
    sink = MlflowSink(tracking_uri=sqlite_store, timeout=60)
    play(rlm_run("healthy"), sink)
    assert sink.delivered
    wait_for_workers()
    assert run_of(sqlite_store, "left").info.status == "FINISHED"
    assert "elsewhere" in {(run.events() or [{}])[0].get("run_id") for run in spooled_runs()}


def test_what_a_store_refuses_keeps_nothing_else_back(sqlite_store):
    # Somebody used a run id again, later.
    again = [{**event, "ts": event["ts"].replace("2026", "2027")} for event in rlm_run("twice")]
    refused = spool(again, sqlite_store)
    spool(rlm_run("fine"), sqlite_store)
    Delivery(Destination(sqlite_store)).finish(rlm_run("twice"))
    results = {run.run_id: run for run in sync()}
    assert run_of(sqlite_store, "fine").info.status == "FINISHED"
    assert results["twice"].state == "failed"
    assert "Give each run its own run_id" in results["twice"].error
    assert [run.path for run in spooled_runs()] == [refused.path]


def test_an_entry_that_cannot_be_claimed_keeps_no_other_back(sqlite_store):
    foreign = spool(rlm_run("foreign"), sqlite_store)
    # As another user's lock would be: not to be opened.
    Path(f"{foreign.path}.lock").mkdir()
    spool(rlm_run("mine"), sqlite_store)
    sink = MlflowSink(tracking_uri=sqlite_store, timeout=60)
    play(rlm_run("later"), sink)
    wait_for_workers()
    assert run_of(sqlite_store, "mine").info.status == "FINISHED"
    assert [run.state for run in sync()] == ["running"]


def test_events_that_find_the_disk_full_are_written_when_there_is_room(sqlite_store, monkeypatch):
    events = rlm_run("full")
    writer = SpoolWriter("full", {"tracking_uri": sqlite_store})
    writer.append(events[0])
    size = (writer.path / "events.jsonl").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, before[1]))
        for event in events[1:-1]:
            with pytest.raises(OSError, match="too large"):
                writer.append(event)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    writer.append(events[-1])
    writer.release()
    (run,) = spooled_runs()
    assert run.events() == events


def test_a_damaged_entry_is_named_and_kept(sqlite_store):
    damaged = spool(rlm_run("damaged"), sqlite_store)
    (damaged.path / "destination.json").write_text("{")
    headless = spool(rlm_run("headless")[1:], sqlite_store)
    results = {run.path: run for run in sync()}
    assert results[damaged.path].state == "unreadable"
    assert "rlm-runtime mlflow import" in results[damaged.path].error
    assert results[headless.path].state == "unreadable"
    assert "run_start" in results[headless.path].error
    assert len(spooled_runs()) == 2


def test_an_entry_without_events_is_cleared_away(sqlite_store):
    SpoolWriter("nothing", {"tracking_uri": sqlite_store}).release()
    assert sync(dry_run=True) == []
    assert len(spooled_runs()) == 1
    assert sync() == []
    assert list(spool_folder().iterdir()) == []


def test_a_run_delivered_to_another_store_leaves_its_parent_behind(sqlite_store):
    spool(rlm_run("moved"), "http://127.0.0.1:9", experiment_id="77", parent_run_id="p" * 32)
    (told,) = sync(sqlite_store)
    assert told.state == "delivered"
    assert "mlflow.parentRunId" not in run_of(sqlite_store, "moved").data.tags


def test_progress_is_told(sqlite_store):
    for name in ("a", "b"):
        spool(rlm_run(name), sqlite_store)
    told: list[Any] = []
    results = sync(on_progress=lambda *progress: told.append(progress))
    assert told == [(results[0], 1, 2), (results[1], 2, 2)]


# Importing logs


def log_of(path: Path, *runs: list[dict[str, Any]]) -> Path:
    sink = JsonlSink(path)
    for events in zip(*runs, strict=False):
        for event in events:
            sink.emit(event)
    for run in runs:
        for event in run[min(map(len, runs)) :]:
            sink.emit(event)
    sink.close()
    return path


def test_logs_become_runs_and_importing_again_changes_nothing(sqlite_store, tmp_path):
    failed = Stream("failed", query="q")
    failed.end(failed.root, status="FAILED", error=error("LMError", "no quota"))
    log = log_of(tmp_path / "log.jsonl", rlm_run("one"), failed.events, rlm_run("open")[:7])
    for _ in range(2):
        results = import_logs([log, log], tracking_uri=sqlite_store, experiment="imported")
        assert {run.run_id: (run.state, run.status) for run in results} == {
            "one": ("delivered", "FINISHED"),
            "failed": ("delivered", "FAILED"),
            "open": ("delivered", "KILLED"),
        }
    for name, status in {"one": "FINISHED", "failed": "FAILED", "open": "KILLED"}.items():
        assert run_of(sqlite_store, name).info.status == status


def test_a_run_imported_before_its_end_becomes_what_it_was(sqlite_store, tmp_path):
    events = rlm_run("grows")
    log = log_of(tmp_path / "log.jsonl", events[:9])
    import_logs([log], tracking_uri=sqlite_store)
    before = run_of(sqlite_store, "grows")
    assert before.info.status == "KILLED"
    log_of(log, events[9:])
    (told,) = import_logs([log], tracking_uri=sqlite_store)
    after = run_of(sqlite_store, "grows")
    assert after.info.run_id == before.info.run_id == told.mlflow_run_id
    assert after.info.status == "FINISHED"
    assert "rlm.error_type" not in after.data.tags
    (trace,) = MlflowClient(sqlite_store).search_traces(locations=[after.info.experiment_id])
    assert trace.info.state == "OK"
    assert len(trace.data.spans) == 18
    assert [s.name for s in trace.data.spans if s.status.status_code == "ERROR"] == ["python"]


def test_an_older_copy_of_a_log_takes_nothing_back(sqlite_store, tmp_path):
    events = rlm_run("whole")
    logs = [log_of(tmp_path / "whole.jsonl", events), log_of(tmp_path / "old.jsonl", events[:9])]
    results = import_logs(logs, tracking_uri=sqlite_store)
    assert [run.state for run in results] == ["delivered", "delivered"]
    run = run_of(sqlite_store, "whole")
    assert run.info.status == "FINISHED"
    assert "rlm.error_type" not in run.data.tags


def test_a_run_that_is_imported_while_it_goes_on_ends_as_it_should(sqlite_store, tmp_path):
    events = rlm_run("going")
    sink = MlflowSink(tracking_uri=sqlite_store, timeout=60)
    for event in events[:9]:
        sink.emit(event)
    import_logs([log_of(tmp_path / "log.jsonl", events[:9])], tracking_uri=sqlite_store)
    play(events[9:], sink)
    run = run_of(sqlite_store, "going")
    assert run.info.status == "FINISHED"
    assert "rlm.error_type" not in run.data.tags


def test_a_killed_run_and_a_later_one_of_its_id_are_told_apart(sqlite_store, tmp_path):
    first = rlm_run("again")[:9]
    second = [{**event, "ts": event["ts"].replace("2026", "2027")} for event in rlm_run("again")]
    log = log_of(tmp_path / "log.jsonl", first)
    log_of(log, second)
    results = import_logs([log], tracking_uri=sqlite_store)
    assert [(run.state, run.events) for run in results] == [
        ("delivered", 9),
        ("failed", len(second)),
    ]


def test_a_folder_as_a_store_takes_a_run_again(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    store = (tmp_path / "mlruns").as_uri()
    log = log_of(tmp_path / "log.jsonl", rlm_run("files"))
    for _ in range(2):
        (told,) = import_logs([log], tracking_uri=store)
        assert (told.state, told.error) == ("delivered", None)
    client = MlflowClient(store)
    assert len(client.get_metric_history(told.mlflow_run_id, "converged")) == 1
    assert len(client.search_traces(locations=["0"])[0].data.spans) == 18


def test_a_file_that_is_no_log_is_refused_before_anything_is_done(sqlite_store, tmp_path):
    good = log_of(tmp_path / "good.jsonl", rlm_run("good"))
    bad = tmp_path / "bad.jsonl"
    bad.write_text(json.dumps({"hello": 1}) + "\n")
    with pytest.raises(LogFormatError, match=r"bad\.jsonl, line 1"):
        import_logs([good, bad], tracking_uri=sqlite_store)
    assert MlflowClient(sqlite_store).search_runs(["0"]) == []


def test_a_dry_run_only_looks(sqlite_store, tmp_path):
    log = log_of(tmp_path / "log.jsonl", rlm_run("looked at"))
    (found,) = import_logs([log], tracking_uri=sqlite_store, dry_run=True)
    assert (found.state, found.run_id, found.path) == ("pending", "looked at", log)
    spool(list(LogReader(log)), sqlite_store)
    (found,) = sync(dry_run=True)
    assert found.state == "pending"
    assert MlflowClient(sqlite_store).search_runs(["0"]) == []
    assert len(spooled_runs()) == 1


@pytest.mark.parametrize("call", [sync, lambda: import_logs([])], ids=["sync", "import"])
def test_without_mlflow_both_say_how_to_get_it(call, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ConfigurationError, match="pip install"):
        call()
