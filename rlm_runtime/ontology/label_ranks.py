"""The ranks of an entity search, one after the other: exact, prefix, words, corrected, any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from itertools import islice, product
from typing import Literal

from rlm_runtime.ontology.label_lookup import Found, TextLookup
from rlm_runtime.ontology.label_weights import weigh
from rlm_runtime.ontology.label_words import all_of, any_of, tokens_of
from rlm_runtime.ontology.protocol import EntityKind
from rlm_runtime.ontology.text import fold, whole_words, with_plurals, words

__all__ = ["Rank", "find"]

Rank = Literal["exact", "prefix", "words", "corrected", "any"]
_MAX_WORDS = 16
# At least so many of the texts that are alike are compared with what was asked for.
_COMPARED = 100
_SPELLINGS = 16
# Words of questions that tell nothing of what is asked for, beside others that do.
_LITTLE_WORDS = frozenset(
    [
        *("a", "an", "and", "are", "at", "by", "do", "doe", "for", "from", "had", "has", "have"),
        *("how", "i", "in", "is", "it", "many", "much", "of", "on", "or", "that", "the", "there"),
        *("this", "to", "was", "were", "what", "when", "where", "which", "who", "whose", "with"),
    ]
)


def find(
    texts: TextLookup, text: str, limit: int, kind: EntityKind | Literal["any"]
) -> list[tuple[Rank, Found]]:
    """Find texts of different entities, best first; see ``LabelIndex.search``."""
    search = _Search(texts, text, limit, kind)
    if not search.wanted:
        return []
    search.take("exact", search.exact())
    search.take("prefix", texts.starting(search.spaced, search.bounds))
    search.take("words", search.all_words())
    # Beside true matches, guesses are noise.
    if not search.found:
        search.take("corrected", search.corrected())
        search.take("any", search.commented() if search.found else search.any_words())
    return list(search.found.values())


class _Search:
    """What is asked for, and what is found of it."""

    def __init__(
        self, texts: TextLookup, text: str, limit: int, kind: EntityKind | Literal["any"]
    ) -> None:
        split = words(text)
        self.spaced = " ".join(split)
        self.wanted = list(dict.fromkeys(split))[:_MAX_WORDS]
        self.bounds = texts.bounds(kind)
        self.found: dict[str, tuple[Rank, Found]] = {}
        self._text = text
        self._limit = limit
        self._most = max(_COMPARED, 2 * limit)
        self._texts = texts
        self._occurring = {word for word in self.wanted if texts.words.occurs(word)}
        self._completed: dict[str, list[str]] = {}
        self._corrected: dict[str, list[str]] = {}

    def take(self, rank: Rank, texts: Iterable[Found]) -> None:
        """Add entities that are new until there are enough; read no further than that."""
        if len(self.found) < self._limit:
            for text in texts:
                self.found.setdefault(text.iri, (rank, text))
                if len(self.found) >= self._limit:
                    return

    def exact(self) -> list[Found]:
        """Find the texts that are called just so."""
        # "Sensor" before "Sensors" when "sensor" was asked for, though both are exact.
        folded = fold(self._text)
        texts = self._texts.exact(self.spaced.replace(" ", ""), self.bounds, self._most)
        return sorted(texts, key=lambda text: fold(text.text) != folded)

    def all_words(self) -> Iterator[Found]:
        """Find the texts with all words; one that does not occur may be part of one that does."""
        return self._with_all([self._known(word) for word in self.wanted])

    def corrected(self) -> list[Found]:
        """Find the texts with all words, the missing ones corrected, the most alike first."""
        missing = [word for word in self.wanted if word not in self._occurring]
        if not _LITTLE_WORDS.isdisjoint(missing) or (not missing and len(self.wanted) == 1):
            return []
        # When all words occur, but never together, one may be misspelt as another word.
        doubtful = missing or [word for word in self.wanted if word not in _LITTLE_WORDS]
        groups = [
            self._known(word) + self._corrections(word) if word in doubtful else [word]
            for word in self.wanted
        ]
        found = {text.number: text for text in islice(self._with_all(groups), self._most)}
        for spelling in islice(product(*groups), _SPELLINGS):
            exact = self._texts.exact("".join(spelling), self.bounds, self._most)
            found.update({text.number: text for text in exact})
        matcher = SequenceMatcher(autojunk=False)
        matcher.set_seq2(self.spaced.replace(" ", ""))

        def place(text: Found) -> tuple[float, int]:
            matcher.set_seq1(text.key)
            return -round(matcher.ratio(), 2), text.number

        return sorted(found.values(), key=place)

    def any_words(self) -> Iterator[Found]:
        """Find the texts with some of the words, those with more and rarer words first."""
        groups = [self._known(word) or self._corrections(word) for word in _telling(self.wanted)]
        weights, total = weigh(self._texts, "names", groups, self.bounds, self._limit)
        named = frozenset(weights)
        # Not more than names with half of the words.
        for text in islice(self.commented(), self._limit):
            weights[text.number] = weights.get(text.number, 0.0) + total / 2
        if not weights:
            groups = self._in_comments()
            weights, _ = weigh(self._texts, "comments", groups, self.bounds, self._limit)
        ordered = iter(sorted(weights, key=lambda number: (-round(weights[number], 6), number)))
        while block := list(islice(ordered, self._most)):
            for text in self._texts.numbered(block):
                yield text if text.number in named else _by_comment(text)

    def commented(self) -> Iterator[Found]:
        """Find the entities with all of the words in their comments."""
        expression = all_of(any_of(map(tokens_of, group)) for group in self._in_comments())
        return map(_by_comment, self._texts.matching(expression, self.bounds, "comments"))

    def _in_comments(self) -> list[list[str]]:
        return [with_plurals(w) for w in _telling(whole_words(self._text)[:_MAX_WORDS])]

    def _with_all(self, groups: list[list[str]]) -> Iterator[Found]:
        if not all(groups):
            return iter(())
        expression = all_of(any_of(map(tokens_of, group)) for group in groups)
        return self._texts.matching(expression, self.bounds)

    def _known(self, word: str) -> list[str]:
        if word in self._occurring:
            return [word]
        if word not in self._completed:
            self._completed[word] = self._texts.words.completions(word)
        return self._completed[word]

    def _corrections(self, word: str) -> list[str]:
        if word not in self._corrected:
            self._corrected[word] = self._texts.words.corrections(word)
        return self._corrected[word]


def _by_comment(text: Found) -> Found:
    # Which of its texts the comment was filed under says nothing.
    return text._replace(text=text.label)


def _telling(split: list[str]) -> list[str]:
    return [word for word in split if word not in _LITTLE_WORDS] or split
