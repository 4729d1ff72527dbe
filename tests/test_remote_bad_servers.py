"""Endpoints that misbehave cost a bounded time and memory, get no login, and are told apart."""

from __future__ import annotations

import base64
import gc
import socket
import threading
import time
import traceback
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from rlm_runtime.errors import OntologyError, QueryError, QueryTimeout
from rlm_runtime.ontology import Ontology, open_ontology
from tests.support.endpoints import BadServer, Seen, bad_server, json_rows, reply, zipped

ROW = "http://e/a"
QUERY = "SELECT ?x { ?x a owl:Class }"
PASSWORD = "canary-pass-71c2"
TOKEN = "canary-token-93fd"
CANARIES = (PASSWORD, TOKEN, base64.b64encode(f"me:{PASSWORD}".encode()).decode(), "canary-key-55")
# A hang is what is tested: the bound is generous, the deadline itself is half a second.
SOON = 20.0
DEADLINE = 0.5


def is_probe(request: Seen) -> bool:
    return "shacl" in request.text


@contextmanager
def asking(
    script: Callable[[socket.socket, Seen], object], **options: object
) -> Iterator[tuple[Ontology, BadServer]]:
    """Serve with a script and open the endpoint; what is asked for prefixes gets an answer."""

    def run(connection: socket.socket, request: Seen) -> None:
        if is_probe(request):
            connection.sendall(reply(json_rows()))
        else:
            script(connection, request)

    with bad_server(run) as server, open_ontology(server.url(), **options) as ontology:  # type: ignore[arg-type]
        yield ontology, server


def questions(server: BadServer) -> list[Seen]:
    return [request for request in server.seen if not is_probe(request)]


def sends(*pieces: bytes, pause: float = 0.0) -> Callable[[socket.socket, Seen], None]:
    def script(connection: socket.socket, _: Seen) -> None:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)

    return script


def hang(connection: socket.socket, _: Seen) -> None:
    # Until the client, or the end of the test, closes the connection.
    connection.recv(1)


def stops_after(piece: bytes) -> Callable[[socket.socket, Seen], None]:
    def script(connection: socket.socket, request: Seen) -> None:
        connection.sendall(piece)
        hang(connection, request)

    return script


def endless(head: bytes, piece: bytes) -> Callable[[socket.socket, Seen], None]:
    def script(connection: socket.socket, _: Seen) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(piece)

    return script


def dripping(head: bytes) -> Callable[[socket.socket, Seen], None]:
    def script(connection: socket.socket, _: Seen) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(b" ")
            time.sleep(0.05)

    return script


OPEN_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/sparql-results+json\r\n"
ROWS_HEAD = b'{"head":{"vars":["x"]},"results":{"bindings":['
ONE_ROW = b'{"x":{"type":"uri","value":"http://e/a"}},'


