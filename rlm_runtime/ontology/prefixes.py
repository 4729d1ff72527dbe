"""Prefixed names: expand them to IRIs, and compact IRIs to names that are legal in SPARQL."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from rlm_runtime.errors import QueryError

__all__ = [
    "USUAL_PREFIXES",
    "PrefixMap",
    "is_plain_local",
    "is_scheme",
    "namespace_of",
    "unknown_prefix",
]

USUAL_PREFIXES: Mapping[str, str] = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "owl": "http://www.w3.org/2002/07/owl#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "skosxl": "http://www.w3.org/2008/05/skos-xl#",
    "dcterms": "http://purl.org/dc/terms/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "schema": "https://schema.org/",
    "prov": "http://www.w3.org/ns/prov#",
    "sh": "http://www.w3.org/ns/shacl#",
    "vann": "http://purl.org/vocab/vann/",
    "void": "http://rdfs.org/ns/void#",
    "dcat": "http://www.w3.org/ns/dcat#",
    "org": "http://www.w3.org/ns/org#",
    "qb": "http://purl.org/linked-data/cube#",
    "time": "http://www.w3.org/2006/time#",
    "sosa": "http://www.w3.org/ns/sosa/",
    "ssn": "http://www.w3.org/ns/ssn/",
    "geo": "http://www.opengis.net/ont/geosparql#",
    "wgs84": "http://www.w3.org/2003/01/geo/wgs84_pos#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "sioc": "http://rdfs.org/sioc/ns#",
    "doap": "http://usefulinc.com/ns/doap#",
    "cc": "http://creativecommons.org/ns#",
    "obo": "http://purl.obolibrary.org/obo/",
    "oboInOwl": "http://www.geneontology.org/formats/oboInOwl#",
}
"""Well-known prefixes, as most data use them; declared in every query that names them.

