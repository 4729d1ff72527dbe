"""Splits texts into the words that memories are indexed and asked by."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Set
from functools import lru_cache

__all__ = ["FRAME", "nearly_same", "searchable", "stem", "words_of"]

# Letters to Python, but marks to SQLite, whose tokenizer has them end a word (New Tai Lue, Vedic).
_NO_LETTERS = "\u19b0-\u19c0\u19c8\u19c9\u1cf2\u1cf3"
_WORD = re.compile(rf"[^\W_{_NO_LETTERS}]+")
# Boundaries inside a word: "hadPrimary", "XMLParser", "order2Item".
_HUMP = re.compile(r"(?<=[^\W_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
# Thai to Khmer, Han, Kana and Hangul: one word to a tokenizer, several to a reader.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fff\u3005-\u30ff\u3400-\u9fff\uac00-\ud7af"
    "\uf900-\ufaff\U00020000-\U0003ffff]{3,}"
)

_FRAME = """
a about also am an and any are as at be been being but by can could did do does doing for from give
had has have having he her here hers him his how i if in into is it its itself just kindly know let
like list look me mine my need of on one ones or our ours please she should show so some such tell
than that the their theirs them then there these they this those to too up us want was we were what
when where which while who whom whose why will with would you your yours
"""
FRAME = frozenset(_FRAME.split())
"""Words of a question's frame. "Many", "most", "not", "each" and their like tell what it asks."""

# Of all their words, texts that say the same have this share in common.
_NEARLY_ALL = 0.8


def words_of(text: str) -> list[str]:
    """Split a text into words, in its order; names made of several words give these as well.

    Words are in small letters, for SQLite knows less of them than Python; they keep their form,
    which the full-text index stems.

    Example:
        >>> words_of("What hadPrimarySource, or was_derived?")
        ['what', 'hadprimarysource', 'had', 'primary', 'source', 'or', 'was', 'derived']
        >>> words_of("東京都")
        ['東京都', '東京', '京都']
    """
    # Composed first: a letter and its accent as two characters would be split at the accent.
    composed = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return [part.lower() for word in _WORD.findall(composed) for part in (word, *_parts(word))]


def searchable(text: str) -> str:
    """Write a text as the full-text index holds it: its words, with those that names are made of.

    Example:
        >>> searchable("Use prov:wasDerivedFrom.")
        'use prov wasderivedfrom was derived from'
    """
    return " ".join(words_of(text))


def nearly_same(some: Set[str], others: Set[str]) -> bool:
    """Say whether two texts share four fifths of their words or more (Jaccard's index).

    Example:
        >>> nearly_same({"count", "in", "sparql"}, {"count", "in", "python"})
        False
    """
    return bool(some) and len(some & others) >= _NEARLY_ALL * len(some | others)


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """Give what the forms of a word have in common, about as the full-text index does.

    Example:
        >>> {stem(word) for word in ("Derived", "derives", "deriving")}
        {'deriv'}
        >>> stem("categories") == stem("Category"), stem("cafés")
        (True, 'caf')
    """
    plain = word.lower()
    if not plain.isascii():
        parts = unicodedata.normalize("NFKD", plain)
        plain = "".join(part for part in parts if not unicodedata.combining(part))
    if plain.endswith("s") and not plain.endswith("ss") and len(plain) > 3:
        plain = plain[:-1]
    cut = next((end for end in ("ing", "ed", "e") if plain.endswith(end)), "")
    if cut and len(plain) - len(cut) >= 3:
        plain = plain[: -len(cut)]
        if cut != "e" and plain[-1] == plain[-2] and plain[-1] not in "lsz":
            plain = plain[:-1]
    return f"{plain[:-1]}i" if plain.endswith("y") and len(plain) > 3 else plain


def _parts(word: str) -> list[str]:
    humps = _HUMP.split(word)
    pairs = [run[i : i + 2] for run in _UNSPACED.findall(word) for i in range(len(run) - 1)]
    return [*(humps if len(humps) > 1 else []), *pairs]
