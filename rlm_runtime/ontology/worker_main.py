"""The process that holds one local ontology and answers for it; ``worker.py`` starts it.

What stdin gives, pickled, names its channels. The first is for what is said of itself: an Opening
comes in; then ``("progress", done, total)``, ``("open", Opened)`` or ``("failed", error, text)``
go out; then the number of a question comes in that is to stop. On each of the others comes
``(number, method, arguments)`` and goes ``(True, value)`` or ``(False, (error, text))``. The
process ends when the first does.
"""

from __future__ import annotations

import importlib
import os
import pickle
import sqlite3
import sys
import threading
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import pyoxigraph

from rlm_runtime.errors import OntologyError, QueryError, RlmError
from rlm_runtime.ontology.cache import keep_in_use
from rlm_runtime.ontology.cached_store import distrust
from rlm_runtime.ontology.loading import Loaded, OnProgress, load_path
from rlm_runtime.ontology.local import LocalOntology
from rlm_runtime.ontology.query_run import is_corruption
from rlm_runtime.ontology.whole_graph import merge_named_graphs
from rlm_runtime.ontology.worker_channel import Channel, HungUp, pack, take_over
from rlm_runtime.ontology.worker_limits import (
    allow_memory,
    be_killed_first,
    die_with_parent,
    dump_no_core,
    has_open,
    open_no_socket,
    open_nothing_more,
)
from rlm_runtime.ontology.worker_messages import TRY_AGAIN, Opened, Opening

__all__ = ["main"]

# Twice what a main thread has: the engine recurses over deep queries.
_STACK = 16 << 20
_MOST_BYTES = 256 << 20
_BROKEN = 70

# What the libraries raise at a question that makes no sense to them.
_UNFORESEEN = (
    *(ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError),
    sqlite3.Error,
)


def main() -> None:
    """Serve the process that has started this one until it is gone."""
    # Of this thread, for the wish ends with the thread that utters it.
    die_with_parent()
    be_killed_first()
    dump_no_core()
    # Before there are other threads.
    open_no_socket()
    sys.excepthook = _end
    threading.excepthook = lambda args: _end(args.exc_type, args.exc_value, args.exc_traceback)
    with open(0, "rb") as told:
        control, *channels = map(take_over, pickle.load(told))
    worker = _Worker(control, channels)
    try:
        threading.Thread(target=worker.open, args=(control.receive(),), daemon=True).start()
        while True:
            worker.stop(control.receive())
    except HungUp:
        os._exit(0)


def _end(kind: type[BaseException], error: BaseException | None, at: TracebackType | None) -> None:
    """End the whole process at a mistake in any of its threads: stderr tells of it."""
    sys.__excepthook__(kind, error or kind(), at)
    sys.stderr.flush()
    os._exit(_BROKEN)


class _Worker:
    """The threads that answer, one for each channel, and what is to stop.

    Args:
        control: Where it says how far it is.
        channels: Where questions come from.
    """

    def __init__(self, control: Channel, channels: Iterable[Channel]) -> None:
        self._control = control
        self._stopped: dict[int, bool] = {}
        self._ready = threading.Event()
        threading.stack_size(_STACK)
        # Before memory is bounded, so that their stacks do not count.
        for channel in channels:
            threading.Thread(target=self._serve, args=(channel,), daemon=True).start()

    def open(self, opening: Opening) -> None:
        """Load the ontology, and let the threads answer."""
        allow_memory(opening.load_limit)
        try:
            loaded, ontology = self._opened(opening)
        except RlmError as error:
            self._control.send(pack(("failed", type(error).__name__, str(error))))
            return
        except MemoryError:
            text = "It needs more memory to load than allowed. Raise memory_limit."
            self._control.send(pack(("failed", OntologyError.__name__, text)))
            return
        allow_memory(opening.memory_limit)
        # The first search may build an index, and by then no file can be opened.
        importlib.import_module("rlm_runtime.ontology.label_build")
        # Of a large store the engine opens a few files at first, and the others to read them.
        if loaded.folder is None or has_open(loaded.folder.rglob("*.sst")):
            open_nothing_more()
        else:
            self._in_use = keep_in_use(loaded.folder)
        self._ontology = ontology
        self._ready.set()
        opened = Opened(ontology.prefixes, loaded.unresolved_imports)
        self._control.send(pack(("open", opened)))

    def _opened(self, opening: Opening) -> tuple[Loaded, LocalOntology]:
        loaded = _loaded(opening, self._tell_progress)
        try:
            return loaded, LocalOntology(loaded, dict(opening.usual))
        except (OntologyError, RuntimeError, sqlite3.Error):
            # What was written cannot be read.
            if not distrust(loaded):
                raise
        loaded = _loaded(opening, self._tell_progress)
        return loaded, LocalOntology(loaded, dict(opening.usual))

    def _tell_progress(self, done: int, total: int) -> None:
        self._control.send(pack(("progress", done, total)))

    def stop(self, number: int) -> None:
        """Have a question stop, if it is not answered yet."""
        if number in self._stopped:
            self._stopped[number] = True

    def _serve(self, channel: Channel) -> None:
        self._ready.wait()
        # Who asked may hang up before there is an answer.
        with suppress(HungUp):
            while True:
                number, method, arguments = channel.receive()
                self._stopped[number] = False
                packed = self._packed_answer(number, method, arguments)
                del self._stopped[number]
                channel.send(packed)

    def _packed_answer(self, number: int, method: str, arguments: tuple[Any, ...]) -> bytes:
        try:
            packed = pack((True, self._answer(number, method, arguments)))
            if len(packed) <= _MOST_BYTES:
                return packed
            error, text = QueryError, f"The answer holds {len(packed):,} bytes. Ask for less."
        except MemoryError:
            error, text = QueryError, "The answer needs too much memory. Ask for less."
        except (RlmError, SyntaxError, *_UNFORESEEN) as other:
            # The index of names says so by an OntologyError, and nothing else does.
            broken = is_corruption(other) or isinstance(other, OntologyError)
            if broken and self._ontology.distrust():
                os._exit(TRY_AGAIN)
            error, text = type(other), str(other)
            if isinstance(other, _UNFORESEEN):
                error, text = QueryError, f"The question failed: {other!r}. Ask otherwise."
        return pack((False, (error.__name__, text)))

    def _answer(self, number: int, method: str, arguments: tuple[Any, ...]) -> object:
        if method == "run":
            (query,) = arguments
            return self._ontology.run(query, lambda: self._stopped[number])
        return getattr(self._ontology, method)(*arguments)


def _loaded(opening: Opening, on_progress: OnProgress) -> Loaded:
    if opening.folder:
        os.chdir(opening.folder)
    if opening.path:
        return load_path(
            Path(opening.path), opening.syntax, imports=opening.imports, on_progress=on_progress
        )
    store = pyoxigraph.Store()
    lines = zlib.decompress(opening.statements)
    store.bulk_load(lines, pyoxigraph.RdfFormat.N_QUADS, lenient=True)
    merge_named_graphs(store)
    return Loaded(store, dict(opening.prefixes))
