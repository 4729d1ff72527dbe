"""Say why a query finds nothing: a name that occurs nowhere, a pattern that never matches."""

from __future__ import annotations

import re
import time
from itertools import pairwise
from typing import NamedTuple

from rlm_runtime.errors import QueryError, QueryTimeout
from rlm_runtime.ontology.protocol import Ontology, Rows
from rlm_runtime.ontology.query_parts import RDF_TYPE, Pattern, QueryParts, query_parts
from rlm_runtime.ontology.sparql_tokens import tokens
from rlm_runtime.ontology.terms import in_sparql
from rlm_runtime.ontology.text import local_name
from rlm_runtime.ontology.vocabulary import RDFS
from rlm_runtime.tools.values import occurs, suggestions

__all__ = ["EmptyReason", "why_empty"]

_BUDGET = 4.0
_MAX_PATTERNS = 12
_MAX_COUNT = 100
_SUBCLASS = f"<{RDFS}subClassOf>"
# What else can leave nothing of the solutions of triple patterns.
_CLAUSES = ("UNION", "VALUES", "GRAPH", "HAVING", "FROM", "OFFSET")
_IRI = re.compile(r"<([^<>\s]*)>")


class EmptyReason(NamedTuple):
    """Why a query finds nothing, and whether that is a reason to doubt the query."""

    text: str
    doubtful: bool


def why_empty(ontology: Ontology, query: str, rows: Rows) -> EmptyReason | None:
    """Explain an empty result as far as a few small queries can, within four seconds.

    Empty are no rows, an ASK that is false, and one row of nothing but zeros: a count over a
    misspelt class looks like a fact.

    Args:
        ontology: What was asked.
        query: A query that ran.
        rows: What it gave.

    Returns:
        A sentence or a few; None when the result is not empty, or is a zero with no reason to
        doubt it. There is no doubt when all that the query asks for is there, and what it must
        not have, by NOT EXISTS or MINUS, is there as well: the answer is "none".
    """
    if not _finds_nothing(rows):
        return None
    reason, parts = _reason(ontology, query)
    if reason or (rows.terms and rows.form == "SELECT"):
        return EmptyReason(reason, True) if reason else None
    if not parts.patterns:
        return EmptyReason("Nothing matches.", True)
    narrowing, excludes = _narrowing(query)
    if len(parts.patterns) > _MAX_PATTERNS:
        narrowing.append("a later pattern")
    *most, last = narrowing or ["something else"]
    names = f"{', '.join(most)} or {last}" if most else last
    return EmptyReason(
        f"All plain triple patterns match together; {names} leaves nothing of that. "
        'It is right if the answer is "none".',
        not excludes,
    )


def _reason(ontology: Ontology, query: str) -> tuple[str | None, QueryParts]:
    """Name what is wrong with the names or triple patterns of a query, if anything is."""
    parts = query_parts(query, ontology.prefixes)
    search = _Search(ontology)
    try:
        unknown = [iri for iri in parts.iris if not search.occurs(iri)]
        if unknown:
            told = " ".join(
                f"{ontology.compact(iri)} occurs nowhere in {ontology.name}. "
                f"{suggestions(ontology, local_name(iri))}"
                for iri in unknown[:3]
            )
            return told, parts
        return search.pattern_that_fails(parts.patterns[:_MAX_PATTERNS]), parts
    except QueryTimeout:
        return "Nothing matches; finding out why took too long.", parts
    except QueryError as error:
        return f"Nothing matches; finding out why failed: {error}", parts


def _narrowing(query: str) -> tuple[list[str], bool]:
    """Name what a query has beside triple patterns that can leave nothing of their solutions.

    Returns:
        Names, and whether it has MINUS, NOT EXISTS or ``!EXISTS``.
    """
    found = [
        token.text.upper() if token.kind in ("word", "mark") else "" for token in tokens(query)
    ]
    pairs = list(pairwise([*found, ""]))
    not_exists = any(word in ("NOT", "!") and after == "EXISTS" for word, after in pairs)
    there = {
        "NOT EXISTS": not_exists,
        "MINUS": "MINUS" in found,
        "FILTER": any(word == "FILTER" and after != "NOT" for word, after in pairs),
        "a sub-SELECT": found.count("SELECT") > 1,
        **{word: word in found for word in _CLAUSES},
    }
    return [name for name, is_there in there.items() if is_there], not_exists or there["MINUS"]


