"""The same question through an endpoint that speaks OpenAI's protocol, sync and async."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rlm_runtime import arun_dspy_rlm, run_dspy_rlm
from rlm_runtime.redaction import MARKER
from tests.support.collect import Collected, check_events
from tests.support.lms import cell
from tests.support.openai_server import openai_endpoint

PROV = Path(__file__).parent.parent / "ontology" / "prov.ttl"


def reply(prompt: str) -> str:
    if "Cell 1:" in prompt:
        return cell("SUBMIT(answer='An activity.', evidence=['prov:Activity'])")
    return cell("print(describe_entity('prov:Activity'))")


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_named_model_behind_an_endpoint(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    seen = Collected()
    with openai_endpoint(reply) as (address, requests):
        question = f"What is Activity? {tmp_path}"
        options = {"model": "openai/local-model", "api_base": address, "sinks": [seen]}
        if kind == "sync":
            result = run_dspy_rlm(question, PROV, **options)
        else:
            result = asyncio.run(arun_dspy_rlm(question, PROV, **options))
    assert (result.answer, result.converged) == ("An activity.", True)
    assert len(requests) == 2
    assert requests[0]["model"] == "local-model"
    check_events(seen.events)
    usages = [event["usage"] for event in seen.named("lm_end")]
    sizes = [sum(len(m["content"]) for m in body["messages"]) for body in requests]
    for usage, size in zip(usages, sizes, strict=True):
        assert abs(usage["input_tokens"] - size // 4) <= 2
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert result.usage.total.input_tokens == sum(usage["input_tokens"] for usage in usages)
    keys = {event["params"].get("api_key") for event in seen.named("lm_start")}
    assert keys == {MARKER}


def test_a_call_answered_by_the_cache_is_marked_and_costs_nothing(tmp_path: Path) -> None:
    seen = Collected()
    options = {"model": "openai/gpt-4o-mini", "sinks": [seen]}
    with openai_endpoint(reply) as (address, requests):
        for _ in range(2):
            run_dspy_rlm(f"What is Activity? {tmp_path}", PROV, api_base=address, **options)
    assert len(requests) == 2
    ends = seen.named("lm_end")
    assert [end["cache_hit"] for end in ends] == [False, False, True, True]
    assert [bool(end["usage"]["total_tokens"]) for end in ends] == [True, True, False, False]
    assert [bool(end["cost_usd"]) for end in ends] == [True, True, False, False]
