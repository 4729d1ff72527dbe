"""Measures one run from its events, answering and learning apart."""

from __future__ import annotations

from typing import Any

from rlm_runtime.evals.questions import Question
from rlm_runtime.evals.values import Learning, Measured
from rlm_runtime.logging.events import Event
from rlm_runtime.logging.tally import Tally
from rlm_runtime.redaction import Redaction

__all__ = ["Meter"]

_LEARNING = ("memory_judgment_end", "memory_extraction_end", "memory_storage_end")


class Meter:
    """A sink that tells what a run took, also when it failed.

    What a run does from ``memory_judgment_start`` on is learning: it comes after the answer, and a
    run without memory has no counterpart to it.

    Attributes:
        memories: The memories that the run was shown, as in ``memory_retrieval_end``.
    """

    def __init__(self) -> None:
        self.memories: list[dict[str, Any]] = []
        self._answering = Tally()
        self._learns = False
        self._learning_ns = 0
        self._end: Event | None = None

    def emit(self, event: Event) -> None:
        """Take one event."""
        name = event["event"]
        if name == "memory_judgment_start":
            self._learns = True
        elif name in _LEARNING:
            self._learning_ns += event["duration_ns"]
        elif name == "memory_retrieval_end":
            self.memories = event.get("memories") or []
        elif name == "run_end":
            self._end = event
        if not self._learns:
            self._answering.emit(event)

    def close(self) -> None:
        """Do nothing; what was measured stays readable."""

    def measured(
        self, question: Question, error: Exception | None, mlflow_run_id: str | None
    ) -> Measured:
        """Give what answering took and came to.

        A run that raised has not converged, is not grounded and not correct; what it took until
        then counts.
        """
        came: dict[str, Any] = {"metrics": {}, "outputs": {}}
        if self._end is not None and error is None:
            came = self._end
        measures = {
            "converged": float(came["metrics"].get("converged", 0.0)),
            "grounded": float(came["metrics"].get("evidence_grounded", 0.0)),
        }
        if question.expected:
            answer = str(came["outputs"].get("answer") or "")
            measures["correct"] = float(question.is_answered_by(answer))
        if self._end is not None:
            total = self._answering.usage.total
            measures["iterations"] = float(self._answering.turns)
            measures["tokens"] = float(total.total_tokens)
            if total.cost_usd is not None:
                measures["cost_usd"] = total.cost_usd
            measures["latency_seconds"] = (self._end["duration_ns"] - self._learning_ns) / 1e9
        return Measured(
            "" if self._end is None else self._end["run_id"],
            measures,
            tuple(one["memory_id"] for one in self.memories),
            None if error is None else _said(error),
            mlflow_run_id,
        )

    def learned(self, *, whole_run: bool) -> Learning:
        """Give what learning took; with ``whole_run``, the run as well, as it was for training."""
        if self._end is None or not (self._learns or whole_run):
            return Learning()
        told = self._end["metrics"]
        answering = Tally() if whole_run else self._answering
        total = answering.usage.total
        cost = told.get("cost_usd")
        return Learning(
            runs=int(self._learns),
            memories=int(told.get("memories_extracted", 0)),
            tokens=int(told["total_tokens"]) - total.total_tokens,
            cost_usd=None if cost is None else cost - (total.cost_usd or 0.0),
            seconds=(self._end["duration_ns"] if whole_run else self._learning_ns) / 1e9,
        )


def _said(error: Exception) -> str:
    text = " ".join(Redaction().text(str(error)).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
