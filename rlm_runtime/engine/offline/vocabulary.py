"""The predicates that an ontology uses, by what they are for, as parts of SPARQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["Vocabulary", "in_english"]


def in_english(variable: str, otherwise: str = "") -> str:
    """Give the filter that keeps English and untagged texts, and what ``otherwise`` holds for.

    Example:
        >>> in_english("name")
        'FILTER(LANG(?name) = "" || LANGMATCHES(LANG(?name), "en"))'
    """
    first = f"{otherwise} || " if otherwise else ""
    return f'FILTER({first}LANG(?{variable}) = "" || LANGMATCHES(LANG(?{variable}), "en"))'


class Vocabulary:
    """The predicates that an ontology uses for each role, as parts of SPARQL.

    Example:
        >>> Vocabulary({"domain": ["rdfs:domain"], "union": ["owl:unionOf"]}).domain
        'rdfs:domain/(owl:unionOf/rdf:rest*/rdf:first)?'
    """

    def __init__(self, uses: Mapping[str, Sequence[str]]) -> None:
        self._uses = uses
        union = "/(owl:unionOf/rdf:rest*/rdf:first)?" if uses.get("union") else ""
        self.domain = self._grouped("domain", "rdfs:domain") + union
        self.range = self._grouped("range", "rdfs:range") + union
        self.labels = self.either("label", "rdfs:label")
        # A comment may be about anything; a definition is what is asked for.
        self.texts = sorted(uses.get("text", ()), key=lambda name: not name.endswith("definition"))

    def uses(self, role: str) -> bool:
        """Say whether any predicate of a role is in use."""
        return bool(self._uses.get(role))

    def names(self, role: str) -> list[str]:
        """Give the predicates of a role that are in use."""
        return list(self._uses.get(role, ()))

    def either(self, role: str, default: str) -> str:
        """Give a path that follows any predicate of a role."""
        return "|".join(self._uses.get(role) or [default])

    def both_ways(self, role: str, default: str) -> str:
        """Give a path that follows any predicate of a role, forwards or backwards."""
        names = self._uses.get(role) or [default]
        return "|".join([*names, *(f"^{name}" for name in names)])

    def _grouped(self, role: str, default: str) -> str:
        names = self._uses.get(role) or [default]
        return names[0] if len(names) == 1 else f"({'|'.join(names)})"

    def select(self, pattern: str, by: str = "") -> str:
        """Give the query for the ``?entity`` of a pattern, with one label each."""
        more = f" ?{by}" if by else ""
        return (
            f"SELECT ?entity (MIN(STR(?name)) AS ?label){more} WHERE {{\n"
            f"  {pattern}\n  FILTER(isIRI(?entity))\n"
            f"  OPTIONAL {{ ?entity {self.labels} ?name "
            f"{in_english('name')} }}\n"
            f"}} GROUP BY ?entity{more} ORDER BY ?entity{more}"
        )

    @staticmethod
    def count(pattern: str) -> str:
        """Give the query that counts the ``?entity`` of a pattern."""
        return (
            f"SELECT (COUNT(DISTINCT ?entity) AS ?count) WHERE {{\n"
            f"  {pattern}\n  FILTER(isIRI(?entity))\n}}"
        )
