"""Runs are found in MLflow as MLflow itself finds them: all of them, in the same order."""

from __future__ import annotations

import contextlib
import csv
import json
import math
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlflow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from benchmarks.analysis import fill
from rlm_runtime import run_dspy_rlm
from rlm_runtime.errors import ConfigurationError, RlmError
from rlm_runtime.logging import mlflow_search, mlflow_sql_search
from rlm_runtime.logging.mlflow_export import write_runs
from rlm_runtime.logging.mlflow_search import (
    FoundRun,
    find_run,
    list_experiments,
    search_runs,
)
from tests.support.postgres import Postgres

PROV = Path(__file__).parent.parent / "ontology" / "prov.ttl"
ONTOLOGIES = ("prov", "wine", None)
FILTERS = (
    "",
    "params.ontology = 'prov'",
    "params.ontology != 'prov'",
    "params.model LIKE 'off%'",
    "metrics.converged = 1",
    "metrics.score != 0",
    "metrics.score > 1.5",
    "tags.team = 'a'",
    "tags.team IS NULL",
    "tags.`rlm.run_id` ILIKE 'ours-1%'",
    "attributes.status = 'FINISHED'",
    "attributes.run_name LIKE 'run 1%'",
    "dataset.name = 'things'",
)
ORDERS = (
    "metrics.score DESC",
    "metrics.score",
    "metrics.converged ASC",
    "params.ontology DESC",
    "tags.team",
    "attributes.start_time ASC",
    "attributes.run_name DESC",
)


