"""How a sense card writes names: prefixed, with a label where it helps, in bounded lists."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from rlm_runtime.ontology.card_facts import CardFacts
from rlm_runtime.ontology.protocol import Ontology

__all__ = ["CardNames", "namespace_of"]

_LOCAL = re.compile(r"[\w-]+")


class CardNames:
    """Writes the names of one card; a card is written many times until it fits.

    Args:
        ontology: Gives the prefixed names.
        facts: Gives the labels.
        bare: A namespace whose names are written without it; "" for none.
    """

    def __init__(self, ontology: Ontology, facts: CardFacts, bare: str = "") -> None:
        self.compact = cache(self._short if bare else ontology.compact)
        self._ontology = ontology
        self._bare = bare
        self._labels = facts.labels

    @property
    def legend(self) -> list[str]:
        """Say on a line how bare names are to be read; no line when there are none."""
        if not self._bare:
            return []
        return [f"Below, x without a prefix means {self._ontology.compact(f'{self._bare}x')}."]

    def _short(self, iri: str) -> str:
        local = iri.removeprefix(self._bare)
        if local != iri and _LOCAL.fullmatch(local):
            return local
        return self._ontology.compact(iri)

    def full(self, iri: str, *, labels: bool = True) -> str:
        """Write a name and, if asked for, the label that says more than it."""
        label = self._labels.get(iri) if labels else None
        return f'{self.compact(iri)} "{label[:40]}"' if label else self.compact(iri)

    def either(self, iris: Sequence[str]) -> str:
        """Write ``ex:A|ex:B``."""
        return "|".join(self.compact(iri) for iri in iris)

    def listed(self, names: Sequence[str], most: int, how: str = "") -> str:
        """Write a list, at most so many of it; ``how`` says how the rest can be seen."""
        shown = names[:most]
        more = f", {len(names) - len(shown):,} more{how}" if len(names) > len(shown) else ""
        return ", ".join(shown) + more

    def line(self, what: str, names: Sequence[str], most: int, how: str = "") -> list[str]:
        """Write a list on a line of its own, or no line when nothing would be on it."""
        return [f"{what}: {self.listed(names, most, how)}"] if names and most else []


def namespace_of(iri: str) -> str:
    """Give an IRI without what follows its last ``/`` or ``#``.

    Example:
        >>> namespace_of("http://www.w3.org/ns/prov#Activity")
        'http://www.w3.org/ns/prov#'
    """
    return iri[: max(iri.rfind("/"), iri.rfind("#")) + 1]
