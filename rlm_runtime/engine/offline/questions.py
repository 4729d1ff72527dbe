"""Reads a question by rules: what kind it is, and the phrases that name things in it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rlm_runtime.engine.offline import patterns

__all__ = ["Question", "Wanted", "read_question"]

_MAX_QUESTION = 400
_MAX_PARTS = 10
_MAX_CHUNKS = 5

_COUNT = re.compile(
    r"^(?:and )?(?:how many|count(?: up)?|(?:what is )?(?:the )?(?:total )?number of) "
    r"(?:different |distinct )?(?:all )?(?:of )?(?:the )?(?=\S)",
    re.I,
)
_LIST = re.compile(r"^(?:list|show|give|name|enumerate|find|get|print|return) (?=\S)", re.I)
_INDIRECT = re.compile(r"\b(?:all|every|indirect(?:ly)?|transitive(?:ly)?|descendants?)\b", re.I)
_QUOTED = re.compile(r"[\"“”«»`]([^\"“”«»`]+)[\"“”«»`]|(?<!\w)['‘]([^'‘’]+)['’](?!\w)")
_WORD = re.compile(r"<[^<>\s]+>|[\w.-]*:[^\s,;?!]+|[^\W_][\w'’.-]*|[^\W_]")
_ARTICLES = re.compile(r"^(?:the|an?|any|all|each|every|some|this|that)(?: of)?(?: the)? ", re.I)
# What may stand around a name to say what it names.
_AROUND = (
    re.compile(rf"^(?:{patterns.GENERIC})(?: (?:called|named))? (?=\S)", re.I),
    re.compile(rf"(?<=\S) (?:{patterns.GENERIC})$", re.I),
    re.compile(r"(?<=\S) (?:in|within) \S+$", re.I),
)


@dataclass(frozen=True)
class Wanted:
    """Something that a question names.

    Attributes:
        text: The words as the question has them.
        full: Phrases that stand for the whole of it, best first.
        parts: Shorter phrases, each naming perhaps a part of it.
        kinds: The kinds of entity that it may be, likeliest first.
    """

    text: str
    full: tuple[str, ...]
    parts: tuple[str, ...] = ()
    kinds: tuple[str, ...] = patterns.ANY


@dataclass(frozen=True)
class Question:
    """A question as far as the rules understand it.

    Attributes:
        kind: One of those in ``patterns.PATTERNS``, or ``linked`` when none fits.
        wanted: What it names: x first, then y, or in the question's order.
        count: True when the number is asked for.
        indirect: True when the whole hierarchy is asked for, not just its next step.
        what: A further word of the kind: which list, or the tag of a language.
        beyond: The word in it that asks for more than the rules can follow, or "".
    """

    kind: str
    wanted: tuple[Wanted, ...] = ()
    count: bool = False
    indirect: bool = False
    what: str = ""
    beyond: str = ""


def read_question(text: str) -> Question:
    """Read a question.

    Args:
        text: In English; anything else is searched for the names in it.

    Example:
        >>> question = read_question("How many subclasses does the class Agent have?")
        >>> question.kind, question.count, question.wanted[0].full
        ('subclasses', True, ('class Agent', 'Agent'))
    """
    asked = _trimmed(text)
    count = _COUNT.match(asked)
    begin = count or _LIST.match(asked)
    rest = asked[begin.end() :] if begin else asked
    there = re.search(patterns.THERE, rest, re.I)
    rest = rest[: there.start()] if there else rest
    if begin or there:
        rest = _ARTICLES.sub("", re.sub(r"^(?:what|which) ", "", rest, flags=re.I))
    beyond, indirect = _beyond(asked), _INDIRECT.search(asked) is not None
    shared = {"count": count is not None, "indirect": indirect, "beyond": beyond}
    for kind, pattern in patterns.PATTERNS:
        found = re.search(pattern, rest, re.I)
        groups = {key: words for key, words in found.groupdict().items() if words} if found else {}
        named = [groups[key] for key in ("x", "y") if key in groups]
        if found is None or not all(map(_names, named)):
            continue
        if kind == "definition" and (count or _beyond(named[0])):
            continue
        # Between and than belong to the patterns themselves.
        outside = re.sub(r"\b(?:between|than|mean)\b", " ", rest, flags=re.I)
        for words in named:
            outside = outside.replace(words, " ")
        if _beyond(outside):
            break
        kinds = patterns.KINDS.get(kind, (patterns.ANY, patterns.ANY))
        things = tuple(_wanted(*thing) for thing in zip(named, kinds, strict=False))
        what = (groups.get("what") or groups.get("language") or "").lower()
        return Question(kind, things, what=patterns.LANGUAGES.get(what, what), **shared)
    if (begin or there) and len(_WORD.findall(rest)) <= 3 and _names(rest) and not beyond:
        return Question("instances", (_wanted(rest, ("class",)),), **shared)
    return Question("linked", tuple(_chunks(rest)), **shared)


def _trimmed(text: str) -> str:
    asked = " ".join(text.split())[:_MAX_QUESTION].strip(" ?!.")
    around = rf"^(?:{patterns.LEADS})|(?:{patterns.TAILS})$"
    for _ in range(4):
        shorter = re.sub(around, "", asked, flags=re.I).strip(" ?!.,")
        asked = re.sub(patterns.HAVE, r"\1 of \2", shorter, flags=re.I) or asked
    return asked


def _beyond(text: str) -> str:
    """Give the first word that asks for more than the rules can follow; names are none."""
    said = re.sub(r"<\S*>|\S*:\S*", " ", _QUOTED.sub(" ", text))
    found = re.search(patterns.BEYOND, said, re.I)
    return found[0].lower() if found else ""


def _names(text: str) -> bool:
    """Say whether any word of a text can name something."""
    return any(word.lower() not in patterns.STOP_WORDS for word in _WORD.findall(text))


def _wanted(text: str, kinds: tuple[str, ...]) -> Wanted:
    text = text.strip(" ,;:")
    quoted = _QUOTED.search(text)
    if quoted:
        return Wanted(text, ((quoted[1] or quoted[2]).strip(),), (), kinds)
    full = [_ARTICLES.sub("", text)]
    words = _WORD.findall(full[0])[:8]
    for around in _AROUND:
        full.append(around.sub("", full[-1]))
    full = [phrase for phrase in dict.fromkeys(full) if _names(phrase)]
    runs = [
        words[start : start + length]
        for length in range(len(words) - 1, 0, -1)
        for start in range(len(words) - length + 1)
    ]
    ends = patterns.STOP_WORDS.isdisjoint
    parts = [" ".join(run) for run in runs if ends((run[0].lower(), run[-1].lower()))]
    parts = [part for part in dict.fromkeys(parts) if part not in full]
    return Wanted(text, tuple(full), tuple(parts[:_MAX_PARTS]), kinds)


def _chunks(text: str) -> list[Wanted]:
    """Cut a text of no known kind at its little words; each piece may name something."""
    pieces = [quoted[0] for quoted in _QUOTED.finditer(text)]
    run: list[str] = []
    for word in [*_WORD.findall(_QUOTED.sub(" the ", text)), "the"]:
        if word.lower() not in patterns.STOP_WORDS:
            run.append(word)
        elif run:
            pieces.append(" ".join(run))
            run = []
    return [_wanted(piece, patterns.ANY) for piece in pieces[:_MAX_CHUNKS]]
