"""Entity search: what is found, in which order, and that no text breaks it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyoxigraph import RdfFormat, Store

from rlm_runtime.ontology.search import LabelIndex

PROV = Path(__file__).parent.parent / "ontology" / "prov.ttl"
NS = "http://shop.example/ns#"
PREFIXES = {"ex": NS, "prov": "http://www.w3.org/ns/prov#"}
PRODUCTS = "\n".join(f'ex:p{i} a ex:Product ; rdfs:label "Sensor {i}"@en .' for i in range(12))
SHOP = f"""
@prefix ex: <{NS}> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix schema: <https://schema.org/> .
ex:Product a owl:Class ; rdfs:label "Product"@en, "Erzeugnis"@de .
ex:Category a owl:Class ; rdfs:label "Product category"@en .
ex:sensors a ex:Category ; skos:prefLabel "Sensors"@en ; skos:altLabel "Probes"@en .
ex:mini a ex:Category ; schema:name "Café Müller" .
ex:suppliedBy rdfs:range ex:Supplier ; rdfs:label "supplied by"@en .
ex:XMLParser a ex:Tool . ex:snake_case_name a ex:Tool . ex:P31 a ex:Tool .
ex:p1 ex:suppliedBy ex:acme ; ex:madeIn ex:Germany .
{PRODUCTS}
"""


@pytest.fixture(scope="module")
def shop() -> LabelIndex:
    store = Store()
    store.load(SHOP.encode(), RdfFormat.TURTLE)
    return LabelIndex.build(store, prefixes=PREFIXES)


@pytest.fixture(scope="module")
def prov() -> LabelIndex:
    store = Store()
    store.load(path=str(PROV), format=RdfFormat.TURTLE, base_iri="http://prov.example/")
    return LabelIndex.build(store, prefixes=PREFIXES)


def names(index: LabelIndex, text: str, **options) -> list[str]:
    return [match.iri.split("#")[-1] for match in index.search(text, **options)]


@pytest.mark.parametrize(
    ("text", "name", "rank"),
    [
        ("product", "Product", "exact"),
        ("PRODUCTS", "Product", "exact"),
        ("erzeugnis", "Product", "exact"),
        ("probe", "sensors", "exact"),
        ("cafe muller", "mini", "exact"),
        ("xml parser", "XMLParser", "exact"),
        ("snake case name", "snake_case_name", "exact"),
        ("p31", "P31", "exact"),
        ("Supplied-By", "suppliedBy", "exact"),
        ("erzeug", "Product", "prefix"),
        ("category", "Category", "exact"),
        ("categroy", "Category", "corrected"),
        ("name case", "snake_case_name", "words"),
        ("which categories are there", "Category", "any"),
        ("ex:Product", "Product", "exact"),
        (f"<{NS}Product>", "Product", "exact"),
        (f"{NS}Product", "Product", "exact"),
        ("nowhere:Product", "Product", "exact"),
        ("ex:Prodcut", "Product", "corrected"),
        ("Germany", "Germany", "exact"),
    ],
)
def test_the_best_match(shop: LabelIndex, text: str, name: str, rank: str) -> None:
    first = shop.search(text)[0]
    assert (first.iri, first.rank) == (NS + name, rank)


def test_instances_do_not_hide_the_category_that_was_meant(shop: LabelIndex) -> None:
    assert names(shop, "sensor", limit=3)[0] == "sensors"


def test_shorter_texts_come_first(shop: LabelIndex) -> None:
    found = names(shop, "sensor", limit=20)
    assert len(found) == 13
    assert found[1:] == sorted(found[1:], key=lambda name: (len(name), name))


@pytest.mark.parametrize(
    ("statements", "text"),
    [
        ('ex:b rdfs:label "Chat"@en . ex:a rdfs:label "Chat"@fr .', "chat"),
        ('ex:b rdfs:label "Sensor" . ex:a a owl:Class ; rdfs:label "Sensors" .', "sensor"),
        ('ex:b rdfs:label "Network of long roads" . ex:a rdfs:label "Networking" .', "network"),
        ('ex:b rdfs:label "Name" . ex:a rdfs:label "Name" . ex:c ex:has ex:b .', "name"),
        ('ex:b rdfs:label "Road map" . ex:a rdfs:label "Map of a road" .', "map road"),
    ],
)
def test_the_better_one_comes_first(statements: str, text: str) -> None:
    store = Store()
    head = "".join(line + "\n" for line in SHOP.splitlines() if line.startswith("@prefix"))
    store.load(f"{head}{statements}".encode(), RdfFormat.TURTLE)
    assert names(LabelIndex.build(store), text, limit=2) == ["b", "a"]


def test_little_words_of_a_question_find_nothing_of_their_own(shop: LabelIndex) -> None:
    assert names(shop, "which of the probes is supplied by it") == ["sensors", "suppliedBy"]


def test_kind_leaves_others_out_and_limit_bounds(shop: LabelIndex) -> None:
    assert {match.kind for match in shop.search("p", limit=50, kind="class")} == {"class"}
    assert shop.search("ex:Product", kind="property") == []
    assert len(shop.search("sensor", limit=2)) == 2
    assert shop.search("sensor", limit=0) == []


def test_labels_and_kinds(shop: LabelIndex) -> None:
    assert [shop.search(NS + n)[0].label for n in ("Product", "P31")] == ["Product", "P31"]
    assert [shop.kind(NS + n) for n in ("Product", "Supplier", "madeIn", "p1", "acme")] == [
        *("class", "class", "property", "instance", None)
    ]


def test_an_instance_tells_its_classes(shop: LabelIndex) -> None:
    assert shop.search("Sensor 7")[0].types == (NS + "Product",)


def test_the_preferred_language_is_shown() -> None:
    store = Store()
    store.load(SHOP.encode(), RdfFormat.TURTLE)
    assert LabelIndex.build(store, "de").search(NS + "Product")[0].label == "Erzeugnis"


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Actvity", "Activity"),
        ("entitty", "Entity"),
        ("activities", "Activity"),
        ("was genrated by", "wasGeneratedBy"),
        ("primary source", "PrimarySource"),
        ("had primary source", "hadPrimarySource"),
        ("prov:used", "used"),
    ],
)
def test_prov(prov: LabelIndex, text: str, first: str) -> None:
    assert names(prov, text)[0] == first


def test_a_class_comes_before_the_property_of_the_same_name(prov: LabelIndex) -> None:
    assert [m.kind for m in prov.search("activity", limit=2)] == ["class", "property"]


@pytest.mark.parametrize("text", ["", "   ", "?!.*", '"', "()", "-- ''", "😀"])
def test_text_without_words_finds_nothing(prov: LabelIndex, text: str) -> None:
    assert prov.search(text) == []


@settings(deadline=None, max_examples=150)
@given(
    st.text(max_size=400)
    | st.text(alphabet='activity ENTITY"*()-:^<>{}NEAR OR AND NOT%_\\/é', max_size=60)
)
def test_no_text_breaks_it_and_the_order_is_stable(prov: LabelIndex, text: str) -> None:
    first = prov.search(text, limit=5)
    assert len(first) <= 5
    assert len({match.iri for match in first}) == len(first)
    assert first == prov.search(text, limit=5)


def test_very_long_text(prov: LabelIndex) -> None:
    assert names(prov, "activity " * 10_000)


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_one_wrong_letter_still_finds_the_entity(prov: LabelIndex, data: st.DataObject) -> None:
    label = data.draw(st.sampled_from(["Activity", "Entity", "Delegation", "Collection"]))
    at = data.draw(st.integers(1, len(label) - 1))
    wrong = data.draw(
        st.sampled_from(
            [
                label[:at] + label[at + 1 :],
                label[:at] + "q" + label[at:],
                label[:at] + label[at] + label[at:],
            ]
        )
    )
    assert label in names(prov, wrong, limit=10)
