"""Turns the values of a memory store into rows of its tables, and back."""

from __future__ import annotations

import datetime
import json
import sqlite3
from typing import Any

from rlm_runtime.memory.protocol import (
    Judgment,
    Memory,
    MemoryFilters,
    MemoryUsage,
    StoredRun,
    Trajectory,
)
from rlm_runtime.plain import to_json
from rlm_runtime.types import Step

__all__ = [
    "MEMORY_COLUMNS",
    "judgment_from_row",
    "judgment_row",
    "memory_from_row",
    "memory_row",
    "now",
    "passing",
    "run_row",
    "text",
    "trajectory_from_row",
    "trajectory_row",
    "usage_from_row",
]

MEMORY_COLUMNS = """
memory_items.title, memory_items.content, memory_items.description, memory_items.kind,
memory_items.source, memory_items.ontology, memory_items.query, memory_items.level,
memory_items.run_id, memory_items.created_at, memory_items.accessed, memory_items.succeeded,
memory_items.failed, memory_items.retired,
(SELECT json_group_array(tag) FROM memory_tags
  WHERE memory_tags.memory_id = memory_items.memory_id) AS tags
"""
"""SQL of what ``memory_from_row`` reads: ``SELECT {MEMORY_COLUMNS} FROM memory_items``."""


def now() -> str:
    """Give this moment as RFC 3339, UTC, microseconds."""
    moment = datetime.datetime.now(datetime.UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def text(value: Any) -> str:
    r"""Give what a text column keeps of a value: text that is valid UTF-8.

    Example:
        >>> text("a\ud800"), text(None), text({"b": 1})
        ('a\\ud800', '', '{"b": 1}')
    """
    if value is None:
        return ""
    told = value if isinstance(value, str) else to_json(value)
    return told.encode("utf-8", "backslashreplace").decode()


def passing(filters: MemoryFilters) -> tuple[str, list[Any]]:
    """Give the SQL condition on ``memory_items`` for what filters let pass, and its parameters.

    The level is a preference, no condition.

    Example:
        >>> passing(MemoryFilters(kind="strategy"))
        ('NOT memory_items.retired AND memory_items.kind = ?', ['strategy'])
    """
    conditions: list[str] = []
    values: list[Any] = []
    if not filters.retired:
        conditions.append("NOT memory_items.retired")
    if filters.ontology is not None:
        conditions.append("(memory_items.ontology IS NULL OR memory_items.ontology = ?)")
        values.append(text(filters.ontology))
    for column in ("kind", "source", "query"):
        wanted = getattr(filters, column)
        if wanted is not None:
            conditions.append(f"memory_items.{column} = ?")
            values.append(text(wanted))
    for tag in filters.tags:
        conditions.append(
            "EXISTS (SELECT 1 FROM memory_tags WHERE memory_tags.tag = ?"
            " AND memory_tags.memory_id = memory_items.memory_id)"
        )
        values.append(text(tag))
    if filters.min_success_rate is not None:
        judged = "(memory_items.succeeded + memory_items.failed)"
        conditions.append(f"({judged} = 0 OR memory_items.succeeded >= ? * {judged})")
        values.append(filters.min_success_rate)
    return " AND ".join(conditions) or "1", values


def memory_row(memory: Memory) -> dict[str, Any]:
    """Give the row of ``memory_items`` for a memory; its tags are rows of their own."""
    return {
        "memory_id": memory.memory_id,
        "title": text(memory.title),
        "content": text(memory.content),
        "description": text(memory.description),
        "kind": memory.kind,
        "source": memory.source,
        "ontology": None if memory.ontology is None else text(memory.ontology),
        "query": text(memory.query),
        "level": memory.level,
        "run_id": None if memory.run_id is None else text(memory.run_id),
        "created_at": memory.created_at or now(),
        "accessed": memory.accessed,
        "succeeded": memory.succeeded,
        "failed": memory.failed,
        "retired": memory.retired,
    }


def memory_from_row(row: sqlite3.Row) -> Memory:
    """Give the memory of a row that has ``MEMORY_COLUMNS``, among others perhaps."""
    return Memory(
        title=row["title"],
        content=row["content"],
        description=row["description"],
        kind=row["kind"],
        source=row["source"],
        ontology=row["ontology"],
        query=row["query"],
        level=row["level"],
        tags=tuple(sorted(json.loads(row["tags"]))),
        run_id=row["run_id"],
        created_at=row["created_at"],
        accessed=row["accessed"],
        succeeded=row["succeeded"],
        failed=row["failed"],
        retired=bool(row["retired"]),
    )


def run_row(run: StoredRun) -> dict[str, Any]:
    """Give the row of ``runs`` for a run."""
    return {
        "run_id": text(run.run_id),
        "trajectory_id": text(run.trajectory_id or run.run_id),
        "query": text(run.query),
        "ontology": text(run.ontology),
        "model": text(run.model),
        "converged": None if run.converged is None else bool(run.converged),
        "stop_reason": None if run.stop_reason is None else text(run.stop_reason),
        "created_at": run.created_at or now(),
        "metadata": to_json(run.metadata),
    }


def trajectory_row(trajectory: Trajectory) -> dict[str, Any]:
    """Give the row of ``trajectories`` for a trajectory."""
    return {
        "run_id": text(trajectory.run_id),
        "steps": to_json(trajectory.steps),
        "answer": text(trajectory.answer),
        "sparql": text(trajectory.sparql),
        "evidence": to_json(trajectory.evidence),
    }


def trajectory_from_row(row: sqlite3.Row) -> Trajectory:
    """Give the trajectory of a row."""
    return Trajectory(
        run_id=row["run_id"],
        steps=tuple(Step(**step) for step in json.loads(row["steps"])),
        answer=row["answer"],
        sparql=row["sparql"],
        evidence=json.loads(row["evidence"]),
    )


def judgment_row(judgment: Judgment) -> dict[str, Any]:
    """Give the row of ``judgments`` for a judgment."""
    return {
        "run_id": text(judgment.run_id),
        "success": bool(judgment.success),
        "reason": text(judgment.reason),
        "confidence": float(judgment.confidence),
        "judge": text(judgment.judge),
        "created_at": judgment.created_at or now(),
    }


def judgment_from_row(row: sqlite3.Row) -> Judgment:
    """Give the judgment of a row."""
    return Judgment(
        run_id=row["run_id"],
        success=bool(row["success"]),
        reason=row["reason"],
        confidence=row["confidence"],
        judge=row["judge"],
        created_at=row["created_at"],
    )


def usage_from_row(row: sqlite3.Row) -> MemoryUsage:
    """Give the usage of a row."""
    success = row["success"]
    return MemoryUsage(
        memory_id=row["memory_id"],
        run_id=row["run_id"],
        rank=row["rank"],
        score=row["score"],
        success=None if success is None else bool(success),
    )
