"""Makes streams of schema-valid events, as a recorder would."""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema

from rlm_runtime.logging.events import EVENTS, SCHEMA_VERSION, Event, json_schema

_DEFAULTS: dict[str, dict[str, Any]] = {
    "run_start": {"query": None, "ontology": None, "params": {}, "tags": {}, "versions": {}},
    "run_end": {
        "status": "FINISHED",
        "stop_reason": None,
        "converged": None,
        "outputs": {},
        "metrics": {},
        "usage": {},
    },
    "module_start": {"signature": None, "inputs": {}},
    "module_end": {"outputs": None},
    "lm_start": {"model": "openai/gpt-test", "role": None, "messages": [], "params": {}},
    "lm_end": {
        "outputs": None,
        "usage": None,
        "cost_usd": None,
        "cache_hit": False,
        "response_model": None,
    },
    "code_end": {"stdout": "", "submitted": None},
    "tool_start": {"args": {}},
    "tool_end": {"output": None},
    "adapter_start": {"inputs": {}},
    "adapter_end": {"outputs": None},
    "evaluate_start": {"inputs": {}},
    "evaluate_end": {"outputs": None},
    "compile_start": {"inputs": {}},
    "compile_end": {"outputs": None},
}
ACTION = "variables_info, repl_history, iteration -> reasoning, code"


@functools.cache
def _validators() -> dict[str, jsonschema.Draft202012Validator]:
    schema = json_schema()
    return {
        one["title"]: jsonschema.Draft202012Validator(one | {"$schema": schema["$schema"]})
        for one in schema["oneOf"]
    }


def validate(event: Event) -> None:
    """Raise a ValidationError unless the event follows the schema."""
    _validators()[event["event"]].validate(event)


def error(kind: str = "ValueError", message: str = "it broke") -> dict[str, str]:
    """Give an error field."""
    trace = f"Traceback (most recent call last):\n  File ...\n{kind}: {message}\n"
    return {"type": kind, "message": message, "traceback": trace}


class Stream:
    """A run being recorded: each call adds a validated event, a millisecond after the last."""

    def __init__(self, run_id: str = "run-1", program: str = "run_dspy_rlm", **run: Any) -> None:
        self.events: list[Event] = []
        self.run_id = run_id
        self.trajectory_id = run.pop("trajectory_id", run_id)
        self._ids = itertools.count()
        self._now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        self._open: dict[str, tuple[str, str | None, datetime]] = {}
        self.root = self.start("run", None, program=program, **run)

    def add(
        self, event_name: str, span_id: str | None, parent_id: str | None, /, **fields: Any
    ) -> Event:
        """Add any event."""
        self._now += timedelta(milliseconds=1)
        event = {
            "v": SCHEMA_VERSION,
            "seq": len(self.events),
            "ts": self._now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "event": event_name,
            "run_id": self.run_id,
            "trajectory_id": self.trajectory_id,
            "span_id": span_id,
            "parent_id": parent_id,
            **_DEFAULTS.get(event_name, {}),
            **fields,
        }
        validate(event)
        self.events.append(event)
        return event

    def start(self, kind: str, parent: str | None, /, **fields: Any) -> str:
        """Begin a span and give its id."""
        span_id = f"s{next(self._ids)}"
        self.add(f"{kind}_start", span_id, parent, **fields)
        self._open[span_id] = (kind, parent, self._now)
        return span_id

    def end(self, span_id: str, /, *, error: dict[str, str] | None = None, **fields: Any) -> None:
        """End a span."""
        kind, parent, began = self._open.pop(span_id)
        took = self._now + timedelta(milliseconds=1) - began
        nanoseconds = took // timedelta(microseconds=1) * 1000
        self.add(f"{kind}_end", span_id, parent, **fields, duration_ns=nanoseconds, error=error)

    def lm(self, parent: str, text: str = "", **fields: Any) -> str:
        """Add a whole LM call."""
        ends = {k: fields.pop(k) for k in list(fields) if k in EVENTS["lm_end"]}
        span_id = self.start("lm", parent, **fields)
        usage = {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110}
        self.end(span_id, **({"outputs": [text], "usage": usage, "cost_usd": 0.001} | ends))
        return span_id

    def tool(self, parent: str, name: str, /, output: Any = None, **args: Any) -> str:
        """Add a whole tool call."""
        span_id = self.start("tool", parent, name=name, args=args)
        self.end(span_id, output=output)
        return span_id

    def turn(
        self, rlm: str, code: str, *, reasoning: str = "I look.", end_cell: bool = True, **lm: Any
    ) -> str:
        """Add an RLM's LM call and begin its cell; give the id of the cell."""
        predictor = self.start("module", rlm, name="Predict", signature=ACTION)
        text = f"[[ ## reasoning ## ]]\n{reasoning}\n\n[[ ## code ## ]]\n```python\n{code}\n```"
        messages = [
            {"role": "system", "content": "Your input fields are: ..."},
            {"role": "user", "content": "[[ ## iteration ## ]]\n1/8"},
        ]
        self.lm(predictor, text, **({"role": "main", "messages": messages} | lm))
        self.end(predictor, outputs={"reasoning": reasoning, "code": code})
        return self.start("code", rlm, code=code)


