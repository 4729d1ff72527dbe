"""Does memory help: pairs that differ in memory only, figures that are what they say."""

from __future__ import annotations

import csv
import io
import json
import random
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from rlm_runtime import SQLiteMemoryBackend
from rlm_runtime.cli.app import app
from rlm_runtime.errors import ConfigurationError
from rlm_runtime.evals import Evaluation, Question, evaluate_memory, read_questions, render
from rlm_runtime.evals.arms import order_of
from rlm_runtime.evals.plot import plot_evaluation
from rlm_runtime.evals.statistics import compare
from rlm_runtime.evals.values import Comparison, Failure, MemoryShown
from rlm_runtime.logging.jsonl import LogReader
from rlm_runtime.memory import Memory
from rlm_runtime.ontology import open_ontology
from tests.support.lms import ScriptedLM, cell, fields

PROV = Path(__file__).parent.parent / "ontology" / "prov.ttl"
QUESTIONS = [
    Question("What are the subclasses of Agent?", ("Person", "Organization")),
    Question("What are the subclasses of Entity?", ("Plan",)),
    Question("What are the subclasses of Influence?"),
    Question("What is Activity?"),
    Question("What is Plan?"),
    Question("How many subclasses has Agent?", ("3",)),
    Question("What is the domain of wasGeneratedBy?"),
    Question("What is a Unicorn?"),
]
SUBMIT = cell("SUBMIT(answer='A thing that goes on.', evidence=['prov:Activity'])")
MISS = cell("SUBMIT(answer='No idea.')")
JUDGED = fields(reason="It fits.", success="True", confidence="0.9")
LESSON = {"title": "Look it up", "description": "", "content": "Search, then describe it."}
LESSONS = fields(lessons=json.dumps([LESSON]))


@pytest.fixture(scope="module")
def prov() -> Iterator[Any]:
    with open_ontology(PROV) as ontology:
        yield ontology


@pytest.fixture(scope="module")
def told(prov: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Evaluation, list[Any]]:
    """An evaluation with two seeds, and the events of its runs."""
    log = tmp_path_factory.mktemp("log") / "runs.jsonl"
    evaluation = evaluate_memory(QUESTIONS, prov, model="offline", seeds=2, log_path=log)
    return evaluation, list(LogReader(log))


def reply(prompt: str) -> str:
    """Answer, judge or write down lessons, as the prompt asks."""
    wanted = prompt.rpartition("Respond with ")[2]
    if "lessons" in wanted:
        return LESSONS
    return JUDGED if "confidence" in wanted else SUBMIT


