"""``rlm-runtime memory evaluate``: does memory help? The same questions with and without it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rlm_runtime.cli.memory_store import JsonOption, existing_store
from rlm_runtime.cli.output import Page, one_line, warnings_on
from rlm_runtime.cli.run_options import (
    ApiBaseOption,
    ExperimentOption,
    ModelOption,
    OntologyArgument,
    QuietOption,
    TrackingUriOption,
)
from rlm_runtime.cli.stopping import stopped_by_sigterm
from rlm_runtime.cli.words import time_words
from rlm_runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from rlm_runtime.evals import Evaluation, Pair

__all__ = ["evaluate"]

_QUESTION = 60


def evaluate(
    questions: Annotated[
        Path,
        typer.Argument(
            metavar="QUESTIONS",
            help="A file: .txt with one a line, or .csv, .json or .jsonl with question and, if "
            "you like, expected: what a right answer says.",
            show_default=False,
        ),
    ],
    ontology: OntologyArgument,
    model: ModelOption = None,
    sub_model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The LM that judges and writes down what was learned, and for "
            "llm_query in cells; default: the same.",
        ),
    ] = None,
    api_base: ApiBaseOption = None,
    seeds: Annotated[
        int, typer.Option(metavar="N", min=1, help="How often to ask the questions.")
    ] = 1,
    learn: Annotated[
        Literal["as-you-go", "before", "never"],
        typer.Option(
            metavar="WHEN",
            help="as-you-go (each run is learned from), before (from half of the questions; the "
            "others are measured) or never (the store as it is).",
        ),
    ] = "as-you-go",
    store: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="The memories to begin with; they are not changed. Default: none; with --learn "
            "never, where memories usually are.",
            show_default=False,
        ),
    ] = None,
    retrieve: Annotated[
        int, typer.Option(metavar="N", min=1, help="The most memories that a run is shown.")
    ] = 3,
    same_question: Annotated[
        bool,
        typer.Option(
            "--same-question", help="Also show what was learned from the very same question."
        ),
    ] = False,
    confidence: Annotated[
        float, typer.Option(metavar="LEVEL", help="Of the confidence intervals.")
    ] = 0.95,
    max_iterations: Annotated[
        int, typer.Option(metavar="N", min=1, help="The most turns of a run.")
    ] = 8,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Stop a run after this time.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(metavar="N", help="Stop a run after so many tokens, in and out.")
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option(metavar="USD", help="Stop a run after this cost.")
    ] = None,
    log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSONL log to append the runs to.")
    ] = None,
    mlflow: Annotated[
        bool, typer.Option("--mlflow", help="Make an MLflow run, with a child for each run.")
    ] = False,
    experiment: ExperimentOption = None,
    tracking_uri: TrackingUriOption = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Give the figures as CSV.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Give Markdown.")] = False,
    as_latex: Annotated[
        bool, typer.Option("--latex", help="Give the figures as a LaTeX table.")
    ] = False,
    as_json: JsonOption = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it to this file.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the differences: a .png, .svg or .pdf."),
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Ask the same questions with and without memory, and compare.

    Two runs for each question and seed, one after the other; budgets are those of each run. Exit
    codes: 0 done, 1 every run failed, 2 bad usage or unreadable input, 130 interrupted.

    For example:

      rlm-runtime memory evaluate questions.txt ontology/prov.ttl --model offline --seeds 3
    """
    if model is None:
        raise ConfigurationError(
            "No model is set. Give --model a LiteLLM name such as openai/gpt-4o-mini, or "
            "--model offline (no key needed), or set RLM_MODEL."
        )
    form = _form(csv=as_csv, markdown=as_markdown, latex=as_latex, json=as_json)
    options: dict[str, Any] = {
        "model": model,
        "sub_model": sub_model,
        "api_base": api_base,
        "seeds": seeds,
        "learn": learn,
        "retrieve_memories": retrieve,
        "same_question": same_question,
        "confidence": confidence,
        "max_iterations": max_iterations,
        "timeout": timeout,
        "max_tokens": max_tokens,
        "max_cost": max_cost,
        "log_path": log,
        "enable_mlflow": mlflow or any((experiment, tracking_uri)),
        "mlflow_experiment": experiment,
        "mlflow_tracking_uri": tracking_uri,
    }
    _check_files(output, plot)
    told = _evaluate(questions, ontology, store, options, quiet=quiet)
    _give(told, form, output)
    if plot is not None:
        from rlm_runtime.evals.plot import plot_evaluation

        plot_evaluation(told, plot)
    if told.pairs and all(one.error for _, _, one in told.measured()):
        raise typer.Exit(1)


def _form(**asked: bool) -> str:
    forms = [name for name, wanted in asked.items() if wanted]
    if len(forms) > 1:
        raise ConfigurationError(f"Give one of {', '.join(f'--{name}' for name in forms)}.")
    return forms[0] if forms else "text"


def _check_files(output: Path | None, plot: Path | None) -> None:
    """Find out before anything is spent."""
    if output is not None and (output.is_dir() or not output.absolute().parent.is_dir()):
        raise ConfigurationError(
            f"{output} cannot be written: give a file in a folder that exists."
        )
    if plot is not None:
        from rlm_runtime.evals.plot import checked_plot

        checked_plot(plot)


def _evaluate(
    questions: Path, ontology: str, store: Path | None, options: dict[str, Any], *, quiet: bool
) -> Evaluation:
    from rlm_runtime.evals import evaluate_memory

    page = Page.on_stderr()
    given = store is not None or options["learn"] == "never"
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings_on(page))
        stack.enter_context(stopped_by_sigterm())
        # What libraries print is not what was asked for.
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        backend = stack.enter_context(existing_store(store)) if given else None
        on_pair = None if quiet else stack.enter_context(_progress(page))
        return evaluate_memory(
            questions, ontology, memory_backend=backend, on_pair=on_pair, **options
        )


@contextlib.contextmanager
def _progress(page: Page) -> Iterator[Any]:
    with page.progress("asking") as show:

        def on_pair(pair: Pair, done: int, total: int) -> None:
            took = [
                f"{arm} failed" if one.error else f"{arm} {_latency(one.measures)}"
                for arm, one in (("without", pair.without), ("with", pair.with_memory))
            ]
            show(f"{one_line(pair.question.text, _QUESTION)}  {', '.join(took)}", done, total)

        yield on_pair


def _latency(measures: Any) -> str:
    return time_words(measures["latency_seconds"]) if "latency_seconds" in measures else ""


def _give(evaluation: Evaluation, form: str, output: Path | None) -> None:
    from rlm_runtime.evals.tables import render

    text = render(evaluation, form)
    if output is None:
        sys.stdout.write(text)
    else:
        try:
            output.write_text(text, encoding="utf-8", newline="")
        except OSError as error:
            raise ConfigurationError(f"{output} cannot be written: {error.strerror}") from error
    if evaluation.mlflow_run_id is not None:
        Page.on_stderr().line(f"MLflow run {evaluation.mlflow_run_id}")
