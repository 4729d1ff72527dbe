"""The sandbox in DSPy's hands: callbacks, the facade, and whole RLM runs."""

from __future__ import annotations

import asyncio
from typing import Any

import dspy
import pytest
from dspy.primitives.code_interpreter import CodeExecutionError
from dspy.primitives.facade import SHIM_SETUP
from dspy.utils.callback import ACTIVE_CALL_ID, BaseCallback

from rlm_runtime.interpreter import MontyInterpreter, SandboxLimits
from tests.support.lms import ScriptedLM, cell
from tests.support.sandbox import failure, sandboxes, search


@pytest.fixture
def make():
    with sandboxes() as maker:
        yield maker


class Calls(BaseCallback):
    """Keeps the interpreter's calls and what caused them."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.parents: list[tuple[str, str | None]] = []
        self._known: dict[str, str] = {}
        self.ended: list[tuple[str, Any]] = []
        self.calls: list[dict[str, Any]] = []

    def _start(self, name: str, call_id: str) -> None:
        self._known[call_id] = name
        self.names.append(name)
        self.parents.append((name, self._known.get(ACTIVE_CALL_ID.get() or "")))

    def on_interpreter_execute_start(self, call_id, instance, inputs):
        self._start("execute", call_id)

    def on_interpreter_execute_end(self, call_id, outputs, exception=None):
        self.ended.append(("execute", exception or outputs))

    def on_interpreter_tool_call_start(self, call_id, instance, inputs):
        self._start("tool_call", call_id)
        self.calls.append(inputs)

    def on_interpreter_tool_call_end(self, call_id, outputs, exception=None):
        self.ended.append(("tool_call", exception or outputs))

    def on_interpreter_startup_start(self, call_id, instance, inputs):
        self._start("startup", call_id)

    def on_interpreter_shutdown_start(self, call_id, instance, inputs):
        self._start("shutdown", call_id)

    def on_module_start(self, call_id, instance, inputs):
        self._known[call_id] = type(instance).__name__


def test_the_shown_form_calls_no_tool(make) -> None:
    calls = Calls()
    sandbox = make(show=lambda value: "table", callbacks=[calls])
    assert sandbox.execute("print([1])") == "table\n"
    assert "tool_call" not in calls.names


def test_dspys_callbacks_hear_of_every_operation(make) -> None:
    calls = Calls()
    sandbox = make({"search": search}, callbacks=[calls])
    sandbox.execute("r = search('a', limit=1)")
    failure(sandbox, "1 / 0")
    sandbox.shutdown()
    assert calls.parents == [
        ("execute", None),
        ("startup", "execute"),
        ("tool_call", "execute"),
        ("execute", None),
        ("shutdown", None),
    ]
    assert calls.calls == [{"tool_name": "search", "args": ["a"], "kwargs": {"limit": 1}}]
    assert calls.ended[0] == ("tool_call", search("a", 1))
    assert isinstance(calls.ended[2][1], CodeExecutionError)


def test_dspys_facade_is_declined_without_a_recorded_cell(make) -> None:
    calls = Calls()
    sandbox = make(callbacks=[calls])
    with pytest.raises(CodeExecutionError, match="no class inheritance"):
        sandbox.execute(SHIM_SETUP, {"__dspy_host_token": "x"})
    assert calls.names == []


CELLS = [
    cell("hits = search('a', 2)\nprint(len(hits), question)"),
    cell("print('so far')\nhits[9]"),
    cell("SUBMIT('a')"),
    cell("SUBMIT(hits[0]['iri'], evidence=[h['iri'] for h in hits])"),
]


def _rlm() -> dspy.RLM:
    return dspy.RLM(
        "question -> answer, evidence: list[str]",
        tools=[search],
        interpreter_factory=lambda: MontyInterpreter(limits=SandboxLimits(cell_seconds=2)),
        max_iters=5,
    )


def test_an_rlm_runs_in_it() -> None:
    calls = Calls()
    with dspy.context(lm=ScriptedLM(*CELLS), callbacks=[calls]):
        result = _rlm()(question="What is a?")
    assert (result.answer, result.evidence) == ("a", ["a", "a"])
    outputs = [step["output"] for step in result.trajectory]
    assert outputs[0] == "2 What is a?\n"
    assert outputs[1].startswith(
        "[Error] Printed before the error:\nso far\n\nline 2: hits[9]\nIndexError"
    )
    assert "missing fields: evidence" in outputs[2]
    assert calls.parents.count(("execute", "RLM")) == 4
    assert ("tool_call", "execute") in calls.parents
    assert calls.names[-1] == "shutdown"


def test_an_rlm_runs_in_it_asynchronously() -> None:
    async def main() -> Any:
        with dspy.context(lm=ScriptedLM(*CELLS)):
            return await _rlm().acall(question="What is a?")

    assert asyncio.run(main()).answer == "a"
