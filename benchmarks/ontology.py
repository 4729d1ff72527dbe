"""What asking an ontology costs: loading, opening again, exploring and searching.

Beside rdflib and bare pyoxigraph, in one run, on schema.org (npm), Brick (PyPI) and a generated
university graph. Questions go through the tools, the worker process included. Run with
``make bench``.
"""

from __future__ import annotations

import argparse
import io
import itertools
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import pyoxigraph as ox  # noqa: E402
import rdflib  # noqa: E402

from benchmarks.lubm import write_lubm  # noqa: E402
from benchmarks.search_labels import SIZES, measure, table  # noqa: E402
from rlm_runtime import open_ontology  # noqa: E402
from rlm_runtime.ontology import Ontology  # noqa: E402
from rlm_runtime.tools import make_ontology_tools  # noqa: E402
from rlm_runtime.tools.values import MAX_COUNT  # noqa: E402
from tests.support.vocabularies import fetch_vocabulary  # noqa: E402

BRICK = ("brickschema==0.8.0", "brickschema/ontologies/1.4/Brick.ttl")
LIMIT = 100
PREFIXES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "owl": "http://www.w3.org/2002/07/owl#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
}
# The forms of what language models asked in recorded runs over PROV-O and Brick, with labels and
# all. TOP and ONE are a class with many subclasses and one with many statements below it, TEXT is a
# word of a label.
QUERIES = {
    "kinds of": "SELECT DISTINCT ?c ?l { ?c rdfs:subClassOf+ TOP OPTIONAL { ?c rdfs:label ?l } } "
    "ORDER BY ?c",
    "direct kinds": "SELECT ?c ?l { ?c rdfs:subClassOf TOP ; rdfs:label ?l } ORDER BY ?l",
    "how many kinds": "SELECT (COUNT(DISTINCT ?c) AS ?n) { ?c rdfs:subClassOf+ ?d FILTER(?d = TOP) "
    "FILTER(isIRI(?c)) }",
    "most kinds": "SELECT ?d ?l (COUNT(DISTINCT ?c) AS ?n) { ?c rdfs:subClassOf ?d . ?d rdfs:label "
    "?l FILTER(isIRI(?c) && isIRI(?d)) } GROUP BY ?d ?l ORDER BY DESC(?n) LIMIT 5",
    "above": "SELECT ?d ?l { VALUES ?c { ONE } ?c rdfs:subClassOf+ ?d FILTER(isIRI(?d)) "
    "OPTIONAL { ?d rdfs:label ?l } }",
    "is a": "ASK { ONE rdfs:subClassOf+ TOP }",
    "tops": "SELECT DISTINCT ?d ?l { ?c rdfs:subClassOf ?d FILTER(isIRI(?d) && ?c != ?d) "
    "FILTER NOT EXISTS { ?d rdfs:subClassOf ?e FILTER(isIRI(?e) && ?e != owl:Thing) } "
    "OPTIONAL { ?d rdfs:label ?l } } ORDER BY ?d",
    "all pairs": "SELECT ?d ?c { ?c rdfs:subClassOf ?d } ORDER BY ?d ?c",
    "side by side": "SELECT ?t ?l ?d ?r ?comment { VALUES ?t { ONE TOP } "
    "OPTIONAL { ?t rdfs:label ?l } OPTIONAL { ?t rdfs:domain ?d } OPTIONAL { ?t rdfs:range ?r } "
    "OPTIONAL { ?t rdfs:comment ?comment } } ORDER BY ?t",
    "said above": "SELECT DISTINCT ?c ?p ?o { ONE rdfs:subClassOf* ?c . ?c ?p ?o "
    "FILTER(?p NOT IN (rdfs:subClassOf, rdfs:label, rdf:type)) } ORDER BY ?c ?p",
    "by type": "SELECT ?t (COUNT(DISTINCT ?s) AS ?n) (SAMPLE(?s) AS ?one) { ?s a ?t } GROUP BY ?t "
    "ORDER BY DESC(?n)",
    "by predicate": "SELECT ?p (COUNT(DISTINCT ?s) AS ?n) (SAMPLE(?o) AS ?one) { ?s ?p ?o } "
    "GROUP BY ?p ORDER BY DESC(?n)",
    "in any text": "SELECT DISTINCT ?s ?l ?text { ?s ?p ?text FILTER(isLiteral(?text) && "
    'REGEX(STR(?text), "TEXT|TEXTs", "i")) OPTIONAL { ?s rdfs:label ?l } }',
    "in labels": "SELECT ?s ?l { ?s a ?t ; rdfs:label ?l FILTER(CONTAINS(LCASE(STR(?l)), "
    '"TEXT")) } ORDER BY ?l',
    "pointed at": "SELECT ?o (COUNT(DISTINCT ?s) AS ?n) { ?s ?p ?o FILTER(isIRI(?o) && "
    'CONTAINS(LCASE(STR(?o)), "TEXT")) } GROUP BY ?o ORDER BY DESC(?n)',
    "nothing below": "SELECT (COUNT(DISTINCT ?c) AS ?n) { ?c rdfs:subClassOf ?d FILTER NOT EXISTS "
    "{ ?e rdfs:subClassOf ?c } }",
    "no comment": "SELECT DISTINCT ?c ?l { ?c rdfs:subClassOf ?d ; rdfs:label ?l FILTER NOT EXISTS "
    "{ ?c rdfs:comment ?comment } } ORDER BY ?l",
}


