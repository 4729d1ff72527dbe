"""Turns DSPy's callbacks into events: modules, LM calls, REPL cells, tools, with their parents."""

from __future__ import annotations

import inspect
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import dspy
from dspy.primitives.code_interpreter import FinalOutput
from dspy.primitives.facade import SHIM_SETUP
from dspy.utils.callback import BaseCallback
from dspy.utils.callback_context import ACTIVE_CALL_ID

from rlm_runtime.guard import quietly, shielded
from rlm_runtime.logging.events import PAIRS
from rlm_runtime.logging.lm_calls import LmHistory, call_messages, call_params, call_result
from rlm_runtime.logging.stream import EventStream
from rlm_runtime.plain import plain

# A decorator of DSPy's hides from type checkers that it is a class.
_RLM: type = dspy.RLM  # pyright: ignore[reportAssignmentType]

__all__ = ["Recorder", "error_fields"]


def error_fields(error: BaseException | None) -> dict[str, str] | None:
    """Give an exception as the ``error`` field of an event: type, message, traceback."""
    if error is None:
        return None
    # The sandbox tells a model what a cell printed before its error; events hold that apart.
    bare = getattr(error, "bare_message", None)
    return {
        "type": type(error).__name__,
        "message": bare or quietly(lambda: str(error), "<message unavailable>"),
        "traceback": "".join(traceback.format_exception(error)),
    }


class _Span(NamedTuple):
    kind: str
    name: str
    parent_id: str
    started: int
    instance: Any


