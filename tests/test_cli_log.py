"""``rlm-runtime log`` shows runs to a human, follows them, and finds what is wrong with a log."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import dspy
import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from rlm_runtime import observe
from rlm_runtime.cli.app import app
from rlm_runtime.cli.follow import tail_events
from rlm_runtime.cli.tree import Node, TreeOrder
from rlm_runtime.cli.validate import check_log
from rlm_runtime.logging.events import Event, json_schema
from rlm_runtime.logging.jsonl import JsonlSink, dump_event
from tests.support.events import Stream, error, play, rlm_run
from tests.support.lms import ScriptedLM, fields

ROOT = Path(__file__).parent.parent


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def shown(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def write(path: Path, *runs: Sequence[Event]) -> Path:
    for events in runs:
        play(events, JsonlSink(path))
    return path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write(tmp_path / "log.jsonl", rlm_run())


# show


def test_a_run_is_shown_from_question_to_answer(log: Path) -> None:
    text = shown("log", "show", log)
    in_order = [
        "run_dspy_rlm  What is Activity?",
        "run-1",
        "2026-01-02 03:04:05 UTC",
        "prov",
        "max_iterations 8",
        "── step 1 ",
        "LM openai/gpt-test  100 tokens in, 10 out · $0.0010 · 1 ms",
        "I look.",
        'print(search_entity("Activity"))',
        'tool search_entity(query="Activity") → 1 item  1 ms',
        "│ prov:Activity  Activity  class",
        "── step 2 ",
        "✗ NameError: name 'undefined' is not defined",
        "── step 3 ",
        'tool llm_query(prompt="a") → "A"',
        "sub-LM openai/gpt-test",
        'tool llm_query(prompt="b") → "B"',
        "── step 4 ",
        "submitted answer",
        "── end ",
        "FINISHED  submitted · converged",
        "4 steps",
        "Answer\n  Something that occurs over a period of time",
        "SPARQL\n  SELECT ?s WHERE { ?s a owl:Class }",
        "Evidence\n  http://www.w3.org/ns/prov#Activity",
    ]
    place = 0
    for piece in in_order:
        place = text.find(piece, place)
        assert place >= 0, f"{piece!r} is not in its place in:\n{text}"
    assert "OntologyRLM" not in text, "the wrapping of the RLM says nothing"


def test_the_last_run_is_shown_and_the_others_are_named(tmp_path: Path) -> None:
    log = write(
        tmp_path / "log.jsonl",
        rlm_run("aaa-1", "First question?"),
        rlm_run("aab-2", "Second question?"),
        rlm_run("b-3", "Third question?"),
    )
    text = shown("log", "show", log)
    assert text.count("── step 1") == 1
    assert "run       b-3" in text
    assert "First question?" in text.partition("holds 3 runs")[2]
    assert "run       aab-2" in shown("log", "show", log, "--run", "aab")
    assert shown("log", "show", log, "--all").count("── end") == 3
    ambiguous = run("log", "show", log, "--run", "aa")
    assert (ambiguous.exit_code, "aaa-1, aab-2" in ambiguous.stderr) == (2, True)
    unknown = run("log", "show", log, "--run", "zzz")
    assert (unknown.exit_code, "b-3" in unknown.stderr) == (2, True)


def test_a_killed_run_and_its_torn_line_are_shown_as_such(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    lines = [dump_event(event).decode().rstrip("\n") for event in rlm_run()[:9]]
    log.write_text("\n".join(lines) + "\n" + lines[-1][:40])
    text = shown("log", "show", log)
    assert "never ended" in text
    assert "This run never ended" in text
    assert "Line 10 is torn" in text


def test_errors_warnings_and_budgets_are_shown_once(tmp_path: Path) -> None:
    stream = Stream(query="q")
    outer = stream.start("module", stream.root, name="Outer")
    inner = stream.start("module", outer, name="Inner")
    for span in (inner, outer):
        stream.end(span, error=error("ValueError", "it broke here"))
    stream.add("warning", None, stream.root, category="TrackingWarning", message="disk full")
    stream.add("budget", None, stream.root, kind="max_tokens", limit=10, used=12)
    stream.end(
        stream.root, status="FAILED", stop_reason=None, error=error("ValueError", "it broke here")
    )
    log = write(tmp_path / "log.jsonl", stream.events)
    text = shown("log", "show", log)
    assert text.partition("── end")[0].count("✗ ValueError: it broke here") == 1
    assert text.partition("── end")[2].count("✗ ValueError: it broke here") == 1
    assert "warning TrackingWarning: disk full" in text
    assert "the budget max_tokens=10 is used up (12)" in text
    assert "Traceback" not in text
    assert "Traceback" in shown("log", "show", log, "--full")


def test_long_output_is_cut_with_a_note_unless_all_is_wanted(tmp_path: Path) -> None:
    stream = Stream()
    rlm = stream.start("module", stream.root, name="RLM")
    cell = stream.turn(rlm, "print(everything)")
    rows = [{"n": n} for n in range(60)]
    stream.tool(
        cell, "sparql_select", {"columns": ["n"], "rows": rows, "total": 900}, query="S" * 99
    )
    stream.end(cell, stdout="\n".join(f"line {n}" for n in range(500)))
    log = write(tmp_path / "log.jsonl", stream.events)
    text = shown("log", "show", log)
    assert "60 of 900 rows" in text
    assert "line 23\n" in text
    assert "line 24\n" not in text
    assert "… 476 more lines (--full shows all)" in text
    full = shown("log", "show", log, "--full")
    assert "line 499" in full
    assert "S" * 99 in full
    assert '"n": 59' in full
    assert "--full" not in full


def test_prompts_are_shown_when_asked_for(log: Path) -> None:
    assert "Your input fields are" not in shown("log", "show", log)
    text = shown("log", "show", log, "--prompts")
    assert "│ Your input fields are: ..." in text
    assert "│ [[ ## reasoning ## ]]" in text


def test_a_run_as_json(tmp_path: Path) -> None:
    log = write(tmp_path / "log.jsonl", rlm_run("a"), rlm_run("b")[:-1])
    report = json.loads(shown("log", "show", log, "--all", "--json"))
    assert report["run_ids"] == ["a", "b"]
    first, second = report["runs"]
    assert (first["status"], second["status"]) == ("FINISHED", "UNFINISHED")
    assert first["query"] == "What is Activity?"
    assert [step["number"] for step in first["steps"]] == [1, 2, 3, 4]
    assert "undefined" in first["steps"][1]["error"]
    assert first["outputs"]["answer"] == "Something that occurs over a period of time"
    assert second["outputs"] is None
    assert second["metrics"]["sub_lm_calls"] == 2


def test_other_programs_are_shown_as_the_tree_of_their_modules(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"

    def weather(city: str) -> int:
        if city == "Atlantis":
            raise ValueError("no such city")
        return 21

    lm = ScriptedLM(
        fields(next_thought="a", next_tool_name="weather", next_tool_args='{"city": "Atlantis"}'),
        fields(next_thought="b", next_tool_name="weather", next_tool_args='{"city": "Paris"}'),
        fields(next_thought="c", next_tool_name="finish", next_tool_args="{}"),
        fields(reasoning="seen", answer="21 degrees"),
    )
    with dspy.context(lm=lm), observe("agent", log_path=log, tags={"team": "a"}) as seen:
        answer = dspy.ReAct("question -> answer", tools=[weather])(question="How warm?").answer
        seen.report(outputs={"answer": answer})
    text = shown("log", "show", log)
    assert "\nReAct  question -> answer\n  question: How warm?\n  Predict" in text
    assert '\n  tool weather(city="Atlantis")' in text
    assert "✗ ValueError: no such city" in text
    assert '\n  tool weather(city="Paris") → 21' in text
    assert "\n  ChainOfThought\n" in text
    assert text.count("question: How warm?") == 1, "what all modules are given is shown once"
    assert "team=a" in text
    assert "Answer\n  21 degrees" in text


def test_control_characters_of_a_log_do_not_reach_the_terminal(tmp_path: Path) -> None:
    stream = Stream(query="\x1b]0;title\x07?")
    rlm = stream.start("module", stream.root, name="RLM")
    cell = stream.turn(rlm, "print('\x1b[2J')", reasoning="\x9b31m and half a pair \ud83d")
    stream.tool(cell, "f\x1b[31m", "\x1b[31m", x="\x1b[31m")
    stream.end(cell, stdout="\x1b[2J\x08")
    log = write(tmp_path / "log.jsonl", stream.events)
    for more in ([], ["--full", "--prompts"]):
        ran = subprocess.run(
            [sys.executable, "-m", "rlm_runtime.cli", "log", "show", str(log), *more],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
        assert not set("\x1b\x9b\x08\x07") & set(ran.stdout)
        assert "\\x1b[2J" in ran.stdout
        assert "half a pair \\ud83d" in ran.stdout


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "Cannot read the log"),
        ("", "is empty"),
        ("no json\n", "line 1: this is no JSON"),
        ('{"a": 1}\n', "line 1: this JSON is no event"),
        ('{"v": 99, "event": "x"}\n', "schema version 99"),
    ],
)
def test_what_is_no_log_is_said_in_a_line(tmp_path: Path, content: str | None, says: str) -> None:
    path = tmp_path / "log.jsonl"
    if content is not None:
        path.write_text(content)
    result = run("log", "show", path)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert says in result.stderr
    assert not result.stdout


# The order of the tree


class Walk:
    """A view that keeps what it is shown."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, str | None]] = []

    def enter(self, node: Node) -> None:
        self.steps.append(("enter", (node.start or {}).get("name") or node.kind))

    def leave(self, node: Node) -> None:
        self.steps.append(("leave", (node.start or {}).get("name") or node.kind))


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), cut=st.integers(0, 60))
def test_parallel_branches_are_shown_one_after_the_other(seed: int, cut: int) -> None:
    chance = random.Random(seed)
    stream = Stream()
    waiting = [stream.root]
    for number in range(12):
        waiting.append(stream.start("module", chance.choice(waiting), name=f"m{number}"))
        if chance.random() < 0.5:
            stream.tool(chance.choice(waiting), f"t{number}")
        if len(waiting) > 2 and chance.random() < 0.4:
            # Innermost first: no span ends before what it caused.
            stream.end(waiting.pop())
    while len(waiting) > 1:
        stream.end(waiting.pop())
    stream.end(stream.root)
    walk = Walk()
    order = TreeOrder(walk)
    for event in stream.events[: max(1, len(stream.events) - cut)]:
        order.add(event)
    order.finish()
    assert order.over
    begun = [
        event.get("name", "run")
        for event in stream.events[: max(1, len(stream.events) - cut)]
        if event["event"].endswith("_start")
    ]
    assert sorted(name for what, name in walk.steps if what == "enter") == sorted(begun)
    stack: list[str | None] = []
    for what, name in walk.steps:
        if what == "enter":
            stack.append(name)
        else:
            assert stack.pop() == name, "each part is left before the next one outside it begins"
    assert not stack


