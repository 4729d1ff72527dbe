"""Namespaces that nobody gave a prefix get one, the same each time, wherever names go in or out."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_runtime.errors import QueryError
from rlm_runtime.ontology import Ontology, open_ontology
from rlm_runtime.ontology.prefix_names import prefixes_for
from rlm_runtime.ontology.prefixes import USUAL_PREFIXES, PrefixMap
from rlm_runtime.ontology.sense_card import make_sense_card
from rlm_runtime.tools import make_ontology_tools
from tests.support.endpoints import serve

ID, VOC = "http://example.org/company/id/", "http://example.org/company#"


@pytest.fixture
def triples(tmp_path: Path) -> Path:
    path = tmp_path / "people.nt"
    path.write_text(
        "".join(
            f"<{ID}{i}> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <{VOC}Person> .\n"
            f'<{ID}{i}> <{VOC}name> "Ana {i}" .\n<{ID}{i}> <{VOC}knows> <{ID}{i // 2}> .\n'
            for i in range(40)
        )
    )
    return path


@pytest.mark.parametrize(
    ("namespace", "prefix"),
    [
        ("http://example.org/company#", "company"),
        ("http://example.org/company/id/", "id"),
        ("http://example.org/", "example"),
        ("http://data.example.co.uk:8080/", "example"),
        ("http://localhost/", "localhost"),
        ("http://e.org/foo/0.1/", "foo"),
        ("http://e.org/Foo/ns#", "foo"),
        ("http://e.org/hp.owl#", "hp"),
        ("http://e.org/observation-values/", "observation"),
        ("http://e.org/0123456789/", "ns1"),
        ("http://e.org/9f86d081884c/", "ns1"),
        ("http://127.0.0.1:8/", "ns1"),
        ("http://e.org/é/", "e"),
    ],
)
def test_a_prefix_is_named_after_path_or_host(namespace: str, prefix: str) -> None:
    assert prefixes_for([f"{namespace}a", f"{namespace}b"] * 2, {}) == {prefix: namespace}


@pytest.mark.parametrize(
    ("namespace", "prefix"),
    [
        ("http://e.org/schema/", "e"),
        ("http://e.org/data/", "e"),
        ("http://schema/schema/", "schema2"),
        ("http://urn/", "urn2"),
    ],
)
def test_neither_known_prefixes_nor_schemes_are_taken(namespace: str, prefix: str) -> None:
    assert prefixes_for([f"{namespace}a", f"{namespace}b"] * 2, USUAL_PREFIXES) == {
        prefix: namespace
    }


@pytest.mark.parametrize(
    "iris",
    [
        ["http://e.org/a", "http://e.org/b"],
        ["http://e.org/a"] * 9,
        ["http://e.org/(a)", "http://e.org/"] * 9,
        ["http://a.org", "http://b.org", "urn:x:a", "urn:x:b", "mailto:a@b"] * 9,
        ["http://www.w3.org/2002/07/owl#Class", "http://www.w3.org/2002/07/owl#Thing"] * 9,
    ],
)
def test_what_is_rare_or_known_or_cannot_be_shortened_gets_none(iris: list[str]) -> None:
    assert prefixes_for(iris, USUAL_PREFIXES) == {}


_PART = st.text("abcZ019-._~é%#", max_size=9)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(_PART, _PART, _PART), min_size=1, max_size=20), st.integers())
def test_made_prefixes_are_legal_unlike_and_do_not_hang_on_order(
    parts: list[tuple[str, str, str]], seed: int
) -> None:
    iris = [f"http://{host}/{path}/{last}" for host, path, last in parts] * 3
    made = prefixes_for(iris, USUAL_PREFIXES)
    random.Random(seed).shuffle(iris)
    assert prefixes_for(iris, USUAL_PREFIXES) == made
    assert len(made) <= 8
    assert not made.keys() & USUAL_PREFIXES.keys()
    names = PrefixMap(made)
    for prefix, namespace in made.items():
        assert prefix == prefix.lower()
        assert names.compact(f"{namespace}x") == f"{prefix}:x"
        assert names.expand(f"{prefix}:x") == f"{namespace}x"


def _is_understood_everywhere(ontology: Ontology) -> None:
    assert ontology.describe("id:7").iri == f"{ID}7"
    assert ontology.select("ASK { id:7 company:knows id:3 }").rows == [{"ask": True}]
    assert ontology.search("id:7")[0].iri == f"{ID}7"
    assert (ontology.prefixes["id"], ontology.prefixes["company"]) == (ID, VOC)
    tools = make_ontology_tools(ontology)
    assert tools["search_entity"]("Ana 7", limit=1)["rows"][0]["iri"] == "id:7"
    card = make_sense_card(ontology)
    assert f"id: <{ID}>" in card
    assert "no prefix" not in card
    assert "company:knows -> company:Person" in card


def test_triples_without_prefixes_get_some(triples: Path) -> None:
    with open_ontology(triples) as ontology:
        _is_understood_everywhere(ontology)


def test_an_endpoint_without_prefixes_gets_some(triples: Path) -> None:
    with serve(triples) as url, open_ontology(url) as ontology:
        _is_understood_everywhere(ontology)
        with pytest.raises(QueryError, match="No such prefix nope:, known prefixes: company:, id:"):
            ontology.expand("nope:x")


def test_prefixes_that_are_given_win_over_those_made(triples: Path) -> None:
    given = {"id": "http://other/", "c": VOC}
    with serve(triples) as url, open_ontology(url, prefixes=given) as ontology:
        assert ontology.compact(f"{ID}7") == f"<{ID}7>"
        ontology.select("ASK {}")
        assert ontology.compact(f"{ID}7") == "company:7"
        assert ontology.compact(f"{VOC}knows") == "c:knows"


def test_a_namespace_far_into_a_file_gets_a_prefix(tmp_path: Path) -> None:
    path = tmp_path / "long.nt"
    spaces = [f"http://e.org/{name}/" for name in ("first", "second", "third")]
    path.write_text("".join(f'<{s}{i}> <{s}p> "x" .\n' for s in spaces for i in range(1_000)))
    with open_ontology(path) as ontology:
        assert [ontology.compact(f"{s}p") for s in spaces] == ["first:p", "second:p", "third:p"]
