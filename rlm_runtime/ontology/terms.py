"""Write terms for readers: the kind of a term, and a term as SPARQL writes it."""

from __future__ import annotations

import json
from collections.abc import Callable

from rlm_runtime.ontology.protocol import Term
from rlm_runtime.ontology.vocabulary import RDF, XSD

__all__ = ["in_sparql", "kind_of"]

_MAX_TEXT = 60
_STRINGS = frozenset({"", XSD + "string", RDF + "langString"})


def kind_of(term: Term, compact: Callable[[str], str]) -> str:
    """Name the kind of a term: ``iri``, ``bnode``, ``string@en``, ``integer``, and so on.

    Args:
        term: The term; all the integer types of XML Schema are ``integer``.
        compact: Gives the prefixed name of a datatype that is not of XML Schema.

    Example:
        >>> kind_of(Term("Haus", "literal", "", "de"), str), kind_of(Term("http://e/", "iri"), str)
        ('string@de', 'iri')
    """
    if term.kind != "literal":
        return term.kind
    if term.language:
        return f"string@{term.language}"
    if term.datatype in _STRINGS:
        return "string"
    if not term.datatype.startswith(XSD):
        return compact(term.datatype)
    value = term.plain
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return "integer" if is_integer else term.datatype.removeprefix(XSD)


def in_sparql(term: Term, compact: Callable[[str], str], *, longest: int = _MAX_TEXT) -> str:
    """Write a term as SPARQL does, a long text cut, with ``…`` before its closing quote.

    Args:
        term: The term.
        compact: Gives the prefixed name of an IRI.
        longest: Characters of a text before it is cut.

    Example:
        >>> in_sparql(Term("Haus", "literal", "", "de"), str)
        '"Haus"@de'
    """
    if term.kind == "iri":
        return compact(term.value)
    if term.kind == "bnode":
        # Made-up labels are long; their end tells them apart as well.
        return f"_:{term.value[-8:]}"
    kind = kind_of(term, compact)
    if kind in ("integer", "decimal", "boolean"):
        return term.value
    text = term.value if len(term.value) <= longest else f"{term.value[:longest]}…"
    quoted = json.dumps(text, ensure_ascii=False)
    if term.language:
        return f"{quoted}@{term.language}"
    return quoted if kind == "string" else f"{quoted}^^{compact(term.datatype)}"
