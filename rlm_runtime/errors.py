"""The error tree: every error this package raises on purpose, and its one warning."""

from __future__ import annotations

__all__ = [
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
]


class RlmError(Exception):
    """Base of every error raised by rlm_runtime.

    A message says what happened, to what, and what to do about it.

    Example:
        >>> issubclass(QueryTimeout, QueryError) and issubclass(QueryError, RlmError)
        True
    """


class ConfigurationError(RlmError):
    """The caller's settings cannot work: no model, a missing key, an unknown option."""


class OntologyError(RlmError):
    """A source of RDF cannot be opened or read; names the file and, if known, the line."""


class QueryError(RlmError):
    """A SPARQL query failed: a syntax error, an unknown prefix, a failing endpoint."""


class QueryTimeout(QueryError):
    """A query ran longer than its time bound. It never means "no results"."""


class QueryRejected(QueryError):
    """The read-only guard refused the query: an update form, SERVICE, or a foreign dataset."""


class SandboxError(RlmError):
    """The sandbox itself failed or a limit ended it; the code cannot repair this."""


class BudgetExceeded(RlmError):
    """A budget of the run (tokens, cost or time) is used up.

    Args:
        kind: Which budget: ``max_tokens``, ``max_cost`` or ``timeout``.
        limit: The bound, in tokens, US dollars or seconds.
        used: What was used when the run was stopped, in the same unit.
    """

    def __init__(self, kind: str, limit: float, used: float) -> None:
        super().__init__(
            f"The budget {kind}={limit:g} is used up ({used:g}). "
            f"Raise {kind}, ask a narrower question, or use a cheaper model."
        )
        self.kind = kind
        self.limit = limit
        self.used = used


class LogFormatError(RlmError):
    """A trajectory log holds something that is not an event of a known schema version."""


class MemoryStoreError(RlmError):
    """A store of memories cannot be opened, read or written, or a pack of them is broken."""


class TrackingWarning(UserWarning):
    """Recording or tracking failed; the observed run itself goes on unharmed."""
