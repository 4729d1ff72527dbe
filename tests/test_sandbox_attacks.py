"""Hostile code in the sandbox: it ends in a clear error, soon, and takes nothing with it."""

from __future__ import annotations

import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from dspy.primitives.code_interpreter import CodeExecutionError, FinalOutput

from rlm_runtime.interpreter import MontyInterpreter, SandboxLimits
from tests.support.sandbox import failure

SECRET = "s3cr3t-8f1c"
# Set before any worker starts, so that one could inherit it.
os.environ["RLM_ATTACK_SECRET"] = SECRET
SECRET_FILE = Path(__file__).parent.parent / "pyproject.toml"
IN_FILE = "rlm-runtime"

LIMITS = SandboxLimits(
    cell_seconds=0.3,
    memory_bytes=64 * 2**20,
    host_calls=2_000,
    sleep_seconds=0.1,
    output_characters=50_000,
)
# Far above what the limits let through, far below what an unbounded attack would take.
MOST_SECONDS = 10.0
MOST_MEMORY_KIB = 700 * 1024


class Vault:
    """A tool with something to hide."""

    def __init__(self) -> None:
        self._secret = SECRET
        self.__name__ = "vault"

    def __call__(self, key: str = "", **more: Any) -> Any:
        if key == "hostile":
            raise HostileError
        return {"key": key}


class HostileError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text for you")


def interpreter() -> MontyInterpreter:
    return MontyInterpreter(
        {"vault": Vault(), "ping": lambda *args, **kwargs: None},
        [{"name": "answer", "type": "str"}],
        limits=LIMITS,
        show=lambda value: None,
    )


