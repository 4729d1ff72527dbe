"""MontyInterpreter: DSPy's code interpreter over the Monty sandbox."""

from __future__ import annotations

import keyword
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from dspy.primitives.code_interpreter import CodeExecutionError, CodeInterpreterError, FinalOutput
from dspy.primitives.facade import SHIM_SETUP
from dspy.utils.callback import BaseCallback, with_callbacks
from pydantic_monty import MontyError, MontyStdTypeProxy, MontySyntaxError

from rlm_runtime.interpreter.host_tools import call_tool
from rlm_runtime.interpreter.limits import EXECUTION_INSTRUCTIONS, SandboxLimits
from rlm_runtime.interpreter.monty_pool import SandboxFailure
from rlm_runtime.interpreter.monty_report import broken_because, report, with_output
from rlm_runtime.interpreter.monty_session import Output, Session
from rlm_runtime.interpreter.submit import submitted_fields
from rlm_runtime.interpreter.values import Unplain, clean_text, plain

__all__ = ["MontyInterpreter"]

_SUBMIT = "SUBMIT"


class _Ending(BaseException):
    """Ends the running cell; sandboxed code never sees it."""


class _Submitted(_Ending):
    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__()
        self.fields = fields


class _Overflowed(_Ending):
    pass


class _RunOver(SandboxFailure):
    rlm_control = True


class CellError(CodeExecutionError):
    """What the LM reads of a failed cell; ``bare_message`` leaves out what was printed."""

    def __init__(self, text: str, printed: str) -> None:
        super().__init__(with_output(text, printed))
        self.bare_message = text


class _RecordedCells(ABC):
    """Runs cells under the method name by which DSPy's callbacks know them."""

    @with_callbacks
    def execute(self, code: str, variables: dict[str, Any] | None = None) -> Any:
        return self._run_cell(code, variables)

    @abstractmethod
    def _run_cell(self, code: str, variables: dict[str, Any] | None) -> Any:
        """Run one cell; see ``MontyInterpreter.execute``."""


