"""Planted secrets get into no log, spool, store or console, from wherever in a run they come."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dspy
import pytest
from typer.testing import CliRunner

from rlm_runtime import observe, run_dspy_rlm
from rlm_runtime.cli.app import app
from rlm_runtime.logging.events import Event
from rlm_runtime.redaction import MARKER, redact_secrets
from tests.support.chat_server import chat_server
from tests.support.collect import Collected, check_events
from tests.support.lms import ScriptedLM, cell, fields
from tests.support.planted import ENVIRONMENT, PLANTED, body, found_in

EVERYTHING = "\n".join(
    [
        *(plant.text for plant in PLANTED.values()),
        *ENVIRONMENT.values(),
        json.dumps(ENVIRONMENT["PLANTED_PASSWORD"]),
        f"https://example.org/{quote(ENVIRONMENT['PLANTED_API_KEY'], safe='')}",
    ]
)
# Without a look of their own: what hides these is the name of their key.
KEYED = {
    name: body(name)
    for name in ("api_key", "clientSecret", "X-Auth-Token", "password", "session_cookie")
}
_FORMS = {
    name: (
        secret,
        json.dumps(secret)[1:-1],
        quote(secret, safe=""),
    )
    for name, secret in {
        **{name: value for name, value in ENVIRONMENT.items() if "://" not in value},
        "DATABASE_URL": body("database"),
        **KEYED,
    }.items()
}
_ONTOLOGY = f"""
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix ex: <http://example.org/> .
ex:Vault a rdfs:Class ; rdfs:label "Vault" ; rdfs:comment {json.dumps(EVERYTHING)} .
"""
# Each part of a run that can hold a text holds every planted secret.
_CELLS = (
    cell(f"# {PLANTED['github'].text}\nnote = {EVERYTHING!r}\nprint(note)", EVERYTHING),
    cell('print(describe_entity("ex:Vault"))'),
    cell(f"search_entity({EVERYTHING!r})"),
    cell(f"print(llm_query({EVERYTHING!r}))"),
    cell(f"raise ValueError({EVERYTHING!r})"),
    cell(
        f"note = {EVERYTHING!r}\n"
        "SUBMIT(answer=note, sparql='ASK {} # ' + note.replace(chr(10), ' '),\n"
        "       evidence=[note, {note: 1}], thinking=note, verification=note, reflection=note)"
    ),
)


def secrets_in(data: str | bytes) -> list[str]:
    """Name what data holds of all that was planted."""
    data = data if isinstance(data, bytes) else data.encode("utf-8", "replace")
    known = [name for name, forms in _FORMS.items() if any(f.encode() in data for f in forms)]
    return [*found_in(data), *known]


def all_files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class SpoolReader:
    """A sink that reads what lies in the spool each time that something happens."""

    def __init__(self) -> None:
        self.seen: dict[Path, bytes] = {}

    def emit(self, event: Event) -> None:
        self.seen |= all_files(Path(os.environ["RLM_RUNTIME_HOME"]))

    def close(self) -> None:
        self.seen |= all_files(Path(os.environ["RLM_RUNTIME_HOME"]))


@pytest.fixture(autouse=True)
def _planted_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def ontology(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ontology") / "vault.ttl"
    path.write_text(_ONTOLOGY)
    return path


def answering() -> ScriptedLM:
    return ScriptedLM(*_CELLS[:4], EVERYTHING, *_CELLS[4:])


def recorded_everywhere(folder: Path, store: str, **more: Any) -> dict[str, Any]:
    return {
        "log_path": folder / "log.jsonl",
        "enable_mlflow": True,
        "mlflow_tracking_uri": store,
        "mlflow_run_name": EVERYTHING,
        "mlflow_timeout": 60,
        "verbose": True,
        **more,
    }


def ask(ontology: Path, **options: Any) -> Any:
    return run_dspy_rlm(
        f"What is in the vault?\n{EVERYTHING}",
        ontology,
        ontology_name=PLANTED["gitlab"].text,
        mlflow_tags={"note": EVERYTHING, "api_key": KEYED["api_key"], PLANTED["npm"].secret: "1"},
        **options,
    )


def test_an_answered_run_leaves_no_secret(
    ontology: Path, sqlite_store: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("mlflow")
    seen, spool = Collected(), SpoolReader()
    result = ask(
        ontology,
        model=answering(),
        sinks=[seen, spool],
        **recorded_everywhere(tmp_path, sqlite_store),
    )
    assert result.converged
    assert len(seen.named("tool_end")) >= 3, "the run went another way"
    assert len(seen.named("lm_end")) == 7, "the run went another way"
    check_events(seen.events)
    assert any(path.name == "events.jsonl" for path in spool.seen)
    _nothing_leaked(tmp_path, spool, capfd)
    _mlflow_shows_no_secret(sqlite_store, result.mlflow_run_id, result.trace_id, tmp_path)
    assert not secrets_in(str(result.trajectory))
    # What the caller asked for is theirs.
    assert result.answer == EVERYTHING


def test_a_failed_run_leaves_no_secret(
    ontology: Path, sqlite_store: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("mlflow")
    spool = SpoolReader()
    failure = dspy.LMError(EVERYTHING)
    with pytest.raises(dspy.LMError) as raised:
        ask(
            ontology,
            model=ScriptedLM(_CELLS[0], failure),
            sinks=[spool],
            **recorded_everywhere(tmp_path, sqlite_store),
        )
    assert EVERYTHING in str(raised.value)
    assert not secrets_in(str(raised.value.trajectory))  # type: ignore[attr-defined]
    _nothing_leaked(tmp_path, spool, capfd)
    import mlflow

    (run,) = mlflow.MlflowClient(sqlite_store).search_runs(["0"])
    assert run.info.status == "FAILED"
    _mlflow_shows_no_secret(sqlite_store, run.info.run_id, None, tmp_path)


def test_any_recorded_program_leaves_no_secret(
    sqlite_store: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("mlflow")
    seen, spool = Collected(), SpoolReader()

    def look_up(place: str) -> dict[str, Any]:
        """Tells what is there."""
        return {EVERYTHING: place, "found": [KEYED], "headers": {"X-Team": KEYED["password"]}}

    lm = ScriptedLM(fields(answer=EVERYTHING))
    lm.kwargs |= {
        "api_key": KEYED["api_key"],
        "extra_headers": {"X-Anything": KEYED["clientSecret"]},
        "note": EVERYTHING,
    }
    options = recorded_everywhere(tmp_path, sqlite_store, log_adapters=True)
    with (
        observe(
            PLANTED["github"].text,
            query=EVERYTHING,
            ontology=EVERYTHING,
            params={**KEYED, "note": EVERYTHING, "headers": {"A": KEYED["password"]}},
            tags={"note": EVERYTHING},
            sinks=[seen, spool],
            **options,
        ) as run,
        dspy.context(lm=lm),
    ):
        dspy.Tool(look_up)(place=EVERYTHING)
        # The scripted LM cannot send the settings on; what was asked of it is recorded.
        with pytest.raises(dspy.LMError):
            dspy.Predict("question -> answer")(
                question=EVERYTHING, config={"auth": KEYED["session_cookie"], "my_key": body("x")}
            )
        run.report(outputs={"note": EVERYTHING, **KEYED}, metrics={EVERYTHING: float("nan")})
        run.stream.emit("warning", None, run.root_id, category="x", message=EVERYTHING)
    check_events(seen.events)
    assert seen.named("adapter_start")
    (call,) = seen.named("lm_start")
    assert call["params"]["extra_headers"] == {"X-Anything": MARKER}
    assert (call["params"]["auth"], call["params"]["my_key"]) == (MARKER, MARKER)
    assert body("x") not in str(seen.events)
    _nothing_leaked(tmp_path, spool, capfd)
    _mlflow_shows_no_secret(sqlite_store, run.mlflow_run_id, run.trace_id, tmp_path)


def _nothing_leaked(folder: Path, spool: SpoolReader, capfd: pytest.CaptureFixture[str]) -> None:
    files = all_files(folder) | spool.seen
    leaks = {path.name: found for path, data in files.items() if (found := secrets_in(data))}
    assert not leaks
    assert MARKER.encode() in files[folder / "log.jsonl"]
    assert MARKER.encode() in b"".join(
        data for path, data in files.items() if path.name.startswith("mlflow.db")
    )
    printed = "".join(capfd.readouterr())
    assert not secrets_in(printed)


def _mlflow_shows_no_secret(
    store: str, run_id: str | None, trace_id: str | None, folder: Path
) -> None:
    import mlflow

    client = mlflow.MlflowClient(store)
    assert run_id is not None
    run = client.get_run(run_id)
    assert not secrets_in(json.dumps(run.to_dictionary()))
    assert MARKER in run.info.run_name
    target = folder / "downloaded"
    target.mkdir()
    client.download_artifacts(run_id, "", str(target))
    files = all_files(target)
    assert any(path.name == "trajectory.jsonl" for path in files)
    assert not {path.name: secrets_in(data) for path, data in files.items() if secrets_in(data)}
    if trace_id is not None:
        trace = client.get_trace(trace_id).to_json()
        assert MARKER in trace
        assert not secrets_in(trace)


def test_with_redaction_off_everything_is_there(
    ontology: Path, sqlite_store: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("mlflow")
    result = ask(
        ontology,
        model=answering(),
        redact=None,
        **recorded_everywhere(tmp_path, sqlite_store),
    )
    wanted = {*PLANTED, *ENVIRONMENT, "api_key"}
    log = (tmp_path / "log.jsonl").read_bytes()
    assert {*secrets_in(log)} == wanted
    assert MARKER.encode() not in log
    assert {*secrets_in((tmp_path / "mlflow.db").read_bytes())} >= wanted - {"DATABASE_URL"}
    assert {*secrets_in(capfd.readouterr().err)} >= {*PLANTED}
    assert EVERYTHING in result.trajectory[0].output


def test_a_function_of_ones_own_adds_to_the_rules(ontology: Path, tmp_path: Path) -> None:
    def rule(text: str) -> str:
        return redact_secrets(text).replace("vault", "(a place)")

    ask(ontology, model=answering(), log_path=tmp_path / "log.jsonl", redact=rule)
    log = (tmp_path / "log.jsonl").read_text()
    assert "vault" not in log
    assert "(a place)" in log
    assert not secrets_in(log)


# The command line


@pytest.fixture
def command(ontology: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    for name in ("RLM_MODEL", "RLM_RUNTIME_DEBUG", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEYED["api_key"])

    def run(replies: tuple[str | int, ...], *more: str) -> Any:
        with chat_server(*replies) as server:
            # A model of its own for each call: DSPy's cache on disk outlives the tests.
            options = ["--model", f"openai/test-{uuid.uuid4().hex}", "--api-base", server.base]
            return CliRunner().invoke(app, ["ask", EVERYTHING, str(ontology), *options, *more])

    return run


@pytest.mark.parametrize("more", [(), ("--json",), ("--quiet",), ("--debug",)])
def test_the_command_line_shows_no_secret(command: Callable[..., Any], more: tuple[str]) -> None:
    shown = command((*_CELLS[:4], EVERYTHING, *_CELLS[4:]), *more)
    assert shown.exit_code == 0, shown.output
    assert not secrets_in(shown.stdout)
    assert not secrets_in(shown.stderr)
    assert MARKER in shown.stdout
    if "--json" in more:
        assert json.loads(shown.stdout)["converged"]


@pytest.mark.parametrize("more", [(), ("--json",), ("--debug",)])
def test_the_command_line_shows_no_secret_of_a_failure(
    command: Callable[..., Any], more: tuple[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise dspy.LMError(EVERYTHING)

    monkeypatch.setattr(dspy.Predict, "forward", fails)
    shown = command((400,), *more)
    assert shown.exit_code == 1
    assert not secrets_in(shown.output)
    assert f"LMError: use {MARKER}" in shown.stderr
