"""Let through only queries that read, and read nothing but the ontology itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import cast

from rlm_runtime.errors import QueryError, QueryRejected
from rlm_runtime.ontology.prefixes import unknown_prefix
from rlm_runtime.ontology.protocol import QueryForm
from rlm_runtime.ontology.sparql_tokens import Token, excerpt, position, tokens

__all__ = ["CheckedQuery", "check_query"]

_FORMS = frozenset({"SELECT", "ASK", "CONSTRUCT", "DESCRIBE"})
_UPDATES = frozenset(
    {"INSERT", "DELETE", "LOAD", "CLEAR", "DROP", "CREATE", "ADD", "MOVE", "COPY", "WITH"}
)
# Engines with parsers that need no space between tokens read `SERVICE` off the front of
# `SERVICEex:sparql`, of `service:sparql`, and even of `trueSERVICE`.
_HIDDEN_SERVICE = re.compile(r"(?:true|false)?service", re.I)
_HIDDEN_FROM = re.compile(r"from", re.I)
_CODEPOINT = re.compile(r"\\u([0-9A-Fa-f]{4})|\\U([0-9A-Fa-f]{8})")
# rdflib reads `\U0027` and `\u00000027` as well.
_LENIENT_CODEPOINT = re.compile(r"\\u([0-9A-Fa-f]{4}(?:[0-9A-Fa-f]{4})?)", re.I)
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")

# Kinds of tokens after which `<` can be a comparison.
_VALUES = frozenset({"var", "name", "iri", "string", "number", "bnode", "tag"})

_OPENING = frozenset({"{", "(", "[", "<<", "<<("})
_CLOSING = frozenset({"}", ")", "]", ">>", ")>>"})

# Parsers and planners recurse: deeper or longer queries have ended the whole process.
_MAX_DEPTH = 100
_MAX_TOKENS = 4_000
_MAX_CHARACTERS = 1_000_000


@dataclass(frozen=True)
class CheckedQuery:
    """A query that may run.

    Attributes:
        text: As it was given.
        form: Its form.
        prefixes: The prefixes that it uses and does not declare, with their namespaces.
        variables: Its variables in order of appearance, without ``?``.
        selects_all: Whether it says ``SELECT *``.
        has_dataset: Whether it says FROM which graphs to read.
    """

    text: str
    form: QueryForm
    prefixes: Mapping[str, str]
    variables: tuple[str, ...]
    selects_all: bool
    has_dataset: bool = False


def check_query(
    text: str,
    prefixes: Mapping[str, str],
    has_graph: Callable[[str], bool],
    services: Collection[str] = (),
) -> CheckedQuery:
    """Check that a query only reads, and reads nothing but the ontology.

    It looks at tokens: words in strings, comments, IRIs and names do no harm. Only where the
    letters "service" or "from" occur at all does it refuse comparisons that could be read in two
    ways. Code point escapes, which SPARQL 1.1 § 19.2 resolves before anything else and some
    engines later or in ways of their own, and lone carriage returns, which do not end a comment
    for all, are read in each way, and all must pass. This is no parser: a query that passes can
    still have syntax errors.

    Args:
        text: The query.
        prefixes: Prefix to namespace, for prefixes that the query does not declare.
        has_graph: Says whether a graph, by its IRI in full, is part of the ontology.
        services: The endpoints that SERVICE may name, by their IRIs in full.

    Raises:
        QueryRejected: An update form, SERVICE, a foreign graph in FROM, or too deep or too long.
        QueryError: It cannot be cut into tokens, begins with no query form, or has a prefix
            that nobody declares.

    Example:
        >>> check_query("ASK { ?service ex:insert 'LOAD' }", {"ex": "http://e/"}, bool).form
        'ASK'
    """
    if len(text) > _MAX_CHARACTERS:
        raise QueryRejected(
            f"The query is {len(text)} characters long, more than {_MAX_CHARACTERS}. Shorten it."
        )
    broken: QueryError | None = None
    for reading in _other_readings(text):
        try:
            _Check(reading, prefixes, has_graph, services).run()
        except QueryRejected:
            raise
        except QueryError as error:
            broken = error
    checked = _Check(text, prefixes, has_graph, services).run()
    if broken is not None:
        raise QueryRejected(
            "The code point escapes or lone carriage returns of the query change its structure. "
            "Write the characters themselves, and line feeds."
        ) from broken
    return checked


def _other_readings(text: str) -> set[str]:
    """Give what else engines may read, by how they take escapes and carriage returns."""
    readings = {
        text,
        _CODEPOINT.sub(lambda m: _char(m[1] or m[2]), text),
        _LENIENT_CODEPOINT.sub(lambda m: _char(m[1]), text),
    }
    return (readings | {reading.replace("\r", " ") for reading in readings}) - {text}


def _char(digits: str) -> str:
    number = int(digits, 16)
    # A lone surrogate or a number beyond Unicode is no character; nothing may hide behind it.
    return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else "\x00"


class _Size:
    """Counts how deep and how long a query is.

    Lists of VALUES and arguments are not counted: they are flat data, of any length, over
    which no engine recurses.
    """

    def __init__(self, check: _Check) -> None:
        self.brackets: list[str] = []
        self.tokens = 0
        self._check = check
        self._values_depth: int | None = None
        self._after_comma = False

    @property
    def in_values(self) -> bool:
        """Whether the walk is inside a VALUES block."""
        return self._values_depth is not None

    def add(self, token: Token) -> None:
        kind, text, _ = token
        in_arguments = self.brackets[-1:] == ["("]
        listed = in_arguments and (text == "," or self._after_comma)
        self._after_comma = text == ","
        if self._values_depth is None and not listed:
            self.tokens += 1
        if kind == "word" and self._values_depth is None and text.upper() == "VALUES":
            self._values_depth = len(self.brackets)
        if kind != "mark":
            return
        if text in _OPENING:
            self.brackets.append(text)
            if len(self.brackets) > _MAX_DEPTH:
                raise self._check.rejected(token, f"it is nested deeper than {_MAX_DEPTH}")
        elif text in _CLOSING and self.brackets:
            self.brackets.pop()
            if text == "}" and self._values_depth == len(self.brackets):
                self._values_depth = None


class _Check:
    """One walk over the tokens of one query."""

    def __init__(
        self,
        text: str,
        prefixes: Mapping[str, str],
        has_graph: Callable[[str], bool],
        services: Collection[str],
    ) -> None:
        self.text = text
        self.tokens = tokens(text)
        self.known = prefixes
        self.has_graph = has_graph
        self.services = services
        self.declared: dict[str, str] = {}
        self._start = 0
        self.base: str | None = None
        self._has_dataset = False

    def run(self) -> CheckedQuery:
        self._start = at = self._prologue()
        form = self._form(at)
        variables: dict[str, None] = {}
        used: dict[str, str] = {}
        size = _Size(self)
        # In upper case, as some engines compare: it makes an S of ſ as well.
        capitals = self.text.upper()
        may_hide = "SERVICE" in capitals or "FROM" in capitals
        for i in range(at, len(self.tokens)):
            kind, text, _ = token = self.tokens[i]
            if may_hide and i:
                self._refuse_comparison_as_iri(token, self.tokens[i - 1], size)
            size.add(token)
            if kind == "word":
                word = text.upper()
                if word == "SERVICE" and self.services:
                    self._service(i)
                else:
                    self._refuse_words(token, word)
                if word == "FROM":
                    self._dataset(i)
            elif kind == "var":
                variables[text[1:]] = None
            elif kind == "name":
                self._refuse_glued(i, len(size.brackets))
                prefix = text.partition(":")[0]
                if prefix not in self.declared and prefix not in used:
                    used[prefix] = self._namespace(prefix)
        if size.tokens > _MAX_TOKENS:
            raise QueryRejected(
                f"The query has more than {_MAX_TOKENS} tokens outside lists of VALUES and IN. "
                "Split it."
            )
        return CheckedQuery(
            self.text, form, used, tuple(variables), self._selects_all(at), self._has_dataset
        )

    def _selects_all(self, at: int) -> bool:
        head = [token.text.upper() for token in self.tokens[at : at + 3]]
        return head[:2] == ["SELECT", "*"] or head in (
            ["SELECT", "DISTINCT", "*"],
            ["SELECT", "REDUCED", "*"],
        )

    def _prologue(self) -> int:
        """Take in BASE and PREFIX, and give the index of the first token after them."""
        at = 0
        while at < len(self.tokens) and self.tokens[at].kind == "word":
            word = self.tokens[at].text.upper()
            rest = self.tokens[at + 1 : at + 3]
            if word == "BASE" and rest and rest[0].kind == "iri":
                self.base = rest[0].text[1:-1]
                at += 2
            elif word == "PREFIX" and len(rest) == 2 and rest[1].kind == "iri":
                self.declared[rest[0].text.removesuffix(":")] = rest[1].text[1:-1]
                at += 3
            else:
                break
        return at

    def _form(self, at: int) -> QueryForm:
        if at >= len(self.tokens):
            raise QueryError(
                "The query is empty. Begin it with SELECT, ASK, CONSTRUCT or DESCRIBE."
            )
        token = self.tokens[at]
        word = token.text.upper()
        if token.kind == "word" and word in _FORMS:
            return cast(QueryForm, word)
        self._refuse_words(token, word)
        line, column = position(self.text, token.start)
        raise QueryError(
            f"SPARQL syntax error at line {line}, column {column}: {token.text[:40]!r} begins no "
            "query. Begin it with SELECT, ASK, CONSTRUCT or DESCRIBE, after PREFIX lines if any.\n"
            f"{excerpt(self.text, token.start)}"
        )

    def _refuse_words(self, token: Token, word: str) -> None:
        if word in _UPDATES:
            raise self.rejected(token, f"{word} would change data, and only reading is allowed")
        if "SERVICE" in word:
            raise self.rejected(token, "SERVICE would send data to another endpoint")
        if word.startswith("FROM") and word != "FROM":
            raise self.rejected(token, "there is no space after FROM")

    def _refuse_glued(self, i: int, depth: int) -> None:
        """Refuse a prefixed name that an engine could read as a keyword and a name."""
        token = self.tokens[i]
        following = self.tokens[i + 1].text if i + 1 < len(self.tokens) else ""
        preceding = self.tokens[i - 1].text.upper() if i else ""
        # SERVICE is legal only inside a group, and the group it sends must follow its endpoint.
        if (
            depth
            and following == "{"
            and preceding != "GRAPH"
            and _HIDDEN_SERVICE.match(token.text)
        ):
            raise self.rejected(
                token,
                f"{token.text} before '{{' can be read as SERVICE; "
                "put a full stop before '{' if it is not",
            )
        if (
            not depth
            and self.tokens[self._start].text.upper() != "DESCRIBE"
            and _HIDDEN_FROM.match(token.text)
        ):
            raise self.rejected(token, f"{token.text} can be read as FROM")

    def _refuse_comparison_as_iri(self, token: Token, before: Token, size: _Size) -> None:
        """Refuse `1<2 … >` in an expression: here an IRI, to an engine's parser a comparison.

        Behind a value the parser reads on after `<`, and what we take for the inside of an IRI
        (or for a string or a comment behind it) could be a SERVICE or FROM.
        """
        starts_iri = token.kind == "iri" or token.text in ("<<", "<<(")
        in_expression = not size.in_values and size.brackets[-1:] in (["("], ["<<"])
        after_value = before.kind in _VALUES or (
            before.text in (")", "}", "]") or before.text.lower() in ("true", "false")
        )
        if starts_iri and in_expression and after_value:
            raise self.rejected(
                token, "a `<` stands directly before what it compares; put spaces around it"
            )

    def _namespace(self, prefix: str) -> str:
        try:
            return self.known[prefix]
        except KeyError:
            raise unknown_prefix(prefix, {**self.known, **self.declared}) from None

    def _dataset(self, i: int) -> None:
        """Check the graph after FROM or FROM NAMED."""
        self._has_dataset = True
        rest = self.tokens[i + 1 : i + 3]
        if rest and rest[0].text.upper() == "NAMED":
            rest = rest[1:]
        if not rest or rest[0].kind not in ("iri", "name"):
            raise self.rejected(self.tokens[i], "FROM is not followed by the IRI of a graph")
        graph = rest[0]
        if graph.kind == "iri":
            iri = _CODEPOINT.sub(lambda m: _char(m[1] or m[2]), graph.text[1:-1])
        else:
            prefix, _, local = graph.text.partition(":")
            namespace = self.declared.get(prefix) or self._namespace(prefix)
            iri = namespace + re.sub(r"\\(.)", r"\1", local)
        if not _ABSOLUTE.match(iri):
            raise self.rejected(graph, "the graph after FROM must have its IRI in full")
        if not self.has_graph(iri):
            raise self.rejected(
                graph, f"the ontology has no graph <{iri}>; leave FROM out to ask all of it"
            )

    def _service(self, i: int) -> None:
        """Check the endpoint after SERVICE or SERVICE SILENT."""
        rest = self.tokens[i + 1 : i + 3]
        if rest and rest[0].text.upper() == "SILENT":
            rest = rest[1:]
        # An IRI written out, so that no two readers can take it for two endpoints.
        if not rest or rest[0].kind != "iri" or rest[0].text[1:-1] not in self.services:
            named = ", ".join(f"<{iri}>" for iri in sorted(self.services))
            raise self.rejected(self.tokens[i], f"SERVICE may name no other endpoint than {named}")

    def rejected(self, token: Token, reason: str) -> QueryRejected:
        line, column = position(self.text, token.start)
        return QueryRejected(
            f"The query was refused at line {line}, column {column}: {reason}.\n"
            f"{excerpt(self.text, token.start)}"
        )
