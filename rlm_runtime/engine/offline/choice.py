"""Takes the words of a question for entities that a search found: all of the words, or none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from rlm_runtime.engine.offline.patterns import GENERIC, STOP_WORDS
from rlm_runtime.engine.offline.questions import Wanted
from rlm_runtime.engine.offline.search import Found
from rlm_runtime.ontology.text import local_name, search_key, words

__all__ = ["Choice", "choose", "choose_several"]


@dataclass(frozen=True)
class Choice:
    """What something named in a question was taken for.

    Attributes:
        wanted: What the question has.
        entities: What it was taken for: several when they are called the same.
        others: Further entities of that name, but of another kind.
        near: What is called alike, when it was taken for nothing.
        inexact: True when the name is not quite the one in the question.
        beside: Entities named beside it in the same words.
        unknown: Words of the question that nothing is called.
    """

    wanted: Wanted
    entities: tuple[Found, ...] = ()
    others: tuple[Found, ...] = ()
    near: tuple[Found, ...] = ()
    inexact: bool = False
    beside: tuple[Found, ...] = ()
    unknown: tuple[str, ...] = ()


def choose(wanted: Wanted, matches: Sequence[Found]) -> Choice:
    """Take the words for an entity, all of them, or else for none."""
    whole = [m for m in matches if m.phrase in wanted.full]
    best = _best(sorted(whole, key=lambda m: wanted.full.index(m.phrase)), wanted.kinds)
    if best:
        same, others = best
        return Choice(wanted, same, others, inexact=_level(same[0]) > 0)
    picked, unknown = _cover(wanted, matches)
    if picked and not unknown:
        order = {"instance": 0, "property": 1, "class": 2}
        first, *rest = sorted(picked, key=lambda found: order.get(found[0].kind, 3))
        return Choice(wanted, first, beside=tuple(found[0] for found in rest))
    return Choice(wanted, near=_near(wanted, matches), unknown=tuple(unknown))


def choose_several(wanted: Wanted, matches: Sequence[Found]) -> list[Choice]:
    """Take the words for as many entities as they name."""
    whole = choose(wanted, matches)
    if whole.entities and not whole.beside:
        return [whole]
    picked, unknown = _cover(wanted, matches)
    chosen = [Choice(wanted, found, inexact=_level(found[0]) > 0) for found in picked]
    if unknown or not chosen:
        chosen.append(Choice(wanted, near=whole.near, unknown=tuple(unknown)))
    return chosen


def _best(
    matches: Sequence[Found], kinds: Sequence[str]
) -> tuple[tuple[Found, ...], tuple[Found, ...]] | None:
    accepted = [m for m in matches if _level(m) < 3]
    if not accepted:
        return None
    level = min(_level(m) for m in accepted)
    alike = [m for m in accepted if _level(m) == level]
    fitting = [m for m in alike if m.kind in kinds]
    if not fitting:
        return tuple(alike[:1]), ()
    # Who writes a capital means it: "Entity" is not "entity".
    spelt = [m for m in fitting if m.phrase in (m.matched, m.label) and not m.phrase.islower()]
    kind = min((m.kind for m in spelt or fitting), key=kinds.index)
    same = [m for m in fitting if m.kind == kind]
    # Of names that hold the words and more, those with the least more; of misspelt ones, one.
    if level == 1:
        least = min(len(words(m.matched)) for m in same)
        same = [m for m in same if len(words(m.matched)) == least]
    elif level == 2:
        same = same[:1]
    others = [m for m in alike if m.kind != kind] if level == 0 else []
    return tuple(_unique(same)[:5]), tuple(_unique(others)[:3])


def _level(found: Found) -> int:
    """Say how far a match is from what was looked for: 0 the same … 3 something else."""
    if found.rank == "exact":
        return 0
    asked = words(found.phrase)
    texts = (found.matched, found.label, local_name(found.iri.strip("<>")))
    if found.rank in ("prefix", "words") and any(
        set(asked) <= set(words(text)) and len(words(text)) <= 2 * len(asked) for text in texts
    ):
        return 1
    if len(asked) != len(words(found.matched)) and " " in found.phrase:
        return 3
    key = search_key(found.phrase)
    alike = SequenceMatcher(None, key, search_key(found.matched)).ratio()
    return 2 if alike >= 0.85 and len(key) > 4 else 3


def _cover(wanted: Wanted, matches: Sequence[Found]) -> tuple[list[tuple[Found, ...]], list[str]]:
    """Find entities for parts of the words, the longest first; give also the words left over."""
    left = _content(wanted.text)
    picked = []
    for part in (*wanted.full, *wanted.parts):
        inside = _content(part)
        best = _best([m for m in matches if m.phrase == part], wanted.kinds)
        if best and inside and all(word in left for word in inside):
            picked.append(best[0])
            left = [word for word in left if word not in inside]
    return picked, [word for word in left if not re.fullmatch(GENERIC, word)]


def _content(text: str) -> list[str]:
    return [word for word in text.lower().split() if word not in STOP_WORDS]


def _near(wanted: Wanted, matches: Sequence[Found]) -> tuple[Found, ...]:
    text = search_key(wanted.full[-1] if wanted.full else wanted.text)
    scored = sorted(
        _unique(matches),
        key=lambda m: -SequenceMatcher(None, text, search_key(m.matched)).ratio(),
    )
    return tuple(scored[:3])


def _unique(matches: Iterable[Found]) -> list[Found]:
    return list({m.iri: m for m in matches}.values())
