"""How fast runs are found in MLflow, beside ``mlflow.search_runs`` with the same filter.

Run by itself, or as a part of ``make bench``. A SQLite store is filled with runs like ours, the
same each time, and both search it in turn, each in this process with everything imported: we
before and after MLflow, of which the median counts. Both must find the same runs in the same order
with the same params, metrics and tags.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from rlm_runtime import __version__  # noqa: E402
from rlm_runtime.logging.mlflow_search import FoundRun, search_runs  # noqa: E402

RUNS = 50_000
_BATCH = 5_000
_START = 1_760_000_000_000
_EXPERIMENTS = ("study", "ablation", "sweep")
_ONTOLOGIES = ("prov", "company", "wine")
_MODELS = ("offline", "openai/gpt-5-mini", "anthropic/claude-sonnet-4-5")


class Search(NamedTuple):
    """The same question to both.

    Attributes:
        name: What is asked, in a few words.
        filter_string: For ``mlflow.search_runs``.
        ours: Keywords of ``search_runs``.
        order_by: For both.
    """

    name: str
    filter_string: str
    ours: dict[str, Any]
    order_by: Sequence[str] = ()


SEARCHES = (
    Search("every run", "", {}),
    Search(
        "--ontology prov --converged",
        "params.ontology = 'prov' AND metrics.converged = 1",
        {"ontology": "prov", "converged": True},
    ),
    Search(
        "--model offline --tag team=a --order-by 'metrics.total_tokens DESC'",
        "params.model = 'offline' AND tags.`team` = 'a'",
        {"model": "offline", "tags": {"team": "a"}},
        ("metrics.total_tokens DESC",),
    ),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument(
        "--rounds", type=int, default=3, help="how often we search, before and after"
    )
    options = parser.parse_args(arguments)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    import mlflow

    versions = f"rlm-runtime {__version__}, mlflow {mlflow.__version__}"
    print(f"{versions}, Python {platform.python_version()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        uri = f"sqlite:///{folder}/mlflow.db"
        seconds = _timed(lambda: fill(uri, options.runs)).seconds
        size = Path(folder, "mlflow.db").stat().st_size / 1e6
        print(f"{options.runs:,} runs in SQLite, {size:,.0f} MB, filled in {seconds:.0f} s\n")
        mlflow.set_tracking_uri(uri)
        print(f"{'found':>7} {'mlflow':>10} {'ours':>10} {'ratio':>8} {'of CPU':>10}  search")
        for search in SEARCHES:
            _measure(search, uri, options.rounds)


def _measure(search: Search, uri: str, rounds: int) -> None:
    import mlflow

    def theirs() -> Any:
        return mlflow.search_runs(
            filter_string=search.filter_string,
            order_by=[*search.order_by],
            search_all_experiments=True,
        )

    def ours() -> list[FoundRun]:
        return search_runs(order_by=search.order_by, tracking_uri=uri, **search.ours)

    # No result outlives its turn: what lies around costs whoever allocates next.
    own = [_timed(ours)[:2] for _ in range(rounds)]
    slow, slow_cpu, frame = _timed(theirs)
    _compare(ours(), frame)
    count = len(frame)
    del frame
    own += [_timed(ours)[:2] for _ in range(rounds)]
    quick, quick_cpu = (statistics.median(times) for times in zip(*own, strict=True))
    print(
        f"{count:>7,} {slow:>8.2f} s {quick:>8.3f} s "
        f"{slow / quick:>7.1f}x {slow_cpu / quick_cpu:>9.1f}x  {search.name}",
        flush=True,
    )


class Timed(NamedTuple):
    """What a call took and gave: seconds, seconds of the processor, its result."""

    seconds: float
    cpu: float
    result: Any


def _timed(call: Callable[[], Any]) -> Timed:
    started, worked = time.perf_counter(), time.process_time()
    result = call()
    return Timed(time.perf_counter() - started, time.process_time() - worked, result)


def _compare(found: list[FoundRun], frame: Any) -> None:
    """Make sure that both found the same."""
    assert [run.run_id for run in found] == [*frame["run_id"]], "other runs, or in another order"
    for group in ("params", "metrics", "tags"):
        values = [getattr(run, group) for run in found]
        columns = {name for name in frame if name.startswith(f"{group}.")}
        assert columns == {f"{group}.{name}" for part in values for name in part}, group
        for column in columns:
            name = column.removeprefix(f"{group}.")
            for part, value in zip(values, frame[column], strict=True):
                # A data frame has None or NaN where a run has nothing.
                assert part.get(name) == value or (name not in part and value in (None, value)), (
                    column
                )


def fill(uri: str, runs: int) -> None:
    """Write runs into MLflow's own tables, without its objects."""
    from mlflow import MlflowClient
    from mlflow.store.tracking.dbmodels import models
    from sqlalchemy import create_engine

    client = MlflowClient(uri)
    experiments = [int(client.create_experiment(name)) for name in _EXPERIMENTS]
    made = _runs(runs, experiments)
    tables = (models.SqlRun, models.SqlParam, models.SqlLatestMetric, models.SqlTag)
    engine = create_engine(uri)
    with engine.begin() as connection:
        for start in range(0, runs, _BATCH):
            rows: list[list[dict[str, Any]]] = [[], [], [], []]
            for _ in range(min(_BATCH, runs - start)):
                for kept, new in zip(rows, next(made), strict=True):
                    kept.extend(new)
            for table, batch in zip(tables, rows, strict=True):
                connection.execute(table.__table__.insert(), batch)
    engine.dispose()


