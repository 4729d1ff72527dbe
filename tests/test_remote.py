"""A SPARQL endpoint is an ontology like any other: asked, searched, described, run over."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from rlm_runtime.cli.app import app
from rlm_runtime.errors import (
    ConfigurationError,
    OntologyError,
    QueryError,
    QueryRejected,
    QueryTimeout,
)
from rlm_runtime.ontology import Ontology, open_ontology, remote_known, sense_card
from rlm_runtime.ontology.remote_address import read_address
from rlm_runtime.ontology.remote_errors import told
from rlm_runtime.ontology.remote_fulltext import _ENGINES, FullText
from rlm_runtime.ontology.sense_card import make_sense_card, read_sense_card
from rlm_runtime.ontology.sparql_tokens import tokens
from tests.support.endpoints import Seen, bad_server, json_rows, reply, serve

ROOT = Path(__file__).parent.parent
PROV = ROOT / "ontology" / "prov.ttl"
P = "http://www.w3.org/ns/prov#"
GRAPHS = """
<http://e/a> <http://e/says> "in one" <http://e/one> .
<http://e/b> <http://e/says> "in two" <http://e/two> .
<http://e/c> <http://e/says> "in none" .
"""


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_known, "_known", {})


@pytest.fixture(scope="module")
def prov_url() -> Iterator[str]:
    with serve(PROV) as url:
        yield url


@pytest.fixture
def prov(prov_url: str) -> Iterator[Ontology]:
    with open_ontology(prov_url) as ontology:
        yield ontology


@pytest.fixture(scope="module")
def local() -> Iterator[Ontology]:
    with open_ontology(PROV) as ontology:
        yield ontology


@pytest.fixture(scope="module")
def graphs_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("graphs") / "graphs.nq"
    path.write_text(GRAPHS)
    with serve(path) as url:
        yield url


@pytest.mark.parametrize(
    "query",
    [
        "SELECT ?c ?label { ?c a owl:Class ; rdfs:label ?label } ORDER BY ?c",
        "SELECT * WHERE { ?z rdfs:domain ?a . ?a a ?m FILTER(isIRI(?a)) } ORDER BY ?z ?a ?m",
        "SELECT ?p (COUNT(*) AS ?n) { ?s ?p ?o } GROUP BY ?p ORDER BY ?p # a comment",
        "SELECT ?c ?none { ?c a owl:Class FILTER(isIRI(?c)) } ORDER BY ?c LIMIT 3",
        "SELECT ?c { ?c a owl:Class FILTER(isIRI(?c)) } ORDER BY ?c OFFSET 25",
        "SELECT ?c ?x { ?c a owl:Class } ORDER BY ?c VALUES ?c { prov:Plan prov:Agent }",
        "ASK { prov:Plan a owl:Class }",
        "ASK { prov:Plan a owl:ObjectProperty }",
        "CONSTRUCT { ?s a ?o } WHERE { ?s rdfs:subClassOf ?o FILTER(isIRI(?o)) }",
        "DESCRIBE prov:Plan",
    ],
)
def test_an_endpoint_gives_what_a_file_gives(prov: Ontology, local: Ontology, query: str) -> None:
    far, near = prov.select(query, limit=500), local.select(query, limit=500)
    assert (far.columns, far.form, far.truncated) == (near.columns, near.form, near.truncated)
    assert far.terms == near.terms or sorted(far.terms) == sorted(near.terms)
    assert far.duration > 0


@pytest.mark.parametrize(
    "query",
    [
        "SELECT ?s ?p { ?s ?p ?o }",
        "SELECT ?s { ?s ?p ?o } LIMIT 50",
        "SELECT ?s { ?s ?p ?o } VALUES ?p { rdfs:label }",
        "CONSTRUCT { ?s ?p ?o } { ?s ?p ?o }",
    ],
)
def test_rows_are_cut_at_the_limit(prov: Ontology, query: str) -> None:
    rows = prov.select(query, limit=4)
    assert (len(rows), rows.truncated) == (4, True)
    whole = prov.select("SELECT ?c { ?c a owl:Ontology } ORDER BY ?c", limit=2)
    assert (len(whole), whole.truncated) == (2, False) or len(whole) < 2


def test_a_long_query_is_sent_whole(prov: Ontology) -> None:
    many = " ".join(f'"{i:08d}"' for i in range(5_000))
    rows = prov.select(f'SELECT ?x {{ VALUES ?x {{ {many} }} FILTER(?x > "00004989") }}')
    assert len(rows) == 10


def test_a_syntax_error_names_the_place_and_what_the_endpoint_said(prov: Ontology) -> None:
    with pytest.raises(QueryError, match=r"(?s)line 1, column \d+.*127\.0\.0\.1:\d+ said: error"):
        prov.select("SELECT ?x { ?x a ?y . FILTER ?x }")
    with pytest.raises(QueryError, match="No such prefix nope:"):
        prov.select("SELECT ?x { ?x a nope:X }")


def test_it_is_named_after_its_address(prov: Ontology, prov_url: str) -> None:
    assert prov_url == f"http://{prov.name}/query"
    assert prov.source == prov_url
    with open_ontology(prov_url, name="facts") as named:
        assert named.name == "facts"
    with open_ontology(prov) as same:
        assert same is prov


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://dbpedia.org/sparql", "dbpedia.org"),
        ("http://Example.ORG:80/", "example.org"),
        ("https://e.org:8443/repositories/pets", "e.org:8443/pets"),
        ("http://[::1]:7878/query", "[::1]:7878"),
        ("http://127.0.0.1:3030/ds/sparql?token=abc", "127.0.0.1:3030/ds"),
        ("http://bücher.example/sparql", "xn--bcher-kva.example"),
    ],
)
def test_names_are_short_and_plain(address: str, name: str) -> None:
    assert open_ontology(address).name == name


@pytest.mark.parametrize(
    "address",
    [
        *("file:///etc/passwd", "ftp://e.org/x", "gopher://e.org", "jar:http://e.org!/x"),
        *("http://", "http:///sparql", "http://e.org:99999/", "http://e.org:x/", "http://[::1/"),
        *("http://e.org/a b", "http://e.org/\r\nHost: x", "http://e.org\\@evil.org/", "unix://x"),
        "http://[fe80::1%25eth0]/",
    ],
)
def test_addresses_that_cannot_be_asked_are_refused_at_once(address: str) -> None:
    with pytest.raises((ConfigurationError, OntologyError)):
        open_ontology(address)


def test_keywords_for_endpoints_are_for_endpoints() -> None:
    with pytest.raises(ConfigurationError, match=r"token=.*address of an endpoint only"):
        open_ontology(PROV, token="x")
    with pytest.raises(ConfigurationError, match="default_graph='no iri'"):
        open_ontology("http://e.org/", default_graph="no iri")


def test_nothing_is_sent_before_the_first_question_nor_for_a_refused_query() -> None:
    answers = bad_server(lambda c, _: c.sendall(reply(json_rows())))
    with answers as server, open_ontology(server.url()) as ontology:
        for query in (
            "DELETE WHERE { ?s ?p ?o }",
            "SELECT * { SERVICE <http://e.org/> { ?s ?p ?o } }",
            "SELECT * { ?s ?p ?o } ; DROP ALL",
            "LOAD <http://e.org/>",
        ):
            with pytest.raises(QueryRejected):
                ontology.select(query)
        assert not server.seen


def test_a_closed_one_says_so(prov_url: str) -> None:
    ontology = open_ontology(prov_url)
    ontology.close()
    ontology.close()
    with pytest.raises(OntologyError, match="is closed"):
        ontology.select("ASK {}")


def test_what_a_query_may_ask_of_graphs(graphs_url: str) -> None:
    says = "?x <http://e/says> ?y"

    def found(ontology: Ontology, query: str) -> set[object]:
        return {row["y"] for row in ontology.select(query).rows}

    with open_ontology(graphs_url) as ontology:
        assert found(ontology, f"SELECT ?y {{ {says} }}") == {"in none"}
        assert found(ontology, f"SELECT ?y FROM <http://e/one> {{ {says} }}") == {"in one"}
        assert ontology.contains("http://e/two")
        for graph in (
            "http://e/three",
            "file:///etc/passwd",
            "http://169.254.169.254/",
            "relative",
        ):
            with pytest.raises(QueryRejected, match=r"FROM|graph"):
                ontology.select(f"SELECT ?y FROM <{graph}> {{ {says} }}")
    with open_ontology(graphs_url, default_graph="http://e/two") as ontology:
        assert found(ontology, f"SELECT ?y {{ {says} }}") == {"in two"}
        with pytest.raises(QueryRejected, match="no graph"):
            ontology.select(f"SELECT ?y FROM <http://e/one> {{ {says} }}")
    with open_ontology(graphs_url, named_graph=["http://e/one", "http://e/two"]) as ontology:
        query = f"SELECT ?y {{ GRAPH ?g {{ {says} }} }}"
        assert found(ontology, query) == {"in one", "in two"}


def test_service_reaches_endpoints_on_the_list_only(prov_url: str, graphs_url: str) -> None:
    inner = "{ ?x <http://e/says> ?y }"
    with open_ontology(prov_url, federation=[graphs_url]) as ontology:
        for query in (
            f"SELECT ?y {{ SERVICE <{graphs_url}> {inner} }}",
            f"SELECT ?y {{ service silent <{graphs_url}> {inner} }}",
        ):
            assert ontology.select(query).rows == [{"y": "in none"}]
        for other in (
            f"<{prov_url}>",
            f"<{graphs_url}x>",
            "?where",
            "prov:Plan",
            "SILENT <http://10.0.0.1/>",
            f"<{graphs_url[:-1]}\\u0079>",
        ):
            with pytest.raises(QueryRejected, match=r"SERVICE|escapes"):
                ontology.select(f"SELECT ?y {{ SERVICE {other} {inner} }}")


def test_prefixes_come_from_the_data_and_from_the_caller(tmp_path: Path) -> None:
    path = tmp_path / "data.ttl"
    path.write_text(
        """@prefix sh: <http://www.w3.org/ns/shacl#> . @prefix v: <http://purl.org/vocab/vann/> .
        <http://e/> sh:declare [ sh:prefix "mine" ; sh:namespace "http://e/mine#" ] .
        <http://e/o> v:preferredNamespacePrefix "o" ; v:preferredNamespaceUri "http://e/o#" .
        <http://e/mine#x> a <http://schema.org/Thing> ; <http://schema.org/name> "ex" .
        """
    )
    with serve(path) as url, open_ontology(url, prefixes={"my": "http://e/my#"}) as ontology:
        assert ontology.prefixes["my"] == "http://e/my#"
        assert ontology.select("SELECT ?n { mine:x schema:name ?n }").rows == [{"n": "ex"}]
        assert ontology.expand("o:a") == "http://e/o#a"
        assert ontology.compact("http://e/mine#x") == "mine:x"
        assert ontology.prefixes["skos"].endswith("core#")


def ranked(ontology: Ontology, text: str, **options: object) -> list[tuple[str, str, str]]:
    found = ontology.search(text, **options)  # type: ignore[arg-type]
    return [(ontology.compact(match.iri), match.rank, match.kind) for match in found]


def test_entities_are_found_by_name_words_and_in_spite_of_typing_errors(prov: Ontology) -> None:
    assert ranked(prov, "Activity")[0] == ("prov:Activity", "exact", "class")
    assert ranked(prov, "was generated by") == [("prov:wasGeneratedBy", "exact", "property")]
    assert ranked(prov, "generated")[0][0] == "prov:generated"
    assert ranked(prov, "influence activity")[0] == ("prov:ActivityInfluence", "words", "class")
    assert ranked(prov, "actvity")[0] == ("prov:Activity", "corrected", "class")
    assert ranked(prov, "wasGenratedBy")[0] == ("prov:wasGeneratedBy", "corrected", "property")
    assert ranked(prov, "prov:Plan") == [("prov:Plan", "exact", "class")]
    assert ranked(prov, f"{P}Plan") == [("prov:Plan", "exact", "class")]
    assert ranked(prov, "zzzqqq") == ranked(prov, "  ") == ranked(prov, "plan", limit=0) == []


def test_search_keeps_to_kind_and_limit_and_tells_of_its_bounds(prov: Ontology) -> None:
    found = prov.search("activity", kind="property", limit=1)
    assert len(found) == 1
    assert {match.kind for match in found} == {"property"}
    assert "no full-text search" in found.note  # type: ignore[attr-defined]


def test_a_model_reads_of_the_bounds_of_a_search(prov: Ontology) -> None:
    from rlm_runtime.tools import make_ontology_tools

    search = make_ontology_tools(prov)["search_entity"]
    assert "labels looked through" in search("activity influ")["note"]
    exact = search("activity")
    assert exact["rows"][0]["iri"] == "prov:Activity"
    assert "note" not in exact


def test_text_with_quotes_and_patterns_is_only_text(prov: Ontology) -> None:
    for text in ('"', "'\\", '"} DROP ALL #', "a\nb", "\ud800", "?x", "* OR *", "é" * 1000):
        assert isinstance(prov.search(text), list)


def test_an_entity_whose_iri_looks_like_a_variable_is_described(tmp_path: Path) -> None:
    path = tmp_path / "data.ttl"
    path.write_text(
        "<http://e/x?page=1> <http://e/q?p=2> 'v' . <http://e/y> <http://e/q> <http://e/x?page=1> ."
    )
    with serve(path) as url, open_ontology(url) as ontology:
        said = ontology.describe("http://e/x?page=1")
        assert [term.value for term in said.outgoing["http://e/q?p=2"]] == ["v"]
        assert [term.value for term in said.incoming["http://e/q"]] == ["http://e/y"]


def test_what_an_endpoint_calls_an_iri_is_not_put_into_a_query() -> None:
    evil = "http://e/activ> } SERVICE <http://evil/> { ?a ?b ?c } { <http://e/x"

    def script(connection: socket.socket, request: Seen) -> None:
        text = request.decoded
        if "ASK" in text:
            connection.sendall(reply('{"head":{},"boolean":true}'))
        elif "COUNT(*) AS ?n" in text:
            cells = {"p": {"type": "uri", "value": evil}, "n": {"type": "literal", "value": "many"}}
            body = {"head": {"vars": ["p", "n"]}, "results": {"bindings": [cells]}}
            connection.sendall(reply(json.dumps(body)))
        elif "CONTAINS" in text:
            connection.sendall(reply(json_rows(evil, column="s")))
        else:
            connection.sendall(reply(json_rows()))

    with bad_server(script) as server, open_ontology(server.url()) as ontology:
        assert [match.iri for match in ontology.search("activ")] == [evil]
        assert ontology.describe("http://e/a").outgoing == {}
        assert not any("SERVICE" in seen.decoded for seen in server.seen)


def test_a_search_that_failed_or_came_late_is_not_called_fruitless(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fails = bad_server(lambda c, _: c.sendall(reply("", "500 Oh")))
    with fails as server, pytest.raises(QueryError, match="status 500"):
        open_ontology(server.url()).search("cat")
    monkeypatch.setattr("rlm_runtime.ontology.remote._SEARCH_SECONDS", 0.5)
    with bad_server(lambda c, _: c.recv(1)) as server, pytest.raises(QueryTimeout):
        open_ontology(server.url()).search("cat")


def test_a_query_of_ones_own_finds_entities(prov_url: str) -> None:
    own = "SELECT ?s ?l { ?s rdfs:label ?l FILTER(STRSTARTS(STR(?l), $text)) } LIMIT $limit"
    with open_ontology(prov_url, search_query=own) as ontology:
        assert [match[0] for match in ranked(ontology, "Plan")] == ["prov:Plan"]
        assert ranked(ontology, "plan") == []
    for broken in ("SELECT ?s { ?s ?p 'x' }", "SELECT ?s { ?s ?p $other, $text }"):
        with pytest.raises(ConfigurationError, match="search_query="):
            open_ontology(prov_url, search_query=broken)
    with (
        open_ontology(prov_url, search_query="DROP ALL # $text") as ontology,
        pytest.raises(QueryRejected),
    ):
        ontology.search("x")


@pytest.mark.parametrize(
    "engine", [each for each in _ENGINES if not each.hosts], ids=lambda engine: engine.engine
)
def test_each_full_text_is_found_out_by_asking_and_then_used(engine: FullText) -> None:
    label = "http://www.w3.org/2000/01/rdf-schema#label"
    sign = engine.pattern.split("<")[1].split(">")[0]
    hit = {
        "head": {"vars": ["s", "label"]},
        "results": {
            "bindings": [
                {
                    "s": {"type": "uri", "value": "http://e/cat"},
                    "label": {"type": "literal", "value": "Grey cat"},
                }
            ]
        },
    }
    labels = {
        "head": {"vars": ["p", "label"]},
        "results": {
            "bindings": [
                {
                    "p": {"type": "uri", "value": label},
                    "label": {"type": "literal", "value": "Grey"},
                }
            ]
        },
    }

    def script(connection: socket.socket, request: Seen) -> None:
        text = request.decoded
        if sign in text:
            connection.sendall(reply(json.dumps(hit)))
        elif "AS ?p" in text:
            connection.sendall(reply(json.dumps(labels)))
        else:
            connection.sendall(reply(json_rows()))

    with bad_server(script) as server, open_ontology(server.url()) as ontology:
        found = ontology.search("grey cats")
        assert [(match.iri, match.rank) for match in found] == [("http://e/cat", "exact")]
        assert found.note == ""  # type: ignore[attr-defined]
        asked = [seen.decoded for seen in server.seen if sign in seen.decoded]
        assert len(asked) == 2
        assert "grey" in asked[-1]
        assert "cat" in asked[-1]


@pytest.mark.parametrize("engine", _ENGINES, ids=lambda engine: engine.engine)
def test_the_queries_for_full_text_are_sparql(engine: FullText, prov: Ontology) -> None:
    query = engine.query(["grey", "cat"], ["http://e/label"], 5)
    assert tokens(query)
    assert "$" not in query
    if not engine.hosts:
        with open_ontology(PROV) as local:
            assert local.select(query).rows == []


def test_an_entity_is_described(prov: Ontology, local: Ontology) -> None:
    for name in ("prov:Activity", "prov:wasGeneratedBy", "prov:qualifiedUsage"):
        far, near = prov.describe(name, limit=200), local.describe(name, limit=200)
        for field in ("iri", "kind", "labels", "comments", "outgoing_count", "incoming_count"):
            assert getattr(far, field) == getattr(near, field), field
        for field in ("outgoing", "incoming"):
            told, known = getattr(far, field), getattr(near, field)
            assert {p: len(terms) for p, terms in told.items()} == {
                p: len(terms) for p, terms in known.items()
            }
        assert (far.axioms, far.instances) == (near.axioms, near.instances)
    cut = prov.describe("prov:Activity", limit=3)
    assert cut.truncated
    assert sum(map(len, cut.incoming.values())) == 3
    with pytest.raises(QueryError, match="does not occur"):
        prov.describe("prov:Nonsense")


def test_it_tells_what_it_contains_and_how_classes_are_used(
    prov: Ontology, local: Ontology
) -> None:
    assert prov.contains(f"{P}Activity")
    assert not prov.contains(f"{P}Nonsense")
    assert not prov.contains("no <iri>")
    far, near = prov.schema_of("owl:Class"), local.schema_of("owl:Class")
    assert far.instances == near.instances
    assert [use.predicate for use in far.properties] == [use.predicate for use in near.properties]


def test_the_sense_card_of_an_endpoint_tells_what_that_of_the_file_tells(
    prov: Ontology, local: Ontology
) -> None:
    far, near = read_sense_card(prov), read_sense_card(local)
    for field in ("triples", "individuals", "classes", "predicates", "title", "naming", "missing"):
        assert getattr(far.facts, field) == getattr(near.facts, field), field


def test_of_a_large_endpoint_samples_are_told(
    prov_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sense_card, "_MAX_TRIPLES", 100)
    with open_ontology(prov_url) as ontology:
        card, facts = read_sense_card(ontology)
    assert "more than 100 triples" in card
    assert "uncounted instances" in card
    assert "those of samples" in card
    assert facts.triples is None
    assert f"{P}Activity" in facts.classes


def test_a_sense_card_is_kept_for_all_who_open_the_endpoint() -> None:
    def script(connection: socket.socket, request: Seen) -> None:
        truth = '{"head":{},"boolean":true}'
        is_ask = "ASK" in request.decoded.split("WHERE")[0]
        connection.sendall(reply(truth if is_ask else json_rows(column="n")))

    with bad_server(script) as server:
        with open_ontology(server.url()) as ontology:
            first = make_sense_card(ontology)
        asked = len(server.seen)
        with open_ontology(server.url()) as ontology:
            assert make_sense_card(ontology) == first
        assert len(server.seen) == asked + 1
        with open_ontology(server.url(), token="other") as ontology:
            make_sense_card(ontology)
        assert len(server.seen) > asked + 2


def test_an_endpoint_that_answers_nonsense_has_a_card_without_it() -> None:
    odd = {"type": "literal", "value": "many"}

    def script(connection: socket.socket, request: Seen) -> None:
        if "ASK" in request.decoded.split("WHERE")[0]:
            connection.sendall(reply('{"head":{},"boolean":true}'))
            return
        names = [name for name in "abknpsxt" if f"?{name} " in request.decoded] or ["x"]
        body = {
            "head": {"vars": names},
            "results": {"bindings": [dict.fromkeys(names, odd) for _ in range(3)]},
        }
        connection.sendall(reply(json.dumps(body)))

    with bad_server(script) as server, open_ontology(server.url()) as ontology:
        assert ontology.name in make_sense_card(ontology)


def test_the_card_of_a_slow_endpoint_tells_in_time_what_it_lacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("_PROBE_TIMEOUT", "_PROBE_SECONDS", "_QUERY_SECONDS"):
        monkeypatch.setattr(sense_card, name, 0.3)

    def script(connection: socket.socket, request: Seen) -> None:
        if "ASK" in request.decoded.split("WHERE")[0]:
            connection.sendall(reply('{"head":{},"boolean":true}'))
        elif "shacl" in request.decoded:
            connection.sendall(reply(json_rows()))
        else:
            connection.recv(1)

    with bad_server(script) as server, open_ontology(server.url()) as ontology:
        card = make_sense_card(ontology)
    assert "uncounted triples" in card
    assert "Not found out" in card
    assert "no time left" in card


def test_a_run_over_a_dead_endpoint_fails_before_anything_is_spent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from rlm_runtime import run_dspy_rlm
    from tests.support.lms import ScriptedLM

    monkeypatch.setattr(sense_card, "_CONTACT_TIMEOUT", 0.3)
    lm = ScriptedLM([])
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(OntologyError, match="gave no answer"):
            run_dspy_rlm("What?", f"http://127.0.0.1:{port}/", model=lm)
    with pytest.raises(OntologyError, match="Check that it is up"):
        run_dspy_rlm("What?", f"http://127.0.0.1:{port}/", model=lm)


def test_a_run_over_an_endpoint_is_recorded_like_any_other(prov_url: str, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    from rlm_runtime import run_dspy_rlm

    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    result = run_dspy_rlm(
        "What is Activity?",
        prov_url,
        model="offline",
        enable_mlflow=True,
        mlflow_tracking_uri=store,
        mlflow_timeout=60.0,
    )
    assert result.converged
    assert "prov:Activity" in result.answer
    assert result.grounding.evidence_grounded == 1.0
    assert result.grounding.sparql_ok
    run = mlflow.MlflowClient(store).get_run(result.mlflow_run_id)
    assert run.data.params["ontology"] == prov_url.split("/")[2]
    assert run.data.tags["ontology"] == prov_url.split("/")[2]


def test_the_command_line_takes_an_address(prov_url: str) -> None:
    def shown(*arguments: str) -> str:
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    assert "prov:Activity" in shown("ontology", "search", prov_url, "activity")
    assert "Activity" in shown("ontology", "describe", prov_url, "prov:Activity")
    assert "yes" in shown("ontology", "query", prov_url, "ASK { prov:Plan a owl:Class }")
    assert json.loads(shown("ontology", "info", prov_url, "--json"))["classes"] > 20
    answer = shown("ask", "What is Activity?", prov_url, "--model", "offline", "--quiet")
    assert "Activity" in answer


def test_many_threads_ask_at_once(prov: Ontology) -> None:
    def ask(i: int) -> tuple[int, int]:
        rows = prov.select(f"SELECT ?c {{ ?c a owl:Class FILTER(isIRI(?c)) }} LIMIT {i + 1}")
        return i + 1, len(rows)

    with ThreadPoolExecutor(16) as pool:
        assert all(wanted == got for wanted, got in pool.map(ask, range(24)))


@pytest.fixture
def keeping() -> Iterator[tuple[str, list[socket.socket]]]:
    """Serve rows and keep connections; give the address and the connections."""
    taken: list[socket.socket] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            taken.append(self.request)
            super().setup()

        def do_GET(self) -> None:
            body = json_rows("http://e/a").encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/sparql-results+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def handle(self) -> None:
            # A test may close the connection under its feet.
            with contextlib.suppress(OSError, ValueError):
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/sparql", taken
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_connections_are_used_again_also_when_the_endpoint_has_closed_one(
    keeping: tuple[str, list[socket.socket]],
) -> None:
    url, taken = keeping
    with open_ontology(url) as ontology:
        ontology.select("SELECT ?x { ?x a ?y }")
        count = len(taken)
        for _ in range(5):
            assert len(ontology.select("SELECT ?x { ?x a ?y }")) == 1
        assert len(taken) == count
        taken[-1].shutdown(socket.SHUT_RDWR)
        assert len(ontology.select("SELECT ?x { ?x a ?y }")) == 1
        assert len(taken) == count + 1


ODD = '{{"head":{{"vars":["x"]}},"results":{{"bindings":[{{"x":{{"type":"uri","value":"http://e/a"}}}},{}]}}}}'


@pytest.mark.parametrize(
    ("cell", "kind", "value"),
    [
        ('{"type":"bnode","value":"nodeID://b10"}', "bnode", "b10"),
        ('{"type":"uri","value":"http://e/a b"}', "iri", "http://e/a b"),
        ('{"type":"typed-literal","value":"1","datatype":"no iri"}', "literal", "1"),
        ('{"type":"literal","value":"x","xml:lang":"en us"}', "literal", "x"),
    ],
)
def test_values_that_no_standard_allows_are_let_in(cell: str, kind: str, value: str) -> None:
    body = ODD.format(f'{{"x":{cell}}}')
    with bad_server(lambda c, _: c.sendall(reply(body))) as server:
        rows = open_ontology(server.url()).select("SELECT ?x { ?x a ?y }")
        assert [(term.kind, term.value) for (term,) in rows.terms if term] == [
            ("iri", "http://e/a"),
            (kind, value),
        ]


def test_rows_that_the_endpoint_cut_are_called_cut() -> None:
    answer = reply(json_rows("http://e/a", "http://e/b"), X_SPARQL_MaxRows="2")
    with bad_server(lambda c, _: c.sendall(answer)) as server:
        assert open_ontology(server.url()).select("SELECT ?x { ?x a ?y }").truncated


def test_results_as_xml_are_read() -> None:
    body = (
        '<?xml version="1.0"?><sparql xmlns="http://www.w3.org/2005/sparql-results#"><head>'
        '<variable name="x"/></head><results><result><binding name="x"><uri>http://e/a</uri>'
        "</binding></result></results></sparql>"
    )
    answer = reply(body, kind="text/xml; charset=utf-8")
    with bad_server(lambda c, _: c.sendall(answer)) as server:
        rows = open_ontology(server.url()).select("SELECT ?x { ?x a ?y }")
        assert rows.rows == [{"x": "http://e/a"}]


def test_a_login_in_an_address_is_in_no_record(prov_url: str, tmp_path: Path) -> None:
    log = tmp_path / "run.jsonl"
    address = prov_url.replace("http://", "http://someone:canary-4711@")
    words = ["ask", "What is Plan?", address, "--model", "offline", "--log", str(log)]
    for more in ([], ["--json"]):
        result = CliRunner().invoke(app, [*words, *more])
        assert result.exit_code == 0, result.output
        assert "canary-4711" not in result.output + log.read_text()
    broken = CliRunner().invoke(app, ["ontology", "query", address, "SELECT ?x { ?x }"])
    assert broken.exit_code != 0
    assert "canary-4711" not in broken.output + str(broken.exception)


def sent_to(server_url: str, **options: object) -> None:
    with open_ontology(server_url, **options) as ontology:  # type: ignore[arg-type]
        ontology.select("SELECT ?x { ?x a ?y }")


def test_logins_come_from_arguments_address_or_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with bad_server(lambda c, _: c.sendall(reply(json_rows()))) as server:

        def sent(url: str = server.url(), **options: object) -> str | None:
            sent_to(url, **options)
            return server.seen[-1].headers.get("authorization")

        basic, bearer = "Basic bWU6cHc=", "Bearer t0k"
        assert sent() is None
        assert sent(auth=("me", "pw")) == basic
        assert sent(token="t0k") == bearer
        assert sent(url=f"http://me:pw@127.0.0.1:{server.port}/") == basic
        assert sent(url=f"http://me:other@127.0.0.1:{server.port}/", token="t0k") == bearer
        sent_to(server.url(), headers={"X-Key": "k", "User-Agent": "me"})
        assert server.seen[-1].headers["x-key"] == "k"
        assert server.seen[-1].headers["user-agent"] == "me"
        monkeypatch.setenv("RLM_SPARQL_TOKEN", "t0k")
        with pytest.raises(ConfigurationError, match="RLM_SPARQL_HOST"):
            sent()
        monkeypatch.setenv("RLM_SPARQL_HOST", "e.org")
        assert sent() is None
        for host in ("127.0.0.1", f"127.0.0.1:{server.port}"):
            monkeypatch.setenv("RLM_SPARQL_HOST", host)
            assert sent() == bearer
        assert sent(auth=("me", "pw")) == basic
        monkeypatch.delenv("RLM_SPARQL_TOKEN")
        monkeypatch.setenv("RLM_SPARQL_USER", "me")
        monkeypatch.setenv("RLM_SPARQL_PASSWORD", "pw")
        assert sent() == basic


@pytest.mark.parametrize(
    "options",
    [
        {"auth": ("me", "pw-5c"), "token": "tok-5c"},
        {"token": "tok-5c\r\nX-Evil: 1"},
        {"headers": {"X-Key": "tok-5c\n"}},
        {"headers": {"Bad Name": "tok-5c"}},
        {"headers": {"Host": "evil.org"}},
        {"headers": {"Content-Length": "0"}},
    ],
)
def test_logins_that_cannot_be_sent_are_refused_unseen(options: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_ontology("http://e.org/", **options)  # type: ignore[arg-type]
    assert "-5c" not in str(caught.value)


@settings(deadline=None, max_examples=60)
@given(st.text("abcXYZ019-_.~", min_size=8, max_size=20))
def test_a_login_in_an_address_is_shown_nowhere(password: str) -> None:
    secret = f"pw{password}"
    ontology = open_ontology(f"http://someuser:{secret}@e.org/sparql?api_key={secret}")
    address = read_address(f"http://someuser:{secret}@e.org/")
    for text in (ontology.name, ontology.source, repr(ontology), repr(address)):
        assert secret not in text
        assert "someuser" not in text


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=2000))
def test_words_of_an_endpoint_are_one_short_printable_line(text: str) -> None:
    shown = told(text)
    assert len(shown) < 1500
    assert shown.isprintable()


def refuses(address: str) -> None:
    with (
        open_ontology(address) as ontology,
        pytest.raises(OntologyError, match=r"refused.*allow_private=True"),
    ):
        ontology.select("ASK {}", timeout=5.0)


@pytest.mark.parametrize(
    "host",
    [
        *("10.0.0.1", "172.16.5.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "255.255.255.255", "[fd00::1]", "[fe80::1]", "[::]", "[ff02::1]"),
        *("[::ffff:10.0.0.1]", "[::ffff:169.254.169.254]", "[64:ff9b::a00:1]", "[2002:a00:1::]"),
        *("192.0.2.1", "[2001:db8::1]", "[::ffff:0.0.0.0]", "[::10.0.0.1]", "[::127.0.0.1]"),
        *("[::ffff:0:a00:1]", "[64:ff9b:1::a00:1]", "[fec0::1]", "2130706433", "0177.0.0.1"),
    ],
)
def test_addresses_of_private_networks_are_refused(host: str) -> None:
    refuses(f"http://{host}/sparql")


@pytest.mark.parametrize("found", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "fd00::1"])
def test_names_that_stand_for_private_addresses_are_refused(
    found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = socket.AF_INET6 if ":" in found else socket.AF_INET
    answer = [(family, socket.SOCK_STREAM, 6, "", (found, 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
    refuses("http://innocent.example/sparql")


def test_what_was_checked_is_what_is_connected_to(
    prov_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(prov_url.split(":")[2].split("/")[0])
    asked: list[object] = []

    def look_up(host: object, *_: object, **__: object) -> object:
        asked.append(host)
        # Later look-ups give an address where nothing answers.
        address = "127.0.0.1" if len(asked) == 1 else "127.0.0.2"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with open_ontology(f"http://localhost:{port}/query") as ontology:
        assert ontology.select("ASK {}").rows == [{"ask": True}]
    assert asked == ["localhost"]


def test_private_addresses_can_be_allowed(monkeypatch: pytest.MonkeyPatch, prov_url: str) -> None:
    port = int(prov_url.split(":")[2].split("/")[0])
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
    address = f"http://store.internal:{port}/query"
    with open_ontology(address, allow_private=True) as ontology:
        assert ontology.select("ASK {}").rows == [{"ask": True}]
    monkeypatch.setenv("RLM_SPARQL_ALLOW_PRIVATE", "1")
    with open_ontology(address) as ontology:
        assert ontology.select("ASK {}").rows == [{"ask": True}]
    with open_ontology(address, allow_private=False) as ontology, pytest.raises(OntologyError):
        ontology.select("ASK {}")


def test_an_address_that_this_machine_cannot_speak_to_is_passed_over(
    prov_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(prov_url.split(":")[2].split("/")[0])
    answer = [
        (family, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        for family in (socket.AF_APPLETALK, socket.AF_INET)
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
    with open_ontology(f"http://localhost:{port}/query") as ontology:
        assert ontology.select("ASK {}", timeout=float("inf")).rows == [{"ask": True}]


def test_a_name_server_that_hangs_costs_no_more_than_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(60) and [])
    with open_ontology("http://innocent.example/sparql") as ontology, pytest.raises(QueryTimeout):
        ontology.select("ASK {}", timeout=0.3)
    released.set()


def test_proxies_of_the_environment_are_not_used(
    prov_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with open_ontology(prov_url) as ontology:
        assert ontology.select("ASK {}").rows == [{"ask": True}]


def test_addresses_are_read_as_they_are_meant() -> None:
    read: Callable[[str], str] = lambda address: read_address(address).place.url  # noqa: E731
    assert read("HTTP://E.org:80/a?b=c#d") == "http://e.org/a?b=c"
    assert read("https://e.org:443") == "https://e.org/"
    assert read("http://e.org/ü?x=é") == "http://e.org/%C3%BC?x=%C3%A9"
