"""Queries that change, reach out or break the engine are refused; all others go through."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_runtime.errors import QueryError, QueryRejected, RlmError
from rlm_runtime.ontology import open_ontology
from rlm_runtime.ontology.prefixes import PrefixMap
from rlm_runtime.ontology.query_guard import check_query

PREFIXES = PrefixMap(
    {"": "http://e/", "ex": "http://e/", "service": "http://e/service/", "from": "http://e/from/"}
)
GRAPH = "http://e/g"


def check(query: str) -> str:
    return check_query(query, PREFIXES, GRAPH.__eq__).form


REFUSED = [
    # Every update form, in any case, after a prologue, after a query, with a WITH or USING.
    "INSERT DATA { ex:a ex:b ex:c }",
    "insert data { ex:a ex:b ex:c }",
    "INSERT { ?s ex:b ?o } WHERE { ?s ?p ?o }",
    "DELETE DATA { ex:a ex:b ex:c }",
    "DELETE WHERE { ?s ?p ?o }",
    "DELETE { ?s ?p ?o } INSERT { ?s ?p 1 } WHERE { ?s ?p ?o }",
    "WITH ex:g DELETE { ?s ?p ?o } WHERE { ?s ?p ?o }",
    "LOAD <http://localhost/x>",
    "LOAD SILENT <file:///etc/passwd> INTO GRAPH ex:g",
    "CLEAR ALL",
    "CLEAR SILENT GRAPH ex:g",
    "DROP DEFAULT",
    "CREATE GRAPH ex:g",
    "ADD ex:g TO ex:h",
    "MOVE ex:g TO ex:h",
    "COPY DEFAULT TO ex:h",
    "PREFIX x: <http://x/> BASE <http://b/> DROP ALL",
    "# SELECT * { ?s ?p ?o }\nDROP ALL",
    "#\rDROP ALL",
    "SELECT * { ?s ?p ?o } ; DROP ALL",
    "SELECT * { ?s ?p ?o }DROP ALL",
    "ASK { ?s ?p '#' } INSERT DATA { ex:a ex:b ex:c }",
    'ASK { ?s ?p "\\"" } LOAD <http://localhost/x> # "',
    # Where we could see an IRI behind a value, the engine sees a comparison, and what follows.
    "SELECT * { FILTER(1<2)SERVICEex:x#>\n{ ?s ?p ?o } }",
    "SELECT * { FILTER('a'<'b>' ) SERVICE <http://localhost/x> { ?s ?p ?o } #'\n }",
    "SELECT * { FILTER(1<2#>'''\n) SERVICE <http://localhost/x> { ?s ?p ?o } #'''\n }",
    "SELECT (1<2#>'''\n AS ?x) { SERVICE <http://localhost/x> { ?s ?p ?o } #'''\n }",
    'ASK { BIND(1<2#>"""\n AS ?x) SERVICE SILENT <http://localhost/x> { ?s ?p ?o } #"""\n }',
    "BASE <http://e/> SELECT * { FILTER(1<<x#>) SERVICE <http://localhost/x> { } FILTER(1>1\n) }",
    "SELECT * { BIND(ex:x AS ?w) FILTER(1<2)SERVICE?w#>\n{ ?s ?p ?o } }",
    "SELECT (1<2#>'''\n AS ?x) FROM <http://localhost/x> { ?s ?p ?o #'''\n }",
    "SELECT * { FILTER(1<2#>'''\n) \u017fERVICE <http://localhost/x> { ?s ?p ?o } #'''\n }",
    # What rdflib takes for escapes, and for the end of a comment, as it alone does.
    "SELECT * { ?s ?p '\\U0027 . SERVICE <http://localhost/x> { ?s ?p ?o } #'\n }",
    "SELECT * { ?s ?p '\\u00000027 . SERVICE <http://localhost/x> { ?s ?p ?o } #'\n }",
    "SELECT * { ?s ?p ?o # \r '''\n SERVICE <http://localhost/x> { ?s ?p ?o } # '''\n }",
    "SELECT * # \r '''\n FROM <http://localhost/x> # '''\n { ?s ?p ?o }",
    # SERVICE in every place and dress.
    "SELECT * { SERVICE <http://localhost/x> { ?s ?p ?o } }",
    "SELECT * { service <http://localhost/x> { ?s ?p ?o } }",
    "SELECT * { SeRvIcE SILENT <http://localhost/x> { ?s ?p ?o } }",
    "SELECT * { SERVICE ?where { ?s ?p ?o } }",
    "SELECT * { BIND(<http://localhost/x> AS ?w) SERVICE SILENT ?w { ?s ?p ?o } }",
    "SELECT * { SERVICE ex:sparql { ?s ?p ?o } }",
    "SELECT * { SERVICE\n# why\n<http://localhost/x#>{ ?s ?p ?o } }",
    "SELECT * { SERVICE<http://localhost/x>{ ?s ?p ?o } }",
    "SELECT * { SERVICE$w{ ?s ?p ?o } }",
    "SELECT * { ?s ?p ?o OPTIONAL { SERVICE <http://localhost/x> { ?s ?p ?o } } }",
    "SELECT * { { SELECT * { SERVICE <http://localhost/x> { ?s ?p ?o } } } }",
    "SELECT * { FILTER EXISTS { SERVICE <http://localhost/x> { ?s ?p ?o } } }",
    "SELECT * { FILTER(NOT EXISTS { SERVICE <http://localhost/x> { ?s ?p ?o } }) }",
    "SELECT * { ?s ?p ?o MINUS { SERVICE <http://localhost/x> { ?s ?p ?o } } }",
    "SELECT * { {} UNION { GRAPH ?g { SERVICE <http://localhost/x> { ?s ?p ?o } } } }",
    "SELECT (EXISTS { SERVICE <http://localhost/x> { } } AS ?x) { }",
    "ASK { SERVICE <http://localhost/x> { ?s ?p ?o } }",
    "CONSTRUCT { ?s ?p ?o } WHERE { SERVICE <http://localhost/x> { ?s ?p ?o } }",
    "DESCRIBE ?s WHERE { SERVICE <http://localhost/x> { ?s ?p ?o } }",
    "SELECT * { ?s ?p '''SERVICE' ''' . SERVICE <http://localhost/x> { } }",
    "SELECT * { ?s ?p <http://e/#SERVICE> . SERVICE <http://localhost/x> { } }",
    "SELECT * { ?s ?p ?o FILTER(?a<?b) SERVICE <http://localhost/x> { } FILTER(?a>?b) }",
    # Engines that need no space between tokens see SERVICE here.
    "SELECT * { SERVICEex:sparql { ?s ?p ?o } }",
    "SELECT * { service:sparql { ?s ?p ?o } }",
    "SELECT * { SERVICESILENT<http://localhost/x> { ?s ?p ?o } }",
    "SELECT * { SERVICE:sparql { ?s ?p ?o } }",
    "SELECT * { ?s ?p trueSERVICE<http://localhost/x> { ?s ?p ?o } }",
    "SELECT * { ?s ?p 1SERVICEex:sparql { ?s ?p ?o } }",
    "SELECT * { ?s ?p 1e5SERVICE<http://localhost/x> { ?s ?p ?o } }",
    "SELECT * { ?s ?p 'x'SERVICE<http://localhost/x> { ?s ?p ?o } }",
    # Code point escapes: what some engines resolve before they look at the query at all.
    "SELECT * { \\u0053ERVICE <http://localhost/x> { ?s ?p ?o } }",
    "SELECT * { S\\U00000045RVICE <http://localhost/x> { ?s ?p ?o } }",
    "SELECT * { ?s ?p '\\u0027 . SERVICE <http://localhost/x> { } # ' }",
    "SELECT * { ?s ?p ?o } # \\u000A SERVICE <http://localhost/x> { }",
    "\\u0044ROP ALL",
    "SELECT * { ?s ?p '\\u0027' }",
    # Foreign graphs.
    "SELECT * FROM <http://localhost/x> { ?s ?p ?o }",
    "SELECT * FROM NAMED <http://localhost/x> { ?s ?p ?o }",
    "SELECT * FROM <file:///etc/passwd> { ?s ?p ?o }",
    "SELECT * FROM ex:g FROM ex:other { ?s ?p ?o }",
    "BASE <http://localhost/> SELECT * FROM <x> { ?s ?p ?o }",
    "PREFIX ex: <http://localhost/> SELECT * FROM ex:g { ?s ?p ?o }",
    "SELECT*FROM<http://localhost/x>{ ?s ?p ?o }",
    "SELECT*FROMNAMED<http://localhost/x>{ ?s ?p ?o }",
    "SELECT * FROMex:other { ?s ?p ?o }",
    "SELECT * from:other { ?s ?p ?o }",
    "ASK FROM <http://localhost/x> { ?s ?p ?o }",
    "DESCRIBE ex:a FROM <http://localhost/x>",
    "CONSTRUCT FROM <http://localhost/x> WHERE { ?s ?p ?o }",
    # What would break parser or planner.
    "SELECT * " + "{" * 20_000 + "}" * 20_000,
    "SELECT * { FILTER(" + "(" * 20_000 + "1" + ")" * 20_000 + ") }",
    "SELECT * { FILTER(" + "!" * 20_000 + "true) }",
    "SELECT * { FILTER(1" + "+1" * 20_000 + ") }",
    "SELECT * { ?s ?p 1" + ",1" * 20_000 + " }",
    "SELECT * { ?s ?p ?o } #" + "x" * 1_000_000,
]

