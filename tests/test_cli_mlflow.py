"""``rlm-runtime mlflow`` brings to MLflow what waits on disk, and tells what it did."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from typer.testing import CliRunner, Result

from rlm_runtime import observe
from rlm_runtime.cli.app import app
from rlm_runtime.errors import TrackingWarning
from rlm_runtime.guard import forget_warnings
from rlm_runtime.logging.jsonl import LogReader
from rlm_runtime.logging.spool import SpoolWriter

ROOT = Path(__file__).parent.parent


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["mlflow", *map(str, arguments)])


def shown(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def told(*arguments: object, code: int = 0) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


@pytest.fixture
def away(free_port: int, swallowing: None) -> str:
    """The address of a server that refuses."""
    return f"http://127.0.0.1:{free_port}"


def keep(uri: str, *run_ids: str) -> None:
    """Make runs that stay in the spool, because their server is away."""
    for run_id in run_ids:
        with (
            pytest.warns(TrackingWarning),
            observe(
                "program",
                run_id=run_id,
                query=f"What is {run_id}?",
                enable_mlflow=True,
                mlflow_tracking_uri=uri,
            ) as recorded,
        ):
            recorded.report(outputs={"answer": run_id})
        forget_warnings()


def child(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Start Python in the folder of the sources, with our environment."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "RLM_RUNTIME_RAISE": "0"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def runs_in(store: str) -> dict[str, Any]:
    """Give the MLflow runs by the ids of ours; no two may have the same."""
    client = MlflowClient(store)
    experiments = [one.experiment_id for one in client.search_experiments()]
    found = client.search_runs(experiments)
    by_id = {one.data.tags["rlm.run_id"]: one for one in found}
    assert len(by_id) == len(found)
    return by_id


def trace_of(store: str, mlflow_run: Any) -> Any:
    client = MlflowClient(store)
    (trace,) = client.search_traces(
        locations=[mlflow_run.info.experiment_id], run_id=mlflow_run.info.run_id
    )
    return trace


# sync


def test_with_nothing_to_deliver_it_says_so_and_where_it_looked() -> None:
    text = shown("sync")
    assert text.startswith("Nothing to deliver: ")
    assert os.environ["RLM_RUNTIME_HOME"] in text
    assert told("sync")["runs"] == []


def test_what_a_server_refused_is_delivered_once(sqlite_store: str, away: str) -> None:
    keep(away, "one", "two")

    result = run("sync", "--dry-run")
    assert result.exit_code == 0
    assert result.stdout.endswith(f"\n2 runs: 2 to be delivered\nwhere: {away}\n")

    result = run("sync")
    assert result.exit_code == 1
    assert "2 runs: 2 failed" in result.stdout
    assert result.stderr.count("error: ") == 1, "one cause is told once"
    assert "error: 2 runs not delivered: " in result.stderr
    assert "  one is kept in " in result.stderr
    assert result.stderr.splitlines()[-1].endswith("rlm-runtime mlflow sync")

    result = run("sync", "--tracking-uri", sqlite_store)
    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines() == [
        "1/2  one · FINISHED · 2 events · delivered",
        "2/2  two · FINISHED · 2 events · delivered",
    ]
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["run", "status", "events", "outcome"]
    assert [line.split() for line in lines[1:3]] == [
        ["one", "FINISHED", "2", "delivered"],
        ["two", "FINISHED", "2", "delivered"],
    ]
    assert lines[-2:] == ["2 runs: 2 delivered", f"where: {sqlite_store}"]
    assert {one.info.status for one in runs_in(sqlite_store).values()} == {"FINISHED"}
    assert runs_in(sqlite_store)["two"].data.params["query"] == "What is two?"

    assert "Nothing to deliver" in shown("sync", "--tracking-uri", sqlite_store)
    assert set(runs_in(sqlite_store)) == {"one", "two"}


KILLED = """
import os, signal, sys
from rlm_runtime import observe
with observe("program", run_id="dead", enable_mlflow=True, mlflow_tracking_uri=sys.argv[1]):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_run_whose_process_was_killed_is_settled(sqlite_store: str) -> None:
    process = child(KILLED, sqlite_store)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    report = told("sync")
    (one,) = report["runs"]
    assert (one["run_id"], one["status"], one["state"]) == ("dead", "KILLED", "delivered")
    assert report["delivered"] == 1
    (mlflow_run,) = runs_in(sqlite_store).values()
    assert mlflow_run.info.status == "KILLED"
    assert mlflow_run.info.run_id == one["mlflow_run_id"]
    (span,) = trace_of(sqlite_store, mlflow_run).data.spans
    assert (span.name, span.status.status_code.name) == ("program", "ERROR")


