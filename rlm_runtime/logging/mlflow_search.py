"""Finds runs in MLflow: all of them, by what they were asked and how they went."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rlm_runtime.errors import ConfigurationError
from rlm_runtime.logging.mlflow_found import FoundExperiment, FoundRun, moment
from rlm_runtime.logging.mlflow_reading import reading
from rlm_runtime.logging.mlflow_sql_search import sql_search

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["FoundExperiment", "FoundRun", "find_run", "list_experiments", "search_runs"]

# A page of this size stays far below what servers and proxies take for too long or too large.
_PAGE = 1_000
_MOST_CANDIDATES = 10
_MOST_NAMED = 4
_OUR_ID = "rlm.run_id"


def search_runs(
    experiments: Sequence[str] = (),
    *,
    ontology: str | None = None,
    converged: bool | None = None,
    model: str | None = None,
    tags: Mapping[str, str] | None = None,
    filter_string: str = "",
    order_by: Sequence[str] = (),
    limit: int | None = None,
    tracking_uri: str | None = None,
) -> list[FoundRun]:
    """Find runs in MLflow: all that meet every condition, not only the first thousand.

    In a database (SQLite, PostgreSQL) this is many times as fast as ``mlflow.search_runs``, with
    the same conditions and the same order. Deleted runs are left out.

    Args:
        experiments: Names of experiments. Default: all.
        ontology: The param ``ontology``.
        converged: True: an answer was submitted; False: none was (metric ``converged``).
        model: The param ``model``.
        tags: Tags with their values.
        filter_string: A further condition in MLflow's own language, as in
            ``"metrics.total_tokens < 5000 AND attributes.status = 'FINISHED'"``.
        order_by: In MLflow's own language, as in ``["metrics.cost_usd DESC"]``; then, and by
            default, the latest first.
        limit: The most runs; None for all.
        tracking_uri: The store or server. Default: the one set in MLflow, else in the settings of
            the project.

    Raises:
        ConfigurationError: There is no such store or experiment, or MLflow does not understand a
            condition.
        RlmError: The store does not answer.

    Example:
        >>> search_runs(tracking_uri="sqlite:///nowhere/mlflow.db")
        Traceback (most recent call last):
        rlm_runtime.errors.ConfigurationError: There is no MLflow store nowhere/mlflow.db. ...
    """
    if limit is not None and limit < 1:
        raise ConfigurationError(f"limit must be at least 1, not {limit}.")
    wanted = _filter(ontology, converged, model, tags or {}, filter_string)
    with reading(tracking_uri) as client:
        return _search(client, _experiments(client, experiments), wanted, order_by, limit)


def find_run(run_id: str, *, tracking_uri: str | None = None) -> FoundRun:
    """Find a run by its id in MLflow, or the one in its log; the first characters will do.

    Args:
        run_id: MLflow's run id, or the tag ``rlm.run_id``; or how one of them begins.
        tracking_uri: As for ``search_runs``.

    Raises:
        ConfigurationError: There is no such store or run, or there are several.
        RlmError: The store does not answer.
    """
    with reading(tracking_uri) as client:
        experiments = _experiments(client, ())
        for comparator, value in (("=", run_id), ("LIKE", f"{run_id}%")):
            found: dict[str, FoundRun] = {}
            for key in ("attributes.run_id", f"tags.`{_OUR_ID}`"):
                condition = _condition(key, comparator, value)
                for run in _search(client, experiments, condition, (), _MOST_CANDIDATES):
                    # LIKE takes some characters for wildcards.
                    if any(one.startswith(run_id) for one in _ids(run)):
                        found[run.run_id] = run
            if len(found) == 1:
                return next(iter(found.values()))
            if found:
                named = ", ".join([_named(run) for run in found.values()][:_MOST_NAMED])
                more = ", and more" if len(found) > _MOST_NAMED else ""
                raise ConfigurationError(
                    f"Several runs have an id like {run_id!r}: {named}{more}. "
                    "Give more of an id of MLflow."
                )
    raise ConfigurationError(
        f"No run in MLflow has an id that begins with {run_id!r}. "
        "`rlm-runtime mlflow search` lists the runs; deleted ones are left out."
    )


def list_experiments(*, tracking_uri: str | None = None) -> list[FoundExperiment]:
    """Give the experiments of a store, without deleted ones, the latest first.

    Args:
        tracking_uri: As for ``search_runs``.

    Raises:
        ConfigurationError: There is no such store.
        RlmError: The store does not answer.
    """
    with reading(tracking_uri) as client:
        experiments = [*_pages(client.search_experiments)]
        search = sql_search(client)
        counts = search and search.counts([one.experiment_id for one in experiments])
    found = []
    for one in experiments:
        runs, last = (None, None) if counts is None else counts.get(one.experiment_id, (0, None))
        created = moment(one.creation_time)
        found.append(FoundExperiment(one.experiment_id, one.name, created, runs, last))
    return found


def _search(
    client: MlflowClient,
    experiments: Mapping[str, str],
    filter_string: str,
    order_by: Sequence[str],
    limit: int | None,
) -> list[FoundRun]:
    if not experiments:
        return []
    quick = sql_search(client)
    if quick is not None:
        return quick.runs(experiments, filter_string, order_by, limit)
    found: dict[str, FoundRun] = {}
    size = _PAGE if limit is None else min(limit, _PAGE)
    pages = _pages(
        client.search_runs,
        [*experiments],
        filter_string=filter_string,
        order_by=[*order_by] or None,
        max_results=size,
    )
    for run in pages:
        # A run that begins between two pages moves another one on to the second.
        found.setdefault(run.info.run_id, _found(run, experiments))
        if limit is not None and len(found) == limit:
            break
    return [*found.values()]


def _pages(search: Any, *arguments: Any, **options: Any) -> Iterator[Any]:
    token = None
    while True:
        page = search(*arguments, page_token=token, **options)
        yield from page
        token = page.token
        if not token:
            return


def _found(run: Any, experiments: Mapping[str, str]) -> FoundRun:
    info, data = run.info, run.data
    return FoundRun(
        info.run_id,
        info.experiment_id,
        experiments[info.experiment_id],
        info.run_name or "",
        info.status,
        moment(info.start_time),
        # A server says 0 of a run that goes on.
        moment(info.end_time or None),
        info.artifact_uri or "",
        data.params,
        data.metrics,
        data.tags,
    )


def _experiments(client: MlflowClient, names: Sequence[str]) -> dict[str, str]:
    """Give the names of experiments by their ids; all of them when none is named."""
    if not names:
        return {one.experiment_id: one.name for one in _pages(client.search_experiments)}
    found = {name: client.get_experiment_by_name(name) for name in names}
    for name, experiment in found.items():
        if experiment is None:
            known = [one.name for one in _pages(client.search_experiments)]
            raise ConfigurationError(f"There is no experiment {name!r}. {_nearest(name, known)}")
    return {one.experiment_id: name for name, one in found.items() if one is not None}


def _nearest(name: str, known: Sequence[str]) -> str:
    by_lower = {one.lower(): one for one in known}
    close = difflib.get_close_matches(name.lower(), [*by_lower], n=3, cutoff=0.5)
    if close:
        return f"The nearest: {', '.join(repr(by_lower[one]) for one in close)}."
    return "`rlm-runtime mlflow list-experiments` lists those that there are."


def _filter(
    ontology: str | None,
    converged: bool | None,
    model: str | None,
    tags: Mapping[str, str],
    further: str,
) -> str:
    """Give all conditions as one in MLflow's language."""
    conditions = [
        _condition(f"params.{name}", "=", value)
        for name, value in (("ontology", ontology), ("model", model))
        if value is not None
    ]
    if converged is not None:
        conditions.append(f"metrics.converged = {int(converged)}")
    conditions += [_condition(f"tags.`{key}`", "=", value) for key, value in tags.items()]
    if further.strip():
        conditions.append(further)
    return " AND ".join(conditions)


def _condition(key: str, comparator: str, value: str) -> str:
    """Compare with a text.

    MLflow's language has two kinds of quotation marks, and nothing to escape one with.
    """
    mark = '"' if "'" in value else "'"
    if mark in value or value.endswith("\\"):
        raise ConfigurationError(
            f"MLflow's filters cannot hold {value!r}, for {key}: it has both kinds of quotation "
            "marks, or ends with a backslash. Look for a part of it, with LIKE '%part%' in a "
            "filter of your own."
        )
    return f"{key} {comparator} {mark}{value}{mark}"


def _ids(run: FoundRun) -> tuple[str, str]:
    return run.run_id, run.tags.get(_OUR_ID, "")


def _named(run: FoundRun) -> str:
    ours = run.tags.get(_OUR_ID)
    return f"{run.run_id} ({ours})" if ours else run.run_id
