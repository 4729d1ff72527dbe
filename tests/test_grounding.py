"""Grounding says what the ontology itself bears out, whatever form the evidence has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_runtime import open_ontology
from rlm_runtime.engine.grounding import ground, rows_again

PROV = Path(__file__).parent.parent / "ontology" / "prov.ttl"
NS = "http://www.w3.org/ns/prov#"


@pytest.fixture(scope="module")
def prov() -> Iterator[Any]:
    with open_ontology(PROV) as ontology:
        yield ontology


@pytest.mark.parametrize(
    "evidence",
    [
        ["prov:Agent"],
        [f"<{NS}Agent>"],
        [f"{NS}Agent"],
        [f"See {NS}Agent."],
        ["Agent (prov:Agent), a class."],
        [{"iri": "prov:Agent", "label": "Agent"}],
        [["prov:Agent", ["prov:Agent"]]],
        ["prov:Agent", 7, None, 2.5, True],
    ],
)
def test_iris_are_found_in_any_form(prov: Any, evidence: list[Any]) -> None:
    grounding = ground(prov, evidence, "")
    assert grounding.evidence_iris == (f"{NS}Agent",)
    assert grounding.evidence_grounded == 1.0
    assert (grounding.sparql_ok, grounding.sparql_rows) == (None, None)


@pytest.mark.parametrize("text", ["note: this", "at 12:30", "a:b", "", "::", "nope:Agent"])
def test_words_with_colons_are_no_iris(prov: Any, text: str) -> None:
    assert ground(prov, [text], "").evidence_iris == ()


@pytest.mark.parametrize(
    ("query", "missing"),
    [
        ("ASK { prov:Agent a owl:Class }", []),
        ("ASK { prov:Nope a owl:Class }", ["Nope"]),
        ("PREFIX p: <http://www.w3.org/ns/prov#> ASK { p:Nope ?p ?o }", ["Nope"]),
        ("ASK { ?s rdfs:label 'prov:Nope' } # prov:Nope", []),
        ('ASK { ?s rdfs:label """a "prov:Nope" b""" }', []),
        ("ASK { ?s ?p ?o FILTER(datatype(?o) = xsd:gYear) }", []),
        ("ASK { ?s a ?t FILTER(STRSTARTS(STR(?t), STR(foaf:))) }", []),
        ("PREFIX x: <http://x/> ASK { ?s a ?t FILTER(STRSTARTS(STR(?t), STR(x:))) }", []),
    ],
)
def test_terms_of_the_query_are_checked(prov: Any, query: str, missing: list[str]) -> None:
    assert ground(prov, [], query).missing_iris == tuple(NS + name for name in missing)


def test_a_query_that_fails_is_told_not_raised(prov: Any) -> None:
    grounding = ground(prov, ["prov:Agent"], "SELECT ?x { ?x ")
    assert grounding.sparql_ok is False
    assert "syntax" in str(grounding.sparql_error)
    assert grounding.evidence_grounded == 1.0


@pytest.mark.parametrize(
    "evidence",
    [
        ["a·" * 200_000],
        ["prov:" + "a" * 5_000_000],
        [f"prov:x{number}" for number in range(30_000)],
        ["<x:y\u0000>"],
        ["<x:\ud800>", "http://e/\ud800"],
    ],
)
def test_evidence_beyond_all_measure_breaks_nothing(prov: Any, evidence: list[str]) -> None:
    grounding = ground(prov, evidence, "")
    assert set(grounding.missing_iris) == set(grounding.evidence_iris)
    assert len(grounding.evidence_iris) <= 500


@settings(deadline=None, max_examples=60)
@given(
    evidence=st.lists(st.text() | st.dictionaries(st.text(), st.text(), max_size=2), max_size=3),
    query=st.text(max_size=40),
)
def test_nothing_that_a_model_says_can_break_it(prov: Any, evidence: Any, query: str) -> None:
    grounding = ground(prov, evidence, query)
    assert 0.0 <= grounding.evidence_grounded <= 1.0


def test_rows_of_a_query_are_shown_within_bounds(prov: Any) -> None:
    shown = rows_again(prov, "SELECT ?p ?c { ?p rdfs:isDefinedBy ?c } ORDER BY ?p")
    header, *rows, foot = shown.splitlines()
    assert header == "p:iri | c:iri"
    assert len(rows) == 30
    assert re.fullmatch(r"\(30 of \d+ rows\)", foot)
    assert len(rows_again(prov, "SELECT * { ?s ?p ?o . ?s2 rdfs:comment ?o2 }")) <= 7_000
    assert rows_again(prov, "SELECT ?x { ?x ") == ""
