"""A run in progress: its stream, its totals, what it reports, how it ends."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from rlm_runtime.guard import quietly
from rlm_runtime.logging.recorder import Recorder, error_fields
from rlm_runtime.logging.stream import EventStream, Sink
from rlm_runtime.logging.tally import Tally
from rlm_runtime.plain import plain
from rlm_runtime.redaction import Redaction
from rlm_runtime.types import Step, StopReason, Usage

__all__ = ["ObservedRun"]


class ObservedRun:
    """A run in progress, and what became of it; ``observe`` makes it.

    Attributes:
        run_id: Identifies the run for ever.
        trajectory_id: Groups runs that belong together.
        root_id: Span id of the run itself.
        stream: The run's events; ``stream.emit`` adds one.
        recorder: Records DSPy's calls, and by ``recorder.span`` what else the run does.
        duration: Seconds from start to end; 0.0 while it goes on.
    """

    def __init__(
        self,
        run_id: str,
        trajectory_id: str,
        sinks: Sequence[Sink],
        mlflow_sink: Any = None,
        redact: Redaction | None = None,
        *,
        log_llm_calls: bool = True,
        log_adapters: bool = False,
    ) -> None:
        self.run_id = run_id
        self.trajectory_id = trajectory_id
        self.root_id = uuid.uuid4().hex
        self.tally = Tally()
        self._mlflow = mlflow_sink
        self._redact = redact
        also = [mlflow_sink] if mlflow_sink is not None else []
        self.stream = EventStream(run_id, trajectory_id, [self.tally, *sinks, *also], redact)
        self.recorder = Recorder(
            self.stream, self.root_id, log_llm_calls=log_llm_calls, log_adapters=log_adapters
        )
        self.duration = 0.0
        self._started = time.perf_counter_ns()
        self._report: dict[str, Any] = {"stop_reason": None, "converged": None}
        self._outputs: dict[str, Any] = {}
        self._metrics: dict[str, float] = {}

    @property
    def mlflow_run_id(self) -> str | None:
        """The MLflow run, as soon as it is known; else None."""
        return self._mlflow.mlflow_run_id if self._mlflow is not None else None

    @property
    def trace_id(self) -> str | None:
        """The MLflow trace, once it is delivered; else None."""
        return self._mlflow.trace_id if self._mlflow is not None else None

    @property
    def usage(self) -> Usage:
        """Tokens and cost so far, per model."""
        return self.tally.usage

    @property
    def steps(self) -> list[Step]:
        """The REPL steps so far, oldest first."""
        return self.tally.steps

    def shown(self, value: Any) -> Any:
        """Give a value as the run's records show it: plain, and without secrets."""
        readable = plain(value)
        return readable if self._redact is None else self._redact.value(readable)

    def report(
        self,
        *,
        outputs: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        stop_reason: StopReason | None = None,
        converged: bool | None = None,
    ) -> None:
        """Say what came of the run, for ``run_end``; a later call adds to an earlier one.

        Args:
            outputs: Named results; any Python values.
            metrics: Named numbers, beside those that are counted anyway. What is no finite
                number becomes a ``warning`` event instead.
            stop_reason: Why it ended.
            converged: Whether it reached an answer.
        """
        self._outputs.update(plain(outputs or {}))
        for name, value in (metrics or {}).items():
            number = quietly(lambda value=value: float(value), float("nan"))
            if math.isfinite(number):
                self._metrics[str(name)] = value if type(value) is int else number
            else:
                message = f"The metric {name!r} is left out: {value!r} is no finite number."
                self.stream.emit("warning", None, self.root_id, category="metric", message=message)
        given = {"stop_reason": stop_reason, "converged": converged}
        self._report.update({key: value for key, value in given.items() if value is not None})

    def begin(self, **fields: Any) -> None:
        """Emit ``run_start``."""
        self._started = time.perf_counter_ns()
        self.stream.emit("run_start", self.root_id, None, **fields)

    def end(self, error: BaseException | None) -> None:
        """Emit ``run_end`` and give a failing exception its ``trajectory`` and ``run_id``."""
        duration_ns = time.perf_counter_ns() - self._started
        self.duration = duration_ns / 1e9
        if error is not None:
            quietly(lambda: _attach(error, self.steps, self.run_id), None)
        self.stream.emit(
            "run_end",
            self.root_id,
            None,
            status=_status(error),
            **self._report,
            outputs=self._outputs,
            metrics={
                "duration_seconds": self.duration,
                **self.tally.metrics(),
                **self._metrics,
            },
            usage=plain(self.usage.by_model),
            duration_ns=duration_ns,
            error=error_fields(error),
        )


def _attach(error: BaseException, steps: list[Step], run_id: str) -> None:
    # In nested runs the innermost tells the most.
    if hasattr(error, "run_id"):
        return
    error.trajectory = steps  # pyright: ignore[reportAttributeAccessIssue]
    error.run_id = run_id  # pyright: ignore[reportAttributeAccessIssue]


def _status(error: BaseException | None) -> str:
    if error is None:
        return "FINISHED"
    # Ctrl-C, sys.exit and cancelled tasks are no failures of the program.
    return "FAILED" if isinstance(error, Exception) else "KILLED"