@pytest.mark.parametrize(
    ("script", "during"),
    [
        (hang, "waiting"),
        (stops_after(b"HTTP/1.1 200"), "waiting"),
        (dripping(b"HTTP/1.1 200 OK\r\nX-Slow: "), "waiting"),
        (stops_after(OPEN_HEAD + b"\r\n"), "reading"),
        (dripping(OPEN_HEAD + b"\r\n" + ROWS_HEAD), "reading"),
        (stops_after(OPEN_HEAD + b"Content-Length: 999\r\n\r\n" + ROWS_HEAD), "reading"),
        (stops_after(OPEN_HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{"), "reading"),
        (dripping(b"HTTP/1.1 500 Oh\r\nContent-Length: 999\r\n\r\n"), "reading"),
        (endless(OPEN_HEAD + b"\r\n" + ROWS_HEAD, b" " * 10), "reading"),
    ],
    ids=["hang", "status", "head", "body", "drip", "length", "chunk", "error", "white-space"],
)
def test_a_slow_endpoint_is_given_up_at_the_deadline(
    script: Callable[[socket.socket, Seen], None], during: str
) -> None:
    with asking(script) as (ontology, _):
        began = time.monotonic()
        with pytest.raises(QueryTimeout, match=f"given up after 0.5 s, while {during}") as caught:
            ontology.select(QUERY, timeout=DEADLINE)
        assert time.monotonic() - began < SOON
        assert "does not mean that there are no results" in str(caught.value)


def test_an_endpoint_that_accepts_nobody_is_given_up_at_the_deadline() -> None:
    # The queue of this socket is full: a further connection is neither taken nor refused.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening:
        port = listening.getsockname()[1]
        waiting = []
        for _ in range(4):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
            waiting.append(sock)
        with open_ontology(f"http://127.0.0.1:{port}/sparql") as ontology:
            began = time.monotonic()
            with pytest.raises(QueryTimeout, match="can be reached from here"):
                ontology.select(QUERY, timeout=DEADLINE)
            assert time.monotonic() - began < SOON
        for sock in waiting:
            sock.close()


def test_a_slow_but_steady_endpoint_answers_within_the_deadline() -> None:
    body = json_rows(ROW).encode()
    pieces = [body[i : i + 20] for i in range(0, len(body), 20)]
    with asking(sends(reply(length=len(body)), *pieces, pause=0.01)) as (ontology, _):
        assert ontology.select(QUERY).rows == [{"x": ROW}]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (reply("<html><title>Welcome</title></html>", kind="text/html"), "text/html.*Welcome"),
        (reply("<!-- x --><!DOCTYPE html><p>Log in", kind="application/xml"), "Log in"),
        (reply("x,y\n1,2", kind="text/csv"), "text/csv instead of results as JSON"),
        (reply("", kind="application/sparql-results+json"), "instead of results"),
        (reply("hello", kind="text/plain"), "text/plain.*hello"),
        (reply(json_rows(ROW)[:-10]), "broke off or is malformed"),
        (reply('{"head":{"vars":["x"]}}'), "malformed"),
        (reply('{"head":{},"boolean":true}'), "results of another form"),
        (reply(json_rows(ROW), length=10), "broke off"),
        (reply(json_rows(ROW)[:-10], length=9999), "end of its answer"),
        (reply(b"\x1f\x8bnonsense", Content_Encoding="gzip"), "packed wrongly"),
        (reply(zipped(json_rows(ROW).encode())[:-12], Content_Encoding="gzip"), "end of its"),
        (reply(json_rows(ROW), Content_Encoding="br"), "packed as br"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "does not speak HTTP"),
        (b"", "cannot be asked"),
        (reply("no \x1b[2J way", "400 Bad"), r"refused the query: no \\x1b\[2J way"),
        (reply("<h1>Nope</h1>", "401 No", "text/html"), "wants a login.*RLM_SPARQL_TOKEN.*Nope"),
        (reply("", "403 Forbidden"), "forbidden"),
        (reply("", "404 Not Found"), "check its path"),
        (reply("", "405 Not Allowed"), "neither GET nor POST"),
        (reply("", "413 Too Large"), "too long.*Shorten"),
        (reply("NullPointerException", "500 Error"), "Simplify.*NullPointerException"),
        (reply("", "418 Teapot"), "status 418"),
        (reply(json_rows(), "206 Partial"), "time limit of its own"),
        (reply(json_rows(), X_SQL_State="S1TAT"), "time limit of its own"),
        (reply("Query timed out after 60 s", "503 No"), "gave the query up at a time limit"),
    ],
)
def test_every_bad_answer_says_what_happened_and_what_to_do(answer: bytes, said: str) -> None:
    with asking(sends(answer)) as (ontology, _):
        with pytest.raises(QueryError, match=f"(?s){said}") as caught:
            ontology.select(QUERY, timeout=20.0)
        assert "127.0.0.1" in str(caught.value)
        assert len(str(caught.value)) < 900
        assert str(caught.value).isprintable()


def test_a_query_refused_at_an_end_of_time_is_a_timeout() -> None:
    for answer in (
        reply(json_rows(), "206 Partial"),
        reply("estimated execution time 9000 (sec) exceeds the limit", "500 SPARQL Request Failed"),
    ):
        with asking(sends(answer)) as (ontology, _), pytest.raises(QueryTimeout):
            ontology.select(QUERY)


def test_long_words_of_an_endpoint_are_cut() -> None:
    with asking(sends(reply("x" * 100_000, "400 Bad"))) as (ontology, _):
        with pytest.raises(QueryError) as caught:
            ontology.select(QUERY)
        assert len(str(caught.value)) < 500


@pytest.mark.parametrize("status", ["429 Later", "502 Bad", "503 Busy", "504 Slow"])
def test_a_busy_endpoint_is_asked_again(status: str) -> None:
    def script(connection: socket.socket, _: Seen) -> None:
        busy = len(questions(server)) < 3
        connection.sendall(reply("", status) if busy else reply(json_rows(ROW)))

    with asking(script) as (ontology, server):
        assert ontology.select(QUERY).rows == [{"x": ROW}]
        assert len(questions(server)) == 3


def test_a_broken_connection_is_tried_again() -> None:
    def script(connection: socket.socket, _: Seen) -> None:
        if len(questions(server)) == 2:
            connection.sendall(OPEN_HEAD + b"Content-Length: 999\r\n\r\n" + ROWS_HEAD)
        elif len(questions(server)) > 2:
            connection.sendall(reply(json_rows(ROW)))

    with asking(script) as (ontology, server):
        assert ontology.select(QUERY).rows == [{"x": ROW}]


def test_retry_after_is_kept_to() -> None:
    times: list[float] = []

    def script(connection: socket.socket, _: Seen) -> None:
        times.append(time.monotonic())
        first = len(times) == 1
        connection.sendall(
            reply("", "429 Later", Retry_After="2") if first else reply(json_rows(ROW))
        )

    with asking(script) as (ontology, _):
        assert ontology.select(QUERY).rows == [{"x": ROW}]
    assert times[1] - times[0] >= 2


@pytest.mark.parametrize("later", ["3600", "Wed, 21 Oct 2065 07:28:00 GMT"])
def test_a_long_wait_is_not_waited(later: str) -> None:
    with asking(sends(reply("", "429 Later", Retry_After=later))) as (ontology, server):
        began = time.monotonic()
        with pytest.raises(QueryError, match="fewer requests"):
            ontology.select(QUERY)
        assert time.monotonic() - began < SOON
        assert len(questions(server)) == 1


def test_attempts_are_bounded_and_never_past_the_deadline() -> None:
    with asking(sends(reply("", "503 Busy"))) as (ontology, server):
        with pytest.raises(QueryError, match="overloaded"):
            ontology.select(QUERY)
        assert len(questions(server)) == 4
        began = time.monotonic()
        with pytest.raises(QueryError):
            ontology.select(QUERY, timeout=DEADLINE)
        assert time.monotonic() - began < SOON


def test_an_endpoint_without_get_is_asked_by_post_from_then_on() -> None:
    def script(connection: socket.socket, request: Seen) -> None:
        is_get = request.line.startswith("GET")
        connection.sendall(reply("", "405 No") if is_get else reply(json_rows(ROW)))

    with asking(script) as (ontology, server):
        for _ in range(2):
            assert ontology.select(QUERY).rows == [{"x": ROW}]
        assert [r.line.split()[0] for r in questions(server)] == ["GET", "POST", "POST"]


def test_a_dead_endpoint_is_an_error_of_the_ontology_at_first_and_of_the_query_later() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        open_ontology(f"http://127.0.0.1:{port}/sparql") as ontology,
        pytest.raises(OntologyError, match="Check that it is up"),
    ):
        ontology.select(QUERY)
    with asking(sends(reply(json_rows(ROW)))) as (ontology, _):
        ontology.select(QUERY)
    with bad_server(sends(reply(json_rows(ROW)))) as server:
        ontology = open_ontology(server.url())
        ontology.select(QUERY)
    with pytest.raises(QueryError, match="Check that it is up"):
        ontology.select(QUERY)
    ontology.close()


