"""Turns any Python value into JSON that a person can read, so that every value can be recorded."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import fractions
import json
import math
import os
import uuid
from collections import deque
from collections.abc import Callable, ItemsView, KeysView, Mapping, ValuesView
from typing import Any

from rlm_runtime.guard import quietly

__all__ = ["plain", "to_json"]

_MAX_DEPTH = 100
"""Levels of lists and dicts; deeper ones are kept as text."""

_MAX_BITS = 2000
"""Integers above are kept as hexadecimal text: Python reads no more than 4300 decimal digits."""

_TOLD_BY_STR = (decimal.Decimal, fractions.Fraction, uuid.UUID, datetime.timedelta, complex)
_XSD_STRING = "http://www.w3.org/2001/XMLSchema#string"


def to_json(value: Any) -> str:
    r"""Write any value as JSON text that is valid UTF-8; reading it gives ``plain(value)``.

    Example:
        >>> to_json({"seen": {2, 1}, "half": b"\xff", "odd": "\ud800"})
        '{"seen": [1, 2], "half": "b\'\\\\xff\'", "odd": "\\ud800"}'
    """
    told = json.dumps(plain(value), ensure_ascii=False, allow_nan=False)
    # What UTF-8 has no form for, lone surrogates, stands in JSON strings only, and the escape
    # that Python writes for it is also JSON's.
    return told.encode("utf-8", "backslashreplace").decode()


def plain(value: Any) -> Any:
    """Convert a value to what JSON knows: str, int, float, bool, None, list and dict.

    Sets become sorted lists; dates ISO 8601 text; dataclasses, named tuples, pydantic models and
    DSPy's predictions dicts; arrays and numbers of numpy lists and numbers; IRIs of RDF their
    text, literals with a type or language dicts, graphs the lines of N-Triples. NaN and
    infinities, bytes that are no UTF-8, very large integers and everything else become text. A
    value within itself is ``"<cycle>"``.

    Example:
        >>> plain({"on": datetime.date(2026, 1, 2), "of": {"b", "a"}, 1: float("nan")})
        {'on': '2026-01-02', 'of': ['a', 'b'], '1': 'nan'}
    """
    return _plain(value, ())


def _plain(value: Any, within: tuple[int, ...]) -> Any:
    kind = type(value)
    # Most of what is recorded.
    if kind is str or kind is bool or value is None:
        return value
    if isinstance(value, enum.Enum):
        return _plain(value.value, within)
    if isinstance(value, int):
        return int(value) if value.bit_length() <= _MAX_BITS else hex(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, str) and not hasattr(value, "n3"):
        return str.__str__(value)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, _TOLD_BY_STR):
        return str(value)
    if isinstance(value, bytes | bytearray):
        whole = bytes(value)
        return quietly(whole.decode, repr(whole))
    if id(value) in within:
        return "<cycle>"
    if len(within) >= _MAX_DEPTH:
        return _text(value)
    within = (*within, id(value))
    # A foreign object can fail in any way while it is looked at; its text still tells.
    parts = quietly(lambda: _parts(value), None)
    if isinstance(parts, Mapping):
        return _named(parts, within)
    if isinstance(parts, list):
        return [_plain(part, within) for part in parts]
    return _text(value) if parts is None else _plain(parts, within)


def _named(parts: Mapping[Any, Any], within: tuple[int, ...]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for key, part in parts.items():
        told = _plain(key, within)
        name = told if isinstance(told, str) else _text(key)
        # {1: …, "1": …} has two keys; JSON would know one.
        while name in named:
            name = f"{name} ({type(key).__name__})"
        named[name] = _plain(part, within)
    return named


def _parts(value: Any) -> Any:
    """Give a dict, a list or a plainer value that says the same; fail or give None if none does."""
    if isinstance(value, Mapping):
        return dict(value.items())
    if isinstance(value, set | frozenset):
        return quietly(lambda: sorted(value), sorted(value, key=_text))
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return value._asdict()  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(value, list | tuple | deque | KeysView | ValuesView | ItemsView):
        return list(value)
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, type):
        return value.__qualname__
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    library = type(value).__module__.partition(".")[0]
    if library in _LIBRARIES:
        return _LIBRARIES[library](value)
    for dump in ("model_dump", "toDict", "to_dict", "tolist"):
        # pydantic; DSPy; pandas; arrays of other libraries.
        method: Callable[[], Any] | None = getattr(value, dump, None)
        if callable(method):
            dumped = method()
            # A mock dumps itself as another mock, and so on for ever.
            return dumped if isinstance(dumped, dict | list | str | int | float) else None
    return None


def _of_numpy(value: Any) -> Any:
    kind = value.dtype
    if kind.names:
        return {name: value[name] for name in kind.names}
    # Dates finer than microseconds and long floats have no equal in Python.
    if kind.kind in "mM" or kind.char in "gG":
        return value.astype(str).tolist()
    return value.tolist()


def _of_rdf(value: Any) -> Any:
    if hasattr(value, "serialize"):
        return sorted(value.serialize(format="nt").splitlines())
    told = str.__str__(value) if isinstance(value, str) else value.value
    if type(value).__name__ in ("BNode", "BlankNode"):
        return f"_:{told}"
    language = getattr(value, "language", None)
    if language:
        return {"value": told, "language": language}
    datatype = getattr(value, "datatype", None)
    iri = getattr(datatype, "value", datatype)
    if iri is None or str(iri) == _XSD_STRING:
        return told
    return {"value": told, "datatype": str(iri)}


_LIBRARIES: Mapping[str, Callable[[Any], Any]] = {
    "numpy": _of_numpy,
    "rdflib": _of_rdf,
    "pyoxigraph": _of_rdf,
}


def _text(value: Any) -> str:
    """Give the text of a value that has no better one, whatever it is."""
    return quietly(lambda: repr(value), f"<{type(value).__qualname__} without repr>")
