"""The trace that a run's events become."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_runtime.errors import LogFormatError
from rlm_runtime.logging.mlflow_trace import build_spans, build_trace_info, trace_id_of
from tests.support.events import ACTION, Stream, error, rlm_run


def tree(spans: list[Any]) -> dict[str, Any]:
    """Give spans as nested names: each key is "name TYPE STATUS"."""

    def below(parent: str | None) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for span in spans:
            if span.parent_id == parent:
                key = f"{span.name} {span.span_type} {span.status.status_code.value}"
                while key in found:
                    key += "'"
                found[key] = below(span.span_id)
        return found

    return below(None)


def named(spans: list[Any], name: str) -> list[Any]:
    return [span for span in spans if span.name == name]


def test_a_run_is_shown_as_iterations_with_their_lm_call_cell_and_tools():
    lm = "openai/gpt-test CHAT_MODEL OK"
    assert tree(build_spans(rlm_run())) == {
        "run_dspy_rlm AGENT OK": {
            "iteration 1 CHAIN OK": {lm: {}, "python TOOL OK": {"search_entity TOOL OK": {}}},
            "iteration 2 CHAIN OK": {lm: {}, "python TOOL ERROR": {}},
            "iteration 3 CHAIN OK": {
                lm: {},
                "python TOOL OK": {"llm_query TOOL OK": {lm: {}}, "llm_query TOOL OK'": {lm: {}}},
            },
            "iteration 4 CHAIN OK": {lm: {}, "python TOOL OK": {}},
        }
    }


def test_root_holds_question_and_answer():
    root = build_spans(rlm_run())[0]
    assert root.inputs == {"query": "What is Activity?", "ontology": "prov"}
    assert root.outputs["answer"].startswith("Something that occurs")
    assert root.outputs["evidence"] == ["http://www.w3.org/ns/prov#Activity"]


def test_an_lm_span_is_a_chat_with_tokens_cost_and_model():
    span = named(build_spans(rlm_run()), "openai/gpt-test")[0]
    assert [message["role"] for message in span.inputs["messages"]] == ["system", "user"]
    assert "search_entity" in span.outputs[0]
    assert span.model_name == "openai/gpt-test"
    assert span.llm_cost == {"total_cost": 0.001}
    assert span.get_attribute("mlflow.chat.tokenUsage")["total_tokens"] == 110
    assert span.get_attribute("mlflow.message.format") == "dspy"
    assert span.get_attribute("cache_hit") is False


def test_a_completion_with_tool_calls_keeps_them_and_is_still_a_chat():
    stream = Stream(program="agent")
    call = {"id": "1", "function": {"name": "f", "arguments": "{}"}}
    stream.lm(stream.root, outputs=[{"text": None, "tool_calls": [call]}])
    stream.lm(stream.root, outputs=[{"text": "plain"}])
    stream.lm(stream.root, outputs=None, usage=None)
    stream.end(stream.root)
    with_calls, plain, nothing = named(build_spans(stream.events), "openai/gpt-test")
    message = with_calls.outputs["choices"][0]["message"]
    assert message == {"role": "assistant", "content": None, "tool_calls": [call]}
    assert with_calls.get_attribute("mlflow.message.format") == "openai"
    assert plain.outputs == ["plain"]
    assert nothing.outputs is None


def test_a_python_span_shows_code_and_output_and_the_error_that_ended_it():
    first, second, *_, last = named(build_spans(rlm_run()), "python")
    assert first.inputs == {"code": '```python\nprint(search_entity("Activity"))\n```'}
    assert first.outputs == {"stdout": "```text\nprov:Activity  Activity  class\n```"}
    assert second.status.description == "NameError: name 'undefined' is not defined"
    (exception,) = second.events
    assert exception.name == "exception"
    assert exception.attributes["exception.type"] == "NameError"
    assert "Traceback" in exception.attributes["exception.stacktrace"]
    assert list(last.outputs["submitted"]) == ["answer"]


def test_code_that_holds_fences_does_not_break_out_of_its_own():
    stream = Stream()
    cell = stream.start("code", stream.root, code="x = '''```'''")
    stream.end(cell, stdout="````")
    stream.end(stream.root)
    (span,) = named(build_spans(stream.events), "python")
    assert span.inputs["code"] == "````python\nx = '''```'''\n````"
    assert span.outputs["stdout"] == "`````text\n````\n`````"


def test_times_are_those_of_the_events():
    events = rlm_run()
    root, iteration, *_ = build_spans(events)
    assert root.start_time_ns == 1767323045001000000
    assert root.end_time_ns - root.start_time_ns == (len(events) - 1) * 1_000_000
    cell = named(build_spans(events), "python")[0]
    assert iteration.end_time_ns == cell.end_time_ns


def test_an_extract_after_the_last_iteration_is_shown_as_such():
    stream = Stream()
    rlm = stream.start("module", stream.root, name="RLM")
    stream.end(stream.turn(rlm, "print(1)"), stdout="1")
    extract = stream.start("module", rlm, name="Predict", signature="repl_history -> answer")
    stream.lm(extract, "answer", role="main")
    stream.end(extract, outputs={"answer": "1"})
    stream.end(rlm)
    stream.end(stream.root)
    (root,) = tree(build_spans(stream.events)).values()
    assert list(root) == ["iteration 1 CHAIN OK", "extract CHAIN OK"]
    assert named(build_spans(stream.events), "extract")[0].outputs == {"answer": "1"}


def test_a_cut_off_run_ends_its_open_spans_with_an_error_at_the_last_event():
    stream = Stream()
    rlm = stream.start("module", stream.root, name="RLM")
    cell = stream.turn(rlm, "while True: pass")
    stream.start("tool", cell, name="sparql_select", args={})
    spans = build_spans(stream.events)
    assert tree(spans) == {
        "run_dspy_rlm AGENT ERROR": {
            "iteration 1 CHAIN OK": {
                "openai/gpt-test CHAT_MODEL OK": {},
                "python TOOL ERROR": {"sparql_select TOOL ERROR": {}},
            }
        }
    }
    assert len({span.end_time_ns for span in spans if span.status.status_code == "ERROR"}) == 1
    assert "Unfinished" in spans[0].status.description
    info = build_trace_info(stream.events, experiment_id="0")
    assert info.state == "ERROR"


def test_a_program_of_ones_own_is_shown_module_by_module():
    stream = Stream(program="my program", params={"topic": "x"})
    react = stream.start("module", stream.root, name="ReAct", inputs={"question": "q"})
    predict = stream.start("module", react, name="Predict", signature="question -> answer")
    stream.lm(predict, "4")
    stream.end(predict, outputs={"answer": "4"})
    stream.tool(react, "add", 4, a=2, b=2)
    stream.end(react, outputs={"answer": "4"})
    stream.end(stream.root)
    spans = build_spans(stream.events)
    assert tree(spans) == {
        "my program AGENT OK": {
            "ReAct AGENT OK": {
                "Predict LLM OK": {"openai/gpt-test CHAT_MODEL OK": {}},
                "add TOOL OK": {},
            }
        }
    }
    assert spans[0].inputs == {"topic": "x"}
    assert named(spans, "Predict")[0].get_attribute("signature") == "question -> answer"
    assert named(spans, "add")[0].inputs == {"a": 2, "b": 2}
    assert named(spans, "add")[0].outputs == 4


def test_several_rlms_keep_a_span_each():
    stream = Stream(program="two")
    for _ in range(2):
        rlm = stream.start("module", stream.root, name="RLM")
        stream.end(stream.turn(rlm, "print(1)"), stdout="1")
        stream.end(rlm)
    stream.end(stream.root)
    (root,) = tree(build_spans(stream.events)).values()
    assert list(root) == ["RLM AGENT OK", "RLM AGENT OK'"]
    assert all(list(children) == ["iteration 1 CHAIN OK"] for children in root.values())


def test_the_turns_of_an_rlm_that_a_tool_calls_stay_below_the_tool():
    stream = Stream(program="agent")
    tool = stream.start("tool", stream.root, name="explore", args={})
    rlm = stream.start("module", tool, name="RLM")
    stream.end(stream.turn(rlm, "print(1)"), stdout="1")
    stream.end(rlm)
    stream.end(tool)
    stream.end(stream.root)
    (root,) = tree(build_spans(stream.events)).values()
    assert list(root["explore TOOL OK"]) == ["iteration 1 CHAIN OK"]


def test_evaluations_and_compilations_are_spans():
    stream = Stream(program="study")
    compiling = stream.start("compile", stream.root, name="MIPROv2")
    evaluating = stream.start("evaluate", compiling, name="Evaluate")
    stream.end(evaluating, outputs={"score": 1.0})
    stream.end(compiling, error=error())
    stream.end(stream.root)
    assert tree(build_spans(stream.events)) == {
        "study AGENT OK": {"MIPROv2 TASK ERROR": {"Evaluate EVALUATOR OK": {}}}
    }


def test_dspys_own_machinery_is_no_span_but_what_hangs_on_it_is():
    stream = Stream(program="p")
    adapter = stream.start("adapter", stream.root, name="ChatAdapter", operation="format")
    stream.lm(adapter, "x")
    stream.end(adapter)
    start = stream.start("interpreter", stream.root, name="Monty", operation="startup")
    stream.end(start)
    stream.tool("never-started", "orphan")
    stream.end(stream.root)
    assert tree(build_spans(stream.events)) == {
        "p AGENT OK": {"openai/gpt-test CHAT_MODEL OK": {}, "orphan TOOL OK": {}}
    }


def test_warnings_and_budgets_are_events_of_the_span_that_they_came_in():
    stream = Stream()
    cell = stream.start("code", stream.root, code="1")
    stream.add("warning", None, cell, category="UserWarning", message="careful")
    stream.end(cell)
    stream.add("budget", None, stream.root, kind="max_tokens", limit=10.0, used=11.0)
    stream.end(stream.root)
    root, python = build_spans(stream.events)
    assert [(e.name, dict(e.attributes)) for e in python.events] == [
        ("warning", {"category": "UserWarning", "message": "careful"})
    ]
    assert [e.name for e in root.events] == ["budget"]


def test_the_record_of_a_trace_names_run_tokens_cost_question_and_answer():
    events = rlm_run(trajectory_id="study-7")
    info = build_trace_info(events, experiment_id="3", mlflow_run_id="abc")
    assert info.trace_id == trace_id_of("run-1")
    assert info.client_request_id == "run-1"
    assert info.request_preview == "What is Activity?"
    assert info.response_preview.startswith("Something that occurs")
    assert info.state == "OK"
    assert info.execution_duration == len(events) - 1
    assert info.tags["mlflow.traceName"] == "run_dspy_rlm"
    metadata = info.trace_metadata
    assert metadata["mlflow.sourceRun"] == "abc"
    assert metadata["mlflow.trace.session"] == "study-7"
    assert json.loads(metadata["mlflow.trace.tokenUsage"])["input_tokens"] == 600
    assert json.loads(metadata["mlflow.trace.cost"]) == {"total_cost": pytest.approx(0.006)}


def test_a_failed_run_without_an_answer_previews_its_error():
    stream = Stream(query="q")
    stream.end(stream.root, status="FAILED", error=error("LMError", "no quota"))
    info = build_trace_info(stream.events, experiment_id="0")
    assert (info.state, info.response_preview) == ("ERROR", "no quota")
    assert "mlflow.trace.cost" not in info.trace_metadata


def test_ids_follow_from_the_run_alone():
    first, again, other = (build_spans(rlm_run(run)) for run in ("a", "a", "b"))
    assert [s.span_id for s in first] == [s.span_id for s in again]
    assert len({s.span_id for s in first}) == len(first)
    assert first[0].trace_id != other[0].trace_id


def test_events_that_do_not_begin_with_the_run_are_refused():
    with pytest.raises(LogFormatError, match="run_start"):
        build_spans(rlm_run()[1:])
    with pytest.raises(LogFormatError, match="run_start"):
        build_spans([])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.text()), max_size=25))
def test_every_start_but_hidden_ones_is_one_span_whatever_the_shape(steps):
    stream = Stream()
    open_spans, shown = [stream.root], 1
    for kind, which, text in steps:
        parent = open_spans[which % len(open_spans)]
        if kind == 0:
            open_spans.append(stream.start("tool", parent, name=text, args={"text": text}))
            shown += 1
        elif kind == 1:
            signature = ACTION if which % 2 else None
            module = stream.start("module", parent, name="Predict", signature=signature)
            open_spans.append(module)
            shown += 1
        elif kind == 2 and len(open_spans) > 1:
            stream.end(open_spans.pop(1 + which % (len(open_spans) - 1)))
        else:
            stream.start("interpreter", parent, name="x", operation="startup")
    spans = build_spans(stream.events)
    assert len(spans) == shown
    known = {span.span_id for span in spans}
    assert all(span.parent_id in known for span in spans[1:])
    assert all(span.end_time_ns >= span.start_time_ns for span in spans)
    for span in spans:
        json.dumps(span.to_dict()).encode()
        span.to_otel_proto().SerializeToString()
