"""Runs are judged and taught from: by a model whose word is checked, or by rules."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import Message, RefusalPart, Response
from dspy.utils.exceptions import AdapterParseError
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_runtime import OfflineLM, run_dspy_rlm
from rlm_runtime.clipping import clip, clip_lines
from rlm_runtime.memory import SQLiteMemoryBackend
from rlm_runtime.memory.extracting import extract_memories
from rlm_runtime.memory.judging import judge_trajectory
from rlm_runtime.memory.learning import Learned, learn
from rlm_runtime.memory.lessons import Lesson, query_parts, says_the_same, strategies_of
from rlm_runtime.memory.protocol import Judgment, Memory, MemoryFilters, StoredRun, Trajectory
from rlm_runtime.memory.showing import (
    Surroundings,
    show_checks,
    show_known,
    show_numbers,
    show_steps,
)
from rlm_runtime.ontology import Ontology, open_ontology
from rlm_runtime.types import Grounding, RunResult, Step
from tests.support.lms import ScriptedLM, cell, fields

_PROV = Path(__file__).parents[1] / "ontology" / "prov.ttl"
_AGENT = "http://www.w3.org/ns/prov#Agent"
_QUERY = "SELECT ?class ?label { ?class rdfs:subClassOf prov:Agent ; rdfs:label ?label }"
_STEPS = (
    Step("Look.", "print(search_entity('Agent'))", "prov:Agent | Agent | class"),
    Step("Ask.", "c = check_query(q)\nprint(c)", "prov:Person | Person\n(3 rows)"),
)
_RUN = StoredRun(
    "run-1", "Which classes are below Agent?", "prov", converged=True, stop_reason="submitted"
)
_DONE = Trajectory("run-1", _STEPS, "Organization, Person, SoftwareAgent.", _QUERY, ["prov:Agent"])
_CHECKED = Grounding((_AGENT,), (), True, 3)
_RIGHT = Judgment("run-1", True, "The rows bear it out.", 0.9, "scripted")
_WRONG = Judgment("run-1", False, "Only direct subclasses were asked for.", 0.9, "scripted")


def _verdict(success: object = True, confidence: object = 0.9, reason: str = "It fits.") -> str:
    return fields(reason=reason, success=str(success), confidence=str(confidence))


def _lessons(*lessons: dict[str, Any]) -> str:
    return fields(lessons=json.dumps(lessons))


def _lesson(title: str, content: str, **more: Any) -> dict[str, Any]:
    return {"title": title, "description": "", "content": content, "tags": [], **more}


class _RefusingLM(ScriptedLM):
    """Completes with a refusal of the provider's and no text: what DSPy gives as None."""

    def __init__(self) -> None:
        super().__init__("")
        complete = self.engine.complete

        def refuse(request: Any) -> Response:
            refusal = Message.assistant([RefusalPart("I cannot help with that.")])
            return dataclasses.replace(complete(request), message=refusal)

        self.engine.complete = refuse