def brick(folder: Path) -> Path:
    """Fetch Brick from its package."""
    package, member = BRICK
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    subprocess.run([*command, "--dest", str(folder), package], check=True)
    (wheel,) = folder.glob("brickschema-*.whl")
    path = folder / "Brick.ttl"
    path.write_bytes(zipfile.ZipFile(io.BytesIO(wheel.read_bytes())).read(member))
    return path


def timed(work: Callable[[], Any]) -> float:
    """Give the seconds that something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def median(work: Callable[[], Any], rounds: int) -> float:
    """Give the median seconds of some rounds."""
    return statistics.median(timed(work) for _ in range(rounds))


def varied(work: Callable[[str], Any], query: str) -> Callable[[], Any]:
    """Do something with a query that is another text each time, so that none is remembered."""
    numbers = itertools.count()
    return lambda: work(f"{query} # {next(numbers)}")


def queries_for(store: ox.Store) -> dict[str, str]:
    """Fill in what the queries are about: the class with most subclasses, and one below it."""

    def first(query: str) -> str:
        return str(next(iter(store.query(query, prefixes=PREFIXES)))[0])

    top = first(
        "SELECT ?d { ?c rdfs:subClassOf ?d ; rdfs:label ?l FILTER(isIRI(?c) && isIRI(?d)) } "
        "GROUP BY ?d ORDER BY DESC(COUNT(?c)) ?d"
    )
    one = first(
        f"SELECT ?c {{ ?c rdfs:subClassOf {top} ; rdfs:label ?l ; ?p ?o FILTER(isIRI(?c)) }} "
        "GROUP BY ?c ORDER BY DESC(COUNT(?o)) ?c"
    )
    word = first(f"SELECT ?l {{ {one} rdfs:label ?l }}").strip('"').split('"')[0].split()[0]
    filled = {"TOP": top, "ONE": one, "TEXT": word.lower()}
    queries = {}
    for name, query in QUERIES.items():
        for mark, value in filled.items():
            query = query.replace(mark, value)
        queries[name] = query
    return queries


BARE = """
import pathlib, sys, time
import pyoxigraph as ox
path = pathlib.Path(sys.argv[1])
syntax = ox.RdfFormat.TURTLE if path.suffix == ".ttl" else ox.RdfFormat.N_QUADS
began = time.perf_counter()
ox.Store().bulk_load(path=sys.argv[1], format=syntax, base_iri=path.as_uri(), lenient=True)
print(time.perf_counter() - began)
"""
OURS = """
import sys, time
from rlm_runtime.ontology import open_ontology
began = time.perf_counter()
with open_ontology(sys.argv[1]):
    print(time.perf_counter() - began)
