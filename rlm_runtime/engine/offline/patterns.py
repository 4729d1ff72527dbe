"""The wordings by which the offline explorer knows a kind of question: a table, in English."""

from __future__ import annotations

import re

__all__ = ["ANY", "BEYOND", "GENERIC", "HAVE", "KINDS", "LANGUAGES", "LEADS", "PATTERNS"]
__all__ += ["STOP_WORDS", "TAILS", "THERE"]

ANY = ("class", "property", "instance")
"""The kinds of entity, as questions mean them most often."""

KINDS: dict[str, tuple[tuple[str, ...], ...]] = {
    **dict.fromkeys(("superproperties", "subproperties", "domain", "range"), (("property",),)),
    **dict.fromkeys(("domain_range", "inverse"), (("property",),)),
    "instances": (("class",),),
    "types": (("instance", "property", "class"),),
    # Here x is what has the value, and y what the value is called.
    "values": (("instance", "class", "property"), ("property", "class")),
}
"""For each thing named in a kind of question, the kinds of entity it may be, likeliest first."""

LANGUAGES = dict(
    re.findall(
        r"(\w+)=(\w+)",
        "english=en german=de french=fr spanish=es italian=it dutch=nl portuguese=pt polish=pl "
        "russian=ru chinese=zh japanese=ja arabic=ar",
    )
)
"""Names of languages and their tags."""

_WORDS = {
    "X": "(?P<x>.+?)",
    "Y": "(?P<y>.+?)",
    "SUB": "(?:sub-? ?(?:class(?:es)?|types?)|kinds?|types?|child(?:ren)?(?: class(?:es)?)?"
    "|speciali[sz]ations?|descendants?|narrower(?: [a-z]+)?)",
    "SUPER": "(?:super-? ?(?:class(?:es)?|types?)|parents?(?: class(?:es)?)?|ancestors?"
    "|generali[sz]ations?|broader(?: [a-z]+)?)",
    "SUBP": "sub-? ?propert(?:y|ies)",
    "SUPERP": "super-? ?propert(?:y|ies)",
    "PROPS": "(?:propert(?:y|ies)|predicates?|attributes?|relations?|fields?)",
    "BE": "(?:is|are)",
    "HAVE": "(?:do|does|can|may|should|must)",
    "WHAT": "(?:what|which|who)(?:'s)?",
    "OF": "(?:of|for|to|on|about|under|from|with)",
    "A": "(?:an? |any |the )?(?:direct )?",
    "SORT": "(?P<what>(?:(?:object|data|datatype|annotation) )?properties|classes|concepts"
    "|individuals|instances|triples)",
    "LANG": f"(?P<language>{'|'.join(LANGUAGES)})",
}
# The first that fits decides: what is more specific stands first.
_TABLE = r"""
overview ^what (?:is|does) (?:this|the) (?:ontology|vocabulary|graph|data(?:set)?)\b
all ^(?:what |which )?(?:are )?(?:all )?(?:of )?(?:the )?<SORT>(?: are)?(?: defined| declared)?$
all ^(?:what |which )?(?:all )?<SORT> <HAVE> .+ (?:have|define|contain|declare|include)$
ask_subclass ^<BE> <X> <A>(?:<SUB>|<SUBP>) of <Y>$
ask_subclass ^do(?:es)? <X> (?:inherit from|speciali[sz]e|extend) <Y>$
ask_disjoint ^<BE> <X> disjoint <OF> <Y>$
ask_disjoint ^are <X> and <Y> disjoint$
definition ^<BE> there <A>(?:[a-z]+ )?(?:called|named|for) <X>$
inverse ^do(?:es)? <X> have <A>inverse
subclasses ^do(?:es)? <X> have <A><SUB>$
ask_type ^<BE> <X> (?:an?|instances? of) <Y>$
compared \bdifferences? between <X> and <Y>$
related \bhow (?:<BE>|<HAVE>) <X> (?:and|to|with) <Y> (?:be )?(?:related?|connect|linked|interact)
related \bhow (?:<BE>|<HAVE>) <X> (?:be )?(?:related?|connect(?:ed)?|linked)(?: to| with)? <Y>$
related \b(?:relation(?:ship)?s?|connections?|links?|<PROPS>) (?:between|from) <X> (?:and|to) <Y>$
related \b(?:link|connect|relate|join|lead)(?:s|ing)?(?: from| an?)? <X> (?:and|to|with) <Y>$
superproperties \b<BE> <X> <A><SUBP> of$
superproperties \b<SUPERP> <OF> <X>$
subproperties \b<SUBP> <OF> <X>$
superclasses \b<BE> <X> <A><SUB> of$
superclasses \b(?:<SUPER> <OF>|broader than|more general than) <X>$
superclasses \b<HAVE> <X> (?:inherit|derive|descend|speciali[sz]e|extend)(?: from)?$
types \b(?:type|kind|sort) of (?:thing|entity|resource|property|object) <BE> <X>$
types ^(?:what is )?(?:the )?(?:rdf:)?type of <X>$
types ^(?:what|which) (?:class|type) (?:is|does) <X>(?: an instance of| belong to)?$
subclasses \b<SUB> <OF> <X>$
subclasses \b(?:inherits?|derived?|derives|descends?) from <X>$
subclasses \b(?:speciali[sz]es?|extends?|narrower than) <X>$
range_of \b<PROPS>\b.* have <X> as (?:an? |their |its )?range$
range_of \b<PROPS>\b.*\branges? (?:is |are |of |includes? |an? )*<X>$
domain_of \b<PROPS>\b.* have <X> as (?:an? |their |its )?domain$
domain_of \b<PROPS>\b.*\bdomains? (?:is |are |of |includes? |an? )*<X>$
domain_range \b(?:domains? and (?:the |its )?range|ranges? and (?:the |its )?domain)s? <OF> <X>$
domain_range \b(?:classes|concepts) <HAVE> <X> (?:link|connect|relate|join)$
domain \bdomains? <OF> <X>$
range \branges? <OF> <X>$
inverse \b(?:inverse|opposite)s?(?: [a-z]+)? <OF> <X>$
inverse \b<BE> <X> <A>inverse of$
labels \b<LANG> (?:labels?|names?|words?|terms?) <OF> <X>$
labels \b<BE> <X> (?:called|named) in <LANG>$
labels \b(?:labels?|synonyms?) <OF> <X>(?: in <LANG>)?$
disjoint \bdisjoint <OF> <X>$
disjoint \b<BE> <X> disjoint(?: with| from| to)?$
equivalent \b(?:equivalent|same as|identical)(?: [a-z]+)? (?:of|to|as|with) <X>$
instances \b(?:instances?|individuals?|examples?)(?: of type)? <OF> <X>$
domain_of \b<PROPS> <OF> <X>$
domain_of \b<PROPS> (?:<BE>|<HAVE>|that|be| )*(?:apply|used|defined) (?:to|with|on|for) <X>$
definition \b(?:meaning|definition|description|comment) <OF> <X>$
values ^(?:<WHAT>|where|when)(?: is| are| was| were)? (?:the )?<Y> (?:of|for) <X>$
values ^(?:<WHAT>(?: is| are| was| were)? )?<X>['’]s <Y>$
definition ^what (?:does|do) <X> (?:mean|stand for|denote|represent|describe|do)$
instances ^who are <X>$
definition ^<WHAT>(?: is| are| was| were|(?<='s))(?: meant by)? <X>(?: about| (?:used )?for)?$
definition ^(?:define|describe|explain|about) <X>$
"""


