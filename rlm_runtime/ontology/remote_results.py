"""Read the answer of an endpoint: rows or statements, streamed and cut at the limit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, cast

from rlm_runtime.errors import QueryError, QueryTimeout
from rlm_runtime.ontology.protocol import Rows, Term
from rlm_runtime.ontology.query_guard import CheckedQuery
from rlm_runtime.ontology.remote_errors import EndpointFailed
from rlm_runtime.ontology.remote_http import Answer
from rlm_runtime.ontology.remote_request import selected

if TYPE_CHECKING:
    from pyoxigraph import QueryResultsFormat, QuerySolutions, RdfFormat

__all__ = ["read_rows"]

_TermRow = tuple[Term | None, ...]

_STATEMENT = ("subject", "predicate", "object")
_XSD_BOOLEAN = "http://www.w3.org/2001/XMLSchema#boolean"
_LANG_STRING = "http://www.w3.org/1999/02/22-rdf-syntax-ns#langString"
_XSD_STRING = "http://www.w3.org/2001/XMLSchema#string"
# Nested Turtle takes its parser some hundred bytes of memory for each byte.
_MAX_NESTED = 2**20
# What a value that the strict parser refuses may cost to read again.
_MAX_AGAIN = 8 * 2**20
# The parsers keep what they read until a row is whole, at many times its size.
_MAX_ROW = 16 * 2**20
# Terms within terms are read and freed by recursion, which ends the process when it is deep.
_MAX_DEPTH = 500
# Few enough that rows read ahead hold no more terms within terms than that.
_PIECE = 16_384
# In a piece of JSON: a string, or the beginning of one that goes on in the next piece.
_STRING_OF_JSON = re.compile(rb'"(?>[^"\\]+|\\.)*+"' rb'|(")(?>[^"\\]+|\\.)*+\\?\Z', re.S)
_PAGE = re.compile(rb"(?is)(?><!--.*?-->\s*)*+<(?:!doctype\s+html|html|head|body)\b")
_PAIR_OF_JSON = re.compile(rb"\{[^{}]*\}")


def read_rows(answer: Answer, query: CheckedQuery, limit: int, name: str) -> Rows:
    """Read the answer to a query, up to the limit.

    Args:
        answer: A success, its body unread.
        query: What was asked.
        limit: The most rows.
        name: The endpoint, for errors.

    Raises:
        QueryError: It is no answer to such a query, broken, or too large.
        QueryTimeout: The endpoint says that it gave up on the way.
        EndpointFailed: It is no SPARQL at all.
    """
    if answer.status == 206 or answer.headers.get("X-SQL-State"):
        raise QueryTimeout(
            f"The endpoint {name} stopped at a time limit of its own and sent a part of the "
            "results only, which would be wrong without notice. Make the patterns more specific, "
            "add a LIMIT, or ask for less at once."
        )
    try:
        if query.form in ("CONSTRUCT", "DESCRIBE"):
            columns, rows = _STATEMENT, _statements(answer, name)
            taken = list(islice(_distinct(rows), limit + 1))
        else:
            columns, rows = _solutions(answer, query, name)
            taken = list(islice(rows, limit + 1))
    except SyntaxError as error:
        # What it quotes may be the login: the error is told without its cause.
        raise QueryError(
            f"The answer of the endpoint {name} broke off or is malformed "
            f"({answer.told(str(error))}). It may have met a limit of its own on the way: make the "
            "query more specific, or try again."
        ) from None
    except MemoryError as error:
        raise _too_long(name) from error
    truncated = len(taken) > limit or _was_cut(answer, len(taken))
    rows = Rows(columns, tuple(taken[:limit]), query.form, truncated=truncated)
    return _ordered(rows, query, answer, name) if query.form == "SELECT" else rows


def _ordered(rows: Rows, query: CheckedQuery, answer: Answer, name: str) -> Rows:
    """Put the columns into the query's order; an endpoint may send them in any, or others."""
    wanted = selected(query.text)
    if wanted is None:
        place = {name: i for i, name in enumerate(query.variables)}
        wanted = tuple(sorted(rows.columns, key=lambda column: place.get(column, len(place))))
    if wanted == rows.columns:
        return rows
    if rows.terms and not set(wanted) & set(rows.columns):
        raise QueryError(
            f"The endpoint {name} answered with the columns "
            f"{answer.told(', '.join(rows.columns))[:90]} "
            f"instead of {', '.join(wanted)[:90]}. Try again; tell those who run it if it stays so."
        )
    at = [rows.columns.index(column) if column in rows.columns else None for column in wanted]
    terms = tuple(tuple(None if i is None else row[i] for i in at) for row in rows.terms)
    return replace(rows, columns=wanted, terms=terms)


