"""A local ontology answers queries within bounds, and describes and names its entities."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_runtime.errors import OntologyError, QueryError
from rlm_runtime.ontology import Ontology, Term, open_ontology
from rlm_runtime.ontology.prefixes import PrefixMap

DATA = """
@prefix : <http://e/> .
@prefix zoo: <http://e/zoo#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
:Cat a owl:Class ; rdfs:subClassOf :Animal , [ a owl:Restriction ; owl:onProperty :eats ] ;
    rdfs:label "Katze"@de , "cat" , "Cat"@en ; rdfs:comment "It purrs."@en , "Sie schnurrt."@de ;
    :note "x" .
:Animal a owl:Class ; rdfs:label "animal"@en .
:eats a owl:ObjectProperty ; rdfs:domain :Animal ; rdfs:range :Animal .
:tom a :Cat ; :eats :jerry ; :age 7 ; :weight 4.5 ; :alive true ; :name "Tom" , "Tomas"@es-MX .
:jerry :name "Jerry" ; :born "1940-02-10"^^<http://www.w3.org/2001/XMLSchema#date> .
zoo:1 :name "one" . zoo:a\\.b :name "dot" .
"""
CROSS = (
    "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l . ?m ?n1 ?o . ?p ?q ?r }"
)
XSD = "http://www.w3.org/2001/XMLSchema#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ontology]:
    path = tmp_path_factory.mktemp("pets") / "pets.ttl"
    path.write_text(DATA)
    with open_ontology(path) as ontology:
        yield ontology


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ontology]:
    """Enough statements that their sixfold product outlives every test."""
    path = tmp_path_factory.mktemp("crowd") / "crowd.nt"
    path.write_text(
        "".join(f"<http://e/{i}> <http://e/p> <http://e/o{i}> .\n" for i in range(3000))
    )
    with open_ontology(path) as ontology:
        yield ontology


def test_it_is_an_ontology(pets: Ontology) -> None:
    assert isinstance(pets, Ontology)
    assert pets.name == "pets"


def test_columns_keep_the_order_of_the_query(pets: Ontology) -> None:
    assert pets.select("SELECT ?z ?a { ?a :eats ?z }").columns == ("z", "a")
    assert pets.select("SELECT * { ?z :eats ?a . ?a :name ?m }").columns == ("z", "a", "m")
    assert pets.select("SELECT DISTINCT * { ?z ?y ?x } LIMIT 1").columns == ("z", "y", "x")


def test_values_keep_their_kinds(pets: Ontology) -> None:
    def term(predicate: str) -> Term | None:
        return pets.select(f"SELECT ?v {{ :tom {predicate} ?v }} ORDER BY ?v").terms[-1][0]

    assert term(":age") == Term("7", "literal", XSD + "integer")
    assert term(":weight") == Term("4.5", "literal", XSD + "decimal")
    assert term(":alive") == Term("true", "literal", XSD + "boolean")
    assert term(":eats") == Term("http://e/jerry", "iri")
    names = {t for (t,) in pets.select("SELECT ?v { :tom :name ?v }").terms if t}
    assert Term("Tom", "literal", XSD + "string") in names
    assert {t.language for t in names} == {"", "es-mx"}
    unbound = pets.select("SELECT ?v ?w { :tom :age ?v OPTIONAL { :tom :none ?w } }")
    assert unbound.rows == [{"v": 7, "w": None}]
    (row,) = pets.select("SELECT ?b { ?b owl:onProperty :eats }").terms
    assert row[0]
    assert row[0].kind == "bnode"


def test_a_limit_cuts_and_says_so(pets: Ontology) -> None:
    everything = pets.select("SELECT * { ?s ?p ?o }")
    assert not everything.truncated
    exact = pets.select("SELECT * { ?s ?p ?o }", limit=len(everything))
    assert (len(exact), exact.truncated) == (len(everything), False)
    cut = pets.select("SELECT * { ?s ?p ?o }", limit=3)
    assert (len(cut), cut.truncated) == (3, True)
    none = pets.select("SELECT * { ?s ?p ?o }", limit=0)
    assert (len(none), none.truncated, none.columns) == (0, True, ("s", "p", "o"))


def test_a_time_bound_may_be_endless(pets: Ontology) -> None:
    assert pets.select("ASK {}", timeout=float("inf")).rows == [{"ask": True}]


def test_rows_are_pulled_only_as_far_as_needed(crowd: Ontology) -> None:
    rows = crowd.select("SELECT * { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }", limit=5, timeout=60)
    assert (len(rows), rows.truncated) == (5, True)


def test_every_form_becomes_rows(pets: Ontology) -> None:
    ask = pets.select("ASK { :tom a :Cat }")
    assert (ask.form, ask.columns, ask.rows) == ("ASK", ("ask",), [{"ask": True}])
    made = pets.select("CONSTRUCT { :all :has ?c } WHERE { ?s a ?c FILTER(isIRI(?s)) }")
    assert (made.form, made.columns) == ("CONSTRUCT", ("subject", "predicate", "object"))
    assert len(made) == 3, "each statement once"
    described = pets.select("DESCRIBE :jerry")
    assert (described.form, len(described)) == ("DESCRIBE", 2)
    cut = pets.select("CONSTRUCT WHERE { ?s ?p ?o }", limit=2)
    assert (len(cut), cut.truncated) == (2, True)


def test_prefixes_need_no_declaration_and_can_be_declared(pets: Ontology) -> None:
    assert len(pets.select("SELECT ?x { ?x a owl:Class }")) == 2
    assert len(pets.select("PREFIX p: <http://e/> SELECT ?x { p:tom p:eats ?x }")) == 1
    assert len(pets.select("PREFIX : <http://none/> SELECT ?x { :tom :eats ?x }")) == 0


@pytest.mark.parametrize(
    ("query", "parts"),
    [
        ("SELECT * {\n  ?s nope:p ?o }", ["No such prefix nope:, known prefixes: :, "]),
        ("SELECT * {\n  ?s a :A :B .\n}", ["line 2, column 11", "?s a :A :B .", "^"]),
        ("SELECT *\nWHERE { ?s ?p ?o", ["line 2, column 7", "never closed"]),
        ("SELECT * {?s ?p ?o} LIMIT", ["ends too early"]),
        ("SELECT COUNT(?x) AS ?n { ?x a ?b }", ["(COUNT(?x) AS ?n)"]),
        ("SELECT ?x (COUNT(*) AS ?n) { ?x a ?b }", ["GROUP BY"]),
        ("SELECT * { ?x a ?b FILTER(?x == ?b) }", ["column 31", "not =="]),
        ("SELECT * { ?x a ?b FILTER(?x = 1 AND ?b = 2) }", ["&&"]),
        ('SELECT * { ?x a ?b FILTER(?x LIKE "a") }', ["CONTAINS"]),
        ('SELECT (GROUP_CONCAT(?x, ",") AS ?y) {?x a ?z}', ["SEPARATOR"]),
        ("SELECT * { ?s ?p ?o . BIND(1 AS ?o) }", ["BIND"]),
        ("SELECT * { ?s ?p ?o };", ["semicolon"]),
        ("SELECT * { ?s ?p ?o FILTER(foo(?s)) }", ["unexpected 'foo'"]),
        ("SELECT (<http://e/f>(1) AS ?x) {}", ["failed"]),
    ],
)
def test_a_wrong_query_is_explained(pets: Ontology, query: str, parts: list[str]) -> None:
    with pytest.raises(QueryError) as caught:
        pets.select(query)
    for part in parts:
        assert part in str(caught.value)


def test_bounds_that_cannot_work_are_refused(pets: Ontology) -> None:
    for bound in ({"limit": -1}, {"timeout": 0}, {"timeout": -1}, {"timeout": float("nan")}):
        with pytest.raises(QueryError, match="cannot work"):
            pets.select("ASK {}", **bound)


# A query that was given up goes on burning its processor, so that it has a process of its own.
_GIVE_UP = """
import sys, time
from rlm_runtime.errors import QueryTimeout
from rlm_runtime.ontology import open_ontology

