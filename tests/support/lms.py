"""Stand-ins for the one part that cannot be had in tests: the language model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import dspy
from dspy.lm15 import Message, Request, Response, TextPart, Usage, response_to_events

Reply = str | Exception | Callable[[str], str]


def fields(**values: str) -> str:
    """Give a completion in the form that DSPy's ChatAdapter asks for."""
    shown = "\n\n".join(f"[[ ## {name} ## ]]\n{value}" for name, value in values.items())
    return f"{shown}\n\n[[ ## completed ## ]]"


def cell(code: str, reasoning: str = "Let me look.") -> str:
    """Give a completion that is one turn of an RLM."""
    return fields(reasoning=reasoning, code=f"```python\n{code}\n```")


class _Engine:
    """Gives the replies in order, the last one for ever; counts words as tokens."""

    def __init__(self, replies: Sequence[Reply], model: str) -> None:
        self.prompts: list[str] = []
        self._replies = list(replies)
        self._model = model
        self._lock = threading.Lock()

    def complete(self, request: Request) -> Response:
        system = request.system if isinstance(request.system, str) else ""
        prompt = "\n".join([system or "", *(message.text or "" for message in request.messages)])
        with self._lock:
            reply = self._replies[min(len(self.prompts), len(self._replies) - 1)]
            self.prompts.append(prompt)
        if isinstance(reply, Exception):
            raise reply
        text = reply(prompt) if callable(reply) else reply
        counts = len(prompt.split()), len(text.split())
        return Response(
            id=None,
            model=self._model,
            message=Message.assistant([TextPart(text)]),
            finish_reason="stop",
            usage=Usage(input_tokens=counts[0], output_tokens=counts[1], total_tokens=sum(counts)),
        )

    def stream(self, request: Request) -> Any:
        return response_to_events(self.complete(request))

    def close(self) -> None:
        self._replies.clear()


class _AsyncEngine:
    def __init__(self, engine: _Engine) -> None:
        self._engine = engine

    async def complete(self, request: Request) -> Response:
        return self._engine.complete(request)

    async def stream(self, request: Request) -> Any:
        for event in self._engine.stream(request):
            yield event

    async def aclose(self) -> None:
        self._engine.close()


class ScriptedLM(dspy.LM):
    """An LM that replies from a script: texts, exceptions, or functions of the prompt."""

    def __init__(self, *replies: Reply, model: str = "scripted", cache: bool = False) -> None:
        engine = _Engine(replies, model)
        super().__init__(model, engine=engine, async_engine=_AsyncEngine(engine), cache=cache)
        self.prompts = engine.prompts