Data that say ``http://schema.org/`` have ``schema:`` for that instead.
"""

# The characters of SPARQL 1.1 § 19.8, productions 164 (PN_CHARS_BASE) to 167 (PN_CHARS).
_BASE = (
    r"A-Za-z\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u02FF\u0370-\u037D\u037F-\u1FFF\u200C\u200D"
    r"\u2070-\u218F\u2C00-\u2FEF\u3001-\uD7FF\uF900-\uFDCF\uFDF0-\uFFFD\U00010000-\U000EFFFF"
)
WORD_CHARS = rf"{_BASE}_0-9"
NAME_CHARS = rf"{WORD_CHARS}\-\u00B7\u0300-\u036F\u203F\u2040"
# No match may take back what it took (`*+`): on long texts that costs memory, and time without
# end. The bound on prefixes keeps a search for names in a long text linear.
PREFIX_NAME = rf"[{_BASE}](?:\.*+[{NAME_CHARS}]){{0,199}}+"
_PLAIN = rf"(?:[{NAME_CHARS}:]|%[0-9A-Fa-f]{{2}})"
_ESCAPE = r"\\[_~.\-!$&'()*+,;=/?#@%]"
_START = rf"(?:[{WORD_CHARS}:]|%[0-9A-Fa-f]{{2}})"
LOCAL_NAME = rf"(?:{_START}|{_ESCAPE})(?:\.*+(?:{_PLAIN}|{_ESCAPE}))*+"

_IS_PREFIX = re.compile(rf"(?:{PREFIX_NAME})?")
_IS_PLAIN_LOCAL = re.compile(rf"(?:{_START}(?:\.*+{_PLAIN})*+)?")
_IS_NAME = re.compile(rf"((?:{PREFIX_NAME})?):((?:{LOCAL_NAME})?)")
_IS_IRI = re.compile(r'[A-Za-z][A-Za-z0-9+.\-]*:[^\x00-\x20<>"{}|\\^`]*')
_IS_SCHEME = re.compile(r"(?:https?|file|ftp|urn|mailto|tag|doi|did|info|data|tel|ni|arn)\Z", re.I)
_MAX_NAME = 10_000
_MOST_KEPT = 4_096
_UNESCAPE = re.compile(r"\\(.)")


class PrefixMap(Mapping[str, str]):
    """Prefix to namespace IRI: an ontology's own prefixes first, then the usual ones.

    Prefixes and namespaces that SPARQL could not declare are left out.

    Args:
        own: The ontology's prefixes; they win over the usual ones.

    Example:
        >>> names = PrefixMap({"": "http://e/", "long": "http://e/long/"})
        >>> names.compact("http://e/long/a"), names.compact("http://e/a b"), names.expand(":a")
        ('long:a', '<http://e/a b>', 'http://e/a')
    """

    def __init__(self, own: Mapping[str, str]) -> None:
        self._namespaces: dict[str, str] = {}
        for prefix, namespace in (*own.items(), *USUAL_PREFIXES.items()):
            if _IS_PREFIX.fullmatch(prefix) and _IS_IRI.fullmatch(namespace):
                self._namespaces.setdefault(prefix, namespace)
        self._prefixes: dict[str, str] = {}
        for prefix, namespace in self._namespaces.items():
            self._prefixes.setdefault(namespace, prefix)
        odd = (item for item in self._prefixes.items() if item[0][-1] not in "/#")
        self._compacted: dict[str, str] = {}
        self._odd = sorted(odd, key=lambda item: -len(item[0]))

    def __getitem__(self, prefix: str) -> str:
        return self._namespaces[prefix]

    def __iter__(self) -> Iterator[str]:
        return iter(self._namespaces)

    def __len__(self) -> int:
        return len(self._namespaces)

    def compact(self, iri: str) -> str:
        """Give the prefixed name with the longest namespace that is legal, else ``<iri>``."""
        name = self._compacted.get(iri)
        if name is None:
            # The same few come again and again in tables.
            if len(self._compacted) >= _MOST_KEPT:
                self._compacted.clear()
            name = self._compacted[iri] = self._compact(iri)
        return name

    def _compact(self, iri: str) -> str:
        for namespace, prefix in self._odd:
            if iri.startswith(namespace) and is_plain_local(iri, namespace):
                return f"{prefix}:{iri[len(namespace) :]}"
        # No legal local name holds either, so that no shorter namespace can do.
        namespace = namespace_of(iri)
        prefix = self._prefixes.get(namespace)
        if prefix is not None and is_plain_local(iri, namespace):
            return f"{prefix}:{iri[len(namespace) :]}"
        return f"<{iri}>"

    def expand(self, name: str) -> str:
        """Give the full IRI of a prefixed name, ``<iri>`` or IRI.

        A known prefix wins over a scheme of the same name, unless ``//`` follows.

        Raises:
            QueryError: It is none of the three, or its prefix is not known.
        """
        name = name.strip()
        if len(name) > _MAX_NAME:
            raise QueryError(
                f"{name[:60]!r}… is {len(name):,} characters long, which no IRI is. Give the name "
                "of an entity."
            )
        if name.startswith("<") and name.endswith(">"):
            return name[1:-1]
        prefix, colon, local = name.partition(":")
        if not colon:
            raise QueryError(
                f"{name!r} is neither an IRI nor a prefixed name. Write it like prov:Activity or "
                "<http://www.w3.org/ns/prov#Activity>, or search for it by its label."
            )
        if local.startswith("//"):
            return name
        if prefix in self._namespaces:
            if _IS_NAME.fullmatch(name):
                local = _UNESCAPE.sub(r"\1", local)
            return self._namespaces[prefix] + local
        if is_scheme(prefix) and local:
            return name
        raise unknown_prefix(prefix, self._namespaces)


def namespace_of(iri: str) -> str:
    """Give an IRI without what follows its last ``/`` or ``#``.

    Example:
        >>> namespace_of("http://www.w3.org/ns/prov#Activity")
        'http://www.w3.org/ns/prov#'
    """
    return iri[: max(iri.rfind("/"), iri.rfind("#")) + 1]


def is_plain_local(iri: str, namespace: str) -> bool:
    """Say whether what follows its namespace can follow a prefix, as it is.

    Example:
        >>> is_plain_local("http://e/a-b", "http://e/"), is_plain_local("http://e/a(b)", "http://e/")
        (True, False)
    """
    return _IS_PLAIN_LOCAL.fullmatch(iri, len(namespace)) is not None


def is_scheme(prefix: str) -> bool:
    """Say whether IRIs often begin with this, so that it is no prefix unless one is declared.

    Example:
        >>> is_scheme("urn"), is_scheme("prov")
        (True, False)
    """
    return _IS_SCHEME.match(prefix) is not None


def unknown_prefix(prefix: str, known: Mapping[str, str]) -> QueryError:
    """Make the error for a prefix that nobody declared."""
    names = ", ".join(f"{name}:" for name in known)
    return QueryError(
        f"No such prefix {prefix}:, known prefixes: {names}. "
        f"Use one of these, declare PREFIX {prefix}: <…>, or write the IRI in full: <http://…>."
    )
