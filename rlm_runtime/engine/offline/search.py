"""The offline explorer's first cell, which searches, and the reading of what it printed."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from rlm_runtime.engine.offline.questions import Question

__all__ = ["Findings", "Found", "read_findings", "search_cell"]

ROLES: dict[str, tuple[str, ...]] = {
    "label": (
        *("rdfs:label", "skos:prefLabel", "<http://schema.org/name>", "<https://schema.org/name>"),
        *("foaf:name", "dcterms:title", "dc:title"),
    ),
    "text": (
        *("skos:definition", "rdfs:comment", "dcterms:description", "dc:description"),
        *("<http://schema.org/description>", "<https://schema.org/description>"),
    ),
    "synonym": ("skos:altLabel",),
    "subclass": ("rdfs:subClassOf",),
    "subproperty": ("rdfs:subPropertyOf",),
    "broader": ("skos:broader",),
    "narrower": ("skos:narrower",),
    "domain": (
        *("rdfs:domain", "<http://schema.org/domainIncludes>"),
        "<https://schema.org/domainIncludes>",
    ),
    "range": (
        *("rdfs:range", "<http://schema.org/rangeIncludes>"),
        "<https://schema.org/rangeIncludes>",
    ),
    "inverse": (
        *("owl:inverseOf", "<http://schema.org/inverseOf>", "<https://schema.org/inverseOf>"),
    ),
    "union": ("owl:unionOf",),
    "disjoint": ("owl:disjointWith", "owl:propertyDisjointWith"),
    "members": ("owl:members",),
    "equivalent": (
        *("owl:equivalentClass", "owl:equivalentProperty", "owl:sameAs"),
        *("skos:exactMatch", "skos:closeMatch"),
    ),
}
"""What the explorer may ask for, and the predicates of common vocabularies that say it."""

_SEARCH = """\
import json
in_use = \"\"\"SELECT ?role ?predicate WHERE {{
  VALUES (?role ?predicate) {{
{roles}
  }}
  FILTER EXISTS {{ ?s ?predicate ?o }}
}}\"\"\"
for row in sparql_select(in_use)["rows"]:
    print("uses", row["role"], row["predicate"])
wanted = {wanted}
best = None
for number, (phrases, parts, kind) in enumerate(wanted):
    for phrase in phrases + parts:
        found = search_entity(phrase, 6, kind)["rows"] or search_entity(phrase, 6)["rows"]
        for m in found:
            if phrase in phrases or m["match"][:3] != "any":
                print("match", json.dumps([number, phrase, m["iri"], m["kind"], m["match"], \
m["label"], m["types"]]))
        if found and found[0]["match"][:5] == "exact":
            best = best or found[0]["iri"]
            if phrase in phrases:
                break
print("searched", len(wanted))
if best:
    print(describe_entity(best, 15))"""


def search_cell(question: Question) -> str:
    """Write the cell that looks for what the question names and for the predicates in use."""
    wanted = [
        [list(w.full), list(w.parts), w.kinds[0] if len(w.kinds) == 1 else "any"]
        for w in question.wanted
    ]
    shown = ",\n    ".join(repr(thing) for thing in wanted)
    roles = "\n".join(
        "    " + " ".join(f'("{role}" {predicate})' for predicate in predicates)
        for role, predicates in ROLES.items()
    )
    return _SEARCH.format(wanted=f"[\n    {shown},\n]" if wanted else "[]", roles=roles)


@dataclass(frozen=True)
class Found:
    """An entity that a search found.

    Attributes:
        phrase: What was searched for.
        iri: Its prefixed name, or IRI in angle brackets.
        kind: ``class``, ``property`` or ``instance``.
        rank: How it matched; see ``ontology.protocol.Match``.
        matched: The text that matched.
        label: Its label.
        types: Its classes as prefixed names, or "".
    """

    phrase: str
    iri: str
    kind: str
    rank: str
    matched: str
    label: str
    types: str = ""

    @property
    def shown(self) -> str:
        """Label and name, as in ``Agent (ex:Agent)``."""
        return f"{self.label} ({self.iri})"


@dataclass(frozen=True)
class Findings:
    """What the first cell printed.

    Attributes:
        matches: For each thing wanted, by its number, what was found.
        uses: For each role, the predicates in use.
        done: Whether the search came to its end.
    """

    matches: dict[int, list[Found]] = field(default_factory=dict)
    uses: dict[str, list[str]] = field(default_factory=dict)
    done: bool = False


def read_findings(history: str) -> Findings:
    """Read the printed lines of a search cell; lines that were cut are left out.

    Example:
        >>> findings = read_findings('match [0, "a", "e:A", "class", "exact", "A", null]')
        >>> findings.matches[0][0].shown
        'A (e:A)'
    """
    findings = Findings(done=re.search(r"^searched \d+$", history, re.M) is not None)
    for line in history.splitlines():
        word, _, rest = line.partition(" ")
        if word == "match":
            found = _read_match(rest)
            if found:
                findings.matches.setdefault(found[0], []).append(found[1])
        elif word == "uses" and len(rest.split()) == 2:
            role, predicate = rest.split()
            names = findings.uses.setdefault(role, [])
            if predicate not in names:
                names.append(predicate)
    return findings


def _read_match(text: str) -> tuple[int, Found] | None:
    try:
        number, phrase, iri, kind, match, label, types = json.loads(text)
    except ValueError:
        return None
    rank, _, matched = str(match).partition(": ")
    label = " ".join(str(label).split())
    return int(number), Found(phrase, iri, kind, rank, matched or label, label, types or "")
