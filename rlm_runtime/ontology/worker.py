"""One worker process from its parent's side: start it, ask it, stop a query, kill it."""

from __future__ import annotations

import atexit
import importlib.util
import itertools
import os
import pickle
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from weakref import WeakSet

from rlm_runtime import errors
from rlm_runtime.errors import OntologyError, QueryTimeout
from rlm_runtime.ontology.worker_channel import Channel, HungUp, TimeIsOver, hand_over, pack
from rlm_runtime.ontology.worker_messages import MOST_AT_ONCE, TRY_AGAIN, Opened, Opening

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
_AWAKE = 0.0003
_MAX_SAID = 4_000
# As Rust, Python and C++ say it.
_OUT_OF_MEMORY = ("memory allocation of", "MemoryError", "bad_alloc")

_live: WeakSet[Worker] = WeakSet()
# No fork while a process is started: the child would keep that one's ends of the channels open.
_starting = threading.Lock()


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


class Worker:
    """A process that holds an ontology; it loads while this goes on.

    Args:
        opening: What it shall hold.
    """

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._numbers = itertools.count()
        # A lock of its own: to enter a Condition is not safe from a Ctrl-C, which leaves it locked.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._process: subprocess.Popen[bytes] | None = None
        # The first is for what the process says of itself. Each of the others is for one question
        # at a time, between the thread that asks and one that answers: no thread hands on to
        # another what it reads, which would take longer than most questions do.
        self._channels: list[Channel] = []
        self._free: list[Channel] = []
        self._in_use: set[Channel] = set()
        self._opened: Opened | None = None
        self._failure: tuple[str, str] | None = None
        self._progress: tuple[int, int] | None = None
        self._why = ""
        self._suspect = 0
        self._killed = False
        self._gone = False
        _live.add(self)
        # The system kills a process with the thread that started it, as soon as it is asked to
        # kill it with its parent; so this thread lives as long as the process.
        try:
            threading.Thread(target=self._live, name="rlm-worker", daemon=True).start()
        except BaseException:
            # It may run although this thread was interrupted, and then nobody would know of it.
            self.kill()
            raise

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
            with self._lock:
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

        When the time is over, the question is stopped; if that does not help at once, the process
        is killed, and all other questions in it end with a WorkerGone that does not suspect them.
        The same happens when the thread is interrupted while it waits.

        Raises:
            QueryTimeout: The time was over.
            WorkerGone: The process ended.
            RlmError: Whatever the answer is; a SyntaxError of the engine likewise.
        """
        until = time.monotonic() + timeout
        number = next(self._numbers)
        packed = pack((number, method, arguments))
        channel = self._taken()
        answered = False
        try:
            worked, value = self._answer(channel, number, packed, until)
            answered = True
        except HungUp:
            raise self._end_of_process() from None
        finally:
            self._leave(channel, answered)
        if worked:
            return value
        raise _error(*value)

    def kill(self) -> None:
        """End the process at once; requests in it end with a WorkerGone."""
        with self._lock:
            self._killed = True
            if self._process is not None:
                self._process.kill()

    def _taken(self) -> Channel:
        with self._lock:
            if not (self._free or self.gone):
                # No more are asked at once than there are: an interrupt has lost one.
                self.kill()
            if self.gone:
                raise WorkerGone(self._why, suspect=0)
            channel = self._free.pop()
            self._in_use.add(channel)
            return channel

    def _answer(self, channel: Channel, number: int, packed: bytes, until: float) -> Any:
        try:
            channel.send(packed, until)
            # Where several wait, they would take the processor from one another.
            return channel.receive(until, awake=_AWAKE if len(self._in_use) == 1 else 0.0)
        except TimeIsOver:
            with self._lock:
                if not self._gone:
                    self._channels[0].send(pack(number))
        try:
            return channel.receive(time.monotonic() + _GRACE)
        except TimeIsOver:
            raise QueryTimeout("The process had to be killed.") from None

    def _leave(self, channel: Channel, answered: bool) -> None:
        with self._lock:
            self._in_use.discard(channel)
            if not answered:
                self.kill()
            if self.gone:
                channel.close()
            else:
                self._free.append(channel)

    def _end_of_process(self) -> WorkerGone:
        with self._lock:
            # So that it ends indeed.
            if self._process is not None:
                self._process.kill()
            while not self._gone:
                self._changed.wait()
            return WorkerGone(self._why, self._suspect)

    def _live(self) -> None:
        why, by_chance = "the thread that waits for its answers has failed", False
        try:
            with tempfile.TemporaryFile() as said:
                code = self._accompany(said)
                said.seek(max(0, said.seek(0, os.SEEK_END) - _MAX_SAID))
                opening = self._opening
                allowed = opening.load_limit if self.loading else opening.memory_limit
                why, by_chance = _why(code, said.read(), allowed), code in (-9, TRY_AGAIN)
        # A RuntimeError is how test suites forbid sockets.
        except (OSError, RuntimeError) as error:
            why = f"a process for it cannot be started: {error}"
        finally:
            # Whatever happened, nobody waits for ever.
            self._end(why, by_chance)

    def _accompany(self, said: IO[bytes]) -> int:
        """Start the process, take what it says of itself until it ends, and give its exit code."""
        with _starting, ExitStack() as handed_over:
            its_ends = []
            for _ in range(1 + MOST_AT_ONCE):
                end, its_end = socket.socketpair()
                self._channels.append(Channel(end))
                its_ends.append(handed_over.enter_context(its_end))
            process = _started(said, its_ends)
        with process:
            with self._lock:
                self._process = process
                if self._killed:
                    process.kill()
            try:
                self._take_messages(self._channels[0])
            finally:
                # Also when what it said made no sense.
                process.kill()
        return process.returncode

    def _take_messages(self, control: Channel) -> None:
        with suppress(HungUp):
            control.send(pack(self._opening))
            while True:
                self._take(control.receive())

    def _take(self, message: tuple[Any, ...]) -> None:
        kind, *rest = message
        with self._lock:
            if kind == "progress":
                self._progress = (rest[0], rest[1])
            elif kind == "open":
                (self._opened,) = rest
                self._free += self._channels[1:]
            else:
                self._failure = (rest[0], rest[1])
                self._gone = True
                self.kill()
            self._changed.notify_all()

    def _end(self, why: str, by_chance: bool) -> None:
        with self._lock:
            self._gone = True
            self._why = why
            self._suspect = 0 if self._killed else 1 if by_chance or len(self._in_use) > 1 else 2
            for channel in self._channels:
                channel.hang_up()
                # Who uses it closes it.
                if channel not in self._in_use:
                    channel.close()
            self._changed.notify_all()


def forget_workers() -> None:
    """In a process made by ``os.fork``: let go of the parent's workers, which are not ours."""
    for worker in list(_live):
        for channel in worker._channels:
            channel.close()
        if worker._process is not None:
            worker._process.returncode = 0
    _live.clear()


