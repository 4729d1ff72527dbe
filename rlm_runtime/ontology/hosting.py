"""Have a path or a graph hosted by a worker: what the worker is told, and who may share it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TYPE_CHECKING

from rlm_runtime.errors import ConfigurationError
from rlm_runtime.ontology.hosted import HostedOntology
from rlm_runtime.ontology.prefixes import USUAL_PREFIXES
from rlm_runtime.ontology.rdf_format import bare_name, named_syntax
from rlm_runtime.ontology.sharing import SharedWorker, hold
from rlm_runtime.ontology.worker_messages import Opening

if TYPE_CHECKING:
    from rdflib import Graph

    from rlm_runtime.ontology.worker import OnProgress

__all__ = ["MEMORY_VARIABLE", "host_graph", "host_path"]

MEMORY_VARIABLE = "RLM_RUNTIME_QUERY_MEMORY"
"""The bytes that queries may use, as a number, where ``memory_limit`` is not given."""

_DEFAULT_MEMORY = 2 << 30
_LEAST_MEMORY = 256 << 20
# In memory a packed file takes that many times its size, at the most that was seen.
_UNPACKED = 40


def host_path(
    source: str | Path,
    *,
    name: str | None,
    format: str | None,
    memory_limit: int | None,
    on_progress: OnProgress | None,
) -> HostedOntology:
    """Host a file or folder; see ``open_ontology``."""
    path = Path(source).expanduser()
    syntax = named_syntax(format) if format else None
    memory = _memory(memory_limit)
    folder = "" if path.is_absolute() else os.getcwd()
    place = os.path.join(folder, path)
    state = _state(place)
    size = sum(size for _, size, _ in state)
    opening = Opening(
        path=str(path),
        folder=folder,
        syntax=syntax,
        usual=dict(USUAL_PREFIXES),
        memory_limit=memory,
        load_limit=memory + _UNPACKED * size,
    )
    shared = _shared(place, opening, state, lambda: _state(place) == state)
    made_name = path.resolve().name if os.path.isdir(path) else bare_name(path)
    return HostedOntology(
        shared, name=name or made_name, source=str(source), on_progress=on_progress
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
        load_limit=memory + _UNPACKED * len(statements),
    )
    content = (hashlib.sha256(statements).digest(), *prefixes.items())
    shared = _shared("", opening, content, lambda: True)
    return HostedOntology(shared, name=name or graph_name(graph), source="rdflib.Graph")


def _shared(
    place: str, opening: Opening, state: Hashable, unchanged: Callable[[], bool]
) -> SharedWorker:
    key = (place, opening.syntax, opening.memory_limit, state)
    return hold(key, lambda: SharedWorker(opening, unchanged))


def _state(path: str) -> tuple[tuple[str, int, int], ...]:
    """Tell a file, or all files below a folder, by path, size and time of change."""
    found = []
    for place in [path, *_below(path)]:
        try:
            status = os.stat(place)
        except (OSError, ValueError):
            # Whoever loads it says what is wrong.
            continue
        found.append((place, status.st_size, status.st_mtime_ns))
    return tuple(found)


def _below(folder: str) -> list[str]:
    places = [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names]
    return sorted(places)


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
