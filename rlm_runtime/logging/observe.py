"""``observe``: records any DSPy program as one run, in a ``with`` block or by decoration."""

from __future__ import annotations

import asyncio
import functools
import importlib.metadata
import inspect
import platform
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, cast

import dspy

from rlm_runtime.errors import ConfigurationError
from rlm_runtime.guard import quietly
from rlm_runtime.logging.console import ConsoleSink
from rlm_runtime.logging.jsonl import JsonlSink
from rlm_runtime.logging.observed_run import ObservedRun
from rlm_runtime.logging.stream import Sink
from rlm_runtime.plain import plain
from rlm_runtime.redaction import Redaction, redact_secrets

__all__ = ["observe"]

F = TypeVar("F", bound=Callable[..., Any])


class observe:
    """Record what a DSPy program does, as one run.

    Use it as a context manager (``with`` or ``async with``) or to decorate a function (sync or
    async), of which each call is then a run. It changes no global state: DSPy's settings are
    set for the block only, and the user's own callbacks stay in force.

    Args:
        name: What runs; the name of the run and of its trace's root.
        query: The question, if there is one.
        ontology: Name of the ontology, if there is one.
        params: Settings worth comparing; become MLflow params.
        tags: Become MLflow tags.
        run_id: Identifies the run for ever; default: a new UUID in hex.
        trajectory_id: Groups runs that belong together; default: the run id.
        log_path: JSONL file to append the events to.
        log_llm_calls: False leaves out the messages and completions of LM calls, which is most
            of a log. Inputs and outputs of modules, cells and tools stay.
        log_adapters: True records how adapters format and parse, too.
        enable_mlflow: True makes an MLflow run with a trace.
        mlflow_experiment: Name of the experiment; default: MLflow's own default.
        mlflow_run_name: Name of the MLflow run; default: made from the question, else ``name``,
            and the run id.
        mlflow_tracking_uri: The store; default: as MLflow resolves it.
        mlflow_timeout: The longest wait for delivery at the end, in seconds.
        mlflow_parent_run_id: MLflow run to be nested in; default: the caller's active run.
        redact: Is given every text of an event, before any log, MLflow or sink sees it, and
            returns what is shown of it; default: ``redact_secrets``. Values of keys that name
            secrets, and secrets of the environment, are hidden whatever it does. None hides
            nothing at all.
        callbacks: More DSPy callbacks for the block.
        sinks: More sinks, each closed at the end. A sink serves one run: to decorate a function,
            give callables that make one.
        verbose: True prints each step to stderr.

    Raises:
        ConfigurationError: On entering: the log cannot be opened.

    Example:
        >>> import dspy
        >>> with observe("greeter") as run:
        ...     run.report(outputs={"greeting": "hello"})
        >>> run.usage.total.calls
        0
    """

    def __init__(
        self,
        name: str,
        *,
        query: str | None = None,
        ontology: str | None = None,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        run_id: str | None = None,
        trajectory_id: str | None = None,
        log_path: str | Path | None = None,
        log_llm_calls: bool = True,
        log_adapters: bool = False,
        enable_mlflow: bool = False,
        mlflow_experiment: str | None = None,
        mlflow_run_name: str | None = None,
        mlflow_tracking_uri: str | None = None,
        mlflow_timeout: float = 10.0,
        mlflow_parent_run_id: str | None = None,
        redact: Callable[[str], str] | None = redact_secrets,
        callbacks: Sequence[Any] = (),
        sinks: Sequence[Sink | Callable[[], Sink]] = (),
        verbose: bool = False,
    ) -> None:
        self._options = {key: value for key, value in locals().items() if key != "self"}
        self._entered: tuple[ObservedRun, ExitStack] | None = None

    def __enter__(self) -> ObservedRun:
        if self._entered is not None:
            raise RuntimeError("This observe() is recording already; make a new one for each run.")
        options = self._options
        run_id = options["run_id"] or uuid.uuid4().hex
        fields = {
            "program": options["name"],
            "query": options["query"],
            "ontology": options["ontology"],
            "params": plain(dict(options["params"] or {})),
            "tags": {str(key): str(value) for key, value in dict(options["tags"] or {}).items()},
            "versions": _versions(),
        }
        sinks = [sink if hasattr(sink, "emit") else sink() for sink in options["sinks"]]
        if options["log_path"] is not None:
            sinks.append(_open_log(options["log_path"]))
        if options["verbose"]:
            sinks.append(ConsoleSink())
        rule = options["redact"]
        redact = Redaction(rule) if rule is not None else None
        mlflow_sink = _open_mlflow_sink(options, redact) if options["enable_mlflow"] else None
        run = ObservedRun(
            run_id,
            options["trajectory_id"] or run_id,
            sinks,
            mlflow_sink,
            redact,
            log_llm_calls=options["log_llm_calls"],
            log_adapters=options["log_adapters"],
        )
        in_force = dspy.settings.get("callbacks", [])
        callbacks = [
            callback
            for callback in in_force
            # The run has a trace of its own; MLflow's live one would double it.
            if not (options["enable_mlflow"] and _is_autolog(callback))
        ]
        callbacks += [callback for callback in options["callbacks"] if callback not in in_force]
        with ExitStack() as stack:
            stack.enter_context(
                dspy.context(
                    callbacks=[*callbacks, run.recorder],
                    caller_modules=[run.recorder.history, *(dspy.settings.caller_modules or [])],
                    **_history_settings(),
                )
            )
            run.begin(**fields)
            self._entered = (run, stack.pop_all())
        return run

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        run, stack = self._leave()
        try:
            run.end(error)
            run.stream.close()
        finally:
            _restore(stack)

    async def __aenter__(self) -> ObservedRun:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        run, stack = self._leave()
        try:
            run.end(error)
            # Sinks may wait for a server; the event loop must not.
            await asyncio.to_thread(run.stream.close)
        finally:
            _restore(stack)

    def _leave(self) -> tuple[ObservedRun, ExitStack]:
        if self._entered is None:
            raise RuntimeError("This observe() was never entered.")
        entered, self._entered = self._entered, None
        return entered

    def __call__(self, function: F) -> F:
        """Decorate a function: each of its calls becomes a run of its own.

        Raises:
            TypeError: The function is a generator, which does its work after it returns; or
                ``run_id`` or a sink was given, which belong to one run.
        """
        options = self._options
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                "observe() cannot decorate a generator. Use `with observe(...)` where it is read."
            )
        if options["run_id"] or any(hasattr(sink, "emit") for sink in options["sinks"]):
            raise TypeError(
                "A run_id or a sink serves one run, and each call of a decorated function is one. "
                "Leave run_id= out, and give sinks= callables that make a sink."
            )

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def recorded_async(*args: Any, **kwargs: Any) -> Any:
                async with observe(**options):
                    return await function(*args, **kwargs)

            return cast(F, recorded_async)

        @functools.wraps(function)
        def recorded(*args: Any, **kwargs: Any) -> Any:
            with observe(**options):
                return function(*args, **kwargs)

        return cast(F, recorded)


