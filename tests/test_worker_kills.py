"""No query outlives its time or eats all memory, and the others do not notice."""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pyoxigraph import Store

from rlm_runtime.errors import OntologyError, QueryError, QueryTimeout
from rlm_runtime.ontology import Ontology, open_ontology, sharing
from rlm_runtime.ontology.cache import clear_cache, ontologies_folder
from rlm_runtime.ontology.worker_messages import EngineQuery
from tests.support.workers import alive, becomes, needs_proc, workers_of

pytestmark = needs_proc

ENDLESS = "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l . ?m ?q ?o }"
# Some seconds of work: nine million rows.
LONG = "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f }"
DOUBLED = "".join(f"BIND(CONCAT(?v{i}, ?v{i}) AS ?v{i + 1}) " for i in range(40))
GREEDY = [
    f"SELECT (STRLEN(?v40) AS ?n) {{ BIND('0123456789' AS ?v0) {DOUBLED} }}",
    f"SELECT (GROUP_CONCAT(CONCAT('{'x' * 999}', STR(?a))) AS ?all) {{ ?a ?b ?c . ?d ?e ?f }}",
    "SELECT * { ?a ?b ?c . ?d ?e ?f } ORDER BY ?d ?a",
    "SELECT (COUNT(DISTINCT *) AS ?n) { ?a ?b ?c . ?d ?e ?f }",
]
MANY = 3_000


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("crowd") / "crowd.nt"
    path.write_text(
        "".join(f"<http://e/{i}> <http://e/p> <http://e/o{i}> .\n" for i in range(MANY))
    )
    return path


@pytest.fixture
def crowd(path: Path) -> Iterator[Ontology]:
    with open_ontology(path, memory_limit=2**28) as ontology:
        yield ontology


def works(ontology: Ontology) -> bool:
    return ontology.select("SELECT * { ?s ?p ?o }", limit=7).truncated


