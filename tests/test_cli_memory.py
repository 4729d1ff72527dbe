"""``rlm-runtime memory`` shows, shares and thins out memories; ``ask`` uses and makes them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rlm_runtime.cli.app import app
from rlm_runtime.logging.console import ConsoleSink
from rlm_runtime.logging.events import Event
from rlm_runtime.logging.jsonl import JsonlSink
from rlm_runtime.memory import (
    Judgment,
    Memory,
    MemoryFilters,
    Retrieved,
    SQLiteMemoryBackend,
    StoredRun,
)
from tests.support.events import Stream, error, play

PROV = str(Path(__file__).parent.parent / "ontology" / "prov.ttl")
OLD = "2020-01-02T03:04:05.000006Z"
COUNT = Memory("Count things", "Use COUNT(DISTINCT ?x).", tags=("count",), created_at=OLD)
LABEL = Memory(
    "Which label has Plan?",
    "SELECT ?l { prov:Plan rdfs:label ?l }",
    kind="exemplar",
    source="success",
    ontology="prov",
    query="Which label has Plan?",
    level=2,
    run_id="run-0",
)
GUESS = Memory("Guess", "Take the first.", succeeded=1, failed=4, accessed=5)
RETIRED = Memory("Retired", "Never mind.", retired=True, created_at=OLD)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with memories, which the environment names."""
    path = tmp_path / "memory.db"
    with SQLiteMemoryBackend(path) as opened:
        opened.add_memories([COUNT, LABEL, GUESS, RETIRED])
        opened.add_run(StoredRun("run-1", "How many?", "prov"))
        opened.record_usage("run-1", [Retrieved(LABEL, 2.5)])
        opened.add_judgment(Judgment("run-1", True))
    monkeypatch.setenv("RLM_RUNTIME_MEMORY", str(path))
    monkeypatch.delenv("RLM_MODEL", raising=False)
    return path


def run(*arguments: object, typed: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=typed)


def shown(*arguments: object) -> str:
    result = run("memory", *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def told(*arguments: object) -> Any:
    return json.loads(shown(*arguments, "--json"))


def titles(path: Path) -> dict[str, bool]:
    """Give the title of each memory, and whether it is retired."""
    with SQLiteMemoryBackend(path) as opened:
        found = opened.get_all_memories(MemoryFilters(retired=True))
        return {one.title: one.retired for one in found}


# Looking


def test_memories_are_listed_latest_first(store: Path) -> None:
    lines = shown("list").splitlines()
    assert lines[0].split() == ["id", "kind", "ontology", "used", "helped", "title"]
    assert lines[-2].split() == [COUNT.memory_id[:8], "strategy", "any", "0", "Count", "things"]
    assert "1 of 5" in shown("list")
    assert lines[-1] == "(3 memories)"
    assert "Retired (retired)" in shown("list", "--retired")
    assert "the latest 1 of 3 memories" in shown("list", "--limit", 1)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--kind", "exemplar"], {LABEL.title}),
        (["--source", "success"], {LABEL.title}),
        (["--ontology", "other"], {COUNT.title, GUESS.title}),
        (["--tag", "count"], {COUNT.title}),
        (["--min-success-rate", "0.5"], {COUNT.title, LABEL.title}),
        (["--retired"], {COUNT.title, LABEL.title, GUESS.title, RETIRED.title}),
    ],
)
def test_options_choose_memories(store: Path, options: list[str], wanted: set[str]) -> None:
    assert {one["title"] for one in told("list", *options)} == wanted


def test_json_has_all_of_a_memory(store: Path) -> None:
    (found,) = told("list", "--kind", "exemplar")
    assert found["memory_id"] == LABEL.memory_id
    assert (found["accessed"], found["succeeded"], found["success_rate"]) == (1, 1, 1.0)
    assert found["tags"] == []


def test_search_gives_what_a_run_would_be_given(store: Path) -> None:
    first, *_ = told("search", LABEL.query, "--ontology", "prov")
    assert first["title"] == LABEL.title
    assert first["score"] > 0
    assert LABEL.memory_id[:8] in shown("search", LABEL.query).splitlines()[1]
    assert shown("search", "zebra") == "No memory fits this question.\n"


def test_a_memory_is_shown_as_a_whole_with_its_runs(store: Path) -> None:
    text = shown("show", LABEL.memory_id[:6])
    for piece in (LABEL.memory_id, LABEL.content, "success, run run-0", "1 of 1 judged"):
        assert piece in text
    assert text.splitlines()[-1].split() == ["run-1", "1", "success"]
    assert told("show", LABEL.memory_id)["runs"][0]["score"] == 2.5
    assert "runs are not given it any more" in shown("show", RETIRED.memory_id)


def test_ids_that_do_not_name_one_memory_say_so(store: Path) -> None:
    unknown = run("memory", "show", "zzz")
    assert (unknown.exit_code, "list --retired" in unknown.stderr) == (2, True)
    ambiguous = run("memory", "show", "")
    assert (ambiguous.exit_code, "4 memories begin with" in ambiguous.stderr) == (2, True)