def _restore(stack: ExitStack) -> None:
    """Put DSPy's settings back, unless the block ends in another context than it began in.

    A generator that is read from several threads does that; the settings of its first context
    end with it, and Python refuses to touch them from here.
    """
    quietly(stack.close, None)


def _history_settings() -> dict[str, Any]:
    """Keep as little of DSPy's history as usage and cost need, where the user wants none."""
    if dspy.settings.disable_history or dspy.settings.max_history_size == 0:
        return {"disable_history": False, "max_history_size": 1}
    return {}


def _is_autolog(callback: Any) -> bool:
    return type(callback).__module__.startswith("mlflow.")


def _open_log(path: str | Path) -> JsonlSink:
    try:
        return JsonlSink(path)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot open the log {path} for appending: {error.strerror or error}. "
            "Give log_path= a file in a folder that you may write to."
        ) from error


def _open_mlflow_sink(options: Mapping[str, Any], redact: Redaction | None) -> Any:
    from rlm_runtime.logging.mlflow_sink import MlflowSink

    run_name = options["mlflow_run_name"]
    return MlflowSink(
        experiment=options["mlflow_experiment"],
        run_name=redact.text(run_name) if redact and run_name else run_name,
        tracking_uri=options["mlflow_tracking_uri"],
        timeout=options["mlflow_timeout"],
        parent_run_id=options["mlflow_parent_run_id"],
    )


@functools.cache
def _versions() -> dict[str, str]:
    names = ("rlm-runtime", "dspy", "pydantic-monty", "pyoxigraph")
    found = {name: quietly(lambda n=name: importlib.metadata.version(n), "") for name in names}
    return {"python": platform.python_version(), **{k: v for k, v in found.items() if v}}
