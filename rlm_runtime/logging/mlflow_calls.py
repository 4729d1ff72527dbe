"""The MLflow calls that the sink and the helpers share; each takes a client and may raise."""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlm_runtime.errors import ConfigurationError
from rlm_runtime.plain import plain

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = [
    "TRAJECTORY",
    "evidence_json",
    "experiment_id_of",
    "finish_run",
    "log_values",
    "result_files",
    "upload",
]

TRAJECTORY = "trajectory/trajectory.jsonl"
"""The artifact that holds all events of a run."""

# What MLflow takes in one batch.
_BATCH = {"metrics": 1000, "params": 100, "tags": 100}
# A request may have 1 MB; params and tags go into one.
_BATCH_BYTES = 400_000


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


def log_values(client: MlflowClient, run_id: str, **kinds: Sequence[Any]) -> None:
    """Log metrics, params and tags in as few calls as MLflow's bounds of a batch allow.

    Args:
        client: A client of the store.
        run_id: The MLflow run.
        **kinds: ``metrics``, ``params`` and ``tags``, each a sequence of MLflow's entities.
    """
    parts = [[{kind: part} for part in _parts(kind, values)] for kind, values in kinds.items()]
    for together in itertools.zip_longest(*parts, fillvalue={}):
        batch: dict[str, Any] = {kind: part for one in together for kind, part in one.items()}
        client.log_batch(run_id, **batch)


def _parts(kind: str, values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Cut values into parts of as many, and as long, as one call may have."""
    part: list[Any] = []
    size = 0
    for value in values:
        # In JSON a character takes up to six bytes, two for each half of a pair.
        length = 12 * len(str(value.value)) if kind != "metrics" else 0
        if part and (len(part) >= _BATCH[kind] or size + length > _BATCH_BYTES):
            yield part
            part, size = [], 0
        part.append(value)
        size += length
    if part:
        yield part


def upload(client: MlflowClient, run_id: str, files: Mapping[str, bytes | str]) -> None:
    """Attach files to a run: their contents, by their names among the run's artifacts."""
    if not files:
        return
    with tempfile.TemporaryDirectory(prefix="rlm-runtime-") as folder:
        for name, content in files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            data = content if isinstance(content, bytes) else _encoded(content)
            path.write_bytes(data)
            # Not all at once: MLflow would start threads, and the end of the process wait for
            # them.
            client.log_artifact(run_id, str(path), name.rpartition("/")[0] or None)


def result_files(sparql: str | None, evidence: Any) -> dict[str, str]:
    """Give what is there of a query and evidence as files for ``upload``."""
    files: dict[str, str] = {}
    if sparql:
        files["queries/query.sparql"] = sparql
    if evidence is not None:
        files["evidence/evidence.json"] = evidence_json(evidence)
    return files


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


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