def test_stats_count_what_is_there(store: Path) -> None:
    counts = told("stats")
    assert counts["store"] == str(store)
    assert (counts["memories"], counts["retired"], counts["runs"]) == (3, 1, 1)
    text = shown("stats")
    assert "3 in use, 1 retired" in text
    assert "by ontology   any 2, prov 1" in text


@pytest.mark.parametrize("command", ["list", "search x", "show x", "stats", "export x", "prune"])
def test_a_store_that_is_not_there_is_not_made(store: Path, tmp_path: Path, command: str) -> None:
    missing = tmp_path / "missing.db"
    result = run("memory", *command.split(), "--store", missing)
    assert result.exit_code == 2
    assert f"There is no store of memories at {missing}" in result.stderr
    assert not missing.exists()
    assert not (tmp_path / "x").exists()


# Packs


def test_a_pack_brings_memories_to_another_store(store: Path, tmp_path: Path) -> None:
    pack, other = tmp_path / "pack.jsonl", tmp_path / "other.db"
    assert shown("export", pack) == f"3 memories written to {pack}\n"
    once = pack.read_bytes()
    shown("export", pack)
    assert pack.read_bytes() == once
    assert "succeeded" not in pack.read_text()

    planned = shown("import", pack, "--store", other, "--dry-run")
    assert "Count things" in planned
    assert "3 new memories, 0 with more tags, 0 known already" in planned
    assert not other.exists()
    assert len(told("import", pack, "--store", other)["added"]) == 3
    again = told("import", pack, "--store", other)
    assert (again["added"], again["tagged"], len(again["same"])) == ([], [], 3)
    assert titles(other) == {COUNT.title: False, LABEL.title: False, GUESS.title: False}
    shown("export", tmp_path / "back", "--store", other)
    assert (tmp_path / "back").read_bytes() == once


def test_history_goes_along_when_it_is_wanted(store: Path, tmp_path: Path) -> None:
    pack, other = tmp_path / "pack.jsonl", tmp_path / "other.db"
    assert told("export", pack, "--with-history")["exported"] == 4
    shown("import", pack, "--store", other)
    assert titles(other)[RETIRED.title]
    with SQLiteMemoryBackend(other) as opened:
        assert opened.get_memory(GUESS.memory_id) == replace(
            GUESS, created_at=opened.get_memory(GUESS.memory_id).created_at
        )


def test_what_holds_a_secret_is_left_out_and_named(store: Path, tmp_path: Path) -> None:
    secret = Memory("Log in", "Use https://me:swordfish@host/sparql")
    with SQLiteMemoryBackend(store) as opened:
        opened.add_memory(secret)
    result = run("memory", "export", tmp_path / "pack")
    assert result.exit_code == 0
    assert f"left out: {secret.memory_id[:8]}, as its content seems" in result.stderr
    assert "swordfish" not in (tmp_path / "pack").read_text()
    assert secret.memory_id in told("export", tmp_path / "pack")["left_out"]


def test_a_broken_pack_changes_nothing(store: Path, tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    header = '{"format": "rlm-runtime-memories", "version": 1}\n'
    good.write_text(header + '{"title": "New", "content": "C"}\n')
    bad.write_text(good.read_text() + '{"title": "Newer"}\n')
    before = titles(store)
    result = run("memory", "import", good, bad)
    assert result.exit_code == 2
    assert f"{bad}, line 3: content: Field required" in " ".join(result.stderr.split())
    assert titles(store) == before


# Pruning


@pytest.mark.parametrize(
    ("options", "retired"),
    [
        ([], {GUESS.title}),
        (["--min-judged", "6"], set()),
        (["--max-success-rate", "0.1"], set()),
        (["--max-success-rate", "1", "--min-judged", "1"], {GUESS.title, LABEL.title}),
        (["--unused"], {COUNT.title}),
        (["--older-than", "90d"], {COUNT.title}),
        (["--unused", "--older-than", "90000d"], set()),
        (["--older-than", "90d", "--min-judged", "1"], set()),
    ],
)
def test_pruning_retires_what_meets_all_conditions(
    store: Path, options: list[str], retired: set[str]
) -> None:
    planned = set(told("prune", "--dry-run", *options)["retired"])
    assert [title for title, gone in titles(store).items() if gone] == [RETIRED.title]
    assert set(told("prune", *options)["retired"]) == planned
    assert {title for title, gone in titles(store).items() if gone} == retired | {RETIRED.title}
    assert told("prune", *options)["retired"] == []


def test_deleting_asks_first(store: Path) -> None:
    arguments = ("memory", "prune", "--older-than", "90d", "--delete")
    for typed in ("n\n", ""):
        refused = run(*arguments, typed=typed)
        assert refused.exit_code == 1
        assert "Nothing was deleted" in refused.stderr
        assert len(titles(store)) == 4
    assert "2 memories would be deleted" in run(*arguments, "--dry-run").stdout
    assert len(titles(store)) == 4
    agreed = run(*arguments, typed="y\n")
    assert agreed.exit_code == 0
    assert "Delete 2 memories for good?" in agreed.stderr
    assert set(titles(store)) == {LABEL.title, GUESS.title}
    assert len(told("prune", "--delete", "--yes")["deleted"]) == 1
    assert set(titles(store)) == {LABEL.title}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--yes"], "--yes belongs to --delete"),
        (["--older-than", "soon"], "--older-than soon is no age"),
        (["--max-success-rate", "2"], "--max-success-rate"),
    ],
)
def test_bad_conditions_are_refused(store: Path, options: list[str], says: str) -> None:
    result = run("memory", "prune", *options)
    assert result.exit_code == 2
    assert says in result.stderr