def _distinct(rows: Iterator[_TermRow]) -> Iterator[_TermRow]:
    seen: set[_TermRow] = set()
    for row in rows:
        if row not in seen:
            seen.add(row)
            yield row


def _was_cut(answer: Answer, count: int) -> bool:
    """Say whether the endpoint cut the rows at a limit of its own, as Virtuoso does."""
    most = answer.headers.get("X-SPARQL-MaxRows", "")
    return most.strip().isdecimal() and count >= int(most.strip()[:12])


def _too_long(name: str) -> QueryError:
    return QueryError(
        f"The answer of the endpoint {name} holds a text or a row too long to be read. Leave long "
        "texts out, as with STRLEN in a FILTER."
    )


def _solutions(
    answer: Answer, query: CheckedQuery, name: str
) -> tuple[tuple[str, ...], Iterator[_TermRow]]:
    from pyoxigraph import QueryBoolean, QueryResultsFormat, parse_query_results

    format = _results_format(answer, name)
    is_json = format == QueryResultsFormat.JSON
    source = _Source(answer, name, b"" if is_json else b"triple", is_json=is_json)
    result = parse_query_results(cast(IO[bytes], source), format)
    if isinstance(result, QueryBoolean) != (query.form == "ASK"):
        raise QueryError(
            f"The endpoint {name} answered the {query.form} with results of another form. "
            "Try the query again, or another one."
        )
    if isinstance(result, QueryBoolean):
        word = "true" if result else "false"
        return ("ask",), iter([(Term(word, "literal", _XSD_BOOLEAN),)])
    columns = tuple(variable.value for variable in result.variables)
    return columns, _rows(result, columns, source)


def _rows(result: QuerySolutions, columns: tuple[str, ...], source: _Source) -> Iterator[_TermRow]:
    from rlm_runtime.ontology.query_run import to_term

    given, places = 0, range(len(columns))
    try:
        for row in result:
            source.row_is_whole()
            yield tuple(to_term(row[i]) if row[i] is not None else None for i in places)
            given += 1
    except SyntaxError as error:
        # Some endpoints write IRIs, language tags and blank nodes as no standard allows.
        if not str(error).startswith("Invalid ") or not source.is_json:
            raise
        yield from islice(_tolerant(source.whole(), columns), given, None)
    finally:
        # It must be freed on this thread, and an exception keeps its frames until some other.
        del result


class _Source:
    """The body as the parser reads it: rows of bounded size and depth. It remembers short JSON.

    Args:
        answer: Its body is read.
        name: The endpoint, for errors.
        nests: What each term within a term is written with, in formats other than JSON.
        is_json: Whether it is JSON.
    """

    def __init__(self, answer: Answer, name: str, nests: bytes, *, is_json: bool = False) -> None:
        self._body = answer.body
        self._name = name
        self._nests = nests
        self._waiting = self._depth = 0
        self._before = b""
        self._read: list[bytes] = []
        self._size = 0
        self.is_json = is_json

    def row_is_whole(self) -> None:
        """Count anew: the parser has given what it read."""
        self._waiting = 0
        if not self.is_json:
            self._depth = 0

    def read(self, size: int = -1) -> bytes:
        piece = self._body.read(min(size, _PIECE) if size > 0 else _PIECE)
        self._size += len(piece)
        self._waiting += len(piece)
        if self._waiting > _MAX_ROW:
            raise _too_long(self._name)
        deepest = self._deepest_of_json(piece) if self.is_json else self._most_of_others(piece)
        if deepest > _MAX_DEPTH:
            raise QueryError(
                f"The answer of the endpoint {self._name} nests terms too deep to be read. Select "
                "their parts, as with SUBJECT and OBJECT."
            )
        if self.is_json and self._size <= _MAX_AGAIN:
            self._read.append(piece)
        else:
            self._read.clear()
        return piece

    def _most_of_others(self, piece: bytes) -> int:
        """Count what nests terms since the last row, which is as deep as they can be."""
        seen = self._before + piece
        if b"<!doctype" in seen.lower():
            raise SyntaxError("it has a document type, whose entities could fill all memory")
        self._depth += seen.count(self._nests) - self._before.count(self._nests)
        self._before = seen[-8:]
        return self._depth

    def _deepest_of_json(self, piece: bytes) -> int:
        """Follow how deep objects lie within objects; no string can pretend to close one."""
        seen = self._before + piece
        bare = _STRING_OF_JSON.sub(rb"\1", seen)
        self._before = b""
        if bare.endswith(b'"'):
            escapes = len(seen) - len(seen.rstrip(b"\\"))
            self._before = b'"\\' if escapes % 2 else b'"'
        # Rows are closed again after some of these rounds; what attacks is not.
        for _ in range(8):
            bare, closed = _PAIR_OF_JSON.subn(b"", bare)
            if not closed:
                break
        opened = bare.count(b"{")
        deepest = self._depth + opened
        self._depth = max(0, deepest - bare.count(b"}"))
        return deepest

    def whole(self) -> bytes:
        """Give all of the body, what was read before included."""
        self._body.limit = min(self._body.limit, _MAX_AGAIN)
        while self.read():
            continue
        if self._size > _MAX_AGAIN:
            raise SyntaxError(f"a value is not valid, and it is longer than {_MAX_AGAIN} bytes")
        return b"".join(self._read)


