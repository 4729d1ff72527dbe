"""Takes the words of a question for entities that a search found: all of the words, or none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from rlm_runtime.engine.offline.findings import Found
from rlm_runtime.engine.offline.patterns import GENERIC, STOP_WORDS
from rlm_runtime.engine.offline.questions import Wanted
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
        unknown: Words of the question that nothing is called, in lower case.
    """

    wanted: Wanted
    entities: tuple[Found, ...] = ()
    others: tuple[Found, ...] = ()
    near: tuple[Found, ...] = ()
    inexact: bool = False
    unknown: tuple[str, ...] = ()

    @property
    def first(self) -> Found:
        """What it was taken for first of all."""
        return self.entities[0]

    @property
    def names(self) -> list[str]:
        """The unknown words that look like a name or an id, which no answer may ignore."""
        said = self.wanted.text.split()
        return [w for w in said if w.lower() in self.unknown and re.search("[A-Z0-9:]", w)]


def choose(wanted: Wanted, matches: Mapping[str, Sequence[Found]]) -> Choice:
    """Take the words for an entity, all of them, or else for none; ``matches`` are by phrase."""
    best = _best([found for text in wanted.full for found in matches.get(text, ())], wanted.kinds)
    if best:
        return Choice(wanted, *best, inexact=_level(best[0][0]) > 0)
    picked, unknown = _cover(wanted, matches)
    if picked and not unknown:
        order = ("instance", "property", "class")
        first = min(picked, key=lambda found: order.index(found[0].kind))
        return Choice(wanted, first, inexact=len(picked) > 1 or _level(first[0]) > 0)
    key = search_key(wanted.full[-1] if wanted.full else wanted.text)
    every = [found for text in (*wanted.full, *wanted.parts) for found in matches.get(text, ())]
    near = sorted(_unique(every), key=lambda found: -_likeness(key, found))
    return Choice(wanted, near=tuple(near[:3]), unknown=tuple(unknown))


def choose_several(wanted: Wanted, matches: Mapping[str, Sequence[Found]]) -> list[Choice]:
    """Take the words for as many entities as they name; ``matches`` are by phrase."""
    picked, unknown = _cover(wanted, matches)
    whole = choose(wanted, matches)
    if len(picked) < 2 and whole.entities:
        return [whole]
    chosen = [Choice(wanted, found, inexact=_level(found[0]) > 0) for found in picked]
    if unknown or not chosen:
        chosen.append(Choice(wanted, near=whole.near, unknown=tuple(unknown)))
    return chosen


def _best(
    matches: Sequence[Found], kinds: Sequence[str]
) -> tuple[tuple[Found, ...], tuple[Found, ...]] | None:
    """Give the best of some matches, and those of the same name but another kind."""
    level = min(map(_level, matches), default=3)
    alike = [m for m in matches if _level(m) == level < 3]
    fitting = [m for m in alike if m.kind in kinds]
    if not fitting:
        return (tuple(alike[:1]), ()) if alike else None
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
    return 2 if _likeness(key, found) >= 0.85 and len(key) > 4 else 3


def _likeness(key: str, found: Found) -> float:
    return SequenceMatcher(None, key, search_key(found.matched)).ratio()


def _cover(
    wanted: Wanted, matches: Mapping[str, Sequence[Found]]
) -> tuple[list[tuple[Found, ...]], list[str]]:
    """Find entities for parts of the words, the longest first; give also the words left over."""
    left = _content(wanted.text)
    picked = []
    for part in (*wanted.full, *wanted.parts):
        inside = _content(part)
        best = _best(matches.get(part, ()), wanted.kinds)
        if best and inside and all(word in left for word in inside):
            picked.append(best[0])
            left = [word for word in left if word not in inside]
    return picked, [word for word in left if not re.fullmatch(GENERIC, word)]


def _content(text: str) -> list[str]:
    return [word for word in text.lower().split() if word not in STOP_WORDS]


def _unique(matches: Iterable[Found]) -> list[Found]:
    return list({m.iri: m for m in matches}.values())
