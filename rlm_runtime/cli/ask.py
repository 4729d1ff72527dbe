"""``rlm-runtime ask``: one question over one ontology, with its steps as they happen."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rlm_runtime.cli.output import Page, print_json, warnings_on
from rlm_runtime.cli.render import StepsView
from rlm_runtime.cli.run_options import (
    ApiBaseOption,
    ExperimentOption,
    ModelOption,
    OntologyArgument,
    QuietOption,
    TrackingUriOption,
)
from rlm_runtime.cli.run_view import LABEL_WIDTH, settings_words, show_answer, show_totals
from rlm_runtime.cli.stopping import stopped_by_sigterm
from rlm_runtime.cli.tree import TreeOrder
from rlm_runtime.cli.words import command_words, joined, tag_values
from rlm_runtime.errors import ConfigurationError, RlmError
from rlm_runtime.logging.events import Event
from rlm_runtime.redaction import Redaction, without_login

if TYPE_CHECKING:
    from rlm_runtime.types import RunResult

__all__ = ["DEBUG", "ask"]

DEBUG = "rlm_runtime.debug"
"""Key in the context's ``meta``: whether expected errors show their traceback."""

_NOT_CONVERGED = 3
_MLFLOW = "MLflow"


class _RunFailed(RlmError):
    """The run raised; the message says what, its notes where to look."""


class _Progress:
    """A sink that shows steps as they happen, and keeps the end of the run.

    Args:
        view: What prints the steps; None prints none.
    """

    def __init__(self, view: StepsView | None) -> None:
        self.end: Event | None = None
        self._view = view
        self._order = TreeOrder(view) if view is not None else None

    def emit(self, event: Event) -> None:
        """Take one event."""
        if event["event"] == "run_end":
            self.end = event
        if self._order is not None:
            self._order.add(event)

    def close(self) -> None:
        """Show what is left."""
        if self._order is not None and self._view is not None:
            self._order.finish()
            self._view.page.blank()


def ask(
    ctx: typer.Context,
    question: Annotated[
        str, typer.Argument(metavar="QUESTION", help="In words.", show_default=False)
    ],
    ontology: OntologyArgument,
    model: ModelOption = None,
    sub_model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The LM for llm_query in cells; default: the same."),
    ] = None,
    api_base: ApiBaseOption = None,
    max_iterations: Annotated[
        int, typer.Option(metavar="N", min=1, help="The most turns of the LM.")
    ] = 8,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Stop after this time.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(metavar="N", help="Stop after so many tokens, in and out.")
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option(metavar="USD", help="Stop after this cost.")
    ] = None,
    interpreter: Annotated[
        Literal["monty", "pyodide", "local"],
        typer.Option(
            metavar="NAME",
            help="What runs the LM's code: monty (sandbox), pyodide (sandbox, needs Deno) or "
            "local (no sandbox).",
        ),
    ] = "monty",
    memory: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Store of memories to read and keep the run in; it is made when it is missing.",
            show_default=False,
        ),
    ] = None,
    memories: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="Show the LM so many memories of earlier runs at the most; 3 with --memory or "
            "--learn.",
            show_default=False,
        ),
    ] = None,
    learn: Annotated[
        bool, typer.Option("--learn", help="Judge the run and keep what it taught.")
    ] = False,
    log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSONL log to append the run to.")
    ] = None,
    mlflow: Annotated[
        bool, typer.Option("--mlflow", help="Make an MLflow run with a trace.")
    ] = False,
    experiment: ExperimentOption = None,
    run_name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the MLflow run (implies --mlflow).")
    ] = None,
    tracking_uri: TrackingUriOption = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="K=V", help="Tag of the run; may be repeated.")
    ] = None,
    ontology_name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Its name in the records; default: its own.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the whole result as JSON to standard output.")
    ] = False,
    quiet: QuietOption = False,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug", envvar="RLM_RUNTIME_DEBUG", help="Show the traceback of a failure."
        ),
    ] = False,
) -> None:
    """Answer a question over an ontology, showing each step.

    Steps go to standard error, the answer to standard output. Exit codes: 0 answered, 1 failed,
    2 bad usage or unreadable input, 3 ended without an answer of its own (turns or a budget used
    up, a refusal), 130 interrupted.

    For example:

      rlm-runtime ask "What is Activity?" ontology/prov.ttl --model offline

      rlm-runtime ask "What is Activity?" prov.ttl --log run.jsonl --mlflow

      rlm-runtime ask "What is Activity?" prov.ttl --learn
    """
    ctx.meta[DEBUG] = debug
    options: dict[str, Any] = {
        "model": model,
        "sub_model": sub_model,
        "api_base": api_base,
        "max_iterations": max_iterations,
        "timeout": timeout,
        "max_tokens": max_tokens,
        "max_cost": max_cost,
        "interpreter": interpreter,
        **_memory_options(memory, memories, learn),
        "log_path": log,
        "enable_mlflow": mlflow or any((experiment, run_name, tracking_uri)),
        "mlflow_experiment": experiment,
        "mlflow_run_name": run_name,
        "mlflow_tracking_uri": tracking_uri,
        "mlflow_tags": tag_values(tag or []),
        "ontology_name": ontology_name,
    }
    if model is None:
        raise ConfigurationError(
            "No model is set. Give --model a LiteLLM name such as openai/gpt-4o-mini, or "
            "--model offline (no key needed), or set RLM_MODEL."
        )
    page = Page.on_stderr()
    progress = _Progress(None if quiet else StepsView(page))
    busy = page.busy("working") if not quiet else contextlib.nullcontext()
    with _watched(page, log), busy:
        result = _run(question, ontology, {**options, "sinks": [progress]})
    if as_json:
        print_json(_result_json(result, log))
    else:
        _show_result(Page(), result, progress.end, options)
    if not result.converged:
        raise typer.Exit(_NOT_CONVERGED)