class TestJudging:
    def test_a_model_judges_from_the_steps_and_the_checks(self) -> None:
        lm = ScriptedLM(_verdict(reason="All  three\nare there."))
        judgment = judge_trajectory(_RUN, _DONE, _CHECKED, lm=lm)
        assert judgment == Judgment("run-1", True, "All three are there.", 0.9, "scripted")
        (prompt,) = lm.prompts
        for told in (_RUN.query, _DONE.answer, _QUERY, "gave 3 rows", *(s.code for s in _STEPS)):
            assert told in prompt

    def test_the_judge_and_the_writer_read_the_overview_and_the_rules_of_the_agent(self) -> None:
        overview = "Order: placedBy -> Employee; <<CUSTOM-TYPE-START-IDENTIFIER>>" + "x" * 9_000
        around = Surroundings(overview, "LIMIT fits all that tie.")
        lm = ScriptedLM(_verdict(), _verdict(), _lessons())
        judge_trajectory(_RUN, _DONE, _CHECKED, lm=lm, around=around)
        judge_trajectory(_RUN, _DONE, _CHECKED, lm=lm)
        extract_memories(_RUN, _DONE, _RIGHT, lm=lm, around=around)
        told, without, written = lm.prompts
        for prompt in (told, written):
            assert "placedBy -> Employee" in prompt
            assert "<<CUSTOM-TYPE" not in prompt
            assert around.rules in prompt
        assert len(told) < len(without) + 3_100

    def test_the_judge_sees_the_rows_that_were_not_printed(self) -> None:
        done = dataclasses.replace(_DONE, answer="There are 77.")
        lm = ScriptedLM(_verdict())
        around = Surroundings(rows="class:iri | n:integer\nprov:Person | 77\n(1 row)")
        judge_trajectory(_RUN, done, _CHECKED, lm=lm, around=around)
        assert around.rows in lm.prompts[0]
        assert "All numbers of the answer were printed, or stand in" in lm.prompts[0]

    def test_each_field_that_a_model_reads_or_writes_is_described(self) -> None:
        lm = ScriptedLM(_verdict(), _lessons())
        judge_trajectory(_RUN, _DONE, _CHECKED, lm=lm)
        extract_memories(_RUN, _DONE, _WRONG, lm=lm)
        for prompt in lm.prompts:
            fields_told, _, _ = prompt.partition("All interactions")
            assert not re.search(r"^\d+\. `\w+` \([^)]*\): *$", fields_told, re.M)

    def test_the_judge_is_told_of_numbers_that_stand_nowhere(self) -> None:
        done = dataclasses.replace(_DONE, answer="3 classes of 30, 77 in all; 5 were asked for.")
        run = dataclasses.replace(_RUN, query="Which 5 classes are below Agent?")
        lm = ScriptedLM(_verdict())
        judge_trajectory(run, done, _CHECKED, lm=lm, around=Surroundings("prov: 30 classes"))
        assert "(computed, rounded or made up): 77." in lm.prompts[0]

    def test_the_configured_lm_and_settings_stay(self) -> None:
        mine = ScriptedLM("never asked")
        with dspy.context(lm=mine):
            judge_trajectory(_RUN, _DONE, _CHECKED, lm=ScriptedLM(_verdict()))
            assert dspy.settings.lm is mine
        assert not mine.prompts

    @pytest.mark.parametrize(
        ("run", "grounding", "said"),
        [
            ({"converged": False, "stop_reason": "budget"}, _CHECKED, "ended with budget"),
            ({"converged": None, "stop_reason": None}, _CHECKED, "ended with an error"),
            ({}, Grounding(sparql_ok=False, sparql_error="No prefix ex:."), "No prefix ex:."),
            ({}, Grounding((_AGENT, "urn:x"), ("urn:x",), True, 3), "urn:x"),
        ],
        ids=["no answer", "exception", "query fails", "evidence made up"],
    )
    def test_what_the_data_deny_is_no_success(
        self, run: dict[str, Any], grounding: Grounding, said: str
    ) -> None:
        lm = ScriptedLM(_verdict(True, 0.7, "Well done."))
        judgment = judge_trajectory(dataclasses.replace(_RUN, **run), _DONE, grounding, lm=lm)
        assert (judgment.success, judgment.confidence) == (False, 1.0)
        assert said in judgment.reason
        assert "Well done." in judgment.reason

    def test_words_of_rdf_itself_need_not_occur(self) -> None:
        thing = "http://www.w3.org/2002/07/owl#Thing"
        grounding = Grounding((_AGENT, thing), (thing,), True, 3)
        assert judge_trajectory(_RUN, _DONE, grounding, lm=ScriptedLM(_verdict())).success

    def test_the_opinion_that_it_failed_stands(self) -> None:
        lm = ScriptedLM(_verdict(False, 0.6, "It is about agents, not activities."))
        judgment = judge_trajectory(_RUN, _DONE, _CHECKED, lm=lm)
        assert (judgment.success, judgment.confidence) == (False, 0.6)

    @pytest.mark.parametrize(
        ("said", "kept"), [(85, 1.0), (-1, 0.0), ("nan", 0.0), ("inf", 1.0), (0.25, 0.25)]
    )
    def test_confidence_is_a_share(self, said: object, kept: float) -> None:
        lm = ScriptedLM(_verdict(True, said))
        assert judge_trajectory(_RUN, _DONE, _CHECKED, lm=lm).confidence == kept

    def test_a_verdict_in_json_is_read(self) -> None:
        said = {"reason": "It fits.", "success": True, "confidence": 1}
        lm = ScriptedLM("It went well, I think.", json.dumps(said))
        assert judge_trajectory(_RUN, _DONE, _CHECKED, lm=lm).success

    @pytest.mark.parametrize("reply", ["", "I cannot judge that.", '{"success": tru', _lessons()])
    def test_no_verdict_is_an_error(self, reply: str) -> None:
        with pytest.raises(AdapterParseError):
            judge_trajectory(_RUN, _DONE, _CHECKED, lm=ScriptedLM(reply))

    def test_a_refusal_is_an_error(self) -> None:
        with pytest.raises(AdapterParseError):
            judge_trajectory(_RUN, _DONE, _CHECKED, lm=_RefusingLM())

    def test_a_reason_shows_no_secret_and_is_bounded(self) -> None:
        lm = ScriptedLM(_verdict(reason="password=hunter2hunter2 " + "x " * 5_000))
        reason = judge_trajectory(_RUN, _DONE, _CHECKED, lm=lm).reason
        assert "hunter2" not in reason
        assert len(reason) <= 1_000


