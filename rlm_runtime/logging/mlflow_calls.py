"""The MLflow calls that the sink and the helpers share; each takes a client and may raise."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlm_runtime.errors import ConfigurationError
from rlm_runtime.logging.plain import plain

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["evidence_json", "experiment_id_of", "finish_run", "upload"]


def experiment_id_of(client: MlflowClient, name: str) -> str:
    """Give the id of the experiment of this name; make the experiment if there is none.

    Raises:
        ConfigurationError: It was deleted.
        MlflowException: The store does not answer, or refuses.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return client.create_experiment(name)
        except MlflowException:
            # Somebody else may have made it in the meantime.
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        raise ConfigurationError(
            f"The MLflow experiment {name!r} was deleted. Restore it "
            f"(mlflow experiments restore -x {found.experiment_id}) or name another one."
        )
    return found.experiment_id


def finish_run(client: MlflowClient, run_id: str, status: str, end_time: int) -> None:
    """End a run with a status, at a time in milliseconds since 1970.

    ``MlflowClient.set_terminated`` would do the same but print two URLs to the standard output.
    """
    from mlflow.entities import RunStatus

    store = client._tracking_client.store
    store.update_run_info(run_id, RunStatus.from_string(status), end_time, None)


def upload(
    client: MlflowClient,
    run_id: str,
    *,
    trajectory: bytes | None = None,
    sparql: str | None = None,
    evidence: Any = None,
) -> None:
    """Attach what is there of a trajectory log, a query and evidence to a run."""
    files: dict[str, bytes] = {}
    if trajectory is not None:
        files["trajectory/trajectory.jsonl"] = trajectory
    if sparql:
        files["queries/query.sparql"] = sparql.encode("utf-8", "backslashreplace")
    if evidence is not None:
        text = evidence_json(evidence)
        files["evidence/evidence.json"] = text.encode("utf-8", "backslashreplace")
    with tempfile.TemporaryDirectory(prefix="rlm-runtime-") as folder:
        for name, data in files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True)
            path.write_bytes(data)
        client.log_artifacts(run_id, folder)


def evidence_json(evidence: Any) -> str:
    """Give evidence of any kind as readable JSON.

    Example:
        >>> print(evidence_json({"seen": {"b", "a"}}))
        {
          "seen": [
            "a",
            "b"
          ]
        }
    """
    return json.dumps(plain(evidence), indent=2, ensure_ascii=False)
