"""Where LM-written code runs: chosen by name or by a factory, with its instructions."""

from __future__ import annotations

import shutil
import subprocess
import sys
import warnings

import dspy
import pytest

from rlm_runtime.errors import ConfigurationError
from rlm_runtime.interpreter import MontyInterpreter, SandboxLimits, make_interpreter_factory
from rlm_runtime.interpreter.factory import UnsandboxedWarning


def test_monty_is_the_default_and_takes_its_options() -> None:
    factory = make_interpreter_factory(limits=SandboxLimits(restarts=1), show=str)
    assert factory.execution_instructions == MontyInterpreter.execution_instructions
    first, second = factory(), factory()
    assert isinstance(first, MontyInterpreter)
    assert isinstance(first, dspy.CodeInterpreter)
    assert first is not second
    assert first.limits.restarts == 1


def test_local_must_be_asked_for_and_warns() -> None:
    with pytest.warns(UnsandboxedWarning, match="unsandboxed"):
        factory = make_interpreter_factory("local", show=str)
    interpreter = factory()
    try:
        assert interpreter.execute("print(6 * 7)") == "42"
    finally:
        interpreter.shutdown()
    assert factory.execution_instructions == dspy.LocalInterpreter.execution_instructions


def test_pyodide_without_deno_is_refused_before_the_run(monkeypatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setitem(sys.modules, "deno", None)
    with pytest.raises(ConfigurationError, match="needs Deno"):
        make_interpreter_factory("pyodide")


def test_pyodide_with_deno_makes_dspys_interpreter(monkeypatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/deno")
    factory = make_interpreter_factory("pyodide")
    # DSPy takes its own class for "nothing was chosen" and would let its settings override it.
    assert factory is not dspy.PythonInterpreter
    assert isinstance(factory.execution_instructions, str)


def test_a_callable_is_given_back_as_it_is() -> None:
    assert make_interpreter_factory(MontyInterpreter) is MontyInterpreter


@pytest.mark.parametrize("choice", ["docker", "", "Monty"])
def test_anything_else_names_the_choices(choice) -> None:
    with pytest.raises(ConfigurationError, match="'monty', 'local', 'pyodide'"):
        make_interpreter_factory(choice)


def test_the_choice_of_the_sandbox_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_interpreter_factory("monty")().shutdown()


def test_choosing_imports_neither_dspy_nor_monty() -> None:
    code = (
        "import sys, rlm_runtime.interpreter as face\n"
        "face.make_interpreter_factory(limits=face.SandboxLimits())\n"
        "print({'dspy', 'pydantic_monty', 'mlflow'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.stdout == "set()\n", ran.stderr
