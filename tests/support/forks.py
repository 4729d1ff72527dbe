"""Processes that begin with everything imported: forked off a server that did it once.

Real processes, with threads, sandbox and locks of their own; importing DSPy and MLflow in each
would take several seconds.
"""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

__all__ = ["forked", "pipe", "preload"]

_ROOT = Path(__file__).parent.parent.parent
_context = multiprocessing.get_context("forkserver")


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
    process.start()
    return process


def _begin(
    work: Callable[..., None], args: tuple[Any, ...], folder: Path, env: dict[str, str]
) -> None:
    os.chdir(folder)
    os.environ.update(env)
    warnings.simplefilter("ignore")
    work(*args)
