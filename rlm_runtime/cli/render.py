"""Renders what a run does: an RLM's steps, other programs' modules, LM calls, tools, errors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rlm_runtime.cli.output import Page, one_line
from rlm_runtime.cli.tree import Node
from rlm_runtime.cli.words import (
    call_words,
    cost_words,
    joined,
    result_words,
    shorten,
    time_words,
    token_words,
    value_text,
)
from rlm_runtime.logging.console import memory_words
from rlm_runtime.logging.events import PAIRS, Event

__all__ = ["StepsView", "show_error"]

_STEP = 2
_FIELD = 80
_LINE = 240
_NAMES_ERROR = re.compile(r"\w*(Error|Exception): ")


def show_error(page: Page, error: Mapping[str, str], *, indent: int, full: bool) -> None:
    """Print the ``error`` of an event in red; with ``full`` its traceback too."""
    kind, message = error["type"], error["message"].strip()
    # What a cell raised names its own error, at the end of the lines that lead there.
    named = message.startswith(kind) or _NAMES_ERROR.match(message.rpartition("\n")[2])
    text = message if named else f"{kind}: {message}".rstrip(": ")
    page.line("✗ ", text.replace("\n", "\n  "), style="red", indent=indent)
    if full and error["traceback"].strip():
        page.line(error["traceback"].rstrip(), style="dim", indent=indent, gutter="│ ")


class StepsView:
    """Prints the parts of a run as they come, each as soon as its place in the tree allows.

    The turns of an RLM are numbered steps; the modules around the first RLM are not shown.

    Args:
        page: Where to print.
        full: True cuts nothing, and shows tools' results, tracebacks and adapters.
        prompts: True shows the messages and completion of each LM call.
    """

    def __init__(self, page: Page, *, full: bool = False, prompts: bool = False) -> None:
        self.page = page
        self.full = full
        self._prompts = prompts
        self._rlms = 0
        self._steps: dict[int, int] = {}

    def enter(self, node: Node) -> None:
        """Begin a part."""
        parent = node.parent
        if parent is not None:
            if parent.hidden is None and parent.kind != "run":
                self._decide(parent, _is_rlm(node))
            if parent.kind != "run":
                node.indent = parent.indent + (0 if parent.hidden else _STEP)
        getattr(self, f"_enter_{node.kind}", self._enter_module)(node)

    def leave(self, node: Node) -> None:
        """End a part."""
        getattr(self, f"_leave_{node.kind}", self._leave_leaf)(node)

    # The run: how it begins and ends is for others to show

    def _enter_run(self, node: Node) -> None:
        node.hidden = True

    def _leave_run(self, node: Node) -> None:
        """Show nothing."""

    # Modules

    def _decide(self, module: Node, holds_rlm: bool) -> None:
        """Show a module's head, unless it is but the wrapping of the first RLM."""
        module.hidden = holds_rlm and not self._rlms
        if not module.hidden and module.start is not None:
            self._head(module, module.start)

    def _head(self, module: Node, start: Event) -> None:
        signature = start.get("signature")
        self.page.line(
            (start["name"], "bold"),
            (f"  {signature}" if signature else "", "dim"),
            indent=module.indent,
        )
        around = (module.parent and module.parent.start) or {}
        self._fields(start["inputs"], [around.get("inputs")], module.indent + _STEP, "cyan")

    def _fields(self, values: object, known: Sequence[object], indent: int, style: str) -> None:
        """Show fields, but those that the neighbours in the tree have shown already."""
        if not isinstance(values, Mapping):
            values = {"result": values}
        for name, value in values.items():
            if any(isinstance(other, Mapping) and other.get(name) == value for other in known):
                continue
            text = value_text(value)
            if self.full:
                self.page.line((f"{name}: ", style), text, indent=indent)
            else:
                self.page.line((f"{name}: ", style), one_line(text, _FIELD), indent=indent)

    def _enter_module(self, node: Node) -> None:
        assert node.start is not None
        if _is_rlm(node):
            first = not self._rlms
            self._rlms += 1
            node.hidden = first and (node.parent is None or bool(node.parent.hidden))
            if not node.hidden:
                self._head(node, node.start)
        elif _in_memory(node) and not self.full:
            # What came of judging and extracting is told already.
            node.hidden = True
        elif node.parent is not None and _is_rlm(node.parent):
            node.hidden = False
            self.page.blank()
            self.page.rule(self._step_title(node), indent=node.indent)

    def _step_title(self, node: Node) -> str:
        if not _writes_code(node):
            return "answer from the steps so far"
        number = self._steps.get(id(node.parent), 0) + 1
        self._steps[id(node.parent)] = number
        return f"step {number}"

    def _leave_module(self, node: Node) -> None:
        assert node.start is not None
        if node.hidden is None:
            self._decide(node, False)
        below = node.indent + _STEP
        end = node.end
        if end is not None and end["error"] is None and not node.hidden:
            outputs = end["outputs"]
            if node.parent is not None and _is_rlm(node.parent) and _writes_code(node):
                self._text(str((outputs or {}).get("reasoning") or ""), below)
            elif not _is_rlm(node):
                known = [child.end.get("outputs") for child in node.children if child.end]
                self._fields(outputs, known, below, "green")
        self._leave_leaf(node)

    _leave_evaluate = _leave_module
    _leave_compile = _leave_module

    def _leave_leaf(self, node: Node) -> None:
        below = node.indent + (0 if node.hidden else _STEP)
        if node.end is None:
            # The innermost that did not end is where the run stopped.
            if node.kind in PAIRS and all(child.end for child in node.children):
                self.page.line("✗ never ended", style="red", indent=below)
            return
        error = node.end["error"]
        # An error passes through all that is around it; once is enough.
        if error is not None and not any(_has_error(child, error) for child in node.children):
            show_error(self.page, error, indent=below, full=self.full)

    # Cells

    def _enter_code(self, node: Node) -> None:
        assert node.start is not None
        if node.parent is not None and _is_rlm(node.parent):
            node.indent += _STEP
        # What the cell calls stands beside its code, not below it.
        node.hidden = True
        self.page.code(node.start["code"], "python", indent=node.indent + _STEP)

    def _leave_code(self, node: Node) -> None:
        if node.end is not None:
            self._text(node.end["stdout"].rstrip(), node.indent, gutter="│ ")
            if isinstance(node.end["submitted"], Mapping):
                fields = ", ".join(node.end["submitted"])
                self.page.line((f"submitted {fields}", "green"), indent=node.indent)
        self._leave_leaf(node)

    def _text(self, text: str, indent: int, gutter: str = "") -> None:
        if not text.strip():
            return
        shown, note = (text, None) if self.full else shorten(text)
        self.page.line(shown, indent=indent, gutter=gutter)
        if note:
            self.page.line(note, style="dim", indent=indent, gutter=gutter)

    # Calls

    def _enter_tool(self, node: Node) -> None:
        assert node.start is not None
        node.hidden = False
        call = call_words(node.start["name"], node.start["args"], full=self.full)
        result = ""
        if node.end is not None and node.end["error"] is None:
            result = f" → {result_words(node.end['output'])}"
        self.page.line(("tool ", "magenta"), call, result, (_took(node), "dim"), indent=node.indent)
        if self.full and result:
            text = value_text(node.end["output"]) if node.end else ""
            self.page.line(text, style="dim", indent=node.indent + _STEP)

    def _enter_lm(self, node: Node) -> None:
        start, end = node.start, node.end
        assert start is not None
        node.hidden = False
        words: list[str | None] = []
        if end is not None:
            usage, cost = end["usage"], end["cost_usd"]
            words = [
                token_words(usage["input_tokens"], usage["output_tokens"]) if usage else None,
                cost_words(cost) if cost is not None else None,
                "cached" if end["cache_hit"] else None,
                time_words(end["duration_ns"] / 1e9),
            ]
        kind = "sub-LM " if start["role"] == "sub" else "LM "
        self.page.line(
            (kind, "blue"), start["model"], ("  " + joined(words), "dim"), indent=node.indent
        )
        if self._prompts:
            self._conversation(start, end, node.indent + _STEP)

    def _conversation(self, start: Event, end: Event | None, indent: int) -> None:
        for message in start["messages"]:
            self.page.line(str(message.get("role", "message")), style="bold dim", indent=indent)
            self.page.line(value_text(message.get("content")), indent=indent, gutter="│ ")
        if end is not None and end["outputs"] is not None:
            outputs = end["outputs"]
            for output in outputs if isinstance(outputs, list) else [outputs]:
                self.page.line("completion", style="bold dim", indent=indent)
                self.page.line(value_text(output), indent=indent, gutter="│ ")

    def _enter_adapter(self, node: Node) -> None:
        assert node.start is not None
        node.hidden = False
        if self.full or (node.end is not None and node.end["error"] is not None):
            text = f"{node.start['name']} {node.start['operation']}"
            self.page.line((text, "dim"), (_took(node), "dim"), indent=node.indent)

    _enter_interpreter = _enter_adapter

    def _leave_interpreter(self, node: Node) -> None:
        # A sandbox that goes on when the run is over has harmed nobody.
        if node.end is not None:
            self._leave_leaf(node)

    # Memories

    def _enter_memory(self, node: Node) -> None:
        node.hidden = False
        if node.kind == "memory_judgment":
            self.page.blank()
        if node.end is None or node.end["error"] is not None:
            self.page.line(("memory ", "cyan"), node.kind.rpartition("_")[2], indent=node.indent)
            return
        words = memory_words(node.end)
        self.page.line(
            ("memory ", "cyan"),
            words if self.full else one_line(words, _LINE),
            (_took(node), "dim"),
            indent=node.indent,
        )
        for memory in (node.end.get("memories") or []) if self.full else []:
            self._memory(memory, node.indent + _STEP)

    _enter_memory_retrieval = _enter_memory
    _enter_memory_judgment = _enter_memory
    _enter_memory_extraction = _enter_memory
    _enter_memory_storage = _enter_memory

    def _memory(self, memory: Mapping[str, Any], indent: int) -> None:
        kind, known, title, content = (
            str(memory.get(name, "?")) for name in ("kind", "memory_id", "title", "content")
        )
        self.page.line((f"{kind} {known}  ", "dim"), title, indent=indent)
        self.page.line(content, indent=indent, gutter="│ ")

    def _enter_memory_usage(self, node: Node) -> None:
        """Show nothing: what was found is what the model is shown."""

    # Single events

    def _enter_warning(self, node: Node) -> None:
        assert node.start is not None
        text = f"{node.start['category']}: {node.start['message']}"
        self.page.line((f"warning {text}", "yellow"), indent=node.indent)

    def _enter_budget(self, node: Node) -> None:
        assert node.start is not None
        event = node.start
        text = f"the budget {event['kind']}={event['limit']:g} is used up ({event['used']:g})"
        self.page.line((text, "yellow"), indent=node.indent)


def _is_rlm(node: Node) -> bool:
    return node.kind == "module" and node.start is not None and node.start["name"] == "RLM"


def _in_memory(node: Node | None) -> bool:
    return node is not None and (node.kind.startswith("memory_") or _in_memory(node.parent))


def _writes_code(node: Node) -> bool:
    signature = (node.start or {}).get("signature") or ""
    return signature.replace(" ", "").endswith("->reasoning,code")


def _has_error(node: Node, error: Mapping[str, str]) -> bool:
    inner = node.end.get("error") if node.end is not None else None
    # Tracebacks grow on the way out.
    return inner is not None and all(inner[key] == error[key] for key in ("type", "message"))


def _took(node: Node) -> str:
    return f"  {time_words(node.end['duration_ns'] / 1e9)}" if node.end is not None else ""
