"""The project's settings: found from any folder below, honest about mistakes, and obeyed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_runtime import observe
from rlm_runtime.errors import ConfigurationError, TrackingWarning
from rlm_runtime.logging import mlflow_integration as helpers
from rlm_runtime.logging.jsonl import LogReader
from rlm_runtime.logging.mlflow_store import resolve_tracking_uri
from rlm_runtime.settings import Settings, absolute_uri, read_settings

SERVER = "http://127.0.0.1:5000"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder, current, with a folder ``a/b`` in it; nothing is set in MLflow."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    # Deleted after it is set, so that what a test sets is undone.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", None)
    return tmp_path


def write(path: Path, uri: str, table: str = "") -> None:
    path.write_text(f"{table}\nmlflow_tracking_uri = '{uri}'\n")


OWN = "[tool.rlm_runtime]"


def test_the_nearest_file_upwards_counts(project: Path) -> None:
    below = project / "a" / "b"
    assert read_settings(below) == Settings()
    write(project / "pyproject.toml", "http://far:1", OWN)
    assert read_settings(below).mlflow_tracking_uri == "http://far:1"
    assert read_settings(below).path == project / "pyproject.toml"
    write(project / "rlm.toml", "http://beside:1")
    assert read_settings(below).mlflow_tracking_uri == "http://beside:1"
    (project / "a" / "pyproject.toml").write_text('[project]\nname = "rlm_runtime"\n')
    assert read_settings(below).mlflow_tracking_uri == "http://beside:1"
    write(project / "a" / "pyproject.toml", "http://near:1", OWN)
    assert read_settings(below).mlflow_tracking_uri == "http://near:1"
    assert read_settings(project).mlflow_tracking_uri == "http://beside:1"
    (below / "rlm.toml").write_text("")
    assert read_settings(below) == Settings(path=below / "rlm.toml")


def test_a_change_of_the_file_and_of_the_folder_is_seen_at_once(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project / "rlm.toml", "http://one:1")
    assert resolve_tracking_uri() == "http://one:1"
    write(project / "rlm.toml", "http://two:1")
    assert resolve_tracking_uri() == "http://two:1"
    write(project / "a" / "rlm.toml", "http://three:1")
    monkeypatch.chdir(project / "a" / "b")
    assert resolve_tracking_uri() == "http://three:1"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("sqlite:///runs/mlflow.db", "sqlite:///{0}/runs/mlflow.db"),
        ("sqlite:///./mlflow.db?timeout=9", "sqlite:///{0}/mlflow.db?timeout=9"),
        ("sqlite+pysqlite:///../x.db", "sqlite+pysqlite:///{1}/x.db"),
        ("sqlite:////var/mlflow.db", "sqlite:////var/mlflow.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite://", "sqlite://"),
        ("./mlruns", "file://{0}/mlruns"),
        ("my runs", "file://{0}/my%20runs"),
        ("/var/mlruns", "file:///var/mlruns"),
        ("file:mlruns", "file://{0}/mlruns"),
        ("file:///var/mlruns", "file:///var/mlruns"),
        ("~nobody-at-all/runs", "file://{0}/~nobody-at-all/runs"),
        (" http://user@host:5000/path ", "http://user@host:5000/path"),
        ("postgresql://db/mlflow", "postgresql://db/mlflow"),
        ("databricks", "databricks"),
        ("databricks://profile", "databricks://profile"),
    ],
)
def test_paths_are_relative_to_the_file_and_the_rest_stays(
    project: Path, written: str, meant: str
) -> None:
    write(project / "rlm.toml", written)
    uri = read_settings(project / "a").mlflow_tracking_uri
    assert uri == meant.format(project, project.parent)


def test_a_path_may_begin_at_home(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(project / "home"))
    write(project / "rlm.toml", "sqlite:///~/mlflow.db")
    assert read_settings().mlflow_tracking_uri == f"sqlite:///{project}/home/mlflow.db"


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=30), st.sampled_from(["", "sqlite:///", "file:", "http://", "./"]))
def test_what_is_absolute_stays_as_it_is(text: str, before: str) -> None:
    folder = Path("/project")
    once = absolute_uri(before + text.replace("\0", ""), folder)
    assert absolute_uri(once, Path("/elsewhere")) == once


MISTAKES = [
    ("rlm.toml", "mlflow_tracking_uri = ", "no valid TOML"),
    ("rlm.toml", b"mlflow_tracking_uri = '\xff'", "no valid TOML"),
    ("rlm.toml", "tracking_uri = 'x'", "unknown settings: 'tracking_uri'"),
    ("rlm.toml", "[tool.rlm_runtime]\nmlflow_tracking_uri = 'x'", "below no table"),
    ("rlm.toml", "mlflow_tracking_uri = 5000", "type int"),
    ("rlm.toml", "mlflow_tracking_uri = ' '", "an empty text"),
    ("rlm.toml", "memory = ['a.db']", "type list"),
    ("pyproject.toml", "[tool]\nrlm_runtime = 'x'", "no table"),
    ("pyproject.toml", "[tool.rlm_runtime]\nuri = 'x'", "below [tool.rlm_runtime]"),
    ("pyproject.toml", "[tool.rlm_runtime\n", "no valid TOML"),
    ("pyproject.toml", "[tool.rlm-runtime]\n", "with an underscore"),
]


@pytest.mark.parametrize(("name", "text", "says"), MISTAKES)
def test_a_mistake_is_told_with_its_file_and_its_remedy(
    project: Path, name: str, text: str | bytes, says: str
) -> None:
    (project / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigurationError) as caught:
        read_settings(project / "a" / "b")
    assert str(project / name) in str(caught.value)
    assert says in str(caught.value)


def test_what_is_wrong_with_files_of_other_tools_is_theirs(project: Path) -> None:
    (project / "a" / "pyproject.toml").write_bytes(b"{{ template }} \xff")
    (project / "a" / "rlm.toml").mkdir()
    write(project / "rlm.toml", SERVER)
    assert read_settings(project / "a").mlflow_tracking_uri == SERVER


def test_a_file_that_begins_with_a_byte_order_mark_is_read(project: Path) -> None:
    (project / "rlm.toml").write_text(f"mlflow_tracking_uri = '{SERVER}'", encoding="utf-8-sig")
    assert read_settings().mlflow_tracking_uri == SERVER


# The order


def test_the_explicit_address_then_mlflows_then_the_setting_then_the_default(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = f"sqlite:///{project}/mlflow.db"
    assert resolve_tracking_uri() == default
    write(project / "rlm.toml", "http://setting:1")
    assert resolve_tracking_uri() == "http://setting:1"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://variable:1")
    assert resolve_tracking_uri() == "http://variable:1"
    mlflow.set_tracking_uri("http://called:1")
    assert resolve_tracking_uri() == "http://called:1"
    assert resolve_tracking_uri("http://explicit:1") == "http://explicit:1"


def test_a_broken_file_matters_only_where_it_would_count(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "rlm.toml").write_text("broken")
    with pytest.raises(ConfigurationError, match=r"rlm\.toml"):
        resolve_tracking_uri()
    assert resolve_tracking_uri(SERVER) == SERVER
    monkeypatch.setenv("MLFLOW_TRACKING_URI", SERVER)
    assert resolve_tracking_uri() == SERVER


def test_the_helpers_work_with_the_store_of_the_setting(
    project: Path, sqlite_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project / "a" / "rlm.toml", "sqlite:///../mlflow.db")
    monkeypatch.chdir(project / "a")
    client = mlflow.MlflowClient(sqlite_store)
    made = client.create_run("0").info.run_id
    assert helpers.log_run_params("Why?", "prov", 8, "offline", run_id=made)
    assert client.get_run(made).data.params["query"] == "Why?"
    ok, run_id = helpers.setup_mlflow_tracking()
    try:
        assert ok
        assert mlflow.get_tracking_uri() == sqlite_store
        mlflow.log_metric("mine", 1)
    finally:
        assert helpers.end_mlflow_run()
    assert client.get_run(run_id).data.metrics == {"mine": 1}


def test_with_an_active_run_its_own_store_counts(project: Path, sqlite_store: str) -> None:
    assert mlflow.get_tracking_uri() == sqlite_store
    with mlflow.start_run() as run:
        write(project / "rlm.toml", "sqlite:///other.db")
        assert resolve_tracking_uri() == sqlite_store
        assert helpers.log_run_metrics(3, True)
        ok, child = helpers.setup_mlflow_tracking()
        assert ok
        assert helpers.end_mlflow_run()
    client = mlflow.MlflowClient(sqlite_store)
    assert client.get_run(run.info.run_id).data.metrics["iteration_count"] == 3
    assert client.get_run(child).data.tags["mlflow.parentRunId"] == run.info.run_id
    assert resolve_tracking_uri() == f"sqlite:///{project}/other.db"


def test_a_broken_file_is_one_warning_to_the_helpers(project: Path, swallowing: None) -> None:
    (project / "rlm.toml").write_text("broken")
    with pytest.warns(TrackingWarning, match=r"rlm\.toml is no valid TOML") as told:
        assert helpers.setup_mlflow_tracking() == (False, None)
    assert len(told) == 1


def test_a_run_goes_where_the_project_says(
    project: Path, sqlite_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project / "pyproject.toml", "sqlite:///mlflow.db", OWN)
    monkeypatch.chdir(project / "a" / "b")
    with observe("program", enable_mlflow=True) as run:
        run.report(outputs={"answer": 42})
    assert mlflow.MlflowClient(sqlite_store).get_run(run.mlflow_run_id).info.status == "FINISHED"
    assert not (project / "a" / "b" / "mlflow.db").exists()


def test_a_broken_file_is_one_warning_to_a_run(project: Path, swallowing: None) -> None:
    (project / "rlm.toml").write_text("broken")
    with (
        pytest.warns(TrackingWarning, match=r"rlm\.toml is no valid TOML") as told,
        observe("program", enable_mlflow=True, log_path="log.jsonl") as run,
    ):
        run.report(outputs={"answer": 42})
    assert len(told) == 1
    assert [event["event"] for event in LogReader("log.jsonl")] == ["run_start", "run_end"]
    assert run.mlflow_run_id is None


def test_reading_settings_loads_no_library(project: Path) -> None:
    code = "import sys, rlm_runtime.settings as s; s.read_settings(); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=project
    )
    assert not {"mlflow", "dspy"} & set(done.stdout.split())
