"""The budgets of a run: tokens, cost and time, checked before whatever would spend more."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rlm_runtime.errors import BudgetExceeded, ConfigurationError
from rlm_runtime.types import ModelUsage

__all__ = ["Budget"]


@dataclass
class Budget:
    """Bounds on what a run may use; None means no bound.

    Args:
        max_tokens: Input and output tokens together, over all models.
        max_cost: US dollars; calls without a known price count as nothing.
        timeout: Seconds.
        spent: Tells what was used so far.
        clock: Seconds from any fixed point, as ``time.monotonic`` gives them.
        cancelled: Once set, the run ends at the next check.

    Raises:
        ConfigurationError: A bound is not positive.

    Example:
        >>> Budget(max_tokens=10, spent=lambda: ModelUsage(input_tokens=11)).check()
        Traceback (most recent call last):
        ...
        rlm_runtime.errors.BudgetExceeded: The budget max_tokens=10 is used up (11). \
Raise max_tokens, ask a narrower question, or use a cheaper model.
    """

    max_tokens: int | None = None
    max_cost: float | None = None
    timeout: float | None = None
    spent: Callable[[], ModelUsage] = ModelUsage
    clock: Callable[[], float] = time.monotonic
    cancelled: threading.Event | None = None
    _started: float = field(init=False)

    def __post_init__(self) -> None:
        for name in ("max_tokens", "max_cost", "timeout"):
            bound = getattr(self, name)
            if bound is not None and not bound > 0:
                raise ConfigurationError(
                    f"{name}={bound!r} leaves nothing to run with. Give a positive number or None."
                )
        self._started = self.clock()

    def check(self) -> None:
        """Return if there is something left of every budget.

        Raises:
            BudgetExceeded: One is used up.
            asyncio.CancelledError: The run was cancelled.
        """
        if self.cancelled is not None and self.cancelled.is_set():
            raise asyncio.CancelledError
        self.remaining_seconds()
        used = self.spent()
        if self.max_tokens is not None and used.total_tokens >= self.max_tokens:
            raise BudgetExceeded("max_tokens", self.max_tokens, used.total_tokens)
        if self.max_cost is not None and (used.cost_usd or 0.0) >= self.max_cost:
            raise BudgetExceeded("max_cost", self.max_cost, used.cost_usd or 0.0)

    def remaining_seconds(self) -> float | None:
        """Give the seconds left, or None without a time bound.

        Raises:
            BudgetExceeded: None are left.
        """
        if self.timeout is None:
            return None
        used = self.clock() - self._started
        if used >= self.timeout:
            raise BudgetExceeded("timeout", self.timeout, used)
        return self.timeout - used
