"""The JSONL trajectory log: one event a line, written whole or not at all, and read back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from rlm_runtime.errors import LogFormatError
from rlm_runtime.logging.events import COMMON, EVENTS, SCHEMA_VERSION, Event

__all__ = ["JsonlSink", "LogReader", "dump_event"]


_compact = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def dump_event(event: Event) -> bytes:
    """Give an event as one line of JSON in UTF-8, with its line break."""
    try:
        return _compact(event).encode() + b"\n"
    except UnicodeEncodeError:
        # Lone surrogates, which LMs can produce, have no UTF-8 form; JSON's escapes hold them.
        return json.dumps(event, allow_nan=False).encode() + b"\n"


class JsonlSink:
    """Appends each event to a file with a single ``write``.

    The descriptor is append-only, so a killed process loses nothing that was emitted, and
    several runs, threads or processes can share a file.

    Args:
        path: The file; missing folders are made.

    Raises:
        OSError: The file cannot be opened for appending.

    Example:
        >>> import tempfile
        >>> from rlm_runtime.logging.stream import EventStream
        >>> path = Path(tempfile.mkdtemp()) / "log.jsonl"
        >>> sink = JsonlSink(path)
        >>> stream = EventStream("r1", "t1", [sink])
        >>> stream.emit("warning", None, None, category="disk", message="almost full")
        >>> stream.close()
        >>> [event["message"] for event in LogReader(path)]
        ['almost full']
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        self._descriptor: int | None = os.open(self.path, flags, 0o644)
        # A log whose last writer was killed in mid-line must not swallow our first event.
        self._torn = _ends_torn(self.path)

    def emit(self, event: Event) -> None:
        """Write one event."""
        if self._descriptor is None:
            raise ValueError(f"The log {self.path} was closed; a JsonlSink serves one run.")
        data = dump_event(event)
        if self._torn:
            data = b"\n" + data
        # Until all of it is written; a full disk can cut a line short, and raises at the next try.
        self._torn = True
        written = os.write(self._descriptor, data)
        while written < len(data):
            written += os.write(self._descriptor, data[written:])
        self._torn = False

    def close(self) -> None:
        """Close the file; calling it again does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _ends_torn(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


class LogReader:
    """Reads the events of a log, oldest first; iterate over it.

    Args:
        path: The file.
        run_id: Give only this run's events.

    Attributes:
        torn: Numbers of the lines, from 1, that were cut off by a killed writer and skipped.

    Raises:
        LogFormatError: While iterating: the file cannot be read, or a line holds no event of a
            known schema version.
    """

    def __init__(self, path: str | Path, *, run_id: str | None = None) -> None:
        self.path = Path(path).expanduser()
        self.torn: list[int] = []
        self._run_id = run_id

    def __iter__(self) -> Iterator[Event]:
        self.torn = []
        try:
            with self.path.open("rb") as file:
                for number, line in enumerate(file, start=1):
                    event = self.parse(line, number)
                    if event is None:
                        continue
                    self._check_fields(event, number)
                    if self._run_id is None or event.get("run_id") == self._run_id:
                        yield event
        except OSError as error:
            raise LogFormatError(
                f"Cannot read the log {self.path}: {error.strerror or error}."
            ) from error

    def parse(self, line: bytes, number: int) -> Event | None:
        """Give the event on a line, or None for an empty or torn one.

        Args:
            line: The line, with or without its line break.
            number: Its number in the file, from 1.
        """
        if not line.strip():
            return None
        try:
            event = json.loads(line)
        except ValueError as error:
            if not line.endswith(b"\n") or line.startswith(b'{"v":'):
                self.torn.append(number)
                return None
            raise LogFormatError(
                f"{self.path}, line {number}: this is no JSON ({error}). "
                "Is it a trajectory log of rlm_runtime?"
            ) from error
        if not isinstance(event, dict) or "event" not in event or "v" not in event:
            raise LogFormatError(
                f"{self.path}, line {number}: this JSON is no event. "
                "Is it a trajectory log of rlm_runtime?"
            )
        if event["v"] != SCHEMA_VERSION:
            raise LogFormatError(
                f"{self.path}, line {number}: schema version {event['v']!r} is not known "
                f"(this version reads {SCHEMA_VERSION}). Update rlm-runtime."
            )
        return event

    def _check_fields(self, event: Event, number: int) -> None:
        name = event["event"]
        own = EVENTS.get(name, {}) if isinstance(name, str) else {}
        missing = [field for field in (*COMMON, *own) if field not in event]
        if missing:
            raise LogFormatError(
                f"{self.path}, line {number}: the event {name!r} lacks {', '.join(missing)}. "
                "Was the log written by another program?"
            )
