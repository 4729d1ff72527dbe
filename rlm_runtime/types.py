"""The frozen values that a run takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Grounding", "ModelUsage", "RunResult", "Step", "StopReason", "Usage"]

StopReason = Literal["submitted", "max_iterations", "budget", "refused"]
"""Why a run ended without an exception."""


@dataclass(frozen=True)
class ModelUsage:
    """Tokens and cost of all calls to one model.

    Attributes:
        calls: Number of calls, cached ones included.
        cached: How many of them the cache answered.
        input_tokens: Tokens of the prompts, as the provider counts them.
        output_tokens: Tokens of the completions, as the provider counts them.
        cost_usd: Cost in US dollars, or None when no price is known.
    """

    calls: int = 0
    cached: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None

    @property
    def total_tokens(self) -> int:
        """Input and output tokens together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: ModelUsage) -> ModelUsage:
        costs = [cost for cost in (self.cost_usd, other.cost_usd) if cost is not None]
        return ModelUsage(
            self.calls + other.calls,
            self.cached + other.cached,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            sum(costs) if costs else None,
        )


@dataclass(frozen=True)
class Usage:
    """Tokens and cost of a run, per model and in all.

    Example:
        >>> usage = Usage({"a": ModelUsage(1, 0, 10, 2, 0.5), "b": ModelUsage(2, 1, 5, 1)})
        >>> usage.total.calls, usage.total.total_tokens, usage.total.cost_usd
        (3, 18, 0.5)
    """

    by_model: Mapping[str, ModelUsage] = field(default_factory=dict)

    @property
    def total(self) -> ModelUsage:
        """The sum over all models."""
        return sum(self.by_model.values(), ModelUsage())


@dataclass(frozen=True)
class Step:
    """One turn of the RLM: what it thought, the code it ran, what came back.

    Attributes:
        reasoning: The model's text before the code.
        code: The Python cell.
        output: What the cell printed, whole, also when it failed.
        error: The error that ended the cell, with its line, or None.
    """

    reasoning: str
    code: str
    output: str
    error: str | None = None


@dataclass(frozen=True)
class Grounding:
    """How much of an answer the ontology itself bears out.

    Attributes:
        evidence_iris: IRIs named in the evidence, in full form.
        missing_iris: IRIs of evidence or SPARQL that occur nowhere in the ontology.
        sparql_ok: Whether the reported SPARQL ran again without an error; None if none was given.
        sparql_rows: Rows that it gave (bounded), or None when it did not run.
        sparql_error: Why it did not run, or None.
    """

    evidence_iris: tuple[str, ...] = ()
    missing_iris: tuple[str, ...] = ()
    sparql_ok: bool | None = None
    sparql_rows: int | None = None
    sparql_error: str | None = None

    @property
    def evidence_grounded(self) -> float:
        """Share of the evidence's IRIs that occur in the ontology, 0..1; 0 without evidence."""
        if not self.evidence_iris:
            return 0.0
        missing = set(self.missing_iris)
        return sum(iri not in missing for iri in self.evidence_iris) / len(self.evidence_iris)


@dataclass(frozen=True)
class RunResult:
    """What ``run_dspy_rlm`` returns; also importable as ``DSPyRLMResult``.

    Attributes:
        answer: The answer in words; partial or empty when the run did not converge.
        sparql: The SPARQL query behind the answer, or "".
        evidence: What the model names as evidence, mostly IRIs.
        trajectory: The steps, oldest first.
        iteration_count: Number of model turns.
        converged: True when the model submitted an answer.
        stop_reason: ``submitted``, ``max_iterations``, ``budget`` or ``refused``.
        thinking: The model's account of how it went about it.
        verification: How it checked the answer.
        reflection: What it is unsure of.
        usage: Tokens and cost, per model and in all.
        grounding: What the ontology itself bears out.
        duration: Seconds from start to end.
        run_id: Identifies the run for ever; the tag ``rlm.run_id`` in MLflow.
        trajectory_id: Groups runs that belong together; defaults to the run id.
        mlflow_run_id: The MLflow run, or None when MLflow was off or away.
        trace_id: The MLflow trace, or None when MLflow was off or away.
    """

    answer: str
    sparql: str
    evidence: list[Any]
    trajectory: list[Step]
    iteration_count: int
    converged: bool
    stop_reason: StopReason
    thinking: str
    verification: str
    reflection: str
    usage: Usage
    grounding: Grounding
    duration: float
    run_id: str
    trajectory_id: str
    mlflow_run_id: str | None = None
    trace_id: str | None = None
