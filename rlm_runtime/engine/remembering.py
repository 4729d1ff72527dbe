"""What a run does with memories: it is shown some at its start, and leaves some at its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import wait
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import dspy

from rlm_runtime.engine.background import start
from rlm_runtime.engine.budget import Budget
from rlm_runtime.engine.prompt import task_instructions
from rlm_runtime.errors import BudgetExceeded, ConfigurationError
from rlm_runtime.guard import shielded
from rlm_runtime.logging.observed_run import ObservedRun
from rlm_runtime.memory import (
    Memory,
    MemoryBackend,
    MemoryFilters,
    Retrieved,
    SQLiteMemoryBackend,
    StoredRun,
    Trajectory,
)
from rlm_runtime.memory.formatting import fitting, format_memories
from rlm_runtime.memory.learning import Asking, keep, learn
from rlm_runtime.memory.levels import level_of
from rlm_runtime.memory.rules import judge_name
from rlm_runtime.memory.showing import Surroundings
from rlm_runtime.types import Grounding

__all__ = ["RunMemories", "opened_backend"]

T = TypeVar("T")

# Seconds that a run without a time bound waits for its judge, and those beyond the bound of one
# that has it.
_PATIENCE = 120.0
_GRACE = 30.0


@contextmanager
def opened_backend(given: MemoryBackend | str | Path | None) -> Iterator[MemoryBackend | None]:
    """Give a store of memories; one that is given as a path is closed at the end."""
    if isinstance(given, str | Path):
        with SQLiteMemoryBackend(given) as backend:
            yield backend
    elif given is None or isinstance(given, MemoryBackend):
        yield given
    else:
        raise ConfigurationError(
            f"memory_backend= takes a path or a MemoryBackend, not {type(given).__name__}."
        )


class RunMemories:
    """The memories of one run.

    Args:
        backend: Where they are.
        query: The question of the run.
        ontology: Name of its ontology.
    """

    def __init__(self, backend: MemoryBackend, query: str, ontology: str) -> None:
        self._backend = backend
        self._query = query
        self._ontology = ontology
        self._given: list[Retrieved] = []
        self._taught: dict[str, float] = {}

    @property
    def metrics(self) -> dict[str, float]:
        """``memories_retrieved``; after ``learn`` also what came of that."""
        return {"memories_retrieved": len(self._given), **self._taught}

    def recall(self, run: ObservedRun, k: int) -> str:
        """Look for memories that fit the question, and give them as text for the model; or "".

        Args:
            run: The run, which records it.
            k: The most memories.

        Raises:
            MemoryStoreError: The store cannot be asked.
        """
        if k == 0:
            return ""
        filters = MemoryFilters(ontology=self._ontology, level=level_of(self._query))
        wanted = {"ontology": filters.ontology, "level": filters.level}
        with run.recorder.span("memory_retrieval", query=self._query, k=k, filters=wanted) as end:
            self._given = fitting(self._backend.retrieve(self._query, k, filters))
            end["memories"] = [_shown(one.memory, score=one.score) for one in self._given]
        if not self._given:
            return ""
        ids = [one.memory.memory_id for one in self._given]
        run.stream.emit("memory_usage", None, run.root_id, memories=ids)
        return format_memories(self._given)

    def leave(
        self,
        run: ObservedRun,
        answer: Mapping[str, Any],
        grounding: Grounding,
        *,
        model: str,
        judge: dspy.BaseLM | None,
        overview: str,
        rows: Callable[[], str],
        budget: Budget,
    ) -> None:
        """Keep the run, what it did and what it was shown; and learn from it.

        Whatever fails here is a warning, and so is a judge that keeps silent: the answer is
        there, and paid for.

        Args:
            run: The run.
            answer: Its fields, and how it ended, without secrets.
            grounding: What the ontology bears out of it.
            model: Name of the model that answered.
            judge: The model that judges the run and extracts what it taught; None leaves that.
            overview: What the model was told of the ontology.
            rows: Gives what the query gives, for a model that judges; is called if it runs.
            budget: Of the run; what is left of its time, and some seconds, are the judge's.
        """
        grounding = replace(
            grounding,
            evidence_iris=tuple(run.shown(grounding.evidence_iris)),
            missing_iris=tuple(run.shown(grounding.missing_iris)),
            sparql_error=run.shown(grounding.sparql_error),
        )
        stored = StoredRun(
            run_id=run.run_id,
            query=answer["query"],
            ontology=self._ontology,
            trajectory_id=run.trajectory_id,
            model=model,
            converged=answer["converged"],
            stop_reason=answer["stop_reason"],
            metadata={"grounding": grounding, "usage": run.usage.total},
        )
        trajectory = Trajectory(
            run.run_id, run.steps, answer["answer"], answer["sparql"], answer["evidence"]
        )
        with _surely(run, "keep the run in the store of memories"):
            keep(self._backend, stored, trajectory)
            self._backend.record_usage(run.run_id, self._given)
        if judge is None:
            return

        @contextmanager
        def step(name: str, **fields: Any) -> Iterator[dict[str, Any]]:
            with run.recorder.span(name, **fields) as end:
                yield end
            if name == "memory_judgment":
                self._taught["judgment_success"] = float(end["success"])
            if name == "memory_extraction":
                self._taught["memories_extracted"] = len(end["memories"])

        with _surely(run, "learn from the run"):
            by_rules = judge_name(judge) == "rules"
            learn(
                self._backend,
                stored,
                trajectory,
                grounding,
                lm=judge,
                around=Surroundings(
                    run.shown(overview),
                    task_instructions(),
                    run.shown(rows()) if grounding.sparql_ok and not by_rules else "",
                ),
                given=[one.memory for one in self._given],
                on_step=step,
                asking=_within(_seconds_for_learning(budget)),
            )


def _seconds_for_learning(budget: Budget) -> float:
    try:
        left = budget.remaining_seconds()
    except BudgetExceeded:
        left = 0.0
    return _PATIENCE if left is None else left + _GRACE


def _within(seconds: float) -> Asking:
    """Give what makes calls, and leaves behind one that goes on when the seconds are over."""
    over = time.monotonic() + seconds

    def ask(call: Callable[[], T], /) -> T:
        left = over - time.monotonic()
        if left > 0:
            done = start(call, "rlm-learning")
            wait([done], left)
            if done.done():
                return done.result()
        raise TimeoutError(
            f"the model that judges was not done after {seconds:.0f} s. Give it as sub_model= one "
            "that is quicker, or give a longer timeout="
        )

    return ask


@contextmanager
def _surely(run: ObservedRun, doing: str) -> Iterator[None]:
    with shielded(doing, advice="The answer is not touched by this."):
        try:
            yield
        except Exception as error:
            message = f"Could not {doing}: {error}"
            run.stream.emit("warning", None, run.root_id, category="memory", message=message)
            raise


def _shown(memory: Memory, **more: Any) -> dict[str, Any]:
    fields = ("memory_id", "title", "kind", "content")
    return {**{name: getattr(memory, name) for name in fields}, **more}
