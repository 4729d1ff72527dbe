"""Find entities of an endpoint by name: by its full text, or in a bounded part of its labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Literal

from rlm_runtime.errors import QueryError, QueryTimeout
from rlm_runtime.ontology.protocol import EntityKind, Match, Rows, Term
from rlm_runtime.ontology.remote_errors import Deadline, EndpointFailed
from rlm_runtime.ontology.remote_fulltext import custom_query, find_full_text, in_quotes
from rlm_runtime.ontology.remote_kinds import Seen, look_at
from rlm_runtime.ontology.text import fold, local_name, search_key, stem, words
from rlm_runtime.ontology.vocabulary import LABEL_PREDICATES, language_place

if TYPE_CHECKING:
    from rlm_runtime.ontology.remote import RemoteOntology

__all__ = ["Matches", "search_remote"]

_Rank = Literal["exact", "prefix", "words", "corrected", "any"]
_RANKS: tuple[_Rank, ...] = ("exact", "prefix", "words", "corrected", "any")
_KINDS = ("class", "property", "instance")
_MAX_WORDS = 8
_MAX_SCANNED = 200_000
_MAX_HITS = 300
_MAX_LOOKED_AT = 60
_PART_SECONDS = 8.0
_ALIKE = 0.76
_LANGUAGES = ("", "en")
_LITTLE = frozenset(
    [
        *("a", "an", "and", "are", "by", "for", "from", "has", "have", "how", "in", "is"),
        *("of", "on", "or", "that", "the", "to", "what", "which", "who", "with"),
    ]
)


class Matches(list[Match]):
    """Entities found, and what to know of how they were.

    Attributes:
        note: A sentence for who reads them, or "".
    """

    note: str = ""


def search_remote(
    remote: RemoteOntology,
    text: str,
    *,
    limit: int,
    kind: EntityKind | Literal["any"],
    custom: str | None,
    deadline: Deadline,
) -> Matches:
    """Find entities, best first.

    Args:
        remote: What to ask.
        text: A name, a label, some words, an IRI or a prefixed name.
        limit: The most to give.
        kind: Only this kind.
        custom: A query of the user's to find them by.
        deadline: Of all of it.

    Raises:
        TimeoutError: Nothing was found, and not all was looked at in time.
        QueryError: Nothing was found, and the endpoint refused or failed.
    """
    return _Search(remote, text, limit, kind, custom, deadline).run()


class _Search:
    def __init__(
        self,
        remote: RemoteOntology,
        text: str,
        limit: int,
        kind: EntityKind | Literal["any"],
        custom: str | None,
        deadline: Deadline,
    ) -> None:
        self._remote = remote
        self._text = " ".join(text.split())[:300]
        self._key = search_key(self._text)
        self._words = list(dict.fromkeys(words(self._text)))[:_MAX_WORDS]
        self._limit = limit
        self._kind = kind
        self._custom = custom
        self._deadline = deadline
        self._found: dict[str, list[Term]] = {}
        self._late = False
        self._error: QueryError | None = None
        self._scanned = False

    def run(self) -> Matches:
        if not self._words or self._limit < 1:
            return Matches()
        named = self._named()
        if named is not None:
            return Matches(replace(match, rank="exact") for match in self._matches([named]))
        labels = self._label_predicates()
        if self._custom is not None:
            self._take_custom(self._custom)
        else:
            self._exactly(labels)
            self._all_words(labels)
        found = self._matches(self._found)
        if not found:
            self._misspelt(labels)
            found = self._matches(self._found)
        if not found and self._late:
            raise TimeoutError
        if not found and self._error is not None:
            raise self._error
        found.note = self._note()
        return found

    def _named(self) -> str | None:
        """Give the entity that is named by its IRI or prefixed name."""
        if ":" not in self._text or " " in self._text:
            return None
        try:
            iri = self._remote.expand(self._text)
        except QueryError:
            return None
        return iri if self._remote.occurs(iri, self._deadline) else None

    def _label_predicates(self) -> tuple[str, ...]:
        """Give the label predicates in use; find out once, with the endpoint's full text."""
        known = self._remote.known
        if known.label_predicates is None:
            samples = " UNION ".join(
                f"{{ SELECT (<{iri}> AS ?p) ?label WHERE {{ ?s <{iri}> ?label }} LIMIT 3 }}"
                for iri in LABEL_PREDICATES
            )
            rows = self._ask(f"SELECT ?p ?label WHERE {{ {samples} }}")
            if rows is None:
                return LABEL_PREDICATES
            used = {p.value for p, _ in rows.terms if p}
            texts = [label.value for _, label in rows.terms if label]
            labels = tuple(iri for iri in LABEL_PREDICATES if iri in used)
            if self._custom is None and labels:
                known.full_text = find_full_text(
                    self._remote, texts, labels, self._deadline.part(_PART_SECONDS)
                )
            known.label_predicates = labels
        return known.label_predicates

    def _exactly(self, labels: Sequence[str]) -> None:
        """Look labels up as they are: by any index, in no time."""
        text = self._text
        spelt = dict.fromkeys((text, text.lower(), text.capitalize(), text.title(), text.upper()))
        values = " ".join(
            f"{in_quotes(each)}{f'@{tag}' if tag else ''}" for each in spelt for tag in _LANGUAGES
        )
        if labels:
            self._take(
                f"SELECT DISTINCT ?s ?label WHERE {{ VALUES ?p {{ {_listed(labels)} }} "
                f"VALUES ?label {{ {values} }} ?s ?p ?label }} LIMIT {_MAX_HITS}"
            )

    def _all_words(self, labels: Sequence[str]) -> None:
        engine = self._remote.known.full_text
        if engine is not None:
            self._take(engine.query(self._words, labels, _MAX_HITS))
            return
        self._scan(labels, " && ".join(_has(word) for word in self._words))

    def _misspelt(self, labels: Sequence[str]) -> None:
        """Look for each word alone, and for its halves: a typing error leaves one of them whole."""
        telling = [word for word in self._words if word not in _LITTLE] or self._words
        engine = self._remote.known.full_text
        if engine is not None and len(telling) > 1:
            for word in telling:
                self._take(engine.query([word], labels, _MAX_HITS))
        if self._custom is None and not self._found:
            parts = [part for word in telling for part in _halves(word)]
            self._scan(labels, " || ".join(_has(part) for part in dict.fromkeys(parts)))

    def _scan(self, labels: Sequence[str], condition: str) -> None:
        """Look through the first labels, and the names of what has a class."""
        self._scanned = True
        if labels:
            first = (
                f"{{ SELECT ?s ?label WHERE {{ VALUES ?p {{ {_listed(labels)} }} ?s ?p ?label }} "
                f"LIMIT {_MAX_SCANNED} }}"
            )
            self._take(_filtered(first, "STR(?label)", condition))
        named = f"{{ SELECT DISTINCT ?s WHERE {{ ?s a ?type }} LIMIT {_MAX_SCANNED} }}"
        self._take(_filtered(named, 'REPLACE(STR(?s), "^.*[/#:]", "")', condition))

    def _take_custom(self, query: str) -> None:
        deadline = self._deadline
        checked = self._remote.checked(custom_query(query, self._text, _MAX_HITS), deadline)
        self._keep(self._remote.ask(checked, _MAX_HITS, deadline))

    def _take(self, query: str) -> None:
        """Run a query for ?s, perhaps with ?label, and keep what it finds."""
        rows = self._ask(query)
        if rows is not None:
            self._keep(rows)

    def _keep(self, rows: Rows) -> None:
        for row in rows.terms:
            entity = row[0]
            if entity is None or entity.kind != "iri":
                continue
            found = self._found.setdefault(entity.value, [])
            found += [term for term in row[1:] if term and term.kind == "literal"][:1]

    def _ask(self, query: str) -> Rows | None:
        """Ask within a part of the time; None when that is not enough."""
        try:
            return self._remote.ask_text(query, _MAX_HITS, self._deadline.part(_PART_SECONDS))
        except EndpointFailed:
            raise
        except (TimeoutError, QueryTimeout):
            self._late = True
        except QueryError as error:
            # What one engine does not understand, another way of asking may still find.
            self._error = error
        return None

    def _matches(self, iris: Iterable[str]) -> Matches:
        """Rank what was found, look at the best, and keep those of the kind."""
        ranked = sorted((self._place(iri), iri) for iri in iris)
        best = [iri for _, iri in ranked[:_MAX_LOOKED_AT]]
        seen = look_at(self._remote, best, self._deadline) if best else {}
        found = []
        for place, iri in ranked[:_MAX_LOOKED_AT]:
            one = seen.get(iri, Seen())
            if self._kind in ("any", one.kind):
                label = one.label or local_name(iri)
                matched = self._best_text(iri)[1]
                rank = _RANKS[place[0]]
                match = Match(iri, label, one.kind, matched, rank, one.types)
                found.append(((place[0], place[1], _KINDS.index(one.kind)), place, iri, match))
        found.sort(key=lambda item: item[:3])
        return Matches(match for *_, match in found[: self._limit])

    def _place(self, iri: str) -> tuple[int, float, int, int]:
        """Order entities: by rank, likeness, length of the text, language."""
        return self._best_text(iri)[0]

    def _best_text(self, iri: str) -> tuple[tuple[int, float, int, int], str]:
        texts = [(t.value[:300], language_place(t.language)) for t in self._found.get(iri, ())]
        texts.append((local_name(iri), 3))
        return min((self._rank(text, language), text) for text, language in texts)

    def _rank(self, text: str, language: int) -> tuple[int, float, int, int]:
        key, own = search_key(text), words(text)
        alike = round(SequenceMatcher(None, self._key, key, autojunk=False).ratio(), 2)
        if key == self._key:
            # "Sensor" before "Sensors" when "sensor" was asked for.
            return 0, float(fold(text) != fold(self._text)), len(key), language
        if key.startswith(self._key):
            return 1, float(own[: len(self._words)] != self._words), len(key), language
        if all(any(word in one for one in (*own, key)) for word in self._words):
            return 2, 0.0, len(key), language
        corrected = all(any(_alike(word, one) for one in own) for word in self._words)
        return (3 if corrected else 4), -alike, len(key), language

    def _note(self) -> str:
        if not self._scanned and not self._late:
            return ""
        parts = []
        if self._scanned:
            parts.append(
                "This endpoint has no full-text search that is known: exact labels were looked up, "
                f"and at most {_MAX_SCANNED:,} labels looked through"
            )
        if self._late:
            parts.append("some of it took too long and was given up, so there may be more")
        return f"{'; '.join(parts)}."


def _listed(iris: Iterable[str]) -> str:
    return " ".join(f"<{iri}>" for iri in iris)


def _filtered(source: str, text: str, condition: str) -> str:
    return (
        f"SELECT DISTINCT ?s ?label WHERE {{ {source} BIND(LCASE({text}) AS ?lower) "
        f"FILTER({condition}) }} LIMIT {_MAX_HITS}"
    )


def _has(part: str) -> str:
    return f"CONTAINS(?lower, {in_quotes(part)})"


def _halves(word: str) -> list[str]:
    """Give the halves of a word that are long enough to say something."""
    middle = (len(word) + 1) // 2
    return [word] if len(word) < 4 else [word[:middle], word[-(len(word) // 2) :]]


def _alike(word: str, other: str) -> bool:
    other = stem(other)
    return word in other or SequenceMatcher(None, word, other, autojunk=False).ratio() >= _ALIKE
