"""Learns from a run that ended: keeps it, judges it, extracts what it taught, stores that."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from rlm_runtime.memory.lessons import clean, says_the_same
from rlm_runtime.memory.protocol import (
    Judgment,
    Memory,
    MemoryBackend,
    MemoryFilters,
    StoredRun,
    Trajectory,
)
from rlm_runtime.memory.rules import judge_name
from rlm_runtime.memory.showing import NO_SURROUNDINGS, Surroundings
from rlm_runtime.types import Grounding

if TYPE_CHECKING:
    import dspy

__all__ = ["Asking", "Learned", "OnStep", "judge", "keep", "learn", "store"]

T = TypeVar("T")

OnStep = Callable[..., AbstractContextManager[dict[str, Any]]]
"""Called as ``on_step(name, **fields)`` around a step; what is put into the dict ends it."""

_KNOWN = 5
# So many of the nearest memories are looked at for one that says the same.
_NEAREST = 10


@dataclasses.dataclass(frozen=True)
class Learned:
    """What came of learning from a run.

    Attributes:
        judgment: How the run was judged, or None.
        memories: What it taught, as the store has it now.
        added: How many of them are new.
        merged: How many were there already, in these or nearly the same words.
        retired: How many exemplars the run contradicted.
    """

    judgment: Judgment | None = None
    memories: tuple[Memory, ...] = ()
    added: int = 0
    merged: int = 0
    retired: int = 0


@contextmanager
def _unwatched(_name: str, **_fields: Any) -> Iterator[dict[str, Any]]:
    yield {}


class Asking(Protocol):
    """Makes a call that asks a model, and gives what it gives; may bound how long that takes."""

    def __call__(self, call: Callable[[], T], /) -> T:
        """Make the call."""
        ...


def _patiently(call: Callable[[], T], /) -> T:
    return call()


def learn(
    backend: MemoryBackend,
    run: StoredRun,
    trajectory: Trajectory,
    grounding: Grounding | None,
    *,
    lm: dspy.BaseLM,
    around: Surroundings = NO_SURROUNDINGS,
    given: Sequence[Memory] = (),
    on_step: OnStep = _unwatched,
    asking: Asking = _patiently,
) -> Learned:
    """Keep a run, judge it, extract what it taught, and store that.

    The run and its trajectory are stored first: what fails later does not lose them, and neither
    does what fails after the judgment lose that. Learning from a run again adds nothing, and
    does not ask for a second judgment.

    Args:
        backend: The store.
        run: The run.
        trajectory: What it did and gave.
        grounding: What the ontology bears out of its answer; None when that was not looked at.
        lm: The model that judges and extracts. The offline one does so by rules.
        around: What the model is told beside the run.
        given: The memories that the run was given. These, and stored ones that fit, five in
            all, the model is told not to write again.
        on_step: Is called at the beginning of each step and gives a context manager, in which
            the step is done, with a dict to be filled: ``memory_judgment`` (``judge``) is ended
            with ``success``, ``reason``, ``confidence``; ``memory_extraction`` (``judge``) with
            ``memories`` (dicts); ``memory_storage`` (``memories``, their number) with ``added``
            and ``merged``.
        asking: Is given each of the two calls that ask the model. What it raises instead of
            waiting on ends the learning; the store is never used from within a call.

    Returns:
        The judgment, and what was learned.

    Raises:
        MemoryStoreError: The store cannot be used.
        Exception: What the LM raised.

    Example:
        >>> from rlm_runtime import OfflineLM
        >>> from rlm_runtime.memory import SQLiteMemoryBackend
        >>> run = StoredRun("r1", "Is there an Agent?", "prov", converged=True)
        >>> done = Trajectory("r1", answer="Yes.", sparql="ASK { ?a a prov:Agent }")
        >>> with SQLiteMemoryBackend(":memory:") as backend:
        ...     checked = Grounding(sparql_ok=True, sparql_rows=1)
        ...     learned = learn(backend, run, done, checked, lm=OfflineLM())
        >>> learned.judgment.success, learned.added, learned.merged
        (True, 1, 0)
    """
    # Imported here: what only reads memories does without dspy.
    from rlm_runtime.memory.extracting import extract_memories

    keep(backend, run, trajectory)
    by = judge_name(lm)
    with on_step("memory_judgment", judge=by) as ended:
        judgment = judge(backend, run, trajectory, grounding, lm=lm, around=around, asking=asking)
        ended.update(
            success=judgment.success, reason=judgment.reason, confidence=judgment.confidence
        )
    with on_step("memory_extraction", judge=by) as ended:
        known = _known(backend, run, given)
        memories = asking(
            lambda: extract_memories(run, trajectory, judgment, lm=lm, known=known, around=around)
        )
        ended["memories"] = [_shown(memory) for memory in memories]
    with on_step("memory_storage", memories=len(memories)) as ended:
        learned = store(backend, run, trajectory, judgment, memories)
        ended.update(added=learned.added, merged=learned.merged)
    return learned


def keep(backend: MemoryBackend, run: StoredRun, trajectory: Trajectory) -> None:
    """Store a run and what it did.

    Raises:
        MemoryStoreError: The store cannot be used.
    """
    backend.add_run(run)
    backend.add_trajectory(trajectory)


def judge(
    backend: MemoryBackend,
    run: StoredRun,
    trajectory: Trajectory,
    grounding: Grounding | None,
    *,
    lm: dspy.BaseLM,
    around: Surroundings = NO_SURROUNDINGS,
    asking: Asking = _patiently,
) -> Judgment:
    """Judge a run that is stored, and store the judgment; one that was judged keeps it.

    Raises:
        MemoryStoreError: The store cannot be used.
        Exception: What the LM raised.
    """
    from rlm_runtime.memory.judging import judge_trajectory

    before = backend.get_judgment(run.run_id)
    # Asked by the id of a trajectory, a store gives the judgment of another run of it.
    if before is not None and before.run_id == run.run_id:
        return before
    judgment = asking(lambda: judge_trajectory(run, trajectory, grounding, lm=lm, around=around))
    backend.add_judgment(judgment)
    return judgment


def store(
    backend: MemoryBackend,
    run: StoredRun,
    trajectory: Trajectory,
    judgment: Judgment,
    memories: Sequence[Memory],
) -> Learned:
    """Store memories that are new, merge those that are not, retire what the run contradicts.

    Raises:
        MemoryStoreError: The store cannot be used.
    """
    kept, added = [], 0
    for memory in memories:
        there = _nearly_same(backend, memory)
        if there is None:
            added += 1
        if there is None or there.memory_id == memory.memory_id:
            backend.add_memory(memory)
        kept.append(there or memory)
    contradicted = list(_contradicted(backend, run, trajectory, judgment))
    for exemplar in contradicted:
        backend.set_retired(exemplar.memory_id, True)
    return Learned(judgment, tuple(kept), added, len(kept) - added, len(contradicted))


def _known(backend: MemoryBackend, run: StoredRun, given: Sequence[Memory]) -> list[Memory]:
    """Give the lessons that a run had, and stored ones that fit it; also retired ones."""
    filters = MemoryFilters(ontology=run.ontology, kind="strategy", retired=True)
    near = backend.retrieve(run.query, _KNOWN, filters)
    found = [*(one for one in given if one.kind == "strategy"), *(one.memory for one in near)]
    return [*{memory.memory_id: memory for memory in found}.values()][:_KNOWN]


def _nearly_same(backend: MemoryBackend, memory: Memory) -> Memory | None:
    """Give a stored memory that says the same; also a retired one, which must not come back."""
    same = backend.get_memory(memory.memory_id)
    if same is not None:
        return same
    filters = MemoryFilters(ontology=memory.ontology, kind=memory.kind, retired=True)
    found = backend.retrieve(f"{memory.title} {memory.content}", _NEAREST, filters)
    near = (one.memory for one in found)
    return next((there for there in near if _is_merged(there, memory)), None)


def _is_merged(there: Memory, memory: Memory) -> bool:
    if (there.kind, there.ontology) != (memory.kind, memory.ontology):
        return False
    if memory.kind == "exemplar" and _spaced(there.content) != _spaced(memory.content):
        # Queries of one pattern share most words, and answer different questions.
        return False
    # What to do and what to avoid may differ in one word.
    return there.source == memory.source and says_the_same(there, memory)


def _contradicted(
    backend: MemoryBackend, run: StoredRun, trajectory: Trajectory, judgment: Judgment
) -> Iterator[Memory]:
    """Give the exemplars whose query answered the same question now, and was judged wrong."""
    if judgment.success or not run.converged or not trajectory.sparql.strip():
        return
    filters = MemoryFilters(ontology=run.ontology, kind="exemplar", query=clean(run.query))
    for exemplar in backend.get_all_memories(filters):
        used = _spaced(exemplar.content) == _spaced(trajectory.sparql)
        # One verdict does not outweigh several.
        if used and exemplar.failed >= exemplar.succeeded:
            yield exemplar


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _shown(memory: Memory) -> dict[str, Any]:
    fields = ("memory_id", "title", "kind", "content", "source")
    return {name: getattr(memory, name) for name in fields}
