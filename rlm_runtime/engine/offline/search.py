"""The offline explorer's first cell, which searches, and the reading of what it printed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from rlm_runtime.engine.offline.patterns import GENERIC, STOP_WORDS
from rlm_runtime.engine.offline.questions import Question, Wanted
from rlm_runtime.ontology.text import local_name, search_key, words

__all__ = [
    "Choice",
    "Findings",
    "Found",
    "choose",
    "choose_several",
    "read_findings",
    "search_cell",
]

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
        """Label and name, as in ``Activity (prov:Activity)``."""
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


@dataclass(frozen=True)
class Choice:
    """What something named in a question was taken for.

    Attributes:
        wanted: What the question has.
        entities: What it was taken for: several when they are called the same.
        others: Further entities of that name, but of another kind.
        near: What is called alike, when it was taken for nothing.
        inexact: True when the name is not quite the one in the question.
        beside: Entities named beside it in the same words.
        unknown: Words of the question that nothing is called.
    """

    wanted: Wanted
    entities: tuple[Found, ...] = ()
    others: tuple[Found, ...] = ()
    near: tuple[Found, ...] = ()
    inexact: bool = False
    beside: tuple[Found, ...] = ()
    unknown: tuple[str, ...] = ()


def choose(wanted: Wanted, matches: Sequence[Found]) -> Choice:
    """Take the words for an entity, all of them, or else for none."""
    whole = [m for m in matches if m.phrase in wanted.full]
    best = _best(sorted(whole, key=lambda m: wanted.full.index(m.phrase)), wanted.kinds)
    if best:
        same, others = best
        return Choice(wanted, same, others, inexact=_level(same[0]) > 0)
    picked, unknown = _cover(wanted, matches)
    if picked and not unknown:
        order = {"instance": 0, "property": 1, "class": 2}
        first, *rest = sorted(picked, key=lambda found: order.get(found[0].kind, 3))
        return Choice(wanted, first, beside=tuple(found[0] for found in rest))
    return Choice(wanted, near=_near(wanted, matches), unknown=tuple(unknown))


def choose_several(wanted: Wanted, matches: Sequence[Found]) -> list[Choice]:
    """Take the words for as many entities as they name."""
    whole = choose(wanted, matches)
    if whole.entities and not whole.beside:
        return [whole]
    picked, unknown = _cover(wanted, matches)
    chosen = [Choice(wanted, found, inexact=_level(found[0]) > 0) for found in picked]
    if unknown or not chosen:
        chosen.append(Choice(wanted, near=whole.near, unknown=tuple(unknown)))
    return chosen


def _best(
    matches: Sequence[Found], kinds: Sequence[str]
) -> tuple[tuple[Found, ...], tuple[Found, ...]] | None:
    accepted = [m for m in matches if _level(m) < 3]
    if not accepted:
        return None
    level = min(_level(m) for m in accepted)
    alike = [m for m in accepted if _level(m) == level]
    fitting = [m for m in alike if m.kind in kinds]
    if not fitting:
        return tuple(alike[:1]), ()
    kind = min((m.kind for m in fitting), key=kinds.index)
    same = [m for m in fitting if m.kind == kind]
    # Of names that hold the words and more, those with the least more; of misspelt ones, one.
    if level == 1:
        least = min(len(words(m.matched)) for m in same)
        same = [m for m in same if len(words(m.matched)) == least]
    elif level == 2:
        same = same[:1]
    others = [m for m in alike if m.kind != kind] if level == 0 else []
    return tuple(_unique(same)[:5]), tuple(_unique(others)[:3])


def _level(found: Found) -> int:
    """Say how far a match is from what was looked for: 0 the same … 3 something else."""
    if found.rank == "exact":
        return 0
    asked = words(found.phrase)
    texts = (found.matched, found.label, local_name(found.iri.strip("<>")))
    if found.rank in ("prefix", "words") and any(
        set(asked) <= set(words(text)) and len(words(text)) <= 2 * len(asked) for text in texts
    ):
        return 1
    if len(asked) != len(words(found.matched)) and " " in found.phrase:
        return 3
    key = search_key(found.phrase)
    alike = SequenceMatcher(None, key, search_key(found.matched)).ratio()
    return 2 if alike >= 0.85 and len(key) > 4 else 3


def _cover(wanted: Wanted, matches: Sequence[Found]) -> tuple[list[tuple[Found, ...]], list[str]]:
    """Find entities for parts of the words, the longest first; give also the words left over."""
    left = _content(wanted.full[-1] if wanted.full else wanted.text)
    picked = []
    for part in (*wanted.full[-1:], *wanted.parts):
        inside = _content(part)
        best = _best([m for m in matches if m.phrase == part], wanted.kinds)
        if best and inside and all(word in left for word in inside):
            picked.append(best[0])
            left = [word for word in left if word not in inside]
    return picked, [word for word in left if not re.fullmatch(GENERIC, word)]


def _content(text: str) -> list[str]:
    return [word for word in text.lower().split() if word not in STOP_WORDS]


def _near(wanted: Wanted, matches: Sequence[Found]) -> tuple[Found, ...]:
    text = search_key(wanted.full[-1] if wanted.full else wanted.text)
    scored = sorted(
        _unique(matches),
        key=lambda m: -SequenceMatcher(None, text, search_key(m.matched)).ratio(),
    )
    return tuple(scored[:3])


def _unique(matches: Iterable[Found]) -> list[Found]:
    return list({m.iri: m for m in matches}.values())