class TestShowing:
    def test_long_steps_keep_head_and_tail(self) -> None:
        step = Step("r" * 9_000, "first = 1\n" + "x\n" * 9_000 + "last = 2", "o" * 90_000 + "end")
        for many in (1, 2, 8, 100):
            told = show_steps([step] * many)
            assert len(told) <= 24_000
            for part in ("first = 1", "last = 2", f"Cell {many}:", "left out"):
                assert part in told
        assert "oend" in show_steps([step])

    def test_what_was_printed_is_cut_between_lines_and_only_when_it_must_be(self) -> None:
        table = "\n".join(f"id:P-{n} | Lamp | {n / 7:.2f} | 2024-08-30" for n in range(2_000))
        rows = table.splitlines()
        short, long = Step("", "", "\n".join(rows[:80])), Step("", "", table)
        assert "cut" not in show_steps([short] * 5)
        for steps in ([long], [short, long, short], [long] * 8):
            told = show_steps(steps)
            assert len(told) <= 24_000
            assert told.count(" lines cut ...]") == steps.count(long)
            assert {line for line in told.splitlines() if line.startswith("id:")} <= {*rows}
        *_, before, last = show_steps([long] * 8).split("Output:\n")
        assert len(last) > 9_000
        assert len(before) > 4_000
        assert short.output in show_steps([short, long])

    def test_what_a_run_printed_cannot_become_a_file(self) -> None:
        step = Step("", "<<CUSTOM-TYPE-START-IDENTIFIER>>", "\ud800")
        assert "<<CUSTOM-TYPE" not in show_steps([step])
        show_steps([step]).encode()

    def test_checks_are_told_in_words(self) -> None:
        assert "does not run: no such" in show_checks(Grounding((), (), False, None, "no such"))
        assert show_checks(Grounding()).startswith("No query was given.")

    @pytest.mark.parametrize(
        ("answer", "printed", "unseen"),
        [
            ("Together 1,200.50 on 2024-01-05", "1200.5 | 2024-01-05", None),
            ("S-07 (id:E-0067) and ex:v2, urn:7", "", "no numbers"),
            ("34 and 30 and 7", "{'a':34,'b':30} S-07", None),
            ("It is 12.3, or 1, 2 and 3.", "12.345 | 1\n2 | 3", "12.3."),
            ("1" * 5_000 + " and ²٣", "", "characters left out"),
            ("There is none.", "7", "no numbers"),
        ],
    )
    def test_numbers_of_an_answer_are_looked_for(
        self, answer: str, printed: str, unseen: str | None
    ) -> None:
        told = show_numbers(answer, [printed])
        assert told.startswith("All numbers") if unseen is None else unseen in told
        assert len(told) < 1_000

    def test_known_memories_are_told_short_and_without_secrets(self) -> None:
        key = "sk-" + "a1" * 20
        long = Memory(f"Key {key}", "c\n" * 4_000, "d " * 900)
        told = show_known([long, Memory("Look up", "Search.", "names: of all", source="failure")])
        assert key not in told
        first, second = told.split("\n2. ")
        assert len(first) < 1_500
        assert second.splitlines() == [
            "Look up",
            "> Learned from a run that failed.",
            "> For: names: of all",
            "> Search.",
        ]

    def test_a_long_line_among_short_ones_is_not_lost_as_a_whole(self) -> None:
        told = show_steps([Step("", "", "[" + "'id:P-1', " * 9_000 + "]\n(9000 rows)")])
        assert told.count("id:P-1") > 2_000
        assert told.endswith("(9000 rows)")

    @settings(deadline=None, max_examples=50)
    @given(st.text(max_size=300), st.integers(60, 200))
    def test_a_clipped_text_is_never_longer(self, text: str, limit: int) -> None:
        clipped = clip(text, limit)
        assert len(clipped) <= limit
        assert clipped == text or "characters left out" in clipped
        lines = clip_lines(text * 3, limit, "; see all")
        assert len(lines) <= limit + 50
        assert lines == text * 3 or re.search("(left out|lines cut); see all", lines)


