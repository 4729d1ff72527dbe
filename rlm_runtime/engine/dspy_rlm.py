"""``run_dspy_rlm``: one question over one ontology, answered, recorded and checked."""

from __future__ import annotations

import dataclasses
import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dspy

from rlm_runtime.engine.background import in_background
from rlm_runtime.engine.budget import Budget
from rlm_runtime.engine.grounding import ground, rows_again
from rlm_runtime.engine.models import resolve_model
from rlm_runtime.engine.program import OntologyRLM
from rlm_runtime.engine.remembering import RunMemories, opened_backend
from rlm_runtime.engine.turns import budgeted
from rlm_runtime.errors import BudgetExceeded, ConfigurationError
from rlm_runtime.guard import shielded
from rlm_runtime.logging.observe import observe
from rlm_runtime.logging.observed_run import ObservedRun
from rlm_runtime.logging.stream import Sink
from rlm_runtime.memory import MemoryBackend
from rlm_runtime.ontology import Ontology, open_ontology
from rlm_runtime.redaction import redact_secrets
from rlm_runtime.types import Grounding, RunResult

if TYPE_CHECKING:
    import rdflib
    from dspy.primitives.code_interpreter import CodeInterpreter

__all__ = ["arun_dspy_rlm", "run_dspy_rlm"]


def run_dspy_rlm(
    query: str,
    ontology: str | Path | rdflib.Graph | Ontology,
    *,
    model: str | dspy.BaseLM | None = None,
    sub_model: str | dspy.BaseLM | None = None,
    api_base: str | None = None,
    max_iterations: int = 8,
    max_llm_calls: int = 16,
    max_output_chars: int = 10_000,
    max_tokens: int | None = None,
    max_cost: float | None = None,
    timeout: float | None = None,
    interpreter: str | Callable[[], CodeInterpreter] = "monty",
    sense_card: str | None = None,
    sense_card_chars: int = 3_000,
    memory_backend: MemoryBackend | str | Path | None = None,
    retrieve_memories: int = 3,
    extract_memories: bool = False,
    run_id: str | None = None,
    trajectory_id: str | None = None,
    log_path: str | Path | None = None,
    log_llm_calls: bool = True,
    enable_mlflow: bool = False,
    mlflow_experiment: str | None = None,
    mlflow_run_name: str | None = None,
    mlflow_tracking_uri: str | None = None,
    mlflow_log_compilation: bool = False,
    mlflow_tags: Mapping[str, str] | None = None,
    mlflow_timeout: float = 10.0,
    mlflow_parent_run_id: str | None = None,
    ontology_name: str | None = None,
    redact: Callable[[str], str] | None = redact_secrets,
    callbacks: Sequence[Any] = (),
    sinks: Sequence[Sink] = (),
    verbose: bool = False,
) -> RunResult:
    """Answer a question over an ontology with a Recursive Language Model.

    It changes no global state, may be called from any thread, and many runs may go on at once.
    When it fails, the exception comes unchanged, with ``trajectory`` (list of Step) and
    ``run_id`` added; the log and the MLflow run then say FAILED.

    Args:
        query: The question, in words.
        ontology: A file or folder of RDF, the address of a SPARQL endpoint, an ``rdflib.Graph``,
            or an open Ontology (which stays open).
        model: A LiteLLM name, a ``dspy.BaseLM``, ``"offline"``, or None for the LM configured in
            DSPy, else the one named by the environment variable ``RLM_MODEL``.
        sub_model: The same for ``llm_query``; None means ``model``.
        api_base: Address of an endpoint that speaks the protocol of the named model's provider.
        max_iterations: The most turns of the model.
        max_llm_calls: The most prompts to the sub-model.
        max_output_chars: How much of a cell's output the model sees at the most.
        max_tokens: Budget of input and output tokens together.
        max_cost: Budget in US dollars.
        timeout: Budget in seconds. An LM call that lasts longer is left behind.
        interpreter: ``"monty"`` (sandbox), ``"pyodide"`` (sandbox, needs Deno), ``"local"`` (no
            sandbox), or a factory of DSPy interpreters.
        sense_card: The overview that the model reads first; None means one made from the data.
        sense_card_chars: The most characters of an overview made from the data.
        memory_backend: Store of memories of earlier runs, or the path of its SQLite file, which
            is made if it is not there. The run is kept in it.
        retrieve_memories: The most memories that the model is shown; 0 for none.
        extract_memories: True has the sub-model judge the run and write down what it taught.
        run_id: Identifies the run for ever; default: a new UUID in hex.
        trajectory_id: Groups runs that belong together; default: the run id.
        log_path: JSONL file to append the run's events to.
        log_llm_calls: False leaves out the messages and completions of LM calls, which is most
            of a log. Inputs and outputs of modules, cells and tools stay.
        enable_mlflow: True makes an MLflow run with params, metrics, tags, artifacts, a trace.
        mlflow_experiment: Name of the experiment; default: MLflow's own default.
        mlflow_run_name: Name of the MLflow run.
        mlflow_tracking_uri: The store; default: as MLflow resolves it.
        mlflow_log_compilation: True also switches on MLflow's autolog of DSPy for compilations;
            that is process-wide.
        mlflow_tags: More tags of the MLflow run.
        mlflow_timeout: The longest wait for delivery at the end, in seconds.
        mlflow_parent_run_id: MLflow run to be nested in; default: the caller's active run.
        ontology_name: Name in params and tags; default: the ontology's own.
        redact: Is given every text of an event, before any log, MLflow or sink sees it, and
            returns what is shown of it; default: ``redact_secrets``. Values of keys that name
            secrets, and secrets of the environment, are hidden whatever it does. None hides
            nothing at all.
        callbacks: More DSPy callbacks for the run.
        sinks: More sinks for the run's events; each is closed at the end.
        verbose: True prints each step to stderr.

    Returns:
        The answer with its SPARQL, evidence, trajectory, usage and grounding. A run that ends
        without an answer of its own (turns or a budget used up, a refusal) is no exception:
        ``converged`` is False and ``stop_reason`` says why.

    Raises:
        ConfigurationError: Settings that cannot work; before anything is spent.
        OntologyError: The ontology cannot be read.
        MemoryStoreError: The store of memories cannot be opened or asked.
        Exception: Whatever the LM or the sandbox raised.

    Example:
        >>> from rlm_runtime import run_dspy_rlm
        >>> result = run_dspy_rlm("What is Activity?", "ontology/prov.ttl", model="offline")
        >>> result.converged, result.grounding.evidence_grounded
        (True, 1.0)
    """
    return _run(None, dict(locals()))


