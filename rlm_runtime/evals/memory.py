"""``evaluate_memory``: does memory help? The same questions with and without it, paired."""

from __future__ import annotations

import contextvars
import inspect
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import dspy

from rlm_runtime.engine.dspy_rlm import run_dspy_rlm
from rlm_runtime.engine.models import resolve_model
from rlm_runtime.engine.remembering import opened_backend
from rlm_runtime.errors import ConfigurationError
from rlm_runtime.evals.arms import Arms, OnPair, OtherQuestionsOnly
from rlm_runtime.evals.questions import Question, read_questions
from rlm_runtime.evals.statistics import compare_all, load_scipy_stats
from rlm_runtime.evals.tables import evaluation_report, metrics_of
from rlm_runtime.evals.values import Evaluation, Learn, Pair
from rlm_runtime.logging.observe import observe
from rlm_runtime.logging.observed_run import ObservedRun
from rlm_runtime.memory import MemoryBackend, SQLiteMemoryBackend
from rlm_runtime.ontology import Ontology, open_ontology

if TYPE_CHECKING:
    import rdflib

__all__ = ["evaluate_memory"]

_OWN = (
    *("query", "ontology", "run_id", "trajectory_id", "mlflow_parent_run_id", "extract_memories"),
    *("sinks", "mlflow_log_compilation"),
)
# Keywords that the run of the evaluation itself has too.
_SHARED = ("log_path", "mlflow_timeout", "redact")
_POLL_SECONDS = 0.02


def evaluate_memory(
    questions: str | Path | Iterable[str | Question],
    ontology: str | Path | rdflib.Graph | Ontology,
    *,
    model: str | dspy.BaseLM | None = None,
    sub_model: str | dspy.BaseLM | None = None,
    api_base: str | None = None,
    memory_backend: MemoryBackend | str | Path | None = None,
    seeds: int = 1,
    learn: Learn = "as-you-go",
    same_question: bool = False,
    retrieve_memories: int = 3,
    confidence: float = 0.95,
    enable_mlflow: bool = False,
    mlflow_experiment: str | None = None,
    mlflow_run_name: str | None = None,
    mlflow_tracking_uri: str | None = None,
    mlflow_tags: Mapping[str, str] | None = None,
    on_pair: OnPair | None = None,
    **options: Any,
) -> Evaluation:
    """Measure what memories change: ask the same questions with and without them.

    The two runs of a pair differ in nothing but memory: the same question, model, budgets and
    tools. For each seed the questions are asked in a shuffled order, one pair after the other, in
    half of them (by lot) with memory first. DSPy's cache is off, so that every run is really made.
    Where memories come from is said by ``learn``:

    - ``as-you-go``: each run with memory is learned from when it has answered, so that a question
      is shown what those before it taught. The first ones have nothing to gain, and the effect is
      that of a store which grows over these questions.
    - ``before``: a seed's store is first trained on half of the questions, and then stays as it
      is; the other half is measured. The effect is that of a store which knows other questions.
    - ``never``: the effect of the given store as it is.

    Each seed begins with a fresh copy of the given store, in memory; the given one is not changed.
    A run is not shown what was learned from the same question (in any case and spacing; other
    words are another question), unless ``same_question`` allows it. What a pair measures is
    answering, and retrieval is part of that; judging and extracting come after it and are told in
    ``learning``, so that gains can be held against their price.

    What it cannot say: questions of a seed share a store and are not quite independent, no
    correction is made for looking at several metrics (choose one before), and what holds for
    these questions holds for others as far as these are like them.

    Args:
        questions: The questions, or a file of them; see ``read_questions``.
        ontology: As for ``run_dspy_rlm``.
        model: As for ``run_dspy_rlm``.
        sub_model: As for ``run_dspy_rlm``; it also judges and extracts.
        api_base: As for ``run_dspy_rlm``.
        memory_backend: The store that each seed begins with, or the path of its file; None for
            an empty one.
        seeds: How often the questions are asked. A question's figures are means over its seeds.
        learn: When memories are learned; see above.
        same_question: True also shows memories that were learned from the very same question.
        retrieve_memories: The most memories that a run is shown.
        confidence: Level of the confidence intervals, between 0 and 1.
        enable_mlflow: True makes an MLflow run of the evaluation, with its figures, and a child
            for each run, with the tags ``arm``, ``seed`` and ``question`` (its number).
        mlflow_experiment: Name of the experiment; default: MLflow's own default.
        mlflow_run_name: Name of the MLflow run of the evaluation.
        mlflow_tracking_uri: The store; default: as MLflow resolves it.
        mlflow_tags: More tags of all of these MLflow runs.
        on_pair: Called after each pair with it, how many are done, and how many there are.
        **options: Further keywords of ``run_dspy_rlm`` for every run, such as ``timeout``. With
            ``log_path`` the log gets every run, and one of the evaluation.

    Returns:
        The pairs, what they come to, and which memories were shown where. A run that raised
        counts as not converged, with what it took until then, and is listed.

    Raises:
        ConfigurationError: Settings that cannot work, questions that cannot be read, or scipy is
            not installed.
        OntologyError: The ontology cannot be read.
        MemoryStoreError: The given store cannot be opened or read.

    Example:
        >>> from rlm_runtime.evals import evaluate_memory
        >>> asked = ["What are the subclasses of Agent?", "What are the subclasses of Entity?"]
        >>> told = evaluate_memory(asked, "ontology/prov.ttl", model="offline")
        >>> told["converged"].without, told["converged"].difference, len(told.memories) > 0
        (1.0, 0.0, True)
    """
    load_scipy_stats()
    asked = read_questions(questions)
    _check(asked, memory_backend, seeds, learn, retrieve_memories, confidence, options)
    lm = _uncached(resolve_model(model, api_base=api_base))
    sub_lm = None
    if sub_model is not None:
        sub_lm = _uncached(resolve_model(sub_model, api_base=api_base))
    outside = contextvars.copy_context()
    opened = open_ontology(ontology)
    evaluation_id = uuid.uuid4().hex
    name = options.get("ontology_name") or opened.name
    settings = {
        "model": lm.model,
        "sub_model": (sub_lm or lm).model,
        "has_memory": True,
        "learn": learn,
        "seeds": seeds,
        "questions": len(asked),
        "retrieve_memories": retrieve_memories,
        "same_question": same_question,
    }
    observed = observe(
        "evaluate_memory",
        ontology=name,
        params=settings,
        tags=mlflow_tags,
        run_id=evaluation_id,
        enable_mlflow=enable_mlflow,
        mlflow_experiment=mlflow_experiment,
        mlflow_run_name=mlflow_run_name,
        mlflow_tracking_uri=mlflow_tracking_uri,
        **{key: options[key] for key in _SHARED if key in options},
    )
    try:
        with opened_backend(memory_backend) as source, observed as run:
            every_run = {
                **options,
                "ontology": opened,
                "model": lm,
                "sub_model": sub_lm,
                "trajectory_id": evaluation_id,
                "enable_mlflow": enable_mlflow,
                "mlflow_experiment": mlflow_experiment,
                "mlflow_tracking_uri": mlflow_tracking_uri,
                "mlflow_parent_run_id": _mlflow_run_id(run, enable_mlflow, options),
            }
            arms = Arms(
                questions=asked,
                source=source,
                learn=learn,
                store=SQLiteMemoryBackend if same_question else OtherQuestionsOnly,
                k=retrieve_memories,
                options=every_run,
                tags=dict(mlflow_tags or {}),
                # Not in the evaluation's own: each run has a record of itself.
                context=outside,
            )
            _run_seeds(arms, seeds, on_pair)
            told = Evaluation(
                evaluation_id=evaluation_id,
                ontology=name,
                model=lm.model,
                learn=learn,
                seeds=seeds,
                confidence=confidence,
                pairs=tuple(arms.pairs),
                comparisons=compare_all(arms.pairs, confidence),
                memories=arms.memories,
                learning=arms.learning,
                failures=tuple(arms.failures),
                mlflow_run_id=run.mlflow_run_id,
            )
            run.report(outputs={"evaluation": evaluation_report(told)}, metrics=metrics_of(told))
    finally:
        if opened is not ontology:
            opened.close()
    return told