def _started(said: IO[bytes], ends: Sequence[socket.socket]) -> subprocess.Popen[bytes]:
    homes = [
        str(Path(spec.origin).parent.parent)
        for spec in map(importlib.util.find_spec, ("rlm_runtime", "pyoxigraph"))
        if spec and spec.origin
    ]
    places = dict.fromkeys([*homes, *(place or os.getcwd() for place in sys.path)])
    # A Ctrl-C in the terminal is for its parent only.
    group = None if sys.platform == "win32" else 0
    apart = subprocess.CREATE_NEW_PROCESS_GROUP if sys.platform == "win32" else 0
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _CODE, *places],
        stdin=subprocess.PIPE,
        stdout=said,
        stderr=said,
        pass_fds=[] if sys.platform == "win32" else [end.fileno() for end in ends],
        # With an arena for each thread, the C library would claim a gigabyte that nobody uses.
        env={**os.environ, "MALLOC_ARENA_MAX": "2"},
        process_group=group,
        creationflags=apart,
    )
    assert process.stdin is not None
    # It may have ended already.
    with suppress(OSError), closing(process.stdin):
        pickle.dump([hand_over(end, process.pid) for end in ends], process.stdin)
    return process


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


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_starting.acquire,
        after_in_parent=_starting.release,
        after_in_child=_starting.release,
    )
