"""A query is checked before it is submitted, and results print in few lines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rlm_runtime.tools import show
from rlm_runtime.tools.table import MAX_PRINT
from tests.support.shop import Tools, printed, shop_tools

PIECES = [
    *("SELECT", "ASK", "?x", "?y", "{", "}", "(", ")", "a", "ex:Product", "ex:price", ".", ";"),
    *("FILTER", "ORDER", "BY", "LIMIT", "3", "*", "COUNT", "AS", "OPTIONAL", "'a'", "<http://e/>"),
    *("GROUP", "DESC", "UNION", ","),
]


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tools]:
    with shop_tools(tmp_path_factory.mktemp("tools")) as tools:
        yield tools


class TestCheckQuery:
    def test_a_good_query(self, tools: Tools) -> None:
        checked = tools["check_query"]("SELECT ?c ?l WHERE { ?c a ex:Category ; rdfs:label ?l }")
        assert checked == {
            "ok": True,
            "form": "SELECT",
            "columns": ["c", "l"],
            "kinds": {"c": "iri", "l": "string@en"},
            "count": 1,
            "total": 1,
            "truncated": False,
            "duplicates": 0,
            "ties": 0,
            "warnings": [],
            "rows": [{"c": "ex:c1", "l": "Sensors"}],
        }

    def test_repeated_rows(self, tools: Tools) -> None:
        checked = tools["check_query"]("SELECT ?s WHERE { ?p ex:status ?s }")
        assert checked["duplicates"] == 39
        assert "DISTINCT" in checked["warnings"][0]

    @pytest.mark.parametrize(
        ("query", "ties"),
        [
            ("SELECT ?p { ?p ex:price ?v } ORDER BY DESC(?v) LIMIT 10", 3),
            ("SELECT ?p ?v { ?p ex:price ?v } ORDER BY DESC(?v) LIMIT 13", 0),
            ("SELECT * { ?p ex:price ?v } ORDER BY ?v LIMIT 12", 2),
            ("SELECT ?p { ?p ex:price ?v } ORDER BY DESC(?v) ?p LIMIT 10", 0),
            (
                "SELECT ?v (COUNT(?p) AS ?n) { ?p ex:price ?v } GROUP BY ?v "
                "ORDER BY ASC(COUNT(?p)) LIMIT 1 # LIMIT 9",
                1,
            ),
            (
                "SELECT ?v (COUNT(?p) AS ?n) { ?p ex:price ?v } GROUP BY ?v ORDER BY ?n LIMIT 1",
                1,
            ),
            ("SELECT ?p { ?p ex:price ?v } ORDER BY (?v * 2) LIMIT 14 OFFSET 0", 0),
            ("SELECT * { ?p ex:price ?v } ORDER BY (?v * 2) LIMIT 10", None),
            ("SELECT ?p { ?p ex:price ?v } ORDER BY ?v", 0),
        ],
    )
    def test_ties_at_the_limit(self, tools: Tools, query: str, ties: int | None) -> None:
        checked = tools["check_query"](query)
        assert checked["ties"] == ties
        assert any("sort equal" in warning for warning in checked["warnings"]) == bool(ties)

    def test_a_limit_without_an_order(self, tools: Tools) -> None:
        checked = tools["check_query"]("SELECT ?p { ?p a ex:Product } LIMIT 5")
        assert "left to chance" in checked["warnings"][0]
        whole = tools["check_query"]("SELECT ?p { ?p a ex:Product } LIMIT 40")
        assert whole["warnings"] == []

    def test_the_total_is_told_when_cut(self, tools: Tools) -> None:
        checked = tools["check_query"]("SELECT ?p { ?p a ex:Product }", limit=10)
        assert (checked["count"], checked["total"], checked["truncated"]) == (10, 40, True)
        assert "Cut at limit=10" in checked["note"]

    @pytest.mark.parametrize("limit", [5, 100])
    def test_its_rows_are_those_of_a_select(self, tools: Tools, limit: int) -> None:
        query = "SELECT ?p ?v ?none { ?p ex:price ?v OPTIONAL { ?p ex:near ?none } } ORDER BY ?p"
        checked = tools["check_query"](query, limit)
        selected = tools["sparql_select"](query, limit)
        # What a check only counts, a select keeps, and says how to get at it.
        told = selected.keys() - {"handle", "note"}
        assert {key: checked[key] for key in told} == {key: selected[key] for key in told}

    def test_unbound_columns_and_languages(self, tools: Tools) -> None:
        checked = tools["check_query"](
            "SELECT ?c ?l ?n { ?c a owl:Class ; rdfs:label ?l OPTIONAL { ?c ex:near ?n } }"
        )
        text = " ".join(checked["warnings"])
        assert "n has no value" in text
        assert "each language of l" in text

    def test_texts_in_several_languages_that_repeat_nothing_are_no_doubt(
        self, tools: Tools
    ) -> None:
        query = "SELECT ?c ?l { VALUES (?c ?l) { (1 'a'@en) (2 'b'@de) (1 'c'@en) } }"
        assert tools["check_query"](query)["warnings"] == []
        names = "SELECT ?l { VALUES ?l { 'a'@en 'b'@de } }"
        assert tools["check_query"](names)["warnings"] == []

    def test_a_row_without_a_value_is_named(self, tools: Tools) -> None:
        query = "SELECT ?c ?n { VALUES (?c ?n) { (ex:one 1) (ex:two UNDEF) (ex:three UNDEF) } }"
        assert tools["check_query"](query)["warnings"] == [
            "Column n is unbound in 2 of 3 rows (first: ex:two)."
        ]

    def test_an_empty_result_says_why(self, tools: Tools) -> None:
        checked = tools["check_query"]("SELECT ?x { ?x a ex:Prodct }")
        assert checked["ok"] is True
        assert "occurs nowhere" in checked["warnings"][0]

    @pytest.mark.parametrize(
        "without",
        [
            "FILTER NOT EXISTS { ?x ex:price ?y }",
            "FILTER(!EXISTS { ?x ex:price ?y })",
            "MINUS { ?x ex:price ?y }",
        ],
    )
    def test_that_there_is_none_without_something_is_no_reason_to_doubt(
        self, tools: Tools, without: str
    ) -> None:
        checked = tools["check_query"](f"SELECT ?x {{ ?x a ex:Product {without} }}")
        assert (checked["total"], checked["warnings"]) == (0, [])
        assert 'right if the answer is "none"' in checked["note"]

    def test_that_a_filter_takes_all_away_is_a_warning(self, tools: Tools) -> None:
        checked = tools["check_query"]("SELECT ?x { ?x ex:price ?y FILTER(?y > 100) }")
        assert 'right if the answer is "none"' in checked["warnings"][0]

    @pytest.mark.parametrize(
        ("rest", "names"),
        [
            ("{ ?x ex:near ?y } UNION { ?y ex:near ?x }", "UNION"),
            ("VALUES ?x { ex:Product }", "VALUES"),
            ("GRAPH ?g { ?x ?p ?o }", "GRAPH"),
            ("FILTER(?v) { SELECT ?x (9 AS ?v) { ?x a ex:Product } }", "FILTER or a sub-SELECT"),
            ("FILTER NOT EXISTS { ?x ex:near ?y } FILTER(?v > 100)", "NOT EXISTS or FILTER"),
        ],
    )
    def test_all_that_may_leave_nothing_is_named(self, tools: Tools, rest: str, names: str) -> None:
        checked = tools["check_query"](f"SELECT ?x {{ ?x a ex:Product ; ex:price ?v . {rest} }}")
        said = " ".join([*checked["warnings"], checked.get("note", "")])
        assert f"match together; {names} leaves nothing" in said

    def test_groups_that_having_drops_are_told_beside_what_is_excluded(self, tools: Tools) -> None:
        checked = tools["check_query"](
            "SELECT ?x { ?x ex:price ?v FILTER NOT EXISTS { ?x ex:near ?y } } "
            "GROUP BY ?x HAVING (COUNT(?v) > 9)"
        )
        assert "NOT EXISTS or HAVING leaves nothing" in checked["note"]

    def test_rows_that_do_not_fit_are_a_warning(self, tools: Tools) -> None:
        long = "'" + "x" * 250 + "'"
        query = f"SELECT ?p ?q ({long} AS ?t) {{ ?p a ex:Product . ?q a ex:Product }}"
        checked = tools["check_query"](query, 1000)
        assert 0 < checked["count"] < checked["total"]
        assert f"the first {checked['count']} of 1000 rows only" in checked["warnings"][0]

    def test_joined_iris_are_told_apart_from_texts(self, tools: Tools) -> None:
        query = "SELECT ?t (GROUP_CONCAT({}) AS ?all) {{ ?x a ?t FILTER(isIRI(?x)) }} GROUP BY ?t"
        hint = "GROUP_CONCAT joins texts, of IRIs it needs STR(?…)."
        assert hint in tools["check_query"](query.format("?x"))["warnings"][-1]
        assert hint in tools["sparql_select"](query.format("?x"))["note"]
        assert tools["check_query"](query.format("STR(?x)"))["warnings"] == []
        assert hint not in tools["sparql_select"](query.format("STR(?x)"))["note"]
        beside = "SELECT ?x ?none (GROUP_CONCAT(STR(?x)) AS ?all) { ?x a ?t } GROUP BY ?x ?none"
        assert not any(hint in warning for warning in tools["check_query"](beside)["warnings"])

    @pytest.mark.parametrize(
        "query",
        ["", "SELECT", "DROP ALL", "SELECT ?x { ?x nope:a ?y }", None, 5, "SELECT ?x { 'a }"],
    )
    def test_a_bad_query_is_told_and_not_raised(self, tools: Tools, query: object) -> None:
        checked = tools["check_query"](query)
        assert checked["ok"] is False
        assert checked["error"]
        assert checked["warnings"]
        assert "rows" not in checked

    @settings(deadline=None, max_examples=60)
    @given(
        st.text(max_size=80)
        | st.lists(
            st.sampled_from(PIECES),
            max_size=20,
        ).map(" ".join)
    )
    def test_it_never_raises(self, tools: Tools, query: str) -> None:
        assert tools["check_query"](query)["ok"] in (True, False)

    def test_it_prints_in_few_lines(self, tools: Tools) -> None:
        lines = printed(tools["check_query"]("SELECT ?p { ?p ex:price ?v } ORDER BY ?v LIMIT 22"))
        assert lines[0] == "ok: True; ties cut by LIMIT: 5"
        assert lines[1].startswith("warnings: Past the LIMIT, 5 more sort equal")
        assert lines[2] == "p:iri"
        assert len(lines) == 24
        assert lines[-1] == "(22 rows, first 20 shown; rows holds all 22)"

    def test_what_is_as_it_should_be_is_not_printed(self, tools: Tools) -> None:
        checked = tools["check_query"]("SELECT ?p { ?p ex:price 2.5 } ORDER BY ?p LIMIT 13")
        assert (checked["ties"], checked["duplicates"], checked["warnings"]) == (0, 0, [])
        lines = printed(checked)
        assert lines[0] == "ok: True"
        assert lines[1] == "p:iri"

    def test_unknown_ties_and_other_forms_are_printed(self, tools: Tools) -> None:
        query = "SELECT * { ?p ex:price ?v } ORDER BY (?v * 2) LIMIT 10"
        assert printed(tools["check_query"](query))[0] == "ok: True; ties cut by LIMIT: unknown"
        assert printed(tools["check_query"]("ASK { ?p ex:price ?v }"))[0] == "ok: True; form: ASK"


class TestShow:
    @pytest.mark.parametrize("value", [1, "text", [1, 2], [], {}, {"a": 1}, None, {1: [2]}])
    def test_small_values_print_as_python_does(self, value: object) -> None:
        assert show(value) is None

    def test_a_list_of_flat_dicts_is_a_table(self) -> None:
        assert printed([{"a": 1, "b": None}, {"a": "x", "c": True}]) == [
            *("a | b | c", "1 | - | -", "x | - | True"),
        ]

    def test_a_long_list_gets_a_line_for_each_item(self) -> None:
        assert len(printed([f"item {i}" for i in range(50)])) == 50

    def test_it_is_cut_between_rows_and_says_so(self) -> None:
        lines = printed([{"n": i, "text": "x" * 90} for i in range(500)])
        assert len("\n".join(lines)) <= MAX_PRINT + 100
        assert lines[-2].endswith("x" * 90)
        shown = len(lines) - 2
        assert lines[-1] == f"… {500 - shown} more not printed; print a slice to see them."

    def test_a_long_value_list_is_cut_between_values(self) -> None:
        (line,) = printed({"names": [f"ex:name{i}" for i in range(1000)]})
        assert len(line) < 2_000
        assert line.endswith(" more")

    @settings(deadline=None, max_examples=300)
    @example({"iri": 1, "kind": None, "labels": {}, "kinds": None})
    @example({"x": {"a": ["b" * 200], "c": None}})
    @example({"iri": "a", "kind": "class", "labels": {}, "subclasses": [[1]], "cut": {"kind": ""}})
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=5)
                | st.dictionaries(
                    st.sampled_from(
                        [
                            *("columns", "rows", "kinds", "iri", "kind", "labels", "count", "x"),
                            *("cut", "properties", "properties_counts", "subclasses", "inherits"),
                            *("equal_subclasses", "inherits_from", "shapes", "shapes_counts"),
                            *("ok", "ties", "note", "total"),
                        ]
                    )
                    | st.text(max_size=5),
                    inner,
                    max_size=6,
                )
            ),
            max_leaves=30,
        )
    )
    def test_any_value_prints_and_is_bounded(self, value: object) -> None:
        text = show(value)
        assert text is None or len(text) <= MAX_PRINT + 2_000