async def arun_dspy_rlm(
    query: str, ontology: str | Path | rdflib.Graph | Ontology, **options: Any
) -> RunResult:
    """Answer a question as ``run_dspy_rlm`` does, without blocking the event loop.

    The run goes on in a thread of its own, in a copy of this task's context. Cancelling the task
    ends the run before its next LM call, cell or tool call; its status is then KILLED.

    Args:
        query: The question, in words.
        ontology: As for ``run_dspy_rlm``.
        **options: The keywords of ``run_dspy_rlm``.

    Returns:
        As ``run_dspy_rlm``.

    Example:
        >>> import asyncio
        >>> from rlm_runtime import arun_dspy_rlm
        >>> run = arun_dspy_rlm("What is Activity?", "ontology/prov.ttl", model="offline")
        >>> asyncio.run(run).stop_reason
        'submitted'
    """
    bound = inspect.signature(run_dspy_rlm).bind(query, ontology, **options)
    bound.apply_defaults()
    if bound.arguments["enable_mlflow"] and bound.arguments["mlflow_parent_run_id"] is None:
        # MLflow knows active runs by thread; and it is best imported before others start.
        from rlm_runtime.logging.mlflow_sink import active_run_id

        uri = bound.arguments["mlflow_tracking_uri"]
        bound.arguments["mlflow_parent_run_id"] = active_run_id(uri)
    return await in_background(lambda cancelled: _run(cancelled, bound.arguments), "rlm-run")


def _run(cancelled: threading.Event | None, options: dict[str, Any]) -> RunResult:
    query = options["query"]
    if not isinstance(query, str) or not query.strip():
        raise ConfigurationError("query= is empty. Ask a question in words.")
    for name, least in (("max_iterations", 1), ("max_output_chars", 1), ("retrieve_memories", 0)):
        if options[name] < least:
            raise ConfigurationError(f"{name}={options[name]!r} must be at least {least}.")
    if options["extract_memories"] and options["memory_backend"] is None:
        raise ConfigurationError(
            "extract_memories=True needs a place to keep them: give memory_backend= a path."
        )
    budget = Budget(
        **{key: options[key] for key in ("max_tokens", "max_cost", "timeout")}, cancelled=cancelled
    )
    model = resolve_model(options["model"], api_base=options["api_base"])
    sub_model = options["sub_model"]
    if sub_model is not None:
        sub_model = resolve_model(sub_model, api_base=options["api_base"])
    if options["mlflow_log_compilation"]:
        from rlm_runtime.logging.mlflow_integration import enable_compilation_autolog

        enable_compilation_autolog()
    source = options["ontology"]
    ontology = open_ontology(source)
    try:
        with opened_backend(options["memory_backend"]) as backend:
            return _observe_run(ontology, model, sub_model, budget, backend, options)
    finally:
        if ontology is not source:
            ontology.close()