class TestPairs:
    def test_each_question_is_asked_in_both_ways_for_each_seed(self, told: Any) -> None:
        evaluation, _ = told
        asked = [(pair.seed, pair.number) for pair in evaluation.pairs]
        wanted = {(seed, n) for seed in (1, 2) for n in range(1, 9)}
        assert set(asked) == wanted
        assert len(asked) == len(wanted)
        assert [n for seed, n in asked if seed == 1] != [n for seed, n in asked if seed == 2]
        assert not evaluation.failures

    def test_what_two_runs_of_a_pair_differ_in_is_memory(self, told: Any) -> None:
        evaluation, events = told
        starts = {one["run_id"]: one for one in events if one["event"] == "run_start"}
        remembering = {one["run_id"] for one in events if one["event"].startswith("memory_")}
        for pair in evaluation.pairs:
            without, with_memory = (starts[one.run_id] for one in (pair.without, pair.with_memory))
            assert without["query"] == with_memory["query"] == pair.question.text
            differing = {
                name
                for name, value in without["params"].items()
                if value != with_memory["params"].get(name)
            }
            assert differing == {"has_memory"}
            assert {**without["tags"], "arm": ""} == {**with_memory["tags"], "arm": ""}
            assert pair.without.run_id not in remembering
            assert pair.with_memory.run_id in remembering
        assert {one["trajectory_id"] for one in events} == {evaluation.evaluation_id}

    def test_each_way_comes_first_for_half_of_the_questions(self, told: Any) -> None:
        evaluation, events = told
        order = [one["run_id"] for one in events if one["event"] == "run_start"]
        first = [
            order.index(pair.with_memory.run_id) < order.index(pair.without.run_id)
            for pair in evaluation.pairs
        ]
        assert sum(first) == len(first) / 2

    def test_the_figures_are_those_of_the_runs(self, told: Any) -> None:
        evaluation, events = told
        ends = {one["run_id"]: one["metrics"] for one in events if one["event"] == "run_end"}
        for _, _, one in evaluation.measured():
            metrics = ends[one.run_id]
            assert one.measures["converged"] == metrics["converged"]
            assert one.measures["grounded"] == metrics["evidence_grounded"]
            assert one.measures["iterations"] == metrics["iteration_count"]
            # The offline model learns by rules, which take no tokens.
            assert one.measures["tokens"] == metrics["total_tokens"]
            assert 0 < one.measures["latency_seconds"] <= metrics["duration_seconds"]
        tokens = evaluation["tokens"]
        assert tokens.n == 8
        assert tokens.with_memory > tokens.without
        assert evaluation["correct"].n == 3
        assert "cost_usd" not in {one.metric for one in evaluation.comparisons}

    def test_it_comes_out_the_same_again(self, told: Any, prov: Any) -> None:
        evaluation, _ = told
        again = evaluate_memory(QUESTIONS, prov, model="offline", seeds=2)
        timed = ("latency_seconds",)
        assert [one for one in again.comparisons if one.metric not in timed] == [
            one for one in evaluation.comparisons if one.metric not in timed
        ]
        assert again.memories == evaluation.memories

    def test_caches_answer_no_run(self, prov: Any) -> None:
        lm = ScriptedLM(reply, cache=True)
        evaluation = evaluate_memory(["What is Activity?"], prov, model=lm, seeds=3)
        # An answer without memory; an answer, a judgment and lessons with it.
        assert len(lm.prompts) == 3 * 4
        assert lm.cache
        assert evaluation["tokens"].without > 0


class TestWhereMemoriesComeFrom:
    def test_as_you_go_a_question_is_shown_what_those_before_it_taught(self, told: Any) -> None:
        evaluation, _ = told
        for seed in (1, 2):
            pairs = [pair for pair in evaluation.pairs if pair.seed == seed]
            assert pairs[0].with_memory.memories == ()
            assert any(pair.with_memory.memories for pair in pairs)
        assert not any(pair.without.memories for pair in evaluation.pairs)
        assert evaluation.learning.runs == 16
        uses = [pair.with_memory.memories for pair in evaluation.pairs]
        counted = {one.memory_id: one.runs for one in evaluation.memories}
        assert counted == {known: sum(known in use for use in uses) for known in counted}
        assert sum(map(len, uses)) == sum(counted.values())

    def test_before_half_is_learned_from_and_the_other_half_measured(self, prov: Any) -> None:
        evaluation = evaluate_memory(QUESTIONS, prov, model="offline", learn="before")
        training, measured, _ = order_of(8, 1, "before")
        assert [pair.number for pair in evaluation.pairs] == measured
        assert sorted(training + measured) == [*range(1, 9)]
        assert (evaluation.learning.runs, evaluation["tokens"].n) == (4, 4)
        assert evaluation.learning.tokens > 4_000
        assert evaluation.memories

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[SQLiteMemoryBackend]:
        with SQLiteMemoryBackend(tmp_path / "memory.db") as store:
            asked = "What is  activity?"
            store.add_memory(
                Memory("What is Activity?", "ASK {}", kind="exemplar", query=asked, accessed=7)
            )
            store.add_memory(Memory("What is Plan?", "ASK { }", kind="exemplar", query="A plan?"))
            yield store

    def test_never_the_given_store_is_used_and_stays_as_it_is(
        self, store: SQLiteMemoryBackend, prov: Any
    ) -> None:
        before = [*store.get_all_memories()], store.get_stats()
        evaluation = evaluate_memory(
            ["What is Plan?"], prov, model="offline", learn="never", memory_backend=store
        )
        (pair,) = evaluation.pairs
        assert len(pair.with_memory.memories) == 1
        assert evaluation.learning.runs == 0
        assert ([*store.get_all_memories()], store.get_stats()) == before

    @pytest.mark.parametrize(("allowed", "shown"), [(False, 0), (True, 1)])
    def test_a_question_is_not_shown_its_own_lesson_unless_asked(
        self, allowed: bool, shown: int, store: SQLiteMemoryBackend, prov: Any
    ) -> None:
        evaluation = evaluate_memory(
            ["What is Activity?"],
            prov,
            model="offline",
            learn="never",
            memory_backend=store,
            same_question=allowed,
            retrieve_memories=1,
        )
        assert len(evaluation.pairs[0].with_memory.memories) == shown

    def test_what_learning_takes_is_told_apart(self, prov: Any) -> None:
        lm = ScriptedLM(reply)
        evaluation = evaluate_memory(["What is Activity?"], prov, model=lm)
        assert evaluation["tokens"].difference == 0
        assert evaluation["tokens"].without > 0
        assert evaluation.learning.tokens > 0
        assert evaluation.learning.memories == 1
        assert evaluation.learning.seconds > 0


