"""Procedural memory: what earlier runs taught, kept, found again, judged and exchanged."""

from __future__ import annotations

from rlm_runtime.memory.protocol import (
    Judgment,
    Memory,
    MemoryBackend,
    MemoryFilters,
    MemoryUsage,
    Retrieved,
    StoredRun,
    StoreStats,
    Trajectory,
)
from rlm_runtime.memory.sqlite import SQLiteMemoryBackend

__all__ = [
    "Judgment",
    "Memory",
    "MemoryBackend",
    "MemoryFilters",
    "MemoryUsage",
    "Retrieved",
    "SQLiteMemoryBackend",
    "StoreStats",
    "StoredRun",
    "Trajectory",
]
