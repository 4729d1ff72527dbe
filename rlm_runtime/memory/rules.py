"""Judges runs and reads lessons from their steps by rules, where no language model is at hand."""

from __future__ import annotations

import builtins
import difflib
import keyword
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from rlm_runtime.clipping import clip
from rlm_runtime.memory.lessons import (
    Lesson,
    exemplars_of,
    query_parts,
    query_shape,
    strategies_of,
)
from rlm_runtime.memory.levels import LEVELS, level_of
from rlm_runtime.memory.protocol import Judgment, Memory, StoredRun, Trajectory
from rlm_runtime.memory.showing import show_checks
from rlm_runtime.redaction import Redaction
from rlm_runtime.types import Grounding, Step

if TYPE_CHECKING:
    import dspy

__all__ = ["extract_by_rules", "judge_by_rules", "judge_name", "ruled_out"]

# Rules see whether an answer hangs together with the data, never whether it is the right one.
_BORNE_OUT = 0.8
_NOT_CONTRADICTED = 0.5

_BUILT_IN = (
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "http://www.w3.org/2000/01/rdf-schema#",
    "http://www.w3.org/2001/XMLSchema#",
    "http://www.w3.org/2002/07/owl#",
)
_SAYS_NONE = re.compile(
    r"^(?:no|none|nothing|zero|0)\b|\b(?:not found|not stated|no such|nothing (?:is|has|was)"
    r"|there (?:is|are) no(?:ne)?|(?:has|have|is|are) no(?:ne)?|do(?:es)? not have)\b",
    re.I,
)
_RAISED = re.compile(r"^(?:[\w.]+: )?\w*(?:Error|Exception|Timeout|Rejected|Exceeded)\b.*", re.M)
_NO_CODE = re.compile(
    r'"""[\s\S]*?"""|\'\'\'[\s\S]*?\'\'\'|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'|#[^\n]*'
)
_CALL = re.compile(r"(?<![\w.])([A-Za-z_]\w*)\(")
_OWN = re.compile(
    r"\b(?:def|class|as|for)[ \t]+(\w+)|\bimport[ \t]+([^\n;(]+)|^[ \t]*(\w+)[ \t]*=", re.M
)
_PYTHONS = frozenset({"SUBMIT", *dir(builtins), *keyword.kwlist})
# A cell that shares less with a failed one was another attempt, no repair.
_LIKE = 0.5
# Comparing takes time with the square of them.
_WORDS = 500
_MESSAGE = 300
_LINES = 250
_SHAPE = 500


def judge_name(lm: dspy.BaseLM) -> str:
    """Give what a judgment by this LM is signed with: its name, or ``rules`` for the offline one.

    Example:
        >>> from rlm_runtime import OfflineLM
        >>> judge_name(OfflineLM())
        'rules'
    """
    return "rules" if lm.model == "offline" else lm.model


def ruled_out(run: StoredRun, grounding: Grounding | None) -> str | None:
    """Say why a run cannot be a success, whatever is thought of its answer; None if it can.

    Example:
        >>> run = StoredRun("r1", "Is there an Agent?", "prov", converged=True)
        >>> ruled_out(run, Grounding(sparql_ok=False, sparql_error="No such prefix ex:."))
        'The query does not run: No such prefix ex:.'
        >>> ruled_out(run, Grounding(("urn:a",), ("urn:a",)))
        'The evidence names what does not occur in the ontology: urn:a.'
    """
    if not run.converged:
        return f"No answer was submitted; the run ended with {run.stop_reason or 'an error'}."
    if grounding is None:
        return None
    if grounding.sparql_ok is False:
        return f"The query does not run: {clip(grounding.sparql_error or '', _MESSAGE)}"
    # Names of RDF's own vocabularies mean something without occurring.
    missing = {iri for iri in grounding.missing_iris if not iri.startswith(_BUILT_IN)}
    made_up = [iri for iri in grounding.evidence_iris if iri in missing]
    if made_up:
        named = clip(", ".join(made_up), _MESSAGE)
        return f"The evidence names what does not occur in the ontology: {named}."
    return None