LET_THROUGH = [
    "SELECT * { ?s ?p ?n FILTER(?n<=2&&?n>=1) }",
    "PREFIX from: <http://e/> DESCRIBE from:a",
    "SELECT * { ?s ?p ?o }",
    "select ?service where { ?service a ex:Service }",
    "SELECT ?insert ?delete ?load { ?insert ?delete ?load }",
    "SELECT * { ?s ex:insert ?o ; ex:SERVICE ?x ; ex:service-of ?y }",
    "SELECT * { ?s service:insert ?o . }",
    "SELECT * { ?s ?p service:x . { ?a ?b ?c } }",
    "SELECT * { GRAPH service:g { ?s ?p ?o } }",
    "DESCRIBE service:x { }",
    "DESCRIBE from:x",
    "SELECT * { ?s from:x ?o }",
    "SELECT * { ?s ?p 'SERVICE <http://localhost/x> { }' }",
    'SELECT * { ?s ?p "INSERT DATA { }" }',
    "SELECT * { ?s ?p '''DROP\nALL''' }",
    'SELECT * { ?s ?p """LOAD "x" \\""" CLEAR""" }',
    "SELECT * { ?s ?p 'it\\'s SERVICE' }",
    "SELECT * { ?s ?p ?o } # SERVICE <http://localhost/x> { }",
    "# DROP ALL\nSELECT * { ?s ?p ?o }",
    "# DROP ALL\r\nSELECT * # LOAD\r\n{ ?s ?p 'caf\\u00e9babe' }",
    "# \u2028 DROP ALL\nSELECT * { ?s ?p ?o }",
    "SELECT * { ?s ?p ?o # } INSERT\n }",
    "SELECT * { <http://e/#SERVICE> ?p <http://e/insert/LOAD> }",
    "PREFIX insert: <http://e/insert#> SELECT * { ?s insert:data ?o }",
    "PREFIX load: <http://e/> SELECT * { load:it a load:Load }",
    "PREFIX with: <http://e/> ASK { with:x ?p ?o }",
    "BASE <http://e/SERVICE> SELECT * { <#DROP> ?p ?o }",
    "SELECT * { _:service ?p _:insert }",
    "SELECT * { ?s ?p 'x'@en-clear }",
    "SELECT * { ?s ?p 'x'^^ex:service }",
    "SELECT (COUNT(*) AS ?load) { ?s ?p ?o }",
    "SELECT * FROM <http://e/g> { ?s ?p ?o }",
    "SELECT * FROM ex:g { ?s ?p ?o }",
    "SELECT * FROM NAMED <http://e/g> { GRAPH ?g { ?s ?p ?o } }",
    "PREFIX q: <http://e/> SELECT * FROM NAMED q:g { GRAPH ?g { ?s ?p ?o } }",
    "ASK { ?s ?p ?o }",
    "ASK { FILTER(1 < 2 && 3 > 2) }",
    "SELECT * { ?s ?p ?o FILTER(?s<?p&&?o>?p) }",
    "CONSTRUCT { ?s ex:delete ?o } WHERE { ?s ?p ?o }",
    "CONSTRUCT WHERE { ?s ?p ?o }",
    "DESCRIBE <http://e/a>",
    "DESCRIBE ?s WHERE { ?s a ex:Clear }",
    "SELECT * { ?s ex:a/ex:b* | ^ex:c ?o }",
    "SELECT * { ?s !(ex:a|^ex:b) ?o }",
    "SELECT * { VALUES (?s ?o) { (ex:service 'DROP') (UNDEF 1) } }",
    "SELECT * { VALUES ?x {" + " ex:a" * 20_000 + " } }",
    "SELECT * { ?s ?p ?o FILTER(?s IN (ex:a" + ", ex:a" * 20_000 + ")) }",
    "SELECT ?s (GROUP_CONCAT(?o; SEPARATOR=', ') AS ?all) { ?s ?p ?o } GROUP BY ?s",
    "SELECT * { ?s ?p ?o FILTER(REGEX(?o, '^service', 'i')) } ORDER BY DESC(?s) LIMIT 5 OFFSET 2",
    "SELECT * { ?s ?p ?o MINUS { ?s a ex:A } FILTER NOT EXISTS { ?s ex:copy ?o } }",
    "SELECT * { { SELECT DISTINCT ?s { ?s ?p ?o } } OPTIONAL { ?s ex:add ?o } }",
    "SELECT * { ?s ?p 'caf\\u00E9 \\U0001F600' }",
    "SELECT * { ?s ?p -1.5e3 . ?s ex:n +2 . ?s ex:m .5 . ?s ex:b true }",
    "SELECT * { ?s ?p ( 1 2 [ ex:a 'x' ] [] () ) }",
    "SELECT * { BIND(REPLACE(STR(?s), 'SERVICE', '') AS ?x) }",
    "SELECT * { ?s ex:p%20q ?o ; ex:a\\-b ?x ; ex:1 ?y ; ex:a:b ?z }",
    "SELECT ?été { ?été ex:größe ?ö }",
    " \t\r\n SELECT\n*\r\n{\t?s ?p ?o }\n",
]