"""


def load(path: Path, rounds: int) -> None:
    """Print what loading a file takes, each time in a process of its own."""
    tiny = path.parent / "tiny.ttl"
    tiny.write_text("<http://e/a> <http://e/b> <http://e/c> .")
    for file in (path, tiny):
        # Of a file that was just written, the content is compared, not the time.
        os.utime(file, (1, 1))
    seconds = [
        [in_a_process(code, file) for code, file in ((BARE, path), (OURS, tiny), (OURS, path))]
        for _ in range(rounds)
    ]
    plain, start, ours = map(statistics.median, zip(*seconds, strict=True))
    slow = timed(lambda: rdflib.Dataset(default_union=True).parse(path))
    print(
        f"{path.name:12} pyoxigraph {plain * 1e3:7.0f} ms   ours {ours * 1e3:7.0f} ms, of which "
        f"{start * 1e3:.0f} ms start of the worker: {(ours - start) / plain:.2f} x without it   "
        f"rdflib {slow * 1e3:7.0f} ms"
    )


def bare_rows(store: ox.Store, query: str) -> list[Any]:
    """Give the first rows as the engine has them."""
    result = store.query(query, prefixes=PREFIXES)
    if isinstance(result, ox.QueryBoolean):
        return [bool(result)]
    return list(itertools.islice(result, LIMIT))


def plain_rows(graph: rdflib.Graph, query: str) -> list[dict[str, Any]]:
    """Give the first rows as the tools do, as dicts of plain values, once all are counted."""
    result = graph.query(query)
    if result.askAnswer is not None:
        return [{"ask": result.askAnswer}]
    rows = list(itertools.islice(result, MAX_COUNT))
    return [{k: term.toPython() for k, term in row.asdict().items()} for row in rows[:LIMIT]]


def explore(path: Path, rounds: int) -> None:
    """Print what exploring takes through the tools, bare and with rdflib."""
    syntax = ox.RdfFormat.TURTLE if path.suffix == ".ttl" else ox.RdfFormat.N_QUADS
    store = ox.Store()
    parser = ox.parse(path=str(path), format=syntax, base_iri=path.as_uri(), lenient=True)
    for quad in parser:
        store.add(ox.Quad(quad.subject, quad.predicate, quad.object))
    queries = queries_for(store)
    # One graph for all three; as N-Triples it would be so long that ours kept it on disk.
    flat = path.parent / f"{path.stem}-flat.ttl"
    store.dump(
        str(flat),
        format=ox.RdfFormat.TURTLE,
        from_graph=ox.DefaultGraph(),
        prefixes=PREFIXES | parser.prefixes,
    )
    graph = rdflib.Graph().parse(flat, format="turtle")
    with open_ontology(flat) as opened:
        select = make_ontology_tools(opened)["sparql_select"]
        print(f"\n{path.stem}: {len(store):,} triples; ms, medians of {rounds}")
        print(f"{'':16}{'rdflib':>10}{'bare':>10}{'tools':>10}{'x rdflib':>10}")
        gains = []
        for name, query in queries.items():
            theirs = median(varied(lambda q: plain_rows(graph, q), query), max(3, rounds // 5))
            bare = median(varied(lambda q: bare_rows(store, q), query), rounds)
            ours = median(varied(lambda q: select(q, LIMIT), query), rounds)
            gains.append(theirs / ours)
            times = "".join(f"{seconds * 1e3:10.2f}" for seconds in (theirs, bare, ours))
            print(f"{name:16}{times}{gains[-1]:9.0f}x")
    mean = math.exp(statistics.mean(map(math.log, gains)))
    print(f"{'geometric mean':46}{mean:9.0f}x")


def large(folder: Path, triples: int) -> None:
    """Print what a large graph takes to build and to open again."""
    path = folder / f"lubm-{triples}.nt"
    write_lubm(path, triples)
    tiny = folder / "tiny.ttl"
    tiny.write_text("<http://e/a> <http://e/b> <http://e/c> .")
    bare = timed(
        lambda: ox.Store(str(folder / "bare")).bulk_load(
            path=str(path), format=ox.RdfFormat.N_TRIPLES
        )
    )
    built = in_a_process(OURS, path)
    start = statistics.median(in_a_process(OURS, tiny) for _ in range(5))
    again = statistics.median(in_a_process(OURS, path) for _ in range(5))
    print(
        f"{triples:,} triples: bare pyoxigraph on disk {bare:.1f} s; ours, with its label index, "
        f"{built:.1f} s; opened again {again * 1e3:.0f} ms, of which {start * 1e3:.0f} ms start "
        f"of the worker: {(again - start) * 1e3:.0f} ms"
    )
    with open_ontology(path) as opened:
        rush(opened)


def in_a_process(code: str, path: Path) -> float:
    """Give the seconds that code measures in a process of its own, which shares no worker."""
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def rush(opened: Ontology) -> None:
    """Print how a query that cannot end is ended, and when the next one is answered."""

    def endless() -> None:
        try:
            opened.select("SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f }", timeout=2)
        except TimeoutError:
            raise
        except Exception as error:
            print(f"  a cross product, timeout 2 s: {type(error).__name__}", end=" ")

    waited = timed(endless)
    following = timed(lambda: opened.select("ASK { ?s ?p ?o }"))
    print(f"after {waited:.2f} s; the next query took {following * 1e3:.0f} ms")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--triples", type=int, nargs="*", default=[1_000_000, 5_000_000])
    parser.add_argument("--labels", type=int, default=SIZES[-1])
    options = parser.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"pyoxigraph {ox.__version__}, rdflib {rdflib.__version__}\n"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["RLM_RUNTIME_HOME"] = str(folder / "home")
        schema = folder / "schema.nq"
        schema.write_bytes(fetch_vocabulary("schema").read_bytes())
        sources = [schema, brick(folder)]
        for source in sources:
            load(source, options.rounds)
        for source in sources:
            explore(source, options.rounds)
        print()
        for triples in options.triples:
            large(folder, triples)
        print("\nsearch, ms")
        print(table([measure(size, folder) for size in SIZES if size <= options.labels]))


if __name__ == "__main__":
    main()