def test_a_branch_is_shown_while_it_runs_and_a_parallel_one_waits() -> None:
    stream = Stream()
    walk = Walk()
    order = TreeOrder(walk)
    first = stream.start("module", stream.root, name="first")
    second = stream.start("module", stream.root, name="second")
    stream.tool(second, "of second")
    stream.tool(first, "of first")
    for event in stream.events:
        order.add(event)
    assert ("enter", "of first") in walk.steps
    assert ("enter", "second") not in walk.steps
    stream.end(first)
    order.add(stream.events[-1])
    assert walk.steps[-2:] == [("enter", "of second"), ("leave", "of second")]


# follow


class Script:
    """Writes to a log each time its follower would wait."""

    def __init__(self, *writes: Callable[[], object]) -> None:
        self._writes = list(writes)

    def __call__(self) -> None:
        if not self._writes:
            raise KeyboardInterrupt
        self._writes.pop(0)()


def follow(
    monkeypatch: pytest.MonkeyPatch, log: Path, *arguments: str, writes: Sequence[Callable] = ()
) -> Result:
    script = Script(*writes)
    monkeypatch.setattr(
        "rlm_runtime.cli.log.tail_events", lambda path: tail_events(path, pause=script)
    )
    return run("log", "follow", log, *arguments)


def appending(log: Path, text: str) -> Callable[[], None]:
    def append() -> None:
        with log.open("a") as file:
            file.write(text)

    return append


