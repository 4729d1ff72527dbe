"""Tells which memories of a store are worth no more: those that misled, those nobody needed."""

from __future__ import annotations

from dataclasses import dataclass

from rlm_runtime.memory.protocol import Memory

__all__ = ["PruneRule"]


@dataclass(frozen=True)
class PruneRule:
    """What a memory has to be like to go; it has to meet all that is given.

    Attributes:
        max_success_rate: Judged at least ``min_judged`` times, with this success rate at most.
        min_judged: How many judgments tell enough.
        unused: No run was ever given it.
        created_before: It is older than this: RFC 3339, UTC.

    Example:
        >>> misled = Memory("Guess", "Take the first.", succeeded=1, failed=4)
        >>> PruneRule(max_success_rate=0.5).meets(misled)
        True
        >>> PruneRule(max_success_rate=0.5, min_judged=9).meets(misled)
        False
    """

    max_success_rate: float | None = None
    min_judged: int = 4
    unused: bool = False
    created_before: str | None = None

    def meets(self, memory: Memory) -> bool:
        """Say whether a memory is to go."""
        rate, judged = memory.success_rate, memory.succeeded + memory.failed
        misled = self.max_success_rate is None or (
            rate is not None and judged >= self.min_judged and rate <= self.max_success_rate
        )
        idle = not self.unused or memory.accessed == 0
        old = self.created_before is None or memory.created_at < self.created_before
        return misled and idle and old
