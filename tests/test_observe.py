"""``observe`` records any DSPy program as one run with one tree."""

from __future__ import annotations

import asyncio
import contextvars
import os
import re
import threading
import warnings
from pathlib import Path

import dspy
import pytest
from dspy.utils.callback import BaseCallback

from rlm_runtime import ConfigurationError, TrackingWarning, observe
from rlm_runtime.logging.jsonl import LogReader
from rlm_runtime.redaction import MARKER
from tests.support.collect import Collected, check_events
from tests.support.lms import ScriptedLM, fields


def answer(text: str) -> str:
    return fields(reasoning="Because.", answer=text)


def test_a_chain_of_thought_is_one_tree_with_usage() -> None:
    seen = Collected()
    lm = ScriptedLM(answer("42"))
    with observe("my program", query="why?", sinks=[seen]) as run, dspy.context(lm=lm):
        assert dspy.ChainOfThought("question -> answer")(question="why?").answer == "42"
    check_events(seen.events)
    assert [e["event"] for e in seen.events] == [
        "run_start",
        "module_start",
        "module_start",
        "lm_start",
        "lm_end",
        "module_end",
        "module_end",
        "run_end",
    ]
    outer, inner = seen.named("module_start")
    assert (outer["name"], inner["name"]) == ("ChainOfThought", "Predict")
    assert inner["signature"] == "question -> reasoning, answer"
    assert seen.parent(outer)["event"] == "run_start"
    assert seen.parent(inner) is outer
    assert seen.parent(seen.named("lm_start")[0]) is inner
    assert outer["inputs"] == {"question": "why?"}
    (end,) = seen.named("lm_end")
    assert end["usage"]["total_tokens"] == run.usage.total.total_tokens > 0
    assert end["outputs"] == [answer("42")]
    assert seen.events[-1]["status"] == "FINISHED"
    assert seen.events[-1]["metrics"]["lm_calls"] == 1
    assert seen.closed == 1


def test_a_react_agent_shows_its_tools_once_each() -> None:
    def lookup(city: str) -> str:
        """Look a city up."""
        return f"{city}: sunny"

    seen = Collected()
    lm = ScriptedLM(
        fields(next_thought="Look.", next_tool_name="lookup", next_tool_args='{"city": "Ghent"}'),
        fields(next_thought="Done.", next_tool_name="finish", next_tool_args="{}"),
        answer("sunny"),
    )
    with observe("agent", sinks=[seen]), dspy.context(lm=lm):
        dspy.ReAct("question -> answer", tools=[lookup])(question="Weather in Ghent?")
    check_events(seen.events)
    starts = seen.named("tool_start")
    assert [e["name"] for e in starts] == ["lookup", "finish"]
    assert starts[0]["args"] == {"city": "Ghent"}
    assert seen.named("tool_end")[0]["output"] == "Ghent: sunny"
    assert seen.parent(starts[0])["name"] == "ReAct"