def _pattern(line: str) -> tuple[str, str]:
    kind, _, pattern = line.partition(" ")
    return kind, re.sub("<([A-Z]+)>", lambda word: _WORDS[word[1]], pattern)


PATTERNS = tuple(map(_pattern, _TABLE.strip().splitlines()))
"""Kind of question and regular expression; ``x`` and ``y`` name the things asked about."""

HAVE = rf"^(.+?) {_WORDS['HAVE']} (?!(?:we|you|it|they) )(.+) have$"
"""What can be said with "of" as well: "the subclasses that x has"."""

THERE = r"(?:(?: (?:are|is))? (?:there|exist(?:s|ing)?)| do(?:es)? (?:we|you|it|they) have)$"
"""Endings of a question for all that there is of something."""

LEADS = (
    r"(?:please|kindly|hello|hi|hey|so|ok(?:ay)?|now)\b[ ,:]*|(?:can|could|would|will) you |"
    r"(?:i (?:want|need|would like|'d like)|i'd like) to (?:know|see|understand) |do you know "
    r"|tell (?:me|us) (?:everything |something |more |all )?"
    r"|(?:show|give) (?:me|us) |according to [^,]+, "
)
"""Polite beginnings that say nothing about the kind of question."""

TAILS = (
    r" (?:in|within|of|from|by|according to) (?:this|the|our|your) (?:[\w.-]+ )?"
    r"(?:ontology|vocabulary|graph|knowledge graph|data(?:set)?|model|schema)"
    r"|,? please|(?: directly| here|,? in total| in all| altogether)"
)
"""Endings that say nothing about the kind of question."""

BEYOND = (
    r"\b(?:most|least|fewest|largest|biggest|smallest|highest|lowest|oldest|newest|youngest"
    r"|latest|earliest|longest|shortest|cheapest|recently|average|mean|median|sum|total|maximum"
    r"|minimum|top|than|after|before|since|until|between|without|except|no|not|never|none|neither"
    r"|per|today|only|both|why|includ(?:ed|ing))\b|n't\b"
)
"""Words that ask for comparing, excluding or computing, which the rules do not do."""

GENERIC = (
    "class|classes|property|properties|concept|concepts|term|terms|relation|relationship"
    "|predicate|instance|individual|entity|object property|datatype property|resource|thing"
)
"""Nouns put before or after a name to say what it names."""

STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a about all am an and any are as at be been being by can could did do does each every "
        "for from had has have her his how i if in is it its list many may me much must my name "
        "of on one or our s shall she should show some such that the their them then there these "
        "they this those to us was we were what when where which who whom whose will with would "
        "you your",
    )
)
"""Words that name nothing by themselves."""
