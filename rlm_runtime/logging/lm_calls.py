"""What an LM call holds: messages, parameters, usage, cost, cache hits."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from dspy.utils.callback_context import ACTIVE_CALL_ID

from rlm_runtime.plain import plain

__all__ = ["LmHistory", "call_messages", "call_params", "call_result"]


class LmHistory:
    """Catches DSPy's history entry of every LM call, by call id.

    DSPy appends an entry, with usage and cost, to the ``history`` of each caller module while
    the LM call is still the active one; an LM's own ``history[-1]`` would race under batched
    calls. Put into ``caller_modules`` by ``dspy.context``, this object stands in for a module.
    """

    def __init__(self) -> None:
        self.history = self
        self._entries: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def append(self, entry: dict[str, Any]) -> None:
        """Keep the entry for the call in progress."""
        call_id = ACTIVE_CALL_ID.get()
        if call_id is not None:
            with self._lock:
                self._entries[call_id] = entry

    def pop(self, index: int) -> None:
        """Do nothing: entries go when they are taken, so that DSPy need not trim them."""

    def __len__(self) -> int:
        return 0

    def take(self, call_id: str) -> dict[str, Any] | None:
        """Give and forget the entry of a call; None if DSPy's history is disabled."""
        with self._lock:
            return self._entries.pop(call_id, None)


def call_messages(inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give an LM call's messages as ``{"role", "content"}`` objects."""
    messages = inputs.get("messages")
    prompt: Any = inputs.get("prompt")
    if messages is None and hasattr(prompt, "messages"):
        # A dspy.lm15.Request keeps its system text apart.
        system = [{"role": "system", "content": prompt.system}] if prompt.system else []
        messages = [*system, *prompt.messages]
    if messages is None:
        return [{"role": "user", "content": plain(prompt)}]
    return [_message(message) for message in messages]


def _message(message: Any) -> dict[str, Any]:
    if isinstance(message, Mapping):
        return plain(message)
    text = getattr(message, "text", None)
    return {
        "role": str(getattr(message, "role", "user")),
        "content": text if isinstance(text, str) else plain(message),
    }


def call_params(lm: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Give the parameters of a call that are set."""
    merged = {**getattr(lm, "kwargs", {}), **(inputs.get("kwargs") or {})}
    return plain({name: v for name, v in merged.items() if v is not None})


def call_result(outputs: Any, entry: Mapping[str, Any] | None) -> dict[str, Any]:
    """Give the fields of ``lm_end`` from the call's outputs and DSPy's history entry.

    A cached call reports no tokens and no cost of its own: nothing was paid for it.
    """
    text = getattr(outputs, "text", None)
    result: dict[str, Any] = {
        "outputs": [text] if isinstance(text, str) else plain(outputs),
        "usage": None,
        "cost_usd": None,
        "cache_hit": False,
        "response_model": None,
    }
    if entry is None:
        return result
    usage = _usage(entry.get("usage"))
    response = entry.get("response")
    cached = usage is None and (
        bool(getattr(response, "cache_hit", False)) or _response_usage(response) is not None
    )
    return result | {
        "usage": {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0} if cached else usage,
        "cost_usd": 0.0 if cached else entry.get("cost"),
        "cache_hit": cached,
        "response_model": entry.get("response_model"),
    }


def _usage(usage: Any) -> dict[str, int] | None:
    if not isinstance(usage, Mapping):
        return None
    given = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if given == (None, None):
        return None
    prompt, completion = (int(count or 0) for count in given)
    total = int(usage.get("total_tokens") or prompt + completion)
    return {"input_tokens": prompt, "output_tokens": completion, "total_tokens": total}


def _response_usage(response: Any) -> Any:
    """Give the usage that the provider once reported; DSPy keeps it in a cached response."""
    usage = getattr(response, "usage", None)
    if isinstance(usage, Mapping):
        return usage or None
    return usage if getattr(usage, "input_tokens", None) is not None else None