def test_a_run_is_followed_from_before_its_log_until_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log.jsonl"
    text = "".join(dump_event(event).decode() for event in rlm_run())
    pieces = [text[at : at + 700] for at in range(0, len(text), 700)]
    result = follow(monkeypatch, log, writes=[appending(log, piece) for piece in pieces])
    assert result.exit_code == 0
    assert "Waiting for" in result.stderr
    assert result.stdout == shown("log", "show", log)


def test_without_an_id_the_next_run_is_followed_when_the_last_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = write(tmp_path / "log.jsonl", rlm_run("old"))
    result = follow(monkeypatch, log, writes=[lambda: write(log, rlm_run("new"))])
    assert result.exit_code == 0
    assert "No run is going on" in result.stderr
    assert "run       new" in result.stdout
    assert "run       old" not in result.stdout


def test_one_run_of_a_shared_log_is_followed_by_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = write(tmp_path / "log.jsonl", rlm_run("a")[:5])
    rest = "".join(dump_event(event).decode() for event in rlm_run("a")[5:])
    result = follow(
        monkeypatch, log, writes=[lambda: write(log, rlm_run("b")[:4]), appending(log, rest)]
    )
    assert result.exit_code == 0
    assert "run       a\n" in result.stdout
    assert "follow it with --run b" in result.stderr
    assert follow(monkeypatch, log, "--run", "a").exit_code == 0