def test_parallel_calls_hang_on_their_own_parents() -> None:
    class Pair(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.predict = dspy.Predict("question -> answer")

        def forward(self, question: str) -> dspy.Prediction:
            return self.predict(question=question)

    seen = Collected()
    pair = Pair()
    jobs = [(pair, dspy.Example(question=f"q{n}").with_inputs("question")) for n in range(12)]
    lm = ScriptedLM(lambda prompt: fields(answer=prompt.rpartition("ion ## ]]\n")[2].split()[0]))
    with observe("parallel", sinks=[seen]), dspy.context(lm=lm):
        results = dspy.Parallel(num_threads=6, disable_progress_bar=True)(jobs)
    check_events(seen.events)
    assert [r.answer for r in results] == [f"q{n}" for n in range(12)]
    calls = seen.named("lm_start")
    assert len(calls) == 12
    for call in calls:
        predict = seen.parent(call)
        outer = seen.parent(predict)
        assert (predict["name"], outer["name"]) == ("Predict", "Pair")
        assert predict["inputs"]["question"] == outer["inputs"]["question"]
        assert f"{predict['inputs']['question']}\n" in call["messages"][-1]["content"]
    ends = {e["span_id"]: e for e in seen.named("lm_end")}
    for call in calls:
        words = sum(len(message["content"].split()) for message in call["messages"])
        assert ends[call["span_id"]]["usage"]["input_tokens"] == words


def test_a_cached_call_is_marked_and_costs_nothing(tmp_path: Path) -> None:
    seen = Collected()
    lm = ScriptedLM(answer("42"), cache=True, model=f"scripted-{tmp_path.name}")
    with observe("cache", sinks=[seen]), dspy.context(lm=lm):
        for _ in range(2):
            dspy.Predict("question -> answer")(question=str(tmp_path))
    first, second = seen.named("lm_end")
    assert (first["cache_hit"], second["cache_hit"]) == (False, True)
    assert first["usage"]["total_tokens"] > 0
    assert second["usage"] == {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    assert second["cost_usd"] == 0.0


def test_a_failing_program_keeps_its_exception_and_is_recorded_as_failed() -> None:
    seen = Collected()
    original = RuntimeError("the server is on fire")
    with (
        pytest.raises(dspy.LMError) as caught,
        observe("failing", sinks=[seen]) as run,
        dspy.context(lm=ScriptedLM(original)),
    ):
        dspy.Predict("question -> answer")(question="?")
    check_events(seen.events)
    end = seen.events[-1]
    assert end["status"] == "FAILED"
    assert end["error"]["type"] == type(caught.value).__name__
    assert "the server is on fire" in end["error"]["message"]
    assert caught.value.run_id == run.run_id
    assert caught.value.trajectory == []


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_an_interrupted_program_is_recorded_as_killed(stop: type[BaseException]) -> None:
    seen = Collected()
    with pytest.raises(stop), observe("stopped", sinks=[seen]):
        raise stop
    assert seen.events[-1]["status"] == "KILLED"


def test_as_a_decorator_each_call_is_a_run() -> None:
    made: list[Collected] = []

    def sink() -> Collected:
        made.append(Collected())
        return made[-1]

    @observe("decorated", sinks=[sink])
    def double(number: int) -> int:
        """Double it."""
        return 2 * number

    assert [double(1), double(2)] == [2, 4]
    assert double.__doc__ == "Double it."
    first, second = made
    assert first.events[0]["run_id"] != second.events[0]["run_id"]
    assert first.closed == second.closed == 1


def test_what_cannot_be_decorated_is_refused_at_once() -> None:
    def numbers():
        yield 1

    with pytest.raises(TypeError, match="generator"):
        observe("generator")(numbers)
    for one_run in ({"run_id": "x"}, {"sinks": [Collected()]}):
        with pytest.raises(TypeError, match="serves one run"):
            observe("twice", **one_run)(len)


def test_async_programs_are_recorded_alike() -> None:
    seen = Collected()

    @observe("async", sinks=[lambda: seen])
    async def ask(question: str) -> str:
        predict = dspy.Predict("question -> answer")
        return (await predict.acall(question=question)).answer

    async def main() -> str:
        with dspy.context(lm=ScriptedLM(answer("42"))):
            return await ask("why?")

    assert asyncio.run(main()) == "42"
    check_events(seen.events)
    assert seen.parent(seen.named("lm_start")[0])["name"] == "Predict"
    assert seen.named("lm_end")[0]["usage"]["total_tokens"] > 0


def test_async_gathered_calls_keep_their_parents() -> None:
    seen = Collected()

    async def main() -> None:
        predict = dspy.Predict("question -> answer")
        async with observe("gather", sinks=[seen]):
            with dspy.context(lm=ScriptedLM(answer("42"))):
                await asyncio.gather(*(predict.acall(question=f"q{n}") for n in range(5)))

    asyncio.run(main())
    check_events(seen.events)
    for call in seen.named("lm_start"):
        assert seen.parent(call)["inputs"]["question"] in call["messages"][-1]["content"]


def test_prompts_can_be_left_out_and_say_so() -> None:
    seen = Collected()
    with (
        observe("discreet", log_llm_calls=False, sinks=[seen]) as run,
        dspy.context(lm=ScriptedLM(answer("hush"))),
    ):
        dspy.Predict("question -> answer")(question="?")
    check_events(seen.events)
    (start,), (end,) = seen.named("lm_start"), seen.named("lm_end")
    assert (start["messages"], start["truncated"]) == ([], ["messages"])
    assert (end["outputs"], end["truncated"]) == (None, ["outputs"])
    assert run.usage.total.total_tokens > 0


def test_adapters_are_recorded_when_asked_for() -> None:
    seen = Collected()
    with (
        observe("adapters", log_adapters=True, sinks=[seen]),
        dspy.context(lm=ScriptedLM(answer("42"))),
    ):
        dspy.Predict("question -> answer")(question="?")
    check_events(seen.events)
    assert [e["operation"] for e in seen.named("adapter_start")] == ["format", "parse"]


def test_secrets_of_an_lm_stay_out_of_the_records() -> None:
    seen = Collected()
    lm = ScriptedLM(answer("42"))
    config = {"auth_token": "sk-3", "temperature": 0.5}
    lm.kwargs |= {"extra_body": {"api_key": "sk-1", "seed": 7}, "note": "https://me:sk-2@host/v1"}
    predict = dspy.Predict("question -> answer")
    with (
        # The scripted LM cannot send these on; what was asked of it is recorded all the same.
        pytest.raises(dspy.LMError),
        observe("secret", sinks=[seen]),
        dspy.context(lm=lm),
    ):
        predict(question="?", config=config)
    (call,) = seen.named("lm_start")
    assert call["params"] == {
        "extra_body": {"api_key": MARKER, "seed": 7},
        "note": f"https://{MARKER}@host/v1",
        "auth_token": MARKER,
        "temperature": 0.5,
    }
    assert not re.findall(r".{80}sk-\d.{80}", str(seen.events))


def test_usage_is_counted_where_the_user_keeps_no_history() -> None:
    with dspy.context(lm=ScriptedLM(answer("42")), disable_history=True), observe("quiet") as run:
        dspy.Predict("question -> answer")(question="?")
    assert run.usage.total.total_tokens > 0


def test_run_end_is_the_last_event_also_with_stragglers() -> None:
    seen = Collected()
    go_on, done = threading.Event(), threading.Event()

    def late(prompt: str) -> str:
        assert go_on.wait(30)
        return answer("late")

    with observe("stragglers", sinks=[seen]), dspy.context(lm=ScriptedLM(late)):
        context = contextvars.copy_context()

        def work() -> None:
            context.run(dspy.Predict("question -> answer"), question="?")
            done.set()

        threading.Thread(target=work).start()
        while not seen.named("lm_start"):
            threading.Event().wait(0.01)
    go_on.set()
    assert done.wait(30)
    assert seen.events[-1]["event"] == "run_end"


def test_a_sink_that_runs_dspy_itself_does_not_hang() -> None:
    class Judge(Collected):
        def emit(self, event: dict) -> None:
            super().emit(event)
            if event["event"] == "lm_end":
                dspy.Predict("question -> answer")(question="Was it good?")

    judge = Judge()
    with dspy.context(lm=ScriptedLM(answer("42"))), observe("judged", sinks=[judge]):
        dspy.Predict("question -> answer")(question="?")
    check_events(judge.events)
    assert len(judge.named("lm_start")) == 1


def test_a_recursive_tool_is_recorded_at_every_level() -> None:
    def countdown(n: int) -> int:
        return 0 if n == 0 else tool(n=n - 1)

    tool = dspy.Tool(countdown)
    seen = Collected()
    with observe("recursive", sinks=[seen]):
        tool(n=3)
    check_events(seen.events)
    assert [event["args"]["n"] for event in seen.named("tool_start")] == [3, 2, 1, 0]


def test_a_generator_read_from_another_context_is_recorded_whole() -> None:
    seen = Collected()

    def stream():
        with observe("stream", sinks=[seen]):
            yield 1
            yield 2

    async def main() -> list[int]:
        reader = stream()
        return [await asyncio.to_thread(next, reader, 0) for _ in range(3)]

    assert asyncio.run(main()) == [1, 2, 0]
    check_events(seen.events)
    assert seen.closed == 1


def test_the_users_callbacks_and_settings_stay_as_they_were() -> None:
    class Mine(BaseCallback):
        calls = 0

        def on_lm_start(self, call_id: str, instance: object, inputs: dict) -> None:
            self.calls += 1

    mine, extra = Mine(), Mine()
    with dspy.context(lm=ScriptedLM(answer("42")), callbacks=[mine]):
        before = dict(dspy.settings.config)
        with observe("with callbacks", callbacks=[extra]):
            dspy.Predict("question -> answer")(question="?")
        assert dict(dspy.settings.config) == before
    assert (mine.calls, extra.calls) == (1, 1)


def test_runs_in_threads_do_not_mix(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        lm = ScriptedLM(answer(str(number)))
        barrier.wait()
        with (
            observe("threaded", run_id=f"run-{number}", log_path=tmp_path / f"{number}.jsonl"),
            dspy.context(lm=lm),
        ):
            for _ in range(5):
                dspy.Predict("question -> answer")(question=f"thread {number}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(8):
        events = list(LogReader(tmp_path / f"{number}.jsonl"))
        check_events(events)
        assert events[0]["run_id"] == f"run-{number}"
        prompts = [e["messages"][-1]["content"] for e in events if e["event"] == "lm_start"]
        assert len(prompts) == 5
        assert all(f"thread {number}" in prompt for prompt in prompts)


@pytest.mark.usefixtures("swallowing")
def test_a_broken_sink_never_reaches_the_program() -> None:
    class Broken:
        def emit(self, event: object) -> None:
            raise OSError("disk full")

        def close(self) -> None:
            raise OSError("still full")

    seen = Collected()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with (
            observe("unlucky", sinks=[Broken(), seen]),
            dspy.context(lm=ScriptedLM(answer("42"))),
        ):
            assert dspy.Predict("question -> answer")(question="?").answer == "42"
    check_events(seen.events)
    assert [str(w.message) for w in warned if w.category is TrackingWarning] == [
        "Could not record events with Broken: OSError: disk full.",
        "Could not close Broken: OSError: still full.",
    ]


def test_a_log_that_cannot_be_opened_is_an_error_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(ConfigurationError, match="log_path="),
        observe("nowhere", log_path=tmp_path / "file" / "log.jsonl"),
    ):
        raise AssertionError("the program must not run")


def test_one_observe_cannot_record_two_runs_at_once() -> None:
    once = observe("once")
    with once, pytest.raises(RuntimeError, match="make a new one"), once:
        raise AssertionError("entered twice")


def test_reports_of_any_values_arrive_as_json() -> None:
    seen = Collected()
    loop: list[object] = []
    loop.append(loop)
    with observe("odd", sinks=[seen]) as run:
        run.report(outputs={"set": {2, 1}, "loop": loop, "nan": float("nan"), "raw": b"\xff"})
        run.report(outputs={"keys": {1: "a", "1": "b"}})
        run.report(metrics={"score": 0.5, "bad": float("nan")}, converged=True)
    check_events(seen.events)
    end = seen.events[-1]
    keys = {"1": "a", "1 (str)": "b"}
    assert end["outputs"].pop("keys") == keys
    assert end["outputs"] == {"set": [1, 2], "loop": ["<cycle>"], "nan": "nan", "raw": "b'\\xff'"}
    assert end["metrics"]["score"] == 0.5
    assert "bad" not in end["metrics"]
    assert "'bad' is left out" in seen.named("warning")[0]["message"]
    assert end["converged"] is True


def test_a_copy_of_the_stream_in_a_child_records_nothing(tmp_path):
    log = tmp_path / "log.jsonl"
    block = observe("parent", log_path=log)
    block.__enter__()
    child = os.fork()
    if child == 0:
        block.__exit__(None, None, None)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    block.__exit__(None, None, None)
    assert [event["event"] for event in LogReader(log)] == ["run_start", "run_end"]
