"""What MLflow can store: keys, params, tags and metrics brought into its bounds, visibly."""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Mapping
from typing import Any

from rlm_runtime.guard import quietly, warn_once

__all__ = ["MAX_PARAM", "MAX_TAG", "cut", "metric_values", "safe_key", "storable", "texts"]

MAX_PARAM = 6000
"""Characters of a param's value that MLflow keeps."""

MAX_TAG = 8000
"""Characters of a tag's value that MLflow keeps."""

_MAX_KEY = 250
_ILLEGAL_IN_KEYS = re.compile(r"[^\w.\-/: ]")


def storable(text: str) -> str:
    r"""Make text that every database and protocol takes: no lone surrogates, no NUL.

    Example:
        >>> storable("a" + chr(0xD800) + chr(0))
        'a\\ud800\\u0000'
    """
    if "\0" in text:
        text = text.replace("\0", "\\u0000")
    return text.encode("utf-8", "backslashreplace").decode()


def cut(text: str, limit: int) -> str:
    """Shorten text to a limit in characters, saying that it was cut and how long it was.

    Example:
        >>> cut("x" * 100, 40)
        'xxxxxxxxxx… [cut, 100 characters in all]'
        >>> cut("short", 40)
        'short'
    """
    text = storable(text)
    if len(text) <= limit:
        return text
    mark = f"… [cut, {len(text)} characters in all]"
    return text[: max(0, limit - len(mark))] + mark


def safe_key(name: str) -> str:
    """Turn any text into a legal MLflow key of at most 250 characters.

    Example:
        >>> safe_key("C# (2025)"), safe_key("../up"), safe_key("")
        ('C_ _2025_', '.._up', '_')
    """
    key = _ILLEGAL_IN_KEYS.sub("_", name)[:_MAX_KEY]
    # MLflow refuses keys that would leave their folder when used as a path.
    if not key or posixpath.normpath(key) != key or key.startswith(("/", "..")) or key == ".":
        key = key.replace("/", "_")
        key = "_" if key in ("", ".", "..") else key
    return key


def texts(values: Mapping[str, Any], limit: int) -> dict[str, str]:
    """Make params or tags of the values that are set, cut to a limit in characters.

    Example:
        >>> texts({"model": "gpt", "sub_model": None, "deep": 3}, 10)
        {'model': 'gpt', 'deep': '3'}
    """
    return {
        safe_key(str(name)): cut(str(value), limit)
        for name, value in values.items()
        if value is not None
    }


def metric_values(values: Mapping[str, Any]) -> dict[str, float]:
    """Make metrics of the values that are finite numbers; warn of the rest and leave it out.

    Example:
        >>> metric_values({"converged": True, "rows": 3, "judged": None})
        {'converged': 1.0, 'rows': 3.0}
    """
    metrics: dict[str, float] = {}
    for name, value in values.items():
        if value is None:
            continue
        number = quietly(lambda value=value: float(value), math.nan)
        if math.isfinite(number) and not isinstance(value, str):
            metrics[safe_key(str(name))] = number
        else:
            warn_once(
                f"metric {name}",
                f"The metric {name} was not logged: {value!r:.100} is no finite number.",
            )
    return metrics
