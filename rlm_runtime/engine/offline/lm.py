"""``OfflineLM``: a deterministic stand-in for a language model that explores by rules."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import dspy
from dspy.lm15 import Message, Request, Response, TextPart, Usage, response_to_events

from rlm_runtime.engine.offline.findings import first_cell, read_findings
from rlm_runtime.engine.offline.notes import failed, understood
from rlm_runtime.engine.offline.plans import answer_cell
from rlm_runtime.engine.offline.questions import read_question

__all__ = ["OfflineLM"]

_CHARS_PER_TOKEN = 4
_SECTION = re.compile(r"^\[\[ ## (\w+) ## \]\]$", re.M)
# What DSPy's adapters ask for at the end of a prompt: names, with the types that are no texts.
_REQUESTED = re.compile(
    r"`(?:\[\[ ## )?(\w+)(?: ## \]\])?`(?: \(must be formatted as a valid Python ([^()]*)\))?"
)
_CANNOT = (
    "The offline explorer follows fixed rules and cannot reason about texts. "
    "Use a language model for this."
)
_UNFINISHED = "Not answered: the turns were used up. The offline explorer needs two of them."


class OfflineLM(dspy.LM):
    """Answers questions about an ontology by rules: no network, no key, the same every time.

    It reads the same prompt as any LM and replies with Python cells that use the same tools: one
    that searches what the question names, one that queries, checks and submits. It knows no
    ontology and no question by heart, and it does not understand language: it knows some forms
    of questions in English. To any other prompt it says that it cannot help.

    Token counts are estimates, a token for every four characters; there is no cost.

    Example:
        >>> OfflineLM()("Is the sky blue?")[0][:53]
        'The offline explorer follows fixed rules and cannot r'
    """

    def __init__(self) -> None:
        engine = _Engine()
        super().__init__("offline", engine=engine, async_engine=_AsyncEngine(engine), cache=False)


class _Engine:
    def complete(self, request: Request) -> Response:
        system = request.system if isinstance(request.system, str) else ""
        texts = [message.text or "" for message in request.messages]
        reply = _reply(texts[-1] if texts else "")
        tokens = sum(map(len, [system or "", *texts])) // _CHARS_PER_TOKEN
        written = len(reply) // _CHARS_PER_TOKEN
        return Response(
            id=None,
            model="offline",
            message=Message.assistant([TextPart(reply)]),
            finish_reason="stop",
            usage=Usage(input_tokens=tokens, output_tokens=written, total_tokens=tokens + written),
        )

    def stream(self, request: Request) -> Iterator[Any]:
        return iter(response_to_events(self.complete(request)))

    def close(self) -> None:
        """Do nothing: it holds nothing."""


class _AsyncEngine:
    def __init__(self, engine: _Engine) -> None:
        self._engine = engine

    async def complete(self, request: Request) -> Response:
        return self._engine.complete(request)

    async def stream(self, request: Request) -> AsyncIterator[Any]:
        for event in self._engine.stream(request):
            yield event

    async def aclose(self) -> None:
        self._engine.close()


def _reply(prompt: str) -> str:
    sections = _sections(prompt)
    request = prompt.rpartition("Respond with ")[2]
    wanted = {name: kind for name, kind in _REQUESTED.findall(request) if name != "completed"}
    if not wanted or "Respond with " not in prompt:
        return _CANNOT
    if list(wanted) == ["reasoning", "code"] and {"query", "history"} <= sections.keys():
        reasoning, cell = _turn(sections["query"], sections["history"])
        fields = {"reasoning": reasoning, "code": f"```python\n{cell}\n```"}
    elif {"answer", "sparql", "evidence"} <= wanted.keys():
        fields = {**dict.fromkeys(wanted, ""), "answer": _UNFINISHED, "evidence": []}
    else:
        fields = {name: _filler(kind) for name, kind in wanted.items()}
    if request.startswith("a JSON object"):
        return json.dumps(fields)
    shown = "\n\n".join(
        f"[[ ## {name} ## ]]\n{value if isinstance(value, str) else json.dumps(value)}"
        for name, value in fields.items()
    )
    return f"{shown}\n\n[[ ## completed ## ]]"


def _turn(query: str, history: str) -> tuple[str, str]:
    question = read_question(query)
    cells = len(re.findall(r"^Cell \d+:", history, re.M))
    if not cells:
        asked = understood(question, [f"“{wanted.text}”" for wanted in question.wanted])
        return f"{asked} First I look for what it names.", first_cell(question)
    findings = read_findings(question, history)
    if cells == 1 and findings.complete:
        return answer_cell(question, findings)
    return failed(history)


def _sections(prompt: str) -> dict[str, str]:
    parts = _SECTION.split(prompt)
    sections: dict[str, str] = {}
    for name, text in zip(parts[1::2], parts[2::2], strict=False):
        sections.setdefault(name, text.strip())
    return sections


def _filler(kind: str) -> object:
    """Give a value of a type, as empty as can be; for a text, why there is no better one."""
    name, _, inside = kind.partition("[")
    if name == "Literal":
        return inside.partition(",")[0].strip("]'\" ")
    empty = {"list": [], "tuple": [], "set": [], "dict": {}, "int": 0, "float": 0.0, "bool": False}
    return empty.get(name, _CANNOT)
