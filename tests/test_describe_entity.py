"""describe_entity tells what an entity is before it tells anything else, in every vocabulary."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rlm_runtime.ontology import open_ontology
from rlm_runtime.tools import make_ontology_tools
from tests.support.shop import Tools, printed

HEAD = """
@prefix ex: <http://e/> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix dcterms: <http://purl.org/dc/terms/> .
"""
INCLUDES = """
@prefix s: <{namespace}> .
ex:Work a rdfs:Class . ex:Book a rdfs:Class ; rdfs:subClassOf ex:Work . ex:Person a rdfs:Class .
ex:author a rdf:Property ; s:domainIncludes ex:Book, ex:Film ; s:rangeIncludes ex:Person, ex:Firm .
ex:about a rdf:Property ; s:domainIncludes ex:Work .
ex:isbn a rdf:Property ; rdfs:domain ex:Book .
ex:owner a rdf:Property ; rdfs:domain [ owl:unionOf (ex:Book ex:Film) ] ; rdfs:range ex:Person .
"""


@contextmanager
def tools_for(folder: Path, turtle: str) -> Iterator[Tools]:
    path = folder / "some.ttl"
    path.write_text(HEAD + turtle)
    with open_ontology(path) as ontology:
        yield make_ontology_tools(ontology)


def test_a_definition_comes_before_other_texts(tmp_path: Path) -> None:
    with tools_for(
        tmp_path,
        """ex:a a owl:Class ; rdfs:comment "A comment."@en ; dcterms:description "About it."@en ;
          skos:definition "What it is."@en, "Was es ist."@de ; skos:scopeNote "A note."@en .
        ex:b a owl:Class ; dcterms:description "About it."@en ; rdfs:comment "What it is."@en .
        ex:c a owl:Class ; skos:definition "Was es ist."@de ; rdfs:comment "What it is."@en .
        ex:d a owl:Class ; skos:note "A note." .""",
    ) as tools:
        for name in ("ex:a", "ex:b", "ex:c"):
            assert tools["describe_entity"](name)["comment"] == "What it is."
        said = tools["describe_entity"]("ex:a")
        assert said["properties"] == {"skos:scopeNote": ["A note."]}
        said = tools["describe_entity"]("ex:d")
        assert "comment" not in said
        assert said["properties"] == {"skos:note": ["A note."]}


@pytest.mark.parametrize("namespace", ["http://schema.org/", "https://schema.org/"])
def test_what_a_domain_or_range_includes_is_told_by_its_name(
    tmp_path: Path, namespace: str
) -> None:
    with tools_for(tmp_path, INCLUDES.format(namespace=namespace)) as tools:
        author = tools["describe_entity"]("ex:author")
        assert author["domain_includes"] == ["ex:Book", "ex:Film"]
        assert author["range_includes"] == ["ex:Firm", "ex:Person"]
        assert author.keys().isdisjoint({"domain", "range", "properties"})
        owner = tools["describe_entity"]("ex:owner")
        assert (owner["domain"], owner["range"]) == (["ex:Book or ex:Film"], ["ex:Person"])
        assert owner.keys().isdisjoint({"domain_includes", "range_includes"})
        book = tools["describe_entity"]("ex:Book")
        assert book["domain_includes_of"] == {"ex:author": "ex:Firm or ex:Person"}
        assert book["domain_of"] == {"ex:isbn": "any", "ex:owner": "ex:Person"}
        assert book["inherits"] == {"ex:about": "any"}
        assert book["inherits_from"] == {"ex:Work": 1}
        assert "used_by" not in book
        person = tools["describe_entity"]("ex:Person")
        assert person["range_of"] == ["ex:owner"]
        assert person["range_includes_of"] == ["ex:author"]


def test_values_have_their_labels_whenever_these_are_not_their_names(tmp_path: Path) -> None:
    with tools_for(
        tmp_path,
        """ex:ana ex:skill ex:First-aid, ex:Python .
        ex:First-aid rdfs:label "First aid"@en . ex:Python rdfs:label "Python" .""",
    ) as tools:
        assert tools["describe_entity"]("ex:ana")["labels"] == {"ex:First-aid": "First aid"}


def test_what_is_inherited_is_counted_in_full(tmp_path: Path) -> None:
    path = tmp_path / "many.ttl"
    many = "".join(f"ex:p{i:02} rdfs:domain ex:Top ; rdfs:range ex:A, ex:B .\n" for i in range(30))
    path.write_text(f"{HEAD}{many}ex:Low rdfs:subClassOf ex:Top . ex:own rdfs:domain ex:Low .")
    with open_ontology(path) as ontology:
        said = make_ontology_tools(ontology)["describe_entity"]("ex:Low", 2)
    assert said["inherits_from"] == {"ex:Top": 30}
    assert said["domain_of"] == {"ex:own": "any"}
    assert len(said["inherits"]) == 7
    assert set(said["inherits"].values()) == {"ex:A or ex:B"}
    assert said["truncated"]


TAGGED = """
@prefix sh: <http://www.w3.org/ns/shacl#> .
ex:x ex:tag ex:A, ex:B, ex:C, ex:D ; ex:one 1 ; ex:shape [ ex:n 1 ], [ ex:n 2 ], [ ex:n 3 ] ;
  sh:rule [ a sh:TripleRule ; sh:subject sh:this ; sh:predicate ex:p ; sh:object ex:A ],
    [ a sh:TripleRule ; sh:subject sh:this ; sh:predicate ex:p ; sh:object ex:B ],
    [ a sh:TripleRule ; sh:subject ex:x ; sh:predicate ex:p ; sh:object ex:C ] .
