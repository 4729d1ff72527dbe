"""Tells what kind of answer a question asks for: a count, a top, one per group, what is not."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["kind_words", "kinds_of", "says_kind", "without_kinds"]

_EST = (
    "(?:high|low|larg|great|small|bigg|old|young|earli|long|short|few|cheap|heavi|fast|slow"
    "|clos|near|deep|wid|rich|strong)est"
)
_NUMBER = r"(?:\d|an?\b|one\b|two\b|three\b|five\b|ten\b|n\b|x\b)"
# What a text says when it asks for the kind, or is about it; then what an index is asked for.
_KINDS = {
    "count": (r"how (?:many|often)|number of|count(?:s|ed|ing)?|totals?", "many count number"),
    "sum": (r"sums?|totals?|how much", "sum total"),
    "average": (r"averages?|mean value|median", "average median"),
    "group": (r"each|per|group(?:s|ed)?(?: by)?|distribution|breakdown", "each per group"),
    "superlative": (
        rf"(?<!at )(?:most|least)|top(?![- ]level|[- ]nodes?)|{_EST}|superlatives?"
        r"|rank(?:s|ed|ing)?|best|worst|maximum|minimum|ties?",
        "most superlative highest",
    ),
    "current": (r"current(?:ly)?|latest|newest|nowadays|today|valid|up to date", "current latest"),
    "threshold": (
        r"(?:more|less|fewer|greater|higher|lower) than|(?:at (?:least|most)|over|under|above|below"
        rf"|exceeding)(?= {_NUMBER})|(?<=\d )or more|having|enough|thresholds?",
        "threshold having than",
    ),
    "negation": (
        r"without|negation|negated|not exists|minus|lack(?:s|ing)?|missing|never|nobody|neither"
        r"|none|unused|(?<!or )no(?= [a-z][a-z-])"
        r"(?! (?:more:|(?:matter|doubt|if|(?:more|less|\w+er) than)\b))"
        r"|(?:do|does|did|are|is|was|were|has|have) not"
        r"|(?:do|does|did|are|is|was|were|has|have)n['’ ]t",
        "without no negation not missing",
    ),
    "tree": (
        r"narrower|broader|wider|hierarch(?:y|ies|ical)|top[- ](?:level|nodes?)|ancestors?"
        r"|descendants?|indirect(?:ly)?|transitive(?:ly)?|recursive(?:ly)?|trees?|roll(?:ed|s)? up"
        r"|sub(?:classes|class|categories|category)",
        "hierarchy tree narrower transitive",
    ),
    "period": (
        r"before|after|since|during|between(?= \S*\d)|in(?= [12]\d{3}\b)|periods?|time spans?",
        "period before after",
    ),
    "comparison": (r"compar(?:e|ed|ison)|differences? between|versus", "compare difference"),
    "share": (r"percent(?:age)?s?|shares? of|proportions?|ratios?", "percentage share ratio"),
}
_PATTERNS = {
    name: re.compile(rf"(?<![\w-])(?:{told})(?![\w-])", re.I) for name, (told, _) in _KINDS.items()
}
_ANY = re.compile("|".join(pattern.pattern for pattern in _PATTERNS.values()), re.I)


@lru_cache(maxsize=4096)
def kinds_of(text: str) -> frozenset[str]:
    """Name the kinds of question that an English text asks or speaks of.

    Example:
        >>> sorted(kinds_of("How many employees are in each location?"))
        ['count', 'group']
        >>> sorted(kinds_of("Helps for 'number of y per x'.")), sorted(kinds_of("What is a plan?"))
        (['count', 'group'], [])
    """
    return frozenset(name for name, pattern in _PATTERNS.items() if pattern.search(text))


def says_kind(kind: str, text: str) -> bool:
    """Tell whether a text speaks of one kind, as ``kinds_of`` does for all.

    Example:
        >>> says_kind("average", "Use AVG for an average."), says_kind("sum", "It is one.")
        (True, False)
    """
    return bool(_PATTERNS[kind].search(text))


def kind_words(kinds: frozenset[str]) -> list[str]:
    """Give words by which an index finds what is about these kinds.

    Example:
        >>> kind_words(frozenset({"average"}))
        ['average', 'median']
    """
    return list(dict.fromkeys(word for name in sorted(kinds) for word in _KINDS[name][1].split()))


def without_kinds(text: str) -> str:
    """Leave out of a text the words that tell kinds: what it is about otherwise.

    Example:
        >>> without_kinds("Which of them has the most orders?")
        'Which of them has the   orders?'
    """
    return _ANY.sub(" ", text)
