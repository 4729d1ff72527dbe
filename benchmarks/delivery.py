"""What delivery costs and loses when MLflow is well, away or dying, beside MLflow's autolog.

Run with ``make bench``. Each line is a process of its own, which does the same runs; in the same
situation one is recorded by us and one by ``mlflow.dspy.autolog`` with ``mlflow.start_run``, as
MLflow's pages show it, in its default settings. A process that hangs is stopped after a while.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import queue
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

AUTOLOG, OURS = "mlflow.dspy.autolog", "rlm_runtime"
QUESTION = "Which properties have prov:Activity as their domain? (number {})"
_CELLS = [
    'print(search_entity("activity"))',
    'print(describe_entity("prov:Activity"))',
    'print(sparql_select("SELECT ?p { ?p rdfs:domain prov:Activity }"))',
    'SUBMIT(answer="See the rows.", sparql="SELECT ?p { ?p rdfs:domain prov:Activity }", '
    'evidence=["prov:Activity"])',
]
# mlflow_timeout of our runs, in seconds.
_TIMEOUT = 4.0
# Seconds until a process is stopped whose store is well.
_WELL = 60.0


@dataclass(frozen=True)
class Task:
    """What a process does.

    Attributes:
        way: ``OURS``, ``AUTOLOG`` or ``"bare"``.
        uri: The MLflow store.
        experiment: Where its runs go.
        runs: How many in each thread.
        threads: How many at once.
        pauses: Say so in the middle of the first run, and wait for a line.
        timeout: Seconds that our runs wait for MLflow.
    """

    way: str
    uri: str
    experiment: str
    runs: int
    threads: int = 1
    pauses: bool = False
    timeout: float = _TIMEOUT


@dataclass
class Outcome:
    """How a process went: seconds of each run and of its end; None when it was stopped."""

    task: Task
    runs: list[float] = field(default_factory=list)
    exit: float | None = None


def _work(task: Task) -> None:
    """Do a task: the part of a process, which tells its times on standard output."""
    tell, sys.stdout = sys.stdout, sys.stderr
    import dspy
    import mlflow

    from rlm_runtime import OntologyRLM, observe, open_ontology
    from tests.support.lms import ScriptedLM, cell

    saying = threading.Lock()

    def say(**facts: Any) -> None:
        # One thread at a time: ``print`` writes a line and its end apart.
        with saying:
            print(json.dumps(facts), file=tell, flush=True)

    def pause(_: str) -> str:
        say(paused=True)
        sys.stdin.readline()
        return cell(_CELLS[1])

    def ask(program: Any, number: int) -> None:
        replies: list[Any] = [*map(cell, _CELLS)]
        if task.pauses and number == 0:
            replies[1] = pause
        with dspy.context(lm=ScriptedLM(*replies)):
            program(query=QUESTION.format(number))

    def ours(program: Any, number: int) -> None:
        with observe(
            "bench",
            query=QUESTION.format(number),
            params={"number": number},
            enable_mlflow=True,
            mlflow_experiment=task.experiment,
            mlflow_tracking_uri=task.uri,
            mlflow_timeout=task.timeout,
        ):
            ask(program, number)

    def autolog(program: Any, number: int) -> None:
        with mlflow.start_run():
            mlflow.log_params({"query": QUESTION.format(number), "number": number})
            ask(program, number)
            mlflow.log_metrics({"converged": 1.0})

    with open_ontology(ROOT / "ontology/prov.ttl") as prov:
        program = OntologyRLM(prov, max_iterations=len(_CELLS))
        ask(program, -1)
        say(ready=True)
        if task.way == AUTOLOG:
            mlflow.set_tracking_uri(task.uri)
            mlflow.set_experiment(task.experiment)
            mlflow.dspy.autolog()
        run = {"bare": ask, OURS: ours, AUTOLOG: autolog}[task.way]

        def do_all(thread: int) -> None:
            for number in range(thread * task.runs, (thread + 1) * task.runs):
                began = time.monotonic()
                # The process goes on as a user's would that catches what MLflow raises.
                with suppress(Exception):
                    run(program, number)
                say(run=time.monotonic() - began)

        with ThreadPoolExecutor(task.threads) as pool:
            list(pool.map(do_all, range(task.threads)))
    say(returned=time.monotonic())


def _measure(task: Task, limit: float, when_paused: Callable[[], None] = lambda: None) -> Outcome:
    """Have a process do a task, and stop it when it is not done in so many seconds."""
    command = [sys.executable, __file__, "--task", json.dumps(task.__dict__)]
    outcome = Outcome(task)
    told: queue.Queue[dict[str, Any]] = queue.Queue()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None
        lines = process.stdout
        assert lines is not None

        def listen() -> None:
            for line in lines:
                told.put(json.loads(line))
            told.put({"gone": True})

        threading.Thread(target=listen, daemon=True).start()
        deadline = None
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                facts = told.get(timeout=left)
            except queue.Empty:
                process.kill()
                return outcome
            if "ready" in facts:
                deadline = time.monotonic() + limit
            elif "paused" in facts:
                when_paused()
                process.stdin.write("\n")
                process.stdin.flush()
            elif "run" in facts:
                outcome.runs.append(facts["run"])
            elif "returned" in facts:
                break
            else:
                raise RuntimeError(f"the process ended in the middle of {task}")
        try:
            process.wait(max(0.0, (deadline or 0.0) - time.monotonic()))
            outcome.exit = time.monotonic() - facts["returned"]
        except subprocess.TimeoutExpired:
            process.kill()
    return outcome


def _arrived(store: str, experiment: str) -> tuple[int, int]:
    """Count the runs that ended in MLflow, and those that have their own trace and no other."""
    from mlflow import MlflowClient

    client = MlflowClient(store)
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return 0, 0
    traces = defaultdict(list)
    token = None
    while True:
        page = client.search_traces(
            locations=[found.experiment_id], max_results=100, page_token=token
        )
        for trace in page:
            traces[trace.info.trace_metadata.get("mlflow.sourceRun")].append(trace)
        token = page.token
        if not token:
            break
    runs = client.search_runs([found.experiment_id], "status = 'FINISHED'", max_results=1000)
    right = 0
    for run in runs:
        own = traces[run.info.run_id]
        asked = QUESTION.format(run.data.params["number"])
        right += len(own) == 1 and json.dumps(asked)[1:-1] in json.dumps(own[0].to_dict())
    return len(runs), right


class _Server:
    """A server on one port, which can be killed and begun again."""

    def __init__(self, folder: Path) -> None:
        from tests.support.shared import free_port_number

        self._folder, self._port = folder, free_port_number()
        self._process: subprocess.Popen[bytes] | None = None
        self.address = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        from tests.support.mlflow_server import start_server

        self._process, _ = start_server(self._folder, port=self._port)

    def kill(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@dataclass(frozen=True)
class _Row:
    """One line of the table: how a process went, and where its runs are to be found."""

    situation: str
    outcome: Outcome
    store: str
    limit: float
    at_once: tuple[int, int]


def _compare(
    situation: str,
    task: Callable[[str], Task],
    limit: float,
    *,
    store: str = "",
    prepare: Callable[[], None] = lambda: None,
    when_paused: Callable[[], None] = lambda: None,
    restore: Callable[[], None] = lambda: None,
) -> list[_Row]:
    """Measure a situation for both; ``store`` is where what arrives at once is looked for."""
    rows = []
    for way in (OURS, AUTOLOG):
        print(f"  {situation}: {way}", file=sys.stderr)
        prepare()
        outcome = _measure(task(way), limit, when_paused)
        restore()
        at_once = _arrived(store, outcome.task.experiment) if store else (0, 0)
        rows.append(_Row(situation, outcome, store, limit, at_once))
    return rows


def _situations(folder: Path, runs: int, each: int, limit: float) -> tuple[list[_Row], str]:
    """Go through all situations; give the lines, and the store where all is in the end."""
    from tests.support.networks import AWAY

    server = _Server(folder)
    local = f"sqlite:///{folder}/local.db"
    _measure(Task(OURS, local, "warm", 1, timeout=60), 120)

    def task(name: str, uri: str, count: int = runs, **more: Any) -> Callable[[str], Task]:
        return lambda way: Task(way, uri, f"{name}, {way}", count, **more)

    try:
        rows = _compare("healthy, SQLite", task("sqlite", local), _WELL, store=local)
        crowd = task("crowd", local, each, threads=8, timeout=60)
        rows += _compare(f"8 threads x {each}, SQLite", crowd, _WELL, store=local)
        with AWAY["black hole"]() as hole:
            rows += _compare("black-holed", task("hole", hole), limit)
        rows += _compare("refused", task("refused", server.address), limit)
        server.start()
        rows += _compare(
            "healthy, server", task("server", server.address), _WELL, store=server.address
        )
        crowd = task("crowd", server.address, each, threads=8, timeout=60)
        rows += _compare(f"8 threads x {each}, server", crowd, _WELL, store=server.address)

        def revive() -> None:
            server.kill()
            server.start()

        rows += _compare(
            "killed in mid-run",
            task("killed", server.address, 1, pauses=True),
            limit,
            store=server.address,
            when_paused=server.kill,
            restore=revive,
        )
        from rlm_runtime import sync

        # What was meant for the black hole goes to the server, too.
        sync(server.address)
        later = [_arrived(row.store or server.address, row.outcome.task.experiment) for row in rows]
    finally:
        server.kill()
    return rows, later


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10, help="runs in a row")
    parser.add_argument("--each", type=int, default=25, help="runs in each of 8 threads")
    parser.add_argument("--limit", type=float, default=20, help="seconds until one is stopped")
    parser.add_argument("--quick", action="store_true", help="few runs")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        _work(Task(**json.loads(options.task)))
        return
    runs, each = (3, 3) if options.quick else (options.runs, options.each)
    with tempfile.TemporaryDirectory() as name:
        os.environ["RLM_RUNTIME_HOME"] = f"{name}/home"
        os.chdir(name)
        bare = _measure(Task("bare", "", "", runs), 120)
        rows, later = _situations(Path(name), runs, each, options.limit)
    _report(bare, rows, later)


def _report(bare: Outcome, rows: list[_Row], later: list[tuple[int, int]]) -> None:
    base = statistics.median(bare.runs)
    assert bare.exit is not None
    print(
        f"Runs of {len(_CELLS)} cells, {base * 1e3:.0f} ms bare; end of the bare process "
        f"{bare.exit:.1f} s; mlflow_timeout {_TIMEOUT:g} s; "
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n"
    )
    print(
        f"{'':26}{'':21}{'a run takes its caller':^24}{'its':>9}{'runs':>12}{'own':>9}{'both':>9}\n"
        f"{'':26}{'':21}{'median':>12}{'longest':>12}{'end':>9}{'arrived':>12}{'trace':>9}"
        f"{'later':>9}"
    )
    for row, afterwards in zip(rows, later, strict=True):
        outcome, task = row.outcome, row.outcome.task
        wanted = task.runs * task.threads
        stopped = f"> {row.limit:.0f} s"
        # A run that was not over when the process was stopped took at least that long.
        median = f"{statistics.median(outcome.runs):.2f} s" if outcome.runs else stopped
        longest = f"{max(outcome.runs):.2f} s" if len(outcome.runs) == wanted else stopped
        end = f"{outcome.exit:.1f} s" if outcome.exit is not None else stopped
        runs, traces = row.at_once
        print(
            f"{row.situation:26}{task.way:21}{median:>12}{longest:>12}{end:>9}"
            f"{f'{runs} of {wanted}':>12}{traces:>9}{min(afterwards):>9}"
        )
    print(
        "\n'> … s': stopped then. 'Later': runs with their own trace in MLflow when the server\n"
        "was back and `rlm-runtime mlflow sync` had run. We wait for the trace at the end of a\n"
        "run; autolog sends it later, in part at the end of the process.\n\n"
        "What a run takes its caller with us, as a part of what it takes with autolog:"
    )
    for ours, autolog in zip(rows[::2], rows[1::2], strict=True):
        other = statistics.median(autolog.outcome.runs or [autolog.limit])
        share = statistics.median(ours.outcome.runs) / other
        less = "" if autolog.outcome.runs else "less than "
        print(f"{ours.situation:26}{less}{share:.2g}")


if __name__ == "__main__":
    main()
