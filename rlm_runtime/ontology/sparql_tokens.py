"""Cut a SPARQL query into its tokens, by the terminals of the SPARQL grammar."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from rlm_runtime.errors import QueryError
from rlm_runtime.ontology.prefixes import LOCAL_NAME, NAME_CHARS, PREFIX_NAME, WORD_CHARS

__all__ = ["Token", "closing", "excerpt", "position", "tokens"]

TokenKind = Literal["iri", "name", "var", "string", "number", "bnode", "tag", "word", "mark"]


class Token(NamedTuple):
    """One token: its kind, its text as written, and its offset in the query."""

    kind: TokenKind
    text: str
    start: int


_STRING = (
    r'"""(?:"{0,2}(?:[^"\\]|\\.))*"""'
    r"|'''(?:'{0,2}(?:[^'\\]|\\.))*'''"
    r'|"(?:[^"\\\n\r]|\\.)*"'
    r"|'(?:[^'\\\n\r]|\\.)*'"
)
# SPARQL 1.1 § 19.8. `skip` is white space and comments; only line feed and carriage return end
# a comment. An IRI goes before the mark `<`, which it begins with.
_TOKEN = re.compile(
    rf"""(?P<skip>(?:[ \t\r\n]+|\#[^\r\n]*)+)
    |(?P<var>[?$][{WORD_CHARS}][{WORD_CHARS}\u00B7\u0300-\u036F\u203F\u2040]*)
    |(?P<name>(?:{PREFIX_NAME})?:(?:{LOCAL_NAME})?)
    |(?P<bnode>_:[{WORD_CHARS}](?:[{NAME_CHARS}.]*[{NAME_CHARS}])?)
    |(?P<iri><(?:[^\x00-\x20<>"{{}}|^`\\]|\\u[0-9A-Fa-f]{{4}}|\\U[0-9A-Fa-f]{{8}})*>)
    |(?P<string>{_STRING})
    |(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    |(?P<tag>@[A-Za-z]+(?:-[A-Za-z0-9]+)*)
    |(?P<word>[A-Za-z][A-Za-z0-9_]*)
    |(?P<mark><<\(|\)>>|<<|>>|\{{\||\|\}}|\^\^|&&|\|\||!=|<=|>=|[{{}}()\[\].,;=<>!+\-*/|^?~])
    """,
    re.VERBOSE | re.DOTALL,
)


@functools.lru_cache(maxsize=16)
def tokens(query: str) -> tuple[Token, ...]:
    """Cut a query into tokens; white space and comments are left out.

    The last ones are remembered: a query is looked at from several sides.

    Raises:
        QueryError: Some character begins no token, as in a string that is never closed.

    Example:
        >>> [token.kind for token in tokens("ASK { ?s a ex:A } # all")]
        ['word', 'mark', 'var', 'word', 'name', 'mark']
    """
    found: list[Token] = []
    at, end = 0, len(query)
    match = _TOKEN.match
    while at < end:
        part = match(query, at)
        if part is None:
            raise _not_a_token(query, at)
        kind = part.lastgroup
        if kind != "skip":
            found.append(Token(kind, part[0], at))  # pyright: ignore[reportArgumentType]
        at = part.end()
    return tuple(found)


def closing(found: Sequence[Token], opening: int) -> int | None:
    """Find the bracket that closes the one at a place; None when there is none."""
    depth = 0
    for i in range(opening, len(found)):
        if found[i].kind == "mark":
            depth += (found[i].text in "({[") - (found[i].text in ")}]")
        if depth == 0:
            return i
    return None


def position(query: str, offset: int) -> tuple[int, int]:
    """Give line and column of an offset, both from 1."""
    before = query[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def excerpt(query: str, offset: int) -> str:
    """Show the line around an offset, at most 100 characters, with a caret below."""
    begin = query.rfind("\n", 0, offset) + 1
    end = query.find("\n", offset)
    line = query[begin : end if end >= 0 else len(query)]
    column = offset - begin
    cut = max(0, column - 60)
    shown = re.sub(r"\s", " ", line[cut : cut + 100])
    return f"  {shown}\n  {' ' * (column - cut)}^"


def _not_a_token(query: str, offset: int) -> QueryError:
    line, column = position(query, offset)
    char = query[offset]
    if char in "\"'":
        problem = "this string is never closed"
    elif char == "`":
        problem = "a backtick is not SPARQL; give the bare query without Markdown"
    elif char in "\u201c\u201d\u2018\u2019":
        problem = f"the quotation mark {char} is not SPARQL; use plain ones"
    elif char.isprintable() and not char.isspace():
        problem = f"the character {char!r} cannot stand here"
    else:
        problem = f"the character U+{ord(char):04X} cannot stand here; use a plain space"
    return QueryError(
        f"SPARQL syntax error at line {line}, column {column}: {problem}.\n{excerpt(query, offset)}"
    )
