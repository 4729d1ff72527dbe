"""The predictors of an RLM's turns: small prompts, budgets kept, odd completions understood."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

import dspy
from dspy.primitives.repl_types import REPLHistory
from dspy.utils.exceptions import AdapterParseError

from rlm_runtime.engine.background import start
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
    "is_running",
    "running",
]


T = TypeVar("T")

# A fence of another language than Python, which RLM would refuse without running it.
_FOREIGN = re.compile(r"```[ \t]*(?!(?:python3?|py3?)\b)[A-Za-z]")


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
        asked: With what arguments dspy.RLM called the predictor at work.
    """

    query: str
    context: str
    budget: Budget
    last_query: str = ""
    last_reasoning: str = ""
    extracted: bool = False
    asked: dict[str, Any] = field(default_factory=dict)


_STATE: ContextVar[RunState] = ContextVar("rlm_runtime_run_state")
_BUDGET: ContextVar[Budget] = ContextVar("rlm_runtime_budget")


@contextmanager
def _in_force(variable: ContextVar[T], value: T) -> Iterator[T]:
    token = variable.set(value)
    try:
        yield value
    finally:
        variable.reset(token)


def running(state: RunState) -> AbstractContextManager[RunState]:
    """Make a state the current one of this context."""
    return _in_force(_STATE, state)


def current_state() -> RunState:
    """Give the state of the run in progress; outside of one, a new state without bounds."""
    return _STATE.get(None) or RunState("", "", current_budget())


def is_running() -> bool:
    """Say whether a run is in progress in this context."""
    return _STATE.get(None) is not None


def budgeted(budget: Budget) -> AbstractContextManager[Budget]:
    """Put a budget in force for the programs that run in this context."""
    return _in_force(_BUDGET, budget)


def current_budget() -> Budget:
    """Give the budget in force; a new one without bounds if there is none."""
    return _BUDGET.get(None) or Budget()


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

    def __call__(self, **kwargs: Any) -> dspy.Prediction:
        """Give the model's reasoning and code; only the number of the turn is an input.

        The rest would stand twice in every record of a run, and grow with each turn.
        """
        current_state().asked = kwargs
        return super().__call__(turn=kwargs["iteration"])

    def forward(self, **kwargs: Any) -> dspy.Prediction:
        """Give the model's reasoning and code.

        Raises:
            BudgetExceeded: A budget of the run is used up.
            Refused: The model gave no code.
        """
        state = current_state()
        history: REPLHistory = state.asked["repl_history"]
        shown = _shown(history)
        inputs = {
            "signature": state.asked.get("signature", self.signature),
            "query": inert(state.query),
            "context": inert(state.context),
            "turn": kwargs["turn"],
        }
        prediction = self._ask(state, history=shown, **inputs)
        if isinstance(prediction, str):
            reminder = (
                f"{shown}\n\nYour last reply held no Python cell: {prediction[:500]!r}\n"
                "Reply in the required form: reasoning, then code."
            )
            prediction = self._ask(state, history=reminder, **inputs)
            if isinstance(prediction, str):
                raise Refused(prediction)
        state.last_reasoning = prediction.reasoning
        return prediction

    def _ask(self, state: RunState, **kwargs: Any) -> dspy.Prediction | str:
        """Give the prediction, or the text of a completion without code."""
        # One call a turn: instead of asking again for JSON, we read the code from what came.
        adapter = dspy.settings.adapter or dspy.ChatAdapter(use_json_adapter_fallback=False)
        ask = super().forward
        try:
            with dspy.context(adapter=adapter):
                prediction = _within(state.budget, lambda: ask(**kwargs))
        except AdapterParseError as error:
            if error.parsed_result is None and _is_empty(error.lm_response):
                raise Refused("") from error
            prediction = dspy.Prediction()
            reasoning, code = _find_code(error.lm_response) or (error.lm_response, "")
        else:
            reasoning = str(prediction.get("reasoning") or "")
            code = str(prediction.get("code") or "").strip()
        if not code or _FOREIGN.match(code):
            said = f"{reasoning}\n{code}".strip()
            if not said:
                raise Refused("")
            return said
        prediction.reasoning = reasoning
        prediction.code = code.encode("utf-8", "replace").decode()
        return prediction


def _shown(history: REPLHistory) -> str:
    steps = [Step(entry.reasoning, entry.code, entry.output) for entry in history]
    return inert(format_history(steps, history.max_output_chars))


def _within(budget: Budget, call: Callable[[], T]) -> T:
    """Make an LM call, and leave it behind when the run's time is over.

    Raises:
        BudgetExceeded: A budget is used up, before the call or during it.
    """
    budget.check()
    left = budget.remaining_seconds()
    if left is None:
        return call()
    done = start(call, "rlm-lm-call")
    try:
        return done.result(left)
    except FutureTimeout:
        # Unless the call itself raised it, the time is over now.
        budget.remaining_seconds()
        raise


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

    def __call__(self, **kwargs: Any) -> dspy.Prediction:
        """Give the fields; see ``ActionPredict.__call__``."""
        current_state().asked = kwargs
        return super().__call__()

    def forward(self, **kwargs: Any) -> dspy.Prediction:  # noqa: ARG002
        """Give the fields, from the same short history that a turn sees.

        Raises:
            BudgetExceeded: A budget of the run is used up.
        """
        state = current_state()
        state.extracted = True
        inputs = {
            "query": inert(state.query),
            "context": inert(state.context),
            "history": _shown(state.asked["repl_history"]),
        }
        ask = super().forward
        prediction = _within(state.budget, lambda: ask(**inputs))
        signature: Any = self.signature
        for name in signature.output_fields:
            # An empty completion has no fields; RLM wants all of them.
            if name not in prediction:
                prediction[name] = None
        return prediction
