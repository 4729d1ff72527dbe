"""The predicates that an ontology uses, by what they are for, as parts of SPARQL."""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["Vocabulary", "in_english"]


def _schema(name: str) -> tuple[str, ...]:
    return f"schema:{name}", f"<http://schema.org/{name}>", f"<https://schema.org/{name}>"


_ROLES: dict[str, tuple[str, ...]] = {
    "label": ("rdfs:label", "skos:prefLabel", "foaf:name", *_schema("name")),
    "title": ("dcterms:title", "dc:title"),
    # A comment may be about anything; a definition is what is asked for.
    "text": ("skos:definition", "rdfs:comment", "dcterms:description", *_schema("description")),
    "synonym": ("skos:altLabel",),
    "broader": ("skos:broader",),
    "narrower": ("skos:narrower",),
    "domain": ("rdfs:domain", *_schema("domainIncludes")),
    "range": ("rdfs:range", *_schema("rangeIncludes")),
    "inverse": ("owl:inverseOf", *_schema("inverseOf")),
    "disjoint": ("owl:disjointWith", "owl:propertyDisjointWith"),
    "equivalent": ("owl:equivalentClass", "owl:equivalentProperty", "owl:sameAs"),
}
_MEMBER = "rdf:rest*/rdf:first"


def in_english(variable: str) -> str:
    """Give the condition that keeps English and untagged texts.

    Example:
        >>> in_english("name")
        'LANG(?name) IN ("", "en")'
    """
    return f'LANG(?{variable}) IN ("", "en")'


class Vocabulary:
    """The predicates that an ontology uses for each role, the usual one where none is seen.

    Example:
        >>> Vocabulary(["rdfs:domain", "owl:unionOf"]).ends("domain")
        'rdfs:domain/(owl:unionOf/rdf:rest*/rdf:first)?'
    """

    def __init__(self, used: Collection[str]) -> None:
        self._used = used
        titled = self.in_use("title") and not self.in_use("label")
        self.labels = "|".join(self.names("title" if titled else "label"))
        self.texts = self.names("text")[:2]
        # A domain or range may be a union of classes.
        self.members = f"(owl:unionOf/{_MEMBER})?" if "owl:unionOf" in used else ""

    def in_use(self, role: str) -> list[str]:
        """Give the predicates of a role that are in use."""
        return [name for name in _ROLES[role] if name in self._used]

    def names(self, role: str) -> list[str]:
        """Give the predicates of a role that are in use, or its usual one."""
        return self.in_use(role) or [_ROLES[role][0]]

    def ends(self, role: str) -> str:
        """Give the path from a property to the classes of its domain or range."""
        names = self.names(role)
        path = names[0] if len(names) == 1 else f"({'|'.join(names)})"
        return f"{path}/{self.members}" if self.members else path

    def both_ways(self, role: str) -> str:
        """Give a path that follows any predicate of a role, forwards or backwards."""
        names = self.names(role)
        ways = [*names, *(f"^{name}" for name in names)]
        if role == "disjoint" and "owl:members" in self._used:
            ways.append(f"(^(owl:members/{_MEMBER})/owl:members/{_MEMBER})")
        return "|".join(ways)
