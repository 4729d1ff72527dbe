"""Which local file stands for an imported ontology: import maps, and what ``owl:imports`` asks."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

from rlm_runtime.errors import ConfigurationError, OntologyError

if TYPE_CHECKING:
    from pyoxigraph import Store

__all__ = ["CATALOG", "IMPORT_MAP", "read_import_map", "wanted_imports"]

IMPORT_MAP = "rlm-imports.toml"
"""Beside an ontology: IRI = "path" of each ontology that it imports, relative to this file."""

CATALOG = "catalog-v001.xml"
"""Beside an ontology: the same in the OASIS XML Catalogs format, as Protégé writes it."""

_MAX_BYTES = 4 * 2**20
_CATALOG_URI = "{urn:oasis:names:tc:entity:xmlns:xml:catalog}uri"
_WANTED = """
PREFIX owl: <http://www.w3.org/2002/07/owl#>
SELECT DISTINCT ?iri {
  ?any owl:imports ?iri
  FILTER isIRI(?iri)
  FILTER NOT EXISTS { ?iri a owl:Ontology }
  FILTER NOT EXISTS { ?one a owl:Ontology ; owl:versionIRI ?iri }
} ORDER BY ?iri"""


def read_import_map(path: Path, imports: Mapping[str, str | Path] | None = None) -> dict[str, Path]:
    """Put together where the imports of an ontology lie.

    Args:
        path: The ontology, a file or a folder. An ``rlm-imports.toml`` and then a
            ``catalog-v001.xml`` in the same folder fill in what ``imports`` leaves open.
        imports: IRI to file; relative paths are relative to the working folder.

    Returns:
        IRI to a regular file. What a map beside the ontology names and is not there is left out;
        its IRI stays an import that is not found.

    Raises:
        ConfigurationError: ``imports`` names a file that is not there, or not by a path.
        OntologyError: A map beside the ontology cannot be read.
    """
    folder = path if path.is_dir() else path.parent
    found = {
        iri: file
        for iri, file in (_read_catalog(folder / CATALOG) | _read_toml(folder / IMPORT_MAP)).items()
        if file.is_file()
    }
    for iri, target in (imports or {}).items():
        file = Path(os.path.expanduser(target))
        if not file.is_file():
            raise ConfigurationError(
                f"imports maps {iri} to {target}, where there is no file. Correct the path."
            )
        found[iri] = file
    return found


def wanted_imports(store: Store) -> list[str]:
    """Give the IRIs of what a store's ontologies import and the store does not hold, sorted."""
    from pyoxigraph import QuerySolutions

    solutions = store.query(_WANTED, use_default_graph_as_union=True)
    assert isinstance(solutions, QuerySolutions)
    return [solution["iri"].value for solution in solutions]


def _read_toml(path: Path) -> dict[str, Path]:
    text = _small_text(path)
    if text is None:
        return {}
    try:
        table = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OntologyError(f"{path} is no TOML: {error}. Correct it.") from error
    for iri, target in table.items():
        if not isinstance(target, str):
            raise OntologyError(
                f'{path} gives no path for {iri}. Write "http://…" = "file.ttl", one a line.'
            )
    return {iri: path.parent / target for iri, target in table.items()}


def _read_catalog(path: Path) -> dict[str, Path]:
    text = _small_text(path)
    if text is None:
        return {}
    # Entities could stand for other files, or for more than memory holds.
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise OntologyError(f"{path} has an XML document type (DOCTYPE). Save it without one.")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise OntologyError(f"{path} is broken XML: {error}. Correct it, or remove it.") from error
    found: dict[str, Path] = {}
    for entry in root.iter(_CATALOG_URI):
        iri, target = entry.get("name"), urlsplit(entry.get("uri") or "")
        if iri and target.path and target.scheme in ("", "file"):
            found.setdefault(iri, path.parent / unquote(target.path))
    return found


def _small_text(path: Path) -> bytes | None:
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise OntologyError(
            f"Cannot read {path}: {error.strerror}. Check that it may be read, or remove it."
        ) from error
    if len(text) > _MAX_BYTES:
        raise OntologyError(f"{path} is larger than {_MAX_BYTES} bytes. Is it an import map?")
    return text