def redirecting(to: str, status: str = "302 Found") -> Callable[[socket.socket, Seen], None]:
    return sends(reply("", status, Location=to))


@pytest.mark.parametrize(
    "login",
    [
        {"auth": ("me", PASSWORD)},
        {"token": TOKEN},
        {"headers": {"X-Api-Key": "canary-key-55"}},
    ],
    ids=["basic", "bearer", "header"],
)
@pytest.mark.parametrize("status", ["301 x", "302 x", "303 x", "307 x", "308 x"])
def test_no_login_follows_a_redirect_to_another_place(
    login: dict[str, object], status: str
) -> None:
    with bad_server(sends(reply(json_rows(ROW)))) as elsewhere:
        with asking(redirecting(elsewhere.url(), status), **login) as (ontology, server):
            rows = ontology.select(QUERY).rows
            ontology.select(f"{QUERY} #{'x' * 3000}")
        assert rows == [{"x": ROW}]
        assert all(any(c in seen.text for c in CANARIES) for seen in server.seen)
        assert elsewhere.seen
        assert not any(c in seen.text for seen in elsewhere.seen for c in CANARIES)


def test_the_login_goes_along_within_its_own_place() -> None:
    def script(connection: socket.socket, request: Seen) -> None:
        moved = "/moved" in request.line
        connection.sendall(
            reply(json_rows(ROW)) if moved else reply("", "307 x", Location="/moved?query=x")
        )

    with asking(script, auth=("me", PASSWORD)) as (ontology, server):
        assert ontology.select(QUERY).rows == [{"x": ROW}]
        assert all("Basic" in seen.headers.get("authorization", "") for seen in server.seen)


