"""What people see: MLflow's pages over PostgreSQL show experiment, runs, artifacts and traces.

The pictures in docs/images are taken here: ``PICTURES=docs/images pytest tests/test_mlflow_ui.py``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from mlflow import MlflowClient
from PIL import Image

from rlm_runtime import RunResult, run_dspy_rlm
from tests.support.browser import Browser

PROV = Path(__file__).parent.parent / "ontology" / "prov.ttl"
QUESTIONS = ("What is a Unicorn?", "What are the subclasses of Agent?", "What is Activity?")
# Workers share the server, and each has these runs.
EXPERIMENT = "provenance" + os.environ.get("PYTEST_XDIST_WORKER", "")
# The panel of MLflow's assistant opens by itself and covers a quarter of each page.
WITHOUT_ASSISTANT = """
localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false');
localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true');
"""


@pytest.fixture(scope="module")
def runs(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> list[RunResult]:
    logs = tmp_path_factory.mktemp("logs")
    return [
        run_dspy_rlm(
            question,
            PROV,
            model="offline",
            enable_mlflow=True,
            mlflow_experiment=EXPERIMENT,
            mlflow_tracking_uri=postgres_server,
            mlflow_timeout=120.0,
            mlflow_tags={"team": "a"},
            log_path=logs / f"{number}.jsonl",
        )
        for number, question in enumerate(QUESTIONS)
    ]


@pytest.fixture
def page(postgres_server: str, runs: list[RunResult], browser: Browser) -> Browser:
    browser.open(postgres_server)
    browser.wait_for(EXPERIMENT)
    browser.evaluate(WITHOUT_ASSISTANT)
    return browser


@pytest.fixture
def experiment(postgres_server: str, runs: list[RunResult]) -> str:
    """The address of the experiment's pages."""
    run = MlflowClient(postgres_server).get_run(runs[0].mlflow_run_id)
    return f"{postgres_server}/#/experiments/{run.info.experiment_id}"


def take_picture(page: Browser, name: str, box: tuple[int, int, int, int]) -> None:
    """Keep a part of what is shown (left, top, right, bottom), if somebody wants pictures."""
    if "PICTURES" not in os.environ:
        return
    path = Path(os.environ["PICTURES"]) / name
    page.settle()
    page.picture(path)
    picture = Image.open(path).crop(box)
    picture.quantize(128).save(path, optimize=True)


def test_the_table_of_runs_compares_questions(page: Browser, experiment: str) -> None:
    page.open(f"{experiment}/runs")
    page.wait_for(EXPERIMENT, "3 matching runs")
    page.click("Columns")
    for column in ("Dataset", "Source", "Models"):
        page.click(column, nth=-1)
    for column in ("query", "converged", "evidence_iris", "total_tokens"):
        page.click(column)
    page.press("Escape")
    page.wait_for(*QUESTIONS)
    take_picture(page, "mlflow-runs.png", (200, 10, 1432, 360))


def test_the_page_of_a_run_shows_params_metrics_and_tags(
    page: Browser, experiment: str, runs: list[RunResult]
) -> None:
    page.open(f"{experiment}/runs/{runs[-1].mlflow_run_id}")
    page.wait_for("Finished", "Metrics (", "iteration_count", "evidence_grounded")
    page.wait_for("Parameters (", "What is Activity?", "max_iterations", "prov")
    page.wait_for("rlm.run_id", runs[-1].run_id, "team")
    take_picture(page, "mlflow-run.png", (200, 10, 1432, 800))


def test_the_artifacts_of_a_run_can_be_read(
    page: Browser, experiment: str, runs: list[RunResult]
) -> None:
    page.open(f"{experiment}/runs/{runs[-1].mlflow_run_id}/artifacts")
    page.wait_for("evidence", "queries", "trajectory")
    page.click("queries")
    page.wait_for("query.sparql")
    page.click("evidence")
    page.click("evidence.json")
    page.wait_for("prov:Activity")
    take_picture(page, "mlflow-artifacts.png", (200, 10, 1432, 360))


def test_the_trace_shows_turns_cells_and_tools(
    page: Browser, experiment: str, runs: list[RunResult]
) -> None:
    page.open(f"{experiment}/traces?selectedEvaluationId={runs[-1].trace_id}")
    page.wait_for("run_dspy_rlm", "iteration 1", "iteration 2", "offline", "python")
    page.wait_for("describe_entity")
    page.click("python")
    page.wait_for("code", "stdout", "describe_entity(")
    take_picture(page, "mlflow-trace.png", (144, 0, 1440, 640))