class TestFailures:
    def test_a_run_that_fails_is_listed_and_the_others_go_on(self, prov: Any) -> None:
        key = "sk-ant-REDACTED"

        def moody(prompt: str) -> str:
            if "[[ ## query ## ]]\nWhat is Plan?" in prompt:
                raise RuntimeError(f"no such luck with {key}")
            return reply(prompt)

        asked = ["What is Activity?", Question("What is Plan?", ("Plan",))]
        evaluation = evaluate_memory(asked, prov, model=ScriptedLM(moody))
        assert {(one.number, one.arm) for one in evaluation.failures} == {
            (2, "without"),
            (2, "with"),
        }
        for failure in evaluation.failures:
            assert "no such luck" in failure.error
            assert key not in failure.error
        failed = next(pair for pair in evaluation.pairs if pair.number == 2)
        assert failed.without.measures["converged"] == 0
        assert failed.without.measures["correct"] == 0
        assert evaluation["converged"].without == 0.5
        assert "2 runs failed" in render(evaluation)

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"learn": "sometimes"}, "none of as-you-go, before, never"),
            ({"learn": "never"}, "give memory_backend="),
            ({"learn": "before"}, "at least two"),
            ({"seeds": 0}, "seeds=0 must be at least 1"),
            ({"confidence": 1.0}, "between 0 and 1"),
            ({"memory_backend": "nowhere.db"}, "There is no memory store nowhere.db"),
            ({"run_id": "mine"}, "does not take run_id"),
            ({"max_iterations": 0}, "max_iterations=0"),
        ],
    )
    def test_what_cannot_work_is_said(self, options: dict[str, Any], said: str, prov: Any) -> None:
        with pytest.raises(ConfigurationError, match=re.escape(said)):
            evaluate_memory(["What is Plan?"], prov, model="offline", **options)

    def test_a_missing_scipy_is_said_before_anything_is_spent(
        self, monkeypatch: pytest.MonkeyPatch, prov: Any
    ) -> None:
        monkeypatch.setitem(sys.modules, "scipy.stats", None)
        lm = ScriptedLM(reply)
        with pytest.raises(ConfigurationError, match=r"rlm-runtime\[eval\]"):
            evaluate_memory(["What is Plan?"], prov, model=lm)
        assert not lm.prompts

    def test_a_missing_matplotlib_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        with pytest.raises(ConfigurationError, match=r"rlm-runtime\[eval\]"):
            plot_evaluation(planted(), "x.png")