def worker_of(ontology: Ontology) -> int:
    """Give the process that serves an ontology, once a query runs there."""
    shared = ontology._shared  # type: ignore[attr-defined]
    assert becomes(lambda: shared._worker._in_use)
    return shared._worker._process.pid


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So large that it goes to disk."""
    path = tmp_path_factory.mktemp("large") / "large.nt"
    with path.open("w") as file:
        file.writelines(f'<http://e/{i % 700}> <http://e/p> "{i:0100}" .\n' for i in range(70_000))
    return path


def test_a_runaway_over_many_triples_is_over_in_time(tmp_path: Path) -> None:
    path = tmp_path / "many.nt"
    with path.open("w") as file:
        file.writelines(f'<http://e/{i % 700}> <http://e/p> "{i}" .\n' for i in range(700_000))
    with open_ontology(path) as ontology:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.monotonic()
        with pytest.raises(QueryTimeout, match="took longer than 2 s"):
            ontology.select(ENDLESS, timeout=2)
        took = time.monotonic() - began
        assert works(ontology)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert 2 <= took < 20
    assert after - before < 20_000, "kilobytes"


def test_a_store_on_disk_that_breaks_is_made_anew_and_the_question_answered(large: Path) -> None:
    with open_ontology(large) as ontology:
        for file in ontologies_folder().rglob("*.sst"):
            # What a new worker reads at its start stays whole.
            content = file.read_bytes()
            if len(content) > 1_000_000:
                broken = bytes(len(content) - 400_000)
                file.write_bytes(content[:200_000] + broken + content[-200_000:])
        ontology._shared._worker.kill()  # type: ignore[attr-defined]
        counted = ontology.select("SELECT (COUNT(DISTINCT ?o) AS ?n) { ?s ?p ?o }", timeout=120)
        assert counted.rows == [{"n": 70_000}]


def test_others_are_answered_although_their_process_is_killed(crowd: Ontology) -> None:
    began = threading.Barrier(6)

    def runaway() -> None:
        began.wait()
        for _ in range(3):
            with pytest.raises(QueryTimeout):
                crowd.select(ENDLESS, timeout=0.2)

    def patient() -> object:
        began.wait()
        return crowd.select(LONG, timeout=120).rows

    def busy() -> bool:
        began.wait()
        return all(works(crowd) for _ in range(200))

    with ThreadPoolExecutor(6) as pool:
        bad = [pool.submit(runaway) for _ in range(2)]
        long = [pool.submit(patient) for _ in range(2)]
        short = [pool.submit(busy) for _ in range(2)]
        assert [job.result() for job in bad] == [None, None]
        assert [job.result() for job in long] == [[{"n": MANY**2}]] * 2
        assert [job.result() for job in short] == [True, True]


@pytest.mark.parametrize("query", GREEDY, ids=lambda query: query[8:30])
def test_a_query_that_needs_too_much_memory_says_so(crowd: Ontology, query: str) -> None:
    with pytest.raises(QueryError, match=r"more memory was needed than the 0\.25 GiB"):
        crowd.select(query, timeout=120)
    assert works(crowd)


def test_others_are_answered_although_memory_ran_out(crowd: Ontology) -> None:
    with ThreadPoolExecutor(8) as pool:
        bad = [pool.submit(crowd.select, query, timeout=120) for query in GREEDY[:2]]
        good = [pool.submit(crowd.select, LONG, timeout=120) for _ in range(2)]
        errors = [job.exception() for job in bad]
        assert [job.result().rows for job in good] == [[{"n": MANY**2}]] * 2
    assert all(isinstance(error, QueryError) and "memory" in str(error) for error in errors)


def test_what_was_asked_when_the_process_was_killed_is_asked_again(crowd: Ontology) -> None:
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(crowd.select, LONG, timeout=120)
        os.kill(worker_of(crowd), signal.SIGKILL)
        assert job.result().rows == [{"n": MANY**2}]


def test_what_is_killed_time_and_again_fails_and_says_why(crowd: Ontology) -> None:
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(crowd.select, ENDLESS, timeout=120)
        first = worker_of(crowd)
        os.kill(first, signal.SIGKILL)
        assert becomes(lambda: worker_of(crowd) != first)
        os.kill(worker_of(crowd), signal.SIGKILL)
        with pytest.raises(QueryError, match="killed from outside"):
            job.result()
    assert works(crowd)


def test_a_query_between_rows_is_stopped_without_a_kill(crowd: Ontology) -> None:
    works(crowd)
    worker = crowd._shared._worker  # type: ignore[attr-defined]
    query = "SELECT ('' AS ?x) { ?a ?b ?c . ?d ?e ?f FILTER(?c != ?f) }"
    with pytest.raises(QueryTimeout):
        crowd.select(query, limit=10**9, timeout=0.05)
    assert works(crowd)
    assert not worker.gone


def test_a_process_that_stands_still_holds_up_no_question_however_long(crowd: Ontology) -> None:
    asked = f"SELECT * {{ VALUES ?x {{ {'1 ' * 100_000} }} }}"
    for query in ("ASK {}", asked):
        assert works(crowd)
        os.kill(crowd._shared._worker._process.pid, signal.SIGSTOP)  # type: ignore[attr-defined]
        with ThreadPoolExecutor(1) as pool:
            job = pool.submit(crowd.select, query, timeout=0.5)
            with pytest.raises(QueryTimeout):
                job.result(timeout=60)
    assert works(crowd)


def test_who_closes_leaves_the_question_of_another_thread_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "LINGER", 0.0)
    # Else the keeper looks again only when the next one of other tests has been idle for long.
    monkeypatch.setattr(sharing, "_MOST_IDLE", 0)
    before = workers_of()
    ontology = open_ontology(path, memory_limit=2**28 + 1)
    (first,) = workers_of() - before
    shared = ontology._shared  # type: ignore[attr-defined]
    with ThreadPoolExecutor(1) as pool:
        os.kill(first, signal.SIGSTOP)
        job = pool.submit(ontology.select, LONG, timeout=120)
        assert becomes(lambda: shared.busy)
        ontology.close()
        # Its successor loads, and so holds no question, while the keeper looks for idle ones.
        os.kill(first, signal.SIGKILL)
        assert job.result().rows == [{"n": MANY**2}]
    assert becomes(lambda: workers_of() <= before)
    with pytest.raises(OntologyError, match="closed meanwhile"):
        shared.ask("contains", "http://e/1", timeout=60)


def test_rows_without_end_are_cut(crowd: Ontology) -> None:
    query = f"SELECT ('{'x' * 968}' AS ?x) {{ ?a ?b ?c . ?d ?e ?f }}"
    rows = crowd.select(query, limit=10**9, timeout=120)
    assert (len(rows), rows.truncated) == (32_000, True)


def test_an_interrupted_question_leaves_nothing_running(path: Path) -> None:
    program = """
