"""Tells how hard a question is by its words, so that memories of its level are preferred."""

from __future__ import annotations

import re

__all__ = ["LEVELS", "level_of"]

LEVELS = {1: "lookup", 2: "relation", 3: "aggregation", 4: "condition", 5: "combination"}
"""Name of each level: each asks for more parts of a query than the one before."""

_MAX_CHARS = 2_000

# A name may hold any words: the "Not Before" date, prov:wasGeneratedBy, <http://…/of>.
_NAME = re.compile(
    r"\"[^\"]*\"|(?<!\w)'[^']+'(?!\w)|“[^”]*”|«[^»]*»|`[^`]*`|<[^<>\s]+>"
    r"|https?://\S+|\b[\w-]+:[\w./#-]*\w"
)
_SHORT = re.compile(r"\b(what|who|where|how|that|it|there)['’]s\b")
_NUMBER = (
    r"(?:\d[\d.,]*|one|two|three|four|five|six|seven|eight|nine|ten|twenty|fifty"
    r"|a (?:hundred|thousand))"
)
_MORE = (
    r"(?:more|less|fewer|greater|higher|lower|larger|bigger|smaller|older|younger|newer|longer"
    r"|shorter|earlier|later|heavier|cheaper)"
)
_CONDITION = re.compile(
    r"\b(?:not|cannot|without|never|neither|nor|none|nobody|nothing|except|excluding|unless"
    r"|other than|lacks?|lacking|missing|no(?= [a-z]))\b|n['’]t\b"
    r"|\b(?:at least|at most|exactly|up to)\b"
    rf"|\b{_MORE} than (?={_NUMBER}\b)"
    rf"|\b(?:over|under|above|below|exceed(?:s|ing)?) [$€£]?(?={_NUMBER}\b)"
    r"|\b(?:before|after|since|until|during)\b|\bin (?=[12]\d{3}\b)|\bbetween (?=\S*\d)"
    r"|\b(?:only|but|whose|both|either)\b"
    r"|\band (?:that |which |who |also )?(?:ha[sd]|have|is|are|was|were|does|did)\b"
    r"|\b(?:start|begin|end)(?:s|ning|ing)? with\b|\bcontain(?:s|ing)?\b"
)
_EVERYDAY_EST = "(?:for|inter|requ|harv|gu|t|w|r|n|qu|cont|prot|sugg|dig|inv|hon)est"
_AGGREGATE = re.compile(
    r"\bhow (?:many|much|often)\b|\bnumber of\b|\bcount\b|\btotal\b|\bsum\b|\baverage\b"
    r"|\bmedian\b|\b(?:min|max)imum\b|\b(?:percentage|proportion|ratio|share) of\b"
    r"|\b(?:most|least|fewest|best|top \d+|rank(?:ed|ing)?)\b"
    rf"|\b(?!{_EVERYDAY_EST}\b)[a-z]{{3,}}est\b"
    rf"|\bcompared?\b|\bdifference between\b|\b{_MORE} (?:\w+ )?than\b|\bas (?:many|much)\b"
    r"|\bper\b|\b(?:for|of|in|by) each\b"
)
# Said of one and the same figure: "the highest number of", "how many … per …".
_SAME_FIGURE = re.compile(
    r"\b(?:most|fewest|(?:high|low|larg|great|small)est) (?=(?:total )?(?:number|count|share) of)"
    r"|\btotal (?=number of)|\bper\b|\b(?:for|of|in|by) each\b"
)
# "Of" that leads to no other entity.
_NO_STEP = re.compile(
    r"\b(?:number|count|list|kinds?|types?|sort|all|each|one|any|meaning|definition|label"
    r"|name|comment|description|iri|uri|identifier) of\b"
)
_HOP = re.compile(
    r"\bof (?=[a-z])|(?<=[a-z])['’]s? (?=[a-z])"
    r"|(?<=[a-z] )(?:that|which|who|whom|whose|where) (?=[a-z])"
    r"|(?<!\bis )(?<!\bare )(?<!\bwas )(?<!\bwere )(?<!\bbeen )(?<!\bdid )"
    r"\b(?:[a-z]{2,}ed|made|led|written|held|taught|sold|built|given|run) (?:by|in|at|for|to)\b"
    r"|\band (?:their|its|his|her|what|how|which|who|where|when)\b"
)
_ANY_LENGTH = re.compile(
    r"\b(?:indirect(?:ly)?|transitive(?:ly)?|paths?|chains?|ancestors?|descendants?|connected"
    r"|linked|in common|shared? (?:by|the same))\b"
)
_ENTITY = r"(?:an? |the )?[\w-]+(?: [\w-]+){0,3}"
_LOOKUP = re.compile(
    rf"(?:what|who)(?: is| are| was) (?:the \w+ of )?{_ENTITY}"
    rf"|what does {_ENTITY} (?:mean|stand for)"
    rf"|(?:please )?(?:define|describe|explain|look up|find|show|tell me about) {_ENTITY}"
    rf"|(?:is|are) there {_ENTITY}|does {_ENTITY} exist"
    r"|(?!(?:wh\w+|how) )(?:[\w-]+ ?){0,3}"
)


def level_of(question: str) -> int:
    """Give the curriculum level of a question, 1 to 5.

    The words of an English question tell what its query has to do; names in quotes, IRIs and
    prefixed names are passed over.

    1. **Lookup**: one entity, what it is or is called. "What is prov:Activity?"
    2. **Relation**: one step from an entity, or one list. "Which properties have Activity as
       their domain?"; also everything of which the words tell nothing.
    3. **Aggregation**: counts, sums, averages, superlatives, comparisons. "How many classes?"
    4. **Condition**: a filter, a negation, or conditions that hold together. "Which agents have
       no label?", "orders of more than 100 euros".
    5. **Combination**: two steps or more from what is named ("the head of the department of
       Ada"), a step beside an aggregate and a condition, an aggregate of an aggregate ("the
       highest average"), an aggregate under two conditions, or a chain of any length
       ("indirectly").

    Args:
        question: What a user asks; the first 2,000 characters are looked at.

    Returns:
        A key of ``LEVELS``; never anything else.

    Example:
        >>> level_of("What is prov:Activity?"), level_of("How many agents have no label?")
        (1, 4)
        >>> LEVELS[level_of("Who heads the department of the author of this book?")]
        'combination'
    """
    told = " ".join(_NAME.sub(" something ", question[:_MAX_CHARS]).lower().split())
    told = _SHORT.sub(r"\1 is", told).rstrip(" .?!")
    conditions = len(_CONDITION.findall(told))
    # "At most 5" is a condition and no superlative.
    rest = _CONDITION.sub(" , ", told)
    aggregates = len(_AGGREGATE.findall(_SAME_FIGURE.sub("", rest)))
    counted = bool(_AGGREGATE.search(rest))
    hops = len(_HOP.findall(_NO_STEP.sub(" ", rest)))
    if _ANY_LENGTH.search(told) or hops > 1 or aggregates > 1:
        return 5
    if counted and (conditions > 1 or (conditions and hops)):
        return 5
    if conditions:
        return 4
    if counted:
        return 3
    return 1 if not hops and _LOOKUP.fullmatch(told) else 2
