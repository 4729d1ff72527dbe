"""The predictors of an RLM's turns: small prompts, budgets kept, odd completions understood."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import dspy
from dspy.primitives.repl_types import REPLHistory
from dspy.utils.exceptions import AdapterParseError

from rlm_runtime.engine.budget import Budget
from rlm_runtime.engine.prompt import format_history
from rlm_runtime.types import Step

__all__ = [
    "ActionPredict",
    "ExtractPredict",
    "Refused",
    "RunState",
    "current_state",
    "inert",
    "running",
]


class Refused(Exception):
    """The model gave no code to run, twice, or nothing at all; ``args[0]`` is what it said."""

    # The sandbox lets exceptions so marked pass through LM-written code.
    rlm_control = True


@dataclass
class RunState:
    """What the predictors of one run share.

    Attributes:
        query: The question.
        context: The overview of the ontology.
        budget: What the run may use.
        last_query: The last SPARQL that ran without an error.
        last_reasoning: What the model thought last.
        extracted: True once the answer had to be extracted from an unfinished run.
    """

    query: str
    context: str
    budget: Budget
    last_query: str = ""
    last_reasoning: str = ""
    extracted: bool = field(default=False)


_STATE: ContextVar[RunState] = ContextVar("rlm_runtime_run_state")


@contextmanager
def running(state: RunState) -> Iterator[RunState]:
    """Make a state the current one of this context."""
    token = _STATE.set(state)
    try:
        yield state
    finally:
        _STATE.reset(token)


def current_state() -> RunState:
    """Give the state of the run in progress."""
    return _STATE.get()


def inert(text: str) -> str:
    """Make text of the question and the data harmless for DSPy's adapters and for UTF-8.

    An adapter turns a marked-up passage of a prompt into an image or a file to be fetched; data
    must not be able to do that.

    Example:
        >>> inert("<<CUSTOM-TYPE-START-IDENTIFIER>>")
        '<< CUSTOM-TYPE-START-IDENTIFIER>>'
    """
    text = text.replace("<<CUSTOM-TYPE", "<< CUSTOM-TYPE")
    return text.encode("utf-8", "replace").decode()


class ActionPredict(dspy.Predict):
    """Asks for the next cell; takes the arguments with which dspy.RLM calls ``generate_action``.

    Its own signature has the fields that the model sees: ``query``, ``context``, ``history`` and
    ``turn``, then ``reasoning`` and ``code``.
    """

    def forward(self, **kwargs: Any) -> dspy.Prediction:
        """Give the model's reasoning and code.

        Raises:
            BudgetExceeded: A budget of the run is used up.
            Refused: The model gave no code.
        """
        state = current_state()
        history: REPLHistory = kwargs["repl_history"]
        steps = [Step(entry.reasoning, entry.code, entry.output) for entry in history]
        shown = inert(format_history(steps, history.max_output_chars))
        inputs = {
            "signature": kwargs.get("signature", self.signature),
            "query": inert(state.query),
            "context": inert(state.context),
            "turn": kwargs["iteration"],
        }
        prediction = self._ask(state, history=shown, **inputs)
        if isinstance(prediction, str):
            reminder = (
                f"{shown}\n\nYour last reply held no code cell: {prediction[:500]!r}\n"
                "Reply in the required form: reasoning, then code."
            )
            prediction = self._ask(state, history=reminder, **inputs)
            if isinstance(prediction, str):
                raise Refused(prediction)
        prediction.code = prediction.code.encode("utf-8", "replace").decode()
        state.last_reasoning = prediction.reasoning
        return prediction

    def _ask(self, state: RunState, **kwargs: Any) -> dspy.Prediction | str:
        """Give the prediction, or the text of a completion without code."""
        state.budget.check()
        # One call a turn: instead of asking again for JSON, we read the code from what came.
        adapter = dspy.settings.adapter or dspy.ChatAdapter(use_json_adapter_fallback=False)
        try:
            with dspy.context(adapter=adapter):
                prediction = super().forward(**kwargs)
        except AdapterParseError as error:
            if error.parsed_result is None and _is_empty(error.lm_response):
                raise Refused("") from error
            found = _find_code(error.lm_response)
            if found is None:
                return error.lm_response.strip()
            return dspy.Prediction(reasoning=found[0], code=found[1])
        if not isinstance(prediction.code, str) or not prediction.code.strip():
            return str(prediction.reasoning or "").strip()
        prediction.reasoning = str(prediction.reasoning or "")
        return prediction


def _is_empty(completion: Any) -> bool:
    # DSPy reports the repr of a completion without text.
    return not str(completion or "").strip() or str(completion) == "None"


def _find_code(completion: str) -> tuple[str, str] | None:
    """Find reasoning and code in a completion that is not in the form asked for."""
    head, marker, tail = completion.partition("[[ ## code ## ]]")
    if marker:
        code = tail.partition("[[ ## completed ## ]]")[0].strip()
        return (_without_markers(head), code) if code else None
    fenced = re.search(r"```(?:python|py)?[ \t]*\n(.*?)(?:```|\Z)", completion, re.DOTALL)
    if fenced is None or not fenced[1].strip():
        return None
    return _without_markers(completion[: fenced.start()]), fenced[1].strip()


def _without_markers(text: str) -> str:
    return re.sub(r"\[\[ ## \w+ ## \]\]", "", text).strip()


class ExtractPredict(dspy.Predict):
    """Asks for the final fields when the turns are used up; see ``dspy.RLM.extract``."""

    def forward(self, **kwargs: Any) -> dspy.Prediction:
        """Give the fields, from the same short history that a turn sees.

        Raises:
            BudgetExceeded: A budget of the run is used up.
        """
        state = current_state()
        state.extracted = True
        state.budget.check()
        history: REPLHistory = kwargs["repl_history"]
        steps = [Step(entry.reasoning, entry.code, entry.output) for entry in history]
        return super().forward(
            query=inert(state.query),
            context=inert(state.context),
            history=inert(format_history(steps, history.max_output_chars)),
        )
