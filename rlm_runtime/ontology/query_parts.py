"""Take a query apart: the IRIs it names and the triple patterns that must match.

It reads the tokens of queries that an engine has accepted. A SPARQL parser in Python would do,
but rdflib's is not safe to use first from two threads at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rlm_runtime.errors import QueryError
from rlm_runtime.ontology.prefixes import PrefixMap
from rlm_runtime.ontology.sparql_tokens import Token, closing, tokens
from rlm_runtime.ontology.vocabulary import RDF

__all__ = ["RDF_TYPE", "Pattern", "QueryParts", "query_parts"]

RDF_TYPE = f"<{RDF}type>"
"""The predicate written ``a``, as it stands in patterns."""


@dataclass(frozen=True)
class Pattern:
    """One triple pattern, each part as SPARQL text with full IRIs.

    Example:
        >>> Pattern("?x", "<http://e/p>", "?y").text
        '?x <http://e/p> ?y .'
    """

    subject: str
    predicate: str
    object: str

    @property
    def text(self) -> str:
        """The pattern as SPARQL."""
        return f"{self.subject} {self.predicate} {self.object} ."


@dataclass(frozen=True)
class QueryParts:
    """The parts of a query.

    Attributes:
        iris: IRIs that its patterns, VALUES and filters name, in full, without functions and
            datatypes.
        patterns: The triple patterns outside OPTIONAL, UNION, MINUS, GRAPH, FILTER: each of them
            must match. None when they are beyond this reader.
    """

    iris: tuple[str, ...]
    patterns: tuple[Pattern, ...]


class _Beyond(Exception):
    """The query has a form that this reader does not know."""


def query_parts(query: str, prefixes: Mapping[str, str]) -> QueryParts:
    """Take a query apart.

    Args:
        query: A query that is known to run.
        prefixes: Prefix to namespace, for names whose prefix it does not declare.

    Returns:
        Its parts; without patterns, or empty, where it is beyond this reader.

    Example:
        >>> names = {"ex": "http://e/"}
        >>> parts = query_parts("SELECT * { ?x a ex:A OPTIONAL { ?x ex:p ?y } }", names)
        >>> parts.iris, [pattern.object for pattern in parts.patterns]
        (('http://e/A', 'http://e/p'), ['<http://e/A>'])
    """
    try:
        reader = _Reader(query, prefixes)
        iris = reader.iris()
    except (QueryError, _Beyond):
        return QueryParts((), ())
    try:
        return QueryParts(iris, reader.patterns())
    except _Beyond:
        return QueryParts(iris, ())


class _Reader:
    """One walk over the tokens of one query."""

    def __init__(self, query: str, prefixes: Mapping[str, str]) -> None:
        self._tokens = tokens(query)
        self._at = 0
        self._blank_nodes = 0
        declared: dict[str, str] = {}
        while self._word() in ("PREFIX", "BASE"):
            if self._word() == "BASE":
                raise _Beyond
            declared[self._peek(1).text.removesuffix(":")] = self._peek(2).text[1:-1]
            self._at += 3
        self._names = PrefixMap({**prefixes, **declared})
        self._describes = self._word() == "DESCRIBE"

    def iris(self) -> tuple[str, ...]:
        start = self._at if self._describes else self._where()
        found: dict[str, None] = {}
        for i in range(start, len(self._tokens)):
            before = self._tokens[i - 1].text.upper() if i else ""
            after = self._tokens[i + 1].text if i + 1 < len(self._tokens) else ""
            is_iri = self._tokens[i].kind in ("iri", "name")
            if is_iri and after != "(" and before not in ("^^", "FROM", "NAMED"):
                found.setdefault(self._iri(self._tokens[i]))
        return tuple(found)

    def patterns(self) -> tuple[Pattern, ...]:
        self._at = self._where()
        return tuple(dict.fromkeys(self._group())) if self._at < len(self._tokens) else ()

    def _where(self) -> int:
        """Find the brace that opens the pattern, behind a template and the columns."""
        at = self._at
        while at < len(self._tokens):
            text = self._tokens[at].text
            if text == "{" and self._tokens[at - 1].text.upper() != "CONSTRUCT":
                break
            at = self._closing(at) + 1 if text in ("{", "(") else at + 1
        return at

    def _group(self) -> list[Pattern]:
        """Read ``{ … }`` and give the patterns that must match."""
        self._expect("{")
        if self._word() == "SELECT":
            end = self._closing(self._at - 1)
            self._at = self._where()
            found = self._group()
            self._at = end + 1
            return found
        found = []
        while (text := self._peek().text) != "}":
            word = self._word()
            if text == ".":
                self._at += 1
            elif text == "{":
                found += self._group_or_union()
            elif word in ("OPTIONAL", "MINUS", "GRAPH"):
                self._at += 2 if word == "GRAPH" else 1
                self._skip("{")
            elif word in ("FILTER", "BIND", "VALUES"):
                self._skip_condition()
            elif word:
                raise _Beyond
            else:
                found += self._statements()
        self._at += 1
        return found

    def _group_or_union(self) -> list[Pattern]:
        found = self._group()
        is_union = self._word() == "UNION"
        while self._word() == "UNION":
            self._at += 1
            self._skip("{")
        return [] if is_union else found

    def _skip_condition(self) -> None:
        """Skip FILTER, BIND or VALUES: words, names and variables up to the last bracket."""
        is_values = self._word() == "VALUES"
        self._at += 1
        while self._peek().text not in ("(", "{"):
            self._at += 1
        if is_values and self._peek().text == "(":
            self._skip("(")
        self._skip(self._peek().text)

    def _statements(self) -> list[Pattern]:
        found: list[Pattern] = []
        subject = self._node(found)
        if self._peek().text not in (".", "}"):
            self._predicates(subject, found)
        return found

    def _predicates(self, subject: str, found: list[Pattern]) -> None:
        while True:
            path = self._path()
            while True:
                found.append(Pattern(subject, path, self._node(found)))
                if self._peek().text != ",":
                    break
                self._at += 1
            while self._peek().text == ";":
                self._at += 1
            if self._peek().text in (".", "}", "]") or self._tokens[self._at - 1].text != ";":
                return

    def _path(self) -> str:
        if self._peek().kind == "var":
            self._at += 1
            return self._tokens[self._at - 1].text
        parts: list[str] = []
        while True:
            while self._peek().text in ("^", "!"):
                parts.append(self._peek().text)
                self._at += 1
            end = self._closing(self._at) if self._peek().text == "(" else self._at
            parts += [self._in_path(token) for token in self._tokens[self._at : end + 1]]
            self._at = end + 1
            while self._peek().text in ("*", "+", "?"):
                parts.append(self._peek().text)
                self._at += 1
            if self._peek().text not in ("/", "|"):
                return "".join(parts)
            parts.append(self._peek().text)
            self._at += 1

    def _in_path(self, token: Token) -> str:
        if token.kind in ("iri", "name"):
            return f"<{self._iri(token)}>"
        if token.kind == "word" and token.text == "a":
            return RDF_TYPE
        if token.kind != "mark":
            raise _Beyond
        return token.text

    def _node(self, found: list[Pattern]) -> str:
        """Read a subject or object; ``[ … ]`` adds its own patterns."""
        token = self._peek()
        self._at += 1
        if token.kind in ("iri", "name"):
            return f"<{self._iri(token)}>"
        if token.text == "[":
            self._blank_nodes += 1
            name = f"_:part{self._blank_nodes}"
            if self._peek().text != "]":
                self._predicates(name, found)
            self._expect("]")
            return name
        if token.kind == "string":
            return token.text + self._literal_end()
        if token.text in ("+", "-"):
            return token.text + self._node(found)
        is_boolean = token.kind == "word" and token.text.lower() in ("true", "false")
        if is_boolean or token.kind in ("var", "bnode", "number"):
            # The reader of numbers takes in a full stop: "5." ends a statement.
            return token.text.removesuffix(".")
        raise _Beyond

    def _literal_end(self) -> str:
        token = self._peek()
        if token.kind == "tag":
            self._at += 1
            return token.text
        if token.text == "^^":
            self._at += 2
            return f"^^<{self._iri(self._tokens[self._at - 1])}>"
        return ""

    def _iri(self, token: Token) -> str:
        return self._names.expand(token.text)

    def _word(self) -> str:
        token = self._tokens[self._at] if self._at < len(self._tokens) else None
        is_keyword = token and token.kind == "word" and token.text.lower() not in ("true", "false")
        return token.text.upper() if token and is_keyword else ""

    def _peek(self, ahead: int = 0) -> Token:
        if self._at + ahead >= len(self._tokens):
            raise _Beyond
        return self._tokens[self._at + ahead]

    def _expect(self, text: str) -> None:
        if self._peek().text != text:
            raise _Beyond
        self._at += 1

    def _skip(self, opening: str) -> None:
        if self._peek().text != opening:
            raise _Beyond
        self._at = self._closing(self._at) + 1

    def _closing(self, opening: int) -> int:
        end = closing(self._tokens, opening)
        if end is None:
            raise _Beyond
        return end
