"""Finds the LM that a run is to use, and says clearly when there is none."""

from __future__ import annotations

import os
from typing import Any

import dspy

from rlm_runtime.errors import ConfigurationError

__all__ = ["MODEL_VARIABLE", "resolve_model"]

MODEL_VARIABLE = "RLM_MODEL"

# The variables in which LiteLLM looks for a provider's key; any one of them will do. Providers
# that take other credentials (cloud logins, local servers) are left to their own errors.
_KEYS = {
    "anthropic": ("ANTHROPIC_API_KEY",),
    "cohere": ("COHERE_API_KEY", "CO_API_KEY"),
    "deepseek": ("DEEPSEEK_API_KEY",),
    "fireworks_ai": ("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY"),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "groq": ("GROQ_API_KEY",),
    "mistral": ("MISTRAL_API_KEY",),
    "openai": ("OPENAI_API_KEY",),
    "openrouter": ("OPENROUTER_API_KEY",),
    "perplexity": ("PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"),
    "together_ai": ("TOGETHERAI_API_KEY", "TOGETHER_API_KEY"),
}


def resolve_model(
    model: str | dspy.BaseLM | None,
    *,
    api_base: str | None = None,
) -> dspy.BaseLM:
    """Give the LM for a model name.

    Args:
        model: A LiteLLM name (``provider/model``), ``"offline"``, an LM, or None for the LM
            configured in DSPy, else the one that the variable ``RLM_MODEL`` names.
        api_base: Address of an endpoint that speaks the provider's protocol; for names only.

    Raises:
        ConfigurationError: There is no model, its name is wrong, or its credentials are missing.

    Example:
        >>> resolve_model("offline").model
        'offline'
    """
    if isinstance(model, dspy.BaseLM):
        return model
    if model is None and dspy.settings.lm is not None:
        return dspy.settings.lm
    name = model or os.environ.get(MODEL_VARIABLE)
    if not name:
        raise ConfigurationError(
            "No model is set. Give model= a LiteLLM name such as 'openai/gpt-4o-mini', a dspy.LM, "
            f"or 'offline' (no key needed); or set {MODEL_VARIABLE}, or call "
            "dspy.configure(lm=...)."
        )
    if not isinstance(name, str):
        raise ConfigurationError(
            f"model= takes a LiteLLM name, a dspy.BaseLM or 'offline', not {type(name).__name__}."
        )
    if name == "offline":
        from rlm_runtime.engine.offline import OfflineLM

        return OfflineLM()
    options: dict[str, Any] = {}
    missing = _missing_key(name)
    if api_base is not None:
        options["api_base"] = api_base
        if missing:
            # Local endpoints want no key, but the clients insist on some value.
            options["api_key"] = "unused"
    elif missing:
        raise ConfigurationError(
            f"The model {name!r} needs {missing} in the environment. Set it, give "
            "api_base= for an endpoint that wants no key, or use model='offline'."
        )
    try:
        return dspy.LM(name, **options)
    except ValueError as error:
        raise ConfigurationError(f"The model {name!r} cannot be used: {error}") from error


def _missing_key(name: str) -> str | None:
    """Give the variable that the model's provider wants and that is not set, if we know it."""
    wanted = _KEYS.get(name.partition("/")[0], ())
    return None if not wanted or any(os.environ.get(key) for key in wanted) else wanted[0]