class TestExtracting:
    def test_a_success_gives_its_query_and_what_worked(self) -> None:
        lm = ScriptedLM(
            _lessons(
                _lesson("Look up names first", "Search, then describe.", tags=["Search", "IRI "])
            )
        )
        exemplar, strategy = extract_memories(_RUN, _DONE, _RIGHT, lm=lm)
        assert (exemplar.kind, exemplar.title) == ("exemplar", _RUN.query)
        assert (exemplar.query, exemplar.content) == (_RUN.query, _QUERY)
        assert (exemplar.ontology, exemplar.source) == ("prov", "success")
        assert (strategy.kind, strategy.source) == ("strategy", "success")
        assert {"search", "iri"} < set(strategy.tags)
        assert strategy.ontology is None
        for memory in (exemplar, strategy):
            assert memory.run_id == "run-1"
            assert memory.level in range(1, 6)
        (prompt,) = lm.prompts
        assert "was judged right" in prompt
        assert _RIGHT.reason in prompt

    def test_a_failure_says_what_to_avoid(self) -> None:
        lm = ScriptedLM(_lessons(_lesson("Follow paths", "Use rdfs:subClassOf+ for all levels.")))
        (memory,) = extract_memories(_RUN, _DONE, _WRONG, lm=lm)
        assert (memory.kind, memory.source, memory.ontology) == ("strategy", "failure", None)
        assert _WRONG.reason in lm.prompts[0]

    def test_the_model_is_told_the_verdict_what_is_known_and_what_it_is_to_write(self) -> None:
        lm = ScriptedLM(_lessons())
        known = [Memory("Look up names", "Search first.")]
        for judgment in (_RIGHT, _WRONG):
            extract_memories(_RUN, _DONE, judgment, lm=lm, known=known)
        no_query = dataclasses.replace(_DONE, sparql="")
        extract_memories(_RUN, no_query, _RIGHT, lm=lm, known=known)
        right, wrong, without = lm.prompts
        as_example = "[[ ## kept ## ]]\nThe question with its query, as an example."
        assert [as_example in prompt for prompt in lm.prompts] == [True, False, False]
        assert "judged a success, with a confidence of 0.90. The rows" in right
        assert "judged a failure, with a confidence of 0.90. Only direct" in wrong
        for prompt, room in ((right, 2), (wrong, 3), (without, 3)):
            assert "1. Look up names\n> Search first." in prompt
            assert f"[[ ## at_most ## ]]\n{room}" in prompt
            assert prompt.index("give an empty list") < prompt.index("write at most")

    def test_a_strategy_that_names_the_ontology_is_about_it_alone(self) -> None:
        lessons = [
            _lesson("Agents", "Start at prov:Agent."),
            _lesson("Addresses", f"Use <{_AGENT}> in full."),
            _lesson("Labels", "Ask for rdfs:label and note:this as well."),
        ]
        found = extract_memories(_RUN, _DONE, _WRONG, lm=ScriptedLM(_lessons(*lessons)))
        assert [memory.ontology for memory in found] == ["prov", "prov", None]

    def test_no_more_than_three_with_the_exemplar(self) -> None:
        lessons = [_lesson(f"Way {n}", f"Do number {n} of all {n * 'x'}.") for n in range(9)]
        lm = ScriptedLM(_lessons(*lessons))
        kinds = [one.kind for one in extract_memories(_RUN, _DONE, _RIGHT, lm=lm)]
        assert kinds == ["exemplar", "strategy", "strategy"]
        assert len(extract_memories(_RUN, _DONE, _WRONG, lm=lm)) == 3
        asked = len(lm.prompts)
        assert len(extract_memories(_RUN, _DONE, _RIGHT, lm=lm, at_most=1)) == 1
        assert extract_memories(_RUN, _DONE, _WRONG, lm=lm, at_most=0) == []
        assert len(lm.prompts) == asked

    def test_what_is_no_lesson_is_left_out(self) -> None:
        lessons = [
            _lesson("", "No title."),
            _lesson("No content", "  "),
            _lesson("The answer", f"It is {_DONE.answer.lower()}"),
            _lesson("Check queries", "Use check_query before you submit any query at all."),
            _lesson("Check queries!", "Use check_query before you submit any query at all"),
        ]
        found = extract_memories(_RUN, _DONE, _WRONG, lm=ScriptedLM(_lessons(*lessons)))
        assert [memory.title for memory in found] == ["Check queries"]

    def test_secrets_and_lengths_are_seen_to(self) -> None:
        key = "sk-" + "a1" * 20
        lesson = _lesson(f"Key {key} " + "t " * 90, "c " * 700 + key, tags=[key, *"abcdefghijkl"])
        run = dataclasses.replace(_RUN, query=f"Who has {key}?")
        done = dataclasses.replace(_DONE, sparql=f'ASK {{ ?a ?p "{key}" }}')
        found = extract_memories(run, done, _RIGHT, lm=ScriptedLM(_lessons(lesson)))
        (memory,) = found
        assert key not in str(found)
        assert len(memory.title) <= 100
        assert len(memory.content) <= 1_000
        assert len(memory.tags) <= 8

    def test_a_query_too_long_to_be_kept_whole_is_no_exemplar(self) -> None:
        done = dataclasses.replace(_DONE, sparql=_QUERY + " # " + "x" * 1_000)
        assert extract_memories(_RUN, done, _RIGHT, lm=ScriptedLM(_lessons())) == []

    def test_the_schema_of_a_lesson_says_what_is_needed_and_nothing_twice(self) -> None:
        lm = ScriptedLM(_lessons())
        extract_memories(_RUN, _DONE, _RIGHT, lm=lm)
        schema = lm.prompts[0].partition("JSON schema: ")[2].partition("\n")[0]
        lesson = json.loads(schema)["$defs"]["Lesson"]
        assert lesson["required"] == ["title", "content"]
        assert "Attributes" not in schema

    @pytest.mark.parametrize(
        "reply", ["", "Nothing.", '[[ ## lessons ## ]]\n[{"title": 1', _lessons({"title": "A"})]
    )
    def test_no_lessons_is_an_error(self, reply: str) -> None:
        with pytest.raises(AdapterParseError):
            extract_memories(_RUN, _DONE, _WRONG, lm=ScriptedLM(reply))
        with pytest.raises(AdapterParseError):
            extract_memories(_RUN, _DONE, _WRONG, lm=_RefusingLM())

    @settings(deadline=None, max_examples=50)
    @given(st.lists(st.builds(Lesson, st.text(), st.text(), st.text(), st.tuples(st.text()))))
    def test_any_words_become_sound_memories(self, lessons: list[Lesson]) -> None:
        found = strategies_of(_RUN, _DONE, _WRONG, lessons, 3)
        assert len(found) <= 3
        for memory in found:
            assert 0 < len(memory.title) <= 100
            assert 0 < len(memory.content) <= 1_000
            assert all(tag == tag.lower() for tag in memory.tags)
            str(memory).encode()
        for number, memory in enumerate(found):
            assert not any(says_the_same(memory, other) for other in found[:number])

    def test_parts_of_a_query_are_read_outside_of_names_and_texts(self) -> None:
        query = """SELECT ?limit (COUNT(DISTINCT ?x) AS ?n) {
          ?x ex:union "MINUS" ; <http://x/values#order> ?limit  # OPTIONAL
          FILTER NOT EXISTS { ?x rdfs:subClassOf/rdf:type ?y } } GROUP  BY ?limit"""
        assert query_parts(query) == ["COUNT", "NOT EXISTS", "GROUP BY", "property path"]
        assert query_parts("SELECT ?s { ?s a ex:C }") == []


