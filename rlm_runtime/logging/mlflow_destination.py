"""Settles where in MLflow a run goes: store, experiment, name, parent."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rlm_runtime.logging.mlflow_store import resolve_tracking_uri
from rlm_runtime.redaction import without_login
from rlm_runtime.settings import absolute_uri

__all__ = ["Destination", "plan_destination"]


@dataclass(frozen=True)
class Destination:
    """Where a run goes in MLflow, and what it is called there.

    Attributes:
        tracking_uri: The store or server.
        experiment: Name of the experiment, made when missing; None for ``experiment_id``.
        experiment_id: Used when no name is given; None for that of the parent run, else MLflow's
            "Default".
        run_name: Defaults to the beginning of the question, or the program, and of the run id.
        parent_run_id: MLflow run that this one is nested in.
        context: Tags that MLflow gives every run: its user, script and commit.
    """

    tracking_uri: str
    experiment: str | None = None
    experiment_id: str | None = None
    run_name: str | None = None
    parent_run_id: str | None = None
    context: Mapping[str, str] = field(default_factory=dict)

    def without_secrets(self) -> dict[str, Any]:
        """Give it as plain values that may be kept on disk: the address without its login."""
        return {**asdict(self), "tracking_uri": without_login(self.tracking_uri)}


def plan_destination(
    tracking_uri: str | None = None,
    experiment: str | None = None,
    run_name: str | None = None,
    parent_run_id: str | None = None,
) -> Destination:
    """Settle where a run goes by what is given, set in MLflow, and set for the project.

    Call it before the run begins, on its own thread: it asks MLflow, and it notes what must not
    change until the delivery, such as the folder that a path is relative to.

    Raises:
        ConfigurationError: The project's settings cannot be read.
    """
    import mlflow

    uri = resolve_tracking_uri(tracking_uri)
    experiment_id = None
    if parent_run_id is None and experiment is None:
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME")
        # Ids of experiments mean nothing in another store.
        if uri == mlflow.get_tracking_uri():
            experiment_id = os.environ.get("MLFLOW_EXPERIMENT_ID")
            experiment = None if experiment_id else experiment
    return Destination(
        tracking_uri=absolute_uri(uri, Path.cwd()),
        experiment=experiment,
        experiment_id=experiment_id,
        run_name=run_name,
        parent_run_id=parent_run_id,
        context=_context_tags(),
    )


@functools.cache
def _context_tags() -> dict[str, str]:
    from mlflow.tracking.context.registry import resolve_tags

    return resolve_tags()