class TestStatistics:
    @pytest.mark.parametrize("n", [6, 40])
    def test_the_interval_holds_the_planted_difference_as_often_as_it_says(self, n: int) -> None:
        chance = random.Random(n)
        held = 0
        for _ in range(400):
            rows = {}
            for number in range(n):
                level = chance.gauss(100, 30)
                rows[number] = [(level, level + chance.gauss(-5, 8))]
            one = compare("tokens", rows)
            assert one.low is not None
            assert one.high is not None
            held += one.low <= -5 <= one.high
        # 95 % of 400, give or take three standard deviations.
        assert 367 <= held <= 393

    def test_a_difference_that_is_there_is_found(self) -> None:
        chance = random.Random(3)
        rows = {n: [(100.0, 80 + chance.gauss(0, 5))] for n in range(20)}
        one = compare("tokens", rows)
        assert one.high is not None
        assert one.high < 0
        assert one.p_value is not None
        assert one.p_value < 0.001

    def test_gained_and_lost_questions_are_compared_exactly(self) -> None:
        won = [(0.0, 1.0)] * 6 + [(1.0, 0.0)] + [(1.0, 1.0)] * 5
        one = compare("converged", {n: [pair] for n, pair in enumerate(won)})
        # Of 7 that differ, 1 or fewer the other way: 2 * (1 + 7) / 2**7.
        assert (one.test, one.p_value) == ("McNemar", pytest.approx(0.125))
        assert one.difference == pytest.approx(5 / 12)

    def test_seeds_are_no_further_questions(self) -> None:
        rows = {1: [(0.0, 1.0)], 2: [(0.0, 0.0)], 3: [(1.0, 1.0)]}
        once = compare("converged", rows)
        often = compare("converged", {n: one * 10 for n, one in rows.items()})
        assert often == once
        uneven = compare("converged", {1: [(0.0, 1.0), (0.0, 0.0)], 2: [(1.0, 1.0)]})
        assert uneven.differences == {1: 0.5, 2: 0.0}
        assert uneven.test == "Wilcoxon"

    @pytest.mark.parametrize(
        "figures",
        [
            [(1.0, 2.0)],
            [(0.1 + 0.2, 0.3)] * 5,
            [(5.0, 5.0)] * 8,
            [(2.0, 1.0)] * 8,
            [(0.0, 0.0), (0.0, 0.0)],
            [(1e9, 1e9 + 1), (1e9, 1e9 + 2)],
        ],
    )
    @pytest.mark.parametrize("metric", ["converged", "tokens"])
    def test_too_little_to_tell_is_no_interval_and_no_warning(
        self, figures: list[tuple[float, float]], metric: str
    ) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            one = compare(metric, {n: [pair] for n, pair in enumerate(figures)})
        varied = len({b - a for a, b in figures}) > 1
        assert (one.low is not None) == (one.high is not None) == varied
        assert (one.p_value is None) == (len(figures) < 2 or not any(one.differences.values()))

    @settings(deadline=None, max_examples=60)
    @given(
        st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), min_size=1, max_size=30),
        st.sampled_from(["grounded", "tokens"]),
    )
    @example([(0.0, 0.0), (0.0, 1.7408229101665333e-276)], "grounded")
    def test_any_figures_give_a_difference_within_its_interval(
        self, figures: list[tuple[float, float]], metric: str
    ) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            one = compare(metric, {n: [pair] for n, pair in enumerate(figures)})
        assert one.difference == pytest.approx(one.with_memory - one.without, abs=1e-3)
        if one.low is not None and one.high is not None:
            assert one.low <= one.difference <= one.high
        assert one.p_value is None or 0 <= one.p_value <= 1

    @settings(deadline=None, max_examples=30)
    @given(st.integers(1, 60), st.integers(0, 1000), st.sampled_from(["as-you-go", "before"]))
    def test_any_order_has_each_question_once(self, count: int, seed: int, learn: Any) -> None:
        training, measured, first = order_of(count, seed, learn)
        assert sorted(training + measured) == [*range(1, count + 1)]
        assert len(measured) == len(first) >= len(training)
        assert abs(2 * sum(first) - len(first)) <= 1