@pytest.fixture(scope="module")
def prov() -> Iterator[Ontology]:
    with open_ontology(_PROV) as ontology:
        yield ontology


def _stored(result: RunResult, query: str) -> tuple[StoredRun, Trajectory]:
    run = StoredRun(
        result.run_id,
        query,
        "prov",
        converged=result.converged,
        stop_reason=result.stop_reason,
    )
    return run, Trajectory(
        result.run_id, result.trajectory, result.answer, result.sparql, result.evidence
    )


def _by_rules(prov: Ontology, query: str, model: Any) -> tuple[Judgment, list[Memory]]:
    result = run_dspy_rlm(query, prov, model=model, max_iterations=4)
    run, done = _stored(result, query)
    judgment = judge_trajectory(run, done, result.grounding, lm=OfflineLM())
    return judgment, extract_memories(run, done, judgment, lm=OfflineLM())


class TestRules:
    @pytest.mark.parametrize(
        ("query", "part"),
        [("How many subclasses does Agent have?", "COUNT"), ("What is Activity?", "OPTIONAL")],
    )
    def test_an_offline_run_teaches_its_query_and_its_way(
        self, prov: Ontology, query: str, part: str
    ) -> None:
        judgment, (exemplar, strategy) = _by_rules(prov, query, "offline")
        assert (judgment.success, judgment.judge) == (True, "rules")
        assert "ran again and gave 1 row" in judgment.reason
        assert (exemplar.kind, exemplar.title) == ("exemplar", query)
        assert len(prov.select(exemplar.content)) == 1
        assert strategy.content.index("search_entity") < strategy.content.index("check_query")
        assert part in strategy.title
        assert part in strategy.content
        assert "prov:" not in strategy.content
        assert strategy.ontology is None
        assert part.lower() in strategy.tags

    def test_an_honest_nothing_is_a_success_that_teaches_nothing(self, prov: Ontology) -> None:
        judgment, memories = _by_rules(prov, "What is a unicorn?", "offline")
        assert judgment.success
        assert judgment.confidence <= 0.5
        assert memories == []

    def test_what_the_rules_cannot_follow_is_a_failure(self, prov: Ontology) -> None:
        judgment, memories = _by_rules(
            prov, "Which classes without subclasses are disjoint with Entity?", "offline"
        )
        assert not judgment.success
        assert {memory.source for memory in memories} == {"failure"}

    def test_a_mended_cell_teaches_what_mended_it(self, prov: Ontology) -> None:
        code = "q = 'SELECT ?x { ?x rdfs:subClassOf %s:Agent }'\nprint(sparql_select(q))"
        submit = "\nSUBMIT(answer='Three.', sparql=q, evidence=['prov:Agent'])"
        lm = ScriptedLM(cell(code % "foo"), cell(code % "prov" + submit))
        judgment, (_, mended, way) = _by_rules(prov, "Which classes are below Agent?", lm)
        assert judgment.success
        assert "No such prefix foo:" in mended.title
        failed, _, ran = mended.content.partition("What ran in its place:")
        assert "foo:Agent" in failed
        assert "prov:Agent" in ran
        assert "SUBMIT" not in ran
        assert mended.ontology == "prov"
        assert "cell 1 sparql_select and failed; cell 2 sparql_select" in way.content

    def test_a_run_without_an_answer_teaches_what_broke(self, prov: Ontology) -> None:
        lm = ScriptedLM(cell("print(search_entity('Agent'))"), cell("print(undefined_name)"))
        judgment, memories = _by_rules(prov, "Which classes are below Agent?", lm)
        assert (judgment.success, judgment.reason) == (
            False,
            "No answer was submitted; the run ended with max_iterations.",
        )
        told = [memory.title for memory in memories]
        assert any("max_iterations" in title for title in told)
        assert any("'undefined_name' is not defined" in title for title in told)
        assert all(memory.source == "failure" for memory in memories)

    @pytest.mark.parametrize(
        ("answer", "grounding", "success"),
        [
            ("There are no such classes.", Grounding((_AGENT,), (), True, 0), True),
            ("Person.", Grounding((_AGENT,), (), True, 0), False),
            ("Person.", Grounding((_AGENT,)), False),
            ("Person.", Grounding((), (), True, 1), True),
            ("Person.", None, False),
        ],
    )
    def test_rows_or_their_absence_must_fit_the_answer(
        self, answer: str, grounding: Grounding | None, success: bool
    ) -> None:
        done = dataclasses.replace(_DONE, answer=answer)
        assert judge_trajectory(_RUN, done, grounding, lm=OfflineLM()).success is success