def judge_by_rules(run: StoredRun, trajectory: Trajectory, grounding: Grounding | None) -> Judgment:
    """Judge a run by what the ontology bears out; see ``judge_trajectory``.

    Example:
        >>> run = StoredRun("r1", "Is there an Agent?", "prov", converged=True)
        >>> done = Trajectory("r1", answer="Yes.", sparql="ASK {}", evidence=["prov:Agent"])
        >>> checked = Grounding(("http://www.w3.org/ns/prov#Agent",), (), True, 1)
        >>> judge_by_rules(run, done, checked).reason
        'The query ran again and gave 1 row. Of 1 IRIs in the evidence, 1 occur in the ontology.'
    """
    impossible = ruled_out(run, grounding)
    against = impossible or _against(trajectory, grounding)
    borne_out = grounding is not None and grounding.sparql_rows and grounding.evidence_iris
    confidence = _BORNE_OUT if against or borne_out else _NOT_CONTRADICTED
    confidence = 1.0 if impossible else confidence
    reason = Redaction().text(against or " ".join(show_checks(grounding).split()))
    return Judgment(run.run_id, against is None, reason, confidence, "rules")


def _against(trajectory: Trajectory, grounding: Grounding | None) -> str | None:
    if grounding is None:
        return "The answer was not checked against the ontology."
    if trajectory.steps and trajectory.steps[-1].error is not None:
        return f"The last cell failed: {_raised(trajectory.steps[-1].error)}"
    if grounding.sparql_rows or _SAYS_NONE.search(trajectory.answer.strip()):
        return None
    gave = "gave no rows" if grounding.sparql_ok else "was not given"
    return f"The query {gave}, and the answer does not say that there is nothing."


def extract_by_rules(
    run: StoredRun, trajectory: Trajectory, judgment: Judgment, *, at_most: int = 3
) -> list[Memory]:
    """Read what a run taught from its steps; see ``extract_memories``.

    Example:
        >>> run = StoredRun("r1", "How many agents are there?", "prov", converged=True)
        >>> steps = [Step("", "f('Agent')", "prov:Agent"), Step("", "g(q)", "3")]
        >>> done = Trajectory("r1", steps, "3", "SELECT (COUNT(?a) AS ?n) { ?a a prov:Agent }")
        >>> print(extract_by_rules(run, done, Judgment("r1", True))[1].content)
        Query: SELECT (COUNT(?a) AS ?n) { ?a a … }
        The way to it: cell 1 f; cell 2 g.
    """
    exemplars = exemplars_of(run, trajectory, judgment)[: max(at_most, 0)]
    lessons = list(_mended(trajectory.steps))
    if judgment.success:
        lessons += _ways_to(run, trajectory)
    else:
        lessons = [_failure(run, trajectory, judgment), *_left_broken(trajectory.steps), *lessons]
    room = at_most - len(exemplars)
    return exemplars + strategies_of(run, trajectory, judgment, lessons, room)


def _ways_to(run: StoredRun, trajectory: Trajectory) -> list[Lesson]:
    """Tell by which tools, in which order, a query was found."""
    called = [name for step in trajectory.steps for name in _called(step.code)]
    if not (trajectory.sparql.strip() and called):
        return []
    parts = query_parts(trajectory.sparql)
    return [
        Lesson(
            f"Query with {', '.join(parts) or 'plain patterns'}, from {called[0]} on",
            f"Query: {clip(query_shape(trajectory.sparql), _SHAPE)}\n"
            f"The way to it: {_path(trajectory.steps)}",
            f"a question of the level {LEVELS[level_of(run.query)]}",
            tuple(dict.fromkeys([*called, *parts])),
        )
    ]


