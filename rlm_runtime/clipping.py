"""Cuts texts that are too long in their middle, and says in them how much is left out."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["clip", "clip_lines"]


def clip(text: str, limit: int, advice: str = "") -> str:
    """Cut a text to ``limit`` characters, head and tail kept, and say how much is left out.

    Args:
        text: The text.
        limit: Its most characters, the note of what is left out included.
        advice: What the note says to do about it.

    Example:
        >>> clip("0123456789" * 10, 40)
        '012345 [… 91 characters left out …] 789'
        >>> clip("short", 40)
        'short'
    """
    if len(text) <= limit:
        return text
    # As long as the note can get, so that the whole keeps within the limit.
    room = max(limit - len(f" [… {len(text)} characters left out{advice} …] "), 0)
    tail = room // 3
    head = room - tail
    note = f" [… {len(text) - room} characters left out{advice} …] "
    return f"{text[:head]}{note}{text[len(text) - tail :]}"[:limit]


def clip_lines(text: str, limit: int, advice: str = "") -> str:
    r"""Cut a text to about ``limit`` characters between lines, head and tail kept, and say so.

    Where long lines would leave less than half of that, it is cut within them.

    Args:
        text: The text.
        limit: Its most characters, beside a line that says how many are left out.
        advice: What that line says to do about it.

    Example:
        >>> print(clip_lines("\n".join("row %d" % n for n in range(100)), 30))
        row 0
        row 1
        row 2
        [... 96 lines cut ...]
        row 99
    """
    if len(text) <= limit:
        return text
    lines = text.split("\n")
    head, rest = _take(lines, limit * 2 // 3)
    tail, rest = _take(rest[::-1], limit - limit * 2 // 3)
    if 2 * sum(len(line) + 1 for line in (*head, *tail)) < limit:
        return clip(text, limit, advice)
    return "\n".join([*head, f"[... {len(rest)} lines cut{advice} ...]", *tail[::-1]])


def _take(lines: Sequence[str], room: int) -> tuple[list[str], list[str]]:
    taken = 0
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        taken += 1
    return list(lines[:taken]), list(lines[taken:])