class TestQuestions:
    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("q.txt", "# mine\nWhat is Plan?\n\n  How many Agents?  \n"),
            ("q.json", '["What is Plan?", {"question": "How many Agents?", "expected": 3}]'),
            ("q.jsonl", '"What is Plan?"\n{"question": "How many Agents?", "expected": ["3"]}\n'),
            ("q.csv", "\ufeffquestion,expected\nWhat is Plan?,\nHow many Agents?,3\n"),
        ],
    )
    def test_are_read_from_files(self, name: str, text: str, tmp_path: Path) -> None:
        (tmp_path / name).write_text(text, encoding="utf-8")
        plan, agents = read_questions(tmp_path / name)
        assert plan == Question("What is Plan?")
        assert agents.text == "How many Agents?"
        assert agents.expected == (() if name == "q.txt" else ("3",))

    @pytest.mark.parametrize(
        ("name", "text", "said"),
        [
            ("q.txt", "# nothing\n", "there are no questions"),
            ("q.txt", "Is it?\nis  it?\n", "question 2 is question 1 again"),
            ("q.json", "{}", "no list"),
            ("q.json", "[", "not valid JSON"),
            ("q.json", '[{"text": "?"}]', "question 1 is no text"),
            ("q.json", '[{"question": "?", "expected": {}}]', "neither a text nor a list"),
            ("q.csv", "text\nIs it?\n", "no column question"),
            ("q.xml", "<q/>", "tells no format"),
        ],
    )
    def test_that_cannot_be_read_say_why(
        self, name: str, text: str, said: str, tmp_path: Path
    ) -> None:
        (tmp_path / name).write_text(text)
        with pytest.raises(ConfigurationError, match=said):
            read_questions(tmp_path / name)


def planted() -> Evaluation:
    """An evaluation with texts that no format takes as they are, and clear differences."""
    chance = random.Random(1)
    rows = {n: [(100.0, 60 + chance.gauss(0, 9))] for n in range(12)}
    compared = (
        Comparison("converged", 12, 0.5, 0.5, 0.0, differences=dict.fromkeys(range(12), 0.0)),
        compare("grounded", {n: [(0.2, chance.uniform(0.1, 0.9))] for n in range(12)}),
        compare("tokens", rows),
        compare("cost_usd", {n: [(b / 1e5, a / 1e5)] for n, ((a, b),) in rows.items()}),
    )
    return Evaluation(
        "e1",
        "a_b & 50 % #1 $\\x$",
        "offline",
        "as-you-go",
        1,
        0.95,
        (),
        compared,
        memories=(MemoryShown("0123", "a | b \x1b[31m `c`", "strategy", (1, 2), 2, 1),),
        failures=(Failure(1, "Why | not?", 1, "with", "Boom: {x}"),),
    )