def test_a_login_that_stayed_behind_is_told_of() -> None:
    with (
        bad_server(sends(reply("", "401 No"))) as elsewhere,
        asking(redirecting(elsewhere.url()), auth=("me", PASSWORD)) as (ontology, _),
        pytest.raises(
            QueryError, match=f"redirects to 127.0.0.1:{elsewhere.port}, where the login"
        ),
    ):
        ontology.select(QUERY)


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("file:///etc/passwd", "cannot be followed"),
        ("ftp://127.0.0.1/x", "cannot be followed"),
        ("http://10.1.2.3/", "refused"),
        ("http://169.254.169.254/latest/meta-data/", "refused"),
        ("http://[::ffff:10.0.0.1]/", "refused"),
        ("http://[fd00::1]/", "refused"),
        ("http://100.64.0.1/", "refused"),
        ("http://0.0.0.0/", "refused"),
        ("http://me:secret-9@127.0.0.1:1/", "cannot be asked"),
    ],
)
def test_a_redirect_leads_to_no_forbidden_place(to: str, said: str) -> None:
    with asking(redirecting(to)) as (ontology, _):
        with pytest.raises(QueryError, match=said) as caught:
            ontology.select(QUERY, timeout=5.0)
        assert "secret-9" not in str(caught.value)


def test_redirects_end() -> None:
    with asking(redirecting("/again")) as (ontology, server):
        with pytest.raises(QueryError, match="redirects more than 5 times"):
            ontology.select(QUERY)
        assert len(questions(server)) == 6


def test_an_echo_of_the_login_is_not_told() -> None:
    def echo(connection: socket.socket, request: Seen) -> None:
        # As words among others, which do not look like secrets.
        words = " and ".join(" ".join(request.headers.values()).split())
        connection.sendall(reply(f"{words} {PASSWORD}", "400 Bad"))

    for login in (
        {"auth": ("me", PASSWORD)},
        {"auth": ("me", PASSWORD), "headers": {"X-Api-Key": "canary-key-55"}},
    ):
        with asking(echo, **login) as (ontology, _):
            with pytest.raises(QueryError) as caught:
                ontology.select(QUERY)
            assert not any(canary in str(caught.value) for canary in CANARIES)
            assert not any(canary in repr(ontology) for canary in CANARIES)


@pytest.mark.parametrize(
    "form",
    [
        {"kind": "text/html", "body": "<title>You sent {}</title>"},
        {"kind": "text/plain", "body": "You sent {}"},
        {"kind": "{}", "body": ""},
        {"body": '{{"head":{{"vars":["x"]}},"results":{{"bindings":[{{"x":{{"type":"{}"}}}}]}}}}'},
        {"body": "", "Content_Encoding": "{}"},
    ],
)
def test_an_echo_of_the_login_in_a_success_is_not_told(form: dict[str, str]) -> None:
    for secret in (PASSWORD, CANARIES[2]):
        answer = reply(**{key: text.format(secret) for key, text in form.items()})  # type: ignore[arg-type]
        with asking(sends(answer), auth=("me", PASSWORD)) as (ontology, _):
            with pytest.raises(QueryError) as caught:
                ontology.select(QUERY)
            shown = "".join(traceback.format_exception(caught.value))
            assert not any(canary in shown for canary in CANARIES)


def test_an_echo_of_the_login_instead_of_http_is_not_told() -> None:
    echo = sends(f"You sent {PASSWORD}\r\n\r\n".encode())
    with asking(echo, auth=("me", PASSWORD)) as (ontology, _):
        with pytest.raises(QueryError) as caught:
            ontology.select(QUERY)
        assert PASSWORD not in "".join(traceback.format_exception(caught.value))