import os, sys
from rlm_runtime.ontology import open_ontology
from tests.support.workers import workers_of
from tests.test_worker_kills import ENDLESS
ontology = open_ontology(sys.argv[1])
print(*workers_of(), flush=True)
try:
    ontology.select(ENDLESS, timeout=120)
except KeyboardInterrupt:
    print(ontology.select("ASK {}").rows)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        # It has begun when the worker has used up processor time of its own.
        assert becomes(lambda: _ticks(worker) > 40)
        process.send_signal(signal.SIGINT)
        assert becomes(lambda: not alive(worker))
        assert process.stdout.read() == "[{'ask': True}]\n"


@pytest.mark.parametrize("error", ["OSError", "TimeoutError", "BlockingIOError", "LookupError"])
def test_what_a_signal_handler_raises_comes_out_of_a_question(path: Path, error: str) -> None:
    program = f"""
import signal, sys
from rlm_runtime.ontology import open_ontology
from tests.test_worker_kills import ENDLESS
def handler(*_):
    raise {error}("mine")
signal.signal(signal.SIGALRM, handler)
ontology = open_ontology(sys.argv[1])
signal.setitimer(signal.ITIMER_REAL, 0.3)
try:
    ontology.select(ENDLESS, timeout=60)
except {error} as error:
    print(error, ontology.select("ASK {{}}").rows)
"""
    run = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=120
    )
    assert run.stdout == "mine [{'ask': True}]\n", run.stderr


def test_channels_that_interrupts_have_lost_hold_up_nobody(crowd: Ontology) -> None:
    works(crowd)
    worker = crowd._shared._worker  # type: ignore[attr-defined]
    while worker._free:
        worker._taken()
    assert works(crowd)
    assert worker.gone


def test_an_interrupt_while_a_worker_starts_leaves_none_behind(
    crowd: Ontology, monkeypatch: pytest.MonkeyPatch
) -> None:
    works(crowd)
    before = workers_of()
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        if thread.name == "rlm-worker":
            raise KeyboardInterrupt

    crowd._shared._worker.kill()  # type: ignore[attr-defined]
    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        works(crowd)
    monkeypatch.undo()
    assert becomes(lambda: len(workers_of()) < len(before))
    assert works(crowd)


def test_a_fork_while_a_worker_starts_does_not_hide_its_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    forks = threading.Event()
    forked: list[int] = []

    def fork() -> None:
        forks.set()
        child = os.fork()
        if not child:
            os.close(writer)
            os.read(reader, 1)
            os._exit(0)
        forked.append(child)

    forking = threading.Thread(target=fork)
    popen = subprocess.Popen

    def start(*given: object, **options: object) -> object:
        forking.start()
        forks.wait()
        # For as long as it may take if nothing holds it up.
        forking.join(0.3)
        return popen(*given, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", start)
    with open_ontology(path, memory_limit=2**28 + 7) as ontology:
        monkeypatch.undo()
        forking.join()
        worker = ontology._shared._worker  # type: ignore[attr-defined]
        os.kill(worker._process.pid, signal.SIGKILL)
        try:
            assert becomes(lambda: worker.gone)
            assert works(ontology)
        finally:
            os.close(writer)
            os.close(reader)
            os.waitpid(forked[0], 0)


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11])


