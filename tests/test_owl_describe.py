"""What OWL and SHACL say of an entity reads like sentences, is bounded, and survives any shape."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_runtime.errors import QueryTimeout
from rlm_runtime.ontology import Rows, open_ontology
from rlm_runtime.ontology.owl_axioms import with_axioms
from rlm_runtime.ontology.owl_text import NodeTexts
from rlm_runtime.ontology.protocol import Description, Ontology, Term
from rlm_runtime.ontology.schema import Expression
from rlm_runtime.ontology.vocabulary import OWL, RDF
from rlm_runtime.tools import make_ontology_tools, show
from tests.support.shop import Tools, printed

HEAD = """
@prefix ex: <http://e/> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix sh: <http://www.w3.org/ns/shacl#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
"""
CARS = f"""{HEAD}
ex:Thing a owl:Class ; rdfs:subClassOf owl:Thing .
ex:Vehicle a owl:Class ; rdfs:subClassOf ex:Thing ,
    [ a owl:Restriction ; owl:onProperty ex:part ; owl:someValuesFrom ex:Wheel ] ,
    [ a owl:Restriction ; owl:onProperty ex:part ; owl:qualifiedCardinality 4 ;
      owl:onClass ex:Wheel ] ;
  owl:disjointUnionOf ( ex:Car ex:Truck ) ; owl:disjointWith ex:Animal .
ex:Car a owl:Class , sh:NodeShape ; rdfs:subClassOf ex:Vehicle ,
    [ a owl:Restriction ; owl:onProperty ex:speed ; owl:allValuesFrom
      [ a rdfs:Datatype ; owl:onDatatype xsd:integer ;
        owl:withRestrictions ( [ xsd:minInclusive 0 ] [ xsd:maxExclusive 300 ] ) ] ] ,
    [ a owl:Restriction ; owl:onProperty ex:color ; owl:hasValue ex:red ] ,
    [ a owl:Restriction ; owl:onProperty [ owl:inverseOf ex:owns ] ; owl:maxCardinality 1 ] ;
  owl:equivalentClass [ a owl:Class ; owl:intersectionOf ( ex:Vehicle
    [ owl:unionOf ( ex:Electric [ owl:complementOf ex:Heavy ] ) ]
    [ owl:oneOf ( ex:herbie ex:kitt ) ]
    [ a owl:Restriction ; owl:onProperty ex:likes ; owl:hasSelf true ] ) ] ;
  owl:hasKey ( ex:country ex:number ) ;
  sh:property [ sh:path ( ex:part [ sh:inversePath ex:part ] ) ; sh:minCount 1 ;
    sh:class ex:Wheel ] .
ex:Truck a owl:Class ; rdfs:subClassOf ex:Vehicle .
ex:TruckShape sh:targetClass ex:Truck ; sh:property
    [ sh:path ex:load ; sh:in ( 1 2 ) ;
      sh:or ( [ sh:datatype xsd:integer ] [ sh:class ex:Load ] ) ] .
[] a owl:AllDisjointClasses ; owl:members ( ex:Truck ex:Boat ex:Plane ) .
ex:Auto owl:equivalentClass ex:Car . ex:Rock owl:disjointWith ex:Thing .
ex:Wheel a owl:Class . ex:Animal a owl:Class .
ex:part a owl:ObjectProperty , owl:TransitiveProperty ; owl:inverseOf ex:partOf ;
  rdfs:domain [ owl:unionOf ( ex:Vehicle ex:Wheel ) ] ;
  owl:propertyChainAxiom ( ex:part [ owl:inverseOf ex:holds ] ) .
ex:color a owl:ObjectProperty .
ex:engine rdfs:subPropertyOf ex:part ; rdfs:range ex:Engine ; owl:propertyDisjointWith ex:color .
ex:herbie a ex:Car ; ex:address [ a ex:Address ; ex:street "Main St" ; ex:city
    [ ex:name "Ulm" ; ex:twins ( ex:Wien ex:Linz ) ] ] .
