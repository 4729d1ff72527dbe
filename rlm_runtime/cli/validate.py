"""Checks a log: every line against the schema, every run for its numbering and its pairs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlm_runtime.errors import LogFormatError
from rlm_runtime.logging.events import PAIRS, Event, json_schema
from rlm_runtime.logging.jsonl import LogReader

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

__all__ = ["Finding", "LogCheck", "check_log"]

_MESSAGE = 200


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    Attributes:
        line: Where in the file, from 1; None when it is about a run as a whole.
        run_id: In which run; None when the line does not say.
        message: What is wrong.
    """

    line: int | None
    run_id: str | None
    message: str


@dataclass
class _Run:
    seq: int = 0
    ended: str | None = None
    open: dict[str, tuple[str, int]] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)


@dataclass
class LogCheck:
    """What a check has found.

    Attributes:
        events: How many events there are.
        runs: How many runs there are.
        problems: What breaks the schema or the rules.
        notes: What a killed or cancelled run leaves behind, which is no fault of the log.
    """

    events: int = 0
    runs: int = 0
    problems: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain values, with ``valid``."""
        return {"valid": not self.problems, **asdict(self)}


def check_log(path: Path) -> LogCheck:
    """Check a log.

    Raises:
        LogFormatError: The file cannot be read.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "log.jsonl"
        >>> _ = path.write_text('{"v": 1, "event": "warn')
        >>> [(p.line, p.message) for p in check_log(path).problems]
        [(1, 'The line is torn: its writer was killed.')]
    """
    check = LogCheck()
    runs: dict[str, _Run] = {}
    reader = LogReader(path)
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                torn = len(reader.torn)
                try:
                    event = reader.parse(line, number)
                except LogFormatError as error:
                    message = str(error).partition(f"line {number}: ")[2]
                    check.problems.append(Finding(number, None, message))
                    continue
                if len(reader.torn) > torn:
                    message = "The line is torn: its writer was killed."
                    check.problems.append(Finding(number, None, message))
                if event is not None:
                    _check_event(check, runs, event, number)
    except OSError as error:
        raise LogFormatError(f"Cannot read the log {path}: {error.strerror or error}.") from error
    for run_id, run in runs.items():
        _check_end(check, run_id, run)
    check.runs = len(runs)
    return check


def _check_event(check: LogCheck, runs: dict[str, _Run], event: Event, line: int) -> None:
    check.events += 1
    run_id = event.get("run_id")
    run_id = run_id if isinstance(run_id, str) else None
    check.problems += [Finding(line, run_id, message) for message in _against_schema(event)]
    if run_id is None:
        return
    run = runs.setdefault(run_id, _Run())
    check.problems += [Finding(line, run_id, message) for message in _against_run(event, run, line)]


@cache
def _validators() -> dict[str, Draft202012Validator]:
    from jsonschema import Draft202012Validator

    # One for each kind of event: a oneOf over all would try them all, and say nothing useful.
    return {one["title"]: Draft202012Validator(one) for one in json_schema()["oneOf"]}


def _against_schema(event: Event) -> Iterator[str]:
    validator = _validators().get(str(event["event"]))
    if validator is None:
        yield f"There is no event {event['event']!r}."
        return
    for error in validator.iter_errors(event):
        where = ".".join(map(str, error.absolute_path))
        message = error.message
        if len(message) > _MESSAGE:
            message = f"{json.dumps(error.instance)[:80]}… does not follow {error.schema_path[-1]}"
        yield f"{event['event']}{f', {where}' if where else ''}: {message}"


def _against_run(event: Event, run: _Run, line: int) -> Iterator[str]:
    name, seq = str(event["event"]), event.get("seq")
    first = not run.known and run.seq == 0
    if seq != run.seq:
        yield f"seq is {seq}, but {run.seq} comes next in this run."
    run.seq = (seq if isinstance(seq, int) else run.seq) + 1
    if first and name != "run_start":
        yield f"The run begins with {name} instead of run_start."
    if run.ended:
        yield f"{name} comes after the run's end."
    parent = event.get("parent_id")
    if isinstance(parent, str) and parent not in run.known:
        yield f"The parent {parent!r} of {name} is not known in this run."
    yield from _against_pairs(event, run, line)


def _against_pairs(event: Event, run: _Run, line: int) -> Iterator[str]:
    kind, _, edge = str(event["event"]).rpartition("_")
    span = event.get("span_id")
    if kind not in PAIRS or not isinstance(span, str):
        return
    if edge == "start":
        if span in run.known:
            yield f"The span {span!r} is begun a second time."
        run.open[span] = (kind, line)
        run.known.add(span)
        return
    begun = run.open.pop(span, None)
    if begun is None:
        yield f"{kind}_end ends the span {span!r}, which is not open."
    elif begun[0] != kind:
        yield f"{kind}_end ends the span {span!r}, which is a {begun[0]} (line {begun[1]})."
    if kind == "run":
        run.ended = str(event.get("status"))


def _check_end(check: LogCheck, run_id: str, run: _Run) -> None:
    if run.ended is None:
        message = "The run has no end: it goes on still, or its process was killed."
        check.notes.append(Finding(None, run_id, message))
        return
    for span, (kind, line) in run.open.items():
        # A run that failed or was cancelled may leave calls behind on other threads.
        found = check.problems if run.ended == "FINISHED" else check.notes
        found.append(Finding(line, run_id, f"The {kind} span {span!r} begins here and never ends."))