def _finds_nothing(rows: Rows) -> bool:
    values = [term.plain if term else None for term in rows.terms[0]] if rows.terms else []
    return len(rows.terms) <= 1 and all(value in (0, None, "") for value in values)


class _Search:
    """Small queries against one ontology that share a time budget."""

    def __init__(self, ontology: Ontology) -> None:
        self._ontology = ontology
        self._until = time.monotonic() + _BUDGET

    def occurs(self, iri: str) -> bool:
        return occurs(self._ontology, iri, timeout=self._left())

    def pattern_that_fails(self, patterns: tuple[Pattern, ...]) -> str | None:
        """Name the first pattern that matches nothing, alone or with those before it."""
        for pattern in patterns:
            if not self._holds(pattern.text):
                hint = self._hint(pattern)
                gap = "" if hint.startswith((";", " ")) or not hint else ", "
                return f"Nothing matches `{self._shown(pattern)}`{gap}{hint or '.'}"
        for count in range(2, len(patterns) + 1):
            if not self._holds(" ".join(p.text for p in patterns[:count])):
                last = patterns[count - 1]
                users = self._sample(f"?s {last.predicate} ?o . ?s {RDF_TYPE} ?v")
                return (
                    f"Each triple pattern matches alone, but `{self._shown(last)}` matches nothing "
                    "together with those before it."
                    + (f" Its subjects are of {users}." if users else "")
                )
        return None

    def _hint(self, pattern: Pattern) -> str:
        """Say what is there instead of what the pattern asks for."""
        subject, predicate, target = pattern.subject, pattern.predicate, pattern.object
        if predicate == RDF_TYPE and not target.startswith("?"):
            if self._holds(f"?s {RDF_TYPE}/{_SUBCLASS}* {target} ."):
                return "but subclasses have instances: use `a/rdfs:subClassOf*` instead of `a`."
            return " (it has no instances)."
        if not predicate.startswith("<"):
            return ""
        if target.startswith("<") or subject.startswith("<"):
            turned = self._turned(pattern)
            if turned:
                return turned
        if not target.startswith(("?", "<", "_:")):
            alike = self._sample(
                f"{subject} {predicate} ?v FILTER(LCASE(STR(?v)) = LCASE(STR({target})))"
            )
            if alike:
                return f"but there is {alike}: case, language tag and datatype must agree."
        if not target.startswith("?"):
            there = self._sample(f"{subject} {predicate} ?v")
            if there:
                return f"but has values like {there}."
        if subject.startswith("<"):
            there = self._sample(f"{subject} ?v ?o")
            return f"; {self._shown_text(subject)} has {there}." if there else ""
        return ""

    def _turned(self, pattern: Pattern) -> str:
        """Say what matches with subject and object exchanged, which may have been meant."""
        subject, predicate, target = pattern.subject, pattern.predicate, pattern.object
        source = "?s" if target.startswith("?") else target
        to = subject if subject.startswith("<") else "?o"
        query = f"SELECT * WHERE {{ {source} {predicate} {to} }}"
        rows = self._ontology.select(query, limit=_MAX_COUNT, timeout=self._left())
        if not rows.terms:
            return ""
        if source != "?s" and to != "?o":
            return "; it is so the other way round: right if you meant that."
        is_object = source != "?s"
        entity, role, other = (
            (target, "object", "subject") if is_object else (subject, "subject", "object")
        )
        count = f"{'at least ' if rows.truncated else ''}{len(rows)}"
        return (
            f"; no statement has {self._shown_text(entity)} as {role} of "
            f"{self._shown_text(predicate)}, it is {other} of {count}: right if you meant that, "
            "else exchange the two."
        )

    def _sample(self, pattern: str) -> str:
        query = f"SELECT DISTINCT ?v WHERE {{ {pattern} }} LIMIT 6"
        rows = self._ontology.select(query, limit=6, timeout=self._left())
        shown = [in_sparql(term, self._ontology.compact) for (term,) in rows.terms if term]
        return ", ".join(shown[:5]) + (", …" if len(shown) > 5 else "")

    def _holds(self, pattern: str) -> bool:
        rows = self._ontology.select(f"ASK {{ {pattern} }}", timeout=self._left())
        return bool(rows.rows[0]["ask"])

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise QueryTimeout("The time to explain an empty result is used up.")
        return left

    def _shown(self, pattern: Pattern) -> str:
        return self._shown_text(f"{pattern.subject} {pattern.predicate} {pattern.object}")

    def _shown_text(self, text: str) -> str:
        return _IRI.sub(lambda match: self._ontology.compact(match[1]), text)
