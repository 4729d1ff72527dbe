"""``rlm-runtime mlflow`` finds, shows, compares and exports runs, and serves MLflow's pages."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from typer.testing import CliRunner, Result

from benchmarks.analysis import fill
from rlm_runtime.cli.app import app

ROOT = Path(__file__).parent.parent


def run(*arguments: object, width: int | None = None) -> Result:
    env = {"COLUMNS": str(width)} if width else {}
    return CliRunner().invoke(app, ["mlflow", *map(str, arguments)], env=env)


def shown(*arguments: object, width: int | None = None) -> str:
    result = run(*arguments, width=width)
    assert result.exit_code == 0, result.output
    return result.stdout


def told(*arguments: object) -> Any:
    return json.loads(shown(*arguments, "--json"))


def table(*arguments: object) -> list[dict[str, str]]:
    return [*csv.DictReader(io.StringIO(shown(*arguments, "--csv")))]


def refused(*arguments: object, code: int = 2) -> str:
    result = run(*arguments)
    assert result.exit_code == code, result.output
    assert not result.stdout
    return " ".join(result.stderr.split())


def make_run(store: str, experiment: str, number: int, **values: object) -> str:
    """Make a run as ours are; give its id in MLflow."""
    client = MlflowClient(store)
    found = client.get_experiment_by_name(experiment)
    home = found.experiment_id if found else client.create_experiment(experiment)
    made = client.create_run(home, start_time=1_700_000_000_000 + number, run_name=f"run {number}")
    params = {
        "query": f"What is the whole meaning of question number {number}?",
        "ontology": "prov",
        "model": "openai/gpt-5-mini",
        **values,
    }
    metrics = {"converged": number % 2, "iteration_count": number, "cost_usd": number / 7000}
    client.log_batch(
        made.info.run_id,
        params=[Param(key, str(value)) for key, value in params.items()],
        metrics=[Metric(key, float(value), 1, 0) for key, value in metrics.items()],
        tags=[RunTag("rlm.run_id", f"ours-{number}"), RunTag("team", "ab"[number % 2])],
    )
    client.set_terminated(made.info.run_id, end_time=1_700_000_002_500 + number)
    return made.info.run_id


@pytest.fixture
def runs(sqlite_store: str) -> list[str]:
    """The ids of four runs in two experiments, the latest last."""
    experiments = ("study", "study", "study", "sweep")
    return [make_run(sqlite_store, one, number) for number, one in enumerate(experiments)]


def test_search_prints_what_mlflow_finds(
    sqlite_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(sqlite_store, 1_500)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", sqlite_store)
    wanted = mlflow.search_runs(
        filter_string="params.ontology = 'prov' AND metrics.converged = 1",
        search_all_experiments=True,
        output_format="list",
    )
    found = told("search", "--ontology", "prov", "--converged")
    assert [one["run_id"] for one in found] == [one.info.run_id for one in wanted]
    assert [one["params"] for one in found] == [one.data.params for one in wanted]
    assert [one["metrics"] for one in found] == [one.data.metrics for one in wanted]
    assert [one["tags"] for one in found] == [one.data.tags for one in wanted]
    assert len(told("search")) == len(table("search")) == 1_500
    text = shown("search")
    assert "The first 50 of 1,500 runs" in text
    assert len(shown("search", "--limit", 70).splitlines()) > 70


def test_conditions_choose_among_runs(runs: list[str]) -> None:
    def ids(*conditions: object) -> list[int]:
        return [runs.index(one["run_id"]) for one in table("search", *conditions)]

    assert ids() == [3, 2, 1, 0]
    assert ids("--experiment", "study", "--experiment", "sweep", "--limit", 2) == [3, 2]
    assert ids("--experiment-name", "study", "--not-converged") == [2, 0]
    assert ids("--model", "openai/gpt-5-mini", "--tag", "team=b") == [3, 1]
    assert ids("--filter", "metrics.iteration_count > 1") == [3, 2]
    assert ids("--order-by", "tags.team DESC", "--order-by", "metrics.cost_usd") == [1, 3, 0, 2]
    assert ids("--ontology", "wine") == []
    assert "No run meets these conditions." in shown("search", "--ontology", "wine")


@pytest.mark.parametrize("width", [80, 100])
def test_tables_fit_on_a_page(runs: list[str], width: int) -> None:
    for arguments in (("list-experiments",), ("search",), ("show", runs[0]), ("compare", *runs)):
        lines = shown(*arguments, width=width).splitlines()
        assert max(map(len, lines)) <= width
    text = shown("search", width=width)
    assert len(text.splitlines()) == 1 + 4 + 3, "no cell is folded"
    assert "all of these: status FINISHED, ontology prov, model gpt-5-mini" in text
    assert re.search(rf"^{runs[1][:8]} .* yes +1 +study +What is", text, re.M)


def test_experiments_are_listed(runs: list[str]) -> None:
    text = shown("list-experiments")
    assert re.search(r"^2 +sweep .* 1 ", text, re.M)
    assert re.search(r"^1 +study .* 3 ", text, re.M)
    listed = told("list-experiments")
    assert [(one["name"], one["runs"]) for one in listed] == [
        ("sweep", 1),
        ("study", 3),
        ("Default", 0),
    ]
    assert listed[0]["last_run"] == "2023-11-14T22:13:20.003Z"
    assert [one["name"] for one in table("list-experiments")] == ["sweep", "study", "Default"]


def test_a_run_is_shown(runs: list[str]) -> None:
    for given in (runs[3], runs[3][:14], "ours-3"):
        text = shown("show", given)
        assert f"run         {runs[3]}" in text
        assert "took        2.5 s" in text
        assert re.search(r"^cost_usd +0.0004286 *$", text, re.M)
        assert re.search(r"^rlm.run_id +ours-3 *$", text, re.M)
        assert "mlflow.user" not in text
    assert told("show", "ours-3")["metrics"]["cost_usd"] == 3 / 7000
    fields = {one["field"]: one["value"] for one in table("show", "ours-3")}
    assert fields["experiment"] == "sweep"
    assert fields["metrics.cost_usd"] == repr(3 / 7000)


def test_runs_are_compared_by_what_differs(runs: list[str]) -> None:
    text = shown("compare", "ours-1", "ours-3")
    assert re.search(r"^iteration_count +1 +3 *$", text, re.M)
    assert re.search(r"^experiment +study +sweep *$", text, re.M)
    assert "team" not in text
    assert re.search(r"^tags.team +b +b *$", shown("compare", "ours-1", "ours-3", "--all"), re.M)
    report = told("compare", "ours-1", "ours-3")
    assert [one["run_id"] for one in report["runs"]] == [runs[1], runs[3]]
    assert report["differing"] == [
        "experiment_id",
        "experiment",
        "params.query",
        "metrics.cost_usd",
        "metrics.iteration_count",
    ]
    rows = table("compare", *runs[:3])
    assert {"field": "tags.team", runs[0]: "a", runs[1]: "b", runs[2]: "a"} in rows
    assert "two runs or more" in refused("compare", runs[0])


def test_runs_are_exported(runs: list[str], tmp_path: Path) -> None:
    import pyarrow.parquet

    for kind in ("csv", "json", "parquet"):
        text = shown("export", "--experiment-name", "study", "--output", tmp_path / f"runs.{kind}")
        assert text == f"3 runs written to {tmp_path / f'runs.{kind}'}\n"
    wanted = runs[2::-1]
    with (tmp_path / "runs.csv").open(newline="") as file:
        assert [one["run_id"] for one in csv.DictReader(file)] == wanted
    assert [one["run_id"] for one in json.loads((tmp_path / "runs.json").read_text())] == wanted
    frame = pyarrow.parquet.read_table(tmp_path / "runs.parquet")
    assert frame["run_id"].to_pylist() == wanted
    assert "tells no format" in refused("export", "-o", tmp_path / "runs.xls")


def test_a_server_is_searched(mlflow_server: str) -> None:
    made = make_run(mlflow_server, "from the command line", 5)
    options = ("--tracking-uri", mlflow_server)
    (found,) = told("search", "--experiment", "from the command line", "--converged", *options)
    assert found["run_id"] == made
    assert f"run         {made}" in shown("show", made[:20], *options)
    assert "from the command line" in shown("list-experiments", *options)
    assert "pages of its own" in shown("ui", *options)


def test_mistakes_are_told_with_a_way_out(runs: list[str], free_port: int) -> None:
    assert "The nearest: 'study'." in refused("search", "--experiment", "studies")
    assert "No run in MLflow" in refused("show", "nobody")
    assert "no key=value" in refused("search", "--tag", "team")
    assert "refuses this" in refused("search", "--filter", "it was slow")
    assert "not both" in refused("search", "--json", "--csv")
    assert "--tracking-uri" in refused("show", "x", "--tracking-uri", "sqlite:///no.db")
    away = f"http://127.0.0.1:{free_port}"
    assert "does not answer" in refused("search", "--tracking-uri", away, code=1)
    assert not Path("no.db").exists()


# The pages


def test_the_pages_are_served_until_it_is_stopped(runs: list[str], free_port: int) -> None:
    served = subprocess.Popen(
        [sys.executable, "-m", "rlm_runtime.cli", "mlflow", "ui", "--port", str(free_port)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert served.stdout is not None
        line = served.stdout.readline()
        assert f"http://127.0.0.1:{free_port}" in line
        assert "mlflow.db" in line
        with urllib.request.urlopen(f"http://127.0.0.1:{free_port}/health") as response:
            assert response.status == 200
        client = MlflowClient(f"http://127.0.0.1:{free_port}")
        assert client.get_run(runs[0]).info.status == "FINISHED"
        served.send_signal(signal.SIGTERM)
        assert served.wait(60) == 143
    finally:
        served.kill()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", free_port)), "the server does not outlive it"


def test_a_port_that_is_taken_is_said_to_be(runs: list[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "--port" in refused("ui", "--port", taken.getsockname()[1])