class MontyInterpreter(_RecordedCells):
    r"""Runs LM-written code in a worker process of the Monty sandbox, within limits.

    The code reaches nothing of this process but the tools, and nothing of the machine. Variables
    persist from cell to cell. One interpreter runs one cell at a time; any number of
    interpreters may run in any number of threads.

    Args:
        tools: Host functions by name, plain or async; called with positional or keyword
            arguments. The dict may be changed later.
        output_fields: ``{"name": …, "type": …}`` for each field of SUBMIT; may be set later.
        limits: Bounds on the sandboxed code.
        show: Renders a list or dict for ``print``, or gives None to print it as Python does.
        prepare_submit: Gets the fields given to SUBMIT before they are checked; gives those to
            use, or raises ValueError with a message for the LM.
        deadline: Gives the seconds left for the run, or None for no bound. When none are left,
            the next cell or call to the host raises. What it raises itself ends the cell and
            reaches the caller of ``execute``, if ``host_tools.ends_the_cell`` says so.
        callbacks: DSPy callbacks for this interpreter alone.

    Attributes:
        last_stdout: All that the last cell printed, up to ``limits.output_characters``, also
            when it failed; set before ``execute`` returns or raises.

    Example:
        >>> with MontyInterpreter({"double": lambda n: 2 * n}) as sandbox:
        ...     print(sandbox.execute("x = double(21)\nprint(x)"), end="")
        ...     sandbox.execute("SUBMIT(answer=x)")
        42
        FinalOutput({'answer': 42})
    """

    execution_instructions = EXECUTION_INSTRUCTIONS

    def __init__(
        self,
        tools: dict[str, Callable[..., Any]] | None = None,
        output_fields: list[dict[str, Any]] | None = None,
        *,
        limits: SandboxLimits | None = None,
        show: Callable[[Any], str | None] | None = None,
        prepare_submit: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        deadline: Callable[[], float | None] | None = None,
        callbacks: list[BaseCallback] | None = None,
    ) -> None:
        self.tools: dict[str, Callable[..., Any]] = dict(tools or {})
        self.output_fields = output_fields
        self.limits = limits or SandboxLimits()
        self.callbacks = list(callbacks or [])
        self.last_stdout = ""
        self.show = show
        self.prepare_submit = prepare_submit
        self.deadline = deadline
        self._session: Session | None = None
        self._cell = 0
        self._restarts = 0
        self._ended: str | None = None
        self._lock = threading.Lock()

    @with_callbacks
    def start(self) -> None:
        """Take a worker; does nothing when there is one.

        Raises:
            CodeInterpreterError: The interpreter was shut down, or no worker is to be had.
        """
        self._check_usable()
        if self._session is None:
            self._session = Session(self.limits, shows=self.show is not None)

    def execute(self, code: str, variables: dict[str, Any] | None = None) -> Any:
        """Run one cell.

        Args:
            code: Python source.
            variables: Values to bind as globals first.

        Returns:
            What was printed; or, if nothing was, a rendering of the last expression's value; None
            if there is neither. FinalOutput with the fields when the code called SUBMIT.

        Raises:
            CodeExecutionError: The code failed; variables are kept unless the message says
                that the session was restarted.
            SyntaxError: The code does not parse.
            CodeInterpreterError: The interpreter cannot go on, or a variable has no plain form.
        """
        # DSPy sends its facade for sub-agents, which needs classes that inherit. It is no cell of
        # the LM, so that it fails before any callback hears of it.
        if code == SHIM_SETUP:
            raise CodeExecutionError("the Monty sandbox has no class inheritance")
        return super().execute(code, variables)

    @with_callbacks
    def invoke_tool(self, tool_name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Call one of the tools and give its result in plain form.

        Raises:
            CodeInterpreterError: There is no such tool.
            TypeError: The arguments do not fit, or the result has no plain form.
            ValueError: The result is too large, too deep, or contains itself.
        """
        if tool_name not in self.tools:
            raise CodeInterpreterError(f"There is no tool {tool_name!r}.")
        result = call_tool(tool_name, self.tools[tool_name], args, kwargs)
        return _plain(result, f"the result of {tool_name}()")

    @with_callbacks
    def shutdown(self) -> None:
        """Hand the worker back; calling it again does nothing."""
        self._end("The interpreter was shut down; make a new one.")

    def __enter__(self) -> MontyInterpreter:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.shutdown()

    def _run_cell(self, code: str, variables: dict[str, Any] | None) -> Any:
        if not self._lock.acquire(blocking=False):
            raise CodeInterpreterError("The interpreter is running a cell already.")
        output = Output(self.limits.output_characters)
        # Kept by nothing but this call, or the cycle would delay the return of the worker of an
        # interpreter that nobody shut down.
        host = _Host(self)
        try:
            self._check_usable()
            host.check(output)
            inputs = _inputs(variables)
            if self._session is None:
                self.start()
            assert self._session is not None
            self._cell += 1
            value = self._session.run(clean_text(code), self._cell, inputs, host, output)
            if not output.text and value is not None:
                output.write("stdout", host.rendered(value) + "\n")
            if output.overflowed:
                raise _Overflowed
            return output.text or None
        except _Submitted as submitted:
            return FinalOutput(submitted.fields)
        except _Overflowed:
            raise CellError(
                f"The cell printed more than {self.limits.output_characters:,} characters; the "
                "rest is lost. Variables are kept. Print less at a time.",
                output.text,
            ) from None
        except MontyError as error:
            raise self._failure(error, output.text) from None
        except RuntimeError as error:
            # Monty tells of a lost session by a bare RuntimeError; others come from the host.
            if type(error) is not RuntimeError:
                raise
            self._check_usable()
            raise self._restarted("its session was lost", str(error), output.text) from None
        finally:
            self.last_stdout = output.text
            self._lock.release()

    def _failure(self, error: MontyError, printed: str) -> Exception:
        self._check_usable()
        why = broken_because(error)
        cells = self._session.cells if self._session is not None else {}
        text = report(error, cells, self.tools)
        if why is not None:
            return self._restarted(why.format(**asdict(self.limits)), text, printed)
        if isinstance(error, MontySyntaxError):
            return SyntaxError(text)
        return CellError(text, printed)

    def _restarted(self, why: str, text: str, printed: str) -> Exception:
        session, self._session = self._session, None
        if session is not None:
            session.close()
        self._restarts += 1
        if self._restarts > self.limits.restarts:
            self._end(
                f"The sandbox was given up after {self._restarts} broken sessions; the last cell "
                f"was stopped: {why}."
            )
            return SandboxFailure(self._ended or "")
        return CellError(
            f"{text}\nThe cell was stopped: {why}. The session was restarted: variables, "
            "functions and imports of earlier cells are gone.",
            printed,
        )

    def _check_usable(self) -> None:
        if self._ended is not None:
            raise CodeInterpreterError(self._ended)

    def _end(self, why: str) -> None:
        if self._ended is None:
            self._ended = why
        session, self._session = self._session, None
        if session is not None:
            session.close()


class _Host:
    """Answers the calls of one interpreter's sessions."""

    def __init__(self, interpreter: MontyInterpreter) -> None:
        self._interpreter = interpreter

    @property
    def names(self) -> Iterable[str]:
        return (*self._interpreter.tools, _SUBMIT)

    def check(self, output: Output) -> None:
        if output.overflowed:
            raise _Overflowed
        deadline = self._interpreter.deadline
        left = deadline() if deadline is not None else None
        if left is not None and left <= 0:
            raise _RunOver("The time of the run is over.")

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        arguments, keywords = _plain([list(args), kwargs], f"an argument of {name}()")
        if name == _SUBMIT:
            wanted, prepare = self._interpreter.output_fields, self._interpreter.prepare_submit
            raise _Submitted(submitted_fields(arguments, keywords, wanted, prepare))
        return self._interpreter.invoke_tool(name, arguments, keywords)

    def show(self, value: Any) -> str | None:
        show = self._interpreter.show
        if show is None:
            return None
        try:
            text = show(plain(value))
        except Unplain:
            return None
        return None if text is None else clean_text(text)

    def rendered(self, value: Any) -> str:
        try:
            value = plain(value)
        except Unplain as error:
            if isinstance(value, (type, MontyStdTypeProxy)):
                return f"<{getattr(value, '__name__', None) or value.name}>"
            return f"(a {type(value).__name__} that cannot be shown: {error})"
        text = self.show(value) if isinstance(value, (list, dict)) else None
        return repr(value) if text is None else text


def _plain(value: Any, what: str) -> Any:
    try:
        return plain(value)
    except Unplain as error:
        advice = "Use lists, dicts, strings, numbers, booleans, dates and None"
        raise error.kind(f"{what} cannot cross the sandbox: {error}. {advice}.") from None


def _inputs(variables: dict[str, Any] | None) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    for name, value in (variables or {}).items():
        if not name.isidentifier() or keyword.iskeyword(name) or name == _SUBMIT:
            raise CodeInterpreterError(f"{name!r} cannot be the name of a variable.")
        try:
            inputs[name] = plain(value)
        except Unplain as error:
            raise CodeInterpreterError(
                f"The variable {name!r} cannot enter the sandbox: {error}. Give it as lists, "
                "dicts, strings, numbers, booleans, dates or None."
            ) from None
    return inputs
