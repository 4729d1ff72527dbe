"""Renders a whole run: its head, its parts, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlm_runtime.cli.output import Page, one_line
from rlm_runtime.cli.render import StepsView, show_error
from rlm_runtime.cli.tree import Node
from rlm_runtime.cli.words import cost_words, joined, shorten, time_words, token_words, value_text
from rlm_runtime.logging.events import Event

__all__ = ["LABEL_WIDTH", "RunView", "settings_words", "show_answer", "show_head", "show_totals"]

LABEL_WIDTH = 10
"""Columns of the words before a fact."""

# How the fields of an answer are headed; what else a run gives comes behind them.
_HEADINGS = {
    "answer": "Answer",
    "sparql": "SPARQL",
    "evidence": "Evidence",
    "thinking": "How",
    "verification": "Checked",
    "reflection": "Uncertain",
}
_STATUS_STYLE = {"FINISHED": "green", "FAILED": "red", "KILLED": "yellow"}


class RunView(StepsView):
    """Prints a run from its head to its end; takes what StepsView takes."""

    def _enter_run(self, node: Node) -> None:
        super()._enter_run(node)
        if node.start is None:
            self.page.line("The start of this run is not in the log.", style="red")
        else:
            show_head(self.page, node.start)

    def _leave_run(self, node: Node) -> None:
        self.page.blank()
        self.page.rule("end")
        if node.end is None:
            self.page.line(
                "This run never ended: it goes on still, or its process was killed.",
                style="yellow",
            )
            return
        end = node.end
        self.page.line(*settings_words(end))
        show_totals(self.page, end)
        if end["error"] is not None:
            show_error(self.page, end["error"], indent=0, full=self.full)
        if end["outputs"]:
            self.page.blank()
            show_answer(self.page, end["outputs"], full=self.full)


def show_head(page: Page, start: Event) -> None:
    """Print what runs, on what, with which settings and versions."""
    page.line((start["program"], "bold"), "  ", (start["query"] or "", "bold cyan"))
    params = {key: value for key, value in start["params"].items() if value is not None}
    model = params.pop("model", None)
    sub_model = params.pop("sub_model", None)
    if model and sub_model and sub_model != model:
        model = f"{model} (sub-LM: {sub_model})"
    facts = {
        "run": start["run_id"],
        "started": start["ts"][:19].replace("T", " ") + " UTC",
        "ontology": start["ontology"],
        "model": model,
        "settings": _pairs(params, " "),
        "tags": _pairs(start["tags"], "="),
        "versions": _pairs(start["versions"], " "),
    }
    if start["trajectory_id"] != start["run_id"]:
        facts["trajectory"] = start["trajectory_id"]
    for label, fact in facts.items():
        if fact:
            page.line((f"{label:<{LABEL_WIDTH}}", "dim"), str(fact))


def _pairs(values: Mapping[str, Any], between: str) -> str:
    return ", ".join(f"{key}{between}{one_line(value_text(v))}" for key, v in values.items())


def settings_words(end: Event) -> list[tuple[str, str]]:
    """Say how a run ended, as (text, style) parts."""
    words = joined(
        [
            end["stop_reason"],
            {True: "converged", False: "not converged", None: None}[end["converged"]],
        ]
    )
    style = _STATUS_STYLE[end["status"]]
    if end["converged"] is False and end["status"] == "FINISHED":
        style = "yellow"
    return [(end["status"], f"bold {style}"), (f"  {words}" if words else "", style)]


def show_totals(page: Page, end: Event) -> None:
    """Print a run's figures: steps, calls, tokens, cost, time; per model when there are several."""
    metrics = end["metrics"]

    def count(name: str, one: str, many: str) -> str | None:
        number = metrics.get(name)
        return f"{number:,.0f} {one if number == 1 else many}" if number else None

    failed = count("tool_errors", "failed", "failed")
    tools = count("tool_calls", "tool call", "tool calls")
    page.line(
        joined(
            [
                count("iteration_count", "step", "steps"),
                count("lm_calls", "LM call", "LM calls"),
                count("sub_lm_calls", "sub-LM call", "sub-LM calls"),
                f"{tools} ({failed})" if tools and failed else tools,
                count("code_errors", "failed cell", "failed cells"),
                token_words(metrics["input_tokens"], metrics["output_tokens"])
                if metrics.get("total_tokens")
                else None,
                cost_words(metrics["cost_usd"]) if "cost_usd" in metrics else None,
                time_words(end["duration_ns"] / 1e9),
            ]
        )
    )
    if len(end["usage"]) > 1:
        for model, usage in end["usage"].items():
            tokens = token_words(usage.get("input_tokens", 0), usage.get("output_tokens", 0))
            page.line(
                joined([model, f"{usage.get('calls', 0)} calls", tokens]), style="dim", indent=2
            )


def show_answer(page: Page, outputs: Mapping[str, Any], *, full: bool = False) -> None:
    """Print what a run gave, the fields of an answer first.

    Args:
        page: Where to print.
        outputs: The fields by name, as ``run_end`` has them.
        full: True cuts nothing.
    """
    grounding = outputs.get("grounding")
    grounding = grounding if isinstance(grounding, Mapping) else {}
    rest = [name for name in outputs if name not in _HEADINGS and name != "grounding"]
    for name in [*(name for name in _HEADINGS if outputs.get(name)), *rest]:
        page.line((_HEADINGS.get(name, name), "bold"))
        value = outputs[name]
        if name == "sparql" and isinstance(value, str):
            page.code(value, "sparql", indent=2)
            _show_query_check(page, grounding)
        elif isinstance(value, list) and not any(isinstance(item, list | dict) for item in value):
            for item in value:
                page.line(value_text(item), indent=2)
        else:
            text = value_text(value)
            shown, note = (text, None) if full else shorten(text)
            page.line(shown, indent=2)
            if note:
                page.line(note, style="dim", indent=2)
        if name == "evidence":
            _show_evidence_check(page, grounding)
    if grounding.get("missing_iris") and not outputs.get("evidence"):
        _show_evidence_check(page, grounding)


def _show_query_check(page: Page, grounding: Mapping[str, Any]) -> None:
    if grounding.get("sparql_ok"):
        rows = grounding.get("sparql_rows")
        words = "1 row" if rows == 1 else f"{rows:,} rows"
        page.line((f"✓ ran again: {words}", "green"), indent=2)
    elif grounding.get("sparql_ok") is False:
        page.line((f"✗ does not run: {grounding.get('sparql_error')}", "red"), indent=2)


def _show_evidence_check(page: Page, grounding: Mapping[str, Any]) -> None:
    named = grounding.get("evidence_iris") or []
    missing = grounding.get("missing_iris") or []
    found = sum(iri not in missing for iri in named)
    if named:
        words, style = f"in the ontology: {found} of {len(named)} IRIs", "green"
        if found < len(named):
            style = "yellow"
        page.line((f"{'✓' if found == len(named) else '✗'} {words}", style), indent=2)
    for iri in missing:
        page.line((f"✗ not in the ontology: {iri}", "red"), indent=2)
