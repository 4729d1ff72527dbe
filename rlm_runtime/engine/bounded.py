"""An ontology seen through a run's budget: no query may outlast what is left of the run."""

from __future__ import annotations

from typing import Any

from rlm_runtime.engine.turns import current_state
from rlm_runtime.ontology import Ontology, Rows

__all__ = ["WithinBudget"]


class WithinBudget:
    """Asks another ontology, with a time bound of at most the seconds left for the run.

    Args:
        ontology: What is really asked.
    """

    def __init__(self, ontology: Ontology) -> None:
        self._ontology = ontology

    def select(self, query: str, *, limit: int = 100, timeout: float = 30.0) -> Rows:
        """Run a query; see ``Ontology.select``.

        Raises:
            BudgetExceeded: Nothing is left of the run's budgets.
        """
        left = current_state().budget.remaining_seconds()
        return self._ontology.select(
            query, limit=limit, timeout=timeout if left is None else min(timeout, left)
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ontology, name)
