"""A run's events as an MLflow trace: the spans, and the record that describes them."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rlm_runtime.logging.events import PAIRS, Event
from rlm_runtime.logging.mlflow_calls import TRAJECTORY
from rlm_runtime.logging.mlflow_values import cut, storable
from rlm_runtime.logging.trace_tree import Node, build_tree, timestamp_ns

if TYPE_CHECKING:
    from mlflow.entities import Span, TraceInfo

__all__ = ["build_spans", "build_trace_info", "trace_id_of"]

# MLflow keeps these many characters of a request and a response for its list of traces.
_PREVIEW = 1000
_METADATA_VALUE = 250
# Beyond this MLflow's page shows a span only after many seconds, or not at all.
_SPAN_TEXT = 100_000
_SPAN_VALUE = 1_000_000
# Lone surrogates have no UTF-8 form, so no database and no protocol takes them.
_SURROGATE = re.compile("[\ud800-\udfff]")


def trace_id_of(run_id: str) -> str:
    """Give the id of the trace of a run: always the same, so that a trace is written once.

    Example:
        >>> trace_id_of("r1") == trace_id_of("r1") != trace_id_of("r2")
        True
    """
    return f"tr-{_digest(run_id, 16).hex()}"


def build_spans(events: Sequence[Event]) -> list[Span]:
    """Build the spans of a run, the root first, as a pure function of its events.

    Args:
        events: All events of one run, in order of ``seq``; the run may be cut off, and then
            what was open ends with an error at the time of the last event.

    Raises:
        LogFormatError: The events do not begin with ``run_start``.
    """
    root = build_tree(events)
    run_id = root.start["run_id"]
    trace_id = trace_id_of(run_id)
    parents = {id(child): step for step in root.walk() for child in step.children}
    spans = []
    for step in root.walk():
        parent = parents.get(id(step))
        spans.append(_span(step, trace_id, run_id, parent))
    return spans


def build_trace_info(
    events: Sequence[Event], *, experiment_id: str, mlflow_run_id: str | None = None
) -> TraceInfo:
    """Build the record of a run's trace: what it asked and gave, tokens, cost, its run.

    Args:
        events: As for ``build_spans``.
        experiment_id: Where the trace belongs.
        mlflow_run_id: The MLflow run that the trace is part of.
    """
    from mlflow.entities import TraceInfo, TraceLocation, TraceState
    from mlflow.tracing.constant import TraceMetadataKey, TraceTagKey

    first, last = events[0], events[-1]
    run_id, ended = first["run_id"], last["event"] == "run_end"
    failed = not ended or last["error"] is not None or last["status"] != "FINISHED"
    metadata = {
        TraceMetadataKey.SOURCE_RUN: mlflow_run_id,
        TraceMetadataKey.TOKEN_USAGE: _dump_or_none(_total_usage(events)),
        TraceMetadataKey.COST: _dump_or_none(_total_cost(events)),
    }
    if first["trajectory_id"] != run_id:
        metadata[TraceMetadataKey.TRACE_SESSION] = first["trajectory_id"]
    tags = {TraceTagKey.TRACE_NAME: first["program"], "ontology": first["ontology"]}
    started = timestamp_ns(first)
    return TraceInfo(
        trace_id=trace_id_of(run_id),
        trace_location=TraceLocation.from_experiment_id(experiment_id),
        request_time=started // 1_000_000,
        execution_duration=max(0, timestamp_ns(last) - started) // 1_000_000,
        state=TraceState.ERROR if failed else TraceState.OK,
        request_preview=cut(_request(first), _PREVIEW),
        response_preview=cut(_response(last) if ended else "", _PREVIEW),
        client_request_id=run_id,
        trace_metadata={k: cut(v, _METADATA_VALUE) for k, v in metadata.items() if v},
        tags={k: cut(v, _METADATA_VALUE) for k, v in tags.items() if v},
    )


def _request(start: Event) -> str:
    if start["query"] is not None:
        return start["query"]
    return _dump(start["params"]) if start["params"] else ""


def _response(end: Event) -> str:
    outputs = end["outputs"]
    if isinstance(outputs.get("answer"), str) and outputs["answer"]:
        return outputs["answer"]
    if end["error"]:
        return end["error"]["message"]
    return _dump(outputs) if outputs else ""


def _total_usage(events: Sequence[Event]) -> dict[str, int] | None:
    given = [event["usage"] for event in events if event["event"] == "lm_end" and event["usage"]]
    names = ("input_tokens", "output_tokens", "total_tokens")
    return {name: sum(usage[name] for usage in given) for name in names} if given else None


def _total_cost(events: Sequence[Event]) -> dict[str, float] | None:
    ends = [event for event in events if event["event"] == "lm_end"]
    costs = [event["cost_usd"] for event in ends if event["cost_usd"] is not None]
    return {"total_cost": sum(costs)} if costs else None


def _span(step: Node, trace_id: str, run_id: str, parent: Node | None) -> Span:
    from mlflow.entities import Span

    error = step.error
    attributes = {
        "mlflow.traceRequestId": trace_id,
        **{key: value for key, value in _SHOWN[step.kind](step).items() if value is not None},
    }
    return Span.from_dict(
        {
            "trace_id": _base64(bytes.fromhex(trace_id.removeprefix("tr-"))),
            "span_id": _base64(_digest(f"{run_id}/{step.key}", 8)),
            "parent_span_id": parent and _base64(_digest(f"{run_id}/{parent.key}", 8)),
            "name": "python" if step.kind == "code" else storable(step.name),
            "start_time_unix_nano": step.started,
            "end_time_unix_nano": step.ended,
            "status": {
                "code": "STATUS_CODE_ERROR" if error else "STATUS_CODE_OK",
                "message": _short(f"{error['type']}: {error['message']}") if error else "",
            },
            "attributes": {key: _dump_short(value) for key, value in attributes.items()},
            "events": [*_exceptions(step, error), *map(_note, step.notes)],
        }
    )


def _exceptions(step: Node, error: Mapping[str, str] | None) -> list[dict[str, Any]]:
    if error is None:
        return []
    return [
        {
            "name": "exception",
            "time_unix_nano": step.ended,
            "attributes": {
                "exception.type": storable(error["type"]),
                "exception.message": _short(error["message"]),
                "exception.stacktrace": _short(error["traceback"]),
            },
        }
    ]


def _note(event: Event) -> dict[str, Any]:
    names = ("category", "message", "kind", "limit", "used")
    shown = {name: event[name] for name in names if name in event}
    return {
        "name": event["event"],
        "time_unix_nano": timestamp_ns(event),
        "attributes": {k: _short(v) if isinstance(v, str) else v for k, v in shown.items()},
    }


def _shown_run(step: Node) -> dict[str, Any]:
    start = step.start
    asked = {"query": start["query"], "ontology": start["ontology"]}
    inputs = {name: value for name, value in asked.items() if value is not None}
    return _shown("AGENT", inputs or start["params"], (step.end or {}).get("outputs"))


def _shown_iteration(step: Node) -> dict[str, Any]:
    # The code is the input of the cell below; here it would only be said twice.
    outputs = (step.end or {}).get("outputs")
    reasoning = outputs.get("reasoning") if isinstance(outputs, dict) else None
    return _shown("CHAIN", None, reasoning and {"reasoning": reasoning})


def _shown_extract(step: Node) -> dict[str, Any]:
    return _shown("CHAIN", None, (step.end or {}).get("outputs"))


def _shown_module(step: Node) -> dict[str, Any]:
    # The types that MLflow's own callback gives DSPy's modules.
    kinds = {"ReAct": "AGENT", "RLM": "AGENT", "Predict": "LLM", "Retrieve": "RETRIEVER"}
    shown = _shown(
        kinds.get(step.name, "CHAIN"), step.start["inputs"], (step.end or {}).get("outputs")
    )
    return {**shown, "signature": step.start["signature"]}


def _shown_lm(step: Node) -> dict[str, Any]:
    start, end = step.start, step.end or {}
    outputs, form = _completions(end.get("outputs"))
    model = end.get("response_model") or start["model"]
    provider, slash, _ = start["model"].partition("/")
    cost = end.get("cost_usd")
    return {
        **_shown("CHAT_MODEL", {**start["params"], "messages": start["messages"]}, outputs),
        "mlflow.message.format": form,
        # With a model but no cost MLflow would guess a price, and load LiteLLM for it, which asks
        # the network; then the trace would say something else than the run's metrics.
        "model" if cost is None else "mlflow.llm.model": start["model"],
        "mlflow.llm.provider": provider if slash else None,
        "mlflow.chat.tokenUsage": end.get("usage"),
        "mlflow.llm.cost": None if cost is None else {"total_cost": cost},
        "response_model": model if model != start["model"] else None,
        "role": start["role"],
        "cache_hit": end.get("cache_hit"),
    }


def _completions(outputs: Any) -> tuple[Any, str]:
    """Give an LM's completions, and the name of the form in which MLflow shows them as a chat."""
    given = [outputs] if isinstance(outputs, str | dict) else outputs
    if not isinstance(given, list) or not all(isinstance(one, str | dict) for one in given):
        return outputs, "dspy"
    texts = [
        one.get("text") if isinstance(one, dict) and set(one) == {"text"} else one for one in given
    ]
    if all(isinstance(text, str) for text in texts):
        return texts, "dspy"
    choices = []
    for one in given:
        fields = {"text": one} if isinstance(one, str) else dict(one)
        message = {"role": "assistant", "content": fields.pop("text", None), **fields}
        choices.append({"message": message})
    return {"choices": choices}, "openai"


