"""Searches an MLflow database quickly: by MLflow's own conditions, without its objects."""

from __future__ import annotations

import importlib
import inspect
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from sys import intern
from types import ModuleType
from typing import TYPE_CHECKING, Any

from rlm_runtime.logging.mlflow_found import FoundRun, moment

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["SqlSearch", "sql_search"]

_MODULE = "mlflow.store.tracking.sqlalchemy_store"
# Below what databases take in one statement: 32,766 at SQLite, 65,535 at PostgreSQL.
_BATCH = 5_000
# MLflow keeps these to itself and may change them: with others we do not know what we would do.
_KNOWN = {
    "_get_sqlalchemy_filter_clauses": ["parsed", "session", "dialect"],
    "_get_orderby_clauses": ["order_by_list", "session"],
}
_KNOWN_OF_STORE = ("ManagedSessionMaker", "_filter_experiment_ids", "_get_dialect")


def sql_search(client: MlflowClient) -> SqlSearch | None:
    """Give a quick search of a client's store; None when it is no database of a kind we know."""
    store = getattr(getattr(client, "_tracking_client", None), "store", None)
    try:
        module = importlib.import_module(_MODULE)
    except ImportError:
        return None
    for name, parameters in _KNOWN.items():
        function = getattr(module, name, None)
        if function is None or [*inspect.signature(function).parameters] != parameters:
            return None
    known = all(hasattr(store, name) for name in _KNOWN_OF_STORE)
    return SqlSearch(store, module) if known and isinstance(store, module.SqlAlchemyStore) else None


class SqlSearch:
    """Reads runs from the database of an MLflow store.

    Args:
        store: MLflow's SqlAlchemyStore.
        module: The module that it comes from.
    """

    def __init__(self, store: Any, module: ModuleType) -> None:
        self._store = store
        self._mlflow = module

    def runs(
        self,
        experiments: Mapping[str, str],
        filter_string: str,
        order_by: Sequence[str],
        limit: int | None,
    ) -> list[FoundRun]:
        """Find runs, in the same order as MLflow.

        Args:
            experiments: The names of the experiments to search, by their ids.
            filter_string: MLflow's filter.
            order_by: MLflow's order.
            limit: The most runs; None for all.
        """
        with self._store.ManagedSessionMaker() as session:
            statement = self._statement(session, [*experiments], filter_string, order_by)
            # Without a session's bookkeeping for each row.
            connection = session.connection()
            rows = connection.execute(statement.limit(limit)).all()
            ids = [row[0] for row in rows]
            params = self._values(connection, self._mlflow.SqlParam, ids)
            metrics = self._values(connection, self._mlflow.SqlLatestMetric, ids)
            tags = self._values(connection, self._mlflow.SqlTag, ids)
        return [
            _run(row, experiments, params[row[0]], metrics[row[0]], tags[row[0]]) for row in rows
        ]

    def counts(self, experiment_ids: Sequence[str]) -> dict[str, tuple[int, datetime | None]]:
        """Give how many runs experiments have, and when the latest began; by experiment id."""
        from sqlalchemy import func, select

        run = self._mlflow.SqlRun.__table__.c
        statement = (
            select(run.experiment_id, func.count(), func.max(run.start_time))
            .where(
                run.experiment_id.in_([int(one) for one in experiment_ids]),
                run.lifecycle_stage == "active",
            )
            .group_by(run.experiment_id)
        )
        with self._store.ManagedSessionMaker() as session:
            rows = session.execute(statement).all()
        return {str(one): (count, moment(last)) for one, count, last in rows}

    def _statement(
        self, session: Any, experiment_ids: list[str], filter_string: str, order_by: Sequence[str]
    ) -> Any:
        """Select the heads of runs by the conditions that MLflow makes of a search."""
        from mlflow.utils.search_utils import SearchUtils
        from sqlalchemy import literal, select

        run = self._mlflow.SqlRun
        extra, order, sorting = self._mlflow._get_orderby_clauses([*order_by], session)
        conditions, joins, datasets = self._mlflow._get_sqlalchemy_filter_clauses(
            SearchUtils.parse_search_filter(filter_string), session, self._store._get_dialect()
        )
        statement = select(
            run.run_uuid,
            run.experiment_id,
            run.name,
            run.status,
            run.start_time,
            run.end_time,
            run.artifact_uri,
            *extra,
        )
        # MLflow joins these, which may give a run twice and so needs DISTINCT: SQLite then begins
        # with the wrong table, and looks through all values to sort by for each run.
        met_by = [(one, one.c.run_uuid) for one in joins]
        met_by += [(one, one.c.destination_id) for one in datasets]
        for values, run_id in met_by:
            matching = select(literal(1)).select_from(values).where(run_id == run.run_uuid)
            statement = statement.where(matching.exists())
        for values in sorting:
            statement = statement.outerjoin(values)
        wanted = [int(one) for one in self._store._filter_experiment_ids(session, experiment_ids)]
        return (
            statement.where(run.experiment_id.in_(wanted), run.lifecycle_stage == "active")
            .where(*conditions)
            .order_by(*order)
        )

    def _values(
        self, connection: Any, entity: Any, ids: Sequence[str]
    ) -> dict[str, dict[str, Any]]:
        """Give the params, the metrics or the tags of runs, by the runs' ids."""
        from sqlalchemy import bindparam, case, null, select

        of = entity.__table__.c
        # MLflow keeps a NaN as 0 with a mark.
        value = case((of.is_nan, null()), else_=of.value) if "is_nan" in of else of.value
        statement = select(of.run_uuid, of.key, value).where(
            of.run_uuid.in_(bindparam("ids", expanding=True))
        )
        found: dict[str, dict[str, Any]] = {run_id: {} for run_id in ids}
        for start in range(0, len(ids), _BATCH):
            result = connection.execute(statement, {"ids": ids[start : start + _BATCH]})
            # SQLAlchemy's own rows would take four times as long; these columns need no conversion.
            for run_id, key, text_or_number in result.cursor:
                found[run_id][intern(key)] = text_or_number
            result.close()
        return found


def _run(
    row: Any,
    experiments: Mapping[str, str],
    params: dict[str, str],
    metrics: dict[str, Any],
    tags: dict[str, str],
) -> FoundRun:
    if None in metrics.values():
        metrics = {key: math.nan if value is None else value for key, value in metrics.items()}
    run_id, experiment, name, status, start, end, artifacts = row[:7]
    return FoundRun(
        run_id,
        str(experiment),
        experiments[str(experiment)],
        # Old versions of MLflow kept the name as a tag only.
        name or tags.get("mlflow.runName", ""),
        status,
        moment(start),
        moment(end),
        artifacts or "",
        params,
        metrics,
        tags,
    )
