"""Processes that begin with everything imported: forked off a server that did it once.

Real processes, with threads, sandbox and locks of their own; importing DSPy and MLflow in each
would take several seconds.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import warnings
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

__all__ = ["exit_code", "forked", "pipe", "preload", "together"]

_ROOT = Path(__file__).parent.parent.parent
_context = multiprocessing.get_context("forkserver")
# To start a process asks after the ended ones too, and of two threads that ask after the same one
# at once only one hears how it ended.
_asking = threading.Lock()


def preload() -> None:
    """Start the server, if this process has none yet; what it imports is below."""
    _context.set_forkserver_preload(["tests.support.preloaded"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(_ROOT))
        patch.chdir(_ROOT)
        process = _context.Process(target=os.getpid)
        process.start()
        process.join()


def pipe() -> tuple[Connection, Connection]:
    """Give the ends of a pipe: what reads, and what writes."""
    return _context.Pipe(duplex=False)


def forked(
    work: Callable[..., None], *args: Any, folder: Path, env: dict[str, str]
) -> ForkServerProcess:
    """Start a process that does some work and ends.

    Args:
        work: A function of a module.
        *args: Its arguments; may hold ends of pipes.
        folder: Where it works.
        env: Environment variables to set before.
    """
    process = _context.Process(target=_begin, args=(work, args, folder, env), daemon=True)
    with _asking:
        process.start()
    return process


def exit_code(process: ForkServerProcess, timeout: float) -> int | None:
    """Wait for a process to end, and tell how; None when it takes longer than so many seconds."""
    wait([process.sentinel], timeout)
    with _asking:
        return process.exitcode


def together(
    work: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], folder: Path
) -> list[Any]:
    """Have as many processes as there are arguments do some work at once; give what each returns.

    Args:
        work: A function of a module.
        arguments: Those of each process.
        folder: Where they work.
    """
    start = _context.Barrier(len(arguments))
    home = {"RLM_RUNTIME_HOME": os.environ["RLM_RUNTIME_HOME"]}
    readers = []
    for own in arguments:
        reader, writer = pipe()
        forked(_work_when_all_are_there, start, writer, work, own, folder=folder, env=home)
        writer.close()
        readers.append(reader)
    return [reader.recv() for reader in readers]


def _work_when_all_are_there(
    start: Barrier, writer: Connection, work: Callable[..., Any], own: tuple[Any, ...]
) -> None:
    start.wait(timeout=120)
    writer.send(work(*own))


def _begin(
    work: Callable[..., None], args: tuple[Any, ...], folder: Path, env: dict[str, str]
) -> None:
    os.chdir(folder)
    os.environ.update(env)
    warnings.simplefilter("ignore")
    work(*args)
