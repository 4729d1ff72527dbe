"""Find entities by label, synonym, local name or IRI, tolerant of typing errors; in memory."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from math import log
from typing import TYPE_CHECKING, Literal, NamedTuple

from rlm_runtime.ontology.entities import Entity, collect_entities
from rlm_runtime.ontology.protocol import EntityKind, Match
from rlm_runtime.ontology.text import fold, local_name, search_key, whole_words, words

if TYPE_CHECKING:
    import pyoxigraph

__all__ = ["LabelIndex"]

_Rank = Literal["exact", "prefix", "words", "corrected", "any"]
_MAX_TEXT = 300
_MAX_WORDS = 16
_COMPLETIONS = 20
# Below this likeness (difflib's ratio) a word of the vocabulary is another word, not a misspelling:
# "actvity" has 0.93 with "activity", "game" has 0.75 with "name".
_ALIKE = 0.76
# Words of questions that tell nothing of what is asked for, beside others that do.
_LITTLE_WORDS = frozenset(
    [
        *("a", "an", "and", "are", "at", "by", "do", "doe", "for", "from", "had", "has", "have"),
        *("how", "i", "in", "is", "it", "many", "much", "of", "on", "or", "that", "the", "there"),
        *("this", "to", "was", "were", "what", "when", "where", "which", "who", "whose", "with"),
    ]
)
_KIND_ORDER: dict[EntityKind | None, int] = {"class": 0, "property": 1, "instance": 2, None: 3}
_PREFIXED = re.compile(r"([\w.-]*):(\S+)")


class _Text(NamedTuple):
    entity: Entity
    text: str
    key: str
    foreign: bool


class _Hit(NamedTuple):
    # Ordered as the best first; the IRI makes the order total.
    closeness: float
    kind: int
    foreign: bool
    length: int
    uses: int
    iri: str
    text: str


class LabelIndex:
    """An index over the names of a store's entities; reading it is safe from several threads.

    Example:
        >>> from pyoxigraph import RdfFormat, Store
        >>> store = Store()
        >>> store.load(b"<http://e/Activity> a <http://www.w3.org/2002/07/owl#Class> .",
        ...            RdfFormat.TURTLE)
        >>> [(m.iri, m.rank) for m in LabelIndex.build(store).search("actvity")]
        [('http://e/Activity', 'corrected')]
    """

    def __init__(
        self, entities: Mapping[str, Entity], preferred_language: str, prefixes: Mapping[str, str]
    ) -> None:
        self._entities = entities
        self._prefixes = prefixes
        self._language = preferred_language.lower()
        self._labels: dict[str, str] = {}
        self._texts: list[_Text] = []
        self._postings: dict[str, list[int]] = {}
        for iri in sorted(entities):
            self._add(entities[iri])
        self._keys = sorted((text.key, i) for i, text in enumerate(self._texts))
        self._vocabulary = sorted(self._postings)
        self._bigrams: dict[str, list[str]] = {}
        for word in self._vocabulary:
            for bigram in _bigrams(word):
                self._bigrams.setdefault(bigram, []).append(word)

    @classmethod
    def build(
        cls,
        store: pyoxigraph.Store,
        preferred_language: str = "en",
        prefixes: Mapping[str, str] | None = None,
    ) -> LabelIndex:
        """Index all named entities of a store.

        Args:
            store: Read once, in all its graphs.
            preferred_language: Tag of the language whose labels are shown when there are several.
            prefixes: Prefix to namespace, so that ``prov:Activity`` finds just that entity.
        """
        return cls(collect_entities(store), preferred_language, prefixes or {})

    def search(
        self, text: str, *, limit: int = 10, kind: EntityKind | Literal["any"] = "any"
    ) -> list[Match]:
        """Find entities, best first; an empty list when there are none or no word in ``text``.

        Ranks ``corrected`` and ``any`` are tried only when no better one finds anything.
        Order: rank, then classes before properties before instances, the preferred language
        first, shorter texts first, more used entities first, IRI.

        Args:
            text: Words, a label, a local name, a prefixed name, an IRI or ``<iri>``.
            limit: The most matches to give.
            kind: Leaves out entities of any other kind.
        """
        text = text.strip()[:_MAX_TEXT]
        named = self._named(text)
        if named is not None:
            wanted = kind in ("any", _shown_kind(named))
            return [self._match(named, text, "exact")] if wanted and limit > 0 else []
        prefixed = _PREFIXED.fullmatch(text)
        if text.startswith("<") or "://" in text:
            text = local_name(text.strip("<>"))
        elif prefixed:
            text = prefixed[2]
        found: dict[str, Match] = {}
        for rank, hits in self._stages(text):
            # Beside true matches, guesses are noise.
            if found and rank in ("corrected", "any"):
                break
            for hit in sorted(hits):
                entity = self._entities[hit.iri]
                if hit.iri in found or kind not in ("any", _shown_kind(entity)):
                    continue
                found[hit.iri] = self._match(entity, hit.text, rank)
                if len(found) >= limit:
                    return list(found.values())[: max(limit, 0)]
        return list(found.values())

    def kind(self, iri: str) -> EntityKind | None:
        """Say what an entity is; None when it is only mentioned or does not occur."""
        entity = self._entities.get(iri)
        return entity.kind if entity else None

    def _add(self, entity: Entity) -> None:
        order = {self._language: 0, "": 1}
        best = sorted(
            (order.get(language, order.get(language.split("-")[0], 2)), place, text)
            for place, text, language in entity.texts
            if text.strip()
        )
        name = local_name(entity.iri)
        self._labels[entity.iri] = best[0][2] if best else name
        texts = {text: language_order == 2 for language_order, _, text in reversed(best)}
        texts.setdefault(name, False)
        for text, foreign in texts.items():
            split = words(text[:_MAX_TEXT])
            if not split:
                continue
            for word in {*split, *whole_words(text[:_MAX_TEXT])}:
                self._postings.setdefault(word, []).append(len(self._texts))
            self._texts.append(_Text(entity, text, "".join(split), foreign))

    def _named(self, text: str) -> Entity | None:
        prefixed = _PREFIXED.fullmatch(text)
        expanded = ""
        if prefixed and prefixed[1] in self._prefixes:
            expanded = self._prefixes[prefixed[1]] + prefixed[2]
        for iri in (expanded, text, text[1:-1] if text.startswith("<") else ""):
            if iri in self._entities:
                return self._entities[iri]
        return None

    def _match(self, entity: Entity, matched: str, rank: _Rank) -> Match:
        kind = _shown_kind(entity)
        types = entity.types[:3] if kind == "instance" else ()
        return Match(entity.iri, self._labels[entity.iri], kind, matched, rank, types)

    def _stages(self, text: str) -> Iterable[tuple[_Rank, list[_Hit]]]:
        """Yield the hits of each rank, best rank first; later stages run only if asked for."""
        wanted = list(dict.fromkeys(words(text)))[:_MAX_WORDS]
        key = search_key(text)
        if not wanted:
            return
        folded = fold(text)
        starting = self._starting_with(key)
        exact = [i for i in starting if self._texts[i].key == key]
        # "Sensor" before "Sensors" when "sensor" was asked for, though both are exact.
        yield "exact", [self._hit(i, fold(self._texts[i].text) != folded) for i in exact]
        yield "prefix", [self._hit(i, not self._starts_at_word(i, wanted)) for i in starting]
        postings = [self._containing(word) for word in wanted]
        yield "words", [self._hit(i) for i in set.intersection(*postings)]
        corrected = [
            found or self._corrected(word) for found, word in zip(postings, wanted, strict=True)
        ]
        if not all(postings):
            repaired = set.intersection(*corrected)
            yield "corrected", [self._hit(i, -self._alike(i, key)) for i in repaired]
        weights: dict[int, float] = {}
        ignored = frozenset() if _LITTLE_WORDS.issuperset(wanted) else _LITTLE_WORDS
        for word, found in zip(wanted, corrected, strict=True):
            for i in found if word not in ignored else ():
                weights[i] = weights.get(i, 0.0) + log(1 + len(self._texts) / len(found))
        yield "any", [self._hit(i, -round(weight, 6)) for i, weight in weights.items()]

    def _hit(self, i: int, closeness: float = 0.0) -> _Hit:
        entity, text, key, foreign = self._texts[i]
        kind = _KIND_ORDER[entity.kind]
        return _Hit(closeness, kind, foreign, len(key), -entity.uses, entity.iri, text)

    def _starting_with(self, key: str) -> list[int]:
        found = []
        for at in range(bisect_left(self._keys, (key, -1)), len(self._keys)):
            if not self._keys[at][0].startswith(key):
                break
            found.append(self._keys[at][1])
        return found

    def _starts_at_word(self, i: int, wanted: list[str]) -> bool:
        return words(self._texts[i].text[:_MAX_TEXT])[: len(wanted)] == wanted

    def _containing(self, word: str) -> set[int]:
        """Give the texts with this word, or else with words that it begins or is part of."""
        if word in self._postings:
            return set(self._postings[word])
        if len(word) < 3:
            return set()
        longer = [w for w in self._vocabulary if word in w]
        longer.sort(key=lambda w: (not w.startswith(word), len(w), w))
        return {i for w in longer[:_COMPLETIONS] for i in self._postings[w]}

    def _corrected(self, word: str) -> set[int]:
        """Give the texts with the words that this one may be a misspelling of."""
        shared = Counter(w for b in _bigrams(word) for w in self._bigrams.get(b, ()))
        near = sorted(shared, key=lambda w: (-shared[w] / (len(w) + len(word)), w))[:40]
        alike = {w: SequenceMatcher(None, word, w, autojunk=False).ratio() for w in near}
        best = max(alike.values(), default=0.0)
        return {
            i
            for w, ratio in alike.items()
            if ratio >= max(_ALIKE, best - 0.05)
            for i in self._postings[w]
        }

    def _alike(self, i: int, key: str) -> float:
        return round(SequenceMatcher(None, key, self._texts[i].key, autojunk=False).ratio(), 2)


def _shown_kind(entity: Entity) -> EntityKind:
    # What is only mentioned stands where an instance stands: at the end of a link.
    return entity.kind or "instance"


def _bigrams(word: str) -> set[str]:
    padded = f" {word} "
    return {padded[i : i + 2] for i in range(len(padded) - 1)}