ex:kitt a ex:Car . ex:big a ex:Truck . ex:any a ex:Vehicle .
"""


@pytest.fixture(scope="module")
def cars(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ontology]:
    path = tmp_path_factory.mktemp("cars") / "cars.ttl"
    path.write_text(CARS)
    with open_ontology(path) as ontology:
        yield ontology


@pytest.fixture(scope="module")
def tools(cars: Ontology) -> Tools:
    return make_ontology_tools(cars)


def texts(expressions: tuple[Expression, ...], source: str = "") -> list[str]:
    return [e.text for e in expressions if e.source.rpartition("/")[2] == source]


class TestClasses:
    def test_restrictions_read_like_sentences(self, cars: Ontology) -> None:
        axioms = cars.describe("ex:Car").axioms
        assert texts(axioms.supers) == [
            "ex:Vehicle",
            "(inverse ex:owns) max 1",
            "ex:color value ex:red",
            "ex:speed only (xsd:integer[>= 0, < 300])",
        ]
        assert axioms.supers[0].iri == "http://e/Vehicle"
        assert texts(axioms.supers, "Vehicle") == [
            "ex:part exactly 4 ex:Wheel",
            "ex:part some ex:Wheel",
        ]
        assert axioms.keys == ("ex:country, ex:number",)
        assert not axioms.truncated

    def test_what_is_equivalent_is_told_from_both_sides(self, cars: Ontology) -> None:
        assert texts(cars.describe("ex:Car").axioms.equivalents) == [
            "ex:Vehicle and (ex:Electric or (not ex:Heavy)) and {ex:herbie, ex:kitt} and "
            "(ex:likes Self)",
            "ex:Auto",
        ]
        assert texts(cars.describe("ex:Vehicle").axioms.equivalents) == ["ex:Car or ex:Truck"]

    def test_every_way_to_be_disjoint_is_told(self, cars: Ontology) -> None:
        disjoint = cars.describe("ex:Truck").axioms.disjoint
        assert texts(disjoint) == ["ex:Boat", "ex:Car", "ex:Plane"]
        assert texts(disjoint, "Vehicle") == ["ex:Animal"]
        assert texts(disjoint, "Thing") == ["ex:Rock"]
        assert texts(cars.describe("ex:Animal").axioms.disjoint) == ["ex:Vehicle"]

    def test_shapes_tell_what_instances_must_have(self, cars: Ontology) -> None:
        assert texts(cars.describe("ex:Car").axioms.shapes) == [
            "ex:part/^ex:part min 1 class ex:Wheel"
        ]
        assert texts(cars.describe("ex:Truck").axioms.shapes, "TruckShape") == [
            "ex:load in (1 2) (datatype xsd:integer or class ex:Load)"
        ]

    def test_an_ancestor_with_thousands_of_restrictions_hides_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "many.ttl"
        many = ",".join(
            f"[a owl:Restriction ; owl:onProperty ex:p ; owl:someValuesFrom ex:F{i}]"
            for i in range(4_000)
        )
        path.write_text(
            "@prefix ex: <http://e/> . @prefix owl: <http://www.w3.org/2002/07/owl#> .\n"
            "@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .\n"
            f"ex:Big a owl:Class ; rdfs:subClassOf {many} .\nex:Small rdfs:subClassOf ex:Big ."
        )
        with open_ontology(path) as ontology:
            small, big = (ontology.describe(name).axioms for name in ("ex:Small", "ex:Big"))
        assert texts(small.supers) == ["ex:Big"]
        assert len(texts(small.supers, "Big")) == 24
        assert all(text.startswith("ex:p some ex:F") for text in texts(big.supers))
        assert small.truncated
        assert big.truncated

    def test_of_shapes_the_nearest_come_first_and_the_rest_are_counted(
        self, tmp_path: Path
    ) -> None:
        def asks(name: str, most: int) -> str:
            shapes = ",".join(f"[ sh:path ex:{name}{i} ; sh:minCount 1 ]" for i in range(most))
            return f"sh:property {shapes}"

        path = tmp_path / "shapes.ttl"
        path.write_text(
            f"""{HEAD}
            ex:Low a owl:Class ; rdfs:subClassOf ex:Mid ; {asks("low", 2)} .
            ex:Mid a owl:Class ; rdfs:subClassOf ex:Top ; {asks("mid", 3)} ;
              sh:not [ sh:class ex:Point ; sh:message "no" ] , [ sh:minCount 2 ] .
            ex:Top a owl:Class ; {asks("top", 4)} ."""
        )
        with open_ontology(path) as ontology:
            said = make_ontology_tools(ontology)["describe_entity"]("ex:Low", 4)
            axioms = ontology.describe("ex:Low", limit=4).axioms
        assert axioms.cut == {"shapes": {"http://e/Mid": 1, "http://e/Top": 4}}
        assert said["shapes"]["ex:Low"] == ["ex:low0 min 1", "ex:low1 min 1"]
        assert said["shapes_counts"] == {"ex:Mid": 3, "ex:Top": 4}
        assert said["cut"] == {"shapes": 5}
        assert said["must_not_be"] == {"ex:Mid": ["ex:Point", "min 2"]}
        assert said["note"] == "Cut at limit=4: there are more shapes."
        assert "  ex:Mid: ex:mid0 min 1; ex:mid1 min 1; … 1 more" in printed(said)
        assert "  ex:Top: … 4 more" in printed(said)

    def test_alternatives_are_opened_and_the_message_is_told(self, tmp_path: Path) -> None:
        kinds = "".join(f"[ sh:datatype xsd:{name} ] " for name in ("decimal", "byte", "int"))
        values = " ".join(f"ex:a-value-of-some-length-{i}" for i in range(60))
        path = tmp_path / "or.ttl"
        path.write_text(
            f"""{HEAD}
            ex:Numbers a rdf:List ; rdf:first [ sh:datatype xsd:integer ] ; rdf:rest ( {kinds} ) .
            ex:Car a owl:Class ; sh:property [ sh:path ex:size ; sh:or ex:Numbers ] ,
              [ sh:path ex:in ; sh:class ex:Place ] ,
              [ sh:path ex:in ; sh:class ex:Place ; sh:message "Cars are  in a place."@en ,
                "Autos stehen irgendwo."@de ] ,
              [ sh:path ex:as ; sh:in ( {values} ) ] ."""
        )
        with open_ontology(path) as ontology:
            as_, *others = texts(ontology.describe("ex:Car").axioms.shapes)
        assert others == [
            'ex:in class ex:Place "Cars are in a place."',
            "ex:size (datatype xsd:integer or xsd:decimal or … 2 more)",
        ]
        told, _, left = as_.removesuffix(" more)").partition(" … ")
        assert told.endswith(f"ex:a-value-of-some-length-{59 - int(left)}")
        assert len(as_) <= 400

    def test_what_an_alternative_names_is_found_with_its_property(self, tmp_path: Path) -> None:
        path = tmp_path / "named.ttl"
        path.write_text(
            f"""{HEAD}
            ex:Room a owl:Class . ex:Hall a owl:Class . ex:m2 a ex:Unit .
            ex:Floor a owl:Class ; sh:property ex:parts .
            ex:parts sh:path ex:part ; sh:or ( [ sh:class ex:Room ] [ sh:class ex:Hall ] ) .
            ex:Flat a owl:Class ; rdfs:subClassOf [ a owl:Restriction ; owl:onProperty ex:part ;
              owl:someValuesFrom [ owl:unionOf ( ex:Room ex:Hall ) ] ] .
            ex:Area a owl:Class ; sh:property [ sh:path ex:unit ; sh:in ( ex:m2 ex:ft2 ) ] ."""
        )
        with open_ontology(path) as ontology:
            tools = make_ontology_tools(ontology)
            room, unit = (tools["describe_entity"](name) for name in ("ex:Room", "ex:m2"))
            rows = tools["probe_relationships"]("ex:Hall", direction="in")["rows"]
            units = tools["probe_relationships"]("ex:ft2")["rows"]
        assert room["in_restrictions_of"] == {
            "ex:Flat": "ex:part some (ex:Room or ex:Hall)",
            "ex:Floor": "ex:part (class ex:Room or ex:Hall)",
        }
        assert unit["in_restrictions_of"] == {"ex:Area": "ex:unit in (ex:m2 ex:ft2)"}
        assert [row["type"] for row in rows] == [
            *("bnode of ex:Flat rdfs:subClassOf ex:part", "bnode of ex:parts sh:or")
        ]
        assert [row["type"] for row in units] == ["bnode of ex:Area sh:property ex:unit"]

    def test_the_way_up_and_how_many_are_below_are_told(self, tmp_path: Path) -> None:
        path = tmp_path / "tree.ttl"
        below = "".join(f"ex:B{i} rdfs:subClassOf ex:Low .\n" for i in range(9))
        path.write_text(
            f"""{HEAD} {below} ex:Low rdfs:subClassOf ex:Mid . ex:Mid rdfs:subClassOf ex:Top .
            ex:Top rdfs:subClassOf ex:All . ex:B2 owl:equivalentClass ex:B1 ; rdfs:label "two" ."""
        )
        with open_ontology(path) as ontology:
            said = make_ontology_tools(ontology)["describe_entity"]("ex:Low", 4)
        assert (said["superclasses"], said["ancestors"]) == (["ex:Mid"], ["ex:Top", "ex:All"])
        assert said["subclasses"] == ["ex:B0", "ex:B1", "ex:B2", "ex:B3"]
        assert said["equal_subclasses"] == {"ex:B1": ["ex:B2"]}
        assert "subclasses: ex:B0, ex:B1 (= ex:B2 (two)), ex:B3, … 5 more" in printed(said)

    def test_shapes_that_only_check_by_a_query_ask_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "checked.ttl"
        path.write_text(
            "@prefix ex: <http://e/> . @prefix sh: <http://www.w3.org/ns/shacl#> .\n"
            'ex:Check sh:targetClass ex:Car ; sh:sparql [ sh:select "SELECT $this {}" ] .\n'
            "ex:herbie a ex:Car ."
        )
        with open_ontology(path) as ontology:
            assert ontology.describe("ex:Car").axioms.shapes == ()

    def test_names_that_are_numbers_print_with_their_labels(self, tmp_path: Path) -> None:
        path = tmp_path / "numbers.ttl"
        path.write_text(
            "@prefix ex: <http://e/> . @prefix owl: <http://www.w3.org/2002/07/owl#> .\n"
            "@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .\n"
            'ex:N_1 a owl:Class ; rdfs:label "brain" ; rdfs:subClassOf\n'
            " [a owl:Restriction ; owl:onProperty ex:P_2 ; owl:someValuesFrom ex:N_3] .\n"
            'ex:P_2 rdfs:label "part of" . ex:N_3 rdfs:label "head" ; rdfs:subClassOf ex:N_1 .'
        )
        with open_ontology(path) as ontology:
            lines = printed(make_ontology_tools(ontology)["describe_entity"]("ex:N_1"))
        assert "superclasses: ex:P_2 (part of) some ex:N_3 (head)" in lines
        assert "subclasses: ex:N_3 (head)" in lines
        assert lines[0] == "iri: ex:N_1"

    def test_instances_are_counted_alone_and_with_those_of_subclasses(self, cars: Ontology) -> None:
        said = cars.describe("ex:Vehicle")
        assert (str(said.instances), str(said.instances_below)) == ("1", "4")

    def test_a_limit_cuts_and_says_so(self, cars: Ontology) -> None:
        axioms = cars.describe("ex:Car", limit=2).axioms
        assert len(axioms.supers) == 2
        assert axioms.truncated

    def test_the_tool_tells_it_all_in_words(self, tools: Tools) -> None:
        said = tools["describe_entity"]("ex:Car")
        assert said["inherited_restrictions"] == {
            "ex:Vehicle": ["ex:part exactly 4 ex:Wheel", "ex:part some ex:Wheel"]
        }
        assert said["disjoint_with"] == [
            *("ex:Truck", "ex:Animal (from ex:Vehicle)", "ex:Rock (from ex:Thing)")
        ]
        assert (said["instances"], said["keys"]) == (2, ["ex:country, ex:number"])
        assert said["shapes"] == {"ex:Car": ["ex:part/^ex:part min 1 class ex:Wheel"]}
        assert "properties" not in said
        assert "  ex:Vehicle: ex:part exactly 4 ex:Wheel; ex:part some ex:Wheel" in printed(said)
        wheel = tools["describe_entity"]("ex:Wheel")
        assert wheel["in_restrictions_of"] == {
            "ex:Car": "ex:part/^ex:part min 1 class ex:Wheel",
            "ex:Vehicle": "ex:part exactly 4 ex:Wheel, ex:part some ex:Wheel",
        }
        assert "used_by" not in wheel


class TestProperties:
    def test_domain_and_range_come_down_from_superproperties(self, tools: Tools) -> None:
        said = tools["describe_entity"]("ex:engine")
        assert said["inherited_domain"] == ["ex:Vehicle or ex:Wheel (from ex:part)"]
        assert "domain" not in said
        assert said["range"] == ["ex:Engine"]
        assert said["disjoint_with"] == ["ex:color"]
        assert tools["describe_entity"]("ex:color")["disjoint_with"] == ["ex:engine"]

    def test_characteristics_chains_and_inverses(self, tools: Tools) -> None:
        said = tools["describe_entity"]("ex:part")
        assert said["characteristics"] == ["transitive"]
        assert said["chains"] == ["ex:part o inverse ex:holds"]
        assert (said["inverse"], said["subproperties"]) == (["ex:partOf"], ["ex:engine"])
        assert said["in_restrictions_of"] == {"ex:Vehicle": "exactly 4 ex:Wheel, some ex:Wheel"}
        assert tools["describe_entity"]("ex:partOf")["inverse"] == ["ex:part"]

    def test_the_inverse_of_an_equivalent_property_is_told_as_such(self, tmp_path: Path) -> None:
        path = tmp_path / "same.ttl"
        path.write_text(f"{HEAD} ex:has owl:equivalentProperty ex:owns ; owl:inverseOf ex:in .")
        with open_ontology(path) as ontology:
            describe = make_ontology_tools(ontology)["describe_entity"]
            owns = describe("ex:owns")
            assert (owns["kind"], describe("ex:has")["kind"]) == ("property", "property")
            assert owns["inverse"] == ["ex:in (from ex:has)"]
            assert describe("ex:has")["inverse"] == ["ex:in"]

    def test_what_each_class_allows_is_told(self, tmp_path: Path) -> None:
        path = tmp_path / "allowed.ttl"
        path.write_text(
            f"""{HEAD}
            ex:A a owl:Class ; sh:property [ sh:path ex:p ; sh:minCount 1 ; sh:class ex:X ] .
            ex:B a owl:Class ; sh:property [ sh:path ex:p ;
              sh:or ( [ sh:class ex:X ] [ sh:class ex:Y ] ) ;
              sh:or ( [ sh:class ex:Y ] [ sh:class ex:Z ] ) ] .
            ex:C rdfs:subClassOf [ owl:onProperty ex:p ; owl:someValuesFrom [ owl:unionOf () ] ] .
            ex:D sh:property [ sh:path ex:p ; sh:in ( ex:X ex:Y ) ; sh:nodeKind sh:IRI ] .
            ex:E sh:targetClass ex:F ; sh:path ex:p ; sh:maxCount 0 ; sh:message "use\n ex:q"@en .
            ex:p a owl:ObjectProperty ."""
        )
        with open_ontology(path) as ontology:
            said = make_ontology_tools(ontology)["describe_entity"]("ex:p")
        assert said["in_restrictions_of"] == {
            "ex:A": "min 1 class ex:X",
            "ex:B": "(class ex:X or ex:Y) and (class ex:Y or ex:Z)",
            "ex:C": "some (unionOf nothing)",
            "ex:D": "nodeKind sh:IRI in (ex:X ex:Y)",
            "ex:F": 'max 0 "use ex:q"',
        }
        assert "in_restrictions_of: ex:A -> min 1 class ex:X; ex:B -> (class ex:X" in str(
            show(said)
        )

    def test_of_many_classes_that_allow_something_the_rest_is_counted(self, tmp_path: Path) -> None:
        path = tmp_path / "many.ttl"
        asks = "sh:property [ sh:path ex:p ; sh:minCount 1 ]"
        path.write_text(HEAD + "".join(f"ex:C{i} a owl:Class ; {asks} .\n" for i in range(9)))
        with open_ontology(path) as ontology:
            said = make_ontology_tools(ontology)["describe_entity"]("ex:p", 4)
        assert said["in_restrictions_of"] == {"ex:C0": "min 1", "ex:C1": "min 1"}
        assert said["cut"] == {"in_restrictions_of": 7}
        assert "in_restrictions_of: ex:C0 -> min 1; ex:C1 -> min 1; … 7 more" in printed(said)
        assert said["note"] == "Cut at limit=4: there are more in_restrictions_of."

    def test_what_is_not_stated_is_said(self, tools: Tools) -> None:
        assert tools["describe_entity"]("ex:color")["none_stated"] == ["domain", "range"]
        assert "none_stated" not in tools["describe_entity"]("ex:engine")
        assert "none_stated: superclasses" in printed(tools["describe_entity"]("ex:Wheel"))


class Slow:
    """An ontology whose queries take too long, some or all."""

    def __init__(self, ontology: Ontology, what: str) -> None:
        self._ontology = ontology
        self._what = what

    def select(self, query: str, *, limit: int = 100, timeout: float = 30.0) -> Rows:
        if self._what in query:
            raise QueryTimeout("too slow")
        return self._ontology.select(query, limit=limit, timeout=timeout)

    def __getattr__(self, name: str) -> object:
        return getattr(self._ontology, name)


@pytest.mark.parametrize(("what", "supers"), [("SELECT", 0), ("COUNT", 6), ("?role", 6)])
def test_what_takes_too_long_is_left_out_and_said(cars: Ontology, what: str, supers: int) -> None:
    slow = Slow(cars, what)
    said = with_axioms(slow, Description("http://e/Car", "class"), limit=25)  # pyright: ignore
    assert len(said.axioms.supers) == supers
    assert said.axioms.truncated
    assert said.instances_below is None


class TestBlankNodes:
    def test_they_are_unfolded_with_their_lists(self, tools: Tools) -> None:
        assert tools["describe_entity"]("ex:herbie")["properties"] == {
            "ex:address": [
                '[a ex:Address; ex:city [ex:name "Ulm"; ex:twins (ex:Wien ex:Linz)]; '
                'ex:street "Main St"]'
            ]
        }

    def test_of_a_query_the_words_are_shown_and_not_the_indents(self, tmp_path: Path) -> None:
        path = tmp_path / "target.ttl"
        query = "\n        SELECT ?this\n        WHERE {\n            ?this ex:p ex:Car }\n        "
        path.write_text(f'{HEAD} ex:x ex:target [ sh:select """{query}""" ] .')
        with open_ontology(path) as ontology:
            assert ontology.describe("ex:x").blank_values == {
                "http://e/target": ('[sh:select "SELECT ?this WHERE { ?this ex:p ex:Car }"]',)
            }

    def test_circles_end(self, tmp_path: Path) -> None:
        path = tmp_path / "circle.ttl"
        path.write_text(
            "@prefix ex: <http://e/> . @prefix owl: <http://www.w3.org/2002/07/owl#> . "
            "@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> . "
            "@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> . "
            "ex:A a owl:Class ; rdfs:subClassOf ex:B , _:n . ex:B rdfs:subClassOf ex:A . "
            "_:n owl:complementOf _:n . "
            "ex:x ex:p _:l . _:l rdf:first ex:a ; rdf:rest _:l ."
        )
        with open_ontology(path) as ontology:
            assert texts(ontology.describe("ex:A").axioms.supers) == ["ex:B", "not […]"]
            assert ontology.describe("ex:x").blank_values == {"http://e/p": ("(ex:a)",)}

    def test_a_name_that_no_query_can_write_is_still_described(self, tmp_path: Path) -> None:
        path = tmp_path / "odd.nt"
        path.write_text("<http://e/a b> <http://e/p> <http://e/c> .\n")
        with open_ontology(path) as ontology:
            assert ontology.describe("http://e/a b").outgoing_count == 1

    def test_of_a_dense_net_few_nodes_are_looked_at(self) -> None:
        nodes = [Term(f"n{i}", "bnode") for i in range(40)]
        net = Watched({node: {"http://e/p": nodes} for node in nodes})
        assert len(NodeTexts(net, str).text(nodes[0])) <= 401

    def test_what_names_it_without_a_name_is_only_counted(self, tmp_path: Path) -> None:
        path = tmp_path / "notes.ttl"
        path.write_text(
            "@prefix ex: <http://e/> . @prefix owl: <http://www.w3.org/2002/07/owl#> .\n"
            "ex:a ex:by ex:ann . [] owl:annotatedTarget ex:ann ; owl:annotatedSource ex:a .\n"
            + "[] ex:by ex:ann .\n" * 30
            + "[] ex:of ex:ann .\n"
        )
        with open_ontology(path) as ontology:
            said = make_ontology_tools(ontology)["describe_entity"]("ex:ann")
        assert said["used_by"] == {"ex:by": ["ex:a"]}
        assert said["used_by_counts"] == {"ex:by": 31, "ex:of": 1}


class Watched(dict[Term, dict[str, list[Term]]]):
    """Statements of which only so many may be read: without a bound, a net has no end."""

    def get(self, key: Term, default: object = None) -> Any:
        self.reads = getattr(self, "reads", 0) + 1
        assert self.reads < 10_000, "more is read than can be shown"
        return super().get(key, default)


_NODES = [Term(f"b{i}", "bnode") for i in range(6)]
_VALUES = [*_NODES, Term("http://e/A", "iri"), Term("2", "literal"), Term(RDF + "nil", "iri")]
_WORDS = [
    *(OWL + n for n in ("onProperty", "someValuesFrom", "minCardinality", "unionOf", "oneOf")),
    *(OWL + n for n in ("complementOf", "onDatatype", "withRestrictions", "inverseOf", "hasSelf")),
    *("http://www.w3.org/ns/shacl#" + n for n in ("path", "or", "alternativePath", "minCount")),
    *(RDF + "first", RDF + "rest", RDF + "type", "http://e/p"),
]


@settings(deadline=None, max_examples=150)
@given(
    st.dictionaries(
        st.sampled_from(_NODES),
        st.dictionaries(
            st.sampled_from(_WORDS),
            st.lists(st.sampled_from(_VALUES), min_size=1, max_size=3),
            max_size=4,
        ),
    )
)
def test_any_net_of_blank_nodes_is_written(net: dict[Term, dict[str, list[Term]]]) -> None:
    for node in _NODES:
        texts = NodeTexts(Watched(net), str)
        assert 0 < len(texts.text(node)) <= 401
        assert len(texts.shape(node)) <= 401
