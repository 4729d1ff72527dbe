"""Turn a checked query into an HTTP request, with SPARQLWrapper."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from rlm_runtime.ontology.protocol import QueryForm
from rlm_runtime.ontology.query_guard import CheckedQuery
from rlm_runtime.ontology.remote_address import Place
from rlm_runtime.ontology.remote_http import Request
from rlm_runtime.ontology.sparql_tokens import tokens

__all__ = ["LEGAL_IRI", "Dataset", "bounded_text", "make_request", "selected"]

LEGAL_IRI = re.compile(r'[A-Za-z][A-Za-z0-9+.\-]*:[^\x00-\x20<>"{}|\\^`\ud800-\udfff]*')
"""An IRI that a query can name; endpoints hold others, and what looks like a piece of a query."""

# Servers refuse longer lines, some of them with a message that does not say so.
_MAX_GET = 2_000
_RESULTS = "application/sparql-results+json, application/sparql-results+xml;q=0.9"
# Lines are parsed in bounded memory, nested Turtle is not.
_GRAPH = "application/n-triples, text/turtle;q=0.5, application/rdf+xml;q=0.4"


@dataclass(frozen=True)
class Dataset:
    """The graphs that an endpoint is asked about; none means its own choice.

    Attributes:
        default: IRIs of graphs whose statements make the default graph.
        named: IRIs of graphs that ``GRAPH`` can name.
    """

    default: tuple[str, ...] = ()
    named: tuple[str, ...] = ()


def bounded_text(query: CheckedQuery, limit: int) -> str:
    """Give the text to send: prefixes declared and, if it has none, a LIMIT.

    The endpoint need not make rows that are not read. A CONSTRUCT has as many statements as its
    rows have, which LIMIT does not count; it is cut while it is read.

    Args:
        query: A query that passed the guard.
        limit: The most rows that are wanted; one more shows that there are more.

    Example:
        >>> checked = CheckedQuery("SELECT * { ?s a ex:A } # all", "SELECT", {"ex": "http://e/"},
        ...                        ("s",), True)
        >>> print(bounded_text(checked, 5))
        PREFIX ex: <http://e/> SELECT * { ?s a ex:A } # all
        LIMIT 6
    """
    declared = "".join(f"PREFIX {name}: <{iri}> " for name, iri in query.prefixes.items())
    # On one line, so that the line numbers of an endpoint's errors are those of the query.
    text = f"{declared}{query.text}"
    if query.form == "SELECT" and _takes_limit(query.text):
        return f"{text}\nLIMIT {limit + 1}"
    return text


def _takes_limit(text: str) -> bool:
    """Say whether LIMIT can be put behind a SELECT: it has none, and no VALUES at its end."""
    depth = 0
    for token in tokens(text):
        if token.kind == "mark":
            depth += (token.text in ("{", "(", "[")) - (token.text in ("}", ")", "]"))
        elif token.kind == "word" and depth == 0 and token.text.upper() in ("LIMIT", "VALUES"):
            return False
    return depth == 0


def selected(text: str) -> tuple[str, ...] | None:
    """Give the columns that a SELECT names, or None when it names none, as with ``*``.

    Example:
        >>> selected("PREFIX e: <http://e/> SELECT DISTINCT ?a (MAX(?b) AS ?c) { ?a e:p ?b }")
        ('a', 'c')
    """
    found: list[str] = []
    depth, begun = 0, False
    before = ""
    for kind, word, _ in tokens(text):
        if kind == "mark":
            depth += (word == "(") - (word == ")")
            if word == "{" or (word == "*" and not depth):
                break
        upper = word.upper() if kind == "word" else ""
        if upper in ("WHERE", "FROM"):
            break
        begun |= upper == "SELECT"
        if kind == "var" and begun and (depth == 0 or before == "AS"):
            found.append(word[1:])
        before = upper
    return tuple(found) or None


def make_request(
    place: Place, text: str, form: QueryForm, dataset: Dataset, agent: str, *, always_post: bool
) -> Request:
    """Make the request for a query: GET when it is short, else POST.

    Args:
        place: The endpoint.
        text: The query as it is sent.
        form: Its form.
        dataset: The graphs to ask.
        agent: How the program calls itself.
        always_post: Whether the endpoint takes no GET.
    """
    from SPARQLWrapper import GET, JSON, N3, POST, SPARQLWrapper

    base, _, given = place.url.partition("?")
    is_graph = form in ("CONSTRUCT", "DESCRIBE")
    wrapper = SPARQLWrapper(base, returnFormat=N3 if is_graph else JSON, agent=agent)
    wrapper.setOnlyConneg(True)
    # Its own reading of the form takes time that grows with the square of long prologues.
    wrapper.queryString = text
    wrapper.queryType = form
    for name, graphs in (
        ("default-graph-uri", dataset.default),
        ("named-graph-uri", dataset.named),
    ):
        for graph in graphs:
            wrapper.addParameter(name, graph)
    wrapper.addCustomHttpHeader("Accept", _GRAPH if is_graph else _RESULTS)
    wrapper.addCustomHttpHeader("Accept-Encoding", "gzip")
    wrapper.setMethod(POST)
    if given:
        wrapper.endpoint = place.url
    made = wrapper._createRequest()
    body = made.data if isinstance(made.data, bytes) else b""
    if not always_post and len(place.url) + len(body) < _MAX_GET:
        # SPARQLWrapper would put a second question mark into an address that has one.
        wrapper.endpoint = base
        for name, value in parse_qsl(given, keep_blank_values=True):
            wrapper.addParameter(name, value)
        wrapper.setMethod(GET)
        made, body = wrapper._createRequest(), None
    parts = urlsplit(made.full_url)
    target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    headers = {name: str(value) for name, value in made.header_items()}
    return Request(Place(place.origin, target), made.get_method(), headers, body)
