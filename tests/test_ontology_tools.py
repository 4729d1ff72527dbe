"""The LM's tools: plain, bounded, honest about cuts and empties, errors that can be acted on."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlm_runtime.errors import QueryError, QueryRejected, QueryTimeout
from rlm_runtime.ontology import Ontology, Rows, open_ontology
from rlm_runtime.ontology.protocol import Plain
from rlm_runtime.tools import make_ontology_tools, show
from rlm_runtime.tools.one_call import OneCall
from rlm_runtime.tools.values import MAX_RESULT
from tests.support.shop import Tools, printed, shop_tools

PROV = Path(__file__).parent.parent / "ontology" / "prov.ttl"


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tools]:
    with shop_tools(tmp_path_factory.mktemp("tools")) as tools:
        yield tools


@pytest.fixture(scope="module")
def prov() -> Iterator[Tools]:
    with open_ontology(PROV) as ontology:
        yield make_ontology_tools(ontology)


class TestSignatures:
    def test_names(self, tools: Tools) -> None:
        assert list(tools) == [
            *("search_entity", "describe_entity", "schema_of", "probe_relationships"),
            *("sparql_select", "check_query"),
            *("result_page", "result_filter", "result_count_by"),
        ]

    def test_docstrings_are_short_and_all_arguments_are_typed(self, tools: Tools) -> None:
        for name, tool in tools.items():
            assert tool.__name__ == name
            text = inspect.getdoc(tool)
            assert text is not None
            assert len(text) <= 200
            for parameter in inspect.signature(tool, eval_str=True).parameters.values():
                assert parameter.annotation in (str, int, str | None, Plain)

    def test_positional_and_keyword_arguments(self, tools: Tools) -> None:
        assert tools["search_entity"]("sensor", 1, "class") == tools["search_entity"](
            query="sensor", limit=1, kind="class"
        )


class TestSearch:
    def test_a_table_with_prefixed_names(self, tools: Tools) -> None:
        found = tools["search_entity"]("sensors")
        assert found["rows"][0] == {
            "iri": "ex:c1",
            "label": "Sensors",
            "kind": "instance",
            "match": "exact",
            "matched": None,
            "types": "ex:Category",
        }
        assert found["truncated"]
        assert printed(found)[:2] == [
            "iri | label | kind | match | types",
            "ex:c1 | Sensors | instance | exact | ex:Category",
        ]

    def test_a_column_of_no_types_is_not_printed(self, tools: Tools) -> None:
        found = tools["search_entity"]("product", kind="class")
        assert printed(found)[0] == "iri | label | kind | match"
        assert found["rows"][0]["types"] is None

    def test_a_synonym_tells_what_matched(self, tools: Tools) -> None:
        found = tools["search_entity"]("Erzeugnis")
        assert (found["rows"][0]["match"], found["rows"][0]["matched"]) == ("exact", "Erzeugnis")
        assert printed(found)[0] == "iri | label | kind | match | matched"

    def test_a_typing_error(self, prov: Tools) -> None:
        assert prov["search_entity"]("Actvity")["rows"][0]["iri"] == "prov:Activity"

    @pytest.mark.parametrize(("text", "says"), [("zzzz", "'zzzz'"), ("?!", "no word"), ("", "no")])
    def test_nothing_found_says_so(self, tools: Tools, text: str, says: str) -> None:
        found = tools["search_entity"](text)
        assert (found["rows"], found["count"]) == ([], 0)
        assert says in found["note"]

    def test_bad_arguments_name_the_allowed_ones(self, tools: Tools) -> None:
        with pytest.raises(ValueError, match="any, class, property, instance"):
            tools["search_entity"]("x", kind="classes")
        for limit in (0, -1, "5", 1.5, True, None):
            with pytest.raises(ValueError, match="from 1 to 50"):
                tools["search_entity"]("x", limit=limit)

    def test_too_high_a_limit_is_clamped_and_told(self, tools: Tools) -> None:
        assert "taken as 50" in tools["search_entity"]("sensor", limit=1000)["note"]


class TestSelect:
    def test_values_tell_their_kinds(self, tools: Tools) -> None:
        result = tools["sparql_select"](
            """SELECT ?c ?label ?opened ?lines ?none (42 AS ?n) (2.5 AS ?d) (true AS ?b)
            WHERE { ?c a ex:Category ; rdfs:label ?label ; ex:opened ?opened ; ex:lines ?lines
                    OPTIONAL { ?c ex:price ?none } }"""
        )
        assert result["kinds"] == {
            "c": "iri",
            "label": "string@en",
            "opened": "date",
            "lines": "string",
            "none": "unbound",
            "n": "integer",
            "d": "decimal",
            "b": "boolean",
        }
        assert result["rows"] == [
            {
                "c": "ex:c1",
                "label": "Sensors",
                "opened": "2020-02-03",
                "lines": "one\ntwo",
                "none": None,
                "n": 42,
                "d": 2.5,
                "b": True,
            }
        ]
        assert printed(result)[1:] == [
            "ex:c1 | Sensors | 2020-02-03 | one\\ntwo | - | 42 | 2.5 | True",
            "(1 row)",
        ]

    def test_a_mixed_column(self, tools: Tools) -> None:
        result = tools["sparql_select"]("SELECT ?v WHERE { VALUES ?v { ex:c1 1 'a'@de } }")
        assert result["kinds"] == {"v": "mixed(integer, iri, string@de)"}

    def test_a_cut_says_how_many_there_are_and_how_to_get_more(self, tools: Tools) -> None:
        result = tools["sparql_select"]("SELECT ?p WHERE { ?p a ex:Product }", limit=3)
        assert (result["count"], result["total"], result["truncated"]) == (3, 40, True)
        assert printed(result)[-1].startswith("(3 of 40 rows) All are kept as r")

    def test_long_texts_are_cut_visibly(self, tools: Tools) -> None:
        result = tools["sparql_select"]("SELECT ?t WHERE { ?c ex:text ?t }")
        assert result["rows"][0]["t"].endswith("… [+700 chars]")
        assert "SUBSTR" in result["note"]

    def test_a_result_is_bounded_in_characters_between_rows(self, tools: Tools) -> None:
        result = tools["sparql_select"](
            "SELECT ?a ?b ?c WHERE { ?a a ex:Product . ?b a ex:Product . ?c a ex:Product }", 1000
        )
        assert len(json.dumps(result["rows"])) <= MAX_RESULT + 2_000
        assert result["truncated"]
        assert "Cut at" in result["note"]
        assert set(result["rows"][-1]) == {"a", "b", "c"}

    @pytest.mark.parametrize(
        ("query", "columns"),
        [
            ("ASK { ?s a ex:Product }", ["ask"]),
            (
                "CONSTRUCT { ?s a ex:New } WHERE { ?s a ex:Category }",
                ["subject", "predicate", "object"],
            ),
            ("DESCRIBE ex:shelf", ["subject", "predicate", "object"]),
        ],
    )
    def test_other_forms(self, tools: Tools, query: str, columns: list[str]) -> None:
        result = tools["sparql_select"](query)
        assert result["columns"] == columns
        assert result["count"] >= 1

    def test_errors_reach_the_caller(self, tools: Tools) -> None:
        with pytest.raises(QueryError, match="nope"):
            tools["sparql_select"]("SELECT ?s WHERE { ?s nope:x ?o }")
        with pytest.raises(QueryRejected):
            tools["sparql_select"]("DELETE WHERE { ?s ?p ?o }")
        with pytest.raises(ValueError, match="SPARQL"):
            tools["sparql_select"](None)

    def test_a_time_out_is_an_error_and_never_an_empty_result(self) -> None:
        with open_ontology(PROV) as ontology:
            hurried = make_ontology_tools(ontology, timeout=0.05)
            endless = "SELECT (COUNT(*) AS ?n) WHERE { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }"
            with pytest.raises(QueryTimeout):
                hurried["sparql_select"](endless)
            checked = hurried["check_query"](endless)
            assert checked["ok"] is False
            assert "QueryTimeout" in checked["error"]


class TestWhyEmpty:
    @pytest.mark.parametrize(
        ("query", "says"),
        [
            ("SELECT ?x { ?x a ex:Prodct }", "Did you mean ex:Product (class)"),
            ("SELECT (COUNT(*) AS ?n) { ?x a ex:Prodct }", "ex:Prodct occurs nowhere"),
            ("ASK { ?x a ex:Prodct }", "ex:Prodct occurs nowhere"),
            ('SELECT ?x { ?x ex:status "Open" }', 'but there is "open"'),
            ('SELECT ?x { ?x rdfs:label "Sensors" }', 'but there is "Sensors"@en'),
            ('SELECT ?x { ?x ex:status "gone" }', 'but has values like "open"'),
            ("SELECT ?x { ?x a ex:Thing }", "a/rdfs:subClassOf*"),
            ("SELECT ?x { ?x a ex:inCategory }", "no instances"),
            ("SELECT ?x { ex:c1 ex:inCategory ?x }", "; no statement has ex:c1 as subject of"),
            ("SELECT ?x { ?x ex:inCategory ex:p3 }", "ex:p3 as object of ex:inCategory, it is "),
            ("SELECT ?x { ?x ex:inCategory ex:p3 }", "subject of 1: right if you meant that"),
            ("ASK { ex:c1 ex:inCategory ex:p3 }", "so the other way round"),
            ("SELECT ?x { ex:shelf ex:price ?x }", "ex:shelf has ex:inStock, ex:near"),
            ("SELECT ?x { ?x a ex:Category ; ex:price ?y }", "of ex:Product"),
            ("SELECT ?x { ?x ex:price ?y FILTER(?y > 100) }", 'right if the answer is "none"'),
            ("SELECT ?x { ?x a ex:Product OPTIONAL { ?x ex:near ?y } FILTER(false) }", "FILTER"),
        ],
    )
    def test_the_reason_is_named(self, tools: Tools, query: str, says: str) -> None:
        assert says in tools["sparql_select"](query)["note"]

    @pytest.mark.parametrize(
        "query",
        [
            "SELECT ?n { ?x ex:inStock ?n }",
            "SELECT (COUNT(*) AS ?n) { ?x ex:price ?y FILTER(?y > 100) }",
        ],
    )
    def test_a_true_zero_is_not_doubted(self, tools: Tools, query: str) -> None:
        result = tools["sparql_select"](query)
        assert list(result["rows"][0].values()) == [0]
        assert "note" not in result

    def test_a_full_result_has_no_note(self, tools: Tools) -> None:
        assert "note" not in tools["sparql_select"]("SELECT ?x { ?x a ex:Category }")


class TestDescribe:
    def test_an_instance(self, tools: Tools) -> None:
        said = tools["describe_entity"]("ex:p3")
        assert said["types"] == ["ex:Product"]
        assert said["properties"] == {
            "ex:price": [0.5],
            "ex:inCategory": ["ex:c1"],
            "ex:status": ["open"],
        }
        assert said["kinds"]["ex:price"] == "decimal"
        assert said["labels"] == {"ex:c1": "Sensors"}
        assert "  ex:inCategory: ex:c1 (Sensors)" in printed(said)

    def test_a_class(self, tools: Tools) -> None:
        said = tools["describe_entity"]("ex:Product")
        assert (said["kind"], said["label"], said["comment"]) == (
            *("class", "Product", "Something for sale."),
        )
        assert said["other_labels"] == ["Erzeugnis@de"]
        assert said["superclasses"] == [
            "ex:Thing",
            "ex:price some xsd:decimal",
        ]
        assert said["domain_of"] == {"ex:inCategory": "ex:Category", "ex:made": "any"}
        assert said["instances"] == 40
        assert said["truncated"] is False

    def test_a_superclass_counts_the_instances_below(self, tools: Tools) -> None:
        said = tools["describe_entity"]("ex:Thing")
        assert (said["instances"], said["instances_with_subclasses"]) == (0, 40)
        assert said["subclasses"] == ["ex:Product"]

    def test_a_property(self, tools: Tools) -> None:
        said = tools["describe_entity"]("ex:inCategory")
        assert (said["domain"], said["range"], said["inverse"]) == (
            *(["ex:Product"], ["ex:Category"], ["ex:holds"]),
        )
        assert said["statements"] == 40
        assert said["examples"][0] == {"subject": "ex:p0", "object": "ex:c1"}

    def test_a_hub_is_cut_and_counted(self, tools: Tools) -> None:
        said = tools["describe_entity"]("ex:c1", limit=5)
        assert said["used_by"]["ex:near"] == ["ex:shelf"]
        assert len(said["used_by"]["ex:inCategory"]) == 4
        assert said["used_by_counts"] == {"ex:inCategory": 40}
        assert said["truncated"]

    def test_it_is_bounded_in_characters(self, tmp_path: Path) -> None:
        texts = ", ".join(f'"{i} {"x" * 400}"' for i in range(300))
        path = tmp_path / "long.ttl"
        path.write_text(f"<http://e/s> <http://e/p> {texts} .")
        with open_ontology(path) as ontology:
            long = make_ontology_tools(ontology)
            for result in (
                long["describe_entity"]("http://e/s", 200),
                long["probe_relationships"]("http://e/s", limit=200),
            ):
                assert len(json.dumps(result)) <= MAX_RESULT + 500
                assert result["truncated"]
                assert "Cut to limit=50" in result["note"]

    @pytest.mark.parametrize(
        "name", ["ex:c1", "<http://shop.example/ns#c1>", "http://shop.example/ns#c1", " ex:c1 "]
    )
    def test_all_spellings_of_a_name(self, tools: Tools, name: str) -> None:
        assert tools["describe_entity"](name)["iri"] == "ex:c1"

    @pytest.mark.parametrize(
        ("name", "says"),
        [
            ("Product", "Did you mean ex:Product"),
            ("ex:Prodct", "occurs nowhere in shop. Did you mean ex:Product"),
            ("nope:x", "nope"),
            ("http://elsewhere.example/qqqqq", "search_entity"),
        ],
    )
    def test_unknown_names_come_with_suggestions(self, tools: Tools, name: str, says: str) -> None:
        with pytest.raises(QueryError, match=says.replace("(", r"\(")):
            tools["describe_entity"](name)

    @pytest.mark.parametrize("name", ["", None, 3, ["ex:c1"]])
    def test_what_is_no_name(self, tools: Tools, name: object) -> None:
        with pytest.raises(ValueError, match="as text"):
            tools["describe_entity"](name)

    def test_prov(self, prov: Tools) -> None:
        said = prov["describe_entity"]("prov:Activity")
        assert said["domain_of"]["prov:used"] == "prov:Entity"
        assert "prov:wasInformedBy" in said["range_of"]
        agent = prov["describe_entity"]("prov:SoftwareAgent")
        assert agent["inherits"]["prov:actedOnBehalfOf"] == "prov:Agent"

    def test_what_is_inherited_is_counted_and_printed_in_brief(self, prov: Tools) -> None:
        said = prov["describe_entity"]("prov:Plan")
        inherited = said["inherits"]
        assert said["inherits_from"] == {"prov:Entity": len(inherited)}
        line = next(line for line in printed(said) if line.startswith("inherits:"))
        assert line.count("->") == 5
        assert line.endswith(f"; … {len(inherited) - 5} more (key inherits)")
        assert f"inherits_from: prov:Entity ({len(inherited)} properties)" in printed(said)

    def test_a_few_inherited_properties_are_all_printed(self, prov: Tools) -> None:
        said = prov["describe_entity"]("prov:Usage")
        assert 5 < len(said["inherits"]) <= 8
        line = next(line for line in printed(said) if line.startswith("inherits:"))
        assert line.count("->") == len(said["inherits"])

    def test_its_own_properties_come_before_inherited_ones_and_a_cut_is_told(
        self, prov: Tools
    ) -> None:
        said = prov["describe_entity"]("prov:Collection", limit=1)
        assert said["domain_of"] == {"prov:hadMember": "prov:Entity"}
        assert said["truncated"]
        assert "there are more disjoint_with, inherits" in said["note"]
        assert said["cut"] == {"disjoint_with": 1, "inherits": 19}

    def test_what_defines_every_term_alike_is_left_out(self, prov: Tools, tmp_path: Path) -> None:
        assert "rdfs:isDefinedBy" not in prov["describe_entity"]("prov:Plan")["properties"]
        path = tmp_path / "two.ttl"
        by = "<http://www.w3.org/2000/01/rdf-schema#isDefinedBy>"
        path.write_text(f"<http://e/a> {by} <http://e/> . <http://f/b> {by} <http://f/> .")
        with open_ontology(path) as ontology:
            said = make_ontology_tools(ontology)["describe_entity"]("http://e/a")
        assert said["properties"] == {"rdfs:isDefinedBy": ["<http://e/>"]}


class TestRelationships:
    def test_a_hub_is_told_as_counts_and_fair_samples(self, tools: Tools) -> None:
        found = tools["probe_relationships"]("ex:c1", direction="in", limit=5)
        assert found["counts"] == {"in ex:inCategory": 40, "in ex:near": 1}
        assert [row["predicate"] for row in found["rows"]] == ["ex:inCategory"] * 4 + ["ex:near"]
        assert found["rows"][0] == {
            "direction": "in",
            "predicate": "ex:inCategory",
            "other": "ex:p0",
            "label": "Sensor 0",
            "type": "ex:Product",
        }
        assert (found["total"], found["truncated"]) == (41, True)

    def test_a_label_that_is_like_the_name_is_told_and_none_is_none(self, tmp_path: Path) -> None:
        path = tmp_path / "air.ttl"
        path.write_text(
            "@prefix ex: <http://e/> . @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .\n"
            'ex:a ex:of ex:Zone_Air, ex:Air, ex:Bare . ex:Zone_Air rdfs:label "Zone Air" .\n'
            'ex:Air rdfs:label "Air" .'
        )
        with open_ontology(path) as ontology:
            rows = make_ontology_tools(ontology)["probe_relationships"]("ex:a")["rows"]
        assert {row["other"]: row["label"] for row in rows} == {
            "ex:Air": "Air",
            "ex:Bare": None,
            "ex:Zone_Air": "Zone Air",
        }

    def test_one_predicate_out(self, tools: Tools) -> None:
        found = tools["probe_relationships"]("ex:p1", "ex:price", "out")
        assert found["rows"] == [
            {
                "direction": "out",
                "predicate": "ex:price",
                "other": 1.5,
                "label": None,
                "type": "decimal",
            }
        ]
        assert found["truncated"] is False

    def test_nothing_there_is_said(self, tools: Tools) -> None:
        found = tools["probe_relationships"]("ex:shelf", direction="in")
        assert "no such statement" in found["note"]

    def test_bad_arguments(self, tools: Tools) -> None:
        with pytest.raises(ValueError, match="both, out, in"):
            tools["probe_relationships"]("ex:c1", direction="up")
        with pytest.raises(QueryError, match="Did you mean ex:price"):
            tools["probe_relationships"]("ex:c1", "ex:prise")


def test_every_result_is_json(tools: Tools) -> None:
    results = [
        tools["search_entity"]("sensor"),
        tools["describe_entity"]("ex:Product"),
        tools["describe_entity"]("ex:c1"),
        tools["probe_relationships"]("ex:c1"),
        tools["sparql_select"]("SELECT * { ?s ?p ?o }"),
        tools["check_query"]("SELECT * { ?s ?p ?o }"),
    ]
    for result in results:
        assert json.loads(json.dumps(result, allow_nan=False)) == result
        assert show(result)


class Hurried:
    """Notes how much time each query of an ontology is given."""

    def __init__(self, ontology: Ontology) -> None:
        self._ontology = ontology
        self.given: list[float] = []

    def select(self, query: str, *, limit: int = 100, timeout: float = 30.0) -> Rows:
        self.given.append(timeout)
        return self._ontology.select(query, limit=limit, timeout=timeout)

    def __getattr__(self, name: str) -> object:
        return getattr(self._ontology, name)


@pytest.mark.parametrize("name", ["describe_entity", "probe_relationships"])
def test_the_queries_of_a_call_share_its_time(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.nt"
    path.write_text("<http://e/a> <http://e/p> <http://e/b> .\n")
    with open_ontology(path) as ontology:
        hurried = Hurried(ontology)
        tools = make_ontology_tools(hurried, timeout=8.0)  # pyright: ignore[reportArgumentType]
        tools[name]("http://e/a")
        assert len(hurried.given) > 2
        assert max(hurried.given) <= 8.0
        assert hurried.given == sorted(hurried.given, reverse=True)
        with pytest.raises(QueryTimeout, match=r"of this call .* in all"):
            make_ontology_tools(ontology, timeout=1e-9)[name]("http://e/a")
        late = OneCall(ontology, 1e-9)
        for ask in (late.describe, late.schema_of):
            with pytest.raises(QueryTimeout, match=r"of this call .* in all"):
                ask("http://e/a")