def _check(
    questions: list[Question],
    memory_backend: object,
    seeds: int,
    learn: str,
    retrieve_memories: int,
    confidence: float,
    options: Mapping[str, Any],
) -> None:
    """Refuse what cannot work before anything is spent."""
    if learn not in get_args(Learn):
        known = ", ".join(get_args(Learn))
        raise ConfigurationError(f"learn={learn!r} is none of {known}.")
    for name, value in (("seeds", seeds), ("retrieve_memories", retrieve_memories)):
        if value < 1:
            raise ConfigurationError(f"{name}={value!r} must be at least 1.")
    if not 0 < confidence < 1:
        raise ConfigurationError(f"confidence={confidence!r} must lie between 0 and 1.")
    if learn == "never" and memory_backend is None:
        raise ConfigurationError(
            "learn='never' measures a store as it is: give memory_backend= one that has memories."
        )
    if learn == "before" and len(questions) < 2:
        raise ConfigurationError(
            "learn='before' learns from half of the questions: give at least two."
        )
    if isinstance(memory_backend, str | Path) and not Path(memory_backend).expanduser().exists():
        raise ConfigurationError(f"There is no memory store {memory_backend}. Check the path.")
    usable = {*inspect.signature(run_dspy_rlm).parameters} - {*_OWN}
    unknown = sorted({*options} - usable)
    if unknown:
        raise ConfigurationError(
            f"evaluate_memory does not take {', '.join(unknown)}: it takes what run_dspy_rlm "
            "takes, but for what it sets for each run itself."
        )


def _uncached(lm: dspy.BaseLM) -> dspy.BaseLM:
    return lm.copy(cache=False) if getattr(lm, "cache", False) else lm


def _mlflow_run_id(run: ObservedRun, enable_mlflow: bool, options: Mapping[str, Any]) -> str | None:
    """Wait for the MLflow run of the evaluation, which its runs are to be nested in.

    When MLflow does not answer in time, they are found by ``rlm.trajectory_id``.
    """
    until = time.monotonic() + options.get("mlflow_timeout", 10.0)
    while enable_mlflow and run.mlflow_run_id is None and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
    return run.mlflow_run_id


def _run_seeds(arms: Arms, seeds: int, on_pair: OnPair | None) -> None:
    each = len(arms.questions)
    total = seeds * (each - each // 2 if arms.learn == "before" else each)

    def report(pair: Pair) -> None:
        if on_pair is not None:
            on_pair(pair, len(arms.pairs), total)

    for seed in range(1, seeds + 1):
        arms.run_seed(seed, report)
