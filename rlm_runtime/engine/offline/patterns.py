"""The wordings by which the offline explorer knows a kind of question: a table, in English."""

from __future__ import annotations

import re

__all__ = [
    "BEYOND",
    "GENERIC",
    "KINDS",
    "LANGUAGES",
    "LEADS",
    "PATTERNS",
    "STOP_WORDS",
    "TAILS",
    "THERE",
]

_ANY = ("class", "property", "instance")

KINDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "ask_subclass": (_ANY, _ANY),
    "ask_disjoint": (_ANY, _ANY),
    "ask_type": (_ANY, _ANY),
    "related": (_ANY, _ANY),
    "compared": (_ANY, _ANY),
    "superclasses": (_ANY,),
    "superproperties": (("property",),),
    "subclasses": (_ANY,),
    "subproperties": (("property",),),
    "domain_of": (_ANY,),
    "range_of": (_ANY,),
    "domain_range": (("property",),),
    "domain": (("property",),),
    "range": (("property",),),
    "inverse": (("property",),),
    "labels": (_ANY,),
    "disjoint": (_ANY,),
    "equivalent": (_ANY,),
    "types": (("instance", "property", "class"),),
    "instances": (("class",),),
    "all": (),
    "overview": (),
    "definition": (_ANY,),
    # Here x is what has the value, and y what the value is called.
    "values": (("instance", "class", "property"), ("property", "class")),
    "linked": (),
}
"""Kinds of question; for each thing named, the kinds of entity it may be, likeliest first."""

_X, _Y = r"(?P<x>.+?)", r"(?P<y>.+?)"
_SUB = (
    r"(?:sub-? ?class(?:es)?|sub-? ?types?|sub-? ?categor(?:y|ies)|kinds|types|varieties"
    r"|speciali[sz]ations?|child(?:ren)?(?: class(?:es)?)?|descendants?|narrower(?: [a-z]+)?)"
)
_SUPER = (
    r"(?:super-? ?class(?:es)?|super-? ?types?|parents?(?: class(?:es)?)?|ancestors?"
    r"|generali[sz]ations?|broader(?: [a-z]+)?)"
)
_PROPERTIES = r"(?:propert(?:y|ies)|predicates?|attributes?|relations?|fields?)"
_SUB_P, _SUPER_P = r"sub-? ?propert(?:y|ies)", r"super-? ?propert(?:y|ies)"
_CLASSES = r"(?:class(?:es)?|concepts?|terms?)"
_HAVE = r"(?:do|does|can|may|should|must)"
_WHAT = r"(?:what|which|who)(?:'s)?"

LANGUAGES = {
    "english": "en",
    "german": "de",
    "french": "fr",
    "spanish": "es",
    "italian": "it",
    "dutch": "nl",
    "portuguese": "pt",
    "polish": "pl",
    "russian": "ru",
    "chinese": "zh",
    "japanese": "ja",
    "arabic": "ar",
}
"""Names of languages and their tags."""

_LANGUAGE = rf"(?P<language>{'|'.join(LANGUAGES)})"

