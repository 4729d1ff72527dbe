"""Helpers to log any program's run to MLflow; each is usable alone and none ever raises.

Each takes an explicit ``run_id`` and ``client``, or uses MLflow's active run of the calling
thread, and tells whether it worked. What fails is one TrackingWarning per cause. Secrets are
taken out of texts first.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlm_runtime.errors import ConfigurationError
from rlm_runtime.guard import shielded, warn_once
from rlm_runtime.logging.mlflow_calls import (
    TRAJECTORY,
    experiment_id_of,
    finish_run,
    log_values,
    result_files,
    upload,
)
from rlm_runtime.logging.mlflow_store import (
    ADVICE,
    attempt,
    connect,
    import_mlflow,
    resolve_tracking_uri,
)
from rlm_runtime.logging.mlflow_values import MAX_PARAM, MAX_TAG, metric_values, texts
from rlm_runtime.plain import plain
from rlm_runtime.redaction import Redaction, without_login

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = [
    "enable_compilation_autolog",
    "end_mlflow_run",
    "log_artifacts",
    "log_run_metrics",
    "log_run_params",
    "log_run_tags",
    "setup_mlflow_tracking",
]

CALL_SECONDS = 10.0
"""How long a helper waits for MLflow."""

# Making the schema of a fresh SQLite store takes seconds, and longer on a busy machine.
_SETUP_SECONDS = 60.0

# MLflow reads these from the environment at each call.
_IMPATIENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": str(int(CALL_SECONDS)),
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_environment_lock = threading.Lock()


def setup_mlflow_tracking(
    experiment_name: str | None = None,
    run_name: str | None = None,
    tracking_uri: str | None = None,
    log_compilation: bool = False,
) -> tuple[bool, str | None]:
    """Point MLflow at a store and an experiment, start a run, and switch on DSPy's autologging.

    This is process-wide, as autologging is: a program calls it once, at its start. Where a run
    is active already, the new one is nested in it. When the store does not answer, nothing is
    changed.

    Args:
        experiment_name: Made when missing. Default: the experiment set in MLflow.
        run_name: Default: a name that MLflow makes up.
        tracking_uri: The store or server. Default: the one set in MLflow, else in the settings
            of the project.
        log_compilation: Also trace what optimizers run while they compile.

    Returns:
        Whether it worked, and the id of the run, which is now the thread's active run.

    Example::

        ok, run_id = setup_mlflow_tracking("study", "first try", "http://127.0.0.1:5000")
        ...  # any DSPy program
        log_run_metrics(iteration_count=3, converged=True)
        end_mlflow_run()
    """
    started: list[str] = []
    with shielded("set up MLflow tracking", advice=ADVICE):
        mlflow = import_mlflow(tracking_uri)
        if mlflow is None:
            return False, None
        uri = resolve_tracking_uri(tracking_uri)
        active = mlflow.active_run()

        def prepare() -> str | None:
            client = connect(uri)
            return experiment_id_of(client, experiment_name) if experiment_name else None

        ok, experiment_id = attempt(
            f"reach MLflow at {without_login(uri)}", prepare, _SETUP_SECONDS
        )
        if not ok:
            return False, None
        with _impatient():
            if tracking_uri is not None or uri != mlflow.get_tracking_uri():
                mlflow.set_tracking_uri(uri)
            if experiment_id is not None:
                mlflow.set_experiment(experiment_id=experiment_id)
            run = mlflow.start_run(run_name=run_name, nested=active is not None)
        started.append(run.info.run_id)
        _autolog(log_traces_from_compile=log_compilation)
    return bool(started), started[0] if started else None


def log_run_params(
    query: str | None,
    ontology_name: str | None,
    max_iterations: int | None,
    model: str | None,
    sub_model: str | None = None,
    has_memory: bool = False,
    *,
    run_id: str | None = None,
    client: MlflowClient | None = None,
) -> bool:
    """Log what a run was asked and how it was set, as params; None is left out.

    Values beyond MLflow's 6000 characters are cut, and say so.
    """
    params = {
        "query": query,
        "ontology": ontology_name,
        "max_iterations": max_iterations,
        "model": model,
        "sub_model": sub_model,
        "has_memory": has_memory,
    }

    def call(client: MlflowClient, run: str) -> None:
        from mlflow.entities import Param

        values = texts(_redacted(params), MAX_PARAM).items()
        log_values(client, run, params=[Param(key, value) for key, value in values])

    return _log("log params to MLflow", call, run_id, client)


def log_run_metrics(
    iteration_count: int,
    converged: bool,
    memories_retrieved: int = 0,
    memories_extracted: int = 0,
    judgment_success: bool | None = None,
    *,
    run_id: str | None = None,
    client: MlflowClient | None = None,
    **further: float | None,
) -> bool:
    """Log how a run went, as metrics; truth values become 0 or 1, and None is left out.

    A value that is no finite number is left out with a TrackingWarning.

    Args:
        iteration_count: Model turns.
        converged: Whether an answer was submitted.
        memories_retrieved: Memories given to the run.
        memories_extracted: Memories won from it.
        judgment_success: What a judge said of the answer, if one was asked.
        run_id: The MLflow run. Default: the thread's active run.
        client: Default: one for the store set in MLflow, else in the settings of the project.
        **further: Any other metrics, by name.
    """
    values = {
        "iteration_count": iteration_count,
        "converged": converged,
        "memories_retrieved": memories_retrieved,
        "memories_extracted": memories_extracted,
        "judgment_success": judgment_success,
        **further,
    }
    moment = int(time.time() * 1000)

    def call(client: MlflowClient, run: str) -> None:
        from mlflow.entities import Metric

        metrics = metric_values(values).items()
        log_values(client, run, metrics=[Metric(key, value, moment, 0) for key, value in metrics])

    return _log("log metrics to MLflow", call, run_id, client)


def log_run_tags(
    ontology_name: str | None,
    query_type: str | None = None,
    custom_tags: Mapping[str, Any] | None = None,
    *,
    run_id: str | None = None,
    client: MlflowClient | None = None,
) -> bool:
    """Tag a run with its ontology, the kind of its query, and the user's own tags.

    Characters that MLflow refuses in keys become ``_``; values beyond 8000 characters are cut,
    and say so.
    """
    tags = {**(custom_tags or {}), "ontology": ontology_name, "query_type": query_type}

    def call(client: MlflowClient, run: str) -> None:
        from mlflow.entities import RunTag

        values = texts(_redacted(tags), MAX_TAG).items()
        log_values(client, run, tags=[RunTag(key, value) for key, value in values])

    return _log("log tags to MLflow", call, run_id, client)


def log_artifacts(
    log_path: str | Path | None = None,
    sparql_query: str | None = None,
    evidence: Any = None,
    *,
    run_id: str | None = None,
    client: MlflowClient | None = None,
) -> bool:
    """Attach a trajectory log, a query and evidence to a run; what is None is left out.

    Args:
        log_path: Becomes ``trajectory/trajectory.jsonl``.
        sparql_query: Becomes ``queries/query.sparql``.
        evidence: Any value; becomes ``evidence/evidence.json``.
        run_id: The MLflow run. Default: the thread's active run.
        client: Default: one for the store set in MLflow, else in the settings of the project.
    """

    def call(client: MlflowClient, run: str) -> None:
        shown = _redacted({"sparql": sparql_query, "evidence": evidence})
        files: dict[str, bytes | str] = {**result_files(shown["sparql"], shown["evidence"])}
        if log_path is not None:
            files[TRAJECTORY] = Path(log_path).expanduser().read_bytes()
        upload(client, run, files)

    return _log("log artifacts to MLflow", call, run_id, client)


def end_mlflow_run(
    status: str = "FINISHED", *, run_id: str | None = None, client: MlflowClient | None = None
) -> bool:
    """End a run with a status: FINISHED, FAILED or KILLED.

    The thread's active run, which is the default, is active no more afterwards, whether or not
    the store could be told.
    """
    doing = "end the run in MLflow"
    with shielded(doing, advice=ADVICE) as outcome:
        mlflow = import_mlflow(client and client.tracking_uri)
        if mlflow is None:
            return False
        active = mlflow.active_run()
        if run_id is not None and (active is None or active.info.run_id != run_id):
            moment = int(time.time() * 1000)
            return _log(doing, lambda c, run: finish_run(c, run, status, moment), run_id, client)
        if active is None:
            raise _no_run()
        with _impatient():
            mlflow.end_run(status)
    return outcome.ok


def _log(
    doing: str,
    call: Callable[[MlflowClient, str], None],
    run_id: str | None,
    client: MlflowClient | None,
) -> bool:
    with shielded(doing, advice=ADVICE):
        store = client and client.tracking_uri
        mlflow = import_mlflow(store)
        if mlflow is None:
            return False
        # Active runs belong to a thread, so look before the call goes to another.
        active = mlflow.active_run() if run_id is None else None
        run = run_id or (active and active.info.run_id)
        if run is None:
            raise _no_run()
        uri = resolve_tracking_uri(store)
        ok, _ = attempt(doing, lambda: call(client or connect(uri), run), CALL_SECONDS)
        return ok
    return False


def _redacted(values: Mapping[str, Any]) -> dict[str, Any]:
    return Redaction().value(plain(values))


def _no_run() -> ConfigurationError:
    return ConfigurationError(
        "no MLflow run is active in this thread. Call setup_mlflow_tracking() or give run_id="
    )


def enable_compilation_autolog() -> bool:
    """Have MLflow record what DSPy's optimizers compile, with traces; process-wide, as autolog is.

    Returns:
        Whether it worked.
    """
    with shielded("switch on MLflow's autologging of DSPy", advice=ADVICE) as outcome:
        if import_mlflow() is None:
            return False
        _autolog(log_traces_from_compile=True)
    return outcome.ok


def _autolog(*, log_traces_from_compile: bool) -> None:
    dspy_flavor = importlib.import_module("mlflow.dspy")
    try:
        dspy_flavor.autolog(
            log_traces=True,
            log_traces_from_eval=True,
            log_compiles=True,
            log_evals=True,
            log_traces_from_compile=log_traces_from_compile,
        )
    except RuntimeError as error:
        warn_once(
            "autolog from another thread",
            f"MLflow's autologging of DSPy is off; the run itself is on. DSPy says: {error} "
            "Switch it on in the thread that first configured DSPy.",
        )


@contextlib.contextmanager
def _impatient() -> Iterator[None]:
    """Bound MLflow's own calls on this thread, which have no other setting than these."""
    with _environment_lock:
        before = {name: os.environ.get(name) for name in _IMPATIENT}
        os.environ.update(_IMPATIENT)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
