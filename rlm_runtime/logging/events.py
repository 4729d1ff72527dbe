"""The event schema, as data: what every recorded event holds.

Events come in pairs named after DSPy's callbacks (``lm_start``/``lm_end``), or alone
(``warning``, ``budget``, ``memory_usage``). ``json_schema()`` exports the whole as JSON Schema.
"""

from __future__ import annotations

from typing import Any

__all__ = ["COMMON", "EVENTS", "PAIRS", "SCHEMA_VERSION", "Event", "json_schema"]

SCHEMA_VERSION = 1

Event = dict[str, Any]
"""One event: a JSON object that follows this schema."""

_TEXT: dict[str, Any] = {"type": "string"}
_TEXT_OR_NULL: dict[str, Any] = {"type": ["string", "null"]}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_NUMBER_OR_NULL: dict[str, Any] = {"type": ["number", "null"]}
_COUNT_OR_NULL: dict[str, Any] = {"type": ["integer", "null"], "minimum": 0}
_BOOL: dict[str, Any] = {"type": "boolean"}
_OBJECT: dict[str, Any] = {"type": "object"}
_ANY: dict[str, Any] = {}
_MEMORIES: dict[str, Any] = {"type": ["array", "null"], "items": _OBJECT}

_ERROR: dict[str, Any] = {
    "description": "What was raised, or null.",
    "anyOf": [
        {"type": "null"},
        {
            "type": "object",
            "properties": {"type": _TEXT, "message": _TEXT, "traceback": _TEXT},
            "required": ["type", "message", "traceback"],
            "additionalProperties": False,
        },
    ],
}
_USAGE: dict[str, Any] = {
    "description": "Tokens as the provider counts them; null when it did not say.",
    "anyOf": [
        {"type": "null"},
        {
            "type": "object",
            "properties": {
                "input_tokens": _COUNT,
                "output_tokens": _COUNT,
                "total_tokens": _COUNT,
            },
            "required": ["input_tokens", "output_tokens", "total_tokens"],
        },
    ],
}
_END: dict[str, Any] = {"duration_ns": _COUNT, "error": _ERROR}

PAIRS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    # The run: `program` is what ran ("run_dspy_rlm" or the name given to observe); `params`
    # are its settings; `status` is FINISHED, FAILED or KILLED, as in MLflow.
    "run": (
        {
            "program": _TEXT,
            "query": _TEXT_OR_NULL,
            "ontology": _TEXT_OR_NULL,
            "params": _OBJECT,
            "tags": {"type": "object", "additionalProperties": _TEXT},
            "versions": {"type": "object", "additionalProperties": _TEXT},
        },
        {
            "status": {"enum": ["FINISHED", "FAILED", "KILLED"]},
            "stop_reason": _TEXT_OR_NULL,
            "converged": {"type": ["boolean", "null"]},
            "outputs": _OBJECT,
            "metrics": {"type": "object", "additionalProperties": {"type": "number"}},
            "usage": {
                "description": "By model: calls, cached, input_tokens, output_tokens, cost_usd.",
                "type": "object",
                "additionalProperties": _OBJECT,
            },
        },
    ),
    # A dspy.Module: `name` is its class, `signature` the predictor's ("question -> answer").
    "module": (
        {"name": _TEXT, "signature": _TEXT_OR_NULL, "inputs": _OBJECT},
        {"outputs": _ANY},
    ),
    # A call to an LM: `role` is "main", "sub" (from inside a REPL cell) or null outside an RLM;
    # `messages` are {role, content} objects; `params` hold no secrets.
    "lm": (
        {
            "model": _TEXT,
            "role": {"enum": ["main", "sub", None]},
            "messages": {"type": "array", "items": _OBJECT},
            "params": _OBJECT,
        },
        {
            "outputs": _ANY,
            "usage": _USAGE,
            "cost_usd": _NUMBER_OR_NULL,
            "cache_hit": _BOOL,
            "response_model": _TEXT_OR_NULL,
        },
    ),
    # A REPL cell: `stdout` is all that it printed, also before an error; `submitted` holds the
    # fields given to SUBMIT, or null.
    "code": ({"code": _TEXT}, {"stdout": _TEXT, "submitted": _ANY}),
    # A tool, called from a cell or by an agent.
    "tool": ({"name": _TEXT, "args": _OBJECT}, {"output": _ANY}),
    # A sandbox being started or shut down.
    "interpreter": ({"name": _TEXT, "operation": {"enum": ["startup", "shutdown"]}}, {}),
    # An adapter formatting a prompt or parsing a completion; off by default.
    "adapter": (
        {"name": _TEXT, "operation": {"enum": ["format", "parse"]}, "inputs": _OBJECT},
        {"outputs": _ANY},
    ),
    # Memories being looked for before a run: `memories` are {memory_id, title, kind, content,
    # score} objects, best first.
    "memory_retrieval": (
        {"query": _TEXT, "k": _COUNT, "filters": _OBJECT},
        {"memories": _MEMORIES},
    ),
    # A run being judged after it; `judge` is a model or "rules".
    "memory_judgment": (
        {"judge": _TEXT},
        {
            "success": {"type": ["boolean", "null"]},
            "reason": _TEXT_OR_NULL,
            "confidence": _NUMBER_OR_NULL,
        },
    ),
    # What a run taught being written down, and being kept: as new ones, or merged with what was
    # there.
    "memory_extraction": ({"judge": _TEXT}, {"memories": _MEMORIES}),
    "memory_storage": (
        {"memories": _COUNT},
        {"added": _COUNT_OR_NULL, "merged": _COUNT_OR_NULL},
    ),
    # dspy.Evaluate, and an optimizer's compile.
    "evaluate": ({"name": _TEXT, "inputs": _OBJECT}, {"outputs": _ANY}),
    "compile": ({"name": _TEXT, "inputs": _OBJECT}, {"outputs": _ANY}),
}
"""Each pair's own fields: those of its start, and those of its end."""

