"""Shows a run to a model that is to judge it or to learn from it: bounded texts, facts in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from rlm_runtime.clipping import clip, clip_lines
from rlm_runtime.memory.formatting import entries
from rlm_runtime.memory.protocol import Memory, StoredRun, Trajectory
from rlm_runtime.redaction import Redaction
from rlm_runtime.types import Grounding, Step

__all__ = [
    "MAX_TEXT",
    "NO_SURROUNDINGS",
    "Surroundings",
    "show_checks",
    "show_known",
    "show_numbers",
    "show_run",
    "show_steps",
    "shown",
]

MAX_TEXT = 6_000
"""Characters of a question, an answer, a query and the like."""

_OVERVIEW = 3_000
_REASONING = 600
_CODE = 3_000
_ALL_STEPS = 24_000
# What it takes to say that something is left out; what each output may have in any case.
_NOTE = 40
_LEAST = 100
_NAMES = 10
_TITLE = 100
_DESCRIPTION = 300
_CONTENT = 1_000
_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
_SEEN = re.compile(_DIGITS)
# Not a part of a name (S-07), nor of a date behind its year.
_TOLD = re.compile(rf"(?<![\w:/.-]){_DIGITS}(?!\w)")


@dataclass(frozen=True)
class Surroundings:
    """What a model that judges a run, or learns from it, is told beside the run; without secrets.

    Attributes:
        overview: What the run was told of its ontology.
        rules: What it was told of the form of its answer and its query.
        rows: What its query gave when it ran again, as a text of bounded length; "" without one.
    """

    overview: str = ""
    rules: str = ""
    rows: str = ""


NO_SURROUNDINGS = Surroundings()


def shown(text: str, limit: int) -> str:
    """Cut a text of a run, and make it harmless for DSPy's adapters and for UTF-8.

    An adapter turns a marked-up passage of a prompt into an image or a file to be fetched; what
    a run printed must not be able to do that.

    Example:
        >>> shown("<<CUSTOM-TYPE-START-IDENTIFIER>>", 100)
        '<< CUSTOM-TYPE-START-IDENTIFIER>>'
    """
    text = clip_lines(text.strip(), limit).replace("<<CUSTOM-TYPE", "<< CUSTOM-TYPE")
    return text.encode("utf-8", "replace").decode()


def show_run(run: StoredRun, trajectory: Trajectory, around: Surroundings) -> dict[str, str]:
    """Give what a model is shown of a run, to judge it or to learn from it, by field.

    Example:
        >>> told = show_run(StoredRun("r1", "Why?", "prov"), Trajectory("r1"), NO_SURROUNDINGS)
        >>> told["question"], told["steps"]
        ('Why?', 'No cell was run.')
    """
    return {
        "overview": shown(around.overview, _OVERVIEW) or "It was not kept.",
        "rules": shown(around.rules, MAX_TEXT) or "They were not kept.",
        "question": shown(run.query, MAX_TEXT),
        "steps": show_steps(trajectory.steps),
        "answer": shown(trajectory.answer, MAX_TEXT),
        "sparql": shown(trajectory.sparql, MAX_TEXT),
    }


def show_steps(steps: Sequence[Step]) -> str:
    """Write the steps of a run down, in at most 24,000 characters.

    Where that is too little for all that was printed, the last steps keep most of theirs.

    Example:
        >>> print(show_steps([Step("Look.", "print(nme)", "", "NameError: nme")]))
        Cell 1: Look.
        Code:
        print(nme)
        Output:
        (nothing was printed)
        Error: NameError: nme
    """
    heads = [
        f"Cell {number}: {shown(' '.join(step.reasoning.split()), _REASONING)}\n"
        f"Code:\n{shown(step.code, _CODE)}\nOutput:"
        for number, step in enumerate(steps, start=1)
    ]
    feet = [
        f"\nError: {shown(step.error, _REASONING)}" if step.error is not None else ""
        for step in steps
    ]
    room = _ALL_STEPS - _NOTE - sum(len(told) + 2 for told in (*heads, *feet))
    outputs = _shared([step.output.strip() or "(nothing was printed)" for step in steps], room)
    told = [
        f"{head}\n{output}{foot}" for head, output, foot in zip(heads, outputs, feet, strict=True)
    ]
    return shown("\n\n".join(told), _ALL_STEPS - _NOTE) or "No cell was run."


def _shared(outputs: Sequence[str], room: int) -> list[str]:
    """Cut outputs, the last first: each to half of the room left, or what the earlier leave it."""
    kept: list[str] = []
    for number in reversed(range(len(outputs))):
        earlier = sum(map(len, outputs[:number]))
        output, share = outputs[number], max(room // 2, room - earlier, _LEAST)
        kept.append(output if len(output) <= share else clip_lines(output, share - _NOTE))
        room -= len(kept[-1])
    return kept[::-1]


def show_checks(grounding: Grounding | None) -> str:
    """Say in words what the ontology itself bears out of an answer.

    Example:
        >>> print(show_checks(Grounding(("ex:a", "ex:b"), ("ex:b",), True, 3)))
        The query ran again and gave 3 rows.
        Of 2 IRIs in the evidence, 1 occur in the ontology.
        These occur nowhere in it: ex:b.
        >>> show_checks(None)
        'The answer was not checked against the ontology.'
    """
    if grounding is None:
        return "The answer was not checked against the ontology."
    if grounding.sparql_ok is None:
        lines = ["No query was given."]
    elif grounding.sparql_ok:
        rows = grounding.sparql_rows
        lines = [f"The query ran again and gave {rows} row{'' if rows == 1 else 's'}."]
    else:
        lines = [f"The query does not run: {shown(grounding.sparql_error or '', _REASONING)}"]
    named = len(grounding.evidence_iris)
    if named:
        there = round(grounding.evidence_grounded * named)
        lines.append(f"Of {named} IRIs in the evidence, {there} occur in the ontology.")
    else:
        lines.append("The evidence names no IRI.")
    if grounding.missing_iris:
        missing = ", ".join(grounding.missing_iris[:_NAMES])
        more = ", …" if len(grounding.missing_iris) > _NAMES else "."
        lines.append(f"These occur nowhere in it: {shown(missing, 2_000)}{more}")
    return "\n".join(lines)


def show_numbers(answer: str, sources: Iterable[str]) -> str:
    """Say whether the numbers of an answer stand in what it is made from.

    Example:
        >>> show_numbers("S-07 has 1,200 of 1300.", ["id:S-07 | 1200.0"])
        'Numbers of the answer that stand nowhere (computed, rounded or made up): 1300.'
        >>> show_numbers("Berlin: 34.", ["id:Berlin | 34"])
        'All numbers of the answer were printed, or stand in the question, overview or rows.'
    """
    told = _numbers(_TOLD, answer)
    if not told:
        return "The answer holds no numbers to look for."
    there = {number for source in sources for number in _numbers(_SEEN, source)}
    unseen = [written for number, written in told.items() if number not in there]
    if not unseen:
        return "All numbers of the answer were printed, or stand in the question, overview or rows."
    named = clip(", ".join(unseen[:_NAMES]), _REASONING)
    more = ", …" if len(unseen) > _NAMES else "."
    return f"Numbers of the answer that stand nowhere (computed, rounded or made up): {named}{more}"


def show_known(memories: Iterable[Memory]) -> str:
    """Write down memories as agents see them, without secrets, for a model not to say them again.

    Example:
        >>> print(show_known([Memory("Count things", "Use COUNT.", "how many")]))
        1. Count things
        > For: how many
        > Use COUNT.
        >>> show_known([])
        'None.'
    """
    bounded = [
        replace(
            memory,
            title=_bare(memory.title, _TITLE),
            description=_bare(memory.description, _DESCRIPTION),
            content=_bare(memory.content, _CONTENT),
        )
        for memory in memories
    ]
    return "\n".join(entries(bounded)) or "None."


def _numbers(form: re.Pattern[str], text: str) -> dict[Decimal, str]:
    return {Decimal(found[0].replace(",", "")): found[0] for found in form.finditer(text)}


def _bare(text: str, limit: int) -> str:
    return shown(" ".join(Redaction().text(text).split()), limit)
