"""The company graph is the same every time, and says what its generator says that it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyoxigraph as ox
import pytest

from tests.support.company import QUESTIONS, write_company_graph

PREFIXES = """
PREFIX ex: <http://example.org/company#>
PREFIX id: <http://example.org/company/id/>
PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
PREFIX xsd: <http://www.w3.org/2001/XMLSchema#>
"""
ENGLISH = 'FILTER(LANG(?label) = "en")'
CURRENT = """
  ?product ex:inCategory/rdfs:label ?label ; ex:hasPrice ?price . ?price ex:amount ?amount
  FILTER NOT EXISTS { ?price ex:validUntil ?end } FILTER(LANG(?label) = "en")"""
TOP = "{ SELECT (MAX(?n) AS ?most) { SELECT (COUNT(*) AS ?n) { %s } GROUP BY ?key } }"
MEMBERS = "?who ex:worksIn ?key"
SUPPLIES = "?product ex:suppliedBy ?key"

# Each query has one column, or a key and a value; the fact is a number, a list or a dict.
FACT_QUERIES = {
    "employees": "SELECT (COUNT(?who) AS ?n) { ?who a ex:Employee }",
    "employees_per_department": f"""SELECT ?label (COUNT(?who) AS ?n) {{
        ?who ex:worksIn/rdfs:label ?label {ENGLISH} }} GROUP BY ?label""",
    "largest_departments": f"""SELECT ?label {{ {{ SELECT ?key (COUNT(*) AS ?n) {{ {MEMBERS} }}
        GROUP BY ?key }} {TOP % MEMBERS} FILTER(?n = ?most) ?key rdfs:label ?label {ENGLISH} }}""",
    "manager_of": "SELECT ?a ?b { ?x ex:manager ?y ; ex:employeeId ?a . ?y ex:employeeId ?b }",
    "reports_of_heads": """SELECT ?a (COUNT(DISTINCT ?x) AS ?n) { ?x ex:manager+ ?y .
        ?y ex:jobTitle "Head of Department" ; ex:employeeId ?a } GROUP BY ?a""",
    "same_name": "SELECT DISTINCT ?n { ?a a ex:Employee ; rdfs:label ?n . ?b a ex:Employee ; "
    "rdfs:label ?n FILTER(?a != ?b) }",
    "without_email": "SELECT ?i { ?x ex:employeeId ?i MINUS { ?x ex:email ?m } }",
    "hired_after_2022": """SELECT ?i { ?x ex:employeeId ?i ; ex:hiredOn ?d
        FILTER(?d > "2022-12-31"^^xsd:date) }""",
    "last_hired": """SELECT ?i { ?x ex:employeeId ?i ; ex:hiredOn ?d
        FILTER NOT EXISTS { ?y ex:hiredOn ?later FILTER(?later > ?d) } }""",
    "people_with_skill": f"""SELECT ?label (COUNT(*) AS ?n) {{
        ?x ex:hasSkill/rdfs:label ?label {ENGLISH} }} GROUP BY ?label""",
    "products_per_category": f"""SELECT ?label (COUNT(*) AS ?n) {{
        ?x ex:inCategory/rdfs:label ?label {ENGLISH} }} GROUP BY ?label""",
    "without_current_price": """SELECT ?i { ?x ex:productId ?i FILTER NOT EXISTS {
        ?x ex:hasPrice ?p FILTER NOT EXISTS { ?p ex:validUntil ?end } } }""",
    "average_current_price": f"""SELECT ?label (STR(ROUND(AVG(?amount) * 100) / 100) AS ?n) {{
        {CURRENT} }} GROUP BY ?label""",
    "products_per_supplier": """SELECT ?l (COUNT(*) AS ?n) { ?x ex:suppliedBy/rdfs:label ?l }
        GROUP BY ?l""",
    "top_suppliers": f"""SELECT ?l {{ {{ SELECT ?key (COUNT(*) AS ?n) {{ {SUPPLIES} }}
        GROUP BY ?key }} {TOP % SUPPLIES} FILTER(?n = ?most) ?key rdfs:label ?l }}""",
    "idle_suppliers": """SELECT ?l { ?s a ex:Supplier ; rdfs:label ?l
        FILTER NOT EXISTS { ?p ex:suppliedBy ?s } }""",
    "products_with_several_suppliers": """SELECT (COUNT(DISTINCT ?p) AS ?n) {
        ?p ex:suppliedBy ?a, ?b FILTER(?a != ?b) }""",
    "open_orders": "SELECT ?i { ?o ex:orderNumber ?i MINUS { ?o ex:deliveredOn ?d } }",
    "units_ordered_per_product": """SELECT ?i (SUM(?q) AS ?n) {
        ?o ex:ofProduct/ex:productId ?i ; ex:quantity ?q } GROUP BY ?i""",
}

QUESTION_QUERIES = {
    "count over subclasses": """SELECT (COUNT(DISTINCT ?x) AS ?n) {
        ?x a/rdfs:subClassOf* ex:Person }""",
    "lookup by id": """SELECT ?n { ?x ex:employeeId "E-0042" ; ex:manager/rdfs:label ?n }""",
    "misspelt name": """SELECT ?n { ?x ex:familyName "Lindqvist" ; ex:manager/rdfs:label ?n }""",
    "multi-hop": """SELECT ?v { ?x ex:familyName "Lindqvist" ; ex:worksIn/ex:locatedIn ?city
        { ?city ex:country ?v } UNION { ?city rdfs:label ?v FILTER(LANG(?v) = "en") } }""",
    "history": """SELECT (STR(?amount) AS ?n) { ?x ex:productId "P-1001" ; ex:hasPrice ?p .
        ?p ex:amount ?amount ; ex:validFrom ?first
        FILTER NOT EXISTS { ?x ex:hasPrice/ex:validFrom ?day FILTER(?day < ?first) } }""",
    "ambiguous name": f"""SELECT ?label {{
        ?x rdfs:label "Anna Weber" ; ex:worksIn/rdfs:label ?label {ENGLISH} }}""",
    "date superlative": """SELECT ?n { ?x rdfs:label ?n ; ex:hiredOn ?d
        FILTER NOT EXISTS { ?y ex:hiredOn ?later FILTER(?later > ?d) } }""",
    "filter over two relations": """SELECT ?n { ?x rdfs:label ?n ; ex:worksIn id:Research ;
        ex:hasSkill/rdfs:label "SPARQL"@en }""",
    "category against label words": """SELECT (COUNT(*) AS ?n) {
        ?x ex:inCategory/rdfs:label "Lamp"@en }""",
    "German label": """SELECT (COUNT(*) AS ?n) { ?x ex:inCategory/rdfs:label "Stuhl"@de }""",
    "hierarchy": """SELECT (COUNT(*) AS ?n) {
        ?x ex:inCategory/ex:widerCategory*/rdfs:label "Furniture"@en }""",
    "superlative over current values": f"""SELECT ?name {{ {{ SELECT (MIN(?amount) AS ?least) {{
        {CURRENT} FILTER(?label = "Lamp"@en) }} }} {CURRENT} FILTER(?label = "Lamp"@en)
        FILTER(?amount = ?least) ?product rdfs:label ?name }}""",
    "comparison in time": """SELECT ?name { ?x rdfs:label ?name ; ex:hasPrice ?a, ?b .
        ?a ex:validFrom ?first ; ex:amount ?before . ?b ex:validFrom ?last ; ex:amount ?after
        FILTER NOT EXISTS { ?x ex:hasPrice/ex:validFrom ?day FILTER(?day < ?first) }
        FILTER NOT EXISTS { ?x ex:hasPrice/ex:validFrom ?day FILTER(?day > ?last) }
        } ORDER BY DESC(?after - ?before) LIMIT 1""",
    "negation with a condition": """SELECT ?n { ?x a ex:Product ; rdfs:label ?n
        FILTER NOT EXISTS { ?x ex:hasPrice ?p FILTER NOT EXISTS { ?p ex:validUntil ?end } } }""",
    "distinct count over two hops": """SELECT (COUNT(DISTINCT ?x) AS ?n) {
        ?x ex:suppliedBy/ex:country "Germany" }""",
    "multi-hop superlative": """SELECT ?n { { SELECT (MAX(?q) AS ?most) {
        ?o ex:quantity ?q ; ex:ofProduct/ex:inCategory id:Lamp } }
        ?o ex:quantity ?most ; ex:ofProduct/ex:inCategory id:Lamp ; ex:placedBy/rdfs:label ?n }""",
    "date and group": """SELECT ?quarter (COUNT(*) AS ?n) { ?o ex:placedOn ?d
        FILTER(YEAR(?d) = 2024) BIND(CONCAT("Q", STR(CEIL(MONTH(?d) / 3))) AS ?quarter)
        } GROUP BY ?quarter""",
    "ambiguous word": """SELECT ?n { ?x rdfs:label ?n FILTER(CONTAINS(?n, "Atlas")) }""",
    "empty result": """SELECT ?n { ?x a ex:Location ; rdfs:label ?n
        FILTER NOT EXISTS { ?d ex:locatedIn ?x } }""",
}

Ask = Callable[[str], Any]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    path = tmp_path_factory.mktemp("company") / "company.ttl"
    return path, write_company_graph(path)


@pytest.fixture(scope="module")
def ask(written: tuple[Path, dict[str, Any]]) -> Ask:
    store = ox.Store()
    store.load(path=written[0], format=ox.RdfFormat.TURTLE)

    def run(query: str) -> Any:
        rows = store.query(PREFIXES + query)
        assert isinstance(rows, ox.QuerySolutions)
        if len(rows.variables) == 2:
            return {_plain(row[0]): _plain(row[1]) for row in rows}
        return sorted(_plain(row[0]) for row in rows)

    return run


def _plain(term: Any) -> str | int:
    is_integer = term.datatype.value.endswith("#integer")
    return int(term.value) if is_integer else term.value


def _comparable(expected: object) -> object:
    """The shape in which ``ask`` gives it."""
    if isinstance(expected, dict):
        return expected
    return sorted(expected) if isinstance(expected, list) else [expected]


def _numbers(values: object) -> object:
    """Decimals as text lose their trailing zeros in SPARQL."""
    return {k: float(v) for k, v in values.items()} if isinstance(values, dict) else values


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    one, two, other = (tmp_path / name for name in ("1.ttl", "2.ttl", "3.ttl"))
    assert write_company_graph(one) == write_company_graph(two)
    assert write_company_graph(other, seed=8) != write_company_graph(two)
    assert one.read_bytes() == two.read_bytes() != other.read_bytes()


def test_it_is_a_few_thousand_triples(written: tuple[Path, dict[str, Any]]) -> None:
    assert 3_000 <= sum(1 for _ in ox.parse(path=written[0], format=ox.RdfFormat.TURTLE)) <= 6_000


def test_classes_and_properties_that_are_used_are_declared_with_labels(ask: Ask) -> None:
    for used in ("?x a ?term", "?x ?term ?y"):
        query = f"""SELECT DISTINCT (STR(?term) AS ?t) {{ {used}
            FILTER(STRSTARTS(STR(?term), STR(ex:)))
            FILTER NOT EXISTS {{ ?term a ?kind ; rdfs:label ?label }} }}"""
        assert ask(query) == []


@pytest.mark.parametrize("fact", FACT_QUERIES)
def test_a_fact_is_what_sparql_finds(
    fact: str, ask: Ask, written: tuple[Path, dict[str, Any]]
) -> None:
    found = ask(FACT_QUERIES[fact])
    expected = _comparable(written[1][fact])
    if fact == "average_current_price":
        found, expected = _numbers(found), _numbers(expected)
    assert found == expected


def test_the_cheapest_products_are_what_sparql_finds(
    ask: Ask, written: tuple[Path, dict[str, Any]]
) -> None:
    least = ask(f"SELECT ?label (STR(MIN(?amount)) AS ?n) {{ {CURRENT} }} GROUP BY ?label")
    facts = written[1]["cheapest_product"]
    assert _numbers({k: v["amount"] for k, v in facts.items()}) == _numbers(least)
    for category, amount in least.items():
        found = ask(
            f"""SELECT ?name {{ {CURRENT} FILTER(STR(?label) = "{category}" && ?amount = {amount})
            ?product rdfs:label ?name }}"""
        )
        assert found == facts[category]["products"]


def test_every_fact_is_checked(written: tuple[Path, dict[str, Any]]) -> None:
    assert set(written[1]) == {*FACT_QUERIES, "cheapest_product"}


@pytest.mark.parametrize("kind", QUESTION_QUERIES)
def test_what_a_question_expects_is_what_sparql_finds(kind: str, ask: Ask) -> None:
    (question,) = (q for q in QUESTIONS if q["kind"] == kind)
    assert ask(QUESTION_QUERIES[kind]) == _comparable(question["expected"])


def test_the_questions_are_many_and_of_many_kinds() -> None:
    assert len(QUESTIONS) >= 16
    assert len({q["kind"] for q in QUESTIONS}) == len(QUESTIONS)
    assert json.loads(json.dumps(QUESTIONS)) == QUESTIONS


def test_the_top_of_the_largest_departments_is_a_tie_for_every_seed(tmp_path: Path) -> None:
    for seed in range(3):
        facts = write_company_graph(tmp_path / "company.ttl", seed=seed)
        assert len(facts["largest_departments"]) == 2


def test_what_is_asked_in_vain_is_not_there(ask: Ask) -> None:
    absent = [q for q in QUESTIONS if q["expected"] is None]
    assert {q["kind"] for q in absent} == {"absent property", "absent entity"}
    query = 'SELECT DISTINCT ?n { ?x rdfs:label ?n FILTER(REGEX(?n, "salary|Zephyr", "i")) }'
    assert ask(query) == []
