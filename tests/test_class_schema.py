"""schema_of tells what instances really use: counted, with kinds, bounded, asked for once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rlm_runtime.errors import QueryError, QueryTimeout
from rlm_runtime.ontology import Rows, open_ontology
from rlm_runtime.ontology.class_schema import ClassSchemas
from rlm_runtime.ontology.protocol import Ontology
from rlm_runtime.ontology.schema import Count, ValueKind
from rlm_runtime.tools import make_ontology_tools
from tests.support.shop import printed

HEAD = "@prefix ex: <http://e/> . @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .\n"
LIBRARY = """
ex:Novel rdfs:subClassOf ex:Book . ex:Book rdfs:subClassOf ex:Book .
ex:a a ex:Book ; ex:title "A"@en, "A!"@de ; ex:pages 10 ; ex:by ex:ann .
ex:b a ex:Novel, ex:Book ; ex:title "B"@en ; ex:by ex:bob, ex:nobody ; ex:place [ ex:x 1 ] .
ex:c a ex:Novel ; ex:title "C" .
ex:ann a ex:Person . ex:bob a ex:Person, ex:Poet .
"""
XSD = "http://www.w3.org/2001/XMLSchema#"


@contextmanager
def opened(folder: Path, turtle: str) -> Iterator[Ontology]:
    path = folder / "some.ttl"
    path.write_text(HEAD + turtle)
    with open_ontology(path) as ontology:
        yield ontology


class Counting:
    """Asks another ontology and counts the queries; some may take too long."""

    def __init__(self, ontology: Ontology, too_slow: str = "never") -> None:
        self._ontology = ontology
        self._too_slow = too_slow
        self.queries = 0

    def select(self, query: str, *, limit: int = 100, timeout: float = 30.0) -> Rows:
        self.queries += 1
        if self._too_slow in query:
            raise QueryTimeout("too slow")
        return self._ontology.select(query, limit=limit, timeout=timeout)

    def __getattr__(self, name: str) -> object:
        return getattr(self._ontology, name)


def test_data_without_axioms_have_a_schema(tmp_path: Path) -> None:
    with opened(tmp_path, LIBRARY) as ontology:
        schema = ontology.schema_of("ex:Book")
    assert (schema.instances, schema.examined, schema.sampled) == (Count(3), 3, False)
    uses = {use.predicate.rpartition("/")[2]: use for use in schema.properties}
    assert list(uses) == ["title", "by", "pages", "place"]
    title, by, place = uses["title"], uses["by"], uses["place"]
    assert (title.subjects, title.values, title.least, title.most) == (3, 4, 1, 2)
    assert (by.subjects, by.values, by.least, by.most) == (2, 3, 0, 2)
    lang = "http://www.w3.org/1999/02/22-rdf-syntax-ns#langString"
    assert title.kinds == (
        ValueKind("literal", lang, "en", 2),
        ValueKind("literal", lang, "de", 1),
        ValueKind("literal", XSD + "string", "", 1),
    )
    assert set(by.kinds) == {
        ValueKind("class", "http://e/Person", "", 2),
        ValueKind("class", "http://e/Poet", "", 1),
        ValueKind("iri", "", "", 1),
    }
    assert place.kinds == (ValueKind("bnode", "", "", 1),)
    assert title.example is not None
    assert title.example.value in ("A", "A!", "B", "C")


def test_it_is_asked_for_once_and_cut_at_the_limit(tmp_path: Path) -> None:
    with opened(tmp_path, LIBRARY) as ontology:
        counting = Counting(ontology)
        schemas = ClassSchemas(counting)  # pyright: ignore[reportArgumentType]
        first = schemas.of("http://e/Book", limit=50)
        asked = counting.queries
        cut = schemas.of("http://e/Book", limit=1)
    assert 0 < asked <= 10
    assert counting.queries == asked
    assert (cut.properties, cut.truncated) == (first.properties[:1], True)
    assert not first.truncated


def test_a_big_class_is_sampled_from_each_of_its_subclasses_and_says_so(tmp_path: Path) -> None:
    many = "".join(f"ex:m{i} a ex:Many ; ex:p {i} .\n" for i in range(21_000))
    turtle = f"ex:Many rdfs:subClassOf ex:All . ex:Scarce rdfs:subClassOf ex:All .\n{many}"
    with opened(tmp_path, f"{turtle} ex:f a ex:Scarce ; ex:rare 1 .") as ontology:
        schema = ontology.schema_of("ex:All")
        table = make_ontology_tools(ontology)["schema_of"]("ex:All")
    assert schema.instances == Count(21_001)
    assert schema.sampled
    assert schema.examined <= 20_000
    assert {use.predicate for use in schema.properties} == {"http://e/p", "http://e/rare"}
    assert f"the {schema.examined:,} instances examined" in table["note"]
    assert (table["instances"], table["examined"]) == (21_001, schema.examined)


def test_when_many_take_too_long_fewer_are_looked_at(tmp_path: Path) -> None:
    many = "".join(f"ex:m{i} a ex:Many ; ex:p {i} .\n" for i in range(600))
    with opened(tmp_path, many) as ontology:
        slow = Counting(ontology, too_slow="LIMIT 20000")
        schema = ClassSchemas(slow).of("http://e/Many", limit=5)  # pyright: ignore
        assert (schema.instances, schema.examined, schema.sampled) == (Count(600), 500, True)
        hopeless = Counting(ontology, too_slow="SELECT")
        with pytest.raises(QueryTimeout, match=r"ex:Many.*a subclass of it"):
            ClassSchemas(hopeless).of("http://e/Many", limit=5)  # pyright: ignore


def test_labels_are_told_all_or_none(tmp_path: Path) -> None:
    turtle = 'ex:a a ex:P ; ex:hasPrice 1 ; ex:size 2 ; ex:bare 3 . ex:size rdfs:label "size" .'
    trivial = f'{turtle} ex:hasPrice rdfs:label "has price" .'
    with opened(tmp_path, trivial) as ontology:
        assert "label" not in make_ontology_tools(ontology)["schema_of"]("ex:P")["columns"]
    with opened(tmp_path, f'{trivial} ex:a ex:sku 4 . ex:sku rdfs:label "stock".') as ontology:
        rows = make_ontology_tools(ontology)["schema_of"]("ex:P")["rows"]
    assert {row["property"]: row["label"] for row in rows} == {
        "ex:hasPrice": "has price",
        "ex:size": "size",
        "ex:bare": None,
        "ex:sku": "stock",
    }


def test_the_tool_gives_a_table(tmp_path: Path) -> None:
    with opened(tmp_path, LIBRARY) as ontology:
        schema_of = make_ontology_tools(ontology)["schema_of"]
        table = schema_of("ex:Book")
        assert table["rows"][1] == {
            "property": "ex:by",
            "label": None,
            "used_by": 2,
            "lacking": 1,
            "values": 3,
            "per_instance": "0-2",
            "kinds": "ex:Person 2, ex:Poet 1, iri 1",
            "example": table["rows"][1]["example"],
        }
        assert printed(table)[:2] == [
            "class: ex:Book; instances: 3",
            "property | used_by | lacking | values | per_instance | kinds | example",
        ]
        assert schema_of("ex:Book", 2)["truncated"]
        empty = schema_of("ex:pages")
        assert empty["rows"] == []
        assert "Nothing is an instance of ex:pages" in empty["note"]
        with pytest.raises(QueryError, match="occurs nowhere"):
            schema_of("ex:Bok")
