"""Long results stay on our side: stable pages, filters and counts, bounded, honest about cuts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_runtime.errors import QueryTimeout
from rlm_runtime.interpreter import MontyInterpreter
from rlm_runtime.ontology import Ontology, Rows, open_ontology
from rlm_runtime.ontology.protocol import Term
from rlm_runtime.tools import make_ontology_tools
from rlm_runtime.tools.results import KeptResults, filtered
from rlm_runtime.tools.values import MAX_COUNT, MAX_RESULT
from tests.support.shop import Tools, printed

COUNT = 300
ALL = (
    "SELECT ?s ?n ?day ?kind { ?s ex:n ?n ; ex:day ?day OPTIONAL { ?s ex:kind ?kind } } ORDER BY ?n"
)


@pytest.fixture(scope="module")
def ontology(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ontology]:
    path = tmp_path_factory.mktemp("rows") / "rows.ttl"
    lines = [
        f'ex:s{i} ex:n {i} ; ex:day "2024-{i % 12 + 1:02}-01"^^xsd:date'
        + (f' ; ex:kind ex:Kind{i % 3} ; ex:long "{"x" * 200}{i}"' if i % 2 else "")
        for i in range(COUNT)
    ]
    path.write_text(
        "@prefix ex: <http://e/> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .\n"
        + " .\n".join(lines)
        + " ."
    )
    with open_ontology(path) as opened:
        yield opened


@pytest.fixture
def tools(ontology: Ontology) -> Tools:
    return make_ontology_tools(ontology)


class Asked:
    """Passes queries on to an ontology, counts them, and may time out on long results."""

    def __init__(self, ontology: Ontology, longest: int = 10**9) -> None:
        self._ontology = ontology
        self._longest = longest
        self.limits: list[int] = []

    def select(self, query: str, *, limit: int = 100, timeout: float = 30.0) -> Rows:
        self.limits.append(limit)
        if limit > self._longest:
            raise QueryTimeout("too slow")
        return self._ontology.select(query, limit=limit, timeout=timeout)

    def __getattr__(self, name: str) -> object:
        return getattr(self._ontology, name)


def test_a_long_result_gets_a_handle_and_a_short_one_none(tools: Tools) -> None:
    result = tools["sparql_select"](ALL, 10)
    assert (result["count"], result["total"], result["handle"]) == (10, COUNT, "r1")
    assert "All are kept as r1: result_page('r1', 10)" in printed(result)[-1]
    assert "handle" not in tools["sparql_select"](ALL, 1000)


def test_pages_join_up_to_the_whole_without_another_query(ontology: Ontology) -> None:
    asked = Asked(ontology)
    tools = make_ontology_tools(asked)  # pyright: ignore[reportArgumentType]
    whole = ontology.select(ALL, limit=1000)
    handle = tools["sparql_select"](ALL, 10)["handle"]
    before = len(asked.limits)
    found: list[dict[str, object]] = []
    while True:
        part = tools["result_page"](handle, len(found), 70)
        found += part["rows"]
        if not part["truncated"]:
            break
    assert [row["n"] for row in found] == [row["n"] for row in whole.rows]
    assert found[1]["s"] == "ex:s1"
    tools["result_filter"](handle, "n", at_least=5)
    tools["result_count_by"](handle, "kind")
    assert len(asked.limits) == before
    assert "there is no row 300" in tools["result_page"](handle, COUNT)["note"]


def test_a_filter_gives_a_new_result(tools: Tools) -> None:
    tools["sparql_select"](ALL, 10)
    some = tools["result_filter"]("r1", "kind", equals="ex:Kind1")
    assert (some["handle"], some["total"], some["count"]) == ("r2", 50, 20)
    both = tools["result_filter"]("r2", "?day", at_least="2024-03-01", at_most="2024-06-01")
    assert {row["day"][5:7] for row in both["rows"]} <= {"03", "04", "05", "06"}
    assert both["handle"] == "r3"
    for equal in ("http://e/s7", "<http://e/s7>", "ex:s7"):
        assert [r["n"] for r in tools["result_filter"]("r1", "s", equals=equal)["rows"]] == [7]
    assert tools["result_filter"]("r1", "n", equals=7)["total"] == 1
    assert tools["result_filter"]("r1", "s", contains="EX:S29")["total"] == 11
    assert tools["result_filter"]("r1", "n", "29", at_most=100)["total"] == 1


def test_a_filter_that_finds_nothing_tells_what_there_is(tools: Tools) -> None:
    tools["sparql_select"](ALL, 10)
    none = tools["result_filter"]("r1", "n", at_least="a lot")
    assert (none["rows"], none["total"]) == ([], 0)
    assert "n (integer) has values like 0, 1, 2" in none["note"]


def test_values_are_counted(tools: Tools) -> None:
    tools["sparql_select"](ALL, 10)
    counted = tools["result_count_by"]("r1", "kind", 2)
    assert counted["rows"] == [{"kind": None, "count": 150}, {"kind": "ex:Kind0", "count": 50}]
    assert counted["columns"] == ["kind", "count"]
    assert (counted["total"], counted["truncated"]) == (4, True)


def test_a_column_named_count_is_not_taken_for_the_count(tools: Tools) -> None:
    tools["sparql_select"]("SELECT (?n AS ?count) { ?s ex:n ?n } ORDER BY ?n", 1)
    assert tools["result_count_by"]("r1", "count", 1)["rows"] == [{"value": 0, "count": 1}]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda t: t["result_page"]("r7"), r"no result 'r7'.*Kept are: r1 \(300 rows; s, n"),
        (lambda t: t["result_page"](None), "no result None"),
        (lambda t: t["result_page"]("r1", -1), "offset must be"),
        (lambda t: t["result_page"]("r1", 0, 0), "limit must be"),
        (lambda t: t["result_count_by"]("r1", "nope"), "no column 'nope'; it has s, n, day, kind"),
        (lambda t: t["result_filter"]("r1", "n"), "Give a condition"),
    ],
)
def test_errors_say_what_there_is(tools: Tools, call: object, says: str) -> None:
    tools["sparql_select"](ALL, 10)
    with pytest.raises(ValueError, match=says):
        call(tools)  # pyright: ignore[reportCallIssue]


def test_the_oldest_result_gives_way_and_an_error_says_so(tools: Tools) -> None:
    for _ in range(21):
        tools["sparql_select"](ALL, 10)
    with pytest.raises(ValueError, match="r1 gave way to later results: run its query again"):
        tools["result_page"]("r1")
    assert tools["result_page"]("r2")["total"] == COUNT


def test_results_are_bounded_in_bytes() -> None:
    kept = KeptResults()
    wide = Rows(("x",), ((Term("x" * 1_000_000, "literal"),),) * 30)
    first = kept.keep(wide, complete=True)
    assert len(first.rows) == 9
    assert not first.complete
    last = [kept.keep(wide, complete=True) for _ in range(6)][-1]
    with pytest.raises(ValueError, match="gave way"):
        kept.get(first.handle)
    assert kept.get(last.handle) is last


def test_more_rows_than_are_kept_are_told_as_such(tools: Tools) -> None:
    result = tools["sparql_select"]("SELECT ?a ?b { ?a ex:n ?x . ?b ex:n ?y }", 5)
    assert (result["total"], result["truncated"]) == (None, True)
    assert f"The first {MAX_COUNT:,} are kept as r1" in result["note"]
    assert "SPARQL" in tools["result_count_by"]("r1", "a")["note"]
    assert tools["result_filter"]("r1", "a", equals="ex:s0")["truncated"]


def test_a_result_too_wide_to_show_whole_is_kept(tools: Tools) -> None:
    result = tools["sparql_select"]("SELECT ?s ?t { ?s ex:long ?t }", 1000)
    assert result["count"] < result["total"] == 150
    assert len(json.dumps(result)) < MAX_RESULT + 2_000
    rest = tools["result_page"](result["handle"], result["count"], 1000)
    assert result["count"] + rest["count"] == 150


def test_when_the_rest_takes_too_long_the_first_rows_are_given(ontology: Ontology) -> None:
    tools = make_ontology_tools(Asked(ontology, longest=500))  # pyright: ignore[reportArgumentType]
    result = tools["sparql_select"](ALL, 10)
    assert (result["count"], result["total"], result["truncated"]) == (10, None, True)
    assert "handle" not in result
    assert "Cut at limit=10" in result["note"]


def test_cells_call_them_by_position_and_by_name(tools: Tools) -> None:
    with MontyInterpreter(tools=tools) as sandbox:
        printed = sandbox.execute(
            f'h = sparql_select("{ALL}", 5)["handle"]\n'
            'f = result_filter(h, "kind", equals="ex:Kind1")\n'
            'print(f["total"], result_page(f["handle"], 49)["count"])\n'
            'print(result_count_by(h, column="kind", limit=1)["rows"])'
        )
    assert str(printed).strip() == "50 1\n[{'kind': None, 'count': 150}]"


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(-5, 5) | st.sampled_from(["a", "B", "2024-01-01"]), max_size=30),
    st.integers(-5, 5),
)
def test_filters_and_counts_agree_with_python(
    ontology: Ontology, values: list[int | str], low: int
) -> None:
    integer = "http://www.w3.org/2001/XMLSchema#integer"
    terms = [Term(str(v), "literal", integer if isinstance(v, int) else "") for v in values]
    kept = KeptResults().keep(Rows(("v",), tuple((t,) for t in terms)), complete=True)
    rows, _ = filtered(ontology, kept, "v", contains=None, equals=None, at_least=low, at_most=None)
    assert [t.plain for (t,) in rows.terms if t] == [
        v for v in values if isinstance(v, int) and v >= low
    ]
    rows, _ = filtered(ontology, kept, "v", contains="b", equals=None, at_least=None, at_most=None)
    assert len(rows) == Counter(values)["B"]


def test_a_first_row_of_any_size_is_kept() -> None:
    row = (Term("x" * 11_000_000, "literal"),)
    kept = KeptResults().keep(Rows(("o",), (row, row)), complete=True)
    assert (len(kept.rows), kept.complete) == (1, False)


def test_unbound_values_take_room_as_well() -> None:
    columns = tuple(f"c{i}" for i in range(1_000))
    rows = Rows(columns, ((None,) * len(columns),) * 1_000)
    assert len(KeptResults().keep(rows, complete=True).rows) < 1_000
