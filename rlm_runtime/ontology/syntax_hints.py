"""Explain a syntax error of the SPARQL engine: where it is, and what was likely meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from rlm_runtime.errors import QueryError
from rlm_runtime.ontology.sparql_tokens import Token, excerpt, position, tokens

__all__ = ["explain_syntax_error"]

_AT = re.compile(r"error at (\d+):(\d+): expected (?:one of )?(.*)", re.S)
_CHARACTERS = re.compile(r'"|\[\'')
_KEYWORD = re.compile(r"(?:^|, )(\w+)(?=,|$)")
_CLOSING = {"{": "}", "(": ")", "[": "]"}


def explain_syntax_error(query: str, message: str) -> QueryError:
    """Make a QueryError with line, column, an excerpt and, for common mistakes, a hint.

    Args:
        query: As the user wrote it; it can be cut into tokens.
        message: What the engine says, as in ``error at 1:9: expected WHERE``.

    Example:
        >>> print(explain_syntax_error("ASK { ?a ?b }", "error at 1:21: expected OPTIONAL"))
        SPARQL syntax error near line 1, column 13: unexpected '}'.
          ASK { ?a ?b }
                      ^
    """
    parts = tokens(query)
    unclosed = _unclosed(parts)
    offset = _offset(query, message) if unclosed is None else len(query)
    token = next((t for t in parts if t.start <= offset < t.start + len(t.text)), None)
    if token is None:
        token = next((t for t in parts if t.start >= offset), None)
    if unclosed is not None:
        line, column = position(query, unclosed.start)
        begin = unclosed.start
        problem = f"this {unclosed.text!r} is never closed by {_CLOSING[unclosed.text]!r}"
    elif token is None:
        begin = len(query.rstrip())
        line, column = position(query, begin)
        problem = "the query ends too early"
    else:
        begin = token.start
        line, column = position(query, begin)
        problem = f"unexpected {token.text[:40]!r}"
    hint = _hint(parts, message)
    return QueryError(
        f"SPARQL syntax error near line {line}, column {column}: {problem}.\n"
        f"{excerpt(query, begin)}{hint and chr(10) + hint}"
    )


def _offset(query: str, message: str) -> int:
    """Find where the engine stopped, or nearly so.

    It compares a keyword by reading as many characters as that has, and reports the position
    after them; of the keywords it names, the shortest one began last.
    """
    match = _AT.search(message)
    if match is None:
        return 0
    lines = query.split("\n")
    line = min(int(match[1]), len(lines))
    offset = sum(len(text) + 1 for text in lines[: line - 1]) + int(match[2]) - 1
    expected = match[3].strip()
    if expected == "[_]":
        return max(0, offset - 1)
    if _CHARACTERS.search(expected):
        return offset
    return max(0, offset - min(map(len, _KEYWORD.findall(expected)), default=0))


def _unclosed(parts: Sequence[Token]) -> Token | None:
    """Give the innermost bracket that is never closed."""
    waiting: list[Token] = []
    for token in parts:
        if token.kind != "mark":
            continue
        if token.text in _CLOSING:
            waiting.append(token)
        elif token.text in _CLOSING.values():
            if not waiting or _CLOSING[waiting[-1].text] != token.text:
                return None
            waiting.pop()
    return waiting[-1] if waiting else None


def _hint(parts: Sequence[Token], message: str) -> str:
    texts = [token.text.upper() for token in parts]
    pairs = list(pairwise(texts))
    if "variable that is unbound" in message:
        return (
            "Beside COUNT and other aggregates, each selected variable must be in GROUP BY, and "
            "an aggregate must have a name: (COUNT(?x) AS ?n)."
        )
    if ("=", "=") in pairs:
        return "Equality is written = in SPARQL, not ==."
    if any(word in texts for word in ("AND", "OR")):
        return "Conditions are joined with && and || in SPARQL."
    if "LIKE" in texts:
        return 'SPARQL has no LIKE; use CONTAINS(LCASE(STR(?x)), "text") or REGEX(?x, "text", "i").'
    if "GROUP_CONCAT" in texts and "SEPARATOR" not in texts and "," in texts:
        return 'A separator is given like this: (GROUP_CONCAT(?x; SEPARATOR=", ") AS ?all).'
    before_as = [texts[i - 1] for i, text in enumerate(texts) if text == "AS" and i]
    columns = texts[texts.index("SELECT") + 1 :] if "SELECT" in texts else []
    bare = columns[: next((i for i, text in enumerate(columns) if text in ("(", "{")), 0)]
    if before_as and bare[-1:] and bare[-1] in ("COUNT", "SUM", "MIN", "MAX", "AVG"):
        return "Put parentheses around an expression with its name: (COUNT(?x) AS ?n)."
    if "BIND" in texts and message.endswith("expected [_]"):
        return "The variable that BIND makes must not occur before it in the same group."
    if ("}", ";") in pairs:
        return "Give one query at a time, without a semicolon at its end."
    return ""
