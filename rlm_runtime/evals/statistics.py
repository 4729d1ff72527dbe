"""Compares paired figures: means, differences, their confidence intervals and tests (scipy)."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from rlm_runtime.errors import ConfigurationError
from rlm_runtime.evals.values import METRICS, Comparison, Pair

__all__ = ["compare", "compare_all", "load_scipy_stats"]

# What floating-point sums of the same figures may differ by, as a share and in all: the smallest
# figure that means anything is a cost of some 1e-8 dollars.
_SAME = 1e-12


def load_scipy_stats() -> Any:
    """Import ``scipy.stats``.

    Raises:
        ConfigurationError: scipy is not installed.
    """
    try:
        return importlib.import_module("scipy.stats")
    except ImportError as error:
        raise ConfigurationError(
            f"Confidence intervals need scipy ({error}). Run: pip install 'rlm-runtime[eval]'"
        ) from error


def compare_all(pairs: Sequence[Pair], confidence: float) -> tuple[Comparison, ...]:
    """Compare every metric that is known for at least one pair."""
    compared = []
    for metric in METRICS:
        by_question: dict[int, list[tuple[float, float]]] = {}
        for pair in pairs:
            both = pair.without.measures, pair.with_memory.measures
            if all(metric in measures for measures in both):
                figures = both[0][metric], both[1][metric]
                by_question.setdefault(pair.number, []).append(figures)
        if by_question:
            compared.append(compare(metric, by_question, confidence))
    return tuple(compared)


def compare(
    metric: str,
    by_question: Mapping[int, Sequence[tuple[float, float]]],
    confidence: float = 0.95,
) -> Comparison:
    """Compare a metric without and with memory.

    The seeds of a question are averaged first: asking the same again makes its figures surer, but
    is no further question. The interval is that of Student's t for the mean of the questions'
    differences. It holds for few questions, too, where a bootstrap would be too narrow; it takes
    the mean to be about normal. The test is the exact one of McNemar where each question either
    has something or not in both ways, else the signed rank test of Wilcoxon.

    Args:
        metric: A name in ``METRICS``.
        by_question: By its number, each question's figures without and with memory, a pair for
            each seed.
        confidence: Level of the interval, between 0 and 1.

    Raises:
        ConfigurationError: scipy is not installed.

    Example:
        >>> told = compare("tokens", {1: [(10, 8)], 2: [(20, 19)], 3: [(30, 27)]})
        >>> told.difference, round(told.low, 2), round(told.high, 2), told.p_value, told.test
        (-2.0, -4.48, 0.48, 0.25, 'Wilcoxon')
    """
    means = {
        number: (fmean(a for a, _ in seeds), fmean(b for _, b in seeds))
        for number, seeds in by_question.items()
    }
    differences = {
        number: 0.0
        if math.isclose(without, with_memory, rel_tol=_SAME, abs_tol=_SAME)
        else with_memory - without
        for number, (without, with_memory) in means.items()
    }
    values = list(differences.values())
    low, high = _interval(values, confidence)
    p_value, test = _test(values, shares=METRICS[metric] == "share")
    return Comparison(
        metric,
        len(values),
        fmean(without for without, _ in means.values()),
        fmean(with_memory for _, with_memory in means.values()),
        fmean(values),
        low,
        high,
        p_value,
        test,
        differences,
    )


def _interval(values: Sequence[float], confidence: float) -> tuple[float | None, float | None]:
    if len(values) < 2 or max(values) - min(values) <= _SAME * max(map(abs, values)):
        return None, None
    stats = load_scipy_stats()
    low, high = stats.t.interval(
        confidence, len(values) - 1, loc=fmean(values), scale=stats.sem(values)
    )
    return float(low), float(high)


def _test(values: Sequence[float], *, shares: bool) -> tuple[float | None, str]:
    if len(values) < 2 or not any(values):
        return None, ""
    stats = load_scipy_stats()
    if shares and all(value in (-1.0, 0.0, 1.0) for value in values):
        gained, lost = values.count(1.0), values.count(-1.0)
        return float(stats.binomtest(gained, gained + lost).pvalue), "McNemar"
    return float(stats.wilcoxon(values).pvalue), "Wilcoxon"
