"""Tables of an evaluation: text, CSV, Markdown, LaTeX, JSON, and figures for MLflow."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from rlm_runtime.evals.values import METRICS, Comparison, Evaluation
from rlm_runtime.logging.console import visible
from rlm_runtime.plain import plain
from rlm_runtime.redaction import Redaction

__all__ = ["evaluation_report", "metrics_of", "render"]

_CSV = ("metric", "n", "without", "with", "difference", "low", "high", "p_value", "test")
_UNITS: Mapping[str, str] = {"share": ".2f", "count": ",.1f", "dollars": ",.5f", "seconds": ",.3f"}
_MOST = 10
_TITLE = 60
_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def metrics_of(evaluation: Evaluation) -> dict[str, float]:
    """Give the figures of an evaluation as metrics of its MLflow run.

    For each compared metric ``m``: ``m_without``, ``m_with``, ``m_difference``, and, as far as
    there are, ``m_low``, ``m_high`` and ``m_p``; further ``questions``, ``pairs``,
    ``failed_runs``, ``memories_shown``, ``memories_extracted``, ``learning_tokens``,
    ``learning_cost_usd``, ``learning_seconds``.
    """
    learning = evaluation.learning
    figures: dict[str, float | None] = {
        "questions": evaluation.questions,
        "pairs": len(evaluation.pairs),
        "failed_runs": len(evaluation.failures),
        "memories_shown": len(evaluation.memories),
        "memories_extracted": learning.memories,
        "learning_tokens": learning.tokens,
        "learning_cost_usd": learning.cost_usd,
        "learning_seconds": learning.seconds,
    }
    for one in evaluation.comparisons:
        figures |= {
            f"{one.metric}_without": one.without,
            f"{one.metric}_with": one.with_memory,
            f"{one.metric}_difference": one.difference,
            f"{one.metric}_low": one.low,
            f"{one.metric}_high": one.high,
            f"{one.metric}_p": one.p_value,
        }
    return {name: value for name, value in figures.items() if value is not None}


def evaluation_report(evaluation: Evaluation) -> dict[str, Any]:
    """Give all of an evaluation as plain values, without secrets."""
    return Redaction().value(plain(evaluation))


def _json(evaluation: Evaluation) -> str:
    return json.dumps(evaluation_report(evaluation), ensure_ascii=False, indent=2) + "\n"


def _csv(evaluation: Evaluation) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_CSV)
    for one in evaluation.comparisons:
        figures = (one.without, one.with_memory, one.difference, one.low, one.high, one.p_value)
        shown = ("" if value is None else repr(value) for value in figures)
        writer.writerow([one.metric, one.n, *shown, one.test])
    return text.getvalue()


def _text(evaluation: Evaluation) -> str:
    shown = [visible(line) for line in _said(evaluation)]
    parts = [shown[0], _columns(_header(evaluation), _rows(evaluation)), *shown[1:]]
    if evaluation.memories:
        parts.append(_columns(_MEMORY_HEADER, _memory_rows(evaluation)) + _more(evaluation))
    if evaluation.failures:
        parts.append(_columns(_FAILURE_HEADER, _failure_rows(evaluation)))
    return "\n\n".join(parts) + "\n"


def _markdown(evaluation: Evaluation) -> str:
    said = [_in_markdown(line) for line in _said(evaluation)]
    parts = [said[0], _markdown_table(_header(evaluation), _rows(evaluation)), *said[1:]]
    if evaluation.memories:
        parts.append(_markdown_table(_MEMORY_HEADER, _memory_rows(evaluation)) + _more(evaluation))
    if evaluation.failures:
        parts.append(_markdown_table(_FAILURE_HEADER, _failure_rows(evaluation)))
    return "\n\n".join(parts) + "\n"


def _latex(evaluation: Evaluation) -> str:
    header = _header(evaluation)
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{tabular}{l" + "r" * (len(header) - 2) + "l}",
        "\\toprule",
        _latex_row(header),
        "\\midrule",
        *map(_latex_row, _rows(evaluation)),
        "\\bottomrule",
        "\\end{tabular}",
        *(f"% {' '.join(line.split())}" for line in _said(evaluation)),
    ]
    return "\n".join(lines) + "\n"


_FORMS: Mapping[str, Callable[[Evaluation], str]] = {
    "text": _text,
    "csv": _csv,
    "markdown": _markdown,
    "latex": _latex,
    "json": _json,
}


def render(evaluation: Evaluation, form: str = "text") -> str:
    """Write an evaluation as text, without secrets.

    Args:
        evaluation: What ``evaluate_memory`` gave.
        form: ``text``, ``csv`` (a row for each metric, with all digits), ``markdown``, ``latex``
            (the metrics, for the package booktabs) or ``json`` (everything).

    Example:
        >>> nothing = Evaluation("e1", "prov", "offline", "never", 1, 0.95, (), ())
        >>> print(render(nothing, "csv"), end="")
        metric,n,without,with,difference,low,high,p_value,test
    """
    text = _FORMS[form](evaluation)
    return text if form == "json" else Redaction().text(text)


_MEMORY_HEADER = ("memory", "kind", "title", "runs", "converged", "questions")
_FAILURE_HEADER = ("question", "seed", "arm", "failed with")


def _said(evaluation: Evaluation) -> Iterator[str]:
    yield (
        f"{_counted(evaluation.questions, 'question')} over {evaluation.ontology} with "
        f"{evaluation.model}, {_counted(len(evaluation.pairs), 'pair')}; "
        f"memories learned: {evaluation.learn}."
    )
    yield "Differences: with memory minus without, paired by question."
    learning = evaluation.learning
    if learning.runs:
        cost = "" if learning.cost_usd is None else f", ${learning.cost_usd:,.5f}"
        yield (
            f"Learning, not in these figures: {_counted(learning.runs, 'run')}, "
            f"{learning.memories} memories, {learning.tokens:,} tokens{cost}, "
            f"{learning.seconds:,.2f} s."
        )
    if evaluation.failures:
        yield f"{_counted(len(evaluation.failures), 'run')} failed, counted as not converged."


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun if count == 1 else f'{noun}s'}"


def _header(evaluation: Evaluation) -> tuple[str, ...]:
    level = f"{evaluation.confidence * 100:g} %"
    return ("metric", "n", "without", "with", "difference", f"{level} interval", "p", "test")


def _rows(evaluation: Evaluation) -> list[list[str]]:
    return [_row(one) for one in evaluation.comparisons]


def _row(one: Comparison) -> list[str]:
    form = _UNITS[METRICS[one.metric]]
    interval, p_value = "", ""
    if one.low is not None and one.high is not None:
        interval = f"[{one.low:+{form}}, {one.high:+{form}}]"
    if one.p_value is not None:
        p_value = f"{one.p_value:.3f}" if one.p_value >= 0.001 else "<0.001"
    figures = [f"{value:{form}}" for value in (one.without, one.with_memory)]
    difference = f"{one.difference:+{form}}" if one.difference else f"{0:{form}}"
    return [one.metric, str(one.n), *figures, difference, interval or "-", p_value or "-", one.test]


def _memory_rows(evaluation: Evaluation) -> list[list[str]]:
    rows = []
    for one in evaluation.memories[:_MOST]:
        numbers = ", ".join(map(str, one.questions))
        # Before it is cut: half of a secret would not be known as one.
        title = " ".join(Redaction().text(one.title).split())
        title = title if len(title) <= _TITLE else title[: _TITLE - 1] + "…"
        rows.append([one.memory_id, one.kind, title, str(one.runs), str(one.converged), numbers])
    return rows


def _more(evaluation: Evaluation) -> str:
    left = len(evaluation.memories) - _MOST
    return f"\n\n{left} more memories were shown; JSON has them all." if left > 0 else ""


def _failure_rows(evaluation: Evaluation) -> list[list[str]]:
    return [
        [f"{one.number}. {one.question}", str(one.seed), one.arm, one.error]
        for one in evaluation.failures
    ]


def _columns(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, *([visible(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *([_in_markdown(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _in_markdown(text: str) -> str:
    said = visible(text).replace("\\", "\\\\")
    for character in "|*_`<[":
        said = said.replace(character, f"\\{character}")
    return " ".join(said.split())


def _latex_row(cells: Sequence[str]) -> str:
    shown = ("".join(_LATEX.get(one, one) for one in cell) for cell in cells)
    return " & ".join(shown) + r" \\"
