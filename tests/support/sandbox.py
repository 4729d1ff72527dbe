"""What the tests of the sandbox share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from dspy.primitives.code_interpreter import CodeExecutionError

from rlm_runtime.errors import QueryError
from rlm_runtime.interpreter import MontyInterpreter, SandboxLimits

FIELDS = [{"name": "answer", "type": "str"}, {"name": "evidence", "type": "list"}]


def search(query: str, limit: int = 10, *, kind: str = "any") -> list[dict[str, Any]]:
    """Find things."""
    if query == "bad":
        raise QueryError("no such prefix foaf:")
    return [{"iri": query, "rank": n, "kind": kind} for n in range(limit)]


@contextmanager
def sandboxes() -> Iterator[Callable[..., MontyInterpreter]]:
    """Give a maker of interpreters with small limits; they are shut down at the end."""
    made: list[MontyInterpreter] = []

    def make(tools: Any = None, fields: Any = None, **options: Any) -> MontyInterpreter:
        options.setdefault("limits", SandboxLimits(cell_seconds=0.3))
        made.append(MontyInterpreter(tools, fields, **options))
        return made[-1]

    yield make
    for interpreter in made:
        interpreter.shutdown()


def failure(interpreter: MontyInterpreter, code: str) -> str:
    """Run a cell that must fail in a way that the code can repair, and give the error's text."""
    with pytest.raises(CodeExecutionError) as raised:
        interpreter.execute(code)
    return str(raised.value)