def test_following_can_be_interrupted(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = follow(monkeypatch, log)
    assert result.exit_code == 130
    assert "interrupted" in result.stderr


def test_a_log_that_shrinks_is_no_longer_followed(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = follow(monkeypatch, log, writes=[lambda: log.write_text("")])
    assert result.exit_code == 2
    assert "became shorter" in result.stderr


def test_following_a_real_writer(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    follower = subprocess.Popen(
        [sys.executable, "-m", "rlm_runtime.cli", "log", "follow", str(log)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert follower.stdout is not None
    events = rlm_run()
    sink = JsonlSink(log)
    for event in events[:-1]:
        sink.emit(event)
    watchdog = threading.Timer(60, follower.kill)
    watchdog.start()
    try:
        seen = ""
        while "── step 4" not in seen:
            line = follower.stdout.readline()
            assert line, f"the follower ended early, after:\n{seen}"
            seen += line
        sink.emit(events[-1])
        sink.close()
        assert "FINISHED" in follower.stdout.read()
        assert follower.wait() == 0
    finally:
        watchdog.cancel()
        follower.kill()
        follower.wait()
        follower.stdout.close()


# validate


def test_a_real_log_is_valid(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    with dspy.context(lm=ScriptedLM(fields(answer="yes"))), observe("p", log_path=log):
        dspy.Predict("question -> answer")(question="?")
    write(log, rlm_run("x"), rlm_run("y")[:7])
    result = run("log", "validate", log)
    assert result.exit_code == 0
    assert "in 3 runs" in result.stdout
    assert "run y: The run has no end" in result.stdout


def spoil(**changes: object) -> Callable[[Event], Event]:
    return lambda event: {**event, **changes}


def without(field: str) -> Callable[[Event], Event]:
    return lambda event: {key: value for key, value in event.items() if key != field}


@pytest.mark.parametrize(
    ("place", "change", "says"),
    [
        (3, spoil(ts="yesterday"), "'yesterday' does not match"),
        (3, spoil(extra=1), "'extra' was unexpected"),
        (3, without("messages"), "'messages' is a required property"),
        (3, spoil(event="dream"), "There is no event 'dream'"),
        (3, spoil(event=["dream"]), "There is no event ['dream']"),
        (3, spoil(seq=7), "seq is 7, but 3 comes next"),
        (3, spoil(parent_id="nobody"), "The parent 'nobody' of module_start is not known"),
        (3, spoil(span_id="s1"), "The span 's1' is begun a second time"),
        (3, spoil(run_id={}), "run_id: {} is not of type 'string'"),
        (0, spoil(event="warning", category="c", message="m"), "begins with warning"),
        (5, spoil(span_id="s9"), "ends the span 's9', which is not open"),
        (5, spoil(span_id="s3"), "ends the span 's3', which is a module (line 4)"),
    ],
)
def test_what_is_wrong_is_found_with_its_line(
    tmp_path: Path, place: int, change: Callable[[Event], Event], says: str
) -> None:
    events: list[Event] = rlm_run()
    if place == 3 and "messages" in says:
        place = 4
    events[place] = change(events[place])
    log = tmp_path / "log.jsonl"
    log.write_text("".join(dump_event(event).decode() for event in events))
    check = check_log(log)
    assert any(f.line == place + 1 and says in f.message for f in check.problems), check.problems
    assert run("log", "validate", log).exit_code == 1


def test_missing_repeated_and_torn_lines_are_found(log: Path) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*lines[:5], *lines[6:], lines[-1], b"[]\n", b'{"v": 1, "se']))
    report = json.loads(run("log", "validate", log, "--json").stdout)
    assert report["valid"] is False
    found = {(problem["line"], problem["message"]) for problem in report["problems"]}
    last = len(lines)
    assert (6, "seq is 6, but 5 comes next in this run.") in found
    assert (5, "The lm span 's4' begins here and never ends.") in found
    assert (last, "run_end comes after the run's end.") in found
    assert any(line == last + 1 and "no event" in message for line, message in found)
    assert (last + 2, "The line is torn: its writer was killed.") in found


def test_calls_left_behind_by_a_killed_run_are_only_noted(tmp_path: Path) -> None:
    stream = Stream()
    stream.start("module", stream.root, name="Left")
    stream.end(stream.root, status="KILLED")
    check = check_log(write(tmp_path / "log.jsonl", stream.events))
    assert not check.problems
    assert [note.line for note in check.notes] == [2]


def test_the_schema_is_printed() -> None:
    printed = json.loads(shown("log", "schema"))
    jsonschema.Draft202012Validator.check_schema(printed)
    assert printed == json_schema()


# The command itself


def loaded_by(*arguments: str) -> set[str]:
    code = (
        "import sys\nfrom rlm_runtime.cli.app import app\n"
        f"app({list(arguments)!r}, standalone_mode=False)\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return {name.partition(".")[0] for name in ran.stderr.split()}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["ask", "--help"],
        ["ontology", "info", "ontology/prov.ttl"],
        ["log", "schema"],
    ],
    ids=" ".join,
)
def test_quick_commands_import_no_heavy_library(arguments: list[str]) -> None:
    assert not loaded_by(*arguments) & {"dspy", "litellm", "mlflow", "jsonschema", "pydantic_monty"}


def test_help_has_a_line_for_each_command() -> None:
    text = shown("--help")
    assert all(f"\n  {name} " in text for name in ("ask", "log", "ontology"))
    assert "..." not in shown("log", "--help").partition("Commands")[2]
    assert "..." not in shown("ontology", "--help").partition("Commands")[2]


def test_the_version_is_told() -> None:
    assert shown("--version").startswith("rlm-runtime 0.")


def test_colours_are_for_terminals_without_no_color(log: Path) -> None:
    pty = pytest.importorskip("pty")

    def on_terminal(**variables: str) -> str:
        ours, theirs = pty.openpty()
        environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS")}
        child = subprocess.Popen(
            [sys.executable, "-m", "rlm_runtime.cli", "log", "show", str(log)],
            stdout=theirs,
            stdin=theirs,
            stderr=theirs,
            cwd=ROOT,
            env={**environment, "TERM": "xterm-256color", **variables},
        )
        os.close(theirs)
        data = b""
        try:
            while piece := os.read(ours, 65536):
                data += piece
        except OSError:
            # The other side is closed: Linux says so with an error.
            assert child.wait() == 0
        os.close(ours)
        return data.decode()

    assert "\x1b[31m" in on_terminal()
    assert "\x1b[31m" not in on_terminal(NO_COLOR="1")
    assert "\x1b" not in shown("log", "show", log)


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    log = write(tmp_path / "log.jsonl", *(rlm_run(f"r{n}") for n in range(200)))
    command = f"{sys.executable} -m rlm_runtime.cli log show {log} --all | head -n 1"
    ran = subprocess.run(command, shell=True, capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stdout.startswith("run_dspy_rlm")
    assert ran.stderr == ""
