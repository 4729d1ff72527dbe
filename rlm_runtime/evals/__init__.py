"""Evaluations: the same questions asked in two ways, and what the difference is worth."""

from __future__ import annotations

from rlm_runtime.evals.memory import evaluate_memory
from rlm_runtime.evals.questions import Question, read_questions
from rlm_runtime.evals.tables import render
from rlm_runtime.evals.values import Comparison, Evaluation, Measured, Pair

__all__ = [
    "Comparison",
    "Evaluation",
    "Measured",
    "Pair",
    "Question",
    "evaluate_memory",
    "read_questions",
    "render",
]