"""


def test_every_predicate_whose_values_are_cut_says_so_in_its_line(tmp_path: Path) -> None:
    with tools_for(tmp_path, TAGGED) as tools:
        cut, whole = tools["describe_entity"]("ex:x", 3), tools["describe_entity"]("ex:x", 50)
    assert cut["properties"]["ex:tag"] == ["ex:A", "ex:B"]
    assert cut["properties_counts"] == {"ex:shape": 3, "ex:tag": 4, "sh:rule": 3}
    assert cut["note"] == "Cut at limit=3: 5 of 11 statements from it are shown."
    lines = printed(cut)
    assert "  ex:tag: ex:A, ex:B, … 2 more" in lines
    assert "  ex:shape (bnode): [ex:n 1], … 2 more" in lines
    assert whole["truncated"] is False
    assert "properties_counts" not in whole
    assert "  ex:tag: ex:A, ex:B, ex:C, ex:D" in printed(whole)


def test_names_and_literals_have_places_before_blank_nodes(tmp_path: Path) -> None:
    with tools_for(tmp_path, TAGGED) as tools:
        said = tools["describe_entity"]("ex:x", 5)
    assert said["properties"]["ex:tag"] == ["ex:A", "ex:B", "ex:C", "ex:D"]
    assert said["properties"]["ex:one"] == [1]
    assert "ex:tag" not in said["properties_counts"]


def test_rules_that_add_the_same_property_print_as_one(tmp_path: Path) -> None:
    with tools_for(tmp_path, TAGGED) as tools:
        said = tools["describe_entity"]("ex:x")
    assert said["properties"]["sh:rule"][1:] == ["adds ex:p ex:A", "adds ex:p ex:B"]
    (line,) = (line for line in printed(said) if "sh:rule" in line)
    assert line.endswith("], adds ex:p ex:A, ex:B")


def test_a_predicate_for_which_there_is_no_place_is_still_counted(tmp_path: Path) -> None:
    many = "".join(f"ex:x ex:p{i} 1, 2 .\n" for i in range(4))
    with tools_for(tmp_path, f"{many} ex:x a ex:A, ex:B .") as tools:
        said = tools["describe_entity"]("ex:x", 2)
    assert said["properties"] == {"ex:p0": [1], "ex:p1": [], "ex:p2": [], "ex:p3": []}
    assert set(said["properties_counts"].values()) == {2}
    assert said["cut"] == {"types": 1}
    assert "  ex:p3: … 2 more" in printed(said)
    assert "types: ex:A, … 1 more" in printed(said)


def test_of_very_many_predicates_some_are_listed_and_all_are_counted(tmp_path: Path) -> None:
    many = "".join(f"ex:x ex:p{i} 1 .\n" for i in range(300))
    with tools_for(tmp_path, many) as tools:
        said = tools["describe_entity"]("ex:x", 2)
    assert len(said["properties"]) == 100
    assert said["note"].startswith("Cut at limit=2: 2 of 300 statements from it are shown; ")
    assert said["cut"] == {"properties": 200}


def test_a_hub_is_counted_in_full_and_labels_are_none_of_its_statements(tmp_path: Path) -> None:
    path = tmp_path / "hub.nt"
    label = "<http://www.w3.org/2000/01/rdf-schema#label>"
    path.write_text(
        "".join(
            f"<http://e/{i:05}> <http://e/{'ab'[i % 100 == 0]}> <http://e/hub> .\n"
            f'<http://e/hub> <http://e/c> "{i:05}" .\n'
            for i in range(6_000)
        )
        + f'<http://e/hub> {label} "Hub" .\n<http://e/hub> {label} <http://e/c> .\n'
    )
    with open_ontology(path) as ontology:
        hub = ontology.describe("http://e/hub", limit=10)
        said = make_ontology_tools(ontology)["describe_entity"]("http://e/hub", 10)
    assert (hub.incoming_count, hub.outgoing_count) == (6_000, 6_001)
    assert {iri: len(terms) for iri, terms in hub.incoming.items()} == {
        "http://e/a": 5,
        "http://e/b": 5,
    }
    assert [label.value for label in hub.labels] == ["Hub"]
    assert said["properties_counts"] == {"e:c": 6_000}
    assert said["used_by_counts"] == {"e:a": 5_940, "e:b": 60}