def test_a_page_of_comments_is_told_apart_in_no_time() -> None:
    page = reply(b"<!---->" * 140 + b"x", kind="text/html")
    with asking(sends(page)) as (ontology, _), pytest.raises(QueryError, match="text/html"):
        ontology.select(QUERY)


def test_an_answer_that_is_refused_leaves_no_connection_open() -> None:
    def script(connection: socket.socket, request: Seen) -> None:
        connection.sendall(reply("x", Content_Encoding="br"))
        ended.append(connection.recv(1))

    ended: list[bytes] = []
    with asking(script) as (ontology, _):
        with pytest.raises(QueryError, match="packed as br") as caught:
            ontology.select(QUERY)
        until = time.monotonic() + SOON
        while not ended and time.monotonic() < until:
            threading.Event().wait(0.01)
        # The error, which holds frames and so the connection, is still there.
        assert caught.value
        assert ended == [b""]


@contextmanager
def peak_memory() -> Iterator[Callable[[], int]]:
    gc.collect()
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def chunked(piece: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(piece), piece)


def test_endless_rows_stop_at_the_limit() -> None:
    script = endless(
        OPEN_HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(ROWS_HEAD),
        chunked(ONE_ROW * 100),
    )
    with asking(script) as (ontology, _), peak_memory() as peak:
        rows = ontology.select(QUERY, limit=1000)
        assert (len(rows), rows.truncated) == (1000, True)
        assert peak() < 20e6


def test_endless_headers_end() -> None:
    for piece in (b"X-More: and more\r\n", b"X" * 1000):
        with asking(endless(b"HTTP/1.1 200 OK\r\n", piece)) as (ontology, _), peak_memory() as peak:
            with pytest.raises(QueryError, match="does not speak HTTP"):
                ontology.select(QUERY, timeout=20.0)
            assert peak() < 20e6


@pytest.mark.parametrize(
    "script",
    [
        endless(
            OPEN_HEAD + b"\r\n" + ROWS_HEAD + b'{"x":{"type":"literal","value":"', b"x" * 50_000
        ),
        endless(OPEN_HEAD + b"\r\n" + ROWS_HEAD, b" " * 50_000),
        endless(b"HTTP/1.1 500 Oh\r\n\r\n", b"x" * 50_000),
        sends(
            reply(zipped(ROWS_HEAD + b" " * 300_000_000), Content_Encoding="gzip"),
        ),
    ],
    ids=["literal", "white-space", "error", "gzip-bomb"],
)
def test_endless_bodies_end_in_bounded_memory(
    script: Callable[[socket.socket, Seen], None],
) -> None:
    with asking(script) as (ontology, _), peak_memory() as peak:
        with pytest.raises(QueryError):
            ontology.select(QUERY, timeout=60.0)
        assert peak() < 60e6


def test_endless_graphs_stop_at_the_limit() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/n-triples\r\n\r\n"
    lines = b"".join(b"<http://e/%d> <http://e/p> <http://e/o> .\n" % i for i in range(200))
    with asking(endless(head, lines)) as (ontology, _):
        rows = ontology.select("CONSTRUCT { ?s ?p ?o } { ?s ?p ?o }", limit=50)
        assert (len(rows), rows.truncated) == (50, True)
        # The same statements over and over are few statements, and many bytes.
        with pytest.raises(QueryError, match="larger than 64 MB"):
            ontology.select("CONSTRUCT { ?s ?p ?o } { ?s ?p ?o }", limit=500, timeout=60.0)


JSON, XML = "sparql-results+json", "sparql-results+xml"
XML_HEAD = (
    b'<?xml version="1.0"?><sparql xmlns="http://www.w3.org/2005/sparql-results#"><head>'
    b'<variable name="x"/></head><results><result><binding name="x">'
)
RDF_XML_HEAD = (
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:e="http://e/">'
)
IRI = b"<http://e/a> "
JSON_IRI = b'{"type":"uri","value":"http://e/}"}'
XML_IRI = b"<uri>http://e/a</uri>"
GRAPH = "CONSTRUCT { ?s ?p ?o } { ?s ?p ?o }"


