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
