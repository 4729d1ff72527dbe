"""The sandbox as an LM meets it: cells, errors, SUBMIT; and its life from start to shutdown."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from dspy.primitives.code_interpreter import CodeExecutionError, CodeInterpreterError, FinalOutput
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_runtime.errors import ConfigurationError, SandboxError
from rlm_runtime.interpreter import MontyInterpreter, SandboxLimits, monty_pool
from rlm_runtime.interpreter.limits import EXECUTION_INSTRUCTIONS
from tests.support.sandbox import FIELDS, failure, sandboxes, search


@pytest.fixture
def make():
    with sandboxes() as maker:
        yield maker


def test_variables_functions_and_imports_persist(make) -> None:
    sandbox = make()
    assert sandbox.execute("import math\nx = 2\ndef twice(n):\n    return 2 * n") is None
    assert sandbox.execute("print(twice(x), math.floor(2.5))") == "4 2\n"


def test_variables_are_bound_before_the_cell(make) -> None:
    sandbox = make()
    assert sandbox.execute("print(a + b)", {"a": 1, "b": 2}) == "3\n"
    with pytest.raises(CodeInterpreterError, match="variable 'f' cannot enter"):
        sandbox.execute("1", {"f": object()})
    with pytest.raises(CodeInterpreterError, match="name of a variable"):
        sandbox.execute("1", {"not a name": 1})


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("1 + 1", "2\n"),
        ("'text'", "'text'\n"),
        ("None", None),
        ("x = 5", None),
        ("type(1)", "<int>\n"),
        ("open", "<open>\n"),
        ("print('printed')\n1 + 1", "printed\n"),
        ("class P:\n    def __init__(self):\n        self.a = 1\nP()", "{'a': 1}\n"),
        (
            "10 ** 5000",
            "(a int that cannot be shown: it holds an integer of more than 4,000 digits)\n",
        ),
    ],
)
def test_the_last_value_is_shown_when_nothing_was_printed(make, code, shown) -> None:
    sandbox = make()
    assert sandbox.execute(code) == shown
    assert sandbox.last_stdout == (shown or "")


def test_lists_and_dicts_are_printed_as_the_host_shows_them(make) -> None:
    sandbox = make({"search": search}, show=lambda value: f"<{len(value)} rows>" if value else None)
    assert (
        sandbox.execute("print('got', search('a', 3), [], sep='|', end='.')") == "got|<3 rows>|[]."
    )
    assert sandbox.execute("search('a', 2)") == "<2 rows>\n"
    assert sandbox.execute("print((1, 2), 'x', 3)") == "(1, 2) x 3\n"
    assert sandbox.execute("list = len = isinstance = 1\nprint({1: 2})") == "<1 rows>\n"
    assert sandbox.execute("import sys\nprint('warned', file=sys.stderr)") == "warned\n"
    text = failure(sandbox, "x = 1\nprint('a', ending='')")
    assert text.startswith("line 2: print('a', ending='')\nTypeError:")
    assert sandbox.execute("print = 5\nprint") == "5\n"


def test_an_error_tells_what_was_printed_where_and_what(make) -> None:
    sandbox = make(show=lambda value: None)
    sandbox.execute("def half(n):\n    return n / 0")
    text = failure(sandbox, "print('rows: 3')\nx = 7\ny = half(x)")
    assert text == (
        "Printed before the error:\nrows: 3\n\n"
        "line 3: y = half(x)\ncell 1, line 2, in half: return n / 0\n"
        "ZeroDivisionError: division by zero"
    )
    assert sandbox.last_stdout == "rows: 3\n"
    assert sandbox.execute("x") == "7\n"


def test_code_that_does_not_parse_is_a_syntax_error_with_its_line(make) -> None:
    sandbox = make()
    with pytest.raises(SyntaxError, match=r"line 2: if True print\(1\)\nSyntaxError: "):
        sandbox.execute("x = 1\nif True print(1)")
    assert sandbox.execute("2") == "2\n"


MISSING = {
    "class inheritance": ("class A(Exception):\n    pass", "without a base"),
    "@property": ("class A:\n    @property\n    def a(self):\n        return 1", "plain methods"),
    "@staticmethod": (
        "class A:\n    @staticmethod\n    def a():\n        return 1",
        "plain methods",
    ),
    "@classmethod": (
        "class A:\n    @classmethod\n    def a(c):\n        return 1",
        "plain methods",
    ),
    "yield": ("def f():\n    yield 1", "Build a list"),
    "del": ("x = 1\ndel x", "d.pop"),
    "import *": ("from math import *", "Import the names"),
    "next() of a generator expression": ("next(x for x in [1])", "next(iter("),
    "callable()": ("callable(1)", ""),
    "input()": ("input()", ""),
    "files": ("open('/etc/passwd')", "no files"),
    "environment": ("import os\nos.environ", "no files, environment"),
    "network": ("import socket", "Modules that exist"),
    "processes": ("import os\nos.system('ls')", "no processes"),
    "key=str.lower": ("sorted(['a'], key=str.lower)", "lambda x: x.lower()"),
    "key=d.get": ("d = {}\nmax([1], key=d.get)", "lambda x: x.get()"),
    "No other module": ("import textwrap", "Modules that exist"),
    "await": ("await search('a', 1)", "without await"),
}


@pytest.mark.parametrize("name", MISSING)
def test_what_the_instructions_call_missing_is_missing_and_hinted_at(make, name) -> None:
    assert name in EXECUTION_INSTRUCTIONS
    code, hint = MISSING[name]
    assert hint in failure(make({"search": search}), code)


def test_what_the_instructions_promise_is_there(make) -> None:
    assert len(EXECUTION_INSTRUCTIONS) <= 900
    sandbox = make()
    modules = EXECUTION_INSTRUCTIONS.partition("Modules: ")[2].partition(".")[0].split(", ")
    for module in modules:
        sandbox.execute(f"import {module}")
    assert "numpy" in failure(sandbox, "import numpy")
    sandbox.execute("from collections import Counter, defaultdict, deque, namedtuple")
    assert "cannot import" in failure(sandbox, "from collections import OrderedDict")
    code = "d = {'b': 1}\nd.pop('b')\nprint(sorted(['B', 'a'], key=lambda s: s.lower()))"
    assert sandbox.execute(code) == "['a', 'B']\n"


def test_the_words_of_other_errors_bring_no_hint(make) -> None:
    code = "raise ValueError('a yield, an await, no class inheritance; No module named x')"
    assert "Hint" not in failure(make(), code)
    assert "restarted" not in failure(make(), "raise MemoryError('of last summer')")


def test_a_misspelt_tool_is_named(make) -> None:
    assert "Did you mean search?" in failure(make({"search": search}), "serch('a')")


_SIGNS = [*"()[]{}:,.=+-*%@#\\'\"\n", "\n    ", " "]
_WORDS = ["x", "1", "def ", "if ", "for ", "in ", "lambda ", "class ", "print", "SUBMIT", "search"]
_MORE = ["await ", "try", "except ", "raise ", "import ", "f'"]
_TOKENS = st.sampled_from([*_SIGNS, *_WORDS, *_MORE])


@settings(deadline=None, max_examples=150)
@given(st.lists(_TOKENS, max_size=25).map("".join) | st.text(max_size=30))
def test_any_text_is_a_result_or_a_clear_error(code) -> None:
    with MontyInterpreter({"search": search}, limits=SandboxLimits(cell_seconds=0.3)) as sandbox:
        try:
            result = sandbox.execute(code)
        except (CodeExecutionError, SyntaxError) as error:
            result = str(error)
        assert isinstance(result, (str, FinalOutput, type(None)))
        sandbox.execute("after = 1")


@pytest.mark.parametrize(
    "code",
    [
        "SUBMIT(answer='a', evidence=[1])",
        "SUBMIT('a', [1])",
        "SUBMIT('a', evidence=[1])",
        "try:\n    SUBMIT('a', [1])\nexcept BaseException:\n    SUBMIT('b', [])",
        "try:\n    SUBMIT('a', [1])\nfinally:\n    SUBMIT('b', [])",
        "def give():\n    SUBMIT('a', [1])\nfor _ in range(3):\n    give()",
        "s = SUBMIT\ns('a', [1])",
    ],
)
def test_submit_ends_the_run_whatever_the_code_does(make, code) -> None:
    assert make(None, FIELDS).execute(code) == FinalOutput({"answer": "a", "evidence": [1]})


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("SUBMIT('a')", "missing fields: evidence; call it as SUBMIT(answer: str, evidence: list)"),
        ("SUBMIT('a', [], sure=1)", "unknown fields: sure"),
        ("SUBMIT('a', 'b')", "evidence must be list, not str"),
        ("SUBMIT(['a'], [])", "answer must be str, not list"),
        ("SUBMIT('a', evidence=None)", "evidence must be list, not NoneType"),
        ("SUBMIT('a', [], 1)", "3 positional arguments are too many"),
        ("SUBMIT('a', [], answer='b')", "answer given twice"),
        ("x = []\nfor _ in range(200):\n    x = [x]\nSUBMIT('a', x)", "nested deeper than"),
    ],
)
def test_a_wrong_submit_fails_the_cell_and_can_be_repeated(make, code, message) -> None:
    sandbox = make(None, FIELDS)
    assert message in failure(sandbox, f"kept = 1\n{code}")
    assert sandbox.execute("SUBMIT(str(kept), [])") == FinalOutput({"answer": "1", "evidence": []})


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("int", "3", "True"),
        ("float", "3", "False"),
        ("bool", "True", "1"),
        ("str", "3", "{}"),
        ("list", "(1,)", "{}"),
        ("dict", "{}", "[]"),
        ("Literal['a']", "0", None),
    ],
)
def test_simple_types_of_fields_are_checked(make, kind, good, bad) -> None:
    sandbox = make(None, [{"name": "field", "type": kind}])
    if bad is not None:
        assert f"field must be {kind}, not" in failure(sandbox, f"SUBMIT({bad})")
    assert isinstance(sandbox.execute(f"SUBMIT({good})"), FinalOutput)


def test_prepare_submit_may_fill_refuse_and_normalise(make) -> None:
    def prepare(fields: dict[str, Any]) -> dict[str, Any]:
        if fields.get("answer") == "?":
            raise ValueError("an answer is wanted, not a question")
        return {"evidence": [], **fields}

    sandbox = make(None, FIELDS, prepare_submit=prepare)
    assert "ValueError: an answer is wanted" in failure(sandbox, "SUBMIT('?')")
    assert sandbox.execute("SUBMIT('a')") == FinalOutput({"answer": "a", "evidence": []})


def test_without_fields_submit_takes_what_it_is_given(make) -> None:
    assert make().execute("SUBMIT(5)") == FinalOutput({"output": 5})
    assert make().execute("SUBMIT(a=1, b=2)") == FinalOutput({"a": 1, "b": 2})


def test_the_state_is_kept_after_a_submit(make) -> None:
    sandbox = make(None, FIELDS)
    sandbox.execute("x = 1\nprint('before')\nSUBMIT('a', [])\nx = 2")
    assert sandbox.last_stdout == "before\n"
    assert sandbox.execute("x") == "1\n"


def test_code_that_will_not_end_after_submit_costs_its_session(make) -> None:
    sandbox = make({"search": search}, FIELDS)
    code = "while True:\n    try:\n        SUBMIT('a', [])\n    except BaseException:\n        1"
    assert isinstance(sandbox.execute(code), FinalOutput)
    assert "The session was restarted" in failure(sandbox, "1")
    assert sandbox.execute("1") == "1\n"


def test_limits_must_be_positive() -> None:
    with pytest.raises(ConfigurationError, match="memory_bytes must be positive"):
        SandboxLimits(memory_bytes=0)


def test_a_broken_session_is_replaced_a_few_times(make) -> None:
    sandbox = make(limits=SandboxLimits(cell_seconds=0.05, restarts=2))
    for _ in range(2):
        sandbox.execute("x = 1")
        text = failure(sandbox, "print('so far')\nwhile True:\n    pass")
        assert "Printed before the error:\nso far" in text
        assert "longer than 0.05 s" in text
        assert "variables, functions and imports of earlier cells are gone" in text
        assert "name 'x' is not defined" in failure(sandbox, "x")
    with pytest.raises(SandboxError, match="given up after 3 broken sessions"):
        sandbox.execute("while True:\n    pass")
    with pytest.raises(CodeInterpreterError, match="given up"):
        sandbox.execute("1")


def test_a_worker_that_dies_is_replaced(make) -> None:
    sandbox = make()
    sandbox.execute("x = 1")
    worker = sandbox._session._monty.worker_pid
    os.kill(worker, 9)
    assert "its process died. The session was restarted" in failure(sandbox, "x")
    assert sandbox.execute("1") == "1\n"


def test_shutdown_ends_it_once(make) -> None:
    sandbox = make()
    sandbox.execute("1")
    sandbox.shutdown()
    sandbox.shutdown()
    for use in (sandbox.start, lambda: sandbox.execute("1")):
        with pytest.raises(CodeInterpreterError, match="was shut down; make a new one"):
            use()


def test_shutdown_in_the_middle_of_a_cell_is_clear(make) -> None:
    sandbox = make()
    sandbox.tools["end"] = sandbox.shutdown
    with pytest.raises(CodeInterpreterError, match="was shut down"):
        sandbox.execute("end()\nprint(1)")


def test_a_forgotten_interpreter_gives_its_worker_back() -> None:
    gc.disable()
    try:
        for _ in range(70):
            MontyInterpreter(show=str).execute("x = 1\nSUBMIT(x)")
    finally:
        gc.enable()


def test_a_hundred_sessions_share_nothing() -> None:
    for n in range(100):
        with MontyInterpreter() as sandbox:
            assert "not defined" in failure(sandbox, "x")
            sandbox.execute(f"x = {n}")


def test_more_interpreters_than_processors_run_at_once() -> None:
    together = threading.Barrier(8, timeout=30)

    def run(n: int) -> list[Any]:
        with MontyInterpreter(
            {"meet": lambda: together.wait() is None, "own": lambda: n}
        ) as sandbox:
            return [sandbox.execute("meet()\nx = own()"), *(sandbox.execute("x") for _ in range(5))]

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(run, range(8))) == [[None, *[f"{n}\n"] * 5] for n in range(8)]


def test_a_full_pool_is_a_clear_error(monkeypatch) -> None:
    monkeypatch.setattr(monty_pool, "_MAX_WORKERS", 1)
    monkeypatch.setattr(monty_pool, "_CHECKOUT_SECONDS", 0.05)
    monkeypatch.setattr(monty_pool, "_pool", None)
    first, second = MontyInterpreter(), MontyInterpreter()
    first.start()
    with pytest.raises(SandboxError, match=r"All 1 sandbox workers stayed busy for 0\.05 s"):
        second.start()
    first.shutdown()
    assert second.execute("1") == "1\n"
    second.shutdown()
    monty_pool._close()


FORK = """
import os, signal, sys
from rlm_runtime.interpreter import MontyInterpreter
before = MontyInterpreter()
before.execute("x = 1")
child = os.fork()
if child == 0:
    signal.alarm(20)
    said = []
    for sandbox in (before, MontyInterpreter()):
        try:
            sandbox.execute("x")
        except RuntimeError as error:
            said.append("before this process was forked" in str(error))
        sandbox.shutdown()
    os._exit(0 if said == [True, True] else 1)
status = os.waitpid(child, 0)[1]
print(status, before.execute("x"), end="")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_after_a_fork_the_sandbox_says_so_instead_of_hanging() -> None:
    ran = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=60)
    assert ran.stdout == "0 1\n", ran.stderr
