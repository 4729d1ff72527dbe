"""What the offline explorer says beside an answer: its reading, its doubts, what is missing."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rlm_runtime.engine.offline.cells import Notes, plain_cell
from rlm_runtime.engine.offline.choice import Choice
from rlm_runtime.engine.offline.questions import Question

__all__ = [
    "RULES",
    "Plan",
    "a",
    "failed",
    "misses_a_name",
    "not_followed",
    "not_found",
    "notes",
    "understood",
]

Plan = tuple[str, str]
"""Reasoning and cell."""

RULES = "The offline explorer follows fixed rules and may have misread the question."
_NAMES = "It searched names, labels and synonyms, not other values."
_ASKED = {
    "definition": "what {0} is",
    "compared": "how {0} and {1} differ",
    "related": "what links {0} and {1}",
    "superclasses": "what {0} is a special case of",
    "superproperties": "what {0} is a subproperty of",
    "subclasses": "the special cases of {0}",
    "subproperties": "the subproperties of {0}",
    "domain_of": "the properties of {0}",
    "range_of": "the properties that lead to {0}",
    "domain_range": "domain and range of {0}",
    "domain": "the domain of {0}",
    "range": "the range of {0}",
    "inverse": "the inverse of {0}",
    "labels": "the labels of {0}",
    "disjoint": "what is disjoint with {0}",
    "equivalent": "what is equivalent to {0}",
    "types": "the type of {0}",
    "instances": "the instances of {0}",
}


def a(noun: str) -> str:
    """Put the indefinite article before a noun.

    Example:
        >>> a("instance"), a("class")
        ('an instance', 'a class')
    """
    return f"{'an' if noun[0] in 'aeio' else 'a'} {noun}"


def understood(question: Question, chosen: Sequence[Choice]) -> str:
    """Say what a question was read as."""
    asked = _ASKED[question.kind].format(*(choice.entities[0].shown for choice in chosen))
    return f"the number of {asked}" if question.count else asked


def notes(chosen: Sequence[Choice], what: str) -> Notes:
    """Give what is submitted beside an answer about chosen entities, all of them evidence."""
    remarks, doubts = [], [RULES]
    for choice in chosen:
        if not choice.entities:
            remarks += [f"(“{word}” was not understood.)" for word in choice.unknown]
            continue
        first = choice.entities[0]
        if choice.inexact:
            remarks.append(f"(“{first.phrase}” was taken for {first.shown}.)")
        also = [other.shown for other in choice.entities[1:]]
        also += [f"{other.shown}, {a(other.kind)}" for other in choice.others]
        for other in choice.beside:
            doubts.append(f"“{other.phrase}” was read as {other.shown} and left aside.")
        if also:
            doubts.append(f"{first.shown} was taken; called alike: {'; '.join(also)}.")
    return Notes(
        f"The question was read as one for {what}.",
        " ".join(doubts),
        tuple(found.iri for choice in chosen for found in choice.entities),
        " ".join(remarks),
    )


def not_found(chosen: Sequence[Choice]) -> Plan:
    """Say that some of what a question names is not in the ontology, and what comes near."""
    missing = [choice for choice in chosen if not choice.entities]
    there = [choice.entities[0].shown for choice in chosen if choice.entities]
    looked = ", ".join(f"“{_missing_words(choice)}”" for choice in missing)
    if not looked:
        reasoning = "The question names nothing that could be searched for."
        answer = "Not found in this ontology: the question names nothing to look for."
        return reasoning, plain_cell(answer, Notes(reasoning, RULES))
    near = list(dict.fromkeys(found.shown for choice in missing for found in choice.near))
    near = [shown for shown in near if shown not in there]
    answer = f"Not found in this ontology: nothing is called {looked}."
    if near:
        answer += f" The nearest names are {', '.join(near[:4])}."
    if there:
        answer += f" {' and '.join(there)} {'is' if len(there) == 1 else 'are'} there."
    reasoning = f"Nothing is called {looked}. I say so instead of guessing."
    return reasoning, plain_cell(answer, Notes(f"Searched for {looked}.", f"{RULES} {_NAMES}"))


def _missing_words(choice: Choice) -> str:
    words = choice.wanted.text.split()
    names = [word for word in words if _is_name(word) and word.lower() in choice.unknown]
    return " ".join(names) or (choice.wanted.full or (choice.wanted.text,))[-1]


def _is_name(word: str) -> bool:
    return re.search(r"[A-Z0-9:]", word) is not None


def misses_a_name(choice: Choice) -> bool:
    """Say whether words that nothing is called look like a name, and so cannot be ignored."""
    return any(_is_name(w) and w.lower() in choice.unknown for w in choice.wanted.text.split())


def not_followed(why: str, named: Sequence[Choice]) -> Plan:
    """Say that the rules cannot answer, and what of the question was found."""
    found = "; ".join(choice.entities[0].shown for choice in named if choice.entities)
    answer = (
        f"Not answered: {why}, which the offline explorer's rules cannot follow; a language "
        "model may."
    )
    answer += f" What the question names is there: {found}." if found else ""
    return f"{why[0].upper()}{why[1:]}, which my rules cannot follow.", plain_cell(
        answer, Notes("No rule fits the question.", RULES)
    )


def failed(history: str) -> Plan:
    """Give up, with the end of what the last cell printed: it did not submit, so it failed."""
    lines = [line.strip() for line in history.splitlines() if line.strip()]
    last = lines[-1][:300] if lines else ""
    answer = f"Not answered: the offline explorer's query failed. The last message was: {last}"
    return "My cell failed, and I know no other way.", plain_cell(
        answer, Notes("The cell that should have answered failed.", RULES)
    )
