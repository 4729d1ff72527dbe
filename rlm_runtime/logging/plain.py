"""Turns any Python value into plain JSON values, losing nothing that can be shown."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import math
import os
from collections.abc import Iterable, Mapping
from typing import Any

from rlm_runtime.guard import quietly

__all__ = ["plain"]

_MAX_DEPTH = 50


def plain(value: Any) -> Any:
    """Convert a value to str, int, float, bool, None, list and dict.

    Sets become sorted lists, dataclasses and pydantic models become dicts, dates become ISO 8601
    text, paths become text, NaN and infinities become text (JSON has none), and anything else its
    ``repr``. A value that contains itself is shown as ``"<cycle>"`` where it comes round.

    Example:
        >>> plain({"when": datetime.date(2026, 1, 2), "seen": {"b", "a"}, "x": float("inf")})
        {'when': '2026-01-02', 'seen': ['a', 'b'], 'x': 'inf'}
    """
    return _plain(value, ())


def _plain(value: Any, within: tuple[int, ...]) -> Any:
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, enum.Enum):
        return _plain(value.value, within)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, os.PathLike):
        return _plain(quietly(lambda: os.fspath(value), ""), within)
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "backslashreplace")
    if id(value) in within:
        return "<cycle>"
    if len(within) >= _MAX_DEPTH:
        return f"<nested deeper than {_MAX_DEPTH}>"
    return _plain_container(value, (*within, id(value)))


def _plain_container(value: Any, within: tuple[int, ...]) -> Any:
    if isinstance(value, Mapping):
        shown: dict[str, Any] = {}
        for key, item in value.items():
            name = key if type(key) is str else _text(key)
            # {1: …, "1": …} has two keys; JSON would know one.
            while name in shown:
                name = f"{name} ({type(key).__name__})"
            shown[name] = _plain(item, within)
        return shown
    if isinstance(value, set | frozenset):
        return sorted((_plain(item, within) for item in value), key=_text)
    if isinstance(value, list | tuple):
        return [_plain(item, within) for item in value]
    if isinstance(value, type):
        return value.__qualname__
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name), within) for f in dataclasses.fields(value)}
    for dump in ("model_dump", "toDict", "tolist"):
        # pydantic models; dspy.Example and dspy.Prediction; numpy arrays and scalars.
        method = getattr(value, dump, None)
        if callable(method):
            dumped = _attempt(method)
            if dumped is not value and dumped is not _FAILED:
                return _plain(dumped, within)
    if isinstance(value, Iterable) and type(value).__name__ == "deque":
        return [_plain(item, within) for item in value]
    return _text(value)


_FAILED = object()


def _attempt(method: Any) -> Any:
    # A foreign object's own dump may fail in any way, or want arguments; its repr still tells.
    return quietly(method, _FAILED)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    text = quietly(lambda: repr(value), None)
    return text if isinstance(text, str) else f"<{type(value).__qualname__} without repr>"