def rlm_run(run_id: str = "run-1", query: str = "What is Activity?", **run: Any) -> list[Event]:
    """Give a whole RLM run: a search, a failing cell, a batch of sub-LMs, and a SUBMIT."""
    params = {"max_iterations": 8, "model": "openai/gpt-test", "sub_model": None}
    stream = Stream(
        run_id,
        query=query,
        **({"ontology": "prov", "params": {**params, "has_memory": False}} | run),
    )
    program = stream.start("module", stream.root, name="OntologyRLM", inputs={"query": query})
    rlm = stream.start("module", program, name="RLM", inputs={"query": query})
    cell = stream.turn(rlm, 'print(search_entity("Activity"))')
    stream.tool(cell, "search_entity", [{"iri": "prov:Activity"}], query="Activity")
    stream.end(cell, stdout="prov:Activity  Activity  class\n")
    cell = stream.turn(rlm, "print(undefined)")
    stream.end(cell, stdout="", error=error("NameError", "name 'undefined' is not defined"))
    cell = stream.turn(rlm, "llm_query_batched(['a', 'b'])")
    first = stream.start("tool", cell, name="llm_query", args={"prompt": "a"})
    second = stream.start("tool", cell, name="llm_query", args={"prompt": "b"})
    stream.lm(first, "A", role="sub", messages=[{"role": "user", "content": "a"}])
    stream.lm(second, "B", role="sub", messages=[{"role": "user", "content": "b"}])
    stream.end(second, output="B")
    stream.end(first, output="A")
    stream.end(cell, stdout="")
    cell = stream.turn(rlm, 'SUBMIT(answer="Something that occurs")')
    answer = {"answer": "Something that occurs over a period of time"}
    stream.end(cell, submitted=answer)
    outputs = {
        **answer,
        "sparql": "SELECT ?s WHERE { ?s a owl:Class }",
        "evidence": ["http://www.w3.org/ns/prov#Activity"],
    }
    stream.end(rlm, outputs=outputs)
    stream.end(program, outputs=outputs)
    stream.end(
        stream.root,
        stop_reason="submitted",
        converged=True,
        outputs=outputs,
        metrics={"iteration_count": 4, "converged": 1, "duration_seconds": 0.03},
        usage={"openai/gpt-test": {"calls": 6}},
    )
    return stream.events


def play(events: Sequence[Event], sink: Any) -> None:
    """Send events to a sink and close it."""
    for event in events:
        sink.emit(event)
    sink.close()


def wait_for_workers() -> None:
    """Wait until no thread talks to MLflow any more: a run's worker looks at old runs, too."""
    for thread in threading.enumerate():
        if thread.name == "rlm-runtime-mlflow":
            thread.join(60)