def _runs(count: int, experiments: Sequence[int]) -> Iterator[tuple[list[dict[str, Any]], ...]]:
    """Give the rows of each run: its own, its params, metrics and tags."""
    chance = random.Random(5)
    for number in range(count):
        run = f"{chance.getrandbits(128):032x}"
        start = _START + number * 1_000
        ontology, model = chance.choice(_ONTOLOGIES), chance.choice(_MODELS)
        converged = chance.random() < 0.8
        tokens = chance.randrange(2_000, 60_000)
        params = {
            "query": f"Which entities were derived from dataset {number}?",
            "ontology": ontology,
            "model": model,
            "sub_model": model,
            "max_iterations": "8",
            "max_llm_calls": "16",
            "max_output_chars": "10000",
            "interpreter": "monty",
            "has_memory": str(chance.random() < 0.5),
        }
        metrics = {
            "iteration_count": chance.randrange(1, 9),
            "converged": converged,
            "duration_seconds": chance.uniform(2, 90),
            "lm_calls": chance.randrange(1, 9),
            "sub_lm_calls": chance.randrange(4),
            "tool_calls": chance.randrange(20),
            "tool_errors": chance.randrange(3),
            "code_errors": chance.randrange(3),
            "input_tokens": tokens * 0.9,
            "output_tokens": tokens * 0.1,
            "total_tokens": tokens,
            "cost_usd": tokens * 1e-6,
            "evidence_iris": chance.randrange(10),
            "evidence_grounded": chance.random(),
            "memories_retrieved": chance.randrange(4),
            "memories_extracted": chance.randrange(3),
        }
        tags = {
            "ontology": ontology,
            "team": chance.choice("abc"),
            "rlm.run_id": f"{chance.getrandbits(64):016x}",
            "mlflow.runName": f"Which entities were derived from dataset {number}?",
            "mlflow.source.name": "study.py",
            "mlflow.user": "ada",
        }
        yield (
            [
                {
                    "run_uuid": run,
                    "name": tags["mlflow.runName"],
                    "user_id": "ada",
                    "status": "FINISHED",
                    "start_time": start,
                    "end_time": start + 30_000,
                    "lifecycle_stage": "active",
                    "artifact_uri": f"mlflow-artifacts:/1/{run}/artifacts",
                    "experiment_id": experiments[number % len(experiments)],
                }
            ],
            [{"run_uuid": run, "key": key, "value": value} for key, value in params.items()],
            [
                {"run_uuid": run, "key": key, "value": float(value), "timestamp": start, "step": 0,
                 "is_nan": False}
                for key, value in metrics.items()
            ],
            [{"run_uuid": run, "key": key, "value": value} for key, value in tags.items()],
        )  # fmt: skip


if __name__ == "__main__":
    main()
