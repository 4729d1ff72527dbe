"""What all rules share: the marker, and a quick look whether a text is worth a slower one."""

from __future__ import annotations

import functools
from collections.abc import Callable

__all__ = ["MARKER", "may_match"]

MARKER = "[redacted]"
"""Stands where a secret was."""


def may_match(pattern: str, text: str) -> bool:
    """Tell whether a pattern occurs in a text, at some 400 MB a second.

    The pattern is searched by Rust's linear-time regular expressions, which pydantic brings
    along: there is no look-around, and no text can make them slow.

    Example:
        >>> may_match("(?i:secret)", "no Secret here")
        True
    """
    # A lone surrogate has no UTF-8 form; it is no part of a secret either.
    return _matcher(pattern)(text if text.isascii() else text.encode("utf-8", "replace"))


@functools.lru_cache(maxsize=64)
def _matcher(pattern: str) -> Callable[[str | bytes], bool]:
    # Imported here: it is not needed before there is something to look over.
    from pydantic_core import SchemaValidator, core_schema

    return SchemaValidator(core_schema.str_schema(pattern=pattern)).isinstance_python
