"""Turns values into plain ones, bounded in size and depth, so that they can cross the border.

The same conversion serves both directions: a tool's result going in, and arguments, submitted
fields and last values coming out. Plain means None, bool, int, float, complex, str, bytes,
Decimal, date, datetime, time, timedelta, and list, tuple, dict, set and frozenset of these.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import enum
import ipaddress
import pathlib
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Set, ValuesView
from decimal import Decimal
from fractions import Fraction
from typing import Any, cast

__all__ = ["MAX_DEPTH", "MAX_ITEMS", "Unplain", "clean_text", "plain"]

MAX_DEPTH = 100
MAX_ITEMS = 1_000_000
MAX_CHARACTERS = 50_000_000
# Python itself refuses to print longer integers (sys.set_int_max_str_digits).
_MAX_INT_BITS = 14_000

_ATOMS = (
    bool,
    float,
    complex,
    type(None),
    Decimal,
    datetime.date,
    datetime.datetime,
    datetime.time,
    datetime.timedelta,
    datetime.timezone,
)
_AS_TEXT = (
    uuid.UUID,
    pathlib.PurePath,
    Fraction,
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
)
# How values of libraries that are not imported here say what they hold: rdflib terms; numpy
# scalars and arrays, pandas series; pydantic models; dspy.Prediction; classes of the sandbox.
_EXPORTS = ("toPython", "tolist", "model_dump", "toDict")


class Unplain(Exception):
    """A value cannot cross; ``kind`` is TypeError or ValueError."""

    def __init__(self, kind: type[TypeError] | type[ValueError], message: str) -> None:
        super().__init__(message)
        self.kind = kind


def clean_text(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot hold.

    Example:
        >>> clean_text("a" + chr(0xD800))
        'a?'
    """
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def plain(value: Any) -> Any:
    """Give the plain form of a value.

    Raises:
        Unplain: There is no obvious plain form, or it would be too large or too deep, as a
            value that contains itself would be.

    Example:
        >>> plain({"ids": (uuid.UUID(int=1), deque([1, 2]))})
        {'ids': ('00000000-0000-0000-0000-000000000001', [1, 2])}
    """
    return _Converter().convert(value, 0)


class _Converter:
    def __init__(self) -> None:
        self._items = 0
        self._characters = 0

    def convert(self, value: Any, depth: int) -> Any:
        self._items += 1
        if self._items > MAX_ITEMS:
            raise Unplain(ValueError, f"it holds more than {MAX_ITEMS:,} items")
        if depth > MAX_DEPTH:
            raise Unplain(
                ValueError, f"it is nested deeper than {MAX_DEPTH} levels or contains itself"
            )
        kind = type(value)
        if kind in _ATOMS:
            return value
        if kind is str:
            return self._text(value)
        if kind is int:
            return _bounded(value)
        if kind in (list, tuple):
            return kind([self.convert(item, depth + 1) for item in value])
        if kind is dict:
            return self._mapping(value, depth)
        return self._uncommon(value, depth)

    def _charge(self, characters: int) -> None:
        self._characters += characters
        if self._characters > MAX_CHARACTERS:
            raise Unplain(ValueError, f"it holds more than {MAX_CHARACTERS:,} characters")

    def _text(self, value: str) -> str:
        self._charge(len(value))
        return clean_text(value)

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[Any, Any]:
        return {
            self._hashable(key, depth + 1): self.convert(item, depth + 1)
            for key, item in value.items()
        }

    def _hashable(self, value: Any, depth: int) -> Any:
        converted = self.convert(value, depth)
        try:
            hash(converted)
        except TypeError:
            raise Unplain(
                TypeError, f"a {_name(value)} cannot be a key of a dict or an item of a set"
            ) from None
        return converted

    def _uncommon(self, value: Any, depth: int) -> Any:
        if isinstance(value, enum.Enum):
            return self.convert(value.value, depth + 1)
        export = self._export_of(value)
        if isinstance(value, str):
            return self._term(value, export, depth)
        if export is not None:
            return self.convert(export(), depth + 1)
        if isinstance(value, int):
            return _bounded(int(value))
        if isinstance(value, float):
            return float(value)
        if isinstance(value, (bytes, bytearray, memoryview)):
            self._charge(memoryview(value).nbytes)
            return bytes(value)
        if isinstance(value, _AS_TEXT):
            return self._text(str(value))
        if isinstance(value, datetime.datetime):
            return datetime.datetime.combine(value.date(), value.timetz())
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        return self._collection(value, depth)

    def _term(self, value: str, export: Callable[[], Any] | None, depth: int) -> Any:
        exported = value if export is None else export()
        if exported is not value:
            # An rdflib literal of an exotic datatype exports an object; its text says as much.
            with contextlib.suppress(Unplain):
                return self.convert(exported, depth + 1)
        return self._text(str.__str__(value))

    def _collection(self, value: Any, depth: int) -> Any:
        if isinstance(value, tuple):
            items = [self.convert(item, depth + 1) for item in value]
            make = cast("Callable[[list[Any]], Any]", getattr(value, "_make", tuple))
            return make(items)
        if isinstance(value, (frozenset, set)):
            items = {self._hashable(item, depth + 1) for item in value}
            return frozenset(items) if isinstance(value, frozenset) else items
        if isinstance(value, (list, deque, range, Set, ValuesView)):
            return [self.convert(item, depth + 1) for item in value]
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            names = [field.name for field in dataclasses.fields(value)]
            return {name: self.convert(getattr(value, name), depth + 1) for name in names}
        # An instance of a class that sandboxed code defined.
        if type(value).__name__ == "MontyClassProxy":
            return self._mapping(cast("Any", value).attributes, depth)
        raise Unplain(TypeError, f"a {_name(value)} has no plain form")

    @staticmethod
    def _export_of(value: Any) -> Callable[[], Any] | None:
        # Only methods of its class: a named tuple of the sandbox chooses its own field names.
        for name in _EXPORTS:
            if callable(getattr(type(value), name, None)):
                return getattr(value, name)
        return None


def _bounded(value: int) -> int:
    if value.bit_length() > _MAX_INT_BITS:
        raise Unplain(ValueError, "it holds an integer of more than 4,000 digits")
    return value


def _name(value: Any) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
