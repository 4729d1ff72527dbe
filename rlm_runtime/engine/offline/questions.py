"""Reads a question by rules: what kind it is, and the phrases that name things in it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rlm_runtime.engine.offline.patterns import (
    BEYOND,
    GENERIC,
    KINDS,
    LANGUAGES,
    LEADS,
    PATTERNS,
    STOP_WORDS,
    TAILS,
    THERE,
)

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
_BEFORE = re.compile(rf"^(?:{GENERIC})(?: (?:called|named))? (?=\S)", re.I)
_BEHIND = re.compile(rf"(?<=\S) (?:{GENERIC})$", re.I)
_WITHIN = re.compile(r"(?<=\S) (?:in|within) \S+$", re.I)


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
    kinds: tuple[str, ...] = ("class", "property", "instance")


@dataclass(frozen=True)
class Question:
    """A question as far as the rules understand it.

    Attributes:
        kind: A key of ``patterns.KINDS``.
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
        ('subclasses', True, ('the class Agent', 'class Agent', 'Agent'))
    """
    asked = _trimmed(text)
    beyond = _beyond(asked)
    counted = _COUNT.match(asked)
    listed = None if counted else _LIST.match(asked)
    begin = counted or listed
    rest = asked[begin.end() :] if begin else asked
    there = re.search(THERE, rest, re.I)
    rest = rest[: there.start()] if there else rest
    listing = bool(begin or there)
    if listing:
        rest = _ARTICLES.sub("", re.sub(r"^(?:what|which) ", "", rest, flags=re.I))
    shared = {
        "count": counted is not None,
        "indirect": _INDIRECT.search(asked) is not None,
        "beyond": beyond,
    }
    for kind, pattern in PATTERNS:
        found = re.search(pattern, rest, re.I)
        if found is None or not all(_names(words) for words in _groups(found, "x", "y")):
            continue
        if kind == "definition" and (counted or _beyond(found["x"])):
            continue
        if _beyond(_outside(found)):
            break
        pairs = zip(_groups(found, "x", "y"), KINDS[kind], strict=False)
        things = tuple(_wanted(words, kinds) for words, kinds in pairs)
        what = "".join(_groups(found, "what", "language")).lower()
        return Question(kind, things, what=LANGUAGES.get(what, what), **shared)
    if listing and len(_WORD.findall(rest)) <= 3 and _names(rest) and not beyond:
        return Question("instances", (_wanted(rest, ("class",)),), **shared)
    return Question("linked", tuple(_chunks(rest)), **shared)


def _beyond(text: str) -> str:
    """Give the first word that asks for more than the rules can follow; names are none."""
    found = re.search(BEYOND, re.sub(r"<\S*>|\S*:\S*", " ", _QUOTED.sub(" ", text)), re.I)
    return found[0].lower() if found else ""


def _groups(found: re.Match[str], *names: str) -> list[str]:
    """Give the texts of those groups that the pattern has and that matched."""
    groups = found.groupdict()
    return [groups[name] for name in names if groups.get(name)]


def _outside(found: re.Match[str]) -> str:
    """Give the text without the things named in it, and without what the pattern compares by."""
    text = found.string
    for name in ("x", "y"):
        if name in found.groupdict():
            start, end = found.span(name)
            text = text[:start] + " " * (end - start) + text[end:]
    return re.sub(r"\b(?:between|than|mean)\b", " ", text, flags=re.I)


def _trimmed(text: str) -> str:
    asked = " ".join(text.split())[:_MAX_QUESTION].strip(" ?!.")
    for _ in range(4):
        shorter = re.sub(rf"^(?:{LEADS})", "", asked, count=1, flags=re.I)
        shorter = re.sub(rf"(?:{TAILS})$", "", shorter, count=1, flags=re.I).strip(" ?!.,")
        if shorter == asked or not shorter:
            break
        asked = shorter
    return asked


def _names(text: str) -> bool:
    """Say whether any word of a text can name something."""
    return any(word.lower() not in STOP_WORDS for word in _WORD.findall(text))


def _wanted(text: str, kinds: tuple[str, ...]) -> Wanted:
    text = text.strip(" ,;:")
    quoted = _QUOTED.search(text)
    if quoted:
        return Wanted(text, ((quoted[1] or quoted[2]).strip(),), (), kinds)
    full = [text]
    for shortened in (_ARTICLES, _BEFORE, _BEHIND, _WITHIN):
        full.append(shortened.sub("", full[-1]))
    full = list(dict.fromkeys(phrase for phrase in full if _names(phrase)))
    parts = [part for part in _parts(_ARTICLES.sub("", text)) if part not in full]
    return Wanted(text, tuple(full), tuple(parts[:_MAX_PARTS]), kinds)


def _parts(text: str) -> list[str]:
    """Give the runs of words that begin and end with a word that can name something."""
    words = _WORD.findall(text)[:8]
    parts = []
    for length in range(len(words) - 1, 0, -1):
        for start in range(len(words) - length + 1):
            run = words[start : start + length]
            if not {run[0].lower(), run[-1].lower()} & STOP_WORDS:
                parts.append(" ".join(run))
    return list(dict.fromkeys(parts))


def _chunks(text: str) -> list[Wanted]:
    """Cut a text of no known kind at its little words; each piece may name something."""
    pieces = [quoted[0] for quoted in _QUOTED.finditer(text)]
    run: list[str] = []
    for word in [*_WORD.findall(_QUOTED.sub(" the ", text)), "the"]:
        if word.lower() not in STOP_WORDS:
            run.append(word)
        elif run:
            pieces.append(" ".join(run))
            run = []
    return [_wanted(piece, ("class", "property", "instance")) for piece in pieces[:_MAX_CHUNKS]]
