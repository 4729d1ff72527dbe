"""A sink that keeps events, and the check that each follows the schema."""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema

from rlm_runtime.logging.events import Event, json_schema


@cache
def _validators() -> dict[str, jsonschema.Draft202012Validator]:
    return {one["title"]: jsonschema.Draft202012Validator(one) for one in json_schema()["oneOf"]}


def check_events(events: list[Event]) -> None:
    """Assert that events follow the schema, are dense, and that every end has its start."""
    open_spans: dict[str, str] = {}
    for number, event in enumerate(events):
        _validators()[event["event"]].validate(event)
        assert event["seq"] == number
        assert event["parent_id"] is None or event["parent_id"] in open_spans
        kind, _, edge = event["event"].rpartition("_")
        if edge == "start":
            assert event["span_id"] not in open_spans
            open_spans[event["span_id"]] = kind
        elif edge == "end":
            assert open_spans.pop(event["span_id"]) == kind
    assert events[-1]["event"] == "run_end"
    assert not open_spans, f"never ended: {open_spans}"
    assert {event["run_id"] for event in events} == {events[0]["run_id"]}


class Collected:
    """A sink that keeps every event."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.closed = 0

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def close(self) -> None:
        self.closed += 1

    def named(self, name: str) -> list[Event]:
        return [event for event in self.events if event["event"] == name]

    def parent(self, event: Event) -> Any:
        """Give the start event of what caused this one."""
        starts = {e["span_id"]: e for e in self.events if e["event"].endswith("_start")}
        return starts.get(event["parent_id"])
