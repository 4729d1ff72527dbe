"""What SUBMIT accepts: fills what may be left out, and sends back what cannot be right."""

from __future__ import annotations

from typing import Any

from rlm_runtime.errors import QueryError, QueryTimeout
from rlm_runtime.ontology import Ontology

__all__ = ["prepare_submit"]

_SECONDS = 5.0
_OPTIONAL = ("sparql", "thinking", "verification", "reflection")


def prepare_submit(ontology: Ontology, fields: dict[str, Any]) -> dict[str, Any]:
    """Complete and check the fields given to SUBMIT.

    Args:
        ontology: Where the query must run.
        fields: What the model gave, by name.

    Returns:
        All six fields.

    Raises:
        ValueError: The answer is empty, or the query does not run; the text tells the model
            what to mend.
    """
    prepared = {**fields}
    for name in _OPTIONAL:
        prepared[name] = "" if prepared.get(name) is None else str(prepared[name])
    answer = prepared.get("answer")
    prepared["answer"] = "" if answer is None else str(answer).strip()
    if not prepared["answer"]:
        raise ValueError("SUBMIT needs answer=: the answer in words, also when nothing was found.")
    evidence = prepared.get("evidence")
    if evidence is None:
        prepared["evidence"] = []
    elif isinstance(evidence, tuple | set | frozenset | list):
        prepared["evidence"] = list(evidence)
    else:
        prepared["evidence"] = [evidence]
    _check_query_runs(ontology, prepared["sparql"])
    return prepared


def _check_query_runs(ontology: Ontology, query: str) -> None:
    if not query.strip():
        return
    try:
        ontology.select(query, limit=1, timeout=_SECONDS)
    except QueryTimeout:
        # A slow query is no wrong query.
        return
    except QueryError as error:
        raise ValueError(
            f'SUBMIT was not accepted: sparql= does not run. {error} Mend it, or give sparql="".'
        ) from error