@pytest.mark.parametrize("query", REFUSED, ids=lambda query: query[:70])
def test_what_changes_or_reaches_out_is_refused(query: str) -> None:
    with pytest.raises(QueryRejected):
        check(query)


@pytest.mark.parametrize("query", LET_THROUGH, ids=lambda query: query[:70])
def test_what_only_reads_goes_through(query: str) -> None:
    assert check(query) in ("SELECT", "ASK", "CONSTRUCT", "DESCRIBE")


@pytest.mark.parametrize(
    ("query", "form"),
    [
        ("PREFIX a: <http://a/> SELECT * {}", "SELECT"),
        ("ask {}", "ASK"),
        ("BASE <http://a/>\n# SELECT\nConstruct {} where {}", "CONSTRUCT"),
        ("DESCRIBE ex:a", "DESCRIBE"),
    ],
)
def test_the_form_is_told(query: str, form: str) -> None:
    assert check(query) == form


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ("", "empty"),
        ("# nothing", "empty"),
        ("What is Activity?", "begin"),
        ("SELECT * { ?s ?p 'open }", "never closed"),
        ("SELECT * { ?s ?p “x” }", "quotation mark"),
        ("```sparql\nSELECT * { ?s ?p ?o }\n```", "backtick"),
        ("SELECT\u00a0* { ?s ?p ?o }", "U+00A0"),
        ("SELECT * { ?s nope:p ?o }", "No such prefix nope:, known prefixes: :, ex:"),
    ],
)
def test_what_is_no_query_says_why(query: str, part: str) -> None:
    with pytest.raises(QueryError, match=part.replace("+", r"\+")) as caught:
        check(query)
    assert not isinstance(caught.value, QueryRejected)


