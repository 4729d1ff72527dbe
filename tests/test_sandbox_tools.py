"""Host tools in the sandbox: how they are called, what crosses the border, what they raise."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import enum
import functools
import sys
import threading
import uuid
from collections import deque
from decimal import Decimal
from typing import Any

import dspy
import pydantic
import pytest
from dspy.primitives.code_interpreter import CodeInterpreterError, FinalOutput
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_runtime.errors import BudgetExceeded, SandboxError
from rlm_runtime.interpreter import MontyInterpreter
from tests.support.sandbox import failure, sandboxes, search


@pytest.fixture
def make():
    with sandboxes() as maker:
        yield maker


def keywords_only(**kwargs: Any) -> Any:
    return search(**kwargs)


functools.update_wrapper(keywords_only, search)


@pytest.mark.parametrize("tool", [search, keywords_only], ids=["plain", "wrapped"])
@pytest.mark.parametrize(
    "call", ["search('a', 2, kind='class')", "search(query='a', limit=2, kind='class')"]
)
def test_arguments_are_bound_by_the_signature(make, tool, call) -> None:
    wanted = search("a", 2, kind="class")
    assert make({"search": tool}).execute(f"print({call})") == f"{wanted}\n"


@pytest.mark.parametrize("tool", [search, keywords_only], ids=["plain", "wrapped"])
def test_a_wrong_call_shows_the_signature(make, tool) -> None:
    text = failure(make({"search": tool}), "search('a', top=3)")
    assert "unexpected keyword argument 'top'" in text
    assert "call it as search(query, limit=10, *, kind='any')" in text


def test_star_arguments_and_builtins_are_called_as_they_are(make) -> None:
    def all_of(first: int, *rest: int, **named: int) -> list[Any]:
        return [first, rest, named]

    sandbox = make({"all_of": all_of, "biggest": max})
    assert sandbox.execute("print(all_of(1, 2, 3, a=4))") == "[1, (2, 3), {'a': 4}]\n"
    assert sandbox.execute("biggest(1, 5)") == "5\n"


async def later(query: str) -> list[str]:
    await asyncio.sleep(0)
    return [query]


def test_async_tools_are_called_like_others(make) -> None:
    assert make({"later": later}).execute("print(later('a')[0])") == "a\n"


def test_async_tools_work_while_a_loop_runs_in_the_thread(make) -> None:
    sandbox = make({"later": later, "bad": failing_later})

    async def main() -> Any:
        return sandbox.execute(
            "print(later('a')[0])\ntry:\n    bad()\nexcept ValueError as e:\n    print(e)"
        )

    assert asyncio.run(main()) == "a\nnot now\n"


async def failing_later() -> None:
    raise ValueError("not now")


class Colour(enum.Enum):
    RED = "red"


class Name(str):
    def toPython(self) -> str:
        return self


class Age(str):
    def toPython(self) -> int:
        return 41


@dataclasses.dataclass
class Person:
    name: str
    born: datetime.date


class Model(pydantic.BaseModel):
    colour: Colour


PLAIN = [
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (Colour.RED, "red"),
    (deque([1, 2]), [1, 2]),
    (range(3), [0, 1, 2]),
    ({"a": 1}.keys(), ["a"]),
    ({"a": 1}.values(), [1]),
    (
        Person("Ada", datetime.date(1815, 12, 10)),
        {"name": "Ada", "born": datetime.date(1815, 12, 10)},
    ),
    (Model(colour=Colour.RED), {"colour": "red"}),
    (dspy.Prediction(answer="x"), {"answer": "x"}),
    (Name("http://e/a"), "http://e/a"),
    (Age("41"), 41),
    (Decimal("1.50"), Decimal("1.50")),
    (bytearray(b"x"), b"x"),
    ({"t": (1, {2})}, {"t": (1, {2})}),
    ("a" + chr(0xD800), "a?"),
    (True, True),
]


@pytest.mark.parametrize(("given_value", "wanted"), PLAIN, ids=lambda v: type(v).__name__)
def test_results_arrive_in_plain_form(make, given_value, wanted) -> None:
    sandbox = make({"tool": lambda: given_value})
    sandbox.execute("x = tool()")
    assert sandbox.execute("SUBMIT(x)") == FinalOutput({"output": wanted})


def test_numpy_values_arrive_as_numbers(make) -> None:
    numpy = pytest.importorskip("numpy")
    sandbox = make({"tool": lambda: [numpy.int64(3), numpy.float32(0.5), numpy.arange(2)]})
    assert sandbox.execute("print(tool())") == "[3, 0.5, [0, 1]]\n"


def _cycle() -> list[Any]:
    cycle: list[Any] = []
    cycle.append(cycle)
    return cycle


def _shared() -> Any:
    value: Any = [0] * 1000
    for _ in range(3):
        value = [value] * 1000
    return value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "TypeError: the result of tool() cannot cross the sandbox: a object has no"),
        (threading.Lock(), "_thread.lock has no plain form"),
        (sys.stdout.__class__, "a type has no plain form"),
        ((n for n in range(3)), "a generator has no plain form"),
        (_cycle(), "ValueError: the result of tool() cannot cross the sandbox: it is nested"),
        (_shared(), "holds more than 1,000,000 items"),
        ("x" * 60_000_000, "holds more than 50,000,000 characters"),
        (10**5000, "more than 4,000 digits"),
    ],
    ids=lambda v: type(v).__name__,
)
def test_what_has_no_plain_form_is_a_clear_error(make, value, message) -> None:
    sandbox = make({"tool": lambda: value})
    assert message in failure(sandbox, "x = tool()")
    assert sandbox.execute("1") == "1\n"


@settings(deadline=None, max_examples=60)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
        ),
        max_leaves=20,
    )
)
def test_json_values_cross_unchanged_in_both_directions(value) -> None:
    with MontyInterpreter({"same": lambda it: it, "tool": lambda: value}) as sandbox:
        assert sandbox.execute("SUBMIT(same(tool()))") == FinalOutput({"output": value})


def test_errors_of_tools_can_be_caught(make) -> None:
    def fail(kind: str) -> None:
        raise {"key": KeyError("k"), "value": ValueError("v"), "time": TimeoutError("t")}[kind]

    sandbox = make({"search": search, "fail": fail})
    code = (
        "for call in ('key', 'value', 'time'):\n    try:\n        fail(call)\n"
        "    except Exception as e:\n        print(type(e).__name__, e)\n"
        "try:\n    search('bad')\nexcept RuntimeError as e:\n    print(e)"
    )
    out = "KeyError 'k'\nValueError v\nTimeoutError t\nQueryError: no such prefix foaf:\n"
    assert sandbox.execute(code) == out
    text = failure(sandbox, "x = 1\nsearch('bad')")
    assert text == "line 2: search('bad')\nRuntimeError: QueryError: no such prefix foaf:"


def test_named_tuples_cross_and_their_field_names_mean_nothing(make) -> None:
    sandbox = make({"same": lambda value: value})
    sandbox.execute("from collections import namedtuple\nT = namedtuple('T', 'tolist b')")
    assert sandbox.execute("same(T([1], 2)).tolist") == "[1]\n"
    assert "a type has no plain form" in failure(sandbox, "same(T(int, 2))")


def test_the_text_of_a_tools_error_is_made_safe(make) -> None:
    def fail() -> None:
        raise ValueError(chr(0xD800) + "x" * 10_000)

    text = failure(make({"fail": fail}), "fail()")
    assert "ValueError: ?xxx" in text
    assert len(text) < 5_000


class Stop(Exception):
    rlm_control = True


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SystemExit(3), Stop("now"), BudgetExceeded("timeout", 1, 2)]
)
def test_control_flow_passes_through_unseen(make, error) -> None:
    def stop() -> None:
        raise error

    sandbox = make({"stop": stop})
    with pytest.raises(type(error)) as raised:
        sandbox.execute("x = 1\ntry:\n    stop()\nexcept BaseException:\n    x = 2\nprint('on')")
    assert raised.value is error
    assert sandbox.execute("print('again')") == "again\n"


def test_a_tool_may_be_shadowed_for_the_session(make) -> None:
    sandbox = make({"search": search})
    assert sandbox.execute("search = 5\nsearch") == "5\n"
    assert sandbox.execute("search + 1") == "6\n"
    assert make({"search": search}).execute("len(search('a'))") == "10\n"


def test_a_tool_cannot_run_a_cell_of_its_own_interpreter(make) -> None:
    sandbox = make()
    sandbox.tools["again"] = lambda: sandbox.execute("1")
    assert "running a cell already" in failure(sandbox, "again()")


def test_the_deadline_of_the_run_ends_cells_and_host_calls(make) -> None:
    left = [5.0]
    sandbox = make({"search": search}, deadline=lambda: left[0])
    sandbox.tools["expire"] = lambda: left.__setitem__(0, 0.0)
    with pytest.raises(SandboxError, match="time of the run is over"):
        sandbox.execute("expire()\ntry:\n    search('a')\nexcept BaseException:\n    pass")
    with pytest.raises(CodeInterpreterError, match="time of the run is over"):
        sandbox.execute("1")
    left[0] = 5.0
    assert sandbox.execute("1") == "1\n"
