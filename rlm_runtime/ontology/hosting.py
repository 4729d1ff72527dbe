"""Have a path or a graph hosted by a worker: what the worker is told, and who may share it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rlm_runtime.errors import ConfigurationError, OntologyError, RlmError
from rlm_runtime.ontology.hosted import HostedOntology
from rlm_runtime.ontology.prefixes import USUAL_PREFIXES
from rlm_runtime.ontology.rdf_format import bare_name, named_syntax
from rlm_runtime.ontology.sharing import SharedWorker, hold
from rlm_runtime.ontology.sources import find_source
from rlm_runtime.ontology.worker_messages import Opening

if TYPE_CHECKING:
    from rdflib import Graph

    from rlm_runtime.ontology.filling import OnProgress

__all__ = ["MEMORY_VARIABLE", "host_graph", "host_path"]

MEMORY_VARIABLE = "RLM_RUNTIME_QUERY_MEMORY"
"""The bytes that queries may use, as a number, where ``memory_limit`` is not given."""

_DEFAULT_MEMORY = 4 << 30
_LEAST_MEMORY = 256 << 20
# In memory a packed file takes that many times its size, at the most that was seen.
_UNPACKED = 40


def host_path(
    given: str | Path,
    *,
    name: str | None,
    format: str | None,
    imports: Mapping[str, str | Path] | None,
    memory_limit: int | None,
    on_progress: OnProgress | None,
) -> HostedOntology:
    """Host a file or folder; see ``open_ontology``."""
    path = Path(os.path.expanduser(given))
    syntax = named_syntax(format) if format else None
    memory = _memory(memory_limit)
    source = find_source(path, syntax, imports)
    folder = "" if path.is_absolute() else os.getcwd()
    try:
        signature, settled = source.signature()
        # Of a file that was just written, the next change may not show in its time.
        content = signature if settled else source.content_key()
        size = sum(file.stat().st_size for file in source.members)
    except OSError as error:
        raise OntologyError(
            f"{path} cannot be read: {error.strerror}. Check the disk, and that it may be read."
        ) from error
    opening = Opening(
        path=str(path),
        folder=folder,
        syntax=syntax,
        imports={iri: os.path.join(folder, file) for iri, file in source.imports.items()},
        usual=dict(USUAL_PREFIXES),
        memory_limit=memory,
        load_limit=_load_limit(memory, size),
    )

    def unchanged() -> bool:
        try:
            now = find_source(Path(folder, path), syntax, opening.imports)
            same = now.signature()[0] == signature
            return same and (settled or now.content_key() == content)
        except (OSError, RlmError):
            return False

    shared = _shared(content, opening, unchanged)
    made_name = path.resolve().name if path.is_dir() else bare_name(path)
    return HostedOntology(
        shared, name=name or made_name, source=str(given), on_progress=on_progress
    )


def host_graph(graph: Graph, *, name: str | None, memory_limit: int | None) -> HostedOntology:
    """Host a copy of what a graph holds now; see ``open_ontology``."""
    from rlm_runtime.ontology.rdflib_source import graph_name, statements_of

    statements, prefixes = statements_of(graph)
    memory = _memory(memory_limit)
    opening = Opening(
        statements=statements,
        prefixes=prefixes,
        usual=dict(USUAL_PREFIXES),
        memory_limit=memory,
        load_limit=_load_limit(memory, len(statements)),
    )
    told = repr((hashlib.sha256(statements).hexdigest(), *prefixes.items()))
    shared = _shared(told, opening, lambda: True)
    return HostedOntology(shared, name=name or graph_name(graph), source="rdflib.Graph")


def _shared(content: str, opening: Opening, unchanged: Callable[[], bool]) -> SharedWorker:
    return hold((content, opening.memory_limit), lambda: SharedWorker(opening, unchanged))


def _load_limit(memory: int, size: int) -> int:
    # Writing a store takes a gigabyte, however little its queries may use.
    return max(memory, _DEFAULT_MEMORY) + _UNPACKED * size


def _memory(given: int | None) -> int:
    text = os.environ.get(MEMORY_VARIABLE, "").strip()
    try:
        memory = given if given is not None else int(text or _DEFAULT_MEMORY)
    except ValueError:
        memory = 0
    if memory < _LEAST_MEMORY:
        raise ConfigurationError(
            f"{'memory_limit' if given is not None else MEMORY_VARIABLE} is "
            f"{given if given is not None else text!r}, which cannot work. Give a number of bytes, "
            f"at least {_LEAST_MEMORY:,}."
        )
    return memory
