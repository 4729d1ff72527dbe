"""Runs what a Markdown page shows: Python, commands, and what they are said to print.

A page's fenced blocks mean this:

- ``python`` runs, all of a page in one namespace. What it prints is in an ``output`` block right
  behind it; a block without one prints nothing.
- ``console`` holds commands, each after ``$``, and below each what it prints to both streams.
  A command may go on behind a backslash. ``rlm-runtime``, ``export NAME=value`` and ``echo $?``
  can be run; a command that fails must be followed by ``echo $?``.
- ``text`` is only looked at.

In printed text ``...`` stands for anything, as in doctests. A comment that begins with
``<!-- hidden`` holds Python which runs in its place and which readers do not see: stand-ins for
what a test cannot have, such as a model.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import multiprocessing
import os
import re
import shlex
import sys
import traceback
import warnings
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["KINDS", "Block", "blocks_of", "commands_of", "run_page"]

KINDS = ("python", "output", "console", "text")
_BLOCK = re.compile(
    r"^(?:```(?P<kind>[^\n]*)\n(?P<fenced>.*?)^```|<!-- hidden\n(?P<hidden>.*?)^-->)[ \t]*$",
    re.M | re.S,
)
# What takes seconds to import is imported once; each page then runs in a fork of that process.
_PRELOADED = (
    "dspy",
    "litellm",
    "mlflow.dspy",
    "mlflow.store.tracking.sqlalchemy_store",
    "rlm_runtime.cli.app",
    "rlm_runtime.engine.dspy_rlm",
    "rlm_runtime.engine.offline",
)
_ENVIRONMENT = {"COLUMNS": "100", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
_UNSET = ("RLM_MODEL", "OPENAI_API_KEY", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME")


@dataclass(frozen=True)
class Block:
    """A block of a page: its kind (a fence's word, or ``hidden``), text and first line."""

    kind: str
    text: str
    line: int


def blocks_of(page: str) -> list[Block]:
    """Give the fenced blocks and hidden comments of a page, in order."""
    return [
        Block(
            "hidden" if found["hidden"] is not None else found["kind"].strip(),
            found["fenced"] if found["hidden"] is None else found["hidden"],
            page.count("\n", 0, found.start()) + 2,
        )
        for found in _BLOCK.finditer(page)
    ]


def commands_of(block: Block) -> list[tuple[str, str]]:
    """Give the commands of a console block, each with what it is said to print."""
    text = block.text.replace("\\\n", " ")
    parts = re.split(r"^\$ (.*)\n?", text, flags=re.M)
    assert not parts[0].strip(), f"line {block.line}: a console block begins with a command"
    return list(zip(parts[1::2], parts[2::2], strict=True))


def run_page(page: Path, folder: Path, seconds: float = 120) -> list[str]:
    """Run a page in a process of its own.

    Args:
        page: The Markdown file.
        folder: The working directory that its snippets find.
        seconds: The most that it may take.

    Returns:
        What went wrong, each beginning with file and line; empty when all is as the page says.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_PRELOADED))
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(page.resolve(), folder, sender), daemon=True)
    process.start()
    sender.close()
    try:
        if receiver.poll(seconds):
            return receiver.recv()
        return [f"{page.name}: not done after {seconds:g} seconds"]
    except EOFError:
        return [f"{page.name}: the process that ran it died"]
    finally:
        process.join(seconds / 10)
        process.kill()


def _work(page: Path, folder: Path, results: Any) -> None:
    import dspy

    from rlm_runtime.errors import TrackingWarning

    os.chdir(folder)
    os.environ.update(_ENVIRONMENT)
    # As in an active environment: the commands are found by name.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for name in _UNSET:
        os.environ.pop(name, None)
    # Our own warnings must not pass unseen; those of libraries are not for the pages to show.
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", TrackingWarning)
    # A completion that an earlier test run left in DSPy's cache on disk is not what the page does.
    dspy.configure_cache(enable_disk_cache=False)
    results.send(list(_problems(page)))


def _problems(page: Path) -> Iterator[str]:
    blocks = blocks_of(page.read_text(encoding="utf-8"))
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for number, block in enumerate(blocks):
        where = f"{page.name}:{block.line}"
        if block.kind in ("python", "hidden"):
            following = blocks[number + 1] if number + 1 < len(blocks) else None
            wanted = following.text if following and following.kind == "output" else ""
            if not (yield from _python(block, where, namespace, wanted)):
                # What follows would only stumble over what is missing.
                return
        elif block.kind == "console":
            yield from _console(block, where)


def _python(
    block: Block, where: str, namespace: dict[str, Any], wanted: str
) -> Generator[str, None, bool]:
    printed = io.StringIO()
    # Empty lines in front make tracebacks name the lines of the page.
    code = "\n" * (block.line - 1) + block.text
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(code, where.partition(":")[0], "exec", dont_inherit=True), namespace)
    except BaseException:
        yield f"{where}: {traceback.format_exc(limit=3, chain=False)}"
        return False
    yield from _compare(where, wanted, printed.getvalue())
    return True


def _console(block: Block, where: str) -> Iterator[str]:
    code, told = 0, True
    for command, wanted in commands_of(block):
        words = shlex.split(command, comments=True)
        if words == ["echo", "$?"]:
            printed, told = f"{code}\n", True
        elif words[0] == "export":
            os.environ.update([words[1].split("=", 1)])
            printed = ""
        else:
            if not told:
                yield f"{where}: exit code {code} is not shown"
            printed, code = _run(words)
            told = code == 0
        yield from _compare(f"{where}: {command}", wanted, printed)
    if not told:
        yield f"{where}: exit code {code} is not shown"


def _run(words: list[str]) -> tuple[str, int]:
    from typer.testing import CliRunner

    from rlm_runtime.cli.app import app

    assert words[0] == "rlm-runtime", f"{words[0]} cannot be run here; see tests/support/snippets"
    result = CliRunner().invoke(app, words[1:], prog_name="rlm-runtime")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return "".join(traceback.format_exception(result.exception)), 1
    return result.output, result.exit_code


def _compare(where: str, wanted: str, printed: str) -> Iterator[str]:
    wanted, printed = (_without_margin(text) for text in (wanted, printed))
    if not doctest.OutputChecker().check_output(wanted, printed, doctest.ELLIPSIS):
        yield f"{where}\n--- the page says\n{wanted}--- it prints\n{printed}"


def _without_margin(text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")
    return f"{lines}\n" if lines else ""
