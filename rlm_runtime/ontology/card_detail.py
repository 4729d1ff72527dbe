"""How much of everything a sense card shows, and what it gives up until it fits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

__all__ = ["Detail", "less_and_less"]


@dataclass(frozen=True)
class Detail:
    """How much of everything a card shows.

    Attributes:
        classes: Lines of classes with the predicates of their instances.
        predicates: Predicates in such a line.
        example: Characters of an example text; 0 for no examples.
        listed: Values in a list of all values.
        comment: Characters of the ontology's description.
        labels: Whether names are followed by labels that say more than they.
        bare: Whether names of the main namespace are written without it.
        branches: Lines of the class tree.
        children: Classes in such a line.
        groups: Lines of properties by domain.
        properties: Properties in such a line.
        ranges: 2 for all ranges, 1 for those that are datatypes, 0 for none.
        inverses: Pairs of inverse properties.
        names: Names in a line of what is only named.
        prefixes: Prefixes with their namespaces.
        queries: Queries.
    """

    classes: int = 60
    predicates: int = 60
    example: int = 30
    listed: int = 12
    comment: int = 300
    labels: bool = True
    bare: bool = False
    branches: int = 60
    children: int = 60
    groups: int = 60
    properties: int = 60
    ranges: int = 2
    inverses: int = 30
    names: int = 60
    prefixes: int = 12
    queries: int = 2


# Descriptions and examples go before names: a name left out is a name that is searched for.
_STEPS: tuple[dict[str, int | bool], ...] = (
    {"comment": 160},
    {"example": 16},
    {"comment": 100, "inverses": 15},
    {"labels": False, "predicates": 30, "names": 40},
    {"comment": 60, "listed": 10},
    {"bare": True},
    {"classes": 30, "branches": 30, "listed": 8, "inverses": 8},
    {"example": 10, "names": 20, "comment": 0},
    {"predicates": 15, "children": 30},
    {"ranges": 1},
    {"inverses": 0, "predicates": 12},
    {"classes": 20, "branches": 15, "properties": 40, "listed": 6},
    {"classes": 14, "branches": 10, "groups": 20},
    {"predicates": 9, "children": 20, "properties": 25, "names": 15},
    {"classes": 10, "branches": 7, "groups": 14, "properties": 20},
    {"predicates": 7, "example": 0, "children": 9, "properties": 16, "groups": 10},
    {"classes": 8, "prefixes": 6, "properties": 12},
    {"queries": 1, "ranges": 0},
    {"predicates": 5, "branches": 5, "children": 6, "names": 12, "listed": 0},
    {"classes": 6, "branches": 4, "groups": 6, "properties": 10},
    {"predicates": 4, "children": 4},
    {"classes": 4, "branches": 3, "groups": 4, "properties": 7, "names": 10},
    {"predicates": 3, "prefixes": 3, "children": 3, "properties": 5},
    {"classes": 3, "branches": 2, "groups": 3, "properties": 3},
    {"branches": 0, "groups": 2, "names": 8},
    {"classes": 2, "groups": 1, "queries": 0},
    {"classes": 1, "groups": 0, "names": 6},
    {"classes": 0, "prefixes": 2},
    {"names": 4},
    {"names": 2, "prefixes": 1},
)


def less_and_less() -> Iterator[Detail]:
    """Yield the details to try, from everything to next to nothing."""
    detail = Detail()
    yield detail
    for step in _STEPS:
        detail = replace(detail, **step)  # pyright: ignore[reportArgumentType]
        yield detail
