"""An ontology seen through a run's budget: no question may outlast what is left of the run."""

from __future__ import annotations

from typing import Any

from rlm_runtime.engine.turns import current_state
from rlm_runtime.ontology import Ontology, Rows
from rlm_runtime.ontology.protocol import Description
from rlm_runtime.ontology.schema import ClassSchema

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
        return self._ontology.select(query, limit=limit, timeout=_within_budget(timeout))

    def describe(self, iri: str, *, limit: int = 25, timeout: float = 30.0) -> Description:
        """Say what is known of an entity; see ``Ontology.describe``.

        Raises:
            BudgetExceeded: Nothing is left of the run's budgets.
        """
        return self._ontology.describe(iri, limit=limit, timeout=_within_budget(timeout))

    def schema_of(self, iri: str, *, limit: int = 50, timeout: float = 20.0) -> ClassSchema:
        """Say what the instances of a class use; see ``Ontology.schema_of``.

        Raises:
            BudgetExceeded: Nothing is left of the run's budgets.
        """
        return self._ontology.schema_of(iri, limit=limit, timeout=_within_budget(timeout))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ontology, name)


def _within_budget(timeout: float) -> float:
    left = current_state().budget.remaining_seconds()
    return timeout if left is None else min(timeout, left)
