"""The process that holds one local ontology and answers for it; ``worker.py`` starts it.

Requests come in at stdin: first an Opening, then ``(number, method, arguments)``, and
``(number, None, None)`` to stop one. Replies go out at what was stdout: ``("progress", done,
total)``, ``("open", prefixes)`` or ``("failed", error, text)``; then ``(number, True, value)`` or
``(number, False, (error, text))``. The process ends when stdin does.
"""

from __future__ import annotations

import os
import sys
import threading
import zlib
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any

import pyoxigraph

from rlm_runtime.errors import OntologyError, QueryError, RlmError
from rlm_runtime.ontology.loading import Loaded, load_path, merge_named_graphs
from rlm_runtime.ontology.local import LocalOntology
from rlm_runtime.ontology.worker_limits import allow_memory, die_with_parent, open_nothing_more
from rlm_runtime.ontology.worker_messages import Opening, receive, send

__all__ = ["MOST_AT_ONCE", "main"]

MOST_AT_ONCE = 16
"""Requests that are answered at the same time."""

# Twice what a main thread has: the engine recurses over deep queries.
_STACK = 16 << 20
_MOST_BYTES = 64 << 20
_BROKEN = 70

# What the libraries raise at a question that makes no sense to them.
_UNFORESEEN = (ArithmeticError, LookupError, OSError, RuntimeError, TypeError, ValueError)


def main() -> None:
    """Serve the process at the other end of stdin and stdout until it is gone."""
    replies = os.dup(1)
    # What a library prints must not get between the replies.
    os.dup2(2, 1)
    sys.excepthook = _end
    threading.excepthook = lambda args: _end(args.exc_type, args.exc_value, args.exc_traceback)
    with open(0, "rb", closefd=False) as requests:
        worker = _Worker(replies)
        try:
            threading.Thread(target=worker.open, args=(receive(requests),), daemon=True).start()
            while True:
                worker.take(*receive(requests))
        except EOFError:
            os._exit(0)


def _end(kind: type[BaseException], error: BaseException | None, at: TracebackType | None) -> None:
    """End the whole process at a mistake in any of its threads: stderr tells of it."""
    sys.__excepthook__(kind, error or kind(), at)
    sys.stderr.flush()
    os._exit(_BROKEN)


class _Worker:
    """The requests that wait, those that are to stop, and the way for replies.

    Args:
        replies: The descriptor where they are written.
    """

    def __init__(self, replies: int) -> None:
        self._replies = replies
        self._parent = os.getppid()
        self._writing = threading.Lock()
        self._waiting: SimpleQueue[tuple[int, str, tuple[Any, ...]]] = SimpleQueue()
        self._stopped: dict[int, bool] = {}

    def open(self, opening: Opening) -> None:
        """Load the ontology; then answer, with as many threads as may be needed."""
        allow_memory(opening.load_limit)
        try:
            ontology = LocalOntology(_loaded(opening), dict(opening.usual))
        except RlmError as error:
            self._send(("failed", type(error).__name__, str(error)))
            return
        except MemoryError:
            text = "It needs more memory to load than allowed. Raise memory_limit."
            self._send(("failed", OntologyError.__name__, text))
            return
        threading.stack_size(_STACK)
        for _ in range(MOST_AT_ONCE):
            threading.Thread(target=self._serve, args=(ontology,), daemon=True).start()
        die_with_parent(self._parent)
        allow_memory(opening.memory_limit)
        open_nothing_more()
        self._send(("open", ontology.prefixes))

    def take(self, number: int, method: str | None, arguments: tuple[Any, ...]) -> None:
        """Take a request in, or the wish to stop one."""
        if method is not None:
            self._stopped[number] = False
            self._waiting.put((number, method, arguments))
        elif number in self._stopped:
            self._stopped[number] = True

    def _serve(self, ontology: LocalOntology) -> None:
        while True:
            number, method, arguments = self._waiting.get()
            try:
                reply = (number, True, self._answer(ontology, number, method, arguments))
            except (RlmError, SyntaxError) as error:
                reply = (number, False, (type(error).__name__, str(error)))
            except MemoryError:
                text = "The answer needs too much memory. Ask for less."
                reply = (number, False, (QueryError.__name__, text))
            except _UNFORESEEN as error:
                text = f"The question failed: {type(error).__name__}: {error}. Ask otherwise."
                reply = (number, False, (QueryError.__name__, text))
            del self._stopped[number]
            self._send(reply)

    def _answer(
        self, ontology: LocalOntology, number: int, method: str, arguments: tuple[Any, ...]
    ) -> object:
        if method == "run":
            (query,) = arguments
            return ontology.run(query, lambda: self._stopped[number])
        return getattr(ontology, method)(*arguments)

    def _send(self, message: tuple[Any, ...]) -> None:
        with self._writing:
            send(self._replies, message)


def _loaded(opening: Opening) -> Loaded:
    if opening.path:
        return load_path(Path(opening.path), opening.syntax)
    store = pyoxigraph.Store()
    lines = zlib.decompress(opening.statements)
    store.bulk_load(lines, pyoxigraph.RdfFormat.N_QUADS, lenient=True)
    merge_named_graphs(store)
    return Loaded(store, dict(opening.prefixes))