def _observe_run(
    ontology: Ontology,
    model: dspy.BaseLM,
    sub_model: dspy.BaseLM | None,
    budget: Budget,
    backend: MemoryBackend | None,
    options: dict[str, Any],
) -> RunResult:
    name = options["ontology_name"] or ontology.name
    # Made first: an interpreter or overview that cannot be had is an error before the run.
    program = OntologyRLM(
        ontology,
        sub_model=sub_model,
        **{key: options[key] for key in _PROGRAM_OPTIONS},
    )
    interpreter = options["interpreter"]
    observed = observe(
        "run_dspy_rlm",
        query=options["query"],
        ontology=name,
        params={
            "model": model.model,
            "sub_model": (sub_model or model).model,
            "has_memory": backend is not None,
            "interpreter": interpreter if isinstance(interpreter, str) else "custom",
            **{key: options[key] for key in _PARAMS if options[key] is not None},
        },
        tags=options["mlflow_tags"],
        **{key: options[key] for key in _OBSERVE_OPTIONS},
    )
    with observed as run, dspy.context(lm=model):
        budget = dataclasses.replace(budget, spent=lambda: run.usage.total)
        memories = RunMemories(backend, options["query"], name) if backend is not None else None
        remembered = memories.recall(run, options["retrieve_memories"]) if memories else ""
        with budgeted(budget):
            prediction = program(
                query=options["query"], context=f"{program.context}\n\n{remembered}".strip()
            )
        if prediction.stop_reason == "budget":
            _emit_budget(run, prediction.exceeded)
        with shielded("check the answer against the ontology") as checked:
            grounding = ground(ontology, prediction.evidence, prediction.sparql)
        if not checked.ok:
            grounding = Grounding(sparql_ok=False, sparql_error=str(checked.error))
        _report(run, prediction, grounding)
        if memories is not None:
            judge = (sub_model or model) if options["extract_memories"] else None
            answer = run.shown(
                {
                    "query": options["query"],
                    **{field: prediction[field] for field in _KEPT_FIELDS},
                }
            )
            memories.leave(
                run,
                answer,
                grounding,
                model=model.model,
                judge=judge,
                overview=program.context,
                rows=lambda: rows_again(ontology, prediction.sparql),
                budget=budget,
            )
            run.report(metrics=memories.metrics)
    return RunResult(
        **{field: prediction[field] for field in _ANSWER_FIELDS},
        trajectory=run.steps,
        iteration_count=run.tally.turns,
        converged=prediction.converged,
        stop_reason=prediction.stop_reason,
        usage=run.usage,
        grounding=grounding,
        duration=run.duration,
        run_id=run.run_id,
        trajectory_id=run.trajectory_id,
        mlflow_run_id=run.mlflow_run_id,
        trace_id=run.trace_id,
    )


_PROGRAM_OPTIONS = (
    "max_iterations",
    "max_llm_calls",
    "max_output_chars",
    "interpreter",
    "sense_card",
    "sense_card_chars",
)
_PARAMS = (
    "max_iterations",
    "max_llm_calls",
    "max_output_chars",
    "max_tokens",
    "max_cost",
    "timeout",
)
_OBSERVE_OPTIONS = (
    "run_id",
    "trajectory_id",
    "log_path",
    "log_llm_calls",
    "enable_mlflow",
    "mlflow_experiment",
    "mlflow_run_name",
    "mlflow_tracking_uri",
    "mlflow_timeout",
    "mlflow_parent_run_id",
    "redact",
    "callbacks",
    "sinks",
    "verbose",
)
_KEPT_FIELDS = ("answer", "sparql", "evidence", "converged", "stop_reason")
_ANSWER_FIELDS = ("answer", "sparql", "evidence", "thinking", "verification", "reflection")


def _emit_budget(run: ObservedRun, exceeded: BudgetExceeded) -> None:
    run.stream.emit(
        "budget",
        None,
        run.root_id,
        kind=exceeded.kind,
        limit=exceeded.limit,
        used=exceeded.used,
    )


def _report(run: ObservedRun, prediction: dspy.Prediction, grounding: Grounding) -> None:
    run.report(
        outputs={
            **{field: prediction[field] for field in _ANSWER_FIELDS},
            "grounding": grounding,
        },
        metrics={
            "iteration_count": run.tally.turns,
            "converged": float(prediction.converged),
            "memories_retrieved": 0,
            "memories_extracted": 0,
            "evidence_iris": len(grounding.evidence_iris),
            "evidence_grounded": grounding.evidence_grounded,
        },
        stop_reason=prediction.stop_reason,
        converged=prediction.converged,
    )
