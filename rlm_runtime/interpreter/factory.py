"""Chooses where LM-written code runs: by name, or by a factory of the caller's own."""

from __future__ import annotations

import importlib.util
import shutil
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rlm_runtime.errors import ConfigurationError
from rlm_runtime.interpreter.limits import EXECUTION_INSTRUCTIONS

if TYPE_CHECKING:
    from dspy.primitives.code_interpreter import CodeInterpreter

__all__ = ["UnsandboxedWarning", "make_interpreter_factory"]


class UnsandboxedWarning(UserWarning):
    """LM-written code runs with the rights of the user."""


class _Named:
    """A factory that says, as DSPy asks, which Python its interpreters run."""

    def __init__(self, make: Callable[[], CodeInterpreter], execution_instructions: str) -> None:
        self._make = make
        self.execution_instructions = execution_instructions

    def __call__(self) -> CodeInterpreter:
        return self._make()


def make_interpreter_factory(
    interpreter: str | Callable[[], CodeInterpreter] = "monty", **monty_options: Any
) -> Callable[[], CodeInterpreter]:
    """Give what ``dspy.RLM`` takes as ``interpreter_factory``.

    Args:
        interpreter: ``"monty"``, the sandbox; ``"local"``, DSPy's LocalInterpreter, which is no
            sandbox; ``"pyodide"``, DSPy's PythonInterpreter, which needs Deno; or a callable
            that makes an interpreter, which is given back as it is.
        **monty_options: Keywords for MontyInterpreter; the other choices leave them aside.

    Returns:
        A callable without arguments. Those made from a name carry ``execution_instructions``,
        the part of the action prompt that tells the LM which Python runs.

    Raises:
        ConfigurationError: There is no such choice, or Deno is missing.

    Example:
        >>> make_interpreter_factory().execution_instructions[:47]
        'Cells run in a sandboxed subset of Python 3 and'
    """
    if callable(interpreter):
        return interpreter
    if interpreter == "monty":
        return _Named(lambda: _make_monty(monty_options), EXECUTION_INSTRUCTIONS)
    if interpreter == "local":
        return _make_local_factory()
    if interpreter == "pyodide":
        return _make_pyodide_factory()
    raise ConfigurationError(
        f"There is no interpreter {interpreter!r}. Choose 'monty', 'local', 'pyodide', or give a "
        "callable that makes a DSPy CodeInterpreter."
    )


def _make_monty(options: dict[str, Any]) -> CodeInterpreter:
    from rlm_runtime.interpreter.monty import MontyInterpreter

    return MontyInterpreter(**options)


def _make_local_factory() -> Callable[[], CodeInterpreter]:
    from dspy import LocalInterpreter

    warnings.warn(
        "interpreter='local' runs LM-written code unsandboxed: it can read and change whatever "
        "you can. Use 'monty' unless you trust every word that the LM may read.",
        UnsandboxedWarning,
        stacklevel=3,
    )
    return _Named(LocalInterpreter, LocalInterpreter.execution_instructions)


def _make_pyodide_factory() -> Callable[[], CodeInterpreter]:
    if importlib.util.find_spec("deno") is None and shutil.which("deno") is None:
        raise ConfigurationError(
            "interpreter='pyodide' needs Deno, which is not installed. "
            "Run: pip install 'dspy[deno]', or use interpreter='monty'."
        )
    from dspy import PythonInterpreter

    return _Named(PythonInterpreter, getattr(PythonInterpreter, "execution_instructions", ""))
