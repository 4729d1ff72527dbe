"""One worker process serves all who have the same ontology open, and nobody after that."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import rdflib

from rlm_runtime.errors import ConfigurationError, OntologyError, QueryError
from rlm_runtime.ontology import Ontology, open_ontology, sharing
from tests.support.workers import alive, becomes, needs_proc, workers_of

pytestmark = needs_proc

DATA = "@prefix e: <http://e/> . e:tom a e:Cat ; e:name 'Tom' ."
COUNT = "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }"
# Opens a file, says which process serves it, and then does what a test wants.
_PROGRAM = """
import os, subprocess, sys, time
from rlm_runtime.ontology import open_ontology
from tests.support.workers import workers_of
ontology = open_ontology(sys.argv[1])
print(*workers_of(), flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "pets.ttl"
    path.write_text(DATA)
    return path


@pytest.fixture
def others() -> set[int]:
    """The workers that other tests have left."""
    gc.collect()
    return workers_of()


def size(ontology: Ontology) -> object:
    return ontology.select(COUNT).rows[0]["n"]


def start(program: str, path: Path) -> tuple[subprocess.Popen[str], int]:
    """Start a process that goes on as told; give it and its worker."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM + program, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.strip(), process.communicate()
    return process, int(line)


def test_the_same_content_is_served_by_one_worker(path: Path, others: set[int]) -> None:
    with open_ontology(path) as one, open_ontology(str(path), name="other") as two:
        assert (one.name, two.name) == ("pets", "other")
        assert size(one) == size(two) == 2
        assert len(workers_of() - others) == 1
        with open_ontology(path, memory_limit=2**30) as other:
            assert size(other) == 2
            assert len(workers_of() - others) == 2, "other limits need another process"


def test_a_worker_outlives_its_last_user_for_the_next_one(path: Path, others: set[int]) -> None:
    with open_ontology(path):
        first = workers_of() - others
    with open_ontology(path) as again:
        assert size(again) == 2
        assert workers_of() - others == first


def test_idle_workers_end(path: Path, others: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "LINGER", 0.0)
    ontology = open_ontology(path)
    (worker,) = workers_of() - others
    ontology.close()
    assert becomes(lambda: worker not in workers_of()), "neither running nor a zombie"


def test_who_forgets_to_close_keeps_no_worker(
    path: Path, others: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "LINGER", 0.0)
    ontology = open_ontology(path)
    (worker,) = workers_of() - others
    del ontology
    gc.collect()
    assert becomes(lambda: worker not in workers_of())


def test_only_a_few_idle_workers_are_kept(tmp_path: Path, others: set[int]) -> None:
    for i in range(8):
        path = tmp_path / f"{i}.ttl"
        path.write_text(f"<http://e/{i}> a <http://e/C> .")
        open_ontology(path).close()
    assert becomes(lambda: len(workers_of() - others) <= 4)


def test_a_changed_file_is_new_to_new_users_only(path: Path) -> None:
    with open_ontology(path) as old:
        path.write_text(f"{DATA} e:jim a e:Cat .")
        with open_ontology(path) as new:
            assert (size(old), size(new)) == (2, 3)


def test_what_has_changed_is_not_loaded_again_in_silence(path: Path, others: set[int]) -> None:
    with open_ontology(path) as old:
        (worker,) = workers_of() - others
        path.write_text(f"{DATA} e:jim a e:Cat .")
        os.kill(worker, signal.SIGKILL)
        assert becomes(lambda: not alive(worker))
        with pytest.raises(OntologyError, match=r"pets\.ttl has changed since it was opened"):
            size(old)
        with open_ontology(path) as new:
            assert size(new) == 3


def test_a_folder_is_told_by_all_that_is_in_it(tmp_path: Path, others: set[int]) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.ttl").write_text(DATA)
    with open_ontology(tmp_path) as one, open_ontology(tmp_path) as same:
        assert size(one) == size(same) == 2
        assert len(workers_of() - others) == 1
        (tmp_path / "in" / "b.ttl").write_text(DATA.replace("tom", "tim"))
        with open_ontology(tmp_path) as more:
            assert size(more) == 4


def test_a_graph_is_shared_as_long_as_it_says_the_same(others: set[int]) -> None:
    graph = rdflib.Graph().parse(data=DATA)
    with open_ontology(graph) as one, open_ontology(graph) as same:
        assert size(one) == size(same) == 2
        (worker,) = workers_of() - others
        graph.add((rdflib.URIRef("http://e/jim"), rdflib.RDF.type, rdflib.URIRef("http://e/Cat")))
        with open_ontology(graph) as more:
            assert size(more) == 3
        os.kill(worker, signal.SIGKILL)
        assert becomes(lambda: not alive(worker))
        assert size(one) == 2, "a new worker has what the graph said then"


def test_a_relative_path_stays_what_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    with open_ontology("pets.ttl") as ontology:
        worker = ontology._shared._worker  # type: ignore[attr-defined]
        monkeypatch.chdir("/")
        worker.kill()
        assert size(ontology) == 2
        assert ontology.source == "pets.ttl"


def test_a_worker_does_not_end_with_the_thread_that_began_it(path: Path, others: set[int]) -> None:
    opened: list[Ontology] = []
    thread = threading.Thread(target=lambda: opened.append(open_ontology(path)))
    thread.start()
    thread.join()
    (worker,) = workers_of() - others
    with opened[0] as ontology:
        assert all(size(ontology) == 2 for _ in range(50))
        assert alive(worker)


def test_many_threads_open_ask_and_close(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.ttl" for i in range(3)]
    for i, path in enumerate(paths):
        path.write_text("".join(f"<http://e/{k}> a <http://e/C> . " for k in range(i + 1)))

    def use(i: int) -> bool:
        with open_ontology(paths[i % 3]) as ontology:
            return size(ontology) == i % 3 + 1 and ontology.contains("http://e/C")

    with ThreadPoolExecutor(24) as pool:
        assert all(pool.map(use, range(300)))


@pytest.mark.parametrize(
    "end",
    [
        "sys.exit(0)",
        "os._exit(0)",
        "os.kill(os.getpid(), 9)",
        "os.kill(os.getpid(), 15)",
        "ontology.select('SELECT * { ' + '?s ?p ?o . ' * 400 + '}', timeout=0.1)",
        # Another process, which lives on, holds the way to the worker open.
        "ways = [way._socket.fileno() for way in ontology._shared._worker._channels]\n"
        "subprocess.Popen(['sleep', '60'], pass_fds=ways, stdout=-3, stderr=-3)\n"
        "os.kill(os.getpid(), 9)",
    ],
)
def test_a_worker_never_outlives_its_parent(path: Path, end: str) -> None:
    process, worker = start(end, path)
    _, said = process.communicate(timeout=60)
    assert "AttributeError" not in said
    assert becomes(lambda: not alive(worker))


def test_an_interrupt_in_the_terminal_leaves_the_worker_at_work(path: Path) -> None:
    waits = """
try:
    print("waits", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print(ontology.select("ASK {}").rows, *workers_of())
"""
    process, worker = start(waits, path)
    assert process.stdout is not None
    assert process.stdout.readline() == "waits\n"
    # A terminal sends it to the whole group.
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=60) == (f"[{{'ask': True}}] {worker}\n", "")


def test_a_fork_has_a_worker_of_its_own(path: Path) -> None:
    forks = """
child = os.fork()
if child == 0:
    print(ontology.select('ASK {}').rows, *workers_of(), flush=True)
    sys.exit(3)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status), ontology.select('ASK {}').rows, *workers_of())
