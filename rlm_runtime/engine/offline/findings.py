"""The offline explorer's first cell, which looks around, and the reading of what it printed."""

from __future__ import annotations

import ast
import re
from contextlib import suppress
from dataclasses import dataclass, field, replace

from rlm_runtime.engine.offline.questions import Question
from rlm_runtime.engine.offline.wording import items
from rlm_runtime.tools import show

__all__ = ["Findings", "Found", "first_cell", "read_findings"]

_MOST_USED = """\
used = sparql_select("SELECT ?p {{ {pattern} }} GROUP BY ?p ORDER BY DESC(COUNT(*)) ?p", 200)
print("{heading}:", ", ".join(row["p"] for row in used["rows"]))
"""
_SEARCH = """\
for text in {texts}:
    found = search_entity(text, 6)
    print("Search:", text)
    print(found)
    if found["rows"] and found["rows"][0]["match"] == "exact":
        print(describe_entity(found["rows"][0]["iri"], 10))
"""
_ROW = re.compile(
    r"(<[^>]*>|\S+) \| (.*?) \| (class|property|instance)"
    r" \| (exact|prefix|words|corrected|any)(?: \| (.*))?"
)
_FIELD = re.compile(r"( *)(\S+?)(?: \([^()]*\))?: (.*)")
_FOOT = re.compile(r"\((\d+)(?: of \d+)? rows?\b")


def first_cell(question: Question) -> str:
    """Write the cell that looks for what the question names and for the predicates in use."""
    cell = _MOST_USED.format(pattern="?s ?p ?o", heading="Predicates")
    if question.kind == "all":
        cell += _MOST_USED.format(pattern="?s a ?p", heading="Types")
    if texts := _texts(question):
        cell += _SEARCH.format(texts=items(texts, len("for text in :")))
    return cell.rstrip()


def _texts(question: Question) -> list[str]:
    return list(dict.fromkeys(text for w in question.wanted for text in (*w.full, *w.parts)))


@dataclass(frozen=True)
class Found:
    """An entity that a search found.

    Attributes:
        phrase: What was searched for.
        iri: Its prefixed name, or IRI in angle brackets.
        label: Its label, or its local name.
        kind: ``class``, ``property`` or ``instance``.
        rank: How it matched; see ``ontology.protocol.Match``.
        matched: The text that matched.
        types: Its classes as prefixed names, or "".
    """

    phrase: str
    iri: str
    label: str
    kind: str
    rank: str
    matched: str
    types: str = ""

    @property
    def shown(self) -> str:
        """Label and name, as in ``Agent (ex:Agent)``."""
        return f"{self.label} ({self.iri})"


@dataclass(frozen=True)
class Findings:
    """What the first cell printed.

    Attributes:
        complete: Whether it ran to its end and all of its output is there.
        predicates: The predicates in use, the most used first.
        types: The classes that have instances, those with the most first, if asked for.
        matches: For each phrase that was searched for, what was found.
        described: For each entity that was described, its fields as printed; those of incoming
            statements have a ``^`` before their names.
    """

    complete: bool = False
    predicates: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    matches: dict[str, list[Found]] = field(default_factory=dict)
    described: dict[str, dict[str, str]] = field(default_factory=dict)


def read_findings(question: Question, history: str) -> Findings:
    r"""Read what the first cell printed.

    Example:
        >>> from rlm_runtime.engine.offline.questions import read_question
        >>> output = "Predicates: rdf:type\nSearch: Dog\n(0 rows)"
        >>> findings = read_findings(read_question("What is Dog?"), output)
        >>> findings.complete, findings.predicates, findings.matches
        (True, ['rdf:type'], {'Dog': []})
    """
    output = history.partition("\nOutput:\n")[2] or history
    findings = Findings()
    phrase, way, columns, counts = "", "", [], []
    fields: dict[str, str] = {}
    for line in _as_tables(output).splitlines():
        key, _, rest = line.partition(": ")
        row, stated, foot = _ROW.fullmatch(line), _FIELD.fullmatch(line), _FOOT.match(line)
        if key in ("Predicates", "Types"):
            getattr(findings, key.lower()).extend(rest.split(", "))
        elif key == "Search":
            phrase = rest
            findings.matches[phrase] = []
        elif key == "iri":
            fields = findings.described.setdefault(rest, {})
        elif line.startswith("iri | "):
            # The last columns are there only if they tell something.
            columns = line.split(" | ")[4:]
        elif row:
            iri, label, kind, rank, more = row.groups()
            told = zip(columns, (more or "").rsplit(" | ", len(columns) - 1), strict=False)
            others = {"matched": label, **{name: text for name, text in told if text != "-"}}
            found = Found(phrase, iri, " ".join(label.split()), kind, rank, **others)
            findings.matches.setdefault(phrase, []).append(found)
        elif foot:
            counts.append(int(foot[1]))
        elif line in ("properties:", "used_by:"):
            way = "^" if line == "used_by:" else ""
        elif stated:
            fields[(way if stated[1] else "") + stated[2]] = stated[3]
    # What was not searched for, or found and not read, must never be taken for not found.
    complete = (
        findings.predicates != []
        and list(findings.matches) == _texts(question)
        and counts == [len(found) for found in findings.matches.values()]
        and not re.search(r"\[\.\.\. \d+ (?:lines|characters) cut; ", output)
    )
    return replace(findings, complete=complete)


def _as_tables(output: str) -> str:
    """Show results as tables where the sandbox printed them as Python does."""
    lines = output.split("\n")
    for number, line in enumerate(lines):
        if line.startswith("{"):
            with suppress(ValueError, SyntaxError):
                lines[number] = show(ast.literal_eval(line)) or line
    return "\n".join(lines)
