"""One ordered stream of events per run, and the sinks that it feeds."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, runtime_checkable

from rlm_runtime.guard import shielded
from rlm_runtime.logging.events import SCHEMA_VERSION, Event

__all__ = ["EventStream", "Sink"]


@runtime_checkable
class Sink(Protocol):
    """Where events go. One sink serves one run.

    What a sink raises is swallowed with one TrackingWarning; it never reaches the run.
    """

    def emit(self, event: Event) -> None:
        """Take one event; called in the order of ``seq``, one at a time.

        Be quick, and copy what you change: all sinks share the event.
        """
        ...

    def close(self) -> None:
        """Finish; called once, after the last event. May wait, but only for a bounded time."""
        ...


class EventStream:
    """Numbers, stamps and hands out the events of one run; safe to use from many threads.

    Args:
        run_id: Identifies the run.
        trajectory_id: Groups runs that belong together.
        sinks: Where the events go, in this order.
        redact: Gives an event without what no sink may see; None lets them see everything.

    Example:
        >>> class Names:
        ...     def __init__(self):
        ...         self.seen = []
        ...     def emit(self, event):
        ...         self.seen.append((event["seq"], event["event"]))
        ...     def close(self):
        ...         self.seen.append("closed")
        >>> names = Names()
        >>> stream = EventStream("r1", "t1", [names])
        >>> stream.emit("warning", None, None, category="disk", message="almost full")
        >>> stream.close()
        >>> names.seen
        [(0, 'warning'), 'closed']
    """

    def __init__(
        self,
        run_id: str,
        trajectory_id: str,
        sinks: Sequence[Sink],
        redact: Callable[[Event], Event] | None = None,
    ) -> None:
        self.run_id = run_id
        self.trajectory_id = trajectory_id
        self._sinks = list(sinks)
        self._redact = redact
        # Re-entrant: a sink that runs DSPy itself must not hang the program.
        self._lock = threading.RLock()
        self._handing_out = False
        self._seq = 0
        self._ended = False
        self._closed = False
        # A forked child has a copy of the stream; the run is its parent's.
        self._process = os.getpid()

    def emit(self, event: str, span_id: str | None, parent_id: str | None, **fields: Any) -> None:
        """Send an event to every sink.

        What comes after ``run_end`` is dropped, and so is what a sink itself causes, or a forked
        child: none of it is part of the run.

        Args:
            event: Its name, one of ``EVENTS``.
            span_id: The span that it begins or ends, or None.
            parent_id: The span that caused it, or None at the root.
            **fields: The event's own fields, all of them plain JSON values.
        """
        if os.getpid() != self._process:
            return
        with self._lock:
            if self._ended or self._closed or self._handing_out:
                return
            self._ended = event == "run_end"
            record: Event = {
                "v": SCHEMA_VERSION,
                "seq": self._seq,
                "ts": datetime.now(UTC).isoformat(timespec="microseconds")[:26] + "Z",
                "event": event,
                "run_id": self.run_id,
                "trajectory_id": self.trajectory_id,
                "span_id": span_id,
                "parent_id": parent_id,
                **fields,
            }
            self._handing_out = True
            try:
                if self._redact is not None:
                    # What could not be redacted is not recorded.
                    with shielded("redact an event") as redacted:
                        record = self._redact(record)
                    if not redacted.ok:
                        return
                self._seq += 1
                for sink in self._sinks:
                    with shielded(f"record events with {type(sink).__name__}"):
                        sink.emit(record)
            finally:
                self._handing_out = False

    def close(self) -> None:
        """Close every sink; calling it again does nothing."""
        if os.getpid() != self._process:
            return
        with self._lock:
            if self._closed:
                return
            self._closed = True
        for sink in self._sinks:
            with shielded(f"close {type(sink).__name__}"):
                sink.close()
