"""Weighs how well a memory fits a question, and tells what does not fit it at all."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass

from rlm_runtime.memory.kinds import kinds_of, says_kind, without_kinds
from rlm_runtime.memory.words import stem, words_of

__all__ = ["Asked", "Told", "asked", "fit", "same_form", "told"]

# As much as a word that one memory in seven has.
_KIND = 2.0
# A word in the text of a note weighs this much of one that tells what the note is about.
_ASIDE = 0.5
# Notes for special kinds of questions ("the current price per product") speak of these too.
_PLAIN = frozenset({"count", "group"})
# What a memory for other kinds of questions loses.
_OTHER_KINDS = 0.25
# Of the question's weight: what one word or kind must have, and what several must have together.
_ALONE = 0.5
_TOGETHER = 0.25


@dataclass(frozen=True)
class Asked:
    """What a question asks.

    Attributes:
        kinds: Which kinds of answer.
        words: What about: stems, with the weight of each (inverse document frequency).
    """

    kinds: frozenset[str]
    words: Mapping[str, float]


@dataclass(frozen=True)
class Told:
    """What a memory tells, its words as the full-text index has them.

    Attributes:
        exemplar: Whether it is a question and its query, and no note.
        about: The kinds of questions that it is for.
        named: All kinds that its title, description and tags name.
        content: What it says of all this, if it is a note.
        words: Stems of what tells its subject.
        aside: Stems of the rest.
    """

    exemplar: bool
    about: frozenset[str]
    named: frozenset[str]
    content: str
    words: frozenset[str]
    aside: frozenset[str]


def told(kind: str, title: str, description: str, content: str, query: str, tags: str) -> Told:
    """Read a memory, its words as the full-text index has them.

    A note is for what its description says, else its title. An exemplar is its question: the
    keywords of its query are in questions too, and mean something else there.
    """
    if kind == "exemplar":
        asks = kinds_of(query or title)
        return Told(True, asks, asks, "", _stems(title, query), frozenset())
    about = kinds_of(description) or kinds_of(title)
    named = about | kinds_of(title) | kinds_of(tags)
    return Told(False, about, named, content, _stems(title, description, tags), _stems(content))


def asked(task: str, counted: Container[str], matching: Callable[[str], int], total: int) -> Asked:
    """Read a question.

    Args:
        task: The question.
        counted: Those of its words that count.
        matching: Tells how many memories have a word.
        total: How many memories there are, about.
    """
    weights: dict[str, float] = {}
    for token in without_kinds(task).split():
        words = [word for word in words_of(token) if word in counted]
        # Of a name, or of a text without spaces, the parts count that are known.
        for word in [word for word in words if matching(word)] or words[:1]:
            rows = min(matching(word), total)
            weights.setdefault(stem(word), math.log(1 + (total - rows + 0.5) / (rows + 0.5)))
    return Asked(kinds_of(task), weights)


def fit(question: Asked, memory: Told) -> float:
    """Weigh how well a memory fits a question; 0 when it does not.

    The weight is that of the words and kinds that they share; where the memory is for several
    kinds, it weighs up to a quarter less when not all of them are asked. It fits when what they
    share has a quarter of the weight of all words and kinds of the question, or half if it is one
    only. A note that is for some kinds always fits a question of these, if they are more than
    counts and groups, and the kinds do not count for other questions.

    Example:
        >>> question = Asked(frozenset({"count"}), {"order": 1.0})
        >>> ties = told("strategy", "Ties", "For the most or the fewest.", "Count them.", "", "")
        >>> sums = told("strategy", "Check sums", "Helps for how many.", "Add them up.", "", "")
        >>> fit(question, ties), fit(question, sums)
        (0.0, 2.0)
    """
    meant = question.kinds & memory.about
    for_it = not memory.exemplar and _is_for(memory.about, question.kinds)
    shares: list[float] = []
    if for_it or memory.exemplar or not memory.about:
        shares += [_KIND for _ in question.kinds & memory.named]
        aside = question.kinds - memory.named
        shares += [_KIND * _ASIDE for kind in aside if says_kind(kind, memory.content)]
    shares += [weight for word, weight in question.words.items() if word in memory.words]
    shares += [
        weight * _ASIDE
        for word, weight in question.words.items()
        if word in memory.aside and word not in memory.words
    ]
    shared, whole = sum(shares), _KIND * len(question.kinds) + sum(question.words.values())
    always = for_it and memory.about - _PLAIN
    needed = 0.0 if always else whole * (_TOGETHER if len(shares) > 1 else _ALONE)
    if not shares or shared < needed:
        return 0.0
    others = memory.about | question.kinds if memory.exemplar else memory.about
    return shared * (1 - _OTHER_KINDS * (1 - len(meant) / len(others))) if others else shared


def same_form(question: Asked, memory: Told) -> bool:
    """Tell whether an exemplar asks, about whatever, for the very kinds that a question asks for.

    Example:
        >>> question = Asked(frozenset({"negation"}), {"skill": 3.0})
        >>> prices = told("exemplar", "Which products have no price?", "", "ASK {}", "", "")
        >>> same_form(question, prices), fit(question, prices)
        (True, 0.0)
    """
    return memory.exemplar and memory.about == question.kinds and bool(memory.about - _PLAIN)


def _is_for(about: frozenset[str], asked_for: frozenset[str]) -> bool:
    """Tell whether half of what is special about a note is asked; of what is plain, all."""
    special = about - _PLAIN
    return (
        2 * len(special & asked_for) >= len(special)
        if special
        else bool(about) and about <= asked_for
    )


def _stems(*texts: str) -> frozenset[str]:
    return frozenset(stem(word) for text in texts for word in text.split())