# Code, and what its error says. The session goes on as it was.
REFUSED: dict[str, tuple[str, str]] = {
    # Files
    "open": (f"open({str(SECRET_FILE)!r}).read()", "PermissionError"),
    "open for writing": ("open('/tmp/rlm-attack', 'w').write('x')", "PermissionError"),
    "open /proc": ("open('/proc/self/environ').read()", "PermissionError"),
    "open by relative path": ("open('../../../../etc/passwd').read()", "PermissionError"),
    "pathlib read": ("from pathlib import Path\nPath('/etc/passwd').read_text()", "Error"),
    "pathlib write": ("from pathlib import Path\nPath('/tmp/x').write_text('x')", "Error"),
    "pathlib list": ("from pathlib import Path\nlist(Path('/').iterdir())", "Error"),
    "os.listdir": ("import os\nos.listdir('/')", "Error"),
    "os.remove": ("import os\nos.remove('/tmp/x')", "Error"),
    "shutil": ("import shutil", "ModuleNotFoundError"),
    "sqlite3": ("import sqlite3", "ModuleNotFoundError"),
    "with open": ("with open('/etc/passwd') as f:\n    print(f.read())", "PermissionError"),
    # Environment
    "os.environ": ("import os\nos.environ['RLM_ATTACK_SECRET']", "not supported"),
    "os.getenv": ("import os\nos.getenv('RLM_ATTACK_SECRET')", "not supported"),
    # Network
    "socket": ("import socket", "ModuleNotFoundError"),
    "urllib": ("from urllib.request import urlopen", "ModuleNotFoundError"),
    "http": ("import http.client", "ModuleNotFoundError"),
    "requests": ("import requests", "ModuleNotFoundError"),
    "asyncio streams": ("import asyncio\nasyncio.open_connection('127.0.0.1', 80)", "Error"),
    # Processes
    "os.system": ("import os\nos.system('id')", "AttributeError"),
    "os.popen": ("import os\nos.popen('id')", "AttributeError"),
    "os.fork": ("import os\nos.fork()", "AttributeError"),
    "os.kill": ("import os\nos.kill(1, 9)", "AttributeError"),
    "os._exit": ("import os\nos._exit(1)", "AttributeError"),
    "sys.exit": ("import sys\nsys.exit(1)", "AttributeError"),
    "subprocess": ("import subprocess", "ModuleNotFoundError"),
    "ctypes": ("import ctypes", "ModuleNotFoundError"),
    "multiprocessing": ("import multiprocessing", "ModuleNotFoundError"),
    "threads": ("import threading", "ModuleNotFoundError"),
    "signal": ("import signal", "ModuleNotFoundError"),
    "asyncio subprocess": ("import asyncio\nasyncio.create_subprocess_shell('id')", "Error"),
    # Introspection
    "subclasses": ("().__class__.__bases__[0].__subclasses__()", "AttributeError"),
    "mro": ("''.__class__.__mro__", "AttributeError"),
    "type subclasses": ("type('').__subclasses__()", "AttributeError"),
    "globals of a function": ("def f():\n    pass\nf.__globals__", "AttributeError"),
    "code of a function": ("def f():\n    pass\nf.__code__", "AttributeError"),
    "globals of a tool": ("vault.__globals__", "Error"),
    "class of a tool": ("vault.__class__", "Error"),
    "private attribute of a tool": ("vault._secret", "Error"),
    "getattr on a tool": ("getattr(vault, '_se' + 'cret')", "Error"),
    "call of a tool": ("vault.__call__('a')", "Error"),
    "builtins by name": ("__builtins__['__import__']('os')", "NameError"),
    "builtins module": ("import builtins", "ModuleNotFoundError"),
    "frames": ("import sys\nsys._getframe()", "AttributeError"),
    "sys.modules": ("import sys\nsys.modules['os']", "AttributeError"),
    "traceback of an error": (
        "try:\n    1 / 0\nexcept Exception as e:\n    e.__traceback__.tb_frame",
        "AttributeError",
    ),
    "__import__": ("__import__('subprocess')", "NameError"),
    "importlib": ("import importlib", "ModuleNotFoundError"),
    "gc": ("import gc", "ModuleNotFoundError"),
    "inspect": ("import inspect", "ModuleNotFoundError"),
    "pickle": ("import pickle", "ModuleNotFoundError"),
    "eval": ("eval(\"open('/etc/passwd').read()\")", "PermissionError"),
    "eval import": ("eval(\"__import__('os').system('id')\")", "NameError"),
    "exec": ("exec('import subprocess')", "ModuleNotFoundError"),
    "compile": ("compile('1', 'x', 'eval')", "NameError"),
    "breakpoint": ("breakpoint()", "NameError"),
    "globals": ("globals()['vault']", "NameError"),
    "format string": ("'{0.__class__.__mro__}'.format(vault)", "Error"),
    # Patterns
    "a pattern that backtracks": (
        "import re\nre.match(r'(?:(a+)+)\\1$', 'a' * 40 + 'b')",
        "Max limit for backtracking",
    ),
    # Recursion
    "endless recursion": ("def f(n):\n    return f(n + 1)\nf(0)", "RecursionError"),
    "mutual recursion": ("f = lambda: g()\ng = lambda: f()\nf()", "RecursionError"),
    # Sleep
    "a long sleep": ("import time\ntime.sleep(3600)", "may sleep 0.1 s in all"),
    "a sleep without end": ("import time\ntime.sleep(float('inf'))", "Error"),
    "a negative sleep": ("import time\ntime.sleep(-5)", "Error"),
    "many sleeps": ("import time\nfor _ in range(99):\n    time.sleep(0.02)", "may sleep"),
    # Output
    "one huge print": ("print('x' * 10_000_000)", "printed more than 50,000 characters"),
    "many prints": (
        "for i in range(30_000):\n    print(i)",
        "printed more than 50,000 characters",
    ),
    "prints to stderr": (
        "import sys\nprint('x' * 100_000, file=sys.stderr)",
        "printed more than 50,000 characters",
    ),
    "a flood and then a tool": (
        "print('x' * 100_000)\nwhile True:\n    ping()",
        "printed more than 50,000 characters",
    ),
    # Tools
    "an unknown tool": ("steal('all')", "NameError"),
    "the facade's tools": ("__dspy_call__('x', {})", "NameError"),
    "the renderer behind print": ("__show__([1])", "NameError"),
    "a hostile exception": ("vault('hostile')", "HostileError"),
    "a wrong argument": ("vault(1, 2, 3)", "call it as vault(key='', **more)"),
    "a deep argument": (
        "x = []\nfor _ in range(5000):\n    x = [x]\nvault(x)",
        "nested deeper",
    ),
    "an argument of shared parts": (
        "x = [0] * 1000\nfor _ in range(5):\n    x = [x] * 1000\nvault(x)",
        "more than 1,000,000 items",
    ),
    "a huge integer": ("vault(10 ** 5000)", "4,000 digits"),
    "a type as an argument": ("vault(vault(open))", "Error"),
    # SUBMIT
    "SUBMIT of a function": ("SUBMIT([lambda: 1])", "answer must be str"),
    "SUBMIT of shared parts": (
        "x = [''] * 1000\nfor _ in range(5):\n    x = [x] * 1000\nSUBMIT(x)",
        "more than 1,000,000 items",
    ),
    "SUBMIT of too much": ("SUBMIT('a', *range(1000))", "too many"),
    "SUBMIT under a false name": ("SUBMIT(answer='a', tools={})", "unknown fields: tools"),
}

