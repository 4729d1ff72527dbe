"""Load files and folders: small ones into memory, large ones into a store on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rlm_runtime.ontology.cached_store import load_cached
from rlm_runtime.ontology.filling import Loaded, OnProgress, load_source
from rlm_runtime.ontology.rdf_format import Syntax
from rlm_runtime.ontology.sources import find_source

__all__ = ["IN_MEMORY_BYTES", "Loaded", "OnProgress", "load_path"]

IN_MEMORY_BYTES = 8 * 2**20
"""What is larger, unzipped, goes to disk; Turtle of this size needs half a second in memory."""


def load_path(
    path: Path,
    syntax: Syntax | None = None,
    *,
    imports: Mapping[str, str | Path] | None = None,
    on_progress: OnProgress | None = None,
) -> Loaded:
    """Load a file, or all RDF files below a folder, and what they import.

    Large ones are read once; after that their store is opened from the cache folder.

    Args:
        path: A file or a folder. Hidden files and files that are no RDF are left out of a folder.
        syntax: Forces the syntax; else content and name of each file decide.
        imports: IRI of an ontology to its file; before what a map beside the ontology says.
        on_progress: Called now and then, with the bytes done and those in all. Those of large
            files count twice, for they are read first and then indexed.

    Raises:
        OntologyError: Missing, unreadable, not RDF, broken (with the line, where the parser knows
            it), or without a single triple; or the cache folder cannot be written.
        ConfigurationError: ``imports`` names a file that is not there.
    """
    from pyoxigraph import Store

    source = find_source(path, syntax, imports)
    if source.is_larger_than(IN_MEMORY_BYTES):
        return load_cached(source, on_progress)
    return load_source(source, Store(), on_progress)
