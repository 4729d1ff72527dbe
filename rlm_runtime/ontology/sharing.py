"""One worker for all who have the same ontology open: found, replaced, and in the end let go."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Hashable
from contextlib import ExitStack
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from rlm_runtime.errors import OntologyError, QueryError, QueryTimeout
from rlm_runtime.ontology.worker import Worker, WorkerGone, forget_workers
from rlm_runtime.ontology.worker_messages import MOST_AT_ONCE, Opened, Opening

if TYPE_CHECKING:
    from rlm_runtime.ontology.filling import OnProgress

__all__ = ["SharedWorker", "hold", "let_go"]

LINGER = 60.0
"""Seconds that a worker is kept for when its ontology is opened again."""
_MOST_IDLE = 4


class SharedWorker:
    """The worker of one ontology's content, and its successors when it has to be killed.

    Args:
        opening: What it holds.
        unchanged: Says whether the source is still what it was; asked before it is loaded again.
    """

    def __init__(self, opening: Opening, unchanged: Callable[[], bool]) -> None:
        self._opening = opening
        self._unchanged = unchanged
        self._ended = False
        self.forget()
        self.users = 0
        self.idle_until = 0.0

    def open(self, on_progress: OnProgress | None = None) -> Opened:
        """Wait until a worker has loaded the ontology, and say what is known of it.

        Raises:
            OntologyError: It cannot be loaded.
        """
        return self._current().opened(on_progress)

    def ask(self, method: str, *arguments: Any, timeout: float) -> Any:
        """Ask a method of LocalOntology, again where the worker ended early, and wait.

        Time counts while the question is with a worker that has loaded the ontology.

        Args:
            method: Its name.
            arguments: Its arguments.
            timeout: Seconds.

        Raises:
            QueryTimeout: The time was over.
            QueryError: The worker ended because of it; or whatever the answer is.
            OntologyError: The worker ended, and the source has changed since; or it was let go.
        """
        left = timeout
        suspected = False
        with ExitStack() as alone:
            self._asking.add(alone)
            alone.callback(self._asking.discard, alone)
            alone.callback(self._places.put, self._places.get())
            while left > 0:
                worker = self._current()
                worker.opened()
                began = time.monotonic()
                try:
                    return worker.ask(method, *arguments, timeout=left)
                except QueryTimeout:
                    break
                except WorkerGone as end:
                    left -= time.monotonic() - began
                    if end.suspect == 2 or (end.suspect and suspected):
                        raise QueryError(
                            f"There is no answer: {end.why}. Ask for less, or more narrowly."
                        ) from None
                    if end.suspect and not suspected:
                        # Asked again one by one, the culprit is found and the others are answered.
                        suspected = True
                        alone.enter_context(self._one_suspect)
        self._replace()
        raise QueryTimeout(f"There was no answer within {timeout:g} s.")

    def end(self) -> None:
        """Kill the worker, if there is one, for good: nobody would end another one."""
        with self._lock:
            self._ended = True
            if self._worker is not None:
                self._worker.kill()

    @property
    def busy(self) -> bool:
        """Whether questions wait for an answer."""
        return bool(self._asking)

    @property
    def worth_keeping(self) -> bool:
        """Whether there is a worker, with the ontology loaded."""
        return not (self._worker is None or self._worker.gone or self._worker.loading)

    def forget(self) -> None:
        """Begin anew, without the worker and locks that a process made by ``os.fork`` has got."""
        self._worker: Worker | None = None
        self._asking: set[ExitStack] = set()
        self._lock = threading.Lock()
        # What waits for a thread of the worker must wait here, where no time runs.
        self._places: SimpleQueue[int] = SimpleQueue()
        for place in range(MOST_AT_ONCE):
            self._places.put(place)
        self._one_suspect = threading.Lock()

    def _current(self) -> Worker:
        with self._lock:
            if self._ended:
                raise OntologyError("The ontology was closed meanwhile. Open it again.")
            if self._worker is None or self._worker.gone:
                if not self._unchanged():
                    raise OntologyError(
                        f"{self._opening.path} has changed since it was opened, and has to be "
                        "loaded again. Close the ontology and open it again."
                    )
                self._worker = Worker(self._opening)
            return self._worker

    def _replace(self) -> None:
        """Start another worker for one that was killed, so that the next question waits less."""
        with self._lock:
            worker = self._worker
            if worker is not None and worker.gone and not self._ended and self._unchanged():
                self._worker = Worker(self._opening)


class _House:
    """All shared workers of this process, and the thread that ends those that nobody uses."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shared: dict[Hashable, SharedWorker] = {}
        # Its `put` may be called by a finalizer, wherever that interrupts a thread.
        self._left: SimpleQueue[SharedWorker] = SimpleQueue()
        self._keeper: threading.Thread | None = None

    def hold(self, key: Hashable, make: Callable[[], SharedWorker]) -> SharedWorker:
        with self._lock:
            shared = self._shared.get(key)
            if shared is None:
                shared = self._shared[key] = make()
            shared.users += 1
            if self._keeper is None:
                self._keeper = threading.Thread(target=self._keep, name="rlm-keeper", daemon=True)
                self._keeper.start()
            return shared

    def let_go(self, shared: SharedWorker) -> None:
        self._left.put(shared)

    def after_fork(self) -> None:
        self._lock = threading.Lock()
        self._left = SimpleQueue()
        self._keeper = None
        for shared in self._shared.values():
            shared.forget()

    def _keep(self) -> None:
        pause: float | None = None
        while True:
            try:
                left = self._left.get(timeout=pause)
            except Empty:
                left = None
            with self._lock:
                if left is not None:
                    left.users -= 1
                    left.idle_until = time.monotonic() + LINGER
                pause = self._tidy()

    def _tidy(self) -> float | None:
        """End the workers that have been idle for long, or are too many; say when to look again."""
        idle = [(s.idle_until, key, s) for key, s in self._shared.items() if not s.users]
        idle = sorted((item for item in idle if not item[2].busy), key=lambda item: item[0])
        now = time.monotonic()
        kept = 0.0
        for i, (until, key, shared) in enumerate(idle):
            if until <= now or not shared.worth_keeping or len(idle) - i > _MOST_IDLE:
                del self._shared[key]
                shared.end()
            else:
                kept = kept or until
        waiting = kept or any(not s.users for s in self._shared.values())
        return max(kept - now, 1.0) if waiting else None


_house = _House()


def hold(key: Hashable, make: Callable[[], SharedWorker]) -> SharedWorker:
    """Give the shared worker of a key, made if there is none; it lives until it is let go.

    Args:
        key: Equal for equal contents only.
        make: Makes it.
    """
    return _house.hold(key, make)


def let_go(shared: SharedWorker) -> None:
    """Say that one user less needs a shared worker; a finalizer may call this, too."""
    _house.let_go(shared)


def _after_fork() -> None:
    forget_workers()
    _house.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
