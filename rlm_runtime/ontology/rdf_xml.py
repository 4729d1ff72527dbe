"""What the RDF/XML parser leaves to its caller: entities, prefixes, and a torn end."""

from __future__ import annotations

import re
from pathlib import Path

from rlm_runtime.errors import OntologyError
from rlm_runtime.ontology.rdf_bytes import RdfBytes

__all__ = ["RdfXml"]

# Entities abbreviate namespaces; the longest IRIs in use are far shorter.
_MAX_ENTITY = 1_000

_SKIPPED = rb"(?>\s+|<\?.*?\?>|<!--.*?-->)*"
# Plain entities only. Their values hold no tags, so that no parser can take another end for
# that of the document type.
_DOCTYPE = rb"""(?P<doctype><!DOCTYPE\s+[\w:.\-]+\s*
    (?:(?:SYSTEM|PUBLIC)\s+(?:"[^"<>]*"\s*|'[^'<>]*'\s*)+)?
    (?:\[(?>\s+|<!--[^<>]*-->|<!ENTITY\s+[\w.\-]+\s+"[^"<>]*"\s*>)*\]\s*)?>)"""
_START = re.compile(
    _SKIPPED
    + rb"(?:"
    + _DOCTYPE
    + rb")?"
    + _SKIPPED
    + rb"""<(?P<root>[\w.\-]+(?::[\w.\-]+)?)(?P<attributes>(?>[^<>"']|"[^"]*"|'[^']*')*)>""",
    re.S | re.X,
)
_IS_DOCTYPE = re.compile(rb"<!DOCTYPE", re.I)
_ENTITY = re.compile(rb"""<!ENTITY\s+([\w.\-]+)\s+"([^"]*)\"""")
_REFERENCE = re.compile(rb"&([^;&\s]+);")
_XMLNS = re.compile(rb"""\bxmlns(?::([\w.\-]+))?\s*=\s*(?:"([^"]*)"|'([^']*)')""")


class RdfXml:
    """A stream of RDF/XML that is checked while the parser reads it.

    The parser puts entities in without a bound, wherever they are declared, so that a small
    file could fill all memory; and it takes a file that was cut off for a whole one.

    Args:
        path: Named in errors.
        content: Not yet read.

    Raises:
        OntologyError: The document type holds more than plain entities, or one of them stands
            for more than 1,000 bytes.
    """

    def __init__(self, path: Path, content: RdfBytes) -> None:
        self._path = path
        self._content = content
        self._doctypes = 0
        self._last = b""
        self._start = _START.match(content.head)
        if self._start is None and _IS_DOCTYPE.search(content.head):
            raise OntologyError(
                f"{path} has an XML document type (DOCTYPE) with more than plain entities "
                '(<!ENTITY name "value">). Save it without one.'
            )
        self._entities = self._read_entities()

    @property
    def prefixes(self) -> dict[str, str]:
        """The prefixes that the root element declares, entities put in."""
        found: dict[str, str] = {}
        for match in _XMLNS.finditer(self._start["attributes"] if self._start else b""):
            value = match[2] if match[2] is not None else match[3]
            found[(match[1] or b"").decode()] = self._put_in(value).decode(errors="replace")
        return found

    def read(self, size: int = -1) -> bytes:
        """Give up to ``size`` bytes.

        Raises:
            OntologyError: A second document type turns up, or the content ends too early.
        """
        data = self._content.read(size)
        if not data:
            self._check_end()
        # The mark may lie across two reads.
        seen = self._last + data
        self._doctypes += len(_IS_DOCTYPE.findall(seen))
        self._last = seen[-(len(b"<!DOCTYPE") - 1) :]
        allowed = 1 if self._start and self._start["doctype"] else 0
        if self._doctypes > allowed:
            raise OntologyError(
                f"{self._path} has an XML document type (DOCTYPE) in its midst. Save it without."
            )
        return data

    def _read_entities(self) -> dict[bytes, bytes]:
        entities: dict[bytes, bytes] = {}
        doctype = (self._start["doctype"] if self._start else None) or b""
        for name, value in _ENTITY.findall(doctype):
            text = _REFERENCE.sub(lambda m: entities.get(m[1], m[0]), value)
            if len(text) > _MAX_ENTITY or entities.get(name, text) != text:
                raise OntologyError(
                    f"{self._path} declares the XML entity {name.decode(errors='replace')!r} "
                    f"twice or with more than {_MAX_ENTITY} bytes, as attacks on memory do. "
                    "Save it without entities."
                )
            entities[name] = text
        return entities

    def _put_in(self, value: bytes) -> bytes:
        return _REFERENCE.sub(lambda m: self._entities.get(m[1], m[0]), value)

    def _check_end(self) -> None:
        if self._start is None or self._start["attributes"].endswith(b"/"):
            return
        root = self._start["root"]
        end = re.compile(rb"</" + re.escape(root) + rb"\s*>(?>\s+|<!--.*?-->|<\?.*?\?>)*\Z", re.S)
        if not end.search(self._content.tail):
            raise OntologyError(
                f"{self._path} ends before </{root.decode()}>: it was cut off. Fetch it again."
            )
