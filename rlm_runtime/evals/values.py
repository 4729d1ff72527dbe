"""The values of an evaluation: what was measured, pair by pair, and what that comes to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from rlm_runtime.evals.questions import Question

__all__ = [
    "METRICS",
    "Arm",
    "Comparison",
    "Evaluation",
    "Failure",
    "Learn",
    "Learning",
    "Measured",
    "MemoryShown",
    "Pair",
]

Arm = Literal["without", "with"]
"""Whether a run was given memories."""

Learn = Literal["as-you-go", "before", "never"]
"""When memories are learned."""

METRICS: Mapping[str, str] = {
    "converged": "share",
    "correct": "share",
    "grounded": "share",
    "iterations": "count",
    "tokens": "count",
    "cost_usd": "dollars",
    "latency_seconds": "seconds",
}
"""What is compared, in this order, with its unit."""


@dataclass(frozen=True)
class Measured:
    """What one run came to.

    Attributes:
        run_id: The run, as in its log; "" when it never began.
        measures: By the names of ``METRICS``; what is not known of the run is left out.
        memories: Ids of the memories that it was shown, best first.
        error: What it failed with, or None.
        mlflow_run_id: Its MLflow run, or None.
    """

    run_id: str
    measures: Mapping[str, float]
    memories: tuple[str, ...] = ()
    error: str | None = None
    mlflow_run_id: str | None = None


@dataclass(frozen=True)
class Pair:
    """One question, asked with and without memory.

    Attributes:
        number: The question's number, from 1.
        question: The question.
        seed: The repetition, from 1.
        without: The run without memory.
        with_memory: The run with it.
    """

    number: int
    question: Question
    seed: int
    without: Measured
    with_memory: Measured


@dataclass(frozen=True)
class Comparison:
    """One metric with and without memory; means over questions.

    Attributes:
        metric: Its name in ``METRICS``.
        n: Questions for which it is known in both ways.
        without: Mean without memory.
        with_memory: Mean with it.
        difference: Mean of the questions' differences, with minus without.
        low: Lower end of its confidence interval; None with fewer than 2 questions, or when all
            differ by the same, as nothing then tells how much they vary.
        high: Its upper end.
        p_value: Two-sided, of no difference; None with fewer than 2 questions, or none that differ.
        test: What gave it: ``McNemar`` (exact) or ``Wilcoxon`` (signed rank), else "".
        differences: Each question's difference, a mean over its seeds, by its number.
    """

    metric: str
    n: int
    without: float
    with_memory: float
    difference: float
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    test: str = ""
    differences: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Learning:
    """What learning took; none of it is in the comparisons.

    Attributes:
        runs: Runs that were learned from.
        memories: Memories extracted, those that were known already among them.
        tokens: Tokens in and out; with ``learn="before"`` also those of the training runs.
        cost_usd: US dollars, or None when no price is known.
        seconds: Time.
    """

    runs: int = 0
    memories: int = 0
    tokens: int = 0
    cost_usd: float | None = None
    seconds: float = 0.0

    def __add__(self, other: Learning) -> Learning:
        costs = [cost for cost in (self.cost_usd, other.cost_usd) if cost is not None]
        return Learning(
            self.runs + other.runs,
            self.memories + other.memories,
            self.tokens + other.tokens,
            sum(costs) if costs else None,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True)
class Failure:
    """A run that raised: ``arm`` is ``without``, ``with`` or, before any pair, ``training``."""

    number: int
    question: str
    seed: int
    arm: str
    error: str


@dataclass(frozen=True)
class MemoryShown:
    """A memory, and the measured runs that were shown it.

    Attributes:
        memory_id: The memory.
        title: What it is about.
        kind: ``strategy`` or ``exemplar``.
        questions: Numbers of the questions, in ascending order.
        runs: How many runs.
        converged: How many of them converged.
    """

    memory_id: str
    title: str
    kind: str
    questions: tuple[int, ...]
    runs: int
    converged: int


@dataclass(frozen=True)
class Evaluation:
    """Whether memory helped.

    Attributes:
        evaluation_id: The ``trajectory_id`` of all of its runs.
        ontology: Name of the ontology.
        model: Name of the model.
        learn: When memories were learned.
        seeds: How often the questions were asked.
        confidence: Level of the intervals, 0..1.
        pairs: All that was measured, in the order in which it was done.
        comparisons: What it comes to, a metric each.
        memories: Which memories were shown where, the most shown first.
        learning: What learning took.
        failures: The runs that raised.
        mlflow_run_id: The parent run in MLflow, or None.
    """

    evaluation_id: str
    ontology: str
    model: str
    learn: Learn
    seeds: int
    confidence: float
    pairs: tuple[Pair, ...]
    comparisons: tuple[Comparison, ...]
    memories: tuple[MemoryShown, ...] = ()
    learning: Learning = Learning()
    failures: tuple[Failure, ...] = ()
    mlflow_run_id: str | None = None

    def __getitem__(self, metric: str) -> Comparison:
        """Give the comparison of a metric; KeyError when it was not measured."""
        found = {one.metric: one for one in self.comparisons}
        return found[metric]

    @property
    def questions(self) -> int:
        """How many questions were measured."""
        return len({pair.number for pair in self.pairs})

    def measured(self) -> Iterator[tuple[Pair, Arm, Measured]]:
        """Give each run of a pair."""
        for pair in self.pairs:
            yield pair, "without", pair.without
            yield pair, "with", pair.with_memory
