"""Asks the questions of an evaluation with and without memory, seed after seed."""

from __future__ import annotations

import contextvars
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlm_runtime.engine.dspy_rlm import run_dspy_rlm
from rlm_runtime.errors import ConfigurationError
from rlm_runtime.evals.measuring import Meter
from rlm_runtime.evals.questions import Question, same_question
from rlm_runtime.evals.values import Failure, Learn, Learning, Measured, MemoryShown, Pair
from rlm_runtime.guard import contained
from rlm_runtime.memory import (
    MemoryBackend,
    MemoryFilters,
    Retrieved,
    SQLiteMemoryBackend,
)

__all__ = ["Arms", "OnPair", "OtherQuestionsOnly", "order_of"]

OnPair = Callable[[Pair, int, int], object]
"""Called after each pair with it, how many are done, and how many there are."""


class OtherQuestionsOnly(SQLiteMemoryBackend):
    """A store that does not give a question what was learned from that very question."""

    def retrieve(
        self, task: str, k: int = 3, filters: MemoryFilters | None = None
    ) -> list[Retrieved]:
        """Find the memories that fit a question best and were learned from others.

        Example:
            >>> from rlm_runtime.memory import Memory
            >>> with OtherQuestionsOnly(":memory:") as store:
            ...     _ = store.add_memory(Memory("Plans", "ASK { ?p a :Plan }", query="A plan?"))
            ...     len(store.retrieve("a  plan?")), len(store.retrieve("Which plans?"))
            (0, 1)
        """
        wanted = k
        while True:
            found = super().retrieve(task, wanted, filters)
            others = [one for one in found if not same_question(one.memory.query, task)]
            if len(others) >= k or len(found) < wanted:
                return others[:k]
            wanted *= 2


@dataclass
class Arms:
    """What both ways of asking have in common, and what came of them.

    Attributes:
        questions: All questions.
        source: The store that each seed begins with a copy of; None for an empty one.
        learn: When memories are learned.
        store: Makes the store of a seed.
        k: The most memories that a run is shown.
        options: Keywords of ``run_dspy_rlm`` for every run, with ``ontology``.
        tags: MLflow tags of every run.
        context: Where runs take DSPy's settings from.
        pairs: What was measured.
        learning: What learning took.
        failures: The runs that raised.
    """

    questions: Sequence[Question]
    source: MemoryBackend | None
    learn: Learn
    store: Callable[[str], SQLiteMemoryBackend]
    k: int
    options: Mapping[str, Any]
    tags: Mapping[str, str]
    context: contextvars.Context
    pairs: list[Pair] = field(default_factory=list)
    learning: Learning = field(default_factory=Learning)
    failures: list[Failure] = field(default_factory=list)
    _shown: dict[str, MemoryShown] = field(default_factory=dict)

    @property
    def memories(self) -> tuple[MemoryShown, ...]:
        """Which memories the measured runs were shown, the most shown first."""
        return tuple(sorted(self._shown.values(), key=lambda one: (-one.runs, one.memory_id)))

    def run_seed(self, seed: int, on_pair: Callable[[Pair], object]) -> None:
        """Ask the questions once, in the order of this seed, beginning with a fresh store."""
        training, measured, first = order_of(len(self.questions), seed, self.learn)
        with self.store(":memory:") as store:
            if self.source is not None:
                store.add_memories(self.source.get_all_memories(MemoryFilters(retired=True)))
            for number in training:
                _, meter = self._ask(number, seed, "training", store, learns=True)
                self.learning += meter.learned(whole_run=True)
            for number, memory_first in zip(measured, first, strict=True):
                pair = self._pair(number, seed, store, memory_first=memory_first)
                self.pairs.append(pair)
                on_pair(pair)

    def _pair(self, number: int, seed: int, store: MemoryBackend, *, memory_first: bool) -> Pair:
        done: dict[str, Measured] = {}
        # Whichever comes second may find a provider's or an endpoint's caches warm.
        for arm in ("with", "without") if memory_first else ("without", "with"):
            given = store if arm == "with" else None
            learns = arm == "with" and self.learn == "as-you-go"
            done[arm], meter = self._ask(number, seed, arm, given, learns=learns)
            self.learning += meter.learned(whole_run=False)
            for memory in meter.memories:
                self._note(memory, number, bool(done[arm].measures["converged"]))
        return Pair(number, self.questions[number - 1], seed, done["without"], done["with"])

    def _ask(
        self, number: int, seed: int, arm: str, store: MemoryBackend | None, *, learns: bool
    ) -> tuple[Measured, Meter]:
        question, meter = self.questions[number - 1], Meter()
        with contained() as outcome:
            result = self.context.run(
                run_dspy_rlm,
                question.text,
                **self.options,
                memory_backend=store,
                retrieve_memories=self.k,
                extract_memories=learns,
                mlflow_tags={**self.tags, "arm": arm, "seed": str(seed), "question": str(number)},
                sinks=[meter],
            )
        mlflow_run_id = result.mlflow_run_id if outcome.ok else None
        if isinstance(outcome.error, ConfigurationError):
            # The next run would say the same.
            raise outcome.error
        measured = meter.measured(question, outcome.error, mlflow_run_id)
        if measured.error is not None:
            self.failures.append(Failure(number, question.text, seed, arm, measured.error))
        return measured, meter

    def _note(self, memory: Mapping[str, Any], number: int, converged: bool) -> None:
        known = memory["memory_id"]
        before = self._shown.get(known) or MemoryShown(
            known, memory["title"], memory["kind"], (), 0, 0
        )
        self._shown[known] = MemoryShown(
            known,
            before.title,
            before.kind,
            tuple(sorted({*before.questions, number})),
            before.runs + 1,
            before.converged + converged,
        )


def order_of(count: int, seed: int, learn: Learn) -> tuple[list[int], list[int], list[bool]]:
    """Give a seed's order: what to train on, what to measure, and where memory comes first.

    Args:
        count: How many questions there are.
        seed: The same seed gives the same order.
        learn: ``before`` has half of the questions trained on, the smaller half.

    Example:
        >>> training, measured, first = order_of(5, 1, "before")
        >>> len(training), len(measured), sorted([*training, *measured]), len(first)
        (2, 3, [1, 2, 3, 4, 5], 3)
    """
    chance = random.Random(seed)
    order = chance.sample(range(1, count + 1), count)
    cut = count // 2 if learn == "before" else 0
    measured = order[cut:]
    # Each order for half of the questions, rather than for as many as chance has it.
    first = [place % 2 == 0 for place in range(len(measured))]
    chance.shuffle(first)
    return order[:cut], measured, first