def _shown_code(step: Node) -> dict[str, Any]:
    end = step.end or {}
    stdout, submitted = end.get("stdout"), end.get("submitted")
    # MLflow's page shows text as Markdown, which would run the lines of code into one.
    outputs = {
        **({"stdout": _fenced(stdout, "text")} if stdout else {}),
        **({"submitted": submitted} if submitted is not None else {}),
    }
    return _shown("TOOL", {"code": _fenced(step.start["code"], "python")}, outputs)


def _fenced(text: str, language: str) -> str:
    text = cut(text, _SPAN_TEXT - 100, TRAJECTORY)
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _shown_tool(step: Node) -> dict[str, Any]:
    return _shown("TOOL", step.start["args"], (step.end or {}).get("output"))


def _shown_evaluate(step: Node) -> dict[str, Any]:
    return _shown("EVALUATOR", step.start["inputs"], (step.end or {}).get("outputs"))


def _shown_compile(step: Node) -> dict[str, Any]:
    return _shown("TASK", step.start["inputs"], (step.end or {}).get("outputs"))


def _shown_retrieval(step: Node) -> dict[str, Any]:
    # MLflow's page shows what a retriever gives as documents of this form.
    found = (step.end or {}).get("memories") or []
    documents = [
        {
            "page_content": memory.get("content"),
            "metadata": {key: value for key, value in memory.items() if key != "content"},
            "id": memory.get("memory_id"),
        }
        for memory in found
    ]
    inputs = {name: step.start[name] for name in ("query", "k", "filters")}
    return _shown("RETRIEVER", inputs, documents)


