"""The offline explorer's first cell, which looks around, and the reading of what it printed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from rlm_runtime.engine.offline.questions import Question
from rlm_runtime.engine.offline.wording import items

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
_INCOMPLETE = re.compile(r"^Traceback |\[\.\.\. \d+ (?:lines|characters) cut; ", re.M)


def first_cell(question: Question) -> str:
    """Write the cell that looks for what the question names and for the predicates in use."""
    cell = _MOST_USED.format(pattern="?s ?p ?o", heading="Predicates")
    if question.kind == "all":
        cell += _MOST_USED.format(pattern="?s a ?p", heading="Types")
    texts = dict.fromkeys(text for w in question.wanted for text in (*w.full, *w.parts))
    if texts:
        cell += _SEARCH.format(texts=items(list(texts), len("for text in :")))
    return cell.rstrip()


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


def read_findings(history: str) -> Findings:
    r"""Read what the first cell printed.

    Example:
        >>> findings = read_findings("Predicates: rdf:type\nSearch: a\ne:A | A | class | exact")
        >>> findings.matches["a"][0].shown, findings.predicates
        ('A (e:A)', ['rdf:type'])
    """
    output = history.partition("\nOutput:\n")[2] or history
    findings = Findings(_INCOMPLETE.search(output) is None and "Predicates: " in output)
    phrase, way, columns = "", "", []
    fields: dict[str, str] = {}
    for line in output.splitlines():
        key, _, rest = line.partition(": ")
        row, stated = _ROW.fullmatch(line), _FIELD.fullmatch(line)
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
        elif line in ("properties:", "used_by:"):
            way = "^" if line == "used_by:" else ""
        elif stated:
            fields[(way if stated[1] else "") + stated[2]] = stated[3]
    return findings
