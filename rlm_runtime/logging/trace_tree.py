"""The events of one run as the tree of steps that a trace shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from rlm_runtime.errors import LogFormatError
from rlm_runtime.logging.events import PAIRS, Event

__all__ = ["Node", "build_tree", "require_start", "timestamp_ns"]

# Work of DSPy's own machinery, which would bury what the run did.
_HIDDEN = frozenset({"interpreter", "adapter"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Node:
    """One span to be: a part of the run, with the parts that it caused.

    Attributes:
        key: Unique in the run and the same whenever the tree is built again.
        kind: The event pair it came from (``run``, ``module``, ``lm`` …), or ``iteration`` or
            ``extract``, which stand for a turn of an RLM.
        name: What it is called.
        start: The event that began it.
        end: The event that ended it; None when the run stopped in the middle of it.
        started: Nanoseconds since 1970, UTC.
        ended: Likewise; the time of the run's last event when ``end`` is None.
        children: Its parts, oldest first.
        notes: The ``warning`` and ``budget`` events that came while it was the innermost.
    """

    key: str
    kind: str
    name: str
    start: Event
    end: Event | None
    started: int
    ended: int
    children: list[Node] = field(default_factory=list)
    notes: list[Event] = field(default_factory=list)

    @property
    def error(self) -> dict[str, str] | None:
        """What it raised: ``type``, ``message`` and ``traceback``; None when it went well."""
        if self.end is not None:
            return self.end["error"]
        return {
            "type": "Unfinished",
            "message": "No end was recorded: the run stopped in the middle of this.",
            "traceback": "",
        }

    def walk(self) -> Iterator[Node]:
        """Give this step and all below it, parents before their children."""
        pending: list[Node] = [self]
        while pending:
            step = pending.pop()
            yield step
            pending.extend(reversed(step.children))


def timestamp_ns(event: Event) -> int:
    """Give an event's time in nanoseconds since 1970, UTC.

    Example:
        >>> timestamp_ns({"ts": "1970-01-01T00:00:01.000002Z"})
        1000002000
    """
    # Whole microseconds: a float of seconds would lose the last digits.
    return (datetime.fromisoformat(event["ts"]) - _EPOCH) // timedelta(microseconds=1) * 1000


def build_tree(events: Sequence[Event]) -> Node:
    """Build the tree of a run from its events, in order of ``seq``, complete or cut off.

    The turns of an RLM become ``iteration k`` nodes, which hold the LM call and the cell. When
    the run has only one outermost RLM, its turns take its place and that of the modules around
    it: they hang on the run itself, or on the tool that began it. What names an unknown parent
    hangs on the run, too.

    Raises:
        LogFormatError: The events do not begin with ``run_start``.
    """
    require_start(events)
    root = _link(events)
    rlms = _outermost_rlms(root)
    for step in root.walk():
        if _is_rlm(step):
            step.children = _turns(step)
    if len(rlms) == 1:
        _lift(root, rlms[0])
    return root


def require_start(events: Sequence[Event]) -> None:
    """Raise a LogFormatError unless the events begin with ``run_start``."""
    if not events or events[0]["event"] != "run_start":
        raise LogFormatError(
            "These events do not begin with run_start, so they are no whole run; "
            "give all events of one run, in order of seq."
        )


def _link(events: Sequence[Event]) -> Node:
    """Pair starts with ends and hang each step on its parent."""
    ends = {e["span_id"]: e for e in events if e["event"].endswith("_end")}
    last = max(timestamp_ns(event) for event in (events[0], events[-1]))
    root: Node | None = None
    steps: dict[str | None, Node] = {}
    for event in events:
        kind, _, phase = event["event"].rpartition("_")
        parent = steps.get(event["parent_id"], root)
        if kind in PAIRS and phase == "start":
            if kind in _HIDDEN and parent is not None:
                steps[event["span_id"]] = parent
                continue
            started, end = timestamp_ns(event), ends.get(event["span_id"])
            step = Node(
                key=event["span_id"] or "",
                kind=kind,
                name=event.get("name") or event.get("model") or event.get("program") or kind,
                start=event,
                end=end,
                started=started,
                ended=max(started, timestamp_ns(end) if end else last),
            )
            steps[event["span_id"]] = step
            if parent is None:
                root = step
            else:
                parent.children.append(step)
        elif phase != "end" and parent is not None:
            parent.notes.append(event)
    assert root is not None, "the first event begins the run"
    return root


def _is_rlm(step: Node) -> bool:
    return step.kind == "module" and step.name == "RLM"


def _outermost_rlms(root: Node) -> list[Node]:
    found: list[Node] = []
    pending = [root]
    while pending:
        step = pending.pop()
        if _is_rlm(step):
            found.append(step)
        else:
            pending.extend(step.children)
    return found


def _writes_code(step: Node) -> bool:
    signature = (step.start.get("signature") or "").replace(" ", "")
    return step.kind == "module" and signature.endswith("->reasoning,code")


def _turns(rlm: Node) -> list[Node]:
    """Give an RLM's parts as its turns: each from one call of its predictor to the next."""
    turns: list[Node] = []
    turn: Node | None = None
    count = 0
    for child in rlm.children:
        if _writes_code(child):
            count += 1
            child.kind, child.name = "iteration", f"iteration {count}"
            turn = child
            turns.append(child)
        elif child.kind == "module":
            child.kind, child.name = "extract", "extract"
            turns.append(child)
        elif turn is None:
            turns.append(child)
        else:
            turn.children.append(child)
            turn.ended = max(turn.ended, child.ended)
    return turns


def _lift(root: Node, rlm: Node) -> None:
    """Put the RLM's turns in its place, and in that of the modules around it."""
    parents = {id(child): step for step in root.walk() for child in step.children}
    step = rlm
    while step is not root and step.kind == "module":
        parent = parents[id(step)]
        place = next(i for i, child in enumerate(parent.children) if child is step)
        parent.children[place : place + 1] = step.children
        parent.notes += step.notes
        for child in step.children:
            parents[id(child)] = parent
        step = parent
