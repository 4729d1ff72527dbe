"""Any value is stored as JSON that a person can read, and nothing of it is lost."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import itertools
import json
import math
import pathlib
import sqlite3
import uuid
from typing import Any
from unittest.mock import Mock

import dspy
import numpy as np
import pydantic
import pyoxigraph as ox
import pytest
import rdflib
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_runtime.plain import plain, to_json

XSD = "http://www.w3.org/2001/XMLSchema#"
Point = collections.namedtuple("Point", "x y")


class Color(enum.Enum):
    RED = 1


class Size(enum.IntEnum):
    BIG = 3


@dataclasses.dataclass(frozen=True)
class Found:
    iri: str
    by: Any = None


class Row(pydantic.BaseModel):
    name: str
    on: datetime.date


class Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class Liar(dict[str, int]):
    def items(self) -> Any:
        raise RuntimeError("no")


TEXT = st.text(st.characters(), max_size=20)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(1990, 40_000).map(lambda bits: 7**bits)
    | st.floats()
    | TEXT
    | st.binary(max_size=20)
    | st.dates()
    | st.datetimes(timezones=st.none() | st.just(datetime.UTC))
    | st.times()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.complex_numbers()
    | st.sampled_from([Color.RED, Size.BIG, Found("http://a"), pathlib.PurePosixPath("/a/b")])
    | st.floats().map(np.float64)
    | st.integers(0, 255).map(np.uint8)
    | st.datetimes().map(lambda moment: np.datetime64(moment, "ns"))
    | TEXT.map(rdflib.Literal)
    | st.integers().map(rdflib.Literal)
    | st.uuids().map(lambda known: rdflib.URIRef(known.urn))
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.lists(inner, max_size=4).map(collections.deque)
        | st.dictionaries(SCALARS, inner, max_size=4)
        | st.sets(SCALARS, max_size=4)
        | inner.map(lambda value: Found("http://b", value))
        | st.lists(inner, max_size=3).map(lambda values: np.array([*values, None], object))
    ),
    max_leaves=15,
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**1999), 2**1999)
    | TEXT
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=15,
)


def joined(value: Any) -> Any:
    """Make surrogates that stand together one character, as every reader of JSON does."""
    return json.loads(json.dumps(value))


@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_every_value_is_stored_and_read_back_as_json(value: Any) -> None:
    text = to_json(value)
    assert json.loads(text, parse_constant=pytest.fail) == joined(plain(value))
    db = sqlite3.connect(":memory:")
    assert db.execute("SELECT ?, json_valid(?1)", (text,)).fetchone() == (text, 1)
    db.close()


@settings(max_examples=100, deadline=None)
@given(JSON)
def test_what_is_json_already_stays_what_it_is(value: Any) -> None:
    assert plain(value) == value
    assert json.loads(to_json(value)) == joined(value)


@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_what_is_plain_stays_what_it_is(value: Any) -> None:
    once = plain(value)
    assert plain(once) == once


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers() | TEXT, max_size=8, unique=True))
def test_nothing_of_a_collection_is_lost(values: list[Any]) -> None:
    for kind in (tuple, set, frozenset, collections.deque):
        assert sorted(map(repr, plain(kind(values)))) == sorted(map(repr, values))
    assert list(plain(dict(enumerate(values))).values()) == values
    named = plain({key: f"of {key!r}" for key in values})
    assert list(named.values()) == [f"of {key!r}" for key in values]


@settings(max_examples=100, deadline=None)
@given(st.integers(min_value=2**2000) | st.integers(max_value=-(2**2000)))
def test_huge_integers_are_read_back_from_their_text(value: int) -> None:
    assert int(plain(value), 16) == value


@settings(max_examples=100, deadline=None)
@given(st.binary())
def test_bytes_are_told_apart(value: bytes) -> None:
    told = plain(value)
    try:
        assert told == value.decode()
    except UnicodeDecodeError:
        assert told == repr(value)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_cycles_end_where_they_come_round(ways: list[int]) -> None:
    parts: list[list[Any]] = [[n] for n in range(6)]
    for here, there in itertools.pairwise(ways):
        parts[here].append({"next": parts[there]})
    parts[ways[-1]].append(parts[ways[0]])
    text = to_json(parts[ways[0]])
    assert '"<cycle>"' in text
    json.loads(text)


NS = np.datetime64("2026-01-02T03:04:05.000000006", "ns")
RECORDS = np.array([(1, 2.5), (3, 4.5)], dtype=[("n", "i4"), ("x", "f8")])
GRAPH = rdflib.Graph().add((rdflib.URIRef("http://a"),) * 3)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({3, 20, 1}, [1, 3, 20]),
        ({"b", 1, None}, ["b", 1, None]),
        (datetime.datetime(2026, 1, 2, 3, tzinfo=datetime.UTC), "2026-01-02T03:00:00+00:00"),
        (datetime.timedelta(hours=1), "1:00:00"),
        (decimal.Decimal("1.50"), "1.50"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (pathlib.Path("/a/b"), "/a/b"),
        (math.nan, "nan"),
        ([math.inf, -math.inf], ["inf", "-inf"]),
        (1 + 2j, "(1+2j)"),
        (Color.RED, 1),
        (Size.BIG, 3),
        (Point(1, {2}), {"x": 1, "y": [2]}),
        (Found("http://a", {"x"}), {"iri": "http://a", "by": ["x"]}),
        (Row(name="n", on=datetime.date(2026, 1, 2)), {"name": "n", "on": "2026-01-02"}),
        (dspy.Prediction(answer={1}), {"answer": [1]}),
        (Found, "Found"),
        (memoryview(b"ab"), "ab"),
        ({1: "a"}.items(), [[1, "a"]]),
        (
            {1: "a", "1": "b", None: 0, (1, 2): 1},
            {"1": "a", "1 (str)": "b", "None": 0, "(1, 2)": 1},
        ),
        (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
        (np.array([1.5, np.nan]), [1.5, "nan"]),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (NS, "2026-01-02T03:04:05.000000006"),
        (np.array([NS]), ["2026-01-02T03:04:05.000000006"]),
        (np.timedelta64(5, "ns"), "5 nanoseconds"),
        (np.array([np.timedelta64(5, "ns")]), ["5 nanoseconds"]),
        (np.longdouble("1.5"), "1.5"),
        (RECORDS, {"n": [1, 3], "x": [2.5, 4.5]}),
        (rdflib.URIRef("http://a/b"), "http://a/b"),
        (rdflib.BNode("n1"), "_:n1"),
        (rdflib.Literal("text"), "text"),
        (rdflib.Literal("Haus", lang="de"), {"value": "Haus", "language": "de"}),
        (rdflib.Literal(5), {"value": "5", "datatype": f"{XSD}integer"}),
        (ox.NamedNode("http://a/b"), "http://a/b"),
        (ox.BlankNode("n1"), "_:n1"),
        (ox.Literal("text"), "text"),
        (ox.Literal("Haus", language="de"), {"value": "Haus", "language": "de"}),
        (ox.Literal(5), {"value": "5", "datatype": f"{XSD}integer"}),
        (GRAPH, ["<http://a> <http://a> <http://a> ."]),
        (Unspeakable(), "<Unspeakable without repr>"),
        (Liar(a=1), "{'a': 1}"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_are_told_in_words_that_people_read(value: Any, told: Any) -> None:
    assert plain(value) == told
    assert json.loads(to_json({"within": [value]})) == {"within": [told]}


def test_readable_text_stays_readable() -> None:
    assert to_json("naïve 東京") == '"naïve 東京"'


def test_lone_surrogates_come_back() -> None:
    assert json.loads(to_json({"\udfff": "a\ud800\\"})) == {"\udfff": "a\ud800\\"}


def test_a_mock_ends() -> None:
    assert plain(Mock(name="me")).startswith("<Mock name='me'")


def test_what_is_nested_too_deep_is_text() -> None:
    deep: Any = "bottom"
    for _ in range(300):
        deep = [deep]
    assert "bottom" in to_json(deep)
    for _ in range(100_000):
        deep = [deep]
    assert "without repr" in to_json(deep)
    while isinstance(deep, list):
        deep = deep.pop()
