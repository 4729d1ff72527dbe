"""What the offline explorer says beside an answer: its reading, its doubts, what is missing."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rlm_runtime.engine.offline.cells import Notes, Plan, plain_cell
from rlm_runtime.engine.offline.choice import Choice
from rlm_runtime.engine.offline.questions import Question

__all__ = ["a", "failed", "not_followed", "not_found", "notes_on", "understood"]

_ASKED = {
    "definition": "the meaning of {0}",
    "compared": "the difference between {0} and {1}",
    "related": "the links between {0} and {1}",
    "domain_of": "the properties of {0}",
    "range_of": "the properties that lead to {0}",
    "domain_range": "domain and range of {0}",
    "disjoint": "what is disjoint with {0}",
    "equivalent": "what is equivalent to {0}",
    "values": "{1} of {0}",
    "ask_subclass": "whether {0} is a kind of {1}",
    "ask_disjoint": "whether {0} is disjoint with {1}",
    "ask_type": "whether {0} is of the type {1}",
    "overview": "what the ontology says of itself",
}


_CHECK_FAILED = r"""^(?:error: |\{'ok': False, 'error': ['"])(.*?)(?:['"], 'warnings': .*)?$"""


def a(noun: str) -> str:
    """Put the indefinite article before a noun.

    Example:
        >>> a("instance"), a("class")
        ('an instance', 'a class')
    """
    return f"{'an' if noun[0] in 'aeio' else 'a'} {noun}"


def understood(question: Question, names: Sequence[str]) -> str:
    """Say what a question asks for, with these names for the things in it."""
    form = _ASKED.get(question.kind, f"the {question.kind} of {{0}}")
    if question.kind == "all":
        asked = f"all {question.what}"
    elif question.kind == "linked" or len(names) < form.count("{"):
        asked = f"what has to do with {' and '.join(names)}" if names else "nothing that I see"
    else:
        asked = form.format(*names)
    return f"Asked: {'the number of ' * question.count}{asked}."


def notes_on(question: Question, chosen: Sequence[Choice]) -> Notes:
    """Give what is submitted beside an answer about chosen entities, all of them evidence."""
    remarks, alike = [], []
    for choice in chosen:
        remarks += [f"(“{word}” was not understood.)" for word in choice.unknown]
        if choice.inexact:
            first = choice.first
            # An exact find is one of several in the same words.
            text = choice.wanted.text if first.rank == "exact" else first.phrase
            remarks.append(f"(“{text}” was taken for {first.shown}.)")
        alike += [other.iri for other in (*choice.entities[1:], *choice.others)]
    found = [found for choice in chosen for found in choice.entities]
    return Notes(
        understood(question, [choice.first.label for choice in chosen if choice.entities]),
        list(dict.fromkeys(entity.iri for entity in found)),
        f"{Notes.reflection} Called alike: {', '.join(alike)}." if alike else Notes.reflection,
        " ".join(remarks),
    )


def not_found(chosen: Sequence[Choice]) -> Plan:
    """Say that some of what a question names is not in the ontology, and what comes near."""
    missing = [choice for choice in chosen if not choice.entities]
    there = [choice.first.shown for choice in chosen if choice.entities]
    texts = [" ".join(c.names) or (c.wanted.full or (c.wanted.text,))[-1] for c in missing]
    looked = " or ".join(f"“{text}”" for text in texts)
    answer = "Not found in this ontology: "
    answer += (
        f"nothing is called {looked}." if looked else "the question names nothing to look for."
    )
    near = dict.fromkeys(found.shown for choice in missing for found in choice.near)
    near = [shown for shown in near if shown not in there]
    if near:
        answer += f" The nearest names are {', '.join(near[:4])}."
    if there:
        answer += f" {' and '.join(there)} {'is' if len(there) == 1 else 'are'} there."
    thinking = f"Nothing is called {looked or 'anything'}. I say so instead of guessing."
    return plain_cell(answer, Notes(thinking, reflection="Only names and labels are searched."))


def not_followed(why: str, named: Sequence[Choice]) -> Plan:
    """Say that the rules cannot answer, and what of the question was found."""
    found = "; ".join(choice.first.shown for choice in named if choice.entities)
    answer = f"Not answered: {why}, which fixed rules cannot follow; a language model may."
    answer += f" What the question names is there: {found}." if found else ""
    return plain_cell(answer, Notes("My rules cannot follow this question."))


def failed(history: str) -> Plan:
    """Give up, with the message of the last cell: it did not submit, so it failed."""
    lines = [line.strip() for line in history.splitlines() if line.strip()]
    told = re.findall(_CHECK_FAILED, history, re.M) or lines[-1:]
    last = told[-1][:300] if told else ""
    answer = f"Not answered: the offline explorer's query failed. The last message was: {last}"
    return plain_cell(answer, Notes("My cell failed, and I know no other way."))
