"""Weigh texts by the words that they have of several, the rarer ones more."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import log
from typing import NamedTuple

from rlm_runtime.ontology.label_lookup import Bounds, TextLookup
from rlm_runtime.ontology.label_words import all_of, any_of, tokens_of

__all__ = ["Weighed", "weigh"]

# The texts of a more common word are not all read; of such words, the rarest ones count.
_RARE = 1_000
_COMMON_WORDS = 4


class Weighed(NamedTuple):
    """Texts and their weights.

    Attributes:
        weights: Number of a text to the weights of its words.
        total: What a text with all words would have.
    """

    weights: dict[int, float]
    total: float


class _Word(NamedTuple):
    weight: float
    expression: str
    numbers: list[int]


def weigh(
    texts: TextLookup, table: str, words: Sequence[Sequence[str]], bounds: Bounds, limit: int
) -> Weighed:
    """Find the ``limit`` texts of most weight, and perhaps others.

    Args:
        texts: Where to look.
        table: ``names`` or ``comments``.
        words: Each with the spellings that stand for it; without any, it only adds to the total.
        bounds: Leaves out other texts.
        limit: The most that are needed.
    """
    total = 0.0
    rare: list[_Word] = []
    common: list[_Word] = []
    for spellings in words:
        expression = any_of(map(tokens_of, spellings))
        numbers = texts.numbers(expression, bounds, _RARE, table) if spellings else []
        many = len(numbers) == _RARE
        uses = max(len(numbers), texts.words.texts(spellings) if many else 1)
        word = _Word(log(1 + texts.count / uses), expression, numbers)
        total += word.weight
        (common if many else rare).append(word)
    common = sorted(common, reverse=True)[:_COMMON_WORDS]
    weights: dict[int, float] = {}
    for word in rare:
        for number in word.numbers:
            weights[number] = weights.get(number, 0.0) + word.weight
    if weights:
        either = any_of(word.expression for word in rare if word.numbers)
        for word in common:
            both = all_of((either, word.expression))
            for number in texts.numbers(both, bounds, len(weights), table):
                weights[number] += word.weight
    _add_common(texts, table, common, bounds, limit, weights)
    return Weighed(weights, total)


def _add_common(
    texts: TextLookup,
    table: str,
    common: list[_Word],
    bounds: Bounds,
    limit: int,
    weights: dict[int, float],
) -> None:
    """Add the best texts that have common words only, going from many words to few."""
    groups = [group for n in range(1, len(common) + 1) for group in combinations(common, n)]
    groups.sort(key=lambda group: -sum(word.weight for word in group))
    best = sorted(weights.values(), reverse=True)[:limit]
    enough = best[-1] if len(best) == limit else 0.0
    added = 0
    for group in groups:
        weight = sum(word.weight for word in group)
        if added >= limit or weight < enough:
            return
        expression = all_of(word.expression for word in group)
        for number in texts.numbers(expression, bounds, limit + added, table):
            if number not in weights:
                weights[number] = weight
                added += 1
