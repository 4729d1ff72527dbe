"""Describing an entity tells the truth of graphs that are materialised, broken, large or slow."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from rdflib import OWL, RDF, RDFS, BNode, Graph, URIRef

from rlm_runtime.ontology import Rows, open_ontology
from rlm_runtime.ontology.protocol import Ontology
from rlm_runtime.tools import make_ontology_tools
from tests.support.shop import Tools, printed
from tests.test_owl_describe import Slow

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
        graph.add((URIRef("http://e/B"), RDFS.subClassOf, a))
        graph.add((URIRef(bad), RDFS.subClassOf, a))
        graph.add((URIRef(bad), RDFS.subClassOf, part))
        graph.add((a, RDFS.subClassOf, URIRef(bad)))
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


class UsingUpTime(Slow):
    """An ontology one of whose queries uses all the time that it is given."""

    def select(self, query: str, *, limit: int = 100, timeout: float = 30.0) -> Rows:
        if self._what in query:
            time.sleep(timeout)
        return super().select(query, limit=limit, timeout=timeout)


@pytest.mark.parametrize(
    "what", ["?x ?r ?s ?p ?o", "?x ?y WHERE { VALUES", "(COUNT(*) AS ?n) WHERE { { SELECT DISTINCT"]
)
def test_a_slow_query_for_an_extra_loses_only_that(tmp_path: Path, what: str) -> None:
    with opened(
        tmp_path,
        """ex:A a owl:Class . ex:B rdfs:subClassOf ex:A ,
          [ owl:onProperty ex:p ; owl:someValuesFrom ex:A ] .
        ex:C rdfs:subClassOf ex:A . ex:D rdfs:subClassOf ex:A .""",
    ) as ontology:
        slow = make_ontology_tools(UsingUpTime(ontology, what), timeout=1.0)  # pyright: ignore
        said = slow["describe_entity"]("ex:A", 2)
    assert said["subclasses"] == ["ex:B", "ex:C"]
    assert said["in_restrictions_of"].keys() == {"ex:B"}


def test_every_node_is_listed_however_many_own_it(tmp_path: Path) -> None:
    shared = "".join(
        f"_:r{i} owl:onProperty ex:p ; owl:someValuesFrom ex:F . "
        + "".join(f"ex:c{j} rdfs:subClassOf _:r{i} . " for j in range(5))
        for i in range(60)
    )
    with opened(tmp_path, shared) as ontology:
        found = make_ontology_tools(ontology)["probe_relationships"]("ex:p", None, "in", 60)
    assert (found["count"], found["total"]) == (60, 60)
    assert {row["type"] for row in found["rows"]} == {"bnode of ex:c0 rdfs:subClassOf ex:p"}


def test_labels_in_very_many_languages_leave_room_for_those_of_others(tmp_path: Path) -> None:
    languages = [a + b for a in "fghijklm" for b in "nopqrstuv"]
    with opened(
        tmp_path,
        "".join(
            f"ex:k ex:to ex:q{i} . ex:q{i} rdfs:label 'in English {i}'@en , "
            + " , ".join(f"'{language} {i}'@{language}" for language in languages)
            + " . "
            for i in range(4)
        ),
    ) as ontology:
        labels = make_ontology_tools(ontology)["describe_entity"]("ex:k")["labels"]
    assert labels == {f"ex:q{i}": f"in English {i}" for i in range(4)}


def test_what_is_deactivated_is_not_told_as_in_force(tmp_path: Path) -> None:
    with opened(
        tmp_path,
        """ex:T a owl:Class , sh:NodeShape ; sh:property [ sh:path ex:own ; sh:minCount 1 ] .
        ex:S sh:targetClass ex:T ; sh:not ex:U ; sh:property [ sh:path ex:q ; sh:minCount 1 ] ,
          [ sh:path ex:p ; sh:maxCount 1 ; sh:deactivated true ] .
        ex:Off sh:targetClass ex:T ; sh:deactivated true ; sh:not ex:V ;
          sh:property [ sh:path ex:p ; sh:maxCount 2 ] .
        ex:Implicit a owl:Class , sh:NodeShape ; sh:deactivated true ;
          sh:property [ sh:path ex:own ; sh:minCount 1 ] .
        ex:p a owl:ObjectProperty . ex:q a owl:ObjectProperty .""",
    ) as ontology:
        tools = make_ontology_tools(ontology)
        said = tools["describe_entity"]("ex:T")
        assert said["shapes"] == {"ex:T": ["ex:own min 1"], "ex:S": ["ex:q min 1"]}
        assert said["must_not_be"] == {"ex:S": ["ex:U"]}
        assert "shapes" not in tools["describe_entity"]("ex:Implicit")
        assert "in_restrictions_of" not in tools["describe_entity"]("ex:p")
        assert tools["describe_entity"]("ex:q")["in_restrictions_of"] == {"ex:S": "min 1"}


def test_a_construct_is_no_class_to_inherit_properties_from(tmp_path: Path) -> None:
    with opened(
        tmp_path,
        "ex:A rdfs:subClassOf ex:B , _:c . _:c owl:unionOf ( ex:C ex:D ) . "
        "ex:p rdfs:domain _:c , ex:B . ex:q rdfs:domain _:c .",
    ) as ontology:
        said = make_ontology_tools(ontology)["describe_entity"]("ex:A")
    assert said["inherits_from"] == {"ex:B": 1}
    assert said["inherits"] == {"ex:p": "any"}


def test_what_is_too_much_to_read_is_not_called_slow(tmp_path: Path) -> None:
    shapes = "".join(
        f"ex:S{i} sh:targetClass ex:C ; sh:property [ sh:path ex:p{i} ; sh:minCount 1 ] . "
        for i in range(3_000)
    )
    with opened(tmp_path, f"ex:C a owl:Class . {shapes}") as ontology:
        said = make_ontology_tools(ontology)["describe_entity"]("ex:C")
    assert said["truncated"]
    assert "in time" not in said["note"]


class TestFigures:
    """A number of what is missing is the true one, or none is told."""

    def test_of_more_properties_than_are_read_no_number_is_told(self, tmp_path: Path) -> None:
        many = "".join(f"ex:p{i} rdfs:domain ex:C . " for i in range(1_100))
        with opened(tmp_path, f"ex:C a owl:Class . {many}") as ontology:
            said = make_ontology_tools(ontology)["describe_entity"]("ex:C", 5)
        assert said["cut"]["domain_of"] is None
        (line,) = (line for line in printed(said) if line.startswith("domain_of"))
        assert line.endswith("any; …")

    def test_own_included_and_inherited_properties_are_counted_apart(self, tmp_path: Path) -> None:
        turtle = "ex:A rdfs:subClassOf ex:B . " + "".join(
            f"ex:a{i} rdfs:domain ex:A, ex:B . ex:s{i} schema:domainIncludes ex:A . "
            f"ex:z{i} rdfs:domain ex:B . "
            for i in range(10)
        )
        with opened(tmp_path, turtle) as ontology:
            said = make_ontology_tools(ontology)["describe_entity"]("ex:A", 2)
        assert said["cut"] == {"domain_of": 2, "domain_includes_of": 10, "inherits": 10}
        assert "domain_includes_of, domain_of, inherits" in said["note"]
        assert said["inherits_from"] == {"ex:B": 20}

    def test_of_more_disjoint_classes_than_are_read_no_number_is_told(self, tmp_path: Path) -> None:
        members = " ".join(f"ex:c{i}" for i in range(400))
        turtle = f"[] a owl:AllDisjointClasses ; owl:members ( {members} ) . ex:c0 a owl:Class ."
        with opened(tmp_path, turtle) as ontology:
            said = make_ontology_tools(ontology)["describe_entity"]("ex:c0", 5)
        assert said["cut"] == {"disjoint_with": None}
        assert any(
            line.startswith("disjoint_with") and line.endswith("; …") for line in printed(said)
        )

    def test_direct_superclasses_that_were_cut_are_no_ancestors(self, tmp_path: Path) -> None:
        turtle = "ex:X rdfs:subClassOf ex:A, ex:B, ex:C, ex:D, ex:E . ex:A rdfs:subClassOf ex:F ."
        with opened(tmp_path, turtle) as ontology:
            said = make_ontology_tools(ontology)["describe_entity"]("ex:X", 2)
        assert said["superclasses"] == ["ex:A", "ex:B"]
        assert said["ancestors"] == ["ex:F"]
        assert said["cut"] == {"superclasses": 3}
        assert not any(line.startswith("inherited_restrictions") for line in printed(said))

    def test_of_more_ancestors_than_are_read_no_number_is_told(self, tmp_path: Path) -> None:
        chain = "".join(f"ex:c{i:03} rdfs:subClassOf ex:c{i + 1:03} . " for i in range(150))
        with opened(tmp_path, chain) as ontology:
            said = make_ontology_tools(ontology)["describe_entity"]("ex:c000", 10)
        assert said["ancestors"] == [f"ex:c{i:03}" for i in range(2, 7)]
        assert said["cut"]["ancestors"] is None

    def test_of_more_restrictions_than_are_read_no_number_is_told(self, tmp_path: Path) -> None:
        asked = " , ".join(
            f"[ owl:onProperty ex:p ; owl:someValuesFrom ex:F{i} ]" for i in range(600)
        )
        with opened(tmp_path, f"ex:X rdfs:subClassOf ex:Y . ex:Y rdfs:subClassOf {asked} .") as o:
            said = make_ontology_tools(o)["describe_entity"]("ex:X", 3)
        assert said["cut"] == {"inherited_restrictions": None}
        assert said["inherited_restrictions_counts"] == {"ex:Y": None}
        (line,) = (line for line in printed(said) if line.startswith("  ex:Y: "))
        assert line.endswith("; …")
