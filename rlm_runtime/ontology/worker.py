"""One worker process from its parent's side: start it, ask it, stop a query, kill it."""

from __future__ import annotations

import atexit
import importlib.util
import itertools
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import IO, TYPE_CHECKING, Any
from weakref import WeakSet

from rlm_runtime import errors
from rlm_runtime.errors import OntologyError, QueryTimeout
from rlm_runtime.ontology.worker_messages import TRY_AGAIN, Opened, Opening, pack, receive, send

if TYPE_CHECKING:
    from rlm_runtime.ontology.filling import OnProgress

__all__ = ["Worker", "WorkerGone", "forget_workers"]

# Without `site` and the environment a process starts in half the time; what it has to find is
# where this process found it.
_CODE = (
    "import sys; sys.path += sys.argv[1:]; "
    "from rlm_runtime.ontology.worker_main import main; main()"
)
_GRACE = 0.1
_MAX_SAID = 4_000
# As Rust, Python and C++ say it.
_OUT_OF_MEMORY = ("memory allocation of", "MemoryError", "bad_alloc")

_live: WeakSet[Worker] = WeakSet()


class WorkerGone(Exception):
    """The process ended before it answered.

    Args:
        why: What happened, for users.
        suspect: How likely this request is the cause: 0 when another one is known to be, 1 when
            it may be any of several or none, 2 when it was the only one, and used up something.
    """

    def __init__(self, why: str, suspect: int) -> None:
        super().__init__(why)
        self.why = why
        self.suspect = suspect


class _Reply:
    """A request that waits for its answer."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.value: Any = None
        self.error: Exception | None = None


class Worker:
    """A process that holds an ontology; it loads while this goes on.

    Args:
        opening: What it shall hold.
    """

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._numbers = itertools.count()
        # What is told goes through a thread of its own: a process that does not read, or a Ctrl-C,
        # must not hold up in the middle of a message who asks.
        self._untold: SimpleQueue[bytes | None] = SimpleQueue()
        self._untold.put(pack(opening))
        self._changed = threading.Condition()
        self._process: subprocess.Popen[bytes] | None = None
        self._replies: dict[int, _Reply] = {}
        self._opened: Opened | None = None
        self._failure: tuple[str, str] | None = None
        self._progress: tuple[int, int] | None = None
        self._why = ""
        self._killed = False
        self._gone = False
        _live.add(self)
        # The system kills a process with the thread that started it, as soon as it is asked to
        # kill it with its parent; so this thread lives as long as the process.
        threading.Thread(target=self._live, name="rlm-worker", daemon=True).start()

    @property
    def gone(self) -> bool:
        """Whether it has ended, or is about to."""
        return self._gone or self._killed

    @property
    def loading(self) -> bool:
        """Whether the ontology is not loaded yet."""
        return self._opened is None

    def opened(self, on_progress: OnProgress | None = None) -> Opened:
        """Wait until the ontology is loaded, and say what is known of it.

        Args:
            on_progress: Called on this thread while it loads.

        Raises:
            OntologyError: It cannot be loaded.
        """
        if self._opened is not None:
            return self._opened
        told = None
        while True:
            with self._changed:
                while self._opened is None and not self._gone and self._progress == told:
                    self._changed.wait()
                told = self._progress
                if self._opened is not None:
                    return self._opened
                if self._failure is not None:
                    raise _error(*self._failure)
                if self._gone:
                    raise OntologyError(
                        f"{self._opening.path or 'The graph'} cannot be loaded: {self._why}."
                    )
            if on_progress is not None and told is not None:
                on_progress(*told)

    def ask(self, method: str, *arguments: Any, timeout: float) -> Any:
        """Ask, and wait for the answer.

        When the time is over, the request is stopped; if that does not help at once, the process
        is killed, and all other requests in it end with a WorkerGone that does not suspect them.

        Raises:
            QueryTimeout: The time was over.
            WorkerGone: The process ended.
            RlmError: Whatever the answer is; a SyntaxError of the engine likewise.
        """
        reply = _Reply()
        number = next(self._numbers)
        packed = pack((number, method, arguments))
        with self._changed:
            if self.gone:
                raise WorkerGone(self._why, suspect=0)
            self._replies[number] = reply
        try:
            self._untold.put(packed)
            reply.done.wait(min(timeout, threading.TIMEOUT_MAX))
        finally:
            if not reply.done.is_set():
                self._give_up(number, reply)
        if reply.error is not None:
            raise reply.error
        return reply.value

    def kill(self) -> None:
        """End the process at once; requests in it end with a WorkerGone."""
        with self._changed:
            self._killed = True
            if self._process is not None:
                self._process.kill()

    def _give_up(self, number: int, reply: _Reply) -> None:
        self._untold.put(pack((number, None, ())))
        if not reply.done.wait(_GRACE):
            with self._changed:
                if reply.done.is_set():
                    return
                self._replies.pop(number, None)
                reply.error = QueryTimeout("The process had to be killed.")
                reply.done.set()
                self.kill()

    def _live(self) -> None:
        why, by_chance = "the thread that waits for its answers has failed", False
        try:
            with tempfile.TemporaryFile() as said:
                code = self._accompany(said)
                said.seek(max(0, said.seek(0, os.SEEK_END) - _MAX_SAID))
                opening = self._opening
                allowed = opening.load_limit if self.loading else opening.memory_limit
                why, by_chance = _why(code, said.read(), allowed), code in (-9, TRY_AGAIN)
        except OSError as error:
            why = f"a process for it cannot be started: {error}"
        finally:
            # Whatever happened, nobody waits for ever.
            self._end(why, by_chance)

    def _accompany(self, said: IO[bytes]) -> int:
        """Start the process, take what it says until it ends, and give its exit code."""
        with _started(said) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            with self._changed:
                self._process = process
                if self._killed:
                    process.kill()
            teller = threading.Thread(
                target=self._tell_all, args=[process.stdin], name="rlm-teller", daemon=True
            )
            teller.start()
            try:
                self._take_messages(process.stdout)
            finally:
                # Also when what it said made no sense.
                process.kill()
                self._untold.put(None)
                # While it writes there, another file must not get that descriptor.
                teller.join()
        return process.returncode

    def _tell_all(self, stream: IO[bytes]) -> None:
        # When it is gone, the thread that reads will notice, and say so to all who wait.
        with suppress(OSError):
            while (packed := self._untold.get()) is not None:
                send(stream.fileno(), packed)

    def _take_messages(self, stream: IO[bytes]) -> None:
        try:
            while True:
                self._take(receive(stream))
        except EOFError:
            return

    def _take(self, message: tuple[Any, ...]) -> None:
        kind, *rest = message
        with self._changed:
            if kind == "progress":
                self._progress = (rest[0], rest[1])
            elif kind == "open":
                (self._opened,) = rest
            elif kind == "failed":
                self._failure = (rest[0], rest[1])
                self._gone = True
                self.kill()
            else:
                reply = self._replies.pop(kind, None)
                if reply is not None:
                    worked, value = rest
                    if worked:
                        reply.value = value
                    else:
                        reply.error = _error(*value)
                    reply.done.set()
                return
            self._changed.notify_all()

    def _end(self, why: str, by_chance: bool) -> None:
        with self._changed:
            self._gone = True
            self._why = why
            suspect = 0 if self._killed else 1 if by_chance or len(self._replies) > 1 else 2
            for reply in self._replies.values():
                reply.error = WorkerGone(why, suspect)
                reply.done.set()
            self._replies.clear()
            self._changed.notify_all()


def forget_workers() -> None:
    """In a process made by ``os.fork``: let go of the parent's workers, which are not ours."""
    for worker in list(_live):
        process = worker._process
        if process is not None and process.stdin and process.stdout:
            process.stdin.close()
            process.stdout.close()
            process.returncode = 0
    _live.clear()


