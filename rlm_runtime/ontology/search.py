"""Find entities by label, synonym, local name, comment or IRI, tolerant of typing errors."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Condition
from typing import TYPE_CHECKING, Literal

from rlm_runtime.errors import OntologyError
from rlm_runtime.ontology.label_lookup import Found, TextLookup
from rlm_runtime.ontology.label_ranks import Rank, find
from rlm_runtime.ontology.label_schema import MAX_TEXT, connect_whole
from rlm_runtime.ontology.protocol import EntityKind, Match
from rlm_runtime.ontology.text import local_name

if TYPE_CHECKING:
    import pyoxigraph

__all__ = ["LabelIndex"]

_CONNECTIONS = 4
_PREFIXED = re.compile(r"([\w.-]*):(\S+)")


class LabelIndex:
    """An index over the names of a store's entities; it may be used from several threads at once.

    It is an SQLite database, in memory or in a file. Everything that it needs is opened with it;
    a search opens no file.

    Example:
        >>> from pyoxigraph import RdfFormat, Store
        >>> store = Store()
        >>> store.load(b"<http://e/Activity> a <http://www.w3.org/2002/07/owl#Class> .",
        ...            RdfFormat.TURTLE)
        >>> [(m.iri, m.rank) for m in LabelIndex.build(store).search("actvity")]
        [('http://e/Activity', 'corrected')]
    """

    def __init__(
        self, connections: list[sqlite3.Connection], prefixes: Mapping[str, str] | None
    ) -> None:
        self._prefixes = prefixes or {}
        self._connections = connections
        self._free = [TextLookup(connection) for connection in connections]
        self._open = True
        self._changed = Condition()

    @classmethod
    def build(
        cls,
        store: pyoxigraph.Store,
        preferred_language: str = "en",
        prefixes: Mapping[str, str] | None = None,
        path: Path | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> LabelIndex:
        """Index all named entities of a store.

        Args:
            store: Read once, in all its graphs.
            preferred_language: Tag of the language whose labels are shown when there are several.
            prefixes: Prefix to namespace, so that ``prov:Activity`` finds just that entity.
            path: A new file to keep it in; large stores then need little memory. Until the
                method returns, it is not whole. None keeps it in memory.
            on_progress: Called now and then with the number of statements read.

        Raises:
            OntologyError: The file cannot be written, or this Python's SQLite is too old.
        """
        # Who opens a finished file need not wait for what writes one.
        from rlm_runtime.ontology.label_build import build

        db = build(store, path, preferred_language, on_progress)
        if path is None:
            return cls([db], prefixes)
        db.close()
        with open(path, "rb") as written:
            os.fsync(written.fileno())
        return cls.open(path, prefixes)

    @classmethod
    def open(cls, path: Path, prefixes: Mapping[str, str] | None = None) -> LabelIndex:
        """Open a file that ``build`` wrote; it must not change any more.

        Raises:
            OntologyError: It is missing, broken, half-built, or of another version.
        """
        return cls([connect_whole(path) for _ in range(_CONNECTIONS)], prefixes)

    def search(
        self, text: str, *, limit: int = 10, kind: EntityKind | Literal["any"] = "any"
    ) -> list[Match]:
        """Find entities, best first; an empty list when there are none or no word in ``text``.

        Ranks ``corrected`` and ``any`` are tried only when no better one finds anything, and
        comments only then.
        Order: rank, then classes before properties before instances, the preferred language
        first, shorter texts first, more used entities first, IRI.

        Args:
            text: Words, a label, a local name, a prefixed name, an IRI or ``<iri>``.
            limit: The most matches to give.
            kind: Leaves out entities of any other kind.

        Raises:
            OntologyError: The index is closed, or its file is broken.
        """
        text = _encodable(text.strip()[:MAX_TEXT])
        with self._lookup() as texts:
            named = self._named(texts, text)
            if limit <= 0 or (named and kind not in ("any", named.kind or "instance")):
                return []
            if named:
                return [_match("exact", named._replace(text=text))]
            prefixed = _PREFIXED.fullmatch(text)
            if text.startswith("<") or "://" in text:
                text = local_name(text.strip("<>"))
            elif prefixed:
                text = prefixed[2]
            return [_match(*found) for found in find(texts, text, limit, kind)]

    def kind(self, iri: str) -> EntityKind | None:
        """Say what an entity is; None when it is only mentioned or does not occur."""
        with self._lookup() as texts:
            entity = texts.entity(_encodable(iri))
        return entity.kind if entity else None

    def close(self) -> None:
        """Close it once running searches have ended; calling it again does nothing."""
        with self._changed:
            self._open = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: len(self._free) == len(self._connections))
            for connection in self._connections:
                connection.close()

    @contextmanager
    def _lookup(self) -> Iterator[TextLookup]:
        with self._changed:
            self._changed.wait_for(lambda: self._free or not self._open)
            if not self._open:
                raise OntologyError("The label index is closed. Open the ontology again.")
            texts = self._free.pop()
        try:
            yield texts
        except sqlite3.Error as error:
            raise OntologyError(
                f"The label index cannot be read: {error}. Remove its file and open the ontology "
                "again, so that it is built anew."
            ) from error
        finally:
            with self._changed:
                self._free.append(texts)
                self._changed.notify_all()

    def _named(self, texts: TextLookup, text: str) -> Found | None:
        prefixed = _PREFIXED.fullmatch(text)
        expanded = ""
        if prefixed and prefixed[1] in self._prefixes:
            expanded = self._prefixes[prefixed[1]] + prefixed[2]
        for iri in (expanded, text, text[1:-1] if text.startswith("<") else ""):
            if iri and (entity := texts.entity(iri)):
                return entity
        return None


def _match(rank: Rank, found: Found) -> Match:
    # What is only mentioned stands where an instance stands: at the end of a link.
    kind = found.kind or "instance"
    types = tuple(found.types.split("\n")) if found.types else ()
    return Match(found.iri, found.label, kind, found.text, rank, types)


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