# Code that a limit stops; its session is replaced, and the LM is told.
STOPPED: dict[str, str] = {
    # Loops
    "while True": "while True:\n    pass",
    "while True, caught": "while True:\n    try:\n     1 / 0\n    except BaseException:\n      0",
    "an endless finally": "try:\n    1 / 0\nfinally:\n    while True:\n        pass",
    "a huge range": "for i in range(10 ** 18):\n    pass",
    "sum of a huge range": "sum(range(10 ** 15))",
    "a comprehension": "[0 for i in range(10 ** 15) if i < 0]",
    "a generator expression": "any(i < 0 for i in range(10 ** 15))",
    "itertools": "import itertools\nfor _ in itertools.count():\n    pass",
    "nested loops": "for a in range(10 ** 6):\n    for b in range(10 ** 6):\n        pass",
    "exponential calls": "def f(n):\n    return f(n - 1) + f(n - 1) if n else 1\nf(60)",
    "a slow sort": "sorted(range(2_000_000), key=lambda n: str(n))",
    "an endless flood": "while True:\n    print('x' * 1000)",
    "a flood of tiny prints": "while True:\n    print(end='.')",
    # Memory
    "a long list": "x = [0] * 10 ** 9",
    "a growing list": "x = []\nwhile True:\n    x.append(x[:])\n    x.extend(range(1000))",
    "a growing dict": "d = {}\nfor i in range(10 ** 9):\n    d[i] = [i] * 100",
    "a long text": "'x' * 10 ** 10",
    "a doubling text": "x = 'x'\nwhile True:\n    x += x",
    "a list of texts": "[str(i) * 100 for i in range(10 ** 9)]",
    "permutations": "import itertools\nlist(itertools.permutations(range(20)))",
    "a large last value": "[[i] for i in range(1_000_000)]",
    "a large argument": "ping([[i] for i in range(1_000_000)])",
    "a set": "set(range(10 ** 9))",
    "a huge power": "x = 9 ** 10 ** 9",
    # Tools
    "a tool for ever": "while True:\n    ping()",
    "a tool for ever, caught": (
        "while True:\n    try:\n        vault(1, 2)\n    except BaseException:\n        pass"
    ),
    "names for ever": "while True:\n    try:\n        nope\n    except NameError:\n        pass",
    "print of lists for ever": "while True:\n    print([])",
}

# Code that is allowed and does no harm.
HARMLESS: dict[str, str] = {
    "a pattern with nested repeats": "import re\nre.match('(a+)+$', 'a' * 40 + 'b')",
    "assigning a tool": "vault = None\nprint(vault)",
    "assigning print": "print = None",
    "assigning SUBMIT": "SUBMIT = None",
    "a class with a hostile repr": (
        "class A:\n    def __repr__(self):\n        return 'x' * 1000\nprint(str(A())[:3])"
    ),
    "locals": "print(sorted(locals()))",
    "a tool in a text": "print(f'{vault} {ping!r}')",
    "BaseException, caught": "try:\n    raise BaseException('x')\nexcept BaseException:\n    1",
    "a pile of handlers": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    print(e, e.args)",
    "control characters": "print('\\x00\\x1b[2J')",
}


@pytest.fixture(scope="module", autouse=True)
def memory_of_this_process_stays_bounded():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    # macOS counts bytes where Linux counts KiB.
    assert grown < MOST_MEMORY_KIB * (1024 if sys.platform == "darwin" else 1)


@pytest.fixture
def sandbox():
    started = time.monotonic()
    with interpreter() as made:
        yield made
    assert time.monotonic() - started < MOST_SECONDS
    with interpreter() as fresh:
        assert fresh.execute("SUBMIT('fine')") == FinalOutput({"answer": "fine"})


def nothing_leaked(*texts: object) -> None:
    seen = " ".join(map(str, texts))
    assert SECRET not in seen
    assert f'name = "{IN_FILE}"' not in seen
    assert "root:" not in seen


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_and_the_session_goes_on(sandbox, name) -> None:
    code, message = REFUSED[name]
    sandbox.execute("kept = 1")
    text = failure(sandbox, code)
    assert message in text
    nothing_leaked(text, sandbox.last_stdout)
    assert len(sandbox.last_stdout) <= LIMITS.output_characters
    assert sandbox.execute("kept") == "1\n"


@pytest.mark.parametrize("name", STOPPED)
def test_it_is_stopped_and_a_new_session_begins(sandbox, name) -> None:
    text = failure(sandbox, STOPPED[name])
    assert "The session was restarted" in text
    assert len(text) < 30_000
    assert len(sandbox.last_stdout) <= LIMITS.output_characters
    assert sandbox.execute("print('here')") == "here\n"


@pytest.mark.parametrize("name", HARMLESS)
def test_it_is_allowed_and_does_no_harm(sandbox, name) -> None:
    nothing_leaked(sandbox.execute(HARMLESS[name]), sandbox.last_stdout)
    assert sandbox.execute("1 + 1") == "2\n"


def test_a_result_larger_than_the_sandbox_is_an_error_of_that_cell(sandbox) -> None:
    sandbox.tools["large"] = lambda: ["x" * 100] * 900_000
    with pytest.raises(CodeExecutionError):
        sandbox.execute("x = large()")
    assert sandbox.execute("1") == "1\n"


def test_a_tool_that_prints_and_reads_is_out_of_reach_by_keywords(sandbox) -> None:
    """Keywords cannot reach parameters that a tool's wrapper does not show."""

    def shown(key: str) -> str:
        return key

    sandbox.tools["shown"] = shown
    for attempt in ("shown('a', self=1)", "shown(**{'__class__': 1})", "shown(*['a', 'b'])"):
        assert "call it as shown(key)" in failure(sandbox, attempt)