"""
    process, worker = start(forks, path)
    out, err = process.communicate(timeout=60)
    assert err == ""
    childs, parents = out.splitlines()
    answer, its_worker = childs.rsplit(" ", 1)
    assert (answer, its_worker != str(worker)) == ("[{'ask': True}]", True)
    assert parents == f"3 [{{'ask': True}}] {worker}"


def test_a_file_that_cannot_be_loaded_says_so_each_time(tmp_path: Path) -> None:
    path = tmp_path / "broken.ttl"
    path.write_text("<http://e/a> <http://e/b> ")
    for _ in range(2):
        with pytest.raises(OntologyError, match=r"broken\.ttl, line 1"):
            open_ontology(path)
    path.write_text(DATA)
    with open_ontology(path) as ontology:
        assert size(ontology) == 2


def test_the_home_of_nobody_is_no_file(path: Path) -> None:
    with pytest.raises(OntologyError, match="no file or folder ~nobody-at-all"):
        open_ontology("~nobody-at-all/pets.ttl")
    with pytest.raises(ConfigurationError, match="there is no file"):
        open_ontology(path, imports={"http://e/b": "~nobody-at-all/b.ttl"})


def test_without_a_file_descriptor_left_it_says_so(path: Path) -> None:
    program = """
import os, resource, sys, tempfile
from rlm_runtime.ontology import open_ontology
from rlm_runtime.errors import OntologyError
os.utime(sys.argv[1], (1, 1))
open_ontology(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
held = []
try:
    while True:
        held.append(os.open("/dev/null", 0))
except OSError:
    try:
        open_ontology(sys.argv[1], memory_limit=2**30)
    except OntologyError as error:
        print(error)
"""
    run = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=60
    )
    assert "cannot be started" in run.stdout
    assert "Too many open files" in run.stdout


def test_an_answer_comes_back_as_it_is_however_odd(path: Path) -> None:
    with open_ontology(path) as ontology:
        assert ontology.select("SELECT * {}").rows == [{}]
        assert ontology.select("SELECT ?x ?y { BIND('é\\n\U0001f600' AS ?x) }").rows == [
            {"x": "é\n\U0001f600", "y": None}
        ]
        many = ontology.select(f"SELECT * {{ VALUES ?x {{ {'1 ' * 20_000} }} }}", limit=20_000)
        assert (len(many), many.truncated) == (20_000, False)
        assert ontology.search("\ud800") == []
        for odd in ("http://e/\ud800", "x" * 9_000 + ":", "urn:\x00"):
            with pytest.raises(QueryError):
                ontology.describe(odd)
        with pytest.raises(QueryError):
            ontology.select("ASK { ?s ?p '\ud800' }")
        assert size(ontology) == 2


def test_of_huge_values_only_so_much_is_given(path: Path) -> None:
    doubled = "".join(f"BIND(CONCAT(?v{i}, ?v{i}) AS ?v{i + 1}) " for i in range(21))
    with open_ontology(path) as ontology:
        rows = ontology.select(
            f"SELECT ?v21 {{ VALUES ?i {{ {'1 ' * 50} }} BIND('x' AS ?v0) {doubled} }}"
        )
        assert (len(rows), rows.truncated) == (15, True)
        with pytest.raises(QueryError, match="first row alone"):
            ontology.select(f"SELECT * {{ BIND('0123456789' AS ?v0) {doubled} }}")


@pytest.mark.parametrize("limit", [0, -1, 1000])
def test_a_memory_limit_that_cannot_work_is_refused(path: Path, limit: int) -> None:
    with pytest.raises(ConfigurationError, match="memory_limit"):
        open_ontology(path, memory_limit=limit)


def test_the_memory_limit_can_come_from_the_environment(
    path: Path, others: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RLM_RUNTIME_QUERY_MEMORY", "much")
    with pytest.raises(ConfigurationError, match="RLM_RUNTIME_QUERY_MEMORY is 'much'"):
        open_ontology(path)
    monkeypatch.setenv("RLM_RUNTIME_QUERY_MEMORY", str(2**29))
    with open_ontology(path) as ontology, open_ontology(path, memory_limit=2**29) as same:
        assert size(ontology) == size(same) == 2
        assert len(workers_of() - others) == 1


def test_a_worker_imports_nothing_heavy(path: Path, others: set[int]) -> None:
    with open_ontology(path):
        (worker,) = workers_of() - others
        loaded = Path(f"/proc/{worker}/maps").read_text()
        command = Path(f"/proc/{worker}/cmdline").read_text().split("\0")
    assert "pyoxigraph" in loaded
    assert command[1:3] == ["-I", "-S"]
    code = "import sys, rlm_runtime.ontology.worker_main; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"dspy", "mlflow", "rdflib", "SPARQLWrapper", "pydantic", "urllib.request", "asyncio"}
    assert not {name for name in run.stdout.split() if name in heavy}