def fill_by_hand(store: str) -> str:
    """Make runs that lack this and that, in two experiments; give the store."""
    client = MlflowClient(store)
    experiments = [client.create_experiment(name) for name in ("study", "sweep")]
    for number in range(14):
        run = client.create_run(
            experiments[number % 2], start_time=1_000 * (number // 2 + 1), run_name=f"run {number}"
        )
        ontology = ONTOLOGIES[number % 3]
        score = math.nan if number == 3 else number * 0.1 + 1 / 3
        client.log_batch(
            run.info.run_id,
            params=[
                Param("model", "offline" if number % 4 else 'it\'s "new"'),
                *([Param("ontology", ontology)] if ontology else []),
            ],
            metrics=[
                Metric("converged", number % 2, 1, 0),
                *([Metric("score", score, 1, 0)] if number % 5 else []),
                *([Metric("score", score + 1, 2, 1)] if number % 5 == 1 else []),
            ],
            tags=[
                RunTag("rlm.run_id", f"ours-{number}"),
                *([RunTag("team", "ab"[number % 2])] if number % 3 else []),
            ],
        )
        if number < 4:
            source = mlflow.data.code_dataset_source.CodeDatasetSource({})
            things = mlflow.data.meta_dataset.MetaDataset(source, name="things")
            context = mlflow.entities.InputTag("mlflow.data.context", "train")
            entity = mlflow.entities.DatasetInput(things._to_mlflow_entity(), [context])
            client.log_inputs(run.info.run_id, [entity])
        if number != 12:
            client.set_terminated(run.info.run_id, end_time=1_000 * number + 7)
        if number == 13:
            client.delete_run(run.info.run_id)
    return store


@pytest.fixture
def study(sqlite_store: str) -> str:
    return fill_by_hand(sqlite_store)


@pytest.fixture(params=["quick", "by pages"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of reading; of a version that we do not know, MLflow is asked page by page."""
    if request.param == "by pages":
        monkeypatch.setitem(mlflow_sql_search._KNOWN, "_get_orderby_clauses", ["other"])
        monkeypatch.setattr(mlflow_search, "_PAGE", 4)
    return request.param


def as_mlflow_has_them(found: Sequence[Any], store: str) -> list[tuple[Any, ...]]:
    names = {one.experiment_id: one.name for one in MlflowClient(store).search_experiments()}
    return [
        (
            run.info.run_id,
            run.info.experiment_id,
            names[run.info.experiment_id],
            run.info.run_name,
            run.info.status,
            run.info.start_time,
            run.info.end_time or None,
            run.info.artifact_uri,
            run.data.params,
            repr(sorted(run.data.metrics.items())),
            run.data.tags,
        )
        for run in found
    ]


def as_found(runs: Sequence[FoundRun]) -> list[tuple[Any, ...]]:
    return [
        (
            run.run_id,
            run.experiment_id,
            run.experiment,
            run.name,
            run.status,
            milliseconds(run.start_time),
            milliseconds(run.end_time),
            run.artifact_uri,
            run.params,
            repr(sorted(run.metrics.items())),
            run.tags,
        )
        for run in runs
    ]


def milliseconds(time: datetime | None) -> int | None:
    return None if time is None else round(time.timestamp() * 1000)


def by_mlflow(
    store: str, filter_string: str, order_by: Sequence[str] = (), limit: int = 50_000
) -> list[tuple[Any, ...]]:
    client = MlflowClient(store)
    experiments = [one.experiment_id for one in client.search_experiments()]
    return as_mlflow_has_them(
        client.search_runs(experiments, filter_string, order_by=[*order_by], max_results=limit),
        store,
    )


# The same as MLflow


@pytest.mark.parametrize("filter_string", FILTERS)
def test_a_filter_finds_what_mlflow_finds(study: str, way: str, filter_string: str) -> None:
    found = search_runs(filter_string=filter_string, tracking_uri=study)
    assert found
    assert as_found(found) == by_mlflow(study, filter_string)


@pytest.mark.parametrize("order", ORDERS)
def test_an_order_is_that_of_mlflow(study: str, way: str, order: str) -> None:
    found = search_runs(order_by=[order], limit=9, tracking_uri=study)
    assert as_found(found) == by_mlflow(study, "", [order], 9)


def test_conditions_may_be_combined_as_one_likes(study: str) -> None:
    @settings(deadline=None, max_examples=40)
    @given(
        st.lists(st.sampled_from(FILTERS[1:]), max_size=3, unique=True),
        st.lists(st.sampled_from(ORDERS), max_size=3, unique_by=lambda one: one.split()[0]),
        st.integers(1, 20),
    )
    def check(filters: list[str], orders: list[str], limit: int) -> None:
        wanted = " AND ".join(filters)
        found = search_runs(filter_string=wanted, order_by=orders, limit=limit, tracking_uri=study)
        assert as_found(found) == by_mlflow(study, wanted, orders, limit)

    check()


def test_it_is_what_search_runs_of_mlflow_gives(
    sqlite_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(sqlite_store, 2_500)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", sqlite_store)
    frame = mlflow.search_runs(
        filter_string="params.ontology = 'prov' AND metrics.converged = 1",
        search_all_experiments=True,
    )
    found = search_runs(ontology="prov", converged=True, tracking_uri=sqlite_store)
    assert [run.run_id for run in found] == [*frame["run_id"]]
    everything = search_runs(tracking_uri=sqlite_store)
    assert len(everything) == 2_500, "more than MLflow gives in one page"
    for row, run in zip(frame.to_dict("records"), found, strict=True):
        values = {f"params.{key}": value for key, value in run.params.items()}
        values |= {f"metrics.{key}": value for key, value in run.metrics.items()}
        values |= {f"tags.{key}": value for key, value in run.tags.items()}
        assert {key: row[key] for key in values} == values
        assert (row["start_time"], row["end_time"]) == (run.start_time, run.end_time)


def test_a_server_gives_all_its_runs(mlflow_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = MlflowClient(mlflow_server)
    experiment = client.create_experiment("pages of a search")
    for number in range(7):
        run = client.create_run(
            experiment, start_time=number + 1, tags={"rlm.run_id": f"page-{number}"}
        )
        client.log_metric(run.info.run_id, "converged", number % 2)
    monkeypatch.setattr(mlflow_search, "_PAGE", 3)

    def search(**conditions: Any) -> list[str]:
        found = search_runs(["pages of a search"], tracking_uri=mlflow_server, **conditions)
        return [run.tags["rlm.run_id"] for run in found]

    assert search() == [f"page-{number}" for number in (6, 5, 4, 3, 2, 1, 0)]
    assert search(converged=True, limit=2) == ["page-5", "page-3"]
    run = find_run("page-4", tracking_uri=mlflow_server)
    assert (run.experiment, run.end_time, run.metrics) == (
        "pages of a search",
        None,
        {"converged": 0},
    )
    (listed,) = [
        one
        for one in list_experiments(tracking_uri=mlflow_server)
        if one.name == "pages of a search"
    ]
    assert listed.runs is None


def test_postgresql_is_searched_as_mlflow_searches_it(postgres: Postgres) -> None:
    store = fill_by_hand(postgres.new_database())
    for filter_string in FILTERS:
        found = search_runs(filter_string=filter_string, tracking_uri=store)
        assert as_found(found) == by_mlflow(store, filter_string), filter_string
    for order in ORDERS:
        found = search_runs(order_by=[order], tracking_uri=store)
        assert as_found(found) == by_mlflow(store, "", [order]), order


# Conditions


def test_runs_of_ours_are_found_by_what_they_were_asked(sqlite_store: str) -> None:
    for question in ("What is Plan?", "What is Activity?"):
        result = run_dspy_rlm(
            question,
            PROV,
            model="offline",
            enable_mlflow=True,
            mlflow_experiment="study",
            mlflow_tags={"team": "a"},
            mlflow_tracking_uri=sqlite_store,
        )
    (latest, _) = search_runs(
        ["study"], ontology="prov", converged=True, model="offline", tags={"team": "a"}
    )
    assert latest.params["query"] == "What is Activity?"
    assert latest.run_id == result.mlflow_run_id
    assert latest.tags["rlm.run_id"] == result.run_id
    assert latest.start_time is not None
    assert latest.start_time.tzinfo is UTC
    assert not search_runs(converged=False)
    assert not search_runs(tags={"team": "b"})


def test_quotation_marks_in_values_are_no_syntax(study: str) -> None:
    with pytest.raises(ConfigurationError, match="both kinds of quotation marks"):
        search_runs(model='it\'s "new"', tracking_uri=study)
    client = MlflowClient(study)
    run = search_runs(limit=1, tracking_uri=study)[0]
    for value in ("it's", 'a "b"', "a' OR 'b", "x = y; --", "100 %", "naïve ☃"):
        client.set_tag(run.run_id, "note", value)
        (found,) = search_runs(tags={"note": value}, tracking_uri=study)
        assert found.tags["note"] == value


def test_what_mlflow_does_not_understand_is_refused(study: str, way: str) -> None:
    for wrong in ({"filter_string": "speed is low"}, {"order_by": ["fastest"]}):
        with pytest.raises(ConfigurationError, match="MLflow refuses this"):
            search_runs(tracking_uri=study, **wrong)
    with pytest.raises(ConfigurationError, match="limit must be at least 1"):
        search_runs(limit=0, tracking_uri=study)


def test_an_unknown_experiment_is_named_with_the_nearest(study: str) -> None:
    with pytest.raises(ConfigurationError, match=r"'Studdy'\. The nearest: 'study'"):
        search_runs(["Studdy"], tracking_uri=study)
    with pytest.raises(ConfigurationError, match="list-experiments"):
        search_runs(["xyz"], tracking_uri=study)


# One run


def test_a_run_is_found_by_either_id_or_its_beginning(study: str, way: str) -> None:
    every = search_runs(tracking_uri=study)
    wanted = next(run for run in every if run.tags["rlm.run_id"] == "ours-7")
    for given_id in (wanted.run_id, wanted.run_id[:12], "ours-7"):
        assert find_run(given_id, tracking_uri=study).run_id == wanted.run_id
    # It is the whole id of one run, and the beginning of those of others.
    assert find_run("ours-1", tracking_uri=study).tags["rlm.run_id"] == "ours-1"
    with pytest.raises(ConfigurationError, match=r"Several runs have an id like 'ours': .*more"):
        find_run("ours", tracking_uri=study)
    for unknown in ("nobody", "ours_7", "%", "ours-13"):
        with pytest.raises(ConfigurationError, match="No run in MLflow"):
            find_run(unknown, tracking_uri=study)


# Stores


def test_experiments_are_listed_with_their_runs(study: str) -> None:
    sweep, found, default = list_experiments(tracking_uri=study)
    assert (sweep.name, sweep.runs) == ("sweep", 6), "a deleted run does not count"
    assert (found.name, found.runs, found.last_run) == ("study", 7, datetime.fromtimestamp(7, UTC))
    assert (default.name, default.runs, default.last_run) == ("Default", 0, None)


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    for store in (f"sqlite:///{tmp_path}/no.db", f"{tmp_path}/runs", f"file://{tmp_path}/runs"):
        with pytest.raises(ConfigurationError, match="There is no MLflow store"):
            search_runs(tracking_uri=store)
    assert not [*tmp_path.iterdir()]


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("This is a letter, and not a database of any kind.\n" * 99)
    with pytest.raises(RlmError, match="cannot be read: file is not a database"):
        search_runs(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")


def test_a_database_of_something_else_stays_as_it_is(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "other.db")) as other, other:
        other.execute("CREATE TABLE invoices (total)")
    before = (tmp_path / "other.db").read_bytes()
    with pytest.raises(ConfigurationError, match="no table 'experiments'"):
        search_runs(tracking_uri=f"sqlite:///{tmp_path}/other.db")
    assert (tmp_path / "other.db").read_bytes() == before


def test_a_database_server_that_is_away_is_not_waited_for(free_port: int) -> None:
    with pytest.raises(RlmError, match="refused") as raised:
        search_runs(tracking_uri=f"postgresql://ada:secret@127.0.0.1:{free_port}/mlflow")
    assert "secret" not in str(raised.value)


def test_a_server_that_is_away_is_said_to_be(free_port: int) -> None:
    with pytest.raises(RlmError, match="does not answer"):
        search_runs(tracking_uri=f"http://127.0.0.1:{free_port}")


# Files


@pytest.fixture
def written(study: str, tmp_path: Path) -> tuple[list[FoundRun], Path]:
    return search_runs(tracking_uri=study), tmp_path / "results"


def test_csv_holds_every_value(written: tuple[list[FoundRun], Path]) -> None:
    runs, path = written
    write_runs(runs, path.with_suffix(".csv"))
    with path.with_suffix(".csv").open(newline="") as file:
        rows = [*csv.DictReader(file)]
    for run, row in zip(runs, rows, strict=True):
        assert row["run_id"] == run.run_id
        for key, value in run.metrics.items():
            assert float(row[f"metrics.{key}"]) == pytest.approx(value, rel=0, nan_ok=True)
        assert row["params.model"] == run.params["model"]
        assert row["tags.team"] == run.tags.get("team", "")
        assert datetime.fromisoformat(row["start_time"]) == run.start_time


def test_json_is_of_every_value_and_strict(written: tuple[list[FoundRun], Path]) -> None:
    runs, path = written
    write_runs(runs, path.with_suffix(".json"))

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    told = json.loads(path.with_suffix(".json").read_text(), parse_constant=refuse)
    assert [one["run_id"] for one in told] == [run.run_id for run in runs]
    assert [one["params"] for one in told] == [run.params for run in runs]
    assert [one["metrics"]["score"] for one in told if "score" in one["metrics"]] == [
        "NaN" if math.isnan(run.metrics["score"]) else run.metrics["score"]
        for run in runs
        if "score" in run.metrics
    ]


def test_parquet_has_types(written: tuple[list[FoundRun], Path]) -> None:
    import pyarrow.parquet

    runs, path = written
    write_runs(runs, path.with_suffix(".parquet"))
    table = pyarrow.parquet.read_table(path.with_suffix(".parquet"))
    assert str(table.schema.field("start_time").type) == "timestamp[ms, tz=UTC]"
    assert str(table.schema.field("metrics.score").type) == "double"
    assert table["run_id"].to_pylist() == [run.run_id for run in runs]
    assert table["start_time"].to_pylist() == [run.start_time for run in runs]
    assert table["tags.team"].to_pylist() == [run.tags.get("team") for run in runs]


def test_a_file_is_written_whole_or_not_at_all(written: tuple[list[FoundRun], Path]) -> None:
    runs, path = written
    kept = path.with_suffix(".csv")
    kept.write_text("older")
    with pytest.raises(ConfigurationError, match="tells no format"):
        write_runs(runs, path.with_suffix(".xlsx"))
    with pytest.raises(ConfigurationError, match="a folder that exists"):
        write_runs(runs, path / "nowhere" / "results.csv")
    assert kept.read_text() == "older"
    write_runs([], kept)
    assert kept.read_text().startswith("run_id,")
    assert {one.name for one in path.parent.iterdir() if "results" in one.name} == {kept.name}