@pytest.mark.parametrize(
    ("kind", "head", "opening", "inner", "closing"),
    [
        (
            JSON,
            ROWS_HEAD + b'{"x":',
            b'{"type":"triple","value":{"subject":%s,"predicate":%s,"object":'
            % (JSON_IRI, JSON_IRI),
            JSON_IRI,
            b"}}",
        ),
        (
            XML,
            XML_HEAD,
            b"<triple><subject>%s</subject><predicate>%s</predicate><object>" % (XML_IRI, XML_IRI),
            XML_IRI,
            b"</object></triple>",
        ),
        ("n-triples", IRI + IRI, b"<<( " + IRI + IRI, IRI, b")>> "),
        ("turtle", IRI + IRI, b"<<(<a> <a> ", IRI, b")>> "),
        (
            "rdf+xml",
            RDF_XML_HEAD,
            b'<rdf:Description rdf:version="1.2" rdf:about="http://e/a">'
            b'<e:p rdf:parseType="Triple">',
            b'<rdf:Description rdf:about="http://e/a"><e:p rdf:resource="http://e/b"/>'
            b"</rdf:Description>",
            b"</e:p></rdf:Description>",
        ),
    ],
)
def test_terms_within_terms_do_not_end_the_process(
    kind: str, head: bytes, opening: bytes, inner: bytes, closing: bytes
) -> None:
    query = QUERY if "results" in kind else GRAPH
    tail = {JSON: b"}]}}", XML: b"</binding></result></results></sparql>"}.get(kind, b" .")
    tail = b"</rdf:RDF>" if kind == "rdf+xml" else tail
    for depth in (3, 5_000):
        body = head + opening * depth + inner + closing * depth + tail
        answer = reply(body, kind=f"application/{kind}" if kind != "turtle" else "text/turtle")
        with asking(sends(answer)) as (ontology, _):
            if depth == 3:
                assert "http://e/" in str(ontology.select(query, timeout=60.0).rows)
            else:
                with pytest.raises(QueryError, match=r"nests terms too deep|larger than 1 MB"):
                    ontology.select(query, timeout=60.0)


def test_strings_do_not_hide_how_deep_objects_lie() -> None:
    hiding = rb'{"a\"}}":"}}\\","b":'
    for size in (1, 7, 4096):
        body = ROWS_HEAD + b'{"x":' + hiding * 1000
        pieces = [body[i : i + size] for i in range(0, len(body), size)]
        head = OPEN_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
        with (
            asking(sends(head + b"".join(map(chunked, pieces)))) as (ontology, _),
            pytest.raises(QueryError, match=r"too deep|malformed"),
        ):
            ontology.select(QUERY, timeout=60.0)


def test_entities_of_xml_are_not_put_in() -> None:
    bomb = b"".join(b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(7))
    body = (
        b'<!DocType x [<!ENTITY a "xxxxxxxxxx">'
        + bomb
        + b"]>"
        + RDF_XML_HEAD
        + b'<rdf:Description rdf:about="http://e/a"><e:p>&h;</e:p></rdf:Description></rdf:RDF>'
    )
    with (
        asking(sends(reply(body, kind="application/rdf+xml"))) as (ontology, _),
        pytest.raises(QueryError, match="document type"),
    ):
        ontology.select(GRAPH)


def test_rows_that_come_before_their_columns_end_in_bounded_memory() -> None:
    script = endless(OPEN_HEAD + b'\r\n{"results":{"bindings":[', ONE_ROW * 1000)
    with asking(script) as (ontology, _), pytest.raises(QueryError, match="a row too long"):
        ontology.select(QUERY, timeout=60.0)


def test_xml_is_known_by_more_than_its_first_byte() -> None:
    body = XML_HEAD + XML_IRI + b"</binding></result></results></sparql>"

    def script(connection: socket.socket, _: Seen) -> None:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head + b"".join(chunked(body[i : i + 1]) for i in range(len(body))))
        connection.sendall(b"0\r\n\r\n")

    with asking(script) as (ontology, _):
        assert ontology.select(QUERY).rows == [{"x": ROW}]


def test_nested_turtle_ends_in_bounded_memory() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/turtle\r\n\r\n<http://e/a> <http://e/p> "
    with (
        asking(endless(head, b"((((" * 1000)) as (ontology, _),
        pytest.raises(QueryError, match=r"larger than 1 MB|given up after"),
    ):
        ontology.select("CONSTRUCT { ?s ?p ?o } { ?s ?p ?o }", limit=10**7, timeout=3.0)