def _shown_memory(step: Node) -> dict[str, Any]:
    """Show the judging, extracting and keeping of memories: all of their own fields."""
    start, end = PAIRS[step.kind]
    kind = "EVALUATOR" if step.kind == "memory_judgment" else "MEMORY"
    inputs = {name: step.start[name] for name in start}
    return _shown(kind, inputs, {name: (step.end or {}).get(name) for name in end})


_SHOWN: dict[str, Callable[[Node], dict[str, Any]]] = {
    "run": _shown_run,
    "iteration": _shown_iteration,
    "extract": _shown_extract,
    "module": _shown_module,
    "lm": _shown_lm,
    "code": _shown_code,
    "tool": _shown_tool,
    "evaluate": _shown_evaluate,
    "compile": _shown_compile,
    "memory_retrieval": _shown_retrieval,
    **dict.fromkeys(("memory_judgment", "memory_extraction", "memory_storage"), _shown_memory),
}


def _shown(kind: str, inputs: Any, outputs: Any) -> dict[str, Any]:
    return {"mlflow.spanType": kind, "mlflow.spanInputs": inputs, "mlflow.spanOutputs": outputs}


def _short(text: str) -> str:
    return cut(text, _SPAN_TEXT, TRAJECTORY)


def _shortened(value: Any) -> Any:
    if isinstance(value, str):
        return _short(value) if len(value) > _SPAN_TEXT else value
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    if isinstance(value, dict):
        return {key: _shortened(item) for key, item in value.items()}
    return value


def _dump_short(value: Any) -> str:
    """Give a value as JSON of a size that MLflow's page can show; what was cut says so."""
    text = _dump(value)
    if len(text) > _SPAN_TEXT:
        text = _dump(_shortened(value))
    return text if len(text) <= _SPAN_VALUE else _dump(cut(text, _SPAN_VALUE, TRAJECTORY))


def _dump(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return _SURROGATE.sub(lambda found: f"\\\\u{ord(found[0]):04x}", text)


def _dump_or_none(value: Any) -> str | None:
    return None if value is None else _dump(value)


def _digest(text: str, size: int) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).digest()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