crowd = open_ontology(sys.argv[1])
began = time.monotonic()
try:
    crowd.select(sys.argv[2], timeout=0.2)
except QueryTimeout as error:
    print(error)
print(time.monotonic() - began < 10, len(crowd.select("SELECT * { ?s ?p ?o }", limit=1)))
"""


@pytest.mark.parametrize(
    "query",
    [
        CROSS,
        CROSS.replace("(COUNT(*) AS ?n)", "*") + " ORDER BY ?a",
        "SELECT * { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i FILTER(CONCAT(STR(?a), STR(?i)) = 'x') }",
        "ASK { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i FILTER(CONCAT(STR(?a), STR(?i)) = 'x') }",
        "SELECT * { ?s <http://e/p>" + "/<http://e/p>" * 1500 + " ?o }",
        "SELECT * { " + "?s ?p ?o . " * 400 + "}",
    ],
    ids=lambda query: query[:50],
)
def test_a_runaway_query_comes_back_in_time_and_lets_the_process_end(
    crowd: Ontology, query: str
) -> None:
    run = subprocess.run(
        [sys.executable, "-c", _GIVE_UP, crowd.source, query],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (run.returncode, run.stderr) == (0, "")
    message, after = run.stdout.strip().splitlines()
    assert "took longer than 0.2 s" in message
    assert after == "True 1"


def test_many_threads_may_ask_at_once(pets: Ontology) -> None:
    def ask(i: int) -> object:
        if i % 3 == 0:
            return pets.search("cat", limit=1)[0].iri
        if i % 3 == 1:
            return pets.describe(":Cat").iri
        return pets.select(f"SELECT (<http://e/Cat> AS ?x) {{ BIND({i} AS ?i) }}").rows[0]["x"]

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(ask, range(300))) == {"http://e/Cat"}


def test_a_description_holds_what_is_said(pets: Ontology) -> None:
    cat = pets.describe(":Cat")
    assert cat == pets.describe("http://e/Cat") == pets.describe("<http://e/Cat>")
    assert (cat.iri, cat.kind) == ("http://e/Cat", "class")
    assert [term.value for term in cat.labels] == ["Cat", "cat", "Katze"]
    assert [term.value for term in cat.comments] == ["It purrs.", "Sie schnurrt."]
    assert [pets.compact(predicate) for predicate in cat.outgoing] == [
        "rdf:type",
        "rdfs:subClassOf",
        ":note",
    ]
    assert [term.kind for term in cat.outgoing[RDFS + "subClassOf"]] == ["iri", "bnode"]
    assert {pets.compact(p): v for p, v in cat.incoming.items()} == {
        "rdf:type": (Term("http://e/tom", "iri"),)
    }
    assert (cat.outgoing_count, cat.incoming_count, cat.truncated) == (4, 1, False)


def test_a_description_shares_its_places_out(tmp_path: Path) -> None:
    path = tmp_path / "hub.ttl"
    statements = "".join(f"<http://e/{i:03}> a <http://e/Hub> . " for i in range(500))
    path.write_text(
        statements + "<http://e/x> <http://e/a> <http://e/Hub>; <http://e/b> <http://e/Hub> ."
    )
    with open_ontology(path) as ontology:
        hub = ontology.describe("http://e/Hub", limit=10)
        assert [len(values) for values in hub.incoming.values()] == [8, 1, 1]
        assert next(iter(hub.incoming.values()))[0].value == "http://e/000"
        assert (hub.incoming_count, hub.outgoing_count, hub.truncated) == (502, 0, True)
        tight = ontology.describe("http://e/Hub", limit=2)
        assert [len(values) for values in tight.incoming.values()] == [1, 1]


def test_what_does_not_occur_is_said_with_neighbours(pets: Ontology) -> None:
    with pytest.raises(QueryError, match=r":anmal does not occur.*:Animal \(animal\)"):
        pets.describe(":anmal")
    with pytest.raises(QueryError, match="No such prefix nope:"):
        pets.describe("nope:Cat")


def test_any_position_counts_as_occurring(tmp_path: Path) -> None:
    path = tmp_path / "x.nq"
    path.write_text("<http://e/s> <http://e/p> <http://e/o> <http://e/g> .")
    with open_ontology(path) as ontology:
        assert all(ontology.contains(f"http://e/{name}") for name in "spog")  # type: ignore[attr-defined]
        assert not ontology.contains("http://e/x")  # type: ignore[attr-defined]
        assert ontology.describe("http://e/p").kind == "property"


def test_a_closed_ontology_says_so(tmp_path: Path) -> None:
    path = tmp_path / "pets.ttl"
    path.write_text(DATA)
    ontology = open_ontology(path)
    with ontology as same:
        assert same is ontology
    ontology.close()
    for use in (
        lambda: ontology.select("ASK {}"),
        lambda: ontology.search("cat"),
        lambda: ontology.describe(":Cat"),
    ):
        with pytest.raises(OntologyError, match="'pets' is closed"):
            use()
    assert ontology.expand(":Cat") == "http://e/Cat"


@pytest.mark.parametrize(
    ("name", "iri"),
    [
        (":Cat", "http://e/Cat"),
        ("<http://e/Cat>", "http://e/Cat"),
        (" http://e/Cat ", "http://e/Cat"),
        ("zoo:1", "http://e/zoo#1"),
        ("zoo:", "http://e/zoo#"),
        (r"zoo:a\.b\/c", "http://e/zoo#a.b/c"),
        ("zoo:a%20b", "http://e/zoo#a%20b"),
        ("zoo:not legal", "http://e/zoo#not legal"),
        ("rdf:type", "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"),
        ("urn:isbn:1", "urn:isbn:1"),
        ("mailto:a@b.c", "mailto:a@b.c"),
        ("zoo://host/x", "zoo://host/x"),
    ],
)
def test_names_expand(pets: Ontology, name: str, iri: str) -> None:
    assert pets.expand(name) == iri


@pytest.mark.parametrize("name", ["Cat", "", "nope:Cat", "_:b"])
def test_what_is_no_name_does_not_expand(pets: Ontology, name: str) -> None:
    with pytest.raises(QueryError):
        pets.expand(name)


@pytest.mark.parametrize(
    ("iri", "name"),
    [
        ("http://e/Cat", ":Cat"),
        ("http://e/zoo#1", "zoo:1"),
        ("http://e/zoo#", "zoo:"),
        ("http://e/zoo#a.b", "zoo:a.b"),
        ("http://e/zoo#a.", "<http://e/zoo#a.>"),
        ("http://e/zoo#-a", "<http://e/zoo#-a>"),
        ("http://e/zoo#a/b", "<http://e/zoo#a/b>"),
        ("http://e/zoo#a%2", "<http://e/zoo#a%2>"),
        ("http://e/a b", "<http://e/a b>"),
        ("http://e/größe", ":größe"),
        ("http://other/x", "<http://other/x>"),
    ],
)
def test_iris_compact_to_legal_names(pets: Ontology, iri: str, name: str) -> None:
    assert pets.compact(iri) == name


_CHARS = st.text(st.sampled_from("abZ09_-.:/#%~'()*,;=?@!$&+é·‿ \\<>|20"), max_size=8)
_NAMESPACES = st.sampled_from(
    ["http://e/", "http://e/zoo#", "http://e/zoo#a", "urn:x:", "http://f"]
)


@settings(deadline=None, max_examples=400)
@given(
    st.dictionaries(st.sampled_from(["", "a", "b", "http", "urn"]), _NAMESPACES),
    _NAMESPACES,
    _CHARS,
)
def test_a_compact_name_expands_to_its_iri(own: dict[str, str], namespace: str, local: str) -> None:
    names = PrefixMap(own)
    iri = namespace + local
    assert names.expand(names.compact(iri)) == iri


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(["http://e/", "http://e/zoo#"]), _CHARS)
def test_a_compact_name_means_its_iri_in_a_query(namespace: str, local: str) -> None:
    from pyoxigraph import NamedNode, Store

    names = PrefixMap({"": "http://e/", "zoo": "http://e/zoo#"})
    iri = namespace + local
    try:
        NamedNode(iri)
    except ValueError:
        return
    query = f"SELECT ({names.compact(iri)} AS ?x) {{}}"
    (row,) = Store().query(query, prefixes=dict(names))
    assert row["x"].value == iri
