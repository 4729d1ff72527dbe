"""Shows a run to a model that is to judge it or to learn from it: bounded texts, facts in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal

from rlm_runtime.memory.protocol import Memory
from rlm_runtime.redaction import Redaction
from rlm_runtime.types import Grounding, Step

__all__ = ["clip", "show_checks", "show_known", "show_numbers", "show_steps", "shown"]

_REASONING = 600
_CODE = 2_000
_OUTPUT = 2_000
_ALL_STEPS = 24_000
_NAMES = 10
_TITLE = 100
_CONTENT = 1_000
_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
_SEEN = re.compile(_DIGITS)
# Not a part of a name (S-07), nor of a date behind its year.
_TOLD = re.compile(rf"(?<![\w:/.-]){_DIGITS}(?!\w)")


def clip(text: str, limit: int) -> str:
    """Cut a text to ``limit`` characters, head and tail kept, and say how much is left out.

    Example:
        >>> clip("0123456789" * 10, 40)
        '012345 [… 91 characters left out …] 789'
        >>> clip("short", 40)
        'short'
    """
    if len(text) <= limit:
        return text
    # As long as the note can get, so that the whole keeps within the limit.
    room = max(limit - len(f" [… {len(text)} characters left out …] "), 0)
    tail = room // 3
    head = room - tail
    note = f" [… {len(text) - room} characters left out …] "
    return f"{text[:head]}{note}{text[len(text) - tail :]}"[:limit]


def shown(text: str, limit: int) -> str:
    """Clip a text of a run, and make it harmless for DSPy's adapters and for UTF-8.

    An adapter turns a marked-up passage of a prompt into an image or a file to be fetched; what
    a run printed must not be able to do that.

    Example:
        >>> shown("<<CUSTOM-TYPE-START-IDENTIFIER>>", 100)
        '<< CUSTOM-TYPE-START-IDENTIFIER>>'
    """
    text = clip(text.strip(), limit).replace("<<CUSTOM-TYPE", "<< CUSTOM-TYPE")
    return text.encode("utf-8", "replace").decode()


def show_steps(steps: Sequence[Step]) -> str:
    """Write the steps of a run down, in at most some 24,000 characters.

    Example:
        >>> print(show_steps([Step("Look.", "print(nme)", "", "NameError: nme")]))
        Cell 1: Look.
        Code:
        print(nme)
        Output:
        (nothing was printed)
        Error: NameError: nme
    """
    told = []
    for number, step in enumerate(steps, start=1):
        lines = [
            f"Cell {number}: {shown(' '.join(step.reasoning.split()), _REASONING)}",
            f"Code:\n{shown(step.code, _CODE)}",
            f"Output:\n{shown(step.output, _OUTPUT) or '(nothing was printed)'}",
        ]
        if step.error is not None:
            lines.append(f"Error: {shown(step.error, _REASONING)}")
        told.append("\n".join(lines))
    return clip("\n\n".join(told), _ALL_STEPS) or "No cell was run."


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
    """Say whether the numbers of an answer stand in what it is made from; "" without any.

    Example:
        >>> show_numbers("S-07 has 1,200 of 1300.", ["id:S-07 | 1200.0"])
        'Numbers of the answer that stand nowhere (computed, rounded or made up): 1300.'
        >>> show_numbers("Berlin: 34.", ["id:Berlin | 34"])
        'All numbers of the answer were printed, or stand in the question or the overview.'
    """
    told = _numbers(_TOLD, answer)
    if not told:
        return ""
    there = {number for source in sources for number in _numbers(_SEEN, source)}
    unseen = [written for number, written in told.items() if number not in there]
    if not unseen:
        return "All numbers of the answer were printed, or stand in the question or the overview."
    named = clip(", ".join(unseen[:_NAMES]), _REASONING)
    more = ", …" if len(unseen) > _NAMES else "."
    return f"Numbers of the answer that stand nowhere (computed, rounded or made up): {named}{more}"


def show_known(memories: Iterable[Memory]) -> str:
    """Write down what memories say, without secrets, for a model that is not to say it again.

    Example:
        >>> print(show_known([Memory("Count things", "Use COUNT.")]))
        1. Count things: Use COUNT.
        >>> show_known([])
        'None.'
    """
    told = [
        f"{number}. {_bare(memory.title, _TITLE)}: {_bare(memory.content, _CONTENT)}"
        for number, memory in enumerate(memories, start=1)
    ]
    return "\n".join(told) or "None."


def _numbers(form: re.Pattern[str], text: str) -> dict[Decimal, str]:
    return {Decimal(found[0].replace(",", "")): found[0] for found in form.finditer(text)}


def _bare(text: str, limit: int) -> str:
    return shown(" ".join(Redaction().text(text).split()), limit)