def test_an_index_on_disk_that_breaks_is_made_anew_and_the_question_answered(large: Path) -> None:
    with open_ontology(large, memory_limit=2**28) as ontology:
        (index,) = ontologies_folder().rglob("*.sqlite")
        content = index.read_bytes()
        index.write_bytes(content[:8192] + b"?" * (len(content) - 8192))
        ontology._shared._worker.kill()  # type: ignore[attr-defined]
        (match,) = ontology.search("699", limit=1)
        assert match.iri == "http://e/699"


def test_loading_tells_how_far_it_is_and_can_be_broken_off(large: Path) -> None:
    told: list[tuple[int, int]] = []
    threads = set()

    def on_progress(done: int, total: int) -> None:
        told.append((done, total))
        threads.add(threading.current_thread())

    class Enough(Exception):
        pass

    def enough(done: int, total: int) -> None:
        raise Enough

    before = workers_of()
    with pytest.raises(Enough):
        open_ontology(large, memory_limit=2**30, on_progress=enough)
    assert becomes(lambda: workers_of() <= before)
    open_ontology(large, memory_limit=2**30, on_progress=on_progress).close()
    assert told == sorted(told)
    assert len({total for _, total in told}) == 1
    assert threads == {threading.current_thread()}


def test_a_worker_killed_while_it_loads_is_told_of(large: Path) -> None:
    before = workers_of()
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(open_ontology, large, memory_limit=2**29)
        assert becomes(lambda: len(workers_of() - before) == 1)
        (worker,) = workers_of() - before
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(OntologyError, match=r"large\.nt cannot be loaded: .*killed"):
            job.result()
    with open_ontology(large) as ontology:
        assert works(ontology)


@pytest.mark.parametrize("unit", ["{", "(", "OPTIONAL {", "FILTER(!", "?s ?p [", "SELECT * {"])
def test_what_is_too_deep_for_the_engine_ends_no_more_than_its_query(
    crowd: Ontology, unit: str
) -> None:
    asked = EngineQuery("SELECT * { " + unit * 200_000, {}, None, 10)
    with pytest.raises((QueryError, SyntaxError)):
        crowd._shared.ask("run", asked, timeout=60)  # type: ignore[attr-defined]
    assert works(crowd)


@pytest.mark.parametrize("depth", [20, 95])
def test_what_the_guard_lets_through_is_not_too_deep(crowd: Ontology, depth: int) -> None:
    worker = crowd._shared._worker  # type: ignore[attr-defined]
    nested = "SELECT * { ?s ?p ?o " + "OPTIONAL { ?s ?p ?o " * depth + "}" * depth + "}"
    assert crowd.select(nested, limit=1, timeout=60).truncated
    formula = "(" * depth + "1" + " + 1)" * depth
    assert crowd.select(f"SELECT ({formula} AS ?x) {{}}").rows == [{"x": depth + 1}]
    assert not worker.gone


def test_no_query_finds_a_way_out_even_when_nothing_checks_it(crowd: Ontology) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        query = f"SELECT * {{ SERVICE <{address}> {{ ?s ?p ?o }} }}"
        asked = EngineQuery(query, {}, None, 10)
        with pytest.raises(QueryError):
            crowd._shared.ask("run", asked, timeout=60)  # type: ignore[attr-defined]
        assert not select.select([listening], [], [], 0)[0]

        def unbound() -> None:
            with pytest.raises(OSError):  # noqa: PT011 (a server that hangs up)
                list(Store().query(query))  # type: ignore[arg-type]

        thread = threading.Thread(target=unbound)
        thread.start()
        connection, _ = listening.accept()
        connection.close()
        thread.join()
    assert works(crowd)


