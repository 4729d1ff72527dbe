"""``OntologyRLM``: the dspy.Module that answers a question over an ontology."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any, cast

import dspy
from dspy.primitives.code_interpreter import CodeInterpreter
from dspy.utils.exceptions import AdapterParseError

from rlm_runtime.engine.answer_fields import prepare_submit
from rlm_runtime.engine.background import in_background
from rlm_runtime.engine.bounded import WithinBudget
from rlm_runtime.engine.prompt import action_instructions, task_instructions
from rlm_runtime.engine.turns import (
    ActionPredict,
    ExtractPredict,
    Refused,
    RunState,
    budgeted,
    current_budget,
    current_state,
    is_running,
    running,
)
from rlm_runtime.errors import BudgetExceeded
from rlm_runtime.interpreter import make_interpreter_factory
from rlm_runtime.ontology import Ontology
from rlm_runtime.ontology.sense_card import make_sense_card
from rlm_runtime.tools import make_ontology_tools, show
from rlm_runtime.types import StopReason

__all__ = ["OntologyRLM"]


class _Answer(dspy.Signature):
    query: str = dspy.InputField(desc="the question")
    context: str = dspy.InputField(desc="overview of the ontology, computed from its data")
    answer: str = dspy.OutputField(desc="the answer in words")
    sparql: str = dspy.OutputField(desc="the query whose rows are the answer, or empty")
    evidence: list[Any] = dspy.OutputField(desc="prefixed names of what bears the answer out")
    thinking: str = dspy.OutputField(desc="how the answer was found, in a sentence or two")
    verification: str = dspy.OutputField(desc="how it was checked")
    reflection: str = dspy.OutputField(desc="what remains uncertain")


class _Turn(dspy.Signature):
    query: str = dspy.InputField(desc="the question")
    context: str = dspy.InputField(desc="overview of the ontology; perhaps notes of other runs")
    history: str = dspy.InputField(desc="your earlier cells and what they printed")
    turn: str = dspy.InputField(desc="number of this turn / turns you have")
    reasoning: str = dspy.OutputField(desc="a sentence or two")
    code: str = dspy.OutputField(desc="one ```python cell")


class RLM(dspy.RLM):  # pyright: ignore[reportGeneralTypeIssues]
    """DSPy's RLM without its sandboxed sub-agents, of which our prompt does not speak.

    The sandbox could not host them, and each run would warn of it.
    """

    def forward(self, **kwargs: Any) -> dspy.Prediction:
        """Do as dspy.RLM; also when called by itself, without an OntologyRLM around it."""
        if is_running():
            return super().forward(**kwargs)
        asked = RunState(str(kwargs.get("query")), str(kwargs.get("context")), current_budget())
        with running(asked):
            return super().forward(**kwargs)

    async def aforward(self, **kwargs: Any) -> dspy.Prediction:
        """Do as ``forward``, in a thread."""
        return await in_background(lambda _: self.forward(**kwargs), "rlm-program")

    def _setup_facade(self, repl: Any, budget: Any, interpreter_factory: Any) -> str:  # noqa: ARG002
        return ""

    def _make_interpreter_tool(self, tool: dspy.Tool) -> Callable[..., Any]:
        """Let cells call tools with positional arguments, in every interpreter."""
        signature = inspect.signature(tool.func)

        @functools.wraps(tool.func)
        def invoke(*args: Any, **kwargs: Any) -> Any:
            return tool(**signature.bind(*args, **kwargs).arguments)

        return invoke


class OntologyRLM(dspy.Module):
    """A Recursive Language Model with bounded tools over one ontology.

    Its predictors, ``rlm.generate_action`` and ``rlm.extract``, are ordinary ones that an
    optimizer can compile.

    Args:
        ontology: What is asked; see ``open_ontology``.
        max_iterations: The most turns.
        max_llm_calls: The most prompts to the sub-model.
        max_output_chars: How much of a cell's output the model sees at the most.
        sub_model: The LM behind ``llm_query``; None means the main one.
        interpreter: ``"monty"``, ``"local"``, ``"pyodide"`` or a factory of interpreters.
        sense_card: The overview given as ``context``; None means one made from the ontology.
        sense_card_chars: The most characters of an overview made from the ontology.

    Example:
        >>> import dspy
        >>> from rlm_runtime import OfflineLM, OntologyRLM, open_ontology
        >>> program = OntologyRLM(open_ontology("ontology/prov.ttl"))
        >>> with dspy.context(lm=OfflineLM()):
        ...     prediction = program(query="What is Activity?")
        >>> prediction.stop_reason
        'submitted'
    """

    def __init__(
        self,
        ontology: Ontology,
        *,
        max_iterations: int = 8,
        max_llm_calls: int = 16,
        max_output_chars: int = 10_000,
        sub_model: dspy.BaseLM | None = None,
        interpreter: str | Callable[[], CodeInterpreter] = "monty",
        sense_card: str | None = None,
        sense_card_chars: int = 3_000,
    ) -> None:
        super().__init__()
        self.context = (
            make_sense_card(ontology, max_chars=sense_card_chars)
            if sense_card is None
            else sense_card
        )
        # The overview is made once, outside of any run; all else is asked within one.
        asked = cast(Ontology, WithinBudget(ontology))
        tools = make_ontology_tools(asked)
        self.rlm = RLM(
            _Answer.with_instructions(task_instructions()),
            max_iters=max_iterations,
            max_llm_calls=max_llm_calls,
            max_output_chars=max_output_chars,
            tools=[_noting_queries(tool) for tool in tools.values()],
            sub_lm=sub_model,
            interpreter_factory=make_interpreter_factory(
                interpreter,
                show=show,
                prepare_submit=functools.partial(prepare_submit, asked),
                deadline=_remaining_seconds,
            ),
        )
        # RLM asks for turns through these two; ours show the model less, and better.
        self.rlm.generate_action = ActionPredict(
            _Turn.with_instructions(action_instructions(tools, max_llm_calls))
        )
        self.rlm.extract = ExtractPredict(_extract_signature())

    def forward(self, query: str, context: str | None = None) -> dspy.Prediction:
        """Answer a question.

        Args:
            query: The question.
            context: The overview to give instead of the program's own.

        Returns:
            A prediction with ``answer``, ``sparql``, ``evidence``, ``thinking``,
            ``verification``, ``reflection``, ``stop_reason`` and ``converged``; and, when a
            budget ended the run, ``exceeded`` (a BudgetExceeded).
        """
        overview = self.context if context is None else context
        with running(RunState(query, overview, current_budget())) as state:
            try:
                prediction = self.rlm(query=query, context=overview)
            except BudgetExceeded as stopped:
                found = f"{stopped} {state.last_reasoning}"
                return _unfinished(state, "budget", found, exceeded=stopped)
            except Refused as refusal:
                return _unfinished(state, "refused", refusal.args[0])
            except AdapterParseError as error:
                if not state.extracted:
                    raise
                # The turns are used up and the fields are not to be read: what was said is left.
                said = str(error.lm_response or state.last_reasoning)
                return _unfinished(state, "max_iterations", said)
            submitted = not state.extracted
            return dspy.Prediction(
                answer=str(prediction.answer or ""),
                sparql=str(prediction.sparql or ""),
                evidence=list(prediction.evidence or []),
                thinking=str(prediction.thinking or ""),
                verification=str(prediction.verification or ""),
                reflection=str(prediction.reflection or ""),
                stop_reason="submitted" if submitted else "max_iterations",
                converged=submitted,
            )

    async def aforward(self, query: str, context: str | None = None) -> dspy.Prediction:
        """Answer a question without blocking the event loop; see ``forward``.

        Cancelling the task ends the run before its next LM call, cell or tool call.
        """

        def work(cancelled: threading.Event) -> dspy.Prediction:
            with budgeted(dataclasses.replace(current_budget(), cancelled=cancelled)):
                return self.forward(query, context)

        return await in_background(work, "rlm-program")


def _extract_signature() -> type[dspy.Signature]:
    signature = _Answer.with_instructions(
        f"{task_instructions()}\n\nYour turns in a Python REPL are used up. Give the best final "
        "fields that `history` bears out; say in `answer` what is missing."
    )
    return signature.insert(
        2, "history", dspy.InputField(desc="your cells and what they printed"), str
    )


def _remaining_seconds() -> float | None:
    budget = current_state().budget
    budget.check()
    return budget.remaining_seconds()


def _noting_queries(tool: Callable[..., Any]) -> Callable[..., Any]:
    """Let the run's state know the last query that ran: it is what a cut-short run has to show."""
    if tool.__name__ not in ("sparql_select", "check_query"):
        return tool

    @functools.wraps(tool)
    def noting(query: str, *args: Any, **kwargs: Any) -> Any:
        result = tool(query, *args, **kwargs)
        if result.get("ok", True) and result.get("rows"):
            current_state().last_query = query
        return result

    return noting


def _unfinished(state: RunState, reason: StopReason, answer: str, **more: Any) -> dspy.Prediction:
    return dspy.Prediction(
        answer=answer.strip(),
        sparql=state.last_query,
        evidence=[],
        thinking=state.last_reasoning,
        verification="",
        reflection="",
        stop_reason=reason,
        converged=False,
        **more,
    )
