"""Draws the paired differences of an evaluation (matplotlib)."""

from __future__ import annotations

import importlib
import random
from pathlib import Path
from typing import Any

from rlm_runtime.errors import ConfigurationError
from rlm_runtime.evals.values import Comparison, Evaluation

__all__ = ["FORMATS", "checked_plot", "plot_evaluation"]

FORMATS = (".png", ".svg", ".pdf")
"""How a picture's file may end."""

# Of these less is better.
_LESS = ("iterations", "tokens", "cost_usd", "latency_seconds")
_LABELS = {"cost_usd": "cost (US$)", "latency_seconds": "latency (s)"}
_BETTER, _WORSE, _OPEN, _DOTS = "#1a7f5a", "#b3452c", "#3b4a5a", "#9aa7b4"


def checked_plot(path: Path) -> Path:
    """Give back where a picture is to be drawn, before time is spent on what it shows.

    Raises:
        ConfigurationError: The name tells no known format, there is no such folder, or matplotlib
            is not installed.
    """
    if path.suffix.lower() not in FORMATS:
        raise ConfigurationError(
            f"{path} tells no format of a picture. Give a name that ends in {', '.join(FORMATS)}."
        )
    if not path.absolute().parent.is_dir():
        raise ConfigurationError(f"{path} cannot be written: there is no such folder.")
    _figure_class()
    return path


def plot_evaluation(evaluation: Evaluation, path: str | Path) -> None:
    """Draw each metric's differences: a dot a question, their mean and its confidence interval.

    Args:
        evaluation: What ``evaluate_memory`` gave.
        path: A name that ends in ``.png``, ``.svg`` or ``.pdf``; a file of that name is replaced.

    Raises:
        ConfigurationError: As ``checked_plot``.
    """
    path = checked_plot(Path(path))
    shown = evaluation.comparisons
    # A figure without pyplot: nothing of a user's own drawing is touched, and no window opens.
    figure = _figure_class()(figsize=(7.5, 1.1 + 0.85 * len(shown)), layout="constrained")
    axes = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
    for axis, one in zip(axes, shown, strict=True):
        _draw(axis, one)
    figure.suptitle(
        f"With memory minus without: {evaluation.questions} questions over {evaluation.ontology}",
        fontsize=11,
        # A name with two dollar signs is no formula.
        parse_math=False,
    )
    level = f"{evaluation.confidence * 100:g} %"
    figure.supxlabel(
        f"dots: questions · bar: mean and its {level} confidence interval\n"
        "green: better · red: worse · dark: the interval holds 0, or there is none",
        fontsize=8,
        color="#555555",
    )
    figure.savefig(path, dpi=160)


def _draw(axis: Any, one: Comparison) -> None:
    chance = random.Random(one.metric)
    values = list(one.differences.values())
    axis.axvline(0, color="#888888", linewidth=0.8, zorder=1)
    axis.scatter(
        values,
        [chance.uniform(-0.28, 0.28) for _ in values],
        s=16,
        color=_DOTS,
        alpha=0.75,
        linewidths=0,
        zorder=2,
    )
    color = _color(one)
    if one.low is not None and one.high is not None:
        axis.plot([one.low, one.high], [0, 0], color=color, linewidth=3, solid_capstyle="butt")
    axis.plot([one.difference], [0], marker="D", markersize=6, color=color, zorder=4)
    reach = max(map(abs, (*values, one.low or 0.0, one.high or 0.0))) or 1.0
    axis.set_xlim(-1.08 * reach, 1.08 * reach)
    axis.set_ylim(-0.5, 0.5)
    axis.set_yticks([])
    better = "less is better" if one.metric in _LESS else "more is better"
    label = _LABELS.get(one.metric, one.metric)
    axis.set_ylabel(f"{label}\n({better})", rotation=0, ha="right", va="center", fontsize=9)
    axis.tick_params(labelsize=8)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)


def _color(one: Comparison) -> str:
    if one.low is None or one.high is None or one.low <= 0 <= one.high:
        return _OPEN
    return _BETTER if (one.high < 0) == (one.metric in _LESS) else _WORSE


def _figure_class() -> Any:
    try:
        return importlib.import_module("matplotlib.figure").Figure
    except ImportError as error:
        raise ConfigurationError(
            f"Plots need matplotlib ({error}). Run: pip install 'rlm-runtime[eval]'"
        ) from error
