"""Checks an answer against the ontology: do its IRIs occur, does its query run?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from rlm_runtime.errors import OntologyError, QueryError
from rlm_runtime.ontology import Ontology
from rlm_runtime.ontology.prefixes import LOCAL_NAME, NAME_CHARS, PREFIX_NAME
from rlm_runtime.ontology.query_parts import query_parts
from rlm_runtime.ontology.vocabulary import META
from rlm_runtime.tools import make_ontology_tools, show
from rlm_runtime.types import Grounding

__all__ = ["ground", "rows_again"]

_ROWS = 1_000
_SHOWN_ROWS = 30
_IRI = re.compile(r"<([A-Za-z][A-Za-z0-9+.-]*:[^<>\"{}|^`\\\s]+)>|\b(https?://[^\s<>\"'{}|^`\\]+)")
_NAME = re.compile(rf"(?<![{NAME_CHARS}:/.<])((?:{PREFIX_NAME})?):{LOCAL_NAME}")
_DECLARED = re.compile(r"\bPREFIX\s+[^\s<>]*\s*<([^<>\s]*)>", re.I)
# Bounds on what a model may make us look at; evidence is asked to hold 20 names.
_MAX_TEXT = 100_000
_MAX_IRIS = 500
_MAX_NAME = 2_000
_SECONDS = 10.0
_LEGAL = re.compile(r'[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20<>"{}|^`\\\ud800-\udfff]{1,2000}')


def ground(ontology: Ontology, evidence: Iterable[Any], sparql: str) -> Grounding:
    """Check an answer's evidence and query.

    Args:
        ontology: What they are checked against.
        evidence: Any values; IRIs and prefixed names are looked for in all their texts.
        sparql: The reported query, or "".

    Returns:
        What the ontology bears out. IRIs of RDF, RDFS, OWL and XSD in the query count as known.

    Example:
        >>> from rlm_runtime import open_ontology
        >>> prov = open_ontology("ontology/prov.ttl")
        >>> ground(prov, ["prov:Activity", "prov:Nonsense"], "ASK {}").evidence_grounded
        0.5
    """
    text = "\n".join(_texts(list(evidence), 0))[:_MAX_TEXT]
    named = list(dict.fromkeys(_iris(ontology, text)))[:_MAX_IRIS]
    rows, error = _run_again(ontology, sparql)
    # Only a query that runs can be taken apart.
    asked = query_parts(sparql, ontology.prefixes).iris if rows is not None else ()
    asked = [iri for iri in asked if not iri.startswith(META)]
    wanted = list(dict.fromkeys([*named, *asked]))
    present = _present(ontology, wanted)
    # As in STR(ex:): what names begin with is no name.
    spaces = {*ontology.prefixes.values(), *_DECLARED.findall(sparql)} - present
    named = [iri for iri in named if iri not in spaces]
    return Grounding(
        evidence_iris=tuple(named),
        missing_iris=tuple(iri for iri in wanted if iri not in present | spaces),
        sparql_ok=None if not sparql.strip() else error is None,
        sparql_rows=rows,
        sparql_error=error,
    )


def rows_again(ontology: Ontology, sparql: str) -> str:
    """Give what a query gives as agents see it: 30 rows, and how many there are; "" if it fails.

    Example:
        >>> from rlm_runtime import open_ontology
        >>> prov = open_ontology("ontology/prov.ttl")
        >>> print(rows_again(prov, "SELECT ?c { prov:Person rdfs:subClassOf ?c }"))
        c:iri
        prov:Agent
        (1 row)
    """
    select = make_ontology_tools(ontology, timeout=_SECONDS)["sparql_select"]
    try:
        table = select(sparql, _SHOWN_ROWS)
    except (QueryError, OntologyError):
        return ""
    if table["rows"]:
        # It tells how an agent goes on to read the others.
        table.pop("note", None)
    return show(table) or ""


def _texts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth < 10 and isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(key, depth + 1)
            yield from _texts(item, depth + 1)
    elif depth < 10 and isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _texts(item, depth + 1)


def _iris(ontology: Ontology, text: str) -> Iterator[str]:
    for match in _IRI.finditer(text):
        yield (match[1] or match[2]).rstrip(".,;:)") if match[2] else match[1]
    for match in _NAME.finditer(_IRI.sub(" ", text)):
        # A word with a colon ("note:x") is a name only if its prefix is one.
        if (match[1] or "") in ontology.prefixes and len(match[0]) < _MAX_NAME:
            yield ontology.expand(match[0])


def _present(ontology: Ontology, iris: list[str]) -> set[str]:
    """Give those of the IRIs that occur; one that cannot be asked for does not count as there."""
    legal = [iri for iri in iris if _LEGAL.fullmatch(iri)]
    if not legal:
        return set()
    values = " ".join(f"<{iri}>" for iri in legal)
    try:
        found = ontology.select(
            f"SELECT DISTINCT ?iri {{ VALUES ?iri {{ {values} }} FILTER("
            "EXISTS { ?iri ?p1 ?o1 } || EXISTS { ?s2 ?iri ?o2 } || EXISTS { ?s3 ?p3 ?iri }) }",
            limit=len(legal),
            timeout=_SECONDS,
        )
    except QueryError:
        return set()
    return {str(row["iri"]) for row in found.rows}


def _run_again(ontology: Ontology, sparql: str) -> tuple[int | None, str | None]:
    if not sparql.strip():
        return None, None
    try:
        return len(ontology.select(sparql, limit=_ROWS, timeout=_SECONDS)), None
    except QueryError as error:
        return None, str(error)
