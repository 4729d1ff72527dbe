"""``rlm-runtime log``: shows, follows and checks trajectory logs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from rlm_runtime.cli.follow import tail_events
from rlm_runtime.cli.output import Page, print_json
from rlm_runtime.cli.run_view import RunView
from rlm_runtime.cli.runs import LoggedRun, choose_run, note_event, read_index, run_report
from rlm_runtime.cli.tree import TreeOrder
from rlm_runtime.cli.validate import Finding, check_log
from rlm_runtime.cli.words import counted
from rlm_runtime.errors import ConfigurationError
from rlm_runtime.logging.events import Event, json_schema
from rlm_runtime.logging.jsonl import LogReader

__all__ = ["log"]

_MAX_OTHERS = 20

log = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_File = Annotated[Path, typer.Argument(metavar="FILE", help="The JSONL log.", show_default=False)]
_Run = Annotated[
    str | None,
    typer.Option("--run", metavar="ID", help="This run; the first characters of its id will do."),
]
_Full = Annotated[
    bool, typer.Option("--full", help="Cut nothing; show tools' results and tracebacks too.")
]
_Prompts = Annotated[
    bool, typer.Option("--prompts", help="Show the messages and completion of each LM call.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]


@log.command()
def show(
    file: _File,
    run: _Run = None,
    every: Annotated[bool, typer.Option("--all", help="All runs of the log.")] = False,
    full: _Full = False,
    prompts: _Prompts = False,
    as_json: _Json = False,
) -> None:
    """Show a run step by step: by default the last one in the log.

    For example:

      rlm-runtime log show run.jsonl

      rlm-runtime log show run.jsonl --run 3f2a --full --prompts | less
    """
    index = read_index(file)
    if not index.runs and not index.torn:
        raise ConfigurationError(f"The log {file} is empty. Give the log of a run that has begun.")
    chosen = index.runs[-1:]
    if every:
        chosen = index.runs
    elif run is not None:
        found = choose_run(index.runs, run)
        if found is None:
            raise ConfigurationError(
                f"No run in {file} begins with {run!r}. It holds: "
                f"{', '.join(one.run_id for one in index.runs)}."
            )
        chosen = [found]
    if as_json:
        print_json(
            {
                "file": str(file),
                "torn_lines": index.torn,
                "run_ids": [one.run_id for one in index.runs],
                "runs": [run_report(one, LogReader(file, run_id=one.run_id)) for one in chosen],
            }
        )
        return
    page = Page()
    for number, one in enumerate(chosen):
        if number:
            page.blank()
        order = TreeOrder(RunView(page, full=full, prompts=prompts))
        for event in LogReader(file, run_id=one.run_id):
            order.add(event)
        order.finish()
    _tell_torn(page, index.torn)
    _tell_others(page, index.runs, chosen)


def _tell_torn(page: Page, torn: Sequence[int]) -> None:
    for line in torn:
        page.blank()
        page.line(f"Line {line} is torn and was skipped: its writer was killed.", style="yellow")


def _tell_others(page: Page, runs: Sequence[LoggedRun], chosen: Sequence[LoggedRun]) -> None:
    others = [run for run in runs if run not in chosen]
    if not others:
        return
    page.blank()
    which = "The others" if len(others) <= _MAX_OTHERS else f"The last {_MAX_OTHERS} of the others"
    page.line(
        f"The log holds {len(runs)} runs. {which} (show one with --run ID, all with --all):",
        style="dim",
    )
    page.table(
        ["run", "started", "status", "what"],
        [
            (
                run.run_id,
                run.start["ts"][:19].replace("T", " ") if run.start else "?",
                run.status,
                run.title,
            )
            for run in others[-_MAX_OTHERS:]
        ],
    )


@log.command()
def follow(file: _File, run: _Run = None, full: _Full = False, prompts: _Prompts = False) -> None:
    """Show a run as it goes on, until it ends.

    Without --run it is the last run of the log, or, when that has ended, the next one. The log
    need not be there yet.

    For example:

      rlm-runtime log follow run.jsonl
    """
    page, notes = Page(), Page.on_stderr()
    earlier: set[str] | None = None
    waiting: list[Event] = []
    runs: dict[str, LoggedRun] = {}
    order: TreeOrder | None = None
    run_id: str | None = None
    for event in tail_events(file):
        if order is not None:
            if event is not None and event.get("run_id") == run_id:
                order.add(event)
            elif event is not None and event["event"] == "run_start":
                words = f"Another run has begun in this log; follow it with --run {event['run_id']}"
                notes.line(words, style="dim")
        elif event is not None:
            waiting.append(event)
            note_event(runs, event)
        else:
            run_id = _run_to_follow(runs, run, earlier)
            if run_id is None and earlier is None:
                notes.line(_waiting_words(file, run), style="dim")
            earlier = set(runs) if earlier is None else earlier
            if run_id is not None:
                order = TreeOrder(RunView(page, full=full, prompts=prompts))
                for one in waiting:
                    if one.get("run_id") == run_id:
                        order.add(one)
                waiting.clear()
        if order is not None and order.over:
            return


def _run_to_follow(
    runs: Mapping[str, LoggedRun], prefix: str | None, earlier: Collection[str] | None
) -> str | None:
    """Choose by id; else the last run if it goes on; else the first that was not there before."""
    if prefix is not None:
        found = choose_run(runs.values(), prefix)
        return found.run_id if found is not None else None
    if earlier is not None:
        return next((run_id for run_id in runs if run_id not in earlier), None)
    last = list(runs.values())[-1:]
    return last[0].run_id if last and last[0].end is None else None


def _waiting_words(file: Path, prefix: str | None) -> str:
    if prefix is not None:
        return f"Waiting for a run {prefix} in {file} (Ctrl-C to stop)."
    if file.exists():
        return (
            f"No run is going on in {file}; waiting for the next one (Ctrl-C to stop). "
            f"The last one: rlm-runtime log show {file}"
        )
    return f"Waiting for {file} to be written (Ctrl-C to stop)."


@log.command()
def validate(file: _File, as_json: _Json = False) -> None:
    """Check a log line by line; exit 1 if something is wrong.

    Each line must follow the JSON Schema of its event; in each run seq is dense, spans that begin
    also end, and parents are known. A run without an end is noted, but is no fault of the log.

    For example:

      rlm-runtime log validate run.jsonl && echo fine
    """
    check = check_log(file)
    if as_json:
        print_json(check.as_dict())
        raise typer.Exit(1 if check.problems else 0)
    page = Page()
    _findings(page, check.problems, "red")
    _findings(page, check.notes, "yellow")
    size = f"{counted(check.events, 'event')} in {counted(check.runs, 'run')}"
    if check.problems:
        found = counted(len(check.problems), "problem")
        page.line((f"{file}: {found}", "bold red"), f" ({size})")
        raise typer.Exit(1)
    page.line((f"{file}: valid", "bold green"), f" ({size})")


def _findings(page: Page, findings: Sequence[Finding], style: str) -> None:
    for finding in findings:
        where = f"line {finding.line}" if finding.line is not None else f"run {finding.run_id}"
        page.line((f"{where}: ", style), finding.message)


@log.command()
def schema() -> None:
    """Print the JSON Schema of the events."""
    print_json(json_schema())
