"""``rlm-runtime ask`` answers over a real endpoint, shows its steps, and says how it ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rlm_runtime.cli.app import app
from rlm_runtime.logging.jsonl import LogReader
from tests.support.chat_server import ChatServer, chat_server
from tests.support.lms import cell, fields

ROOT = Path(__file__).parent.parent
PROV = str(ROOT / "ontology" / "prov.ttl")
SEARCH = cell('found = search_entity("Activity")\nprint(found)', "I look for the class.")
FAIL = cell("print(undefined)", "I try something.")
SUBMIT = cell(
    'SUBMIT(answer="Something that goes on.", evidence=["prov:Activity", "prov:Nonsense"], '
    'sparql="SELECT ?c WHERE { prov:Activity rdfs:comment ?c }")',
    "I have it.",
)
EXTRACTED = fields(
    answer="Not found in time.",
    sparql="",
    evidence="[]",
    thinking="I searched.",
    verification="none",
    reflection="all",
)


@pytest.fixture(autouse=True)
def _no_model_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RLM_MODEL", "OPENAI_API_KEY", "RLM_RUNTIME_DEBUG", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def answering() -> Iterator[ChatServer]:
    with chat_server(SEARCH, FAIL, SUBMIT) as server:
        yield server


def arguments(server: ChatServer, *more: object) -> list[str]:
    # A model of its own for each call: DSPy's cache on disk outlives the tests.
    model = f"openai/test-{uuid.uuid4().hex}"
    options = ["--model", model, "--api-base", server.base, *map(str, more)]
    return ["ask", "What is Activity?", PROV, *options]


def ask(server: ChatServer, *more: object) -> Result:
    return CliRunner().invoke(app, arguments(server, *more))


def test_steps_go_to_stderr_and_the_answer_to_stdout(answering: ChatServer, tmp_path: Path) -> None:
    log = tmp_path / "a run.jsonl"
    result = ask(answering, "--log", log)
    assert result.exit_code == 0, result.output
    for piece in (
        "── step 1 ",
        "I look for the class.",
        'print(found)\n  tool search_entity(query="Activity")',
        "prov:Activity | Activity | class",
        "  ✗ line 1: print(undefined)\n    NameError: name 'undefined' is not defined",
        "── step 3 ",
    ):
        assert piece in result.stderr
    assert "step" not in result.stdout.partition("FINISHED")[0]
    assert result.stdout.startswith("Answer\n  Something that goes on.\nSPARQL\n")
    assert "✓ ran again: 1 row" in result.stdout
    assert "in the ontology: 1 of 2 IRIs" in result.stdout
    assert "not in the ontology: http://www.w3.org/ns/prov#Nonsense" in result.stdout
    assert "FINISHED  submitted · converged\n3 steps · 3 LM calls · 1 tool call" in result.stdout
    assert f"rlm-runtime log show '{log}'" in result.stdout
    assert [event["event"] for event in LogReader(log)][-1] == "run_end"
    shown = CliRunner().invoke(app, ["log", "show", str(log)]).stdout
    assert result.stderr.strip() in shown, "the log shows the very steps that were seen"


def test_json_is_the_whole_result_and_nothing_else(answering: ChatServer, tmp_path: Path) -> None:
    result = ask(answering, "--json", "--tag", "team=a", "--log", tmp_path / "log.jsonl")
    told = json.loads(result.stdout)
    assert told["answer"] == "Something that goes on."
    assert told["converged"] is True
    assert told["stop_reason"] == "submitted"
    assert len(told["trajectory"]) == told["iteration_count"] == 3
    assert told["grounding"]["evidence_grounded"] == 0.5
    assert told["usage"]["total"]["calls"] == 3
    assert told["log_path"].endswith("log.jsonl")
    assert "── step 1" in result.stderr
    start = next(iter(LogReader(told["log_path"])))
    assert start["run_id"] == told["run_id"]
    assert start["tags"] == {"team": "a"}


def test_quiet_shows_no_steps(answering: ChatServer) -> None:
    result = ask(answering, "--quiet")
    assert "step 1" not in result.stderr
    assert result.stdout.startswith("Answer")


def test_a_run_without_an_answer_of_its_own_exits_3() -> None:
    with chat_server(SEARCH, EXTRACTED) as server:
        result = ask(server, "--max-iterations", 1)
    assert result.exit_code == 3, result.output
    assert "max_iterations · not converged" in result.stdout
    assert "Not found in time." in result.stdout
    assert "answer from the steps so far" in result.stderr


def test_a_spent_budget_exits_3_and_is_named() -> None:
    with chat_server(SEARCH) as server:
        result = ask(server, "--max-tokens", 10)
    assert result.exit_code == 3, result.output
    assert "the budget max_tokens=10 is used up" in result.stderr
    assert "budget · not converged" in result.stdout


def test_mlflow_is_told_where_the_run_is(answering: ChatServer, tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    result = ask(answering, "--experiment", "asked", "--tracking-uri", uri, "--tag", "team=a")
    assert result.exit_code == 0, result.output
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("asked")
    assert experiment is not None
    [run] = client.search_runs([experiment.experiment_id])
    assert run.data.tags["team"] == "a"
    assert f"MLflow    run {run.info.run_id} in experiment 'asked' at {uri}" in result.stdout
    assert f"mlflow ui --backend-store-uri {uri}" in result.stdout


@pytest.mark.filterwarnings("default::rlm_runtime.errors.TrackingWarning")
def test_an_mlflow_that_is_away_is_a_warning(answering: ChatServer, swallowing: None) -> None:
    pytest.importorskip("mlflow")
    result = ask(answering, "--mlflow", "--tracking-uri", "http://127.0.0.1:9")
    assert result.exit_code == 0, result.output
    assert "warning: Could not deliver the run to MLflow" in result.stderr
    assert "rlm-runtime mlflow sync" in result.stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([PROV], "Give --model a LiteLLM name"),
        (["nowhere.ttl", "--model", "offline"], "nowhere.ttl"),
        ([PROV, "--model", "openai/gpt-4o-mini"], "OPENAI_API_KEY"),
        ([PROV, "--model", "offline", "--tag", "four"], "--tag 'four' is no key=value"),
        (
            [PROV, "--model", "openai/x", "--api-base", "http://127.0.0.1:9", "--max-cost", "0"],
            "max_cost",
        ),
        ([PROV, "--model", "x", "--max-iterations", "0"], "--max-iterations"),
        ([PROV, "--model", "x", "--interpreter", "cpython"], "pyodide"),
        ([], "ONTOLOGY"),
    ],
)
def test_bad_usage_exits_2_before_anything_is_spent(options: list[str], says: str) -> None:
    result = CliRunner().invoke(app, ["ask", "What?", *options])
    assert result.exit_code == 2
    assert "rror: " in result.stderr
    assert says in result.stderr
    assert not result.stdout


def test_a_failing_endpoint_exits_1_and_says_where_the_log_is(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    with chat_server(400) as server:
        result = ask(server, "--log", log)
    assert result.exit_code == 1, result.output
    assert "error: The run failed with " in result.stderr
    assert "the endpoint says no" in result.stderr
    assert f"rlm-runtime log show {log}" in result.stderr
    assert "Traceback" not in result.stderr
    assert list(LogReader(log))[-1]["status"] == "FAILED"
    assert not result.stdout


def start(server: ChatServer, *more: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "rlm_runtime.cli", *arguments(server, *more)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_is_recorded_as_killed(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    log = tmp_path / "log.jsonl"
    with chat_server(None) as server:
        child = start(server, "--log", log)
        try:
            assert server.asked.wait(60), "the run never asked its LM"
            child.send_signal(number)
            out, err = child.communicate(timeout=60)
        finally:
            child.kill()
            child.wait()
    assert child.returncode == code, err
    assert "interrupted" in err
    assert f"rlm-runtime log show {log}" in err
    assert "Traceback" not in err
    assert not out
    assert list(LogReader(log))[-1]["status"] == "KILLED"


def test_debug_shows_the_traceback() -> None:
    with chat_server(400) as server:
        child = start(server, "--debug", "--quiet")
        _, err = child.communicate(timeout=120)
    assert child.returncode == 1
    assert "Traceback" in err
    assert "The run failed with " in err


def test_the_log_of_an_answer_is_valid_in_a_process_of_its_own(
    answering: ChatServer, tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    child = start(answering, "--json", "--quiet", "--log", log)
    out, err = child.communicate(timeout=120)
    assert child.returncode == 0, err
    assert json.loads(out)["converged"] is True
    checked = CliRunner().invoke(app, ["log", "validate", str(log)])
    assert checked.exit_code == 0, checked.output


def test_commands_to_copy_find_their_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rlm_runtime.cli.words import command_words

    (tmp_path / "rlm-runtime").touch(mode=0o755)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command_words("rlm-runtime", "log", "a b") == "rlm-runtime log 'a b'"
    monkeypatch.setenv("PATH", "")
    assert command_words("rlm-runtime", "log") == f"{tmp_path}/rlm-runtime log"
    monkeypatch.chdir(tmp_path.parent)
    assert command_words("rlm-runtime", "log") == f"{tmp_path.name}/rlm-runtime log"
    assert command_words("nowhere") == "nowhere"
