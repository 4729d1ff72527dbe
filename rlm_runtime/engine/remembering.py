"""What a run does with memories: it is shown some at its start, and leaves some at its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dspy

from rlm_runtime.errors import ConfigurationError
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
from rlm_runtime.memory.learning import keep, learn
from rlm_runtime.memory.levels import level_of
from rlm_runtime.types import Grounding

__all__ = ["RunMemories", "opened_backend"]


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
    ) -> None:
        """Keep the run, what it did and what it was shown; and learn from it.

        Whatever fails here is a warning: the answer is there, and paid for.

        Args:
            run: The run.
            answer: Its fields, and how it ended, without secrets.
            grounding: What the ontology bears out of it.
            model: Name of the model that answered.
            judge: The model that judges the run and extracts what it taught; None leaves that.
        """
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
            learn(self._backend, stored, trajectory, grounding, lm=judge, on_step=step)


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