_SINGLE: dict[str, dict[str, Any]] = {
    "warning": {"category": _TEXT, "message": _TEXT},
    # The ids of the memories that the model is shown.
    "memory_usage": {"memories": {"type": "array", "items": _TEXT}},
    "budget": {"kind": _TEXT, "limit": {"type": "number"}, "used": {"type": "number"}},
}

EVENTS: dict[str, dict[str, Any]] = {
    **{f"{name}_start": start for name, (start, _) in PAIRS.items()},
    **{f"{name}_end": {**end, **_END} for name, (_, end) in PAIRS.items()},
    **_SINGLE,
}
"""Event name to its own fields, each with its JSON Schema; all of them are required."""

COMMON: dict[str, Any] = {
    "v": {"const": SCHEMA_VERSION},
    "seq": {**_COUNT, "description": "Dense from 0 within the run."},
    "ts": {
        "type": "string",
        "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$",
        "description": "RFC 3339, UTC, microseconds.",
    },
    "event": _TEXT,
    "run_id": _TEXT,
    "trajectory_id": _TEXT,
    "span_id": {**_TEXT_OR_NULL, "description": "Same in a start and its end; null when alone."},
    "parent_id": {**_TEXT_OR_NULL, "description": "Span id of what caused it; null at the root."},
}
"""The fields that every event has, each with its JSON Schema."""


def json_schema() -> dict[str, Any]:
    """Give the JSON Schema (draft 2020-12) that every event satisfies.

    An event may carry one more field, ``truncated``: the names of its fields that a limit asked
    for by the user has cut.

    Example:
        >>> "run_start" in {s["properties"]["event"]["const"] for s in json_schema()["oneOf"]}
        True
    """

    def one(name: str, fields: dict[str, Any]) -> dict[str, Any]:
        return {
            "title": name,
            "type": "object",
            "properties": {
                **COMMON,
                **fields,
                "event": {"const": name},
                "truncated": {"type": "array", "items": _TEXT},
            },
            "required": [*COMMON, *fields],
            "additionalProperties": False,
        }

    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rlm_runtime event",
        "oneOf": [one(name, fields) for name, fields in EVENTS.items()],
    }