def _started(said: IO[bytes]) -> subprocess.Popen[bytes]:
    homes = [
        str(Path(spec.origin).parent.parent)
        for spec in map(importlib.util.find_spec, ("rlm_runtime", "pyoxigraph"))
        if spec and spec.origin
    ]
    places = dict.fromkeys([*homes, *(place or os.getcwd() for place in sys.path)])
    # A Ctrl-C in the terminal is for its parent only.
    group = None if sys.platform == "win32" else 0
    apart = subprocess.CREATE_NEW_PROCESS_GROUP if sys.platform == "win32" else 0
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _CODE, *places],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        bufsize=0,
        # With an arena for each thread, the C library would claim a gigabyte that nobody uses.
        env={**os.environ, "MALLOC_ARENA_MAX": "2"},
        process_group=group,
        creationflags=apart,
    )


def _error(name: str, text: str) -> Exception:
    return SyntaxError(text) if name == SyntaxError.__name__ else getattr(errors, name)(text)


def _why(code: int, said: bytes, allowed: int) -> str:
    """Say what a process died of, from its exit code and its last words."""
    words = said.decode(errors="replace").strip()
    last = words.splitlines()[-1][:300] if words else ""
    if any(sign in words for sign in _OUT_OF_MEMORY):
        return f"more memory was needed than the {allowed / 2**30:.3g} GiB that are allowed"
    if code == -9:
        return "the process was killed from outside, perhaps by the system for want of memory"
    if code == TRY_AGAIN:
        return "its store in the cache folder is broken again and again; check the disk"
    if code < 0:
        last = last or "too much recursion is a frequent cause"
    return f"the process ended with code {code}{': ' + last if last else ''}"


@atexit.register
def _kill_all() -> None:
    for worker in list(_live):
        worker.kill()
    end = time.monotonic() + 1
    for worker in list(_live):
        process = worker._process
        if process is not None and process.returncode is None:
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                return
