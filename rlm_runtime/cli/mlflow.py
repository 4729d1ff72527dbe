"""``rlm-runtime mlflow``: its commands; brings runs to MLflow that are not there yet."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlm_runtime.cli.mlflow_runs import compare, export, list_experiments, search, show
from rlm_runtime.cli.mlflow_ui import ui
from rlm_runtime.cli.output import Page, print_json, warnings_on
from rlm_runtime.cli.words import command_words, counted, joined
from rlm_runtime.redaction import without_login

if TYPE_CHECKING:
    from rlm_runtime.logging.mlflow_sync import Synced

__all__ = ["mlflow"]

mlflow = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
for _command in (list_experiments, search, show, export, compare, ui):
    mlflow.command()(_command)

_MAX_ROWS = 20
_MAX_NAMED = 5
_OUTCOMES = {
    "delivered": "delivered",
    "pending": "to be delivered",
    "running": "still running",
    "failed": "failed",
    "unreadable": "unreadable",
}
_BAD = ("failed", "unreadable")

_Uri = Annotated[
    str | None,
    typer.Option("--tracking-uri", metavar="URI", help="The store or server.", show_default=False),
]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be delivered.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]

_Step = Callable[["Synced", int, int], None]


@mlflow.command()
def sync(tracking_uri: _Uri = None, dry_run: _DryRun = False, as_json: _Json = False) -> None:
    """Deliver runs that MLflow has not got yet.

    It was away when they ended, or their process died: those get the status KILLED. Each goes
    where it was meant to go, or all to --tracking-uri. Doing it again changes nothing. Exit
    codes: 0 all delivered, or nothing to do; 1 something could not be delivered.

    For example:

      rlm-runtime mlflow sync --dry-run

      rlm-runtime mlflow sync --tracking-uri http://127.0.0.1:5000
    """
    from rlm_runtime.logging.mlflow_sync import sync as deliver
    from rlm_runtime.logging.spool import spool_folder

    again = command_words("rlm-runtime", "mlflow", "sync", *_option("--tracking-uri", tracking_uri))
    with _watched("delivering", again) as step:
        results = deliver(tracking_uri, dry_run=dry_run, on_progress=step)
    if as_json:
        print_json(_report(results))
    else:
        _show(results, again, nothing=f"Nothing to deliver: no run waits in {spool_folder()}.")
    _exit(results)


@mlflow.command("import")
def import_(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="JSONL logs.", show_default=False)
    ],
    tracking_uri: _Uri = None,
    experiment: Annotated[
        str | None, typer.Option(metavar="NAME", help="Put the runs into this experiment.")
    ] = None,
    dry_run: _DryRun = False,
    as_json: _Json = False,
) -> None:
    """Make runs and traces of those in JSONL logs.

    For runs that were recorded without MLflow. A run that MLflow has already is not made again.
    Exit codes: 0 all delivered; 1 something could not be delivered; 2 a file is no log.

    For example:

      rlm-runtime mlflow import run.jsonl --experiment study
    """
    from rlm_runtime.logging.mlflow_import import import_logs

    options = [*_option("--tracking-uri", tracking_uri), *_option("--experiment", experiment)]
    again = command_words("rlm-runtime", "mlflow", "import", *map(str, files), *options)
    with _watched("importing", again) as step:
        results = import_logs(
            files,
            tracking_uri=tracking_uri,
            experiment=experiment,
            dry_run=dry_run,
            on_progress=step,
        )
    if as_json:
        print_json(_report(results))
    else:
        _show(results, again, nothing="Nothing to import: there is no run in what was given.")
    _exit(results)


def _option(name: str, value: str | None) -> list[str]:
    return [] if value is None else [name, without_login(value)]


@contextlib.contextmanager
def _watched(doing: str, again: str) -> Iterator[_Step]:
    """Show each run as it is done, and keep what libraries print off standard output."""
    page = Page.on_stderr()
    with (
        warnings_on(page),
        contextlib.redirect_stdout(sys.stderr),
        page.progress(doing) as show,
    ):
        try:
            yield lambda result, done, total: show(_step_words(result), done, total)
        except KeyboardInterrupt as error:
            error.add_note("Nothing is lost: what was delivered stays, and the rest goes on with:")
            error.add_note(f"  {again}")
            raise


def _step_words(result: Synced) -> str:
    events = counted(result.events, "event")
    return joined([_name(result), result.status, events, _OUTCOMES[result.state]])


def _exit(results: Sequence[Synced]) -> None:
    if any(result.state in _BAD for result in results):
        raise typer.Exit(1)


def _report(results: Sequence[Synced]) -> dict[str, Any]:
    counts = Counter(result.state for result in results)
    return {
        **{state: counts[state] for state in _OUTCOMES},
        "runs": [{**vars(result), "path": str(result.path)} for result in results],
    }


def _show(results: Sequence[Synced], again: str, *, nothing: str) -> None:
    page = Page()
    if not results:
        page.line(nothing)
        return
    shown = results[-_MAX_ROWS:]
    if len(shown) < len(results):
        page.line(f"The last {_MAX_ROWS} runs (--json has all):", style="dim")
    columns = ["run", "status", "events", "outcome"]
    rows = [
        [_name(one), one.status or "", f"{one.events:,}", _OUTCOMES[one.state]] for one in shown
    ]
    places = {one.tracking_uri for one in results if one.tracking_uri}
    if len(places) > 1:
        columns.append("where")
        rows = [[*row, one.tracking_uri] for row, one in zip(rows, shown, strict=True)]
    page.table(columns, rows)
    counts = Counter(one.state for one in results)
    parts = [f"{counts[state]:,} {words}" for state, words in _OUTCOMES.items() if counts[state]]
    page.blank()
    page.line((counted(len(results), "run"), "bold"), f": {', '.join(parts)}")
    if len(places) == 1:
        page.line(("where: ", "dim"), *places)
    if counts["running"]:
        page.line("Those still running are delivered by their own process.", style="dim")
    _tell_failures(Page.on_stderr(), [one for one in results if one.state in _BAD], again)


def _tell_failures(page: Page, failures: Sequence[Synced], again: str) -> None:
    """Tell each cause once, with the runs that it kept back."""
    causes: dict[str, list[Synced]] = {}
    for one in failures:
        causes.setdefault(one.error or "it is not known why", []).append(one)
    for cause, kept in causes.items():
        page.line(("error: ", "bold red"), f"{counted(len(kept), 'run')} not delivered: {cause}")
        for one in kept[:_MAX_NAMED]:
            page.line(f"{_name(one)} is kept in {one.path}", indent=2)
        if len(kept) > _MAX_NAMED:
            page.line(f"and {len(kept) - _MAX_NAMED:,} more (--json has all)", indent=2)
    if failures:
        page.line("Nothing is lost. When that is mended, deliver what is left:")
        page.command(again, indent=2)


def _name(result: Synced) -> str:
    return result.run_id or result.path.name
