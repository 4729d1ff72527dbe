"""rlm_runtime: the flight recorder for DSPy programs, first of all for RLMs over RDF ontologies.

Names are imported on first use, so that ``import rlm_runtime`` itself is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlm_runtime.engine.dspy_rlm import arun_dspy_rlm, run_dspy_rlm
    from rlm_runtime.engine.offline import OfflineLM
    from rlm_runtime.engine.program import OntologyRLM
    from rlm_runtime.errors import (
        BudgetExceeded,
        ConfigurationError,
        LogFormatError,
        MemoryStoreError,
        OntologyError,
        QueryError,
        QueryRejected,
        QueryTimeout,
        RlmError,
        SandboxError,
        TrackingWarning,
    )
    from rlm_runtime.evals import evaluate_memory
    from rlm_runtime.logging.mlflow_import import import_logs
    from rlm_runtime.logging.mlflow_search import FoundRun, search_runs
    from rlm_runtime.logging.mlflow_sync import sync
    from rlm_runtime.logging.observe import observe
    from rlm_runtime.memory import SQLiteMemoryBackend
    from rlm_runtime.ontology import open_ontology
    from rlm_runtime.redaction import redact_secrets
    from rlm_runtime.types import RunResult
    from rlm_runtime.types import RunResult as DSPyRLMResult

__version__ = "0.1.0"

_HOMES = {
    "rlm_runtime.evals": ("evaluate_memory",),
    "rlm_runtime.engine.dspy_rlm": ("arun_dspy_rlm", "run_dspy_rlm"),
    "rlm_runtime.engine.offline": ("OfflineLM",),
    "rlm_runtime.engine.program": ("OntologyRLM",),
    "rlm_runtime.errors": (
        "BudgetExceeded",
        "ConfigurationError",
        "LogFormatError",
        "MemoryStoreError",
        "OntologyError",
        "QueryError",
        "QueryRejected",
        "QueryTimeout",
        "RlmError",
        "SandboxError",
        "TrackingWarning",
    ),
    "rlm_runtime.logging.mlflow_import": ("import_logs",),
    "rlm_runtime.logging.mlflow_search": ("FoundRun", "search_runs"),
    "rlm_runtime.logging.mlflow_sync": ("sync",),
    "rlm_runtime.logging.observe": ("observe",),
    "rlm_runtime.memory": ("SQLiteMemoryBackend",),
    "rlm_runtime.ontology": ("open_ontology",),
    "rlm_runtime.redaction": ("redact_secrets",),
    "rlm_runtime.types": ("RunResult",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "BudgetExceeded",
    "ConfigurationError",
    "DSPyRLMResult",
    "FoundRun",
    "LogFormatError",
    "MemoryStoreError",
    "OfflineLM",
    "OntologyError",
    "OntologyRLM",
    "QueryError",
    "QueryRejected",
    "QueryTimeout",
    "RlmError",
    "RunResult",
    "SQLiteMemoryBackend",
    "SandboxError",
    "TrackingWarning",
    "__version__",
    "arun_dspy_rlm",
    "evaluate_memory",
    "import_logs",
    "observe",
    "open_ontology",
    "redact_secrets",
    "run_dspy_rlm",
    "search_runs",
    "sync",
]


def __getattr__(name: str) -> Any:
    real = "RunResult" if name == "DSPyRLMResult" else name
    if real not in _HOME_OF:
        raise AttributeError(f"module 'rlm_runtime' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[real]), real)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