def test_only_undeclared_prefixes_in_use_are_asked_for() -> None:
    query = "PREFIX ex: <http://other/> SELECT * { ?s ex:p 'rdfs:label', rdf:nil # owl:Thing\n}"
    assert list(check_query(query, PREFIXES, bool).prefixes) == ["rdf"]


def test_a_refusal_points_at_its_place() -> None:
    with pytest.raises(QueryRejected, match="line 2, column 3: SERVICE") as caught:
        check("SELECT * {\n  SERVICE <http://localhost/x> { }\n}")
    assert caught.value.args[0].splitlines()[-2:] == [
        "    SERVICE <http://localhost/x> { }",
        "    ^",
    ]


@pytest.fixture
def listener() -> Iterator[tuple[int, list[str]]]:
    """Give the port of a server on loopback, and the list of what called it."""
    calls: list[str] = []
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, address = server.accept()
            except OSError:
                return
            calls.append(str(address))
            connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield server.getsockname()[1], calls
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)


def test_nothing_reaches_out_whatever_is_asked(
    tmp_path: Path, listener: tuple[int, list[str]]
) -> None:
    port, calls = listener
    canary = tmp_path / "canary.ttl"
    canary.write_text("<http://e/canary> <http://e/sings> 'tweet' .")
    here = f"http://127.0.0.1:{port}/"
    data = tmp_path / "data.trig"
    data.write_text(
        f"@prefix : <{here}> . @prefix ex: <{here}> . @prefix service: <{here}> ."
        f"@prefix from: <{here}> . ex:g {{ ex:a ex:b <{canary.as_uri()}> }}"
    )
    with open_ontology(data) as ontology:
        for query in REFUSED + LET_THROUGH:
            query = query.replace("http://localhost/x", here).replace("http://e/", here)
            query = query.replace("file:///etc/passwd", canary.as_uri())
            try:
                rows = ontology.select(query, timeout=60)
            except RlmError:
                continue
            assert "tweet" not in str(rows), query
        assert ontology.contains(here + "a")
    # The listener itself works: one call that is seen ends the list.
    socket.create_connection(("127.0.0.1", port)).close()
    for _ in range(500):
        if calls:
            break
        threading.Event().wait(0.01)
    assert len(calls) == 1