def _tolerant(text: bytes, columns: tuple[str, ...]) -> Iterator[_TermRow]:
    """Read the rows of SPARQL JSON, whatever its values look like."""
    try:
        bindings = json.loads(text)["results"]["bindings"]
        for binding in bindings:
            yield tuple(_tolerant_term(binding.get(column)) for column in columns)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SyntaxError(f"{type(error).__name__} in the results") from error


def _tolerant_term(cell: dict[str, Any] | None) -> Term | None:
    if cell is None:
        return None
    value, kind = str(cell["value"]), cell["type"]
    if kind == "uri":
        # Virtuoso's blank nodes come as IRIs as well.
        return Term(value, "bnode" if value.startswith("nodeID:") else "iri")
    if kind == "bnode":
        return Term(value.removeprefix("nodeID://"), "bnode")
    language = str(cell.get("xml:lang") or "").lower()
    datatype = str(cell.get("datatype") or (_LANG_STRING if language else _XSD_STRING))
    return Term(value, "literal", datatype, language)


def _statements(answer: Answer, name: str) -> Iterator[_TermRow]:
    from pyoxigraph import RdfFormat, parse

    from rlm_runtime.ontology.query_run import to_term

    format = _graph_format(answer, name)
    if format not in (RdfFormat.N_TRIPLES, RdfFormat.N_QUADS):
        answer.body.limit = min(answer.body.limit, _MAX_NESTED)
    base = answer.place.url.partition("?")[0]
    nests = b"parseType" if format == RdfFormat.RDF_XML else b"<<"
    source = _Source(answer, name, nests)
    quads = parse(cast(IO[bytes], source), format, base_iri=base, lenient=True)
    try:
        for quad in quads:
            source.row_is_whole()
            yield to_term(quad.subject), to_term(quad.predicate), to_term(quad.object)
    finally:
        del quads


def _results_format(answer: Answer, name: str) -> QueryResultsFormat:
    from pyoxigraph import QueryResultsFormat

    sent = _media_type(answer)
    first = answer.body.first()
    if not _looks_like_page(first) and not sent.startswith(("text/csv", "text/tab")):
        # What it holds decides: many endpoints call their results application/xml or text/plain.
        if first.startswith(b"{"):
            return QueryResultsFormat.JSON
        if first.startswith((b"<?xml", b"<sparql", b"\xef\xbb\xbf<")):
            return QueryResultsFormat.XML
    raise _no_sparql(answer, name, sent, "results as JSON or XML")


def _graph_format(answer: Answer, name: str) -> RdfFormat:
    from pyoxigraph import RdfFormat

    sent = _media_type(answer)
    first = answer.body.first()
    if not _looks_like_page(first):
        plain = {"text/plain": RdfFormat.N_TRIPLES, "application/xml": RdfFormat.RDF_XML}
        known = plain.get(sent) or RdfFormat.from_media_type(sent)
        # JSON-LD is not asked for: it is read whole, and may name contexts elsewhere.
        if known is not None and known != RdfFormat.JSON_LD:
            return known
    raise _no_sparql(answer, name, sent, "a graph as N-Triples, Turtle or RDF/XML")


def _media_type(answer: Answer) -> str:
    return (answer.headers.get("Content-Type") or "").partition(";")[0].strip().lower()


def _looks_like_page(first: bytes) -> bool:
    return _PAGE.match(first) is not None


def _no_sparql(answer: Answer, name: str, sent: str, wanted: str) -> EndpointFailed:
    head = answer.body.head().decode("utf-8", "replace")
    title = re.search(r"(?is)<title[^>]*>(.*?)</title", head)
    shown = answer.told(title[1] if title else head)
    return EndpointFailed(
        f"The endpoint {name} answered with {answer.told(sent) or 'an unknown type'} instead of "
        f"{wanted}{f': {shown}' if shown else ''}. Check that this is the address of a SPARQL "
        "endpoint, as in https://host/sparql, and not of a page about it."
    )
