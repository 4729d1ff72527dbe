"""The values that a memory store keeps and gives, and what every store can do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from rlm_runtime.types import Step

__all__ = [
    "Judgment",
    "Memory",
    "MemoryBackend",
    "MemoryFilters",
    "MemoryKind",
    "MemorySource",
    "MemoryUsage",
    "Retrieved",
    "StoreStats",
    "StoredRun",
    "Trajectory",
]

MemoryKind = Literal["strategy", "exemplar"]
"""A way to go about questions of a sort, or one question with its query."""

MemorySource = Literal["success", "failure", "human"]
"""What it was learned from: a run that succeeded, one that failed, or a person wrote it."""


@dataclass(frozen=True)
class Memory:
    """Something learned, after the items of ReasoningBank (Ouyang et al., 2025, § 3.2).

    Two memories with the same title and content are the same memory, whatever else they say.

    Attributes:
        title: What it is about, in a few words.
        content: What to do, or what to avoid, in some sentences; of an exemplar the query.
        description: For which questions it is, as in "how many per group".
        kind: ``strategy`` or ``exemplar``.
        source: ``success``, ``failure`` or ``human``.
        ontology: Name of the only ontology that it is about; None when it is about any.
        query: The question that it was learned from, or "".
        level: Level of that question, 1 to 5; None when it is unknown.
        tags: Words to find it by, in alphabetical order.
        run_id: The run that it was learned from, or None.
        created_at: RFC 3339, UTC; "" means: when it is added.
        accessed: How often it was retrieved.
        succeeded: How many of the runs that had it were judged a success.
        failed: How many were judged a failure.
        retired: Whether it is no longer retrieved, because it misled or was contradicted.

    Example:
        >>> one = Memory("Count in SPARQL", "Use COUNT(DISTINCT ?x).")
        >>> one.memory_id == Memory("Count in SPARQL", "Use COUNT(DISTINCT ?x).", "!").memory_id
        True
    """

    title: str
    content: str
    description: str = ""
    kind: MemoryKind = "strategy"
    source: MemorySource = "human"
    ontology: str | None = None
    query: str = ""
    level: int | None = None
    tags: tuple[str, ...] = ()
    run_id: str | None = None
    created_at: str = ""
    accessed: int = 0
    succeeded: int = 0
    failed: int = 0
    retired: bool = False

    @property
    def memory_id(self) -> str:
        """A stable hash of title and content: 16 hexadecimal digits."""
        told = f"{self.title.strip()}\0{self.content.strip()}"
        return hashlib.sha256(told.encode("utf-8", "backslashreplace")).hexdigest()[:16]

    @property
    def success_rate(self) -> float | None:
        """Share of judged runs with it that succeeded, 0..1; None when there are none."""
        judged = self.succeeded + self.failed
        return self.succeeded / judged if judged else None


@dataclass(frozen=True)
class MemoryFilters:
    """Which memories are wanted; a memory has to pass all that is given.

    Attributes:
        ontology: About this ontology, or about any.
        tags: Having all of these.
        kind: Of this kind.
        source: From this source.
        min_success_rate: With at least this success rate, or not judged yet.
        query: Learned from this question, to the letter.
        level: Preferred in retrieval are memories of this level, then of its neighbours.
        retired: True also gives those that are retired.

    Example:
        >>> MemoryFilters(ontology="prov", min_success_rate=0.5).tags
        ()
    """

    ontology: str | None = None
    tags: tuple[str, ...] = ()
    kind: MemoryKind | None = None
    source: MemorySource | None = None
    min_success_rate: float | None = None
    query: str | None = None
    level: int | None = None
    retired: bool = False


@dataclass(frozen=True)
class Retrieved:
    """A memory that was found, and how well it fits; higher scores fit better."""

    memory: Memory
    score: float


@dataclass(frozen=True)
class StoredRun:
    """A run as the store keeps it.

    Attributes:
        run_id: Identifies it for ever.
        query: Its question.
        ontology: Name of its ontology.
        trajectory_id: Groups runs; "" means the run id.
        model: What answered.
        converged: Whether an answer was submitted.
        stop_reason: Why it ended, or None after an exception.
        created_at: RFC 3339, UTC; "" means: when it is added.
        metadata: Anything else; what JSON cannot say is kept in words.
    """

    run_id: str
    query: str
    ontology: str
    trajectory_id: str = ""
    model: str = ""
    converged: bool | None = None
    stop_reason: str | None = None
    created_at: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trajectory:
    """What one run did and gave.

    Attributes:
        run_id: The run; it is stored before its trajectory.
        steps: Its REPL steps, oldest first.
        answer: Its answer.
        sparql: Its query.
        evidence: Its evidence; what JSON cannot say is kept in words.
    """

    run_id: str
    steps: Sequence[Step] = ()
    answer: str = ""
    sparql: str = ""
    evidence: Sequence[Any] = ()


@dataclass(frozen=True)
class Judgment:
    """Whether a run succeeded.

    Attributes:
        run_id: The run.
        success: The verdict.
        reason: Why, in a sentence or two.
        confidence: How sure the judge is, 0..1.
        judge: What judged: name of a model, or ``rules``.
        created_at: RFC 3339, UTC; "" means: when it is added.
    """

    run_id: str
    success: bool
    reason: str = ""
    confidence: float = 1.0
    judge: str = ""
    created_at: str = ""


@dataclass(frozen=True)
class MemoryUsage:
    """A memory that a run was given.

    Attributes:
        memory_id: The memory.
        run_id: The run.
        rank: Its place in what was retrieved, from 1.
        score: How well it fitted.
        success: How the run was judged; None when it was not.
    """

    memory_id: str
    run_id: str
    rank: int = 1
    score: float = 0.0
    success: bool | None = None


@dataclass(frozen=True)
class StoreStats:
    """How much a store holds.

    Attributes:
        runs: Runs.
        trajectories: Trajectories.
        judgments: Judgments.
        succeeded: Judgments that say success.
        memories: Memories that are retrieved.
        retired: Memories that are no longer retrieved.
        usages: Times that a memory was given to a run.
        by_kind: Memories in use by kind.
        by_source: Memories in use by source.
        by_ontology: Memories in use by ontology; "" for those about any.
    """

    runs: int = 0
    trajectories: int = 0
    judgments: int = 0
    succeeded: int = 0
    memories: int = 0
    retired: int = 0
    usages: int = 0
    by_kind: Mapping[str, int] = field(default_factory=dict)
    by_source: Mapping[str, int] = field(default_factory=dict)
    by_ontology: Mapping[str, int] = field(default_factory=dict)


@runtime_checkable
class MemoryBackend(Protocol):
    """Where memories are kept; safe to use from many threads and processes.

    Adding the same thing twice is no error and makes no duplicate. Every method raises
    MemoryStoreError when the store cannot be used.
    """

    def add_run(self, run: StoredRun) -> bool:
        """Keep a run; False when it was there already, and then nothing changes."""
        ...

    def add_trajectory(self, trajectory: Trajectory) -> bool:
        """Keep a trajectory; False when its run has one already."""
        ...

    def get_trajectory(self, run_id: str) -> Trajectory | None:
        """Give what a run did; by the id of a trajectory, of its latest run."""
        ...

    def add_judgment(self, judgment: Judgment) -> bool:
        """Keep a judgment and note it with the memories that the run was given, once.

        False when the run was judged before; the first judgment stays.
        """
        ...

    def get_judgment(self, run_id: str) -> Judgment | None:
        """Give how a run was judged; by the id of a trajectory, its latest run."""
        ...

    def add_memory(self, memory: Memory) -> str:
        """Keep a memory, or merge it into the same one; give its ``memory_id``.

        Counts of the same memory stay; new tags are added.
        """
        ...

    def add_memories(self, memories: Iterable[Memory]) -> list[str]:
        """Keep several as ``add_memory`` does: all of them or, when it fails, none."""
        ...

    def delete_memories(self, memory_ids: Iterable[str]) -> int:
        """Remove memories and what they were used for, for good; give how many there were.

        What is deleted may be learned again; what is retired is not.
        """
        ...

    def has_memory(self, memory_id: str) -> bool:
        """Say whether there is such a memory, retired ones too."""
        ...

    def get_memory(self, memory_id: str) -> Memory | None:
        """Give a memory, retired ones too."""
        ...

    def get_all_memories(self, filters: MemoryFilters | None = None) -> Iterator[Memory]:
        """Give all memories that pass, the oldest first."""
        ...

    def retrieve(
        self, task: str, k: int = 3, filters: MemoryFilters | None = None
    ) -> list[Retrieved]:
        """Find the memories that fit a question best, best first, no two nearly the same."""
        ...

    def record_usage(self, run_id: str, retrieved: Sequence[Retrieved]) -> None:
        """Note that a run was given memories, in this order; counts them as accessed, once."""
        ...

    def get_usage_for_trajectory(self, run_id: str) -> list[MemoryUsage]:
        """Give what a run was given, or all runs of a trajectory, in order of rank."""
        ...

    def get_usage_for_memory(self, memory_id: str) -> list[MemoryUsage]:
        """Give the runs that were given a memory, the oldest first."""
        ...

    def update_memory_stats(
        self, memory_id: str, *, accessed: int = 0, success: int = 0, failure: int = 0
    ) -> None:
        """Add to a memory's counts. What misled in most of at least 4 judged runs is retired."""
        ...

    def set_retired(self, memory_id: str, retired: bool) -> None:
        """Take a memory out of retrieval, or back in."""
        ...

    def get_stats(self) -> StoreStats:
        """Say how much there is."""
        ...

    def close(self) -> None:
        """Close the store; calling it again does nothing."""
        ...
