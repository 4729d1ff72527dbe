"""The words the model reads: instructions, tools, history. Pure functions of their arguments."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence

from rlm_runtime.clipping import clip_lines
from rlm_runtime.types import Step

__all__ = ["action_instructions", "format_history", "task_instructions"]

_ACTION = """\
{task}

You have a persistent Python REPL. Each turn: reason in a sentence or two, then write ONE code \
cell. It is run and you see what it printed. Easy questions take 1 cell, most take 2 or 3: do \
several things in a cell.

1. THINK. `context` is an overview computed from the data: rely on its classes, properties and \
counts, do not compute them again.
2. ACT. Find what the question names with search_entity, unless `context` names it; look closer \
with describe_entity, schema_of or probe_relationships, query with sparql_select. `print(result)` \
shows a table.
3. VERIFY the final query with check_query, and build the answer from its rows in code instead \
of retyping them. If you know what to expect, check and SUBMIT in one cell:
`c = check_query(q); print(c)` and then `if c["ok"] and c["count"] == 1: SUBMIT(...)`
4. SUBMIT(answer=str, sparql=str, evidence=list, thinking="", verification="", reflection="") \
ends the run. The last three may stay empty; in `reflection` name real doubts only.

Tools (arguments by position or name; the prefixes in `context` and the usual ones need no \
declaration; IRIs go in and come out as prefixed names). What lists rows gives a dict \
{{columns, kinds, rows, count, truncated}}; `rows` are dicts; numbers are numbers, dates ISO \
texts, unbound is None.
{tools}
- llm_query(prompt), llm_query_batched(prompts): ask a model about texts; seldom needed; at \
most {max_llm_calls} prompts.
"""

_TASK = """\
Answer the question `query` about an RDF ontology or graph from its data alone, never from \
general knowledge.
- `answer`: in the language of the question; begins with what was asked for, in words; names \
entities by label with the prefixed name in parentheses, like Activity (prov:Activity); keeps \
numbers exact; names all that tie.
- `sparql`: one read-only query whose rows are the answer: a column for the entity, one for its \
label, one for each value asked for or ranked by (for "in the x with most" x too: several may \
tie), nothing else. For "how many" the count alone (with "per x": x and the count); for yes/no an \
ASK (one row, column ask); for "how do I" the terms to use. Use the IRIs you found rather than \
label filters; VALUES over known terms is fine. LIMIT only for a top n or a "most", wide enough \
for ties. If the answer is "none", the query that gives no rows; "" if the data lacks the entity \
or property.
- `evidence`: prefixed names of the entities and properties that bear the answer out (at most \
20), all from the data.
- If a name fits several entities, say so, answer for each, and give them a column. If a verb fits \
two properties, or a hierarchy could be rolled up, and the question leaves it open, take the \
direct reading and name the other in one sentence. If a name is misspelt, use the nearest and say \
which. If the data has no answer, say plainly that it was not found, and what was looked for."""


def task_instructions() -> str:
    """Give what is wanted, for whoever has to produce the final fields."""
    return _TASK


def action_instructions(tools: Mapping[str, Callable[..., object]], max_llm_calls: int) -> str:
    """Give the instructions of a turn; the interpreter's own rules are added behind them.

    Args:
        tools: Name to function; signature and docstring are shown as they are.
        max_llm_calls: How many prompts a run may send to the sub-model.
    """
    shown = "\n".join(f"- {_tool_line(name, tool)}" for name, tool in tools.items())
    return _ACTION.format(task=_TASK, tools=shown, max_llm_calls=max_llm_calls)


def _tool_line(name: str, tool: Callable[..., object]) -> str:
    parameters = [
        parameter.name
        if parameter.default is inspect.Parameter.empty
        else f"{parameter.name}={parameter.default!r}"
        for parameter in inspect.signature(tool).parameters.values()
    ]
    described = " ".join((inspect.getdoc(tool) or "").split())
    return f"{name}({', '.join(parameters)}): {described}"


def format_history(steps: Sequence[Step], max_output_chars: int, older_chars: int = 1_500) -> str:
    """Show the earlier cells: the last in full, older ones with their outputs cut shorter.

    Args:
        steps: The steps so far, oldest first; what a failing cell shows is in its output.
        max_output_chars: The most characters of the last output.
        older_chars: The most characters of each output before it.

    Example:
        >>> print(format_history([Step("Look.", "print(1)", "1")], 100))
        Cell 1: Look.
        ```python
        print(1)
        ```
        Output:
        1
    """
    if not steps:
        return "No cell was run yet."
    shown = []
    for number, step in enumerate(steps, start=1):
        limit = max_output_chars if number == len(steps) else min(older_chars, max_output_chars)
        # A blank line in code or output would cost a model nothing but tokens.
        output = re.sub(r"\n{3,}", "\n\n", step.output.strip()) or "(nothing was printed)"
        kept = clip_lines(output, limit, "; variables hold all")
        shown.append(
            f"Cell {number}: {' '.join(step.reasoning.split())[:600]}\n"
            f"```python\n{step.code.strip()}\n```\nOutput:\n{kept}"
        )
    return "\n\n".join(shown)
