"""``OfflineLM``: a deterministic stand-in for a language model that explores by rules."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import dspy
from dspy.lm15 import Message, Request, Response, TextPart, Usage, response_to_events

from rlm_runtime.engine.offline.notes import failed
from rlm_runtime.engine.offline.plans import answer_cell
from rlm_runtime.engine.offline.questions import read_question
from rlm_runtime.engine.offline.search import read_findings, search_cell

__all__ = ["OfflineLM"]

_CHARS_PER_TOKEN = 4
_SECTION = re.compile(r"^\[\[ ## (\w+) ## \]\]$", re.M)
_REQUESTED = re.compile(r"\[\[ ## (\w+) ## \]\]")
_CANNOT = (
    "The offline explorer follows fixed rules and cannot reason about texts. "
    "Use a language model for this."
)


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
        reply = _reply(system or "", texts[-1] if texts else "")
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


def _reply(system: str, prompt: str) -> str:
    sections = _sections(prompt)
    wanted = _fields_wanted(prompt)
    if wanted == ["reasoning", "code"] and "query" in sections and "history" in sections:
        reasoning, cell = _turn(sections["query"], sections["history"])
        return _formatted({"reasoning": reasoning, "code": f"```python\n{cell}\n```"})
    if not wanted:
        return _CANNOT
    types = dict(re.findall(r"`(\w+)` \(([^)]*)\)", system))
    return _formatted({name: _filler(types.get(name, "str")) for name in wanted})


def _turn(query: str, history: str) -> tuple[str, str]:
    question = read_question(query)
    findings = read_findings(history)
    cells = len(re.findall(r"^Cell \d+:", history, re.M))
    if not cells:
        return f"I read this as a question of the kind “{question.kind}”.", search_cell(question)
    if cells == 1 and (findings.done or findings.matches):
        return answer_cell(question, findings)
    return failed(history)


def _sections(prompt: str) -> dict[str, str]:
    parts = _SECTION.split(prompt)
    sections: dict[str, str] = {}
    for name, text in zip(parts[1::2], parts[2::2], strict=False):
        sections.setdefault(name, text.strip())
    return sections


def _fields_wanted(prompt: str) -> list[str]:
    _, marker, tail = prompt.rpartition("Respond with the corresponding output fields")
    return [n for n in _REQUESTED.findall(tail) if n != "completed"] if marker else []


def _filler(kind: str) -> str:
    if kind.startswith(("list", "List", "tuple", "set")):
        return "[]"
    if kind.startswith(("dict", "Dict")):
        return "{}"
    if kind in ("int", "float"):
        return "0"
    return "False" if kind == "bool" else _CANNOT


def _formatted(fields: dict[str, str]) -> str:
    shown = "\n\n".join(f"[[ ## {name} ## ]]\n{text}" for name, text in fields.items())
    return f"{shown}\n\n[[ ## completed ## ]]"