def _second_opinion(query: str) -> str:
    """Say what rdflib's parser makes of a query: reads, reaches out, changes, or broken."""
    from rdflib.plugins.sparql.parser import parseQuery, parseUpdate
    from rdflib.plugins.sparql.parserutils import CompValue

    def names(part: object) -> Iterator[str]:
        if isinstance(part, CompValue):
            yield part.name
            for value in part.values():
                yield from names(value)
        elif not isinstance(part, str):
            try:
                for value in part:  # type: ignore[attr-defined]
                    yield from names(value)
            except TypeError:
                return

    try:
        parsed = parseQuery(query)
    except Exception:
        try:
            parseUpdate(query)
        except Exception:
            return "broken"
        return "changes"
    found = set(names(parsed))
    return "reaches out" if found & {"ServiceGraphPattern", "DatasetClause"} else "reads"


_PIECES = st.sampled_from(
    [
        *("SELECT * {", "ASK {", "}", "{", "(", ")", "?s ?p ?o .", "?s", "ex:a", "SERVICE", "#"),
        *("<http://x/>", "FROM", "NAMED", "'", '"', "'''", "SERVICE <http://x/> {", "INSERT"),
        *(
            "INSERT DATA { ex:a ex:a 1 }",
            "CLEAR ALL",
            ";",
            "\\",
            "\n",
            "FILTER EXISTS {",
            "OPTIONAL {",
        ),
        *(
            "\\u0027",
            "service:a",
            "'SERVICE'",
            "LOAD <http://x/>",
            "<",
            ">",
            "?service",
            "GRAPH",
            "1",
        ),
        *("SERVICE ?s {", "true", "UNION", "FILTER(?s < 1)", "_:b", "PREFIX ex: <http://y/#>"),
        *("\\U0027", "\\u00000027", "\r", "#'''", "FILTER(1<2", "SELECT (1<2", "AS ?x)", "#>"),
        *("\u017fERVICE <http://x/> {}", "FROM <http://x/>"),
    ]
)


