"""Describing an entity tells the truth of graphs that are materialised, broken, large or slow."""

from __future__ import annotations

from pathlib import Path

import pytest
from rdflib import OWL, RDF, RDFS, BNode, Graph, URIRef

from rlm_runtime.errors import QueryTimeout
from rlm_runtime.ontology import Rows, open_ontology
from rlm_runtime.ontology.protocol import Ontology
from rlm_runtime.tools import make_ontology_tools
from tests.support.shop import Tools, printed

HEAD = """
@prefix ex: <http://e/> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix sh: <http://www.w3.org/ns/shacl#> .
@prefix schema: <http://schema.org/> .
"""


def opened(folder: Path, turtle: str) -> Ontology:
    path = folder / "some.ttl"
    path.write_text(HEAD + turtle)
    return open_ontology(path)


def tools_for(folder: Path, turtle: str) -> Tools:
    return make_ontology_tools(opened(folder, turtle))


class TestMaterialised:
    """Stores that reason state of every class that it is equal to and below itself."""

    def test_a_class_equivalent_to_itself_is_listed(self, tmp_path: Path) -> None:
        tools = tools_for(
            tmp_path,
            """ex:B rdfs:subClassOf ex:A ; owl:equivalentClass ex:B .
            ex:C rdfs:subClassOf ex:A ; owl:equivalentClass ex:C, ex:D .
            ex:D rdfs:subClassOf ex:A ; owl:equivalentClass ex:D .""",
        )
        said = tools["describe_entity"]("ex:A")
        assert said["equal_subclasses"] == {"ex:C": ["ex:D"]}
        assert "subclasses: ex:B, ex:C (= ex:D)" in printed(said)

    def test_a_class_below_itself_hides_no_subclass(self, tmp_path: Path) -> None:
        below = "".join(f"ex:B{i} rdfs:subClassOf ex:A, ex:B{i} . " for i in range(3))
        tools = tools_for(tmp_path, f"ex:A rdfs:subClassOf ex:A . {below}")
        said = tools["describe_entity"]("ex:A", 2)
        assert said["subclasses"] == ["ex:B0", "ex:B1"]
        assert said["cut"] == {"subclasses": 1}


class TestBroken:
    """Lenient loading lets in IRIs that no query can name."""

    @pytest.mark.parametrize("bad", ["http://e/a b", "http://e/{x}", "relative"])
    def test_an_ill_formed_iri_nearby_does_no_harm(self, bad: str) -> None:
        graph, a, p, part = Graph(), URIRef("http://e/A"), URIRef("http://e/p"), BNode()
        graph.bind("ex", "http://e/")
        graph.add((a, RDF.type, OWL.Class))
        graph.add((p, RDF.type, OWL.ObjectProperty))
        for subject, parent in (("http://e/B", a), (bad, a), (bad, part), ("http://e/A", bad)):
            graph.add(
                (URIRef(subject), RDFS.subClassOf, URIRef(parent) if parent is bad else parent)
            )
        graph.add((part, OWL.onProperty, p))
        graph.add((part, OWL.someValuesFrom, a))
        graph.add((p, RDFS.domain, URIRef(bad)))
        graph.add((URIRef("http://e/i"), URIRef(bad), a))
        graph.add((URIRef("http://e/i"), URIRef("http://e/q"), a))
        with open_ontology(graph, name="bad") as ontology:
            tools = make_ontology_tools(ontology)
            said = tools["describe_entity"]("<http://e/A>")
            assert "ex:B" in said["subclasses"]
            assert "could not be read" in said["in_restrictions_of"].values()
            assert said["used_by"] == {"ex:q": ["ex:i"]}
            assert tools["describe_entity"]("<http://e/p>")["kind"] == "property"
            found = tools["probe_relationships"]("<http://e/A>", None, "in")
            assert "in ex:q" in found["counts"]
            assert "ex:B" in {row["other"] for row in found["rows"]}