def _memory_options(path: Path | None, most: int | None, learn: bool) -> dict[str, Any]:
    """Give the keywords of a run with memories; where they are is known when any option asks."""
    if path is None and most is None and not learn:
        return {}
    from rlm_runtime.memory.location import memory_path

    backend = {"memory_backend": memory_path(path), "extract_memories": learn}
    return backend if most is None else {**backend, "retrieve_memories": most}


def _run(question: str, source: str, options: Mapping[str, Any]) -> RunResult:
    from rlm_runtime.ontology import open_ontology

    # Opened first: what is wrong with a file is told at once, and DSPy takes seconds to import.
    with open_ontology(source) as opened:
        from rlm_runtime.engine.dspy_rlm import run_dspy_rlm

        return run_dspy_rlm(question, opened, **options)


@contextlib.contextmanager
def _watched(page: Page, log: Path | None) -> Iterator[None]:
    """Keep what libraries print off standard output, and say what stopped a run."""
    with warnings_on(page), contextlib.redirect_stdout(sys.stderr), stopped_by_sigterm():
        try:
            yield
        except BaseException as error:
            begun = getattr(error, "run_id", None) is not None
            hints = [f"See what it did: {_show_command(log)}"] if log and begun else []
            if isinstance(error, Exception) and not isinstance(error, RlmError):
                failure = _RunFailed(
                    f"The run failed with {type(error).__name__}: {str(error).strip()}"
                )
                for hint in [*hints, "Its traceback: add --debug"]:
                    failure.add_note(hint)
                raise failure from error
            for hint in hints:
                error.add_note(hint)
            raise


def _show_command(log: Path) -> str:
    return command_words("rlm-runtime", "log", "show", str(log))


def _result_json(result: RunResult, log: Path | None) -> dict[str, Any]:
    from rlm_runtime.plain import plain

    shown = plain(result)
    shown["usage"]["total"] = plain(result.usage.total)
    shown["grounding"]["evidence_grounded"] = result.grounding.evidence_grounded
    return Redaction().value({**shown, "log_path": str(log) if log else None})


def _show_result(
    page: Page, result: RunResult, end: Event | None, options: Mapping[str, Any]
) -> None:
    assert end is not None, "a run that gave a result has ended"
    show_answer(page, end["outputs"])
    page.blank()
    page.line(*settings_words(end))
    show_totals(page, end)
    log = options["log_path"]
    if log is not None:
        _fact(page, "log", str(log))
        page.command(_show_command(log), indent=LABEL_WIDTH)
    memory = options.get("memory_backend")
    if memory is not None:
        _show_memory(page, end, str(memory))
    if options["enable_mlflow"]:
        _show_mlflow(page, result, options)


def _show_memory(page: Page, end: Event, store: str) -> None:
    metrics = end["metrics"]
    success = metrics.get("judgment_success")
    judged = {None: None, 1.0: "judged a success", 0.0: "judged a failure"}[success]
    learned = metrics.get("memories_extracted")
    _fact(
        page,
        "memory",
        joined(
            [
                f"{metrics.get('memories_retrieved', 0):.0f} shown",
                judged,
                f"{learned:.0f} learned" if learned is not None else None,
            ]
        ),
    )
    page.command(
        command_words("rlm-runtime", "memory", "list", "--store", store), indent=LABEL_WIDTH
    )


def _show_mlflow(page: Page, result: RunResult, options: Mapping[str, Any]) -> None:
    if result.mlflow_run_id is None:
        _fact(page, _MLFLOW, "not delivered yet; the warning says why. To deliver it:")
        page.command(command_words("rlm-runtime", "mlflow", "sync"), indent=LABEL_WIDTH)
        return
    from rlm_runtime.logging.mlflow_store import resolve_tracking_uri

    uri = without_login(resolve_tracking_uri(options["mlflow_tracking_uri"]))
    experiment = options["mlflow_experiment"]
    within = f" in experiment {experiment!r}" if experiment else ""
    _fact(page, _MLFLOW, f"run {result.mlflow_run_id}{within} at {uri}")
    if result.trace_id is None:
        _fact(page, "", "its trace was not delivered; the warning says why")
    http = uri.startswith(("http://", "https://"))
    page.command(
        f"open {uri}" if http else command_words("mlflow", "ui", "--backend-store-uri", uri),
        indent=LABEL_WIDTH,
    )


def _fact(page: Page, label: str, text: str) -> None:
    page.line((f"{label:<{LABEL_WIDTH}}", "dim"), text)
