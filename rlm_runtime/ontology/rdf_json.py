"""What the JSON-LD parser leaves to its caller: a bound on how deep values are nested."""

from __future__ import annotations

from pathlib import Path

from rlm_runtime.errors import OntologyError
from rlm_runtime.ontology.rdf_bytes import RdfBytes

__all__ = ["RdfJson"]

_MAX_DEPTH = 1_000

_BRACKETS = bytes.maketrans(b"[]{}", b"()()")
_OTHERS = bytes(set(range(256)) - set(b"[]{}"))


class RdfJson:
    """A stream of JSON that is checked while the parser reads it.

    The parser recurses over nested values and ends the whole process when they are some
    thousands deep.

    Args:
        path: Named in errors.
        content: Not yet read.
    """

    def __init__(self, path: Path, content: RdfBytes) -> None:
        self._path = path
        self._content = content
        self._depth = 0
        self._in_string = False
        self._escape = b""

    def read(self, size: int = -1) -> bytes:
        """Give up to ``size`` bytes.

        Raises:
            OntologyError: Values are nested deeper than 1,000.
        """
        data = self._content.read(size)
        if self._depth_within(self._outside_strings(data)) > _MAX_DEPTH:
            raise OntologyError(
                f"{self._path} nests values deeper than {_MAX_DEPTH}, as attacks do. Flatten it, "
                "or save it as N-Quads."
            )
        return data

    def _outside_strings(self, data: bytes) -> bytes:
        text = (self._escape + data).replace(b"\\\\", b"")
        # Only the next bytes tell what a backslash at the end escapes.
        self._escape = b"\\" if text.endswith(b"\\") else b""
        parts = text.removesuffix(b"\\").replace(b'\\"', b"").split(b'"')
        outside = b" ".join(parts[self._in_string :: 2])
        self._in_string ^= len(parts) % 2 == 0
        return outside

    def _depth_within(self, text: bytes) -> int:
        """Take in the brackets of a text without strings; give a depth that it nowhere exceeds."""
        brackets = text.translate(_BRACKETS, _OTHERS)
        pairs = 0
        while pairs <= _MAX_DEPTH and len(fewer := brackets.replace(b"()", b"")) < len(brackets):
            brackets = fewer
            pairs += 1
        # What is left closes brackets of before, then opens some that stay open.
        opening = brackets.count(b"(")
        before = self._depth
        self._depth = max(0, before - (len(brackets) - opening)) + opening
        return max(before, self._depth) + pairs