@contextmanager
def _store() -> Iterator[SQLiteMemoryBackend]:
    with SQLiteMemoryBackend(":memory:") as backend:
        yield backend


class TestLearning:
    def test_everything_is_stored_and_each_step_is_told(self) -> None:
        told: list[tuple[str, dict[str, Any], dict[str, Any]]] = []

        @contextmanager
        def on_step(name: str, **begun: Any) -> Iterator[dict[str, Any]]:
            ended: dict[str, Any] = {}
            yield ended
            told.append((name, begun, ended))

        lm = ScriptedLM(_verdict(), _lessons(_lesson("Look up names", "Search first.")))
        with _store() as backend:
            learned = learn(backend, _RUN, _DONE, _CHECKED, lm=lm, on_step=on_step)
            assert backend.get_trajectory("run-1").steps[0].code == _STEPS[0].code
            assert backend.get_judgment("run-1").success
            stats = backend.get_stats()
        assert (learned.added, learned.merged, learned.retired) == (2, 0, 0)
        assert (stats.runs, stats.succeeded, stats.memories) == (1, 1, 2)
        (_, judged, verdict), (_, _, extracted), (_, kept, counts) = told
        assert [name for name, _, _ in told] == [
            "memory_judgment",
            "memory_extraction",
            "memory_storage",
        ]
        assert judged == {"judge": "scripted"}
        assert verdict == {"success": True, "reason": "It fits.", "confidence": 0.9}
        assert [one["kind"] for one in extracted["memories"]] == ["exemplar", "strategy"]
        assert kept == {"memories": 2}
        assert counts == {"added": 2, "merged": 0}

    def test_a_failing_judge_loses_neither_run_nor_trajectory(self) -> None:
        with _store() as backend:
            with pytest.raises(Exception, match="out of credit"):
                learn(backend, _RUN, _DONE, _CHECKED, lm=ScriptedLM(RuntimeError("out of credit")))
            assert backend.get_trajectory("run-1").answer == _DONE.answer
            assert backend.get_judgment("run-1") is None
            # Later, the same run can be learned from after all.
            learn(backend, _RUN, _DONE, _CHECKED, lm=OfflineLM())
            assert backend.get_judgment("run-1").success

    def test_a_judgment_outlives_a_failing_extraction_and_is_not_paid_twice(self) -> None:
        with _store() as backend:
            with pytest.raises(AdapterParseError):
                learn(backend, _RUN, _DONE, _CHECKED, lm=ScriptedLM(_verdict(), "Nothing."))
            lm = ScriptedLM(_lessons())
            assert learn(backend, _RUN, _DONE, _CHECKED, lm=lm).judgment.success
            assert len(lm.prompts) == 1

    def test_another_run_of_a_trajectory_is_judged_by_itself(self) -> None:
        later = dataclasses.replace(_RUN, run_id="run-2", trajectory_id="run-1", converged=False)
        with _store() as backend:
            done = dataclasses.replace(_DONE, run_id="run-2")
            assert not learn(backend, later, done, _CHECKED, lm=OfflineLM()).judgment.success
            assert learn(backend, _RUN, _DONE, _CHECKED, lm=OfflineLM()).judgment.success

    def test_learning_twice_adds_nothing(self) -> None:
        with _store() as backend:
            first = learn(backend, _RUN, _DONE, _CHECKED, lm=OfflineLM())
            again = learn(backend, _RUN, _DONE, _CHECKED, lm=OfflineLM())
            assert backend.get_stats().memories == first.added == again.merged
        assert again.added == 0
        assert [m.memory_id for m in again.memories] == [m.memory_id for m in first.memories]

    def test_near_copies_are_merged_with_what_is_there(self) -> None:
        said = "Search for each name of the question before any query is written, then describe it."
        first = _learn_from(_lesson("Look up names", said))
        nearly = _lesson("Look up the names", said)
        other = _lesson("Count in the query", "Let COUNT(DISTINCT ?x) count, not Python.")
        with _store() as backend:
            assert first(backend, "run-1").added == 1
            learned = _learn_from(nearly, other)(backend, "run-2")
            assert (learned.added, learned.merged) == (1, 1)
            assert learned.memories[0].title == "Look up names"
            assert backend.get_stats().memories == 2

    def test_what_is_known_is_told_nearest_only_and_what_the_run_had_first(self) -> None:
        given = Memory("Union of types", "UNION joins what has several types.")
        lm = ScriptedLM(_verdict(), _lessons())
        with _store() as backend:
            backend.add_memory(given)
            retired = backend.add_memory(Memory("Agent classes", "Look below Agent classes."))
            backend.set_retired(retired, True)
            for number in range(9):
                words = f"w{number} " * 9
                backend.add_memory(Memory(f"Agent {number}", f"Classes are below {words}"))
            backend.add_memory(Memory("Of skos", "Classes below Agent of skos.", ontology="skos"))
            backend.add_memory(Memory("Agent query", "ASK { Agent }", kind="exemplar"))
            learn(
                backend,
                _RUN,
                _DONE,
                _CHECKED,
                lm=lm,
                around=Surroundings("30 classes"),
                given=[given],
            )
        judging, writing = lm.prompts
        assert "30 classes" in judging
        assert "30 classes" in writing
        known = writing.rpartition("[[ ## known ## ]]")[2].partition("[[ ##")[0].strip()
        assert known.startswith("1. Union of types\n> UNION joins what has several types.\n2. ")
        assert len(re.findall(r"^\d\. ", known, re.M)) == 5
        assert "Look below Agent classes." in known
        assert "skos" not in known
        assert "ASK" not in known

    def test_what_was_retired_does_not_come_back_in_other_words(self) -> None:
        said = "Search for each name of the question before any query is written, then describe it."
        with _store() as backend:
            (memory,) = _learn_from(_lesson("Look up names", said))(backend, "run-1").memories
            backend.set_retired(memory.memory_id, True)
            learned = _learn_from(_lesson("Look up the names", said))(backend, "run-2")
            assert (learned.added, learned.merged) == (0, 1)
            assert backend.get_stats().memories == 0

    def test_alike_queries_of_other_questions_are_kept_apart(self) -> None:
        with _store() as backend:
            for number, name in enumerate(("Agent", "Entity")):
                run = dataclasses.replace(_RUN, run_id=f"run-{number}", query=f"What is {name}?")
                sparql = _QUERY.replace("Agent", name)
                done = dataclasses.replace(_DONE, run_id=run.run_id, sparql=sparql, steps=())
                assert learn(backend, run, done, _CHECKED, lm=OfflineLM()).added == 1

    def test_an_exemplar_that_answered_wrongly_is_retired(self) -> None:
        with _store() as backend:
            learn(backend, _RUN, _DONE, _CHECKED, lm=OfflineLM())
            (exemplar,) = [m for m in backend.get_all_memories() if m.kind == "exemplar"]
            other = dataclasses.replace(_RUN, run_id="run-2", query="Which classes have agents?")
            assert _failing(backend, other).retired == 0
            cut_short = dataclasses.replace(_RUN, run_id="run-3", converged=False)
            assert _failing(backend, cut_short).retired == 0
            assert _failing(backend, dataclasses.replace(_RUN, run_id="run-4")).retired == 1
            assert backend.get_memory(exemplar.memory_id).retired

    def test_of_two_exemplars_of_a_question_the_wrong_one_is_retired(self) -> None:
        queries = (_QUERY, _QUERY.replace("Agent", "Agents"))
        for wrong, right in (queries, reversed(queries)):
            with _store() as backend:
                for number, sparql in enumerate((wrong, right)):
                    run = dataclasses.replace(_RUN, run_id=f"run-{number}")
                    done = dataclasses.replace(_DONE, run_id=run.run_id, sparql=sparql)
                    learn(backend, run, done, _CHECKED, lm=OfflineLM())
                again = dataclasses.replace(_RUN, run_id="run-2")
                assert _failing(backend, again, wrong).retired == 1
                left = backend.get_all_memories(MemoryFilters(kind="exemplar"))
                assert [one.content for one in left] == [right]

    def test_one_verdict_does_not_outweigh_several(self) -> None:
        with _store() as backend:
            learn(backend, _RUN, _DONE, _CHECKED, lm=OfflineLM())
            (exemplar,) = [m for m in backend.get_all_memories() if m.kind == "exemplar"]
            backend.update_memory_stats(exemplar.memory_id, success=2)
            assert _failing(backend, dataclasses.replace(_RUN, run_id="run-2")).retired == 0


def _learn_from(*lessons: dict[str, Any]) -> Any:
    """Give what learns these lessons from a failed run."""

    def teach(backend: SQLiteMemoryBackend, run_id: str) -> Learned:
        run = dataclasses.replace(_RUN, run_id=run_id)
        done = dataclasses.replace(_DONE, run_id=run_id)
        lm = ScriptedLM(_verdict(False), _lessons(*lessons))
        return learn(backend, run, done, _CHECKED, lm=lm)

    return teach


def _failing(
    backend: SQLiteMemoryBackend, run: StoredRun, sparql: str = f"\n{_QUERY}  "
) -> Learned:
    done = dataclasses.replace(_DONE, run_id=run.run_id, sparql=sparql)
    lm = ScriptedLM(_verdict(False, reason="Indirect ones are missing."), _lessons())
    return learn(backend, run, done, _CHECKED, lm=lm)