@settings(deadline=None, max_examples=400)
@given(st.lists(_PIECES, min_size=1, max_size=14), st.sampled_from([" ", "", "\n"]))
def test_a_real_parser_finds_nothing_that_was_let_through(pieces: list[str], gap: str) -> None:
    query = gap.join(pieces)
    known = {**PREFIXES}
    declared = "".join(f"PREFIX {name}: <{iri}>\n" for name, iri in known.items())
    try:
        check_query(query, PREFIXES, lambda _: False)
    except QueryError:
        return
    assert _second_opinion(declared + query) in ("reads", "broken")


# What reaches out, behind what may hide it from us and before what may cover its end.
_DISGUISED = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["SELECT * {", "SELECT * { ?s ?p ?o .", "SELECT * { ?s ?p", "SELECT (1<2"]),
    st.sampled_from(
        [
            *(" ", " '", ' """', " 'x\\' ", " '\\u0027 . ", " '\\U0027 . ", " '\\u00000027 . "),
            *("#>'''\n AS ?x) ", " FILTER(1<2#>'''\n) ", " # \r '''\n ", " # ", " #\\u000a", " <a"),
        ]
    ),
    st.sampled_from(
        [
            *("SERVICE <http://x/> { ?s ?p ?o }", "\u017fERVICE <http://x/> { ?s ?p ?o }"),
            *(
                "FROM <http://x/> { ?s ?p ?o",
                "FROM NAMED <http://x/> {",
                "SERVICEex:a { ?s ?p ?o }",
            ),
        ]
    ),
    st.sampled_from(["", " #'\n", " #'''\n", ' #"""\n', " '", " >"]),
)


def test_engines_that_can_reach_out_do_not_whatever_was_let_through(
    tmp_path: Path, listener: tuple[int, list[str]]
) -> None:
    import pyoxigraph
    import rdflib

    port, calls = listener
    canary = tmp_path / "canary.ttl"
    canary.write_text("<http://e/canary> <http://e/sings> 'tweet' .")
    here = f"<http://127.0.0.1:{port}/x>"
    store = pyoxigraph.Store()

    def ask(query: str) -> str:
        """Ask both; what they answer, whatever goes wrong, is told as text."""
        told = ""
        for engine in (store, rdflib.Dataset()):
            try:
                told += str([str(row) for row in engine.query(query)])  # type: ignore[union-attr]
            except Exception as error:
                told += type(error).__name__
        return told

    declared = "".join(f"PREFIX {name}: <{iri}>\n" for name, iri in PREFIXES.items())

    @settings(deadline=None, max_examples=1000)
    @given(_DISGUISED, st.lists(_PIECES, max_size=3), st.booleans())
    def fuzz(disguised: str, pieces: list[str], file: bool) -> None:
        calls.clear()
        graph = f"FROM <{canary.as_uri()}>" if file else f"FROM {here}"
        query = f"{disguised} {' '.join(pieces)}".replace("FROM <http://x/>", graph)
        query = query.replace("<http://x/>", here)
        for whole in (query, f"{query} }}", f"{query}\n{{ ?s ?p ?o }}"):
            try:
                check_query(whole, PREFIXES, lambda _: False)
            except QueryError:
                continue
            assert "tweet" not in ask(declared + whole), whole
            assert not calls, whole

    fuzz()
    # Both do reach out when nothing guards them.
    assert "tweet" in ask(f"SELECT * FROM <{canary.as_uri()}> {{ ?s ?p ?o }}")
    ask(f"SELECT * {{ SERVICE {here} {{ ?s ?p ?o }} }}")
    assert len(calls) >= 2


@settings(deadline=None, max_examples=100)
@given(st.lists(_PIECES.filter(lambda p: "SERVICE" not in p.upper()), max_size=6))
def test_any_text_is_harmless_within_a_string(pieces: list[str]) -> None:
    text = " ".join(pieces).replace("\\", "\\\\").replace('"', '\\"')
    text = text.replace("\n", "\\n").replace("\r", "\\r")
    assert check(f'ASK {{ ?s ?p "{text} SERVICE DROP ALL" }}') == "ASK"
