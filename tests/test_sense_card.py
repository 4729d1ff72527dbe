"""The sense card: true to the data, bounded, the same every time, its queries run."""

from __future__ import annotations

import gc
import re
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_runtime.errors import ConfigurationError, OntologyError, QueryTimeout
from rlm_runtime.ontology import open_ontology
from rlm_runtime.ontology.protocol import Ontology, Rows
from rlm_runtime.ontology.sense_card import make_sense_card

PROV = Path(__file__).parent.parent / "ontology" / "prov.ttl"
HEAD = """
@prefix ex: <http://shop.example/ns#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix dcterms: <http://purl.org/dc/terms/> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
"""
EMPLOYEES = "\n".join(
    f'ex:e{i} a ex:Employee ; ex:name "Name {i:02}" ; ex:salary {30000 + i} ; '
    f'ex:worksIn ex:d{i % 2} ; ex:hired "20{10 + i}-01-02"^^xsd:date ; '
    f'ex:status "{("active", "left")[i % 2]}"' + (f' ; ex:email "e{i}@x"' if i < 9 else "") + " ."
    for i in range(12)
)
SHOP = f"""{HEAD}
<http://shop.example/ns> a owl:Ontology ; dcterms:title "The shop"@en ;
  rdfs:comment "Who works where."@en .
ex:Person a owl:Class . ex:Employee a owl:Class ; rdfs:subClassOf ex:Person .
ex:Department a owl:Class ; rdfs:label "Department"@en , "Abteilung"@de .
ex:unused a owl:ObjectProperty ; rdfs:domain ex:Person ; rdfs:range ex:Department .
ex:d0 a ex:Department ; rdfs:label "Sales"@en ; ex:address [ ex:street "A" ; ex:city "B" ] .
ex:d1 a ex:Department ; rdfs:label "Research"@en ; ex:phone "1", "2", "3" .
{EMPLOYEES}
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ontology]:
    path = tmp_path_factory.mktemp("card") / "shop.ttl"
    path.write_text(SHOP)
    with open_ontology(path) as ontology:
        yield ontology


@pytest.fixture(scope="module")
def prov() -> Iterator[Ontology]:
    with open_ontology(PROV) as ontology:
        yield ontology


def card_of(tmp_path: Path, turtle: str, **options: int) -> str:
    path = tmp_path / "some.ttl"
    path.write_text(HEAD + turtle)
    with open_ontology(path) as ontology:
        return make_sense_card(ontology, **options)


def line_of(card: str, start: str) -> str:
    return next(line for line in card.split("\n") if line.startswith(start))


def queries_of(card: str) -> list[str]:
    return [line for line in card.split("\n") if line.startswith("SELECT")]


def test_the_head_tells_title_size_and_formalism(shop: Ontology) -> None:
    lines = make_sense_card(shop).split("\n")
    assert lines[0] == "shop: The shop. Who works where."
    triples = shop.select("SELECT (COUNT(*) AS ?n) WHERE { ?s ?p ?o }").rows[0]["n"]
    assert lines[1] == (
        f"OWL; {triples} triples, 3 classes, 12 properties (1 object, 11 undeclared), 14 instances."
    )
    assert "ex: <http://shop.example/ns#>" in lines[2]
    assert lines[3] == (
        "Labels: rdfs:label (en 3, de 1), dcterms:title (en 1). Comments: rdfs:comment (en 1)."
    )


def test_a_class_line_tells_predicates_values_and_coverage(shop: Ontology) -> None:
    assert line_of(make_sense_card(shop), "ex:Employee") == (
        "ex:Employee (12) < ex:Person: ex:hired date 2010-01-02..2021-01-02; "
        'ex:name string "Name 00"; ex:salary integer 30000..30011; '
        'ex:status string "active"|"left"; ex:worksIn -> ex:Department; '
        'ex:email string "e0@x", 9 of 12'
    )


def test_blank_nodes_and_repeated_values_are_told(shop: Ontology) -> None:
    line = line_of(make_sense_card(shop), "ex:Department")
    assert "ex:address -> [ex:city, ex:street], 1 of 2" in line
    assert 'ex:phone string "1" x3.0, 1 of 2' in line


def test_superclasses_need_a_path_and_the_card_says_so(shop: Ontology) -> None:
    card = make_sense_card(shop)
    assert "all instances of C: ?x a/rdfs:subClassOf* C" in card
    assert "ex:Person > ex:Employee" in card


def test_what_shapes_are_about_is_named_once_the_most_frequent_first(tmp_path: Path) -> None:
    card = card_of(
        tmp_path,
        """@prefix sh: <http://www.w3.org/ns/shacl#> .
        ex:Room a owl:Class, sh:NodeShape ; sh:property [ sh:path ex:area ], [ sh:path ex:floor ] .
        ex:Site a owl:Class, sh:NodeShape ; sh:property [ sh:path ex:area ],
            [ sh:path ( ex:floor ex:site ) ] .
        ex:area a owl:DatatypeProperty . ex:floor a owl:ObjectProperty .
        ex:tag a owl:ObjectProperty .""",
    )
    assert line_of(card, "Properties in SHACL shapes").endswith(": ex:area (2), ex:floor (1)")
    assert line_of(card, "(no domain)") == "(no domain): no range: ex:tag"


def test_unused_properties_have_domain_and_range(shop: Ontology) -> None:
    assert line_of(make_sense_card(shop), "ex:Person: ") == (
        "ex:Person: ex:unused -> ex:Department"
    )


def test_prov_has_its_tree_and_its_properties(prov: Ontology) -> None:
    card = make_sense_card(prov)
    assert "30 classes, 56 properties (44 object, 6 datatype, 7 annotation" in card
    assert "no instances" in card
    assert "x without a prefix means prov:x" in card
    assert "Agent > Organization, Person, SoftwareAgent" in card
    activity = line_of(card, "Activity: ")
    assert activity.startswith("Activity: endedAtTime, startedAtTime -> xsd:dateTime;")
    assert "generated, invalidated, used, wasEndedBy, wasStartedBy -> Entity" in activity
    assert line_of(card, "InstantaneousEvent: ") == "InstantaneousEvent: atTime -> xsd:dateTime"
    assert line_of(card, "(no domain)") == "(no domain): influenced"
    assert "(-> range, unless the name ends in it; line 3 on: of datatypes only)" in card
    assert activity.endswith("qualifiedEnd, qualifiedStart, qualifiedUsage, qualifiedCommunication")
    assert "generated - wasGeneratedBy" in line_of(card, "Inverse pairs")
    assert "qualifiedForm (37) -> class, property" in line_of(card, "Used on classes")
    assert "Anonymous superclasses (restrictions): 1\n" in card
    assert 'category: "qualified" 45, "expanded" 24, "starting-point" 12' in card
    assert "Property chains (owl:propertyChainAxiom): 13 properties" in card
    tree = line_of(card, "Property tree: ")
    assert "qualifiedInfluence > the 13 others named qualified…;" in tree
    assert "; wasInfluencedBy > wasDerivedFrom, actedOnBehalfOf, hadMember, used, 7 more;" in tree
    assert "; wasDerivedFrom > hadPrimarySource, wasQuotedFrom, wasRevisionOf;" in tree


def test_prov_has_every_class_and_property(prov: Ontology) -> None:
    names = set(re.findall(r"\w+", make_sense_card(prov)))
    query = """SELECT ?x { VALUES ?t { owl:Class owl:ObjectProperty owl:DatatypeProperty } ?x a ?t
        FILTER(STRSTARTS(STR(?x), "http://www.w3.org/ns/prov#")) }"""
    terms = [str(row["x"]).split("#")[1] for row in prov.select(query).rows]
    assert len(terms) > 70
    assert not [term for term in terms if term not in names]


def test_with_more_room_names_are_prefixed(prov: Ontology) -> None:
    card = make_sense_card(prov, max_chars=6000)
    assert "prov:Agent > prov:Organization, prov:Person, prov:SoftwareAgent" in card
    assert "without a prefix" not in card
    assert "prov:influenced > prov:generated, prov:invalidated" in line_of(card, "Property tree")
    assert '"derivations" 17, "alternate" 2' in line_of(card, "Used on classes")


def test_its_queries_run_and_find_something(shop: Ontology, prov: Ontology) -> None:
    for ontology in (shop, prov):
        queries = queries_of(make_sense_card(ontology))
        assert len(queries) == 2
        assert all(len(ontology.select(query)) for query in queries)
        assert all("abel" in query for query in queries)
    assert "(owl:unionOf/rdf:rest*/rdf:first)?" in make_sense_card(prov)
    assert "COUNT(DISTINCT ?x)" in make_sense_card(shop)


def test_labels_in_a_query_keep_what_has_none_in_that_language(tmp_path: Path) -> None:
    card = card_of(
        tmp_path,
        """ex:a a ex:C ; ex:in ex:x . ex:b a ex:C ; ex:in ex:y . ex:c a ex:C ; ex:in ex:y .
        ex:x a ex:D ; rdfs:label "X"@en, "Ix"@de . ex:y a ex:D .""",
    )
    (counting, *_) = queries_of(card)
    assert "OPTIONAL { ?y rdfs:label ?yLabel" in counting


@settings(deadline=None, max_examples=25)
@given(st.integers(300, 4000))
def test_any_size_is_kept_and_no_line_is_cut(shop: Ontology, prov: Ontology, size: int) -> None:
    for ontology in (shop, prov):
        card = make_sense_card(ontology, max_chars=size)
        assert len(card) <= size
        for line in card.split("\n"):
            assert line.count("(") == line.count(")")
            assert line.count('"') % 2 == 0


def test_what_is_left_out_is_counted(prov: Ontology) -> None:
    card = make_sense_card(prov, max_chars=1200)
    line = line_of(card, "Entity: ")
    told = re.findall(r"\w+", line.removeprefix("Entity: ").rpartition(";")[0])
    assert line.endswith(f"; {19 - len(told)} more")
    assert "describe_entity of a class lists more" in card
    assert "Derivation (3)" in line_of(card, "Classes with subclasses")


def test_a_small_card_still_names_the_classes(shop: Ontology) -> None:
    card = make_sense_card(shop, max_chars=420)
    assert "Employee (12)" in card


def test_two_cards_are_the_same(prov: Ontology) -> None:
    with open_ontology(PROV) as again:
        assert make_sense_card(prov) == make_sense_card(again)


class Counting:
    """An ontology that counts its queries, and fails in those that hold a word."""

    def __init__(self, ontology: Ontology) -> None:
        self._ontology = ontology
        self.queries = 0
        self.failing = "no such word"

    def select(self, query: str, *, limit: int = 100, timeout: float = 30.0) -> Rows:
        self.queries += 1
        if self.failing in query:
            raise QueryTimeout("Too slow.")
        return self._ontology.select(query, limit=limit, timeout=timeout)

    def __getattr__(self, name: str) -> object:
        return getattr(self._ontology, name)


def test_a_card_is_made_once_for_an_ontology_and_a_length(shop: Ontology) -> None:
    counting = Counting(shop)
    card = make_sense_card(counting)
    made = counting.queries
    assert make_sense_card(counting) == card
    assert counting.queries - made <= 1
    assert len(make_sense_card(counting, max_chars=600)) <= 600
    assert counting.queries > made + 5
    forgotten = weakref.ref(counting)
    del counting
    gc.collect()
    assert forgotten() is None


def test_a_card_that_lacks_something_is_made_anew(shop: Ontology) -> None:
    counting = Counting(shop)
    counting.failing = "subClassOf"
    assert "Not found out" in make_sense_card(counting)
    counting.failing = "no such word"
    assert make_sense_card(counting) == make_sense_card(shop)


def test_a_card_is_made_for_an_ontology_that_cannot_be_a_key(shop: Ontology) -> None:
    class Unhashable(Counting):
        __hash__ = None  # pyright: ignore[reportAssignmentType]

    assert make_sense_card(Unhashable(shop)) == make_sense_card(shop)


def test_a_closed_ontology_has_no_card(tmp_path: Path) -> None:
    path = tmp_path / "shop.ttl"
    path.write_text(SHOP)
    ontology = open_ontology(path)
    make_sense_card(ontology)
    ontology.close()
    with pytest.raises(OntologyError, match="closed"):
        make_sense_card(ontology)


def test_too_little_room_is_refused(prov: Ontology) -> None:
    with pytest.raises(ConfigurationError, match="at least 300"):
        make_sense_card(prov, max_chars=299)


def test_a_thesaurus(tmp_path: Path) -> None:
    card = card_of(
        tmp_path,
        """ex:cat a skos:Concept ; skos:prefLabel "Cat"@en, "Katze"@de ; skos:broader ex:animal .
        ex:animal a skos:Concept ; skos:prefLabel "Animal"@en .""",
    )
    assert "SKOS; 6 triples" in card
    line = line_of(card, "skos:Concept (2)")
    assert 'skos:prefLabel string@en ex:animal "Animal"|ex:cat "Cat", string@de (1)' in line
    assert "skos:broader -> skos:Concept, 1 of 2" in line
    assert 'FILTER(LANG(?yLabel) = "en")' in card


def test_the_names_of_few_instances_are_all_told(shop: Ontology) -> None:
    line = line_of(make_sense_card(shop), "ex:Department (2)")
    assert 'rdfs:label string@en ex:d1 "Research"|ex:d0 "Sales"' in line


def test_annotations_with_many_texts_are_counted_only(tmp_path: Path) -> None:
    noted = "\n".join(f'ex:C{i} a owl:Class ; ex:note "{i % 9}" .' for i in range(30))
    assert "ex:note (30) -> text" in card_of(tmp_path, noted)


def test_few_instances_that_are_called_as_their_iris_have_a_rule(tmp_path: Path) -> None:
    named = {"Chair": "Chair", "Desk": "Desk", "Office-desk": "Office desk"}
    things = "\n".join(f'ex:{i} a ex:P ; rdfs:label "{name}" .' for i, name in named.items())
    line = line_of(card_of(tmp_path, things), "ex:P (3)")
    assert line.endswith('string (IRI ex:NAME) "Chair"|"Desk"|ex:Office-desk "Office desk"')


def test_a_name_of_several_instances_has_no_iri(tmp_path: Path) -> None:
    things = "\n".join(f'ex:e{i} a ex:P ; rdfs:label "n{i // 2}" .' for i in range(3))
    assert 'string "n0"|ex:e2 "n1" (only' in card_of(tmp_path, things)


def test_links_among_few_instances_of_a_class_are_a_tree(tmp_path: Path) -> None:
    wider = {"Chair": "Furniture", "Desk": "Furniture", "Stool": "Chair"}
    down = "\n".join(f"ex:{a} a ex:C ; ex:wider ex:{b} ." for a, b in wider.items())
    up = "\n".join(f"ex:{b} a ex:D ; ex:narrower ex:{a} ." for a, b in wider.items())
    card = card_of(tmp_path, f"{down} ex:Furniture a ex:C .")
    assert line_of(card, "Tree") == "Tree by ex:wider: Furniture > Chair, Desk; Chair > Stool"
    card = card_of(tmp_path, f"{up} ex:Desk a ex:D . ex:Stool a ex:D .")
    assert line_of(card, "Tree") == "Tree by ex:narrower: Furniture > Chair, Desk; Chair > Stool"


@pytest.mark.parametrize("links", ["ex:a ex:to ex:b . ex:b ex:to ex:a", "ex:a ex:to ex:b, ex:c"])
def test_a_circle_is_no_tree(tmp_path: Path, links: str) -> None:
    circle = f"ex:a a ex:C . ex:b a ex:C . ex:c a ex:C . {links} . ex:c ex:to ex:b ."
    assert "Tree" not in card_of(tmp_path, circle)


def test_values_that_repeat_are_all_listed(tmp_path: Path) -> None:
    places = "\n".join(f'ex:e{i} a ex:P ; ex:in "L{i % 4}" ; ex:no "{i}" .' for i in range(5))
    line = line_of(card_of(tmp_path, places), "ex:P (5)")
    assert line == 'ex:P (5): ex:in string "L0"|"L1"|"L2"|"L3"; ex:no string "0"'


def test_a_value_that_is_always_the_same_is_told_from_an_example(tmp_path: Path) -> None:
    prices = "\n".join(f'ex:e{i} a ex:P ; ex:in "EUR" ; ex:code "c{i}" .' for i in range(5))
    line = line_of(card_of(tmp_path, prices), "ex:P (5)")
    assert line == 'ex:P (5): ex:code string "c0"; ex:in string always "EUR"'


def test_names_that_instances_share_are_told(tmp_path: Path) -> None:
    people = "\n".join(f'ex:e{i} a ex:P ; rdfs:label "Ana {i % 18}" .' for i in range(20))
    line = line_of(card_of(tmp_path, people), "ex:P (20)")
    # An example would be taken for a name that is shared, and one of those is not.
    assert line == "ex:P (20): rdfs:label string (only 18 different)"


def test_deprecated_terms_are_told_and_the_plumbing_of_shapes_is_not(tmp_path: Path) -> None:
    classes = "".join(
        f"ex:C{i} a owl:Class ; owl:deprecated true ; ex:since '1' . ex:o sh:declare ex:d{i} .\n"
        for i in range(4)
    )
    card = card_of(tmp_path, f"@prefix sh: <http://www.w3.org/ns/shacl#> .\n{classes}")
    line = line_of(card, "Used on classes and properties")
    assert line.startswith("Used on classes and properties: owl:deprecated (4); ")
    assert "sh:" not in line


def test_what_there_is_none_of_is_not_told(tmp_path: Path) -> None:
    card = card_of(tmp_path, "ex:a a ex:C .")
    assert card.startswith("some: RDF without a declared schema; 1 triples")
    assert "title" not in card
    assert "Comments" not in card


def test_domains_of_other_vocabularies_words_are_understood_and_named(tmp_path: Path) -> None:
    card = card_of(
        tmp_path,
        """@prefix sdo: <http://schema.org/> . ex:A a owl:Class . ex:B a owl:Class .
        ex:p a owl:ObjectProperty ; sdo:domainIncludes ex:A, ex:B ; sdo:rangeIncludes ex:B .""",
    )
    assert "Properties by sdo:domainIncludes (-> range)" in card
    assert line_of(card, "ex:A|ex:B: ") == "ex:A|ex:B: ex:p -> ex:B"


def test_opaque_names_come_with_their_labels(tmp_path: Path) -> None:
    card = card_of(
        tmp_path,
        """ex:Q5 a owl:Class ; rdfs:label "human"@en . ex:P1 rdfs:label "born in"@en .
        ex:Q1 a ex:Q5 ; ex:P1 ex:Q2 .""",
    )
    assert 'ex:Q5 "human" (1): ex:P1 "born in" -> iri ex:Q2' in card


def test_data_without_classes(tmp_path: Path) -> None:
    card = card_of(tmp_path, "ex:a ex:knows ex:b ; ex:age 5 . ex:b ex:age 7 .")
    assert "(no class) (2): ex:age integer 5..7; ex:knows -> iri ex:b, 1 of 2" in card
    assert queries_of(card)


def test_nothing_at_all(tmp_path: Path) -> None:
    path = tmp_path / "one.ttl"
    path.write_text("<http://e/s> <http://e/p> <http://e/o> .")
    with open_ontology(path) as ontology:
        assert "1 triples, 0 classes" in make_sense_card(ontology)


def test_classes_in_a_circle(tmp_path: Path) -> None:
    card = card_of(tmp_path, "ex:A rdfs:subClassOf ex:B . ex:B rdfs:subClassOf ex:A .")
    assert "ex:A > ex:B" in card
    assert "ex:B > ex:A" in card


class Hasty:
    """A real ontology that has no time for grouping."""

    def __init__(self, ontology: Ontology) -> None:
        self._ontology = ontology

    def __getattr__(self, name: str) -> object:
        return getattr(self._ontology, name)

    def select(self, query: str, **options: float) -> Rows:
        if "COUNT" in query:
            raise QueryTimeout("too slow")
        return self._ontology.select(query, **options)  # type: ignore[arg-type]


def test_what_could_not_be_counted_is_said_and_never_called_zero(shop: Ontology) -> None:
    card = make_sense_card(Hasty(shop))  # type: ignore[arg-type]
    assert "uncounted triples" in card
    assert "uncounted instances" in card
    assert "Not found out: predicates (QueryTimeout)" in card


def test_many_classes_are_named_and_counted(tmp_path: Path) -> None:
    many = "\n".join(f"ex:i{i} a ex:Class{i} ; ex:p{i} {i} ." for i in range(300))
    card = card_of(tmp_path, many)
    assert len(card) <= 3000
    assert re.search(r"Other classes \(direct instances\): .* \d+ more", card)
