"""The terms that ontologies share: namespaces, and the predicates that say the same in many."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "COMMENT_PREDICATES",
    "DOMAINS",
    "LABEL_PREDICATES",
    "META",
    "NAME_PREDICATES",
    "OR_MEMBER",
    "OWL",
    "RANGES",
    "RDF",
    "RDFS",
    "SHACL",
    "SKOS",
    "XSD",
    "either",
    "language_place",
]

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"
OWL = "http://www.w3.org/2002/07/owl#"
XSD = "http://www.w3.org/2001/XMLSchema#"
SHACL = "http://www.w3.org/ns/shacl#"
SKOS = "http://www.w3.org/2004/02/skos/core#"
META = (RDF, RDFS, OWL, XSD)
"""Namespaces of the languages that schemas are written in."""

NAME_PREDICATES = (
    SKOS + "prefLabel",
    RDFS + "label",
    "http://schema.org/name",
    "https://schema.org/name",
    "http://xmlns.com/foaf/0.1/name",
    "http://purl.org/dc/terms/title",
    "http://purl.org/dc/elements/1.1/title",
)
"""Predicates of names proper, the best to show first."""

LABEL_PREDICATES = (
    *NAME_PREDICATES,
    SKOS + "altLabel",
    "http://schema.org/alternateName",
    "https://schema.org/alternateName",
    "http://xmlns.com/foaf/0.1/nick",
    SKOS + "notation",
    SKOS + "hiddenLabel",
)
"""Names, then synonyms and notations: all by which an entity can be found."""

COMMENT_PREDICATES = (
    SKOS + "definition",
    RDFS + "comment",
    "http://purl.obolibrary.org/obo/IAO_0000115",
    "http://purl.org/dc/terms/description",
    "http://purl.org/dc/elements/1.1/description",
    "https://schema.org/description",
    "http://schema.org/description",
)
"""Predicates of texts that say what an entity is, definitions first; notes are none."""

# Some vocabularies, as that of schema.org, say in their own words what RDFS calls domain and range.
DOMAINS, RANGES = (
    (RDFS + name, f"http://schema.org/{name}Includes", f"https://schema.org/{name}Includes")
    for name in ("domain", "range")
)

OR_MEMBER = f"(<{OWL}unionOf>/<{RDF}rest>*/<{RDF}first>)?"
"""The rest of a path to a domain or range: it is a class, or a union of classes."""


def either(predicates: Sequence[str], then: str = "") -> str:
    """Write a path over any of some predicates, in full, or "" when there are none.

    Example:
        >>> either(["http://e/a", "http://e/b"], "<http://e/c>")
        '(<http://e/a>|<http://e/b>)/<http://e/c>'
    """
    path = "|".join(f"<{iri}>" for iri in predicates)
    return f"({path}){'/' + then if then else ''}" if path else ""


def language_place(tag: str) -> int:
    """Order texts by language: English, then its variants, then untagged ones, then the rest.

    Example:
        >>> sorted(["de", "", "en-gb", "en"], key=language_place)
        ['en', 'en-gb', '', 'de']
    """
    if tag == "en":
        return 0
    return 1 if tag.startswith("en-") else 3 if tag else 2
