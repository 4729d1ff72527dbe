"""Decide which RDF format a file has: by what it holds, and by its name only in doubt."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from rlm_runtime.errors import ConfigurationError, OntologyError

__all__ = [
    "FORMATS",
    "Syntax",
    "bare_name",
    "has_rdf_suffix",
    "looks_rdf",
    "named_syntax",
    "syntax_of",
]

Syntax = Literal["trig", "n3", "nquads", "rdfxml", "jsonld"]
"""How to parse: TriG reads Turtle too, and N-Quads reads N-Triples too."""

FORMATS: dict[str, Syntax] = {
    "turtle": "trig",
    "ttl": "trig",
    "trig": "trig",
    "n3": "n3",
    "ntriples": "nquads",
    "nt": "nquads",
    "nquads": "nquads",
    "nq": "nquads",
    "rdfxml": "rdfxml",
    "xml": "rdfxml",
    "rdf": "rdfxml",
    "owl": "rdfxml",
    "jsonld": "jsonld",
    "json": "jsonld",
}
"""Names of formats, as ``open_ontology`` takes them; case, ``-`` and ``/`` are free."""

_SURE_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("ttl", "turtle", "trig", "n3", "nt", "ntriples", "nq", "nquads"),
        *("rdf", "rdfs", "owl", "skos", "jsonld"),
    )
)
_UNSURE_SUFFIXES = frozenset((".xml", ".json"))

_RDF_NAMESPACE = b"http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XML_SKIPPED = re.compile(
    rb"(?:\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>)*", re.S | re.I
)
_XML_ROOT = re.compile(rb"<((?:[\w.\-]+:)?[\w.\-]+)(?=[\s/>])")
_SKIPPED_LINES = re.compile(rb"(?:\s+|#[^\n]*)*")
_QUAD_LINE = re.compile(
    rb"""\s*(?:<[^>\s]*>|_:\S+)\s*<[^>\s]*>\s*
    (?:<[^>\s]*>|_:\S+|"(?:[^"\\]|\\.)*"(?:@[\w\-]+|\^\^<[^>\s]*>)?)
    \s*(?P<graph><[^>\s]*>|_:\S+)?\s*\.\s*(?:\#.*)?""",
    re.X,
)
_JSONLD_KEYWORD = re.compile(rb'"@(?:context|id|graph|type)"')
_NOT_RDF = (
    (re.compile(rb"(?:Prefix|Ontology|Namespace):\s"), "OWL in Manchester syntax"),
    (re.compile(rb"(?:Prefix|Ontology)\s*\("), "OWL in functional syntax"),
    (re.compile(rb"format-version:"), "an OBO file"),
)
_CONVERT = "Save it as Turtle or RDF/XML first, for example with Protégé or ROBOT."


def named_syntax(name: str) -> Syntax:
    """Give the syntax of a format's name.

    Raises:
        ConfigurationError: There is no such format.

    Example:
        >>> named_syntax("RDF/XML"), named_syntax("json-ld")
        ('rdfxml', 'jsonld')
    """
    key = re.sub(r"[^a-z0-9]", "", name.lower().rpartition("application/")[2])
    if key not in FORMATS:
        raise ConfigurationError(
            f"There is no format {name!r}. Leave format out, or give one of {', '.join(FORMATS)}."
        )
    return FORMATS[key]


def bare_name(path: Path) -> str:
    """Give a file's name without ``.gz`` and without its last suffix."""
    name = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    return Path(name).stem or path.name


def _suffix(path: Path) -> str:
    return Path(path.name[:-3] if path.name.lower().endswith(".gz") else path.name).suffix.lower()


def has_rdf_suffix(path: Path) -> bool | None:
    """Say by its name whether a file is RDF; None when only its content can tell."""
    suffix = _suffix(path)
    return None if suffix in _UNSURE_SUFFIXES else suffix in _SURE_SUFFIXES


def looks_rdf(head: bytes) -> bool:
    """Say by its first bytes whether an XML or JSON file is RDF."""
    return b"<rdf:RDF" in head or _JSONLD_KEYWORD.search(head) is not None


def syntax_of(path: Path, head: bytes) -> Syntax:
    """Decide the syntax of a file.

    Args:
        path: Only its name counts.
        head: The first bytes of its content, as UTF-8.

    Raises:
        OntologyError: It is surely no RDF: a web page, binary data, OWL/XML, and so on.

    Example:
        >>> syntax_of(Path("lies.ttl"), b'<?xml version="1.0"?><rdf:RDF/>')
        'rdfxml'
    """
    if b"\0" in head:
        raise OntologyError(f"{path} holds binary data, not RDF. Check that it is the right file.")
    body = head[_SKIPPED_LINES.match(head).end() :]  # pyright: ignore[reportOptionalMemberAccess]
    if body.startswith(b"<") and (root := _xml_root(body)) is not None:
        return _xml_syntax(path, root, head)
    # TriG and N3 graphs begin with { too, but no name in quotes follows.
    if re.match(rb'\{\s*["}]|\[\s*(?:\{\s*["}]|\]\s*\Z)', body):
        if not _JSONLD_KEYWORD.search(head) and _suffix(path) != ".jsonld":
            raise OntologyError(
                f"{path} is JSON but not JSON-LD: it names no @context, @id, @graph or @type. "
                "Check that it is the right file."
            )
        return "jsonld"
    for pattern, what in _NOT_RDF:
        if pattern.match(body):
            raise OntologyError(f"{path} is {what}, not RDF. {_CONVERT}")
    suffix = _suffix(path)
    lines = [line for line in body.split(b"\n")[:200] if line.strip() and line.strip()[:1] != b"#"]
    # The head may end in the middle of its last line.
    matches = [_QUAD_LINE.fullmatch(line.rstrip(b"\r")) for line in lines[:-1] or lines]
    if matches and all(matches):
        has_graph = any(match["graph"] for match in matches if match)
        if has_graph or suffix in (".nt", ".ntriples", ".nq", ".nquads"):
            return "nquads"
    return "n3" if suffix == ".n3" else "trig"


def _xml_root(body: bytes) -> bytes | None:
    """Give the name of the root element, b"" if it is too far away, or None if this is no XML."""
    begin = _XML_SKIPPED.match(body).end()  # pyright: ignore[reportOptionalMemberAccess]
    root = _XML_ROOT.match(body, begin)
    if begin or body[:2] in (b"<?", b"<!"):
        return root[1] if root else b""
    # Turtle may begin with <a> or <a/b>, but an IRI holds no space.
    if root and (body[root.end() :][:1].isspace() or root[1] == b"html"):
        return root[1]
    return None


def _xml_syntax(path: Path, root: bytes, head: bytes) -> Syntax:
    local = root.rpartition(b":")[2].lower()
    if local == b"html":
        raise OntologyError(f"{path} is a web page, not RDF. Fetch the RDF file itself.")
    if local == b"ontology":
        raise OntologyError(f"{path} is OWL/XML, which is not RDF. {_CONVERT}")
    if local == b"trix":
        raise OntologyError(f"{path} is TriX, which cannot be read. {_CONVERT}")
    if local != b"rdf" and root and _RDF_NAMESPACE not in head:
        raise OntologyError(
            f"{path} is XML but not RDF/XML: its root is <{root.decode()}>. {_CONVERT}"
        )
    return "rdfxml"