# The first that fits decides: what is more specific stands first.
PATTERNS: tuple[tuple[str, str], ...] = (
    ("overview", r"^what (?:is|does) (?:this|the) (?:ontology|vocabulary|graph|data(?:set)?)\b"),
    (
        "all",
        r"^(?:what |which )?(?P<what>classes|(?:object|data|datatype|annotation) properties) "
        rf"{_HAVE} .+ have$",
    ),
    (
        "all",
        r"^(?:what |which )?(?:are )?(?:all )?(?:of )?(?:the )?(?P<what>(?:(?:object|data"
        r"|datatype|annotation) )?properties|classes|concepts|individuals|instances|triples"
        rf"|statements)(?: are)?(?: defined| declared| {_HAVE} (?:it|(?:this|the) [a-z]+) have"
        rf"| {_HAVE} .+ (?:define|contain|declare|include))?$",
    ),
    ("ask_subclass", rf"^(?:is|are) {_X} (?:an? )?(?:direct )?(?:{_SUB}|kind|type) of {_Y}$"),
    ("ask_subclass", rf"^(?:is|are) {_X} (?:an? )?(?:direct )?{_SUB_P} of {_Y}$"),
    ("ask_subclass", rf"^do(?:es)? {_X} (?:inherit from|speciali[sz]e|extend) {_Y}$"),
    ("ask_disjoint", rf"^(?:is|are) {_X} disjoint (?:with|from|to) {_Y}$"),
    ("ask_disjoint", rf"^are {_X} and {_Y} disjoint$"),
    ("definition", rf"^(?:is|are) there (?:an? |any )?(?:[a-z]+ )?(?:called|named|for) {_X}$"),
    ("definition", rf"^do(?:es)? {_X} exist$"),
    (
        "definition",
        rf"^do(?:es)? .+ (?:have|define|contain|declare|include) (?:an? )?(?:{_CLASSES}"
        rf"|{_PROPERTIES})(?: called| named| for)? {_X}$",
    ),
    ("inverse", rf"^do(?:es)? {_X} have (?:an? |any )?inverse"),
    ("subclasses", rf"^do(?:es)? {_X} have (?:any )?{_SUB}$"),
    ("ask_type", rf"^(?:is|are) {_X} (?:an?|instances? of) {_Y}$"),
    ("compared", rf"\bdifferences? between {_X} and {_Y}$"),
    (
        "related",
        rf"\bhow (?:are|is|do|does|can) {_X} (?:and|to|with) {_Y} "
        r"(?:be )?(?:related|connected|linked|relate|connect|interact)",
    ),
    (
        "related",
        rf"\bhow (?:are|is|do|does|can) {_X} (?:be )?(?:related?|connect(?:ed)?"
        rf"|link(?:ed)?)(?: to| with)? {_Y}$",
    ),
    (
        "related",
        rf"\b(?:relation(?:ship)?s?|connections?|links?|paths?|{_PROPERTIES})(?: are there"
        rf"| exist)? (?:between|from) {_X} (?:and|to|with) {_Y}$",
    ),
    (
        "related",
        r"\b(?:link|connect|relate|join|lead|point|go)(?:e?s|ing)?(?: from| an?)? "
        rf"{_X} (?:and|to|with) {_Y}$",
    ),
    ("related", rf"\bdomain (?:is |of |an? )*{_X} and (?:with |the |an? )*range (?:is |of )?{_Y}$"),
    ("superproperties", rf"\b(?:is|are) {_X} (?:an? )?(?:direct )?{_SUB_P} of$"),
    ("superproperties", rf"\b{_SUPER_P} (?:of|for) {_X}$"),
    ("superproperties", rf"\b{_SUPER_P} {_HAVE} {_X} have$"),
    ("subproperties", rf"\b{_SUB_P} (?:of|for) {_X}$"),
    ("subproperties", rf"\b{_SUB_P} {_HAVE} {_X} have$"),
    ("superclasses", rf"\b(?:is|are) {_X} (?:an? )?(?:direct )?(?:{_SUB}|kind|type) of$"),
    ("superclasses", rf"\b{_SUPER} (?:of|for|to) {_X}$"),
    ("superclasses", rf"\b{_SUPER} {_HAVE} {_X} have$"),
    ("superclasses", rf"\b(?:broader|more general) than {_X}$"),
    (
        "superclasses",
        rf"\b{_HAVE} {_X} (?:inherit|derive|descend|speciali[sz]e|extend)"
        r"(?: from)?$",
    ),
    (
        "types",
        rf"\b(?:types?|kind|sort) of (?:thing|entity|resource|property|object) "
        rf"(?:is|are) {_X}$",
    ),
    ("types", rf"^(?:what is )?(?:the )?(?:rdf:)?type of {_X}$"),
    (
        "types",
        rf"\b(?:which|what) (?:class(?:es)?|types?) (?:is|are|does|do) {_X} "
        r"(?:in|an? instance of|an? member of|of|belong to|have)$",
    ),
    ("types", rf"^what (?:class|type) is {_X}$"),
    ("subclasses", rf"\b{_SUB} (?:of|for|under) {_X}$"),
    ("subclasses", rf"\b{_SUB} {_HAVE} {_X} have$"),
    ("subclasses", rf"\b(?:inherits?|derived?|derives|descends?) from {_X}$"),
    ("subclasses", rf"\b(?:speciali[sz]es?|extends?|narrower than) {_X}$"),
    ("range_of", rf"\b{_PROPERTIES}\b.* have {_X} as (?:an? |their |its )?range$"),
    ("range_of", rf"\b{_PROPERTIES}\b.*\branges? (?:is |are |of |includes? |an? )*{_X}$"),
    ("range_of", rf"\b{_PROPERTIES}\b.*\b(?:points?|leads?) to {_X}$"),
    ("domain_of", rf"\b{_PROPERTIES}\b.* have {_X} as (?:an? |their |its )?domain$"),
    ("domain_of", rf"\b{_PROPERTIES}\b.*\bdomains? (?:is |are |of |includes? |an? )*{_X}$"),
    ("domain_range", rf"\bdomains? and (?:the |its )?ranges? (?:of|for) {_X}$"),
    ("domain_range", rf"\branges? and (?:the |its )?domains? (?:of|for) {_X}$"),
    ("domain_range", rf"\b{_CLASSES} {_HAVE} {_X} (?:link|connect|relate|join)$"),
    ("domain", rf"\bdomains? (?:of|for) {_X}$"),
    ("range", rf"\branges? (?:of|for) {_X}$"),
    ("domain", rf"\bdomains? {_HAVE} {_X} have$"),
    ("range", rf"\branges? {_HAVE} {_X} have$"),
    ("inverse", rf"\b(?:inverse|opposite)s?(?: [a-z]+)? (?:of|for|to) {_X}$"),
    ("inverse", rf"\b(?:is|are) {_X} (?:the )?inverse of$"),
    ("labels", rf"\b{_LANGUAGE} (?:labels?|names?|words?|terms?) (?:of|for) {_X}$"),
    ("labels", rf"\b(?:is|are) {_X} (?:called|named) in {_LANGUAGE}$"),
    ("labels", rf"\b(?:labels?|synonyms?) (?:of|for) {_X}(?: in {_LANGUAGE})?$"),
    ("disjoint", rf"\bdisjoint (?:with|from|to) {_X}$"),
    ("disjoint", rf"\b(?:is|are) {_X} disjoint(?: with| from| to)?$"),
    ("equivalent", rf"\b(?:equivalent|same as|identical)(?: [a-z]+)? (?:of|to|as|with) {_X}$"),
    ("instances", rf"\b(?:instances?|individuals?|examples?)(?: of type| of| for) {_X}$"),
    ("instances", rf"\b(?:instances?|individuals?|examples?) {_HAVE} {_X} have$"),
    ("domain_of", rf"\b{_PROPERTIES} (?:of|for|on|about) {_X}$"),
    ("domain_of", rf"\b{_PROPERTIES} {_HAVE} {_X} have$"),
    (
        "domain_of",
        rf"\b{_PROPERTIES} (?:that |which |are |can |may |be )*(?:apply|applies|applied|used"
        rf"|available|applicable|defined|belong)(?: to| with| on| for| by| in)* {_X}$",
    ),
    (
        "definition",
        rf"\b(?:meaning|definition|description|comment|documentation) (?:of|for|on) "
        rf"{_X}$",
    ),
    ("values", rf"^(?:{_WHAT}|where|when)(?: is| are| was| were)? (?:the )?{_Y} (?:of|for) {_X}$"),
    ("values", rf"^(?:{_WHAT} )?{_Y} {_HAVE} {_X} have$"),
    ("values", rf"^(?:{_WHAT}(?: is| are| was| were)? )?{_X}['’]s {_Y}$"),
    (
        "definition",
        rf"^what (?:does|do) {_X} (?:mean|stand for|denote|represent|describe"
        r"|refer to|do)$",
    ),
    ("instances", rf"^who are {_X}$"),
    (
        "definition",
        rf"^{_WHAT}(?: is| are| was| were|(?<='s))(?: meant by)? {_X}"
        r"(?: about| (?:used )?for)?$",
    ),
    ("definition", rf"^(?:define|describe|explain|about) {_X}$"),
)
"""Kind of question and regular expression; ``x`` and ``y`` name the things asked about."""

THERE = r"(?:(?: (?:are|is))? (?:there|exist(?:s|ing)?)| do(?:es)? (?:we|you|it|they) have)$"
"""Endings of a question for all that there is of something."""

LEADS = (
    r"(?:please|kindly|hello|hi|hey|so|ok(?:ay)?|now)\b[ ,:]*"
    r"|(?:can|could|would|will) you (?:please )?"
    r"|(?:i (?:want|need|would like|'d like)|i'd like) to (?:know|see|understand) "
    r"|do you know |tell (?:me|us) (?:everything |something |more |all )?"
    r"(?=about|what|which|who|how|the)"
    r"|(?:show|give) (?:me|us) (?=the|all|an?|what|which|\w)|according to [^,]+, "
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
