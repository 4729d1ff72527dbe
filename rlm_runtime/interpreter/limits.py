"""What sandboxed code may use up, and the words that tell an LM which Python it runs."""

from __future__ import annotations

from dataclasses import dataclass, fields

from rlm_runtime.errors import ConfigurationError

__all__ = ["EXECUTION_INSTRUCTIONS", "SandboxLimits"]

EXECUTION_INSTRUCTIONS = (
    "Cells run in a sandboxed subset of Python 3 and share their variables; print a value to see "
    "it (tool results print as tables); SUBMIT(...) ends the run. Tools are plain functions: no "
    "await. Missing: class inheritance (so no exceptions of your own), @property, @staticmethod, "
    "@classmethod, yield, del (use d.pop(k)), import *, next() of a generator expression, "
    "callable(), input(), files, environment, network, processes. Methods cannot be passed as "
    "values: key=lambda s: s.lower(), not key=str.lower; key=lambda k: d[k], not key=d.get. "
    "Modules: asyncio, base64, bisect, collections, copy, csv, dataclasses, datetime, decimal, "
    "functools, hashlib, itertools, json, math, random, re, time, typing, unicodedata. "
    "No other module; of collections only Counter, defaultdict, deque, namedtuple."
)
"""The part of the action prompt that names the subset of Python that Monty 1.4 runs."""


@dataclass(frozen=True)
class SandboxLimits:
    """Bounds on the code of one sandbox; all of them are positive.

    Attributes:
        cell_seconds: Running time of one cell, without the time spent in host tools.
        memory_bytes: Memory of a session.
        host_calls: Calls from the sandbox to the host (tools, tables, sleeps) in one session.
        sleep_seconds: Time that a session may sleep in all.
        output_characters: What one cell may print; the rest is dropped and the cell fails.
        recursion_depth: Depth of the sandbox's call stack.
        restarts: How often a broken session is replaced by a new one before the interpreter
            gives up.

    Raises:
        ConfigurationError: A limit is not positive.

    Example:
        >>> SandboxLimits(cell_seconds=2).memory_bytes
        268435456
    """

    cell_seconds: float = 10.0
    memory_bytes: int = 256 * 2**20
    host_calls: int = 100_000
    sleep_seconds: float = 5.0
    output_characters: int = 1_000_000
    recursion_depth: int = 1000
    restarts: int = 3

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise ConfigurationError(
                    f"SandboxLimits.{field.name} must be positive, but is {value!r}."
                )
