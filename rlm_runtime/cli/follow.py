"""Follows a log that is being written: its lines as they become complete."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rlm_runtime.errors import LogFormatError
from rlm_runtime.logging.events import Event
from rlm_runtime.logging.jsonl import LogReader

__all__ = ["tail_events"]

_PAUSE = 0.1


def tail_events(
    path: Path, *, pause: Callable[[], None] = lambda: time.sleep(_PAUSE)
) -> Iterator[Event | None]:
    r"""Give the events of a log for ever, from its beginning, as their lines become complete.

    Args:
        path: The file; it may come into being later.
        pause: Waits before the next look at the file.

    Yields:
        Each event, and None whenever all there is so far has been given.

    Raises:
        LogFormatError: A complete line holds no event, or the file became shorter.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "log.jsonl"
        >>> events = tail_events(path, pause=lambda: None)
        >>> next(events) is None
        True
        >>> _ = path.write_text('{"v": 1, "event": "warning"}\n{"v": 1, "ev')
        >>> next(events)["event"], next(events)
        ('warning', None)
    """
    reader = LogReader(path)
    partial, number, position = b"", 0, 0
    while True:
        chunk = _read_from(path, position)
        position += len(chunk)
        *lines, partial = (partial + chunk).split(b"\n")
        for line in lines:
            number += 1
            event = reader.parse(line, number)
            if event is not None:
                yield event
        yield None
        pause()


def _read_from(path: Path, position: int) -> bytes:
    try:
        with path.open("rb") as file:
            if file.seek(0, 2) < position:
                raise LogFormatError(
                    f"The log {path} became shorter while it was followed: somebody else has "
                    "emptied or replaced it. Follow it again to see what it holds now."
                )
            file.seek(position)
            return file.read()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise LogFormatError(f"Cannot read the log {path}: {error.strerror or error}.") from error
