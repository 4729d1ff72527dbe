"""What recording costs: the same run bare, with JSONL, with our MLflow run, with MLflow's autolog.

Run with ``make bench``. All figures are ratios within one process; rounds are interleaved, so
that a busy machine slows every way alike.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import logging
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
# Autolog's background queue makes a flush wait for up to a second; to count its work and not
# that wait, it exports in the foreground here.
os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "false"

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import dspy  # noqa: E402
import mlflow  # noqa: E402

from rlm_runtime import OntologyRLM, observe, open_ontology  # noqa: E402
from tests.support.lms import ScriptedLM, cell  # noqa: E402

ITERATIONS = 8
QUESTION = "Which properties have prov:Activity as their domain?"
_CELLS = [
    'print(search_entity("activity"))',
    'print(describe_entity("prov:Activity"))',
    'print(probe_relationships("prov:Activity"))',
    'print(sparql_select("SELECT ?p { ?p rdfs:domain prov:Activity }"))',
    'print(search_entity("used", kind="property"))',
    'print(describe_entity("prov:used"))',
    'print(check_query("SELECT ?p { ?p rdfs:domain prov:Activity }"))',
    'SUBMIT(answer="See the rows.", sparql="SELECT ?p { ?p rdfs:domain prov:Activity }", '
    'evidence=["prov:Activity"])',
]

Way = Callable[[OntologyRLM], None]


def _run(program: OntologyRLM) -> None:
    with dspy.context(lm=ScriptedLM(*map(cell, _CELLS))):
        prediction = program(query=QUESTION)
    assert prediction.converged, prediction


def _ways(folder: Path) -> dict[str, Way]:
    ours, autologs = (f"sqlite:///{folder / name}.db" for name in ("ours", "autolog"))

    def bare(program: OntologyRLM) -> None:
        _run(program)

    def jsonl(program: OntologyRLM) -> None:
        with observe("bench", log_path=folder / "log.jsonl"):
            _run(program)

    def our_mlflow(program: OntologyRLM) -> None:
        with observe(
            "bench",
            query=QUESTION,
            ontology="prov",
            params={"model": "scripted"},
            enable_mlflow=True,
            mlflow_experiment="bench",
            mlflow_tracking_uri=ours,
            mlflow_timeout=60,
        ) as run:
            _run(program)
        assert run.trace_id, "not delivered"

    mlflow.set_tracking_uri(autologs)
    mlflow.set_experiment("bench")
    mlflow.dspy.autolog()
    live = [c for c in dspy.settings.callbacks if type(c).__module__.startswith("mlflow.")]

    def autolog(program: OntologyRLM) -> None:
        with dspy.context(callbacks=live), mlflow.start_run():
            mlflow.log_params({"query": QUESTION, "ontology": "prov", "model": "scripted"})
            _run(program)
            mlflow.log_metrics({"converged": 1.0, "iteration_count": ITERATIONS})

    def without_autolog(way: Way) -> Way:
        def run(program: OntologyRLM) -> None:
            with dspy.context(callbacks=[]):
                way(program)

        return run

    assert live, "autolog is not on"
    return {
        "bare": without_autolog(bare),
        "jsonl": without_autolog(jsonl),
        "mlflow (ours)": without_autolog(our_mlflow),
        "mlflow.dspy.autolog": autolog,
    }


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        yield


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    wall: dict[str, list[float]] = {}
    caller: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name, open_ontology(ROOT / "ontology/prov.ttl") as prov:
        program = OntologyRLM(prov, max_iterations=ITERATIONS)
        with _quiet():
            ways = _ways(Path(name))
            for warm in ways.values():
                warm(program)
            for _ in range(rounds):
                for way, run in ways.items():
                    gc.collect()
                    started, on_thread = time.perf_counter(), time.thread_time()
                    run(program)
                    wall.setdefault(way, []).append(time.perf_counter() - started)
                    caller.setdefault(way, []).append(time.thread_time() - on_thread)
    _report(wall, caller, rounds)


def _report(wall: dict[str, list[float]], caller: dict[str, list[float]], rounds: int) -> None:
    print(
        f"{ITERATIONS} iterations, {rounds} interleaved rounds, medians; "
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"dspy {dspy.__version__}, mlflow {mlflow.__version__}\n"
    )
    bare_wall = statistics.median(wall["bare"])
    bare_caller = statistics.median(caller["bare"])
    print(f"{'':22}{'in all':>10}{'x bare':>8}{'added':>10}{'caller CPU':>13}{'x bare':>8}")
    for way in wall:
        total, thread = statistics.median(wall[way]), statistics.median(caller[way])
        print(
            f"{way:22}{total * 1e3:8.1f}ms{total / bare_wall:8.2f}"
            f"{(total - bare_wall) * 1e3:8.1f}ms{thread * 1e3:11.1f}ms{thread / bare_caller:8.2f}"
        )
    added = {way: statistics.median(times) - bare_wall for way, times in wall.items()}
    share = added["mlflow (ours)"] / added["mlflow.dspy.autolog"]
    print(f"\nOur MLflow run adds {share:.2f} times what autolog adds, delivery included.")


if __name__ == "__main__":
    main()