RUNNING = """
import sys
from rlm_runtime import observe
with observe("program", run_id="alive", enable_mlflow=True, mlflow_tracking_uri=sys.argv[1]):
    print("ready", flush=True)
    sys.stdin.readline()
"""


def test_a_run_that_goes_on_is_left_to_its_own_process(sqlite_store: str) -> None:
    process = child(RUNNING, sqlite_store)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    text = shown("sync")
    assert "1 run: 1 still running" in text
    assert "delivered by their own process" in text
    _, errors = process.communicate("\n")
    assert process.returncode == 0, errors
    assert runs_in(sqlite_store)["alive"].info.status == "FINISHED"
    assert "Nothing to deliver" in shown("sync")


@pytest.fixture
def silent_server() -> Iterator[str]:
    """The address of something that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_ctrl_c_is_harmless_and_says_how_to_go_on(away: str, silent_server: str) -> None:
    keep(away, "first")
    # Kept for the silent server, without waiting for it now.
    keep(away, "second")
    spool = Path(os.environ["RLM_RUNTIME_HOME"], "spool")
    destination = sorted(spool.glob("*/destination.json"))[-1]
    destination.write_text(destination.read_text().replace(away, silent_server))

    process = child("from rlm_runtime.cli import main; main()", "mlflow", "sync")
    assert process.stderr is not None
    assert process.stderr.readline() == "1/2  first · FINISHED · 2 events · failed\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert errors.startswith("interrupted\n  Nothing is lost")
    assert errors.rstrip().endswith("mlflow sync")
    assert "Traceback" not in errors
    assert [one["run_id"] for one in told("sync", "--dry-run")["runs"]] == ["first", "second"]


def test_a_damaged_record_is_told_and_keeps_no_other_back(sqlite_store: str, away: str) -> None:
    keep(away, "damaged", "whole")
    spool = Path(os.environ["RLM_RUNTIME_HOME"], "spool")
    (sorted(spool.iterdir())[0] / "events.jsonl").write_text("no event\n")
    result = run("sync", "--tracking-uri", sqlite_store)
    assert result.exit_code == 1
    assert "1 delivered, 1 unreadable" in result.stdout
    assert "error: 1 run not delivered: " in result.stderr
    assert "events.jsonl, line 1" in result.stderr
    assert set(runs_in(sqlite_store)) == {"whole"}


def test_places_are_a_column_when_there_are_several(away: str) -> None:
    keep(away, "one")
    keep(away + "/two", "two")
    lines = shown("sync", "--dry-run").splitlines()
    assert lines[0].split()[-1] == "where"
    assert [line.split()[-1] for line in lines[1:3]] == [away, away + "/two"]
    assert lines[-1] == "2 runs: 2 to be delivered"


# import


def write_log(path: Path, *run_ids: str) -> Path:
    """Write the log of runs that go on at the same time, recorded without MLflow."""
    with ExitStack() as stack:
        for run_id in run_ids:
            recorded = stack.enter_context(
                observe(f"program {run_id}", run_id=run_id, log_path=path)
            )
            recorded.report(outputs={"answer": run_id})
    return path


def test_interleaved_runs_of_logs_become_runs_with_traces(
    sqlite_store: str, tmp_path: Path
) -> None:
    log = write_log(tmp_path / "log.jsonl", "a", "b", "c")
    assert [event["run_id"] for event in LogReader(log)] == list("abccba")
    options = ("--tracking-uri", sqlite_store, "--experiment", "study")
    assert "3 runs" in shown("import", log, "--dry-run", *options)
    assert not runs_in(sqlite_store)

    report = told("import", log, log, *options)
    assert report["delivered"] == 3
    runs = runs_in(sqlite_store)
    assert {run_id: one.info.status for run_id, one in runs.items()} == dict.fromkeys(
        "abc", "FINISHED"
    )
    for run_id, one in runs.items():
        assert MlflowClient(sqlite_store).get_experiment(one.info.experiment_id).name == "study"
        assert trace_of(sqlite_store, one).data.spans[0].name == f"program {run_id}"

    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(log.read_bytes())
    shown("import", log, copy, *options)
    assert {key: one.info.run_id for key, one in runs_in(sqlite_store).items()} == {
        key: one.info.run_id for key, one in runs.items()
    }


def test_an_unfinished_run_becomes_killed_and_after_its_end_what_it_was(
    sqlite_store: str, tmp_path: Path
) -> None:
    log = write_log(tmp_path / "log.jsonl", "a")
    whole = log.read_bytes()
    log.write_bytes(whole.splitlines(keepends=True)[0] + b'{"v":1,"seq"')
    assert "KILLED" in shown("import", log, "--tracking-uri", sqlite_store)
    assert runs_in(sqlite_store)["a"].info.status == "KILLED"
    log.write_bytes(whole)
    assert "FINISHED" in shown("import", log, "--tracking-uri", sqlite_store)
    one = runs_in(sqlite_store)["a"]
    assert one.info.status == "FINISHED"
    assert "rlm.error_type" not in one.data.tags
    (span,) = trace_of(sqlite_store, one).data.spans
    assert span.status.status_code.name == "OK"


def test_a_run_without_its_beginning_is_told_and_keeps_no_other_back(
    sqlite_store: str, tmp_path: Path
) -> None:
    log = write_log(tmp_path / "log.jsonl", "a", "b")
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[1:]))
    result = run("import", log, "--tracking-uri", sqlite_store)
    assert result.exit_code == 1
    assert "2 runs: 1 delivered, 1 " in result.stdout
    assert f"  a is kept in {log}" in result.stderr
    assert set(runs_in(sqlite_store)) == {"b"}


def test_a_log_without_runs_is_nothing_to_import(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    assert shown("import", empty) == "Nothing to import: there is no run in what was given.\n"


# Bad usage


def test_one_file_that_is_no_log_stops_all_of_it(sqlite_store: str, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.jsonl", "a")
    for bad in (__file__, tmp_path / "nowhere.jsonl"):
        result = run("import", log, bad, "--tracking-uri", sqlite_store)
        assert result.exit_code == 2
        assert str(bad) in result.stderr
        assert not runs_in(sqlite_store)


@pytest.mark.parametrize("arguments", [["sync"], ["import", "log.jsonl"]])
def test_a_mistake_in_the_settings_is_bad_usage(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", None)
    (tmp_path / "rlm.toml").write_text("mlflow_tracking_uri = 5000")
    SpoolWriter("waits", {"tracking_uri": "http://127.0.0.1:9"}).release()
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: In ")
    assert "rlm.toml" in result.stderr


WITHOUT = """
import sys
sys.modules["mlflow"] = None
from rlm_runtime.cli import main
main()
"""


def test_without_mlflow_it_says_what_to_install() -> None:
    process = child(WITHOUT, "mlflow", "sync")
    _, errors = process.communicate()
    assert process.returncode == 2
    assert "pip install 'rlm-runtime[mlflow]'" in errors


HELP = """
import contextlib, sys
from rlm_runtime.cli.app import app
for words in (["--help"], ["sync", "--help"], ["import"]):
    with contextlib.suppress(SystemExit):
        app(["mlflow", *words])
print("modules", *sys.modules)
"""


def test_help_and_bad_usage_need_neither_mlflow_nor_dspy() -> None:
    process = child(HELP)
    output, errors = process.communicate()
    assert "Deliver runs" in output
    assert "Missing argument" in errors
    loaded = set(output.rpartition("modules ")[2].split())
    assert not {"mlflow", "dspy", "litellm", "pyoxigraph"} & loaded
