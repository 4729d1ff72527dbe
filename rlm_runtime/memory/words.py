"""Splits texts into the words that memories are indexed and asked by."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["searchable", "words_of"]

_WORD = re.compile(r"[^\W_]+")
# Boundaries inside a word: "hadPrimary", "XMLParser", "order2Item".
_HUMP = re.compile(r"(?<=[^\W_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
# Thai to Khmer, Han, Kana and Hangul: one word to a tokenizer, several to a reader.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fff\u3005-\u30ff\u3400-\u9fff\uac00-\ud7af"
    "\uf900-\ufaff\U00020000-\U0003ffff]{3,}"
)


def words_of(text: str) -> list[str]:
    """Split a text into words, in its order; names made of several words give these as well.

    Words keep their case and form: the full-text index folds and stems them.

    Example:
        >>> words_of("What hadPrimarySource, or was_derived?")
        ['What', 'hadPrimarySource', 'had', 'Primary', 'Source', 'or', 'was', 'derived']
        >>> words_of("東京都")
        ['東京都', '東京', '京都']
    """
    # Composed first: a letter and its accent as two characters would be split at the accent.
    composed = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return [part for word in _WORD.findall(composed) for part in (word, *_parts(word))]


def searchable(text: str) -> str:
    """Write a text as the full-text index holds it: its words, with those that names are made of.

    Example:
        >>> searchable("Use prov:wasDerivedFrom.")
        'Use prov wasDerivedFrom was Derived From'
    """
    return " ".join(words_of(text))


def _parts(word: str) -> list[str]:
    humps = _HUMP.split(word)
    pairs = [run[i : i + 2] for run in _UNSPACED.findall(word) for i in range(len(run) - 1)]
    return [*(humps if len(humps) > 1 else []), *pairs]
