"""One Monty session: drives cells from one call to the host to the next."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from pydantic_monty import (
    ExternalResult,
    FunctionSnapshot,
    MontyComplete,
    MontyError,
    MontySession,
    NameLookupSnapshot,
)

from rlm_runtime.interpreter.host_tools import ends_the_cell, error_for_sandbox
from rlm_runtime.interpreter.limits import SandboxLimits
from rlm_runtime.interpreter.monty_pool import check_out, refuse_after_fork
from rlm_runtime.interpreter.monty_report import broken_because

__all__ = ["Host", "Output", "Session"]

_SHOW = "__show__"
# Lists and dicts go through the host, which may know a better form than repr; `None` back means
# it does not. Everything is bound early, because cells may assign `list` or `print` as they like.
_PRINT_THROUGH_HOST = (
    "print = (lambda emit, show, isinstance, len, kinds: lambda *values, **options: emit("
    "*[show(v) if isinstance(v, kinds) and len(v) <= 10000 else v for v in values], **options)"
    f")(print, lambda v, show={_SHOW}: v if (s := show(v)) is None else s, isinstance, len, "
    "(dict, list))\nNone"
)
# A cell that was left in the middle gets this many chances to end before its session is given up.
_SETTLE_STEPS = 50
# Sessions of the process that this one was forked from: freeing them would kill its workers.
_inherited: list[MontySession] = []


class Host(Protocol):
    """What a session asks of the host while a cell runs."""

    @property
    def names(self) -> Iterable[str]:
        """Names that sandboxed code may call."""
        ...

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call one of the names; gives a plain value."""
        ...

    def show(self, value: Any) -> str | None:
        """Render a list or dict for print, or give None to print it as Python does."""
        ...

    def check(self, output: Output) -> None:
        """Raise what is to end the cell now; called at every turn to the host."""
        ...


class Output:
    """What a cell prints, up to a number of characters."""

    def __init__(self, limit: int) -> None:
        self._parts: list[str] = []
        self._room = limit
        self.overflowed = False

    def write(self, _stream: str, text: str) -> None:
        """Take a piece of output; what does not fit is dropped and ``overflowed`` set."""
        if len(text) > self._room:
            self.overflowed = True
            text = text[: self._room]
        if text:
            self._room -= len(text)
            self._parts.append(text)

    @property
    def text(self) -> str:
        """What was printed so far."""
        return "".join(self._parts)


class Session:
    """A worker of the pool with its own variables, until ``close``.

    Args:
        limits: Bounds on the session.
        shows: Whether print asks the host to render lists and dicts.
    """

    def __init__(self, limits: SandboxLimits, *, shows: bool) -> None:
        self._limits = limits
        self._monty: MontySession = check_out(limits)
        self._owner = os.getpid()
        self._suspended: FunctionSnapshot | None = None
        self._feeds = 0
        self._slept = 0.0
        self._prelude = ""
        # Monty's file name of each cell to the number of the cell.
        self.cells: dict[str, int] = {}
        if shows:
            self._install_print()

    def run(self, code: str, number: int, inputs: dict[str, Any], host: Host, out: Output) -> Any:
        """Run one cell and give the value of its last expression, or None.

        Args:
            code: Python source.
            number: The cell's number, for tracebacks.
            inputs: Plain values to bind as globals first.
            host: Answers calls; what it raises and ``ends_the_cell`` passes through unchanged.
            out: Takes what the cell prints.

        Raises:
            MontyError: The code failed, a limit ended it, or the worker died.
            RuntimeError: The session is lost, or the cell before could not be ended.
            SandboxFailure: This process was forked from the one that opened the session.
        """
        refuse_after_fork(self._owner)
        self._settle()
        filename = self._next_filename()
        self.cells[filename] = number
        snapshot = self._monty.feed_start(code, inputs=inputs, print_callback=out.write)
        while not isinstance(snapshot, MontyComplete):
            snapshot = self._answer(snapshot, host, out)
        return snapshot.output

    def close(self) -> None:
        """Hand the worker back; variables are gone."""
        self._suspended = None
        if self._owner == os.getpid():
            self._monty.__exit__(None, None, None)
        else:
            _inherited.append(self._monty)

    def _next_filename(self) -> str:
        filename = f"<python-input-{self._feeds}>"
        self._feeds += 1
        return filename

    def _install_print(self) -> None:
        self._prelude = self._next_filename()
        snapshot = self._monty.feed_start(_PRINT_THROUGH_HOST)
        while isinstance(snapshot, NameLookupSnapshot):
            snapshot = snapshot.resume(value=_stub(_SHOW))

    def _answer(self, snapshot: Any, host: Host, out: Output) -> Any:
        if isinstance(snapshot, NameLookupSnapshot):
            name = snapshot.variable_name
            return snapshot.resume(value=_stub(name)) if name in host.names else snapshot.resume()
        if snapshot.is_os_function and "sleep" not in snapshot.function_name:
            return snapshot.resume_auto()
        try:
            host.check(out)
            result: ExternalResult = {"return_value": self._result(snapshot, host)}
        except BaseException as error:
            if ends_the_cell(error):
                self._suspended = snapshot
                raise
            kind, message = error_for_sandbox(error)
            result = {"exc_type": kind, "message": message}  # type: ignore[typeddict-item]
        return snapshot.resume(result)

    def _result(self, snapshot: FunctionSnapshot, host: Host) -> Any:
        name = snapshot.function_name
        if snapshot.is_os_function:
            return self._sleep(float(snapshot.args[0]))
        # Only the wrapped print may reach the renderer, not a cell that guesses its name.
        if name == _SHOW and snapshot.position.filename == self._prelude:
            return host.show(snapshot.args[0])
        if name in host.names:
            return host.call(name, snapshot.args, snapshot.kwargs)
        raise NameError(f"name '{name}' is not defined")

    def _sleep(self, seconds: float) -> None:
        if not 0 <= seconds <= self._limits.sleep_seconds - self._slept:
            raise TimeoutError(
                f"a session may sleep {self._limits.sleep_seconds:g} s in all; "
                f"it has slept {self._slept:g} s"
            )
        self._slept += seconds
        time.sleep(seconds)

    def _settle(self) -> None:
        """End a cell that was left in the middle, so that its session can be used again."""
        snapshot: Any = self._suspended
        self._suspended = None
        if snapshot is None:
            return
        try:
            for _ in range(_SETTLE_STEPS):
                if isinstance(snapshot, MontyComplete):
                    return
                # `except Exception` in the cell does not stop it.
                snapshot = (
                    snapshot.resume()
                    if isinstance(snapshot, NameLookupSnapshot)
                    else snapshot.resume({"exc_type": "KeyboardInterrupt", "message": "ended"})
                )
        except MontyError as error:
            if broken_because(error) is None:
                return
            raise RuntimeError("the cell before could not be ended") from error
        raise RuntimeError("the cell before could not be ended")


def _stub(name: str) -> Callable[..., Any]:
    def stub(*_args: Any, **_kwargs: Any) -> None:
        """Stand for a host function; Monty hands its calls to the session."""

    stub.__name__ = stub.__qualname__ = name
    return stub
