"""Brings the events of a run, as they come, into the order of its tree, for printing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from rlm_runtime.logging.events import PAIRS, Event

__all__ = ["Node", "TreeOrder", "View"]

# Calls told in one line with what came of them: worth printing only when they are over.
_MEMORY = frozenset(kind for kind in PAIRS if kind.startswith("memory_"))
_WHOLE = frozenset({"adapter", "interpreter", "lm", "tool"}) | _MEMORY


@dataclass
class Node:
    """A span of a run, or a single event, with what it caused.

    Attributes:
        kind: ``run``, ``module``, ``lm``, ``code``, ``tool`` …, or the name of a single event.
        start: The event that began it; None for a run whose start is missing.
        parent: What caused it; None for the run.
        end: The event that ended it; None while it goes on, and when it never ended.
        over: True when nothing more will come of it.
        children: What it caused, in order of their starts.
        indent: Level of indentation; for the view.
        hidden: True when only its children are to be shown, None when that is not decided yet; for
            the view.
    """

    kind: str
    start: Event | None
    parent: Node | None = None
    end: Event | None = None
    over: bool = False
    children: list[Node] = field(default_factory=list)
    indent: int = 0
    hidden: bool | None = None


class View(Protocol):
    """What prints a tree."""

    def enter(self, node: Node) -> None:
        """Begin a node; its children come next."""
        ...

    def leave(self, node: Node) -> None:
        """End a node; ``node.end`` is None when it never ended."""
        ...


class TreeOrder:
    """Walks a view through the tree of one run, as early as the order of the tree allows.

    What runs one after the other is shown as it happens; of what runs in parallel, a later
    branch waits until the earlier one is over.

    Args:
        view: What prints it.

    Example:
        >>> class Names:
        ...     def enter(self, node):
        ...         print("enter", node.kind)
        ...     def leave(self, node):
        ...         print("leave", node.kind)
        >>> order = TreeOrder(Names())
        >>> order.add({"event": "run_start", "span_id": "r", "parent_id": None})
        enter run
        >>> order.add({"event": "warning", "span_id": None, "parent_id": "r"})
        enter warning
        leave warning
        >>> order.finish()
        leave run
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._root: Node | None = None
        self._open: dict[str, Node] = {}
        # The nodes being shown, outermost first, each with how many of its children are.
        self._path: list[tuple[Node, int]] = []

    @property
    def over(self) -> bool:
        """True when the run has ended and all of it is shown."""
        return self._root is not None and not self._path

    def add(self, event: Event) -> None:
        """Take the next event of the run."""
        kind, _, edge = event["event"].rpartition("_")
        paired = kind in PAIRS
        if self._root is None:
            self._begin(event if event["event"] == "run_start" else None)
            if event["event"] == "run_start":
                return
        if paired and edge == "start":
            self._hang(Node(kind, event), event)
        elif event["event"] == "run_end":
            self._end_run(event)
        elif paired:
            node = self._open.pop(event["span_id"], None)
            if node is not None:
                node.end, node.over = event, True
        else:
            self._hang(Node(event["event"], event, over=True), event)
        self._advance()

    def finish(self) -> None:
        """Show the rest of a run of which no more events will come."""
        if not self.over:
            self._end_run(None)
            self._advance()

    def _begin(self, start: Event | None) -> None:
        self._root = Node("run", start)
        self._path = [(self._root, 0)]
        self._view.enter(self._root)

    def _hang(self, node: Node, event: Event) -> None:
        # What outlives its parent, or names an unknown one, hangs on the run.
        node.parent = self._open.get(event["parent_id"] or "", self._root)
        if node.parent is not None:
            node.parent.children.append(node)
        if not node.over and event["span_id"]:
            self._open[event["span_id"]] = node

    def _end_run(self, end: Event | None) -> None:
        if self._root is None:
            self._begin(None)
        assert self._root is not None
        for node in self._open.values():
            node.over = True
        self._open.clear()
        self._root.end, self._root.over = end, True

    def _advance(self) -> None:
        while self._path:
            node, shown = self._path[-1]
            if shown < len(node.children):
                child = node.children[shown]
                if child.kind in _WHOLE and not child.over:
                    return
                self._path[-1] = (node, shown + 1)
                self._path.append((child, 0))
                self._view.enter(child)
            elif node.over:
                self._path.pop()
                self._view.leave(node)
            else:
                return