def test_no_query_over_a_store_on_disk_finds_a_way_out(large: Path) -> None:
    with open_ontology(large) as ontology, socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        asked = EngineQuery(f"SELECT * {{ SERVICE <{address}> {{ ?s ?p ?o }} }}", {}, None, 10)
        with pytest.raises(QueryError):
            ontology._shared.ask("run", asked, timeout=60)  # type: ignore[attr-defined]
        assert not select.select([listening], [], [], 0)[0]


def test_a_store_of_more_files_than_the_engine_opens_at_first_is_read_whole(
    tmp_path: Path,
) -> None:
    path = tmp_path / "graphs.nq"
    with path.open("w") as file:
        file.writelines(
            f'<http://e/{i}> <http://e/p{i % 9}> "{i:0100}" <http://e/g{i % 3}> .\n'
            for i in range(60_000)
        )
    # The fewer files a process may open, the fewer the engine opens at first.
    program = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (96, 96))
from rlm_runtime.ontology import open_ontology
from rlm_runtime.ontology.cache import cache_entries, clear_cache
with open_ontology(sys.argv[1]) as ontology:
    print(len(cache_entries()), "store,", len(clear_cache()), "removed")
    for query in sys.argv[2:]:
        print(ontology.select(query, timeout=60).rows)
"""
    queries = [
        "SELECT (COUNT(*) AS ?n) { ?s <http://e/p3> ?o }",
        "SELECT (COUNT(DISTINCT ?s) AS ?n) { GRAPH <http://e/g1> { ?s ?p ?o } }",
        f'SELECT ?g {{ GRAPH ?g {{ ?s ?p "{31:0100}" }} }}',
        "SELECT ?g { GRAPH ?g { <http://e/32> ?p ?o } }",
        "SELECT (COUNT(*) AS ?n) { GRAPH ?g { ?s <http://e/p3> ?o } }",
    ]
    run = subprocess.run(
        [sys.executable, "-c", program, str(path), *queries],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert len(clear_cache()) == 1
    assert run.stdout.splitlines() == [
        "1 store, 0 removed",
        "[{'n': 6667}]",
        "[{'n': 20000}]",
        "[{'g': 'http://e/g1'}]",
        "[{'g': 'http://e/g2'}]",
        "[{'n': 6667}]",
    ], run.stderr


def test_a_worker_is_bounded_by_the_system(crowd: Ontology) -> None:
    folder = Path(f"/proc/{crowd._shared._worker._process.pid}")  # type: ignore[attr-defined]
    limits = {line[:26].strip(): line[26:].split()[0] for line in _lines(folder / "limits")}
    assert (limits["Max open files"], limits["Max core file size"]) == ("0", "0")
    used = int((folder / "statm").read_text().split()[0]) * resource.getpagesize()
    # A thread that is no more took its stack away from what was used.
    assert int(limits["Max address space"]) <= used + 2**28 + 2**26
    assert (folder / "oom_score_adj").read_text().strip() == "1000"


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()[1:]


def test_every_function_of_the_language_works_in_a_worker_that_can_open_nothing(
    crowd: Ontology,
) -> None:
    calls = "RAND() NOW() UUID() STRUUID() BNODE() SHA512('x') MD5('x') YEAR(NOW()) TZ(NOW())"
    calls += " REGEX('a','A','i') REPLACE('aé','É','o','i') UCASE('ß') LANGMATCHES('de','*')"
    columns = " ".join(f"({call} AS ?x{i})" for i, call in enumerate(calls.split()))
    (row,) = crowd.select(f"SELECT {columns} {{}}").rows
    assert None not in row.values()
