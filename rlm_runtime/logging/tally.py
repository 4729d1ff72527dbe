"""Counts a run as it goes: steps, tokens and cost per model, calls, errors."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from rlm_runtime.logging.events import Event
from rlm_runtime.types import ModelUsage, Step, Usage

__all__ = ["Tally"]


class Tally:
    """A sink that keeps a run's steps and totals, for its result, metrics and budgets.

    Args:
        on_step: Called with the number of each finished step, from 1, and the step.

    Example:
        >>> tally = Tally()
        >>> tally.emit({"event": "lm_end", "span_id": "b", "usage": None, "cost_usd": None,
        ...             "cache_hit": False, "error": None})
        >>> tally.metrics()["lm_calls"]
        0
    """

    def __init__(self, on_step: Callable[[int, Step], None] | None = None) -> None:
        self._on_step = on_step
        self._lock = threading.Lock()
        self._steps: list[Step] = []
        self._counts: Counter[str] = Counter()
        self._usage: dict[str, ModelUsage] = {}
        self._models: dict[str, str] = {}
        # By the span that a turn and its cell share as parent: RLMs may run side by side.
        self._reasoning: dict[str | None, str] = {}
        self._code: dict[str, tuple[str, str]] = {}
        self._turns = 0

    @property
    def steps(self) -> list[Step]:
        """The finished steps, oldest first."""
        with self._lock:
            return list(self._steps)

    @property
    def turns(self) -> int:
        """How many turns the model has taken: completions that hold code to run."""
        with self._lock:
            return self._turns

    @property
    def usage(self) -> Usage:
        """Tokens and cost so far, per model."""
        with self._lock:
            return Usage(dict(self._usage))

    def metrics(self) -> dict[str, float]:
        """Give the counters as MLflow metrics; ``cost_usd`` only where a price is known."""
        total = self.usage.total
        with self._lock:
            counts = dict(self._counts)
        metrics: dict[str, float] = {
            name: counts.get(name, 0)
            for name in ("lm_calls", "sub_lm_calls", "tool_calls", "tool_errors", "code_errors")
        }
        metrics |= {
            "input_tokens": total.input_tokens,
            "output_tokens": total.output_tokens,
            "total_tokens": total.total_tokens,
        }
        if total.cost_usd is not None:
            metrics["cost_usd"] = total.cost_usd
        return metrics

    def emit(self, event: Event) -> None:
        """Count one event."""
        handler = getattr(self, f"_on_{event['event']}", None)
        if handler is None:
            return
        with self._lock:
            step = handler(event)
            number = len(self._steps)
        if step is not None and self._on_step is not None:
            self._on_step(number, step)

    def close(self) -> None:
        """Do nothing; the totals stay readable."""

    def _on_module_end(self, event: Event) -> None:
        outputs = event["outputs"]
        if isinstance(outputs, dict) and isinstance(outputs.get("code"), str):
            self._turns += 1
            self._reasoning[event["parent_id"]] = str(outputs.get("reasoning") or "")

    def _on_lm_start(self, event: Event) -> None:
        self._models[event["span_id"]] = event["model"]
        self._counts["sub_lm_calls" if event["role"] == "sub" else "lm_calls"] += 1

    def _on_lm_end(self, event: Event) -> None:
        model = self._models.pop(event["span_id"], None)
        if model is None:
            return
        usage: dict[str, Any] = event["usage"] or {}
        self._usage[model] = self._usage.get(model, ModelUsage()) + ModelUsage(
            calls=1,
            cached=int(event["cache_hit"]),
            input_tokens=usage.get("input_tokens", 0),
            output_tokens=usage.get("output_tokens", 0),
            cost_usd=event["cost_usd"],
        )

    def _on_code_start(self, event: Event) -> None:
        reasoning = self._reasoning.pop(event["parent_id"], "")
        self._code[event["span_id"]] = (reasoning, event["code"])

    def _on_code_end(self, event: Event) -> Step | None:
        error = event["error"]
        self._counts["code_errors"] += error is not None
        begun = self._code.pop(event["span_id"], None)
        if begun is None:
            return None
        step = Step(*begun, event["stdout"], error["message"] if error else None)
        self._steps.append(step)
        return step

    def _on_tool_end(self, event: Event) -> None:
        self._counts["tool_calls"] += 1
        self._counts["tool_errors"] += event["error"] is not None
