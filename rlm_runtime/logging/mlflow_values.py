"""What MLflow can store: keys, params, tags and metrics brought into its bounds, visibly."""

from __future__ import annotations

import hashlib
import math
import posixpath
import re
from collections.abc import Mapping
from typing import Any

from rlm_runtime.guard import quietly, warn_once

__all__ = [
    "MAX_PARAM",
    "MAX_TAG",
    "cut",
    "metric_values",
    "overlong",
    "safe_key",
    "storable",
    "texts",
]

MAX_PARAM = 6000
"""Characters of a param's value that MLflow keeps."""

MAX_TAG = 8000
"""Characters of a tag's value that MLflow keeps."""

_MAX_KEY = 250
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,80}")
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


def cut(text: str, limit: int, whole: str = "") -> str:
    """Shorten text to a limit in characters, saying that it was cut and how long it was.

    Args:
        text: The text.
        limit: Characters, those of the mark included.
        whole: Name of the artifact that holds all of it; becomes part of the mark.

    Example:
        >>> cut("x" * 100, 40)
        'xxxxxxxxxx… [cut, 100 characters in all]'
        >>> cut("x" * 100, 50, "params/query.txt")
        'xx… [cut, 100 characters in all: params/query.txt]'
        >>> cut("short", 40)
        'short'
    """
    text = storable(text)
    if len(text) <= limit:
        return text
    mark = f"… [cut, {len(text)} characters in all{': ' if whole else ''}{whole}]"
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


def _keyed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Give the values that are set under legal keys, no two the same.

    Example:
        >>> _keyed({"C#": 1, "C+": 2, "unset": None})
        {'C_': 1, 'C__2': 2}
    """
    keyed: dict[str, Any] = {}
    for name, value in values.items():
        if value is None:
            continue
        key = plain_key = safe_key(str(name))
        count = 1
        while key in keyed:
            count += 1
            key = f"{plain_key[: _MAX_KEY - 8]}_{count}"
        keyed[key] = value
    return keyed


def texts(values: Mapping[str, Any], limit: int, folder: str = "") -> dict[str, str]:
    """Make params or tags of the values that are set, cut to a limit in characters.

    Args:
        values: By name.
        limit: Characters that MLflow keeps of a value.
        folder: Where ``overlong`` has the whole of what was cut.

    Example:
        >>> texts({"model": "gpt", "sub_model": None, "deep": 3}, 10)
        {'model': 'gpt', 'deep': '3'}
    """
    return {
        key: cut(str(value), limit, _whole_in(folder, key)) for key, value in _keyed(values).items()
    }


def overlong(values: Mapping[str, Any], limit: int, folder: str) -> dict[str, str]:
    """Give the whole of the values that ``texts`` cuts, by names of artifacts.

    Example:
        >>> overlong({"query": "long" * 3, "model": "gpt"}, 10, "params")
        {'params/query.txt': 'longlonglong'}
    """
    return {
        _whole_in(folder, key): storable(str(value))
        for key, value in _keyed(values).items()
        if len(storable(str(value))) > limit
    }


def _whole_in(folder: str, key: str) -> str:
    if not folder:
        return ""
    if not _PLAIN_NAME.fullmatch(key):
        # File systems are narrower than MLflow's keys, and no two keys may meet in one file.
        digest = hashlib.sha256(key.encode()).hexdigest()[:8]
        key = f"{re.sub('[^A-Za-z0-9_.-]', '_', key)[:80]}-{digest}"
    return f"{folder}/{key}.txt"


def metric_values(values: Mapping[str, Any]) -> dict[str, float]:
    """Make metrics of the values that are finite numbers; warn of the rest and leave it out.

    Example:
        >>> metric_values({"converged": True, "rows": 3, "judged": None})
        {'converged': 1.0, 'rows': 3.0}
    """
    metrics: dict[str, float] = {}
    for name, value in _keyed(values).items():
        number = quietly(lambda value=value: float(value), math.nan)
        if math.isfinite(number) and not isinstance(value, str):
            metrics[name] = number
        else:
            warn_once(
                f"metric {name}",
                f"The metric {name} was not logged: {value!r:.100} is no finite number.",
            )
    return metrics