# In a run


def test_ask_learns_from_one_run_and_remembers_in_the_next(tmp_path: Path) -> None:
    path, log = tmp_path / "asked.db", tmp_path / "log.jsonl"
    asked = ("ask", "What are the subclasses of Agent?", PROV, "--model", "offline")
    first = run(*asked, "--memory", path, "--learn", "--log", log)
    assert first.exit_code == 0, first.output
    assert "memory found none that fits" in first.stderr
    assert "memory judged success" in first.stderr
    assert "memory learned 2: What are the subclasses of Agent?; " in first.stderr
    assert "memory kept 2 new, 0 known already" in first.stderr
    second = run(*asked, "--memory", path, "--memories", 1)
    assert "memory found 1: What are the subclasses of Agent?" in second.stderr
    assert "judged" not in second.stderr
    counts = told("stats", "--store", path)
    assert (counts["runs"], counts["judgments"], counts["usages"]) == (2, 1, 1)
    in_log = run("log", "show", log).stdout
    assert first.stderr.strip() in in_log
    assert "│ SELECT" not in in_log
    assert "│ SELECT" in run("log", "show", log, "--full").stdout


def test_ask_without_a_path_uses_the_usual_store_and_only_when_asked(store: Path) -> None:
    asked = ("ask", "What is Plan?", PROV, "--model", "offline", "--quiet")
    assert run(*asked).exit_code == 0
    assert told("stats")["runs"] == 1
    assert run(*asked, "--memories", 0).exit_code == 0
    assert told("stats")["runs"] == 2


def test_a_broken_store_exits_2_before_anything_is_spent(tmp_path: Path) -> None:
    (tmp_path / "no.db").write_text("this is no database, but some text that is long enough")
    result = run("ask", "What?", PROV, "--model", "offline", "--memory", tmp_path / "no.db")
    assert result.exit_code == 2
    assert "Cannot open the memory store" in result.stderr


def learned_run() -> list[Event]:
    """Give the events of a run whose judge is a model, and whose extraction failed."""
    stream = Stream(query="q")
    span = stream.start("memory_retrieval", stream.root, query="q", k=3, filters={})
    stream.end(span, memories=[{"title": "A\nB", "content": "c", "kind": "strategy"}, {}])
    stream.add("memory_usage", None, stream.root, memories=["1", "2"])
    span = stream.start("memory_judgment", stream.root, judge="openai/gpt-test")
    judge = stream.start("module", span, name="TrajectoryJudge", inputs={"steps": "s" * 99})
    predict = stream.start("module", judge, name="Predict")
    stream.lm(predict)
    stream.end(predict)
    stream.end(judge)
    stream.end(span, success=False, reason="It guessed.", confidence=0.75)
    span = stream.start("memory_extraction", stream.root, judge="openai/gpt-test")
    stream.end(span, memories=None, error=error("ValueError", "no lessons"))
    span = stream.start("memory_storage", stream.root, memories=0)
    stream.end(stream.root)
    return stream.events


def test_a_log_shows_what_came_of_each_step_with_memories(tmp_path: Path) -> None:
    play(learned_run(), JsonlSink(tmp_path / "log.jsonl"))
    lines = run("log", "show", tmp_path / "log.jsonl").stdout.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("memory found 2"))
    assert lines[start : start + 8] == [
        "memory found 2: A B; ?  1 ms",
        "",
        "memory judged failure (0.75): It guessed.  7 ms",
        "  LM openai/gpt-test  100 tokens in, 10 out · $0.0010 · 1 ms",
        "memory extraction",
        "  ✗ ValueError: no lessons",
        "memory storage",
        "  ✗ never ended",
    ]
    full = run("log", "show", tmp_path / "log.jsonl", "--full").stdout
    assert "  strategy ?  A" in full
    assert "TrajectoryJudge" in full


def test_verbose_prints_what_was_remembered_and_learned(
    capsys: pytest.CaptureFixture[str],
) -> None:
    play(learned_run(), ConsoleSink())
    assert capsys.readouterr().err.splitlines() == [
        "--- memory found 2: A B; ?",
        "--- memory judged failure (0.75): It guessed.",
    ]