def _failure(run: StoredRun, trajectory: Trajectory, judgment: Judgment) -> Lesson:
    """Tell why a run failed, and what it did until then."""
    level = LEVELS[level_of(run.query)]
    reason = judgment.reason.strip() or "The run was judged a failure."
    called = [name for step in trajectory.steps for name in _called(step.code)]
    return Lesson(
        f"Avoid: {reason}",
        f"A run failed: {clip(reason, _MESSAGE)}\nIts way: {_path(trajectory.steps)}",
        f"a question of the level {level}, before the answer is submitted",
        tuple(dict.fromkeys(called)),
    )


def _mended(steps: Sequence[Step]) -> Iterator[Lesson]:
    """Tell what failed and what ran in its place."""
    for number, step in enumerate(steps):
        if step.error is None or (later := _repair(steps, number)) is None:
            continue
        raised = _raised(step.error)
        failed, ran = _changes(step.code, later.code)
        content = f"A cell failed: {clip(raised, _MESSAGE)}"
        content += f"\nIn it: {failed}" if failed else ""
        content += f"\nWhat ran in its place: {ran}" if ran else ""
        yield Lesson(f"Mended: {raised}", content, "a cell that fails like this", _kind(raised))


def _left_broken(steps: Sequence[Step]) -> Iterator[Lesson]:
    """Tell what failed and was never put right."""
    for number, step in enumerate(steps):
        if step.error is None or _repair(steps, number) is not None:
            continue
        raised = _raised(step.error)
        content = f"A cell failed and was not mended: {clip(raised, _MESSAGE)}"
        content += f"\nIt held: {clip(_before_submit(step.code), 2 * _LINES)}"
        yield Lesson(f"Avoid: {raised}", content, "a cell like this", _kind(raised))


def _repair(steps: Sequence[Step], failed: int) -> Step | None:
    """Give the cell that put a failed one right: the next that ran, if it is much the same."""
    ran = next((step for step in steps[failed + 1 :] if step.error is None), None)
    if ran is None:
        return None
    broken, mended = (re.findall(r"\w+", code)[:_WORDS] for code in (steps[failed].code, ran.code))
    alike = difflib.SequenceMatcher(None, broken, mended, autojunk=False).ratio()
    return ran if alike >= _LIKE else None


def _changes(failed: str, ran: str) -> tuple[str, str]:
    """Give the lines of a cell that its repair does not have, and those that it has instead."""
    old, new = _before_submit(failed).splitlines(), _before_submit(ran).splitlines()
    gone = [line.strip() for line in old if line not in new]
    come = [line.strip() for line in new if line not in old]
    return clip("\n".join(gone), _LINES), clip("\n".join(come), _LINES)


def _before_submit(code: str) -> str:
    # What is submitted tells the answer.
    return code.partition("SUBMIT(")[0].strip()


def _raised(error: str) -> str:
    """Give what was raised, without the lines of code that an error shows."""
    found = _RAISED.findall(error) or [line for line in error.splitlines() if line.strip()]
    return found[-1].strip() if found else "an error without a message"


def _kind(raised: str) -> tuple[str, ...]:
    return ("error", *re.findall(r"\b\w+(?:Error|Exception|Timeout|Rejected)\b", raised))


def _path(steps: Sequence[Step]) -> str:
    """Name what each cell called; cells that called nothing are left out."""
    told = []
    for number, step in enumerate(steps, start=1):
        names = [
            name if (times := len(list(group))) == 1 else f"{name} ({times} times)"
            for name, group in groupby(_called(step.code))
        ]
        failed = " and failed" if step.error is not None else ""
        if names:
            told.append(f"cell {number} {', '.join(names)}{failed}")
    return clip("; ".join(told) or "no tool was called", 2 * _MESSAGE) + "."


def _called(code: str) -> list[str]:
    """Name the functions that a cell calls and that are neither Python's nor its own."""
    bare = _NO_CODE.sub(" ", code)
    own = {word for found in _OWN.findall(bare) for word in re.findall(r"\w+", "".join(found))}
    return [name for name in _CALL.findall(bare) if name not in own and name not in _PYTHONS]