class TestTables:
    def test_text_has_no_characters_that_drive_a_terminal(self) -> None:
        text = render(planted())
        assert "\x1b" not in text
        header, *rows = text.split("\n\n")[1].splitlines()
        assert header.split()[:5] == ["metric", "n", "without", "with", "difference"]
        assert len(rows) == 4
        assert "Boom: {x}" in text

    def test_csv_has_every_digit(self) -> None:
        rows = list(csv.DictReader(io.StringIO(render(planted(), "csv"))))
        for row, one in zip(rows, planted().comparisons, strict=True):
            assert row["metric"] == one.metric
            assert float(row["difference"]) == one.difference
            assert row["low"] == ("" if one.low is None else repr(one.low))

    def test_markdown_keeps_its_columns(self) -> None:
        for line in render(planted(), "markdown").splitlines():
            if line.startswith("|"):
                assert len(re.findall(r"(?<!\\)\|", line)) in (9, 7, 5)
        assert r"a \| b" in render(planted(), "markdown")

    def test_latex_escapes_what_it_must(self) -> None:
        lines = render(planted(), "latex").splitlines()
        body = lines[lines.index(r"\begin{tabular}{lrrrrrrl}") : lines.index(r"\end{tabular}")]
        assert r"95 \% interval" in body[2]
        assert any(line.startswith(r"cost\_usd & 12 &") for line in body)
        assert all(line.endswith(r"\\") for line in body if "&" in line)
        assert all(line.startswith("%") for line in lines[len(body) + 2 :])

    def test_json_has_everything(self, told: Any) -> None:
        evaluation, _ = told
        shown = json.loads(render(evaluation, "json"))
        assert len(shown["pairs"]) == 16
        (tokens,) = (one for one in shown["comparisons"] if one["metric"] == "tokens")
        assert tokens["difference"] == evaluation["tokens"].difference

    @pytest.mark.parametrize(
        ("name", "begins"), [("p.png", b"\x89PNG"), ("p.svg", b"<?xml"), ("p.pdf", b"%PDF")]
    )
    def test_a_picture_is_drawn(self, name: str, begins: bytes, tmp_path: Path) -> None:
        plot_evaluation(planted(), tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(begins)


class TestCommand:
    @pytest.fixture
    def run(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        monkeypatch.chdir(tmp_path)
        Path("q.txt").write_text("What are the subclasses of Agent?\nWhat is Plan?\n")

        def run(*options: str) -> Any:
            words = ["memory", "evaluate", "q.txt", str(PROV), "--model", "offline", *options]
            return CliRunner().invoke(app, words)

        return run

    def test_prints_a_table_and_keeps_progress_apart(self, run: Any) -> None:
        result = run("--plot", "p.png")
        assert result.exit_code == 0, result.output
        assert result.stdout.startswith("2 questions over prov with offline, 2 pairs")
        assert "2/2" in result.stderr
        assert Path("p.png").exists()

    def test_writes_to_a_file_what_was_asked_for(self, run: Any) -> None:
        result = run("--csv", "--output", "told.csv", "--quiet", "--log", "runs.jsonl")
        assert (result.exit_code, result.output) == (0, "")
        assert Path("told.csv").read_text().startswith("metric,n,without,with,difference")
        assert len({one["run_id"] for one in LogReader("runs.jsonl")}) == 5

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (("--csv", "--json"), "Give one of --csv, --json"),
            (("--output", "nowhere/x.txt"), "a folder that exists"),
            (("--plot", "x.doc"), "no format of a picture"),
            (("--learn", "never", "--store", "no.db"), "no store of memories at"),
        ],
    )
    def test_says_what_cannot_work_before_it_begins(
        self, options: tuple[str, ...], said: str, run: Any
    ) -> None:
        result = run(*options)
        assert result.exit_code == 2
        assert said in result.stderr
        assert "1/2" not in result.stderr


def test_mlflow_has_the_evaluation_and_its_runs_below_it(
    sqlite_store: str, prov: Any, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    evaluation = evaluate_memory(
        QUESTIONS[:2],
        prov,
        model="offline",
        enable_mlflow=True,
        mlflow_experiment="helps",
        mlflow_tracking_uri=sqlite_store,
        mlflow_tags={"team": "a"},
        mlflow_timeout=120.0,
    )
    client = MlflowClient(sqlite_store)
    experiment = client.get_experiment_by_name("helps")
    assert experiment is not None
    runs = {run.info.run_id: run for run in client.search_runs([experiment.experiment_id])}
    assert evaluation.mlflow_run_id is not None
    parent = runs.pop(evaluation.mlflow_run_id)
    assert parent.info.status == "FINISHED"
    assert parent.data.params["learn"] == "as-you-go"
    tokens = evaluation["tokens"]
    assert parent.data.metrics["tokens_with"] == tokens.with_memory
    assert parent.data.metrics["tokens_difference"] == tokens.difference
    assert parent.data.metrics["tokens_low"] == tokens.low
    assert parent.data.metrics["pairs"] == 2
    children = {one.mlflow_run_id: (pair, arm) for pair, arm, one in evaluation.measured()}
    assert set(runs) == set(children)
    for run_id, run in runs.items():
        pair, arm = children[run_id]
        tags = run.data.tags
        assert tags["mlflow.parentRunId"] == evaluation.mlflow_run_id
        assert (tags["arm"], tags["seed"], tags["question"]) == (arm, "1", str(pair.number))
        assert tags["team"] == parent.data.tags["team"] == "a"
        assert tags["rlm.trajectory_id"] == evaluation.evaluation_id
        assert run.data.params["query"] == pair.question.text