class Recorder(BaseCallback):
    """A DSPy callback that records one run.

    Args:
        stream: Where the events go.
        root_id: Span id of the run; the parent of whatever has no parent of its own.
        log_llm_calls: False leaves out the messages and completions of LM calls.
        log_adapters: True records adapter events too.
    """

    def __init__(
        self,
        stream: EventStream,
        root_id: str,
        *,
        log_llm_calls: bool = True,
        log_adapters: bool = False,
    ) -> None:
        self.history = LmHistory()
        self._stream = stream
        self._root_id = root_id
        self._log_llm_calls = log_llm_calls
        self._log_adapters = log_adapters
        self._open: dict[str, _Span] = {}
        # Calls that are no span of their own, with the span that stands for them.
        self._alias: dict[str, str] = {}
        self._lock = threading.Lock()

    def _parent(self) -> str:
        active = ACTIVE_CALL_ID.get()
        with self._lock:
            active = self._alias.get(active, active) if active else None
            return active if active in self._open else self._root_id

    def _start(self, kind: str, call_id: str, instance: Any, **fields: Any) -> None:
        name = fields.get("name", "")
        span = _Span(kind, name, self._parent(), time.perf_counter_ns(), instance)
        with self._lock:
            self._open[call_id] = span
        self._stream.emit(f"{kind}_start", call_id, span.parent_id, **fields)

    def _end(
        self,
        call_id: str,
        error: BaseException | None,
        fields: Callable[[_Span], dict[str, Any]],
    ) -> None:
        with self._lock:
            span = self._open.pop(call_id, None)
            self._alias.pop(call_id, None)
        if span is None:
            return
        self._stream.emit(
            f"{span.kind}_end",
            call_id,
            span.parent_id,
            **fields(span),
            duration_ns=time.perf_counter_ns() - span.started,
            error=error_fields(error),
        )

    def _stands_for(self, call_id: str, parent: str) -> None:
        with self._lock:
            self._alias[call_id] = parent

    def _role(self) -> str | None:
        """Tell whether an LM call comes from a cell ("sub"), an RLM ("main") or neither."""
        role = None
        with self._lock:
            active = ACTIVE_CALL_ID.get()
            active = self._alias.get(active, active) if active else None
            while active in self._open:
                span = self._open[active]
                if span.kind == "code":
                    return "sub"
                if span.kind == "module" and span.name == "RLM":
                    role = "main"
                active = span.parent_id
        return role

    # Parts that are no call of DSPy's

    @contextmanager
    def span(self, kind: str, **fields: Any) -> Iterator[dict[str, Any]]:
        """Record a part of the run that is no call of DSPy's, but may make some.

        Args:
            kind: One of ``PAIRS``.
            **fields: Those of its start.

        Yields:
            The fields of its end, for the block to fill in; null otherwise.
        """
        call_id = uuid.uuid4().hex
        ending: dict[str, Any] = dict.fromkeys(PAIRS[kind][1])
        error = None
        with shielded(f"record the start of {kind}"):
            self._start(kind, call_id, None, **fields)
        token = ACTIVE_CALL_ID.set(call_id)  # pyright: ignore[reportArgumentType]
        try:
            yield ending
        except BaseException as raised:
            error = raised
            raise
        finally:
            ACTIVE_CALL_ID.reset(token)
            with shielded(f"record the end of {kind}"):
                self._end(call_id, error, lambda _: ending)

    # Modules

    def on_module_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        with shielded("record a module call"):
            arguments = dict(inputs.get("kwargs") or {})
            if inputs.get("args"):
                arguments["args"] = inputs["args"]
            signature = getattr(instance, "signature", None)
            self._start(
                "module",
                call_id,
                instance,
                # A subclass of RLM has an RLM's turns, too.
                name="RLM" if isinstance(instance, _RLM) else type(instance).__name__,
                signature=getattr(signature, "signature", None),
                inputs=plain(arguments),
            )

    def on_module_end(
        self, call_id: str, outputs: Any, exception: BaseException | None = None
    ) -> None:
        with shielded("record the end of a module call"):
            self._end(call_id, exception, lambda _: {"outputs": plain(outputs)})

    # Language models

    def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        with shielded("record an LM call"):
            hidden = {} if self._log_llm_calls else {"truncated": ["messages"]}
            self._start(
                "lm",
                call_id,
                instance,
                model=str(instance.model),
                role=self._role(),
                messages=call_messages(inputs) if self._log_llm_calls else [],
                params=call_params(instance, inputs),
                **hidden,
            )

    def on_lm_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        with shielded("record the end of an LM call"):
            result = call_result(outputs, self.history.take(call_id))
            if not self._log_llm_calls:
                result |= {"outputs": None, "truncated": ["outputs"]}
            self._end(call_id, exception, lambda _: result)

    # The sandbox

    def on_interpreter_execute_start(
        self, call_id: str, instance: Any, inputs: dict[str, Any]
    ) -> None:
        with shielded("record a cell"):
            code = inputs.get("code", "")
            # RLM tries to set up its sub-agent facade in each interpreter; that is no cell of
            # the model's.
            if code != SHIM_SETUP:
                self._start("code", call_id, instance, code=str(code))

    def on_interpreter_execute_end(
        self, call_id: str, outputs: Any, exception: BaseException | None = None
    ) -> None:
        def fields(span: _Span) -> dict[str, Any]:
            submitted = outputs.output if isinstance(outputs, FinalOutput) else None
            printed = getattr(span.instance, "last_stdout", None)
            if printed is None:
                printed = "" if submitted is not None or outputs is None else outputs
            if isinstance(printed, list):
                printed = "\n".join(map(str, printed))
            return {
                "stdout": str(printed),
                "submitted": plain(submitted),
            }

        with shielded("record the end of a cell"):
            self._end(call_id, exception, fields)

    def on_interpreter_tool_call_start(
        self, call_id: str, instance: Any, inputs: dict[str, Any]
    ) -> None:
        with shielded("record a tool call"):
            name = str(inputs.get("tool_name"))
            arguments = _arguments(
                instance.tools.get(name), inputs.get("args") or [], inputs.get("kwargs") or {}
            )
            self._start("tool", call_id, instance, name=name, args=plain(arguments))

    def on_interpreter_startup_start(
        self, call_id: str, instance: Any, inputs: dict[str, Any]
    ) -> None:
        self._interpreter_start(call_id, instance, "startup")

    def on_interpreter_shutdown_start(
        self, call_id: str, instance: Any, inputs: dict[str, Any]
    ) -> None:
        self._interpreter_start(call_id, instance, "shutdown")

    def _interpreter_start(self, call_id: str, instance: Any, operation: str) -> None:
        with shielded(f"record the {operation} of an interpreter"):
            name = type(instance).__name__
            self._start("interpreter", call_id, instance, name=name, operation=operation)

    def on_interpreter_startup_end(
        self, call_id: str, outputs: Any, exception: BaseException | None = None
    ) -> None:
        with shielded("record an interpreter's state"):
            self._end(call_id, exception, lambda _: {})

    on_interpreter_shutdown_end = on_interpreter_startup_end

    # Tools called by agents

    def on_tool_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        with shielded("record a tool call"):
            name = str(instance.name)
            parent = self._parent()
            with self._lock:
                outer = self._open.get(parent)
                announced = (
                    outer is not None
                    and outer.kind == "tool"
                    and outer.name == name
                    and not isinstance(outer.instance, dspy.Tool)
                    and parent not in self._alias.values()
                )
            if announced:
                # The sandbox has told of this very call already.
                self._stands_for(call_id, parent)
                return
            arguments = inputs.get("kwargs", inputs)
            self._start("tool", call_id, instance, name=name, args=plain(arguments))

    def on_tool_end(
        self, call_id: str, outputs: Any, exception: BaseException | None = None
    ) -> None:
        with shielded("record the end of a tool call"):
            self._end(call_id, exception, lambda _: {"output": plain(outputs)})

    on_interpreter_tool_call_end = on_tool_end

    # Adapters

    def on_adapter_format_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        self._adapter_start(call_id, instance, inputs, "format")

    def on_adapter_parse_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        self._adapter_start(call_id, instance, inputs, "parse")

    def _adapter_start(
        self, call_id: str, instance: Any, inputs: dict[str, Any], operation: str
    ) -> None:
        with shielded("record an adapter"):
            if not self._log_adapters:
                self._stands_for(call_id, self._parent())
                return
            name = type(instance).__name__
            self._start(
                "adapter",
                call_id,
                instance,
                name=name,
                operation=operation,
                inputs=plain(inputs),
            )

    # Evaluation and optimisation

    def on_evaluate_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        self._job_start("evaluate", call_id, instance, inputs)

    def on_compile_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        self._job_start("compile", call_id, instance, inputs)

    def _job_start(self, kind: str, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        with shielded(f"record {kind}"):
            name = type(instance).__name__
            self._start(kind, call_id, instance, name=name, inputs=plain(inputs))

    # What these give is recorded alike.
    on_adapter_format_end = on_module_end
    on_adapter_parse_end = on_module_end
    on_evaluate_end = on_module_end
    on_compile_end = on_module_end


def _arguments(tool: Any, args: list[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Name a call's arguments by the tool's signature, or number those that do not fit."""
    if not args:
        return kwargs
    bound = quietly(lambda: inspect.signature(tool).bind(*args, **kwargs).arguments, None)
    return dict(bound) if bound is not None else {"args": args, **kwargs}
