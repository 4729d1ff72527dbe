"""Makes memories of what a run taught: bounded, without secrets, no two nearly the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rlm_runtime.memory.levels import LEVELS, level_of
from rlm_runtime.memory.protocol import Judgment, Memory, StoredRun, Trajectory
from rlm_runtime.memory.words import nearly_same, words_of
from rlm_runtime.redaction import Redaction

__all__ = [
    "Lesson",
    "clean",
    "exemplars_of",
    "query_parts",
    "query_shape",
    "says_the_same",
    "strategies_of",
]

_TITLE = 100
_CONTENT = 1_000
_DESCRIPTION = 300
_TAG = 40
_TAGS = 8
# A shorter answer ("3", "Agent") is found in lessons that do not mean it.
_TELLING_ANSWER = 12

_BUILT_IN = frozenset({"rdf", "rdfs", "owl", "xsd"})
_IRI = re.compile(
    r"\bhttps?://(?!www\.w3\.org/(?:1999/02/22-rdf|2000/01/rdf-s|2002/07/owl|2001/X))"
)
_PREFIXED = re.compile(r"(?<![\w:/.<-])((?:[A-Za-z][\w-]*)?):[A-Za-z_]\w*")
_NO_KEYWORDS = re.compile(r"<[^<>\s]*>|\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|#[^\n]*")
_KEYWORD = re.compile(
    r"(?<![?$:\w])(ASK|CONSTRUCT|DESCRIBE|COUNT|SUM|AVG|MIN|MAX|GROUP_CONCAT|GROUP\s+BY|HAVING"
    r"|OPTIONAL|UNION|MINUS|NOT\s+EXISTS|VALUES|ORDER\s+BY|LIMIT|REGEX|CONTAINS|LANG)(?![:\w])",
    re.I,
)
_PATH = re.compile(r":[\w.-]+\)?(?:[*+]|\s*/\s*[\w:(^])|\)[*+/]|\^\s*\w*:")


@dataclass(frozen=True)
class Lesson:
    """Something to remember, as a judge of runs writes it down."""

    # Models read this class as a schema; what each field is to hold, the prompt tells once.
    title: str
    content: str
    description: str = ""
    tags: tuple[str, ...] = ()


def exemplars_of(run: StoredRun, trajectory: Trajectory, judgment: Judgment) -> list[Memory]:
    """Give the question and its query as they are, if the run was judged a success.

    A query that is longer than a memory may be, or that holds a secret, is none: what is left of
    it would not run.

    Example:
        >>> run = StoredRun("r1", "Is there an Agent?", "prov")
        >>> done = Trajectory("r1", sparql="ASK { ?a a prov:Agent }")
        >>> [one.content for one in exemplars_of(run, done, Judgment("r1", True))]
        ['ASK { ?a a prov:Agent }']
        >>> exemplars_of(run, done, Judgment("r1", False))
        []
    """
    query = trajectory.sparql.strip()
    question = clean(run.query)
    if not (judgment.success and query and question):
        return []
    if len(query) > _CONTENT or clean(query) != query:
        return []
    level = level_of(run.query)
    exemplar = Memory(
        title=_cut(_one_line(question), _TITLE),
        content=query,
        description=f"a question of this form over {run.ontology}",
        kind="exemplar",
        source="success",
        ontology=run.ontology,
        query=question,
        level=level,
        tags=_tags([*query_parts(query), LEVELS[level]]),
        run_id=run.run_id,
    )
    return [exemplar]


def strategies_of(
    run: StoredRun,
    trajectory: Trajectory,
    judgment: Judgment,
    lessons: Iterable[Lesson],
    at_most: int,
) -> list[Memory]:
    """Give the lessons that can be kept, as memories.

    Left out are those without a title or content, those that tell the run's own answer, and
    near copies of earlier ones.

    Example:
        >>> run = StoredRun("r1", "How many?", "prov")
        >>> done = Trajectory("r1", answer="Some 40 types")
        >>> lessons = [Lesson("Number", "Some 40 types."), Lesson("Count", "COUNT")]
        >>> [m.content for m in strategies_of(run, done, Judgment("r1", True), lessons, 3)]
        ['COUNT']
    """
    question, level = clean(run.query), level_of(run.query)
    prefixes = _prefixes_of(trajectory)
    kept: list[Memory] = []
    for lesson in lessons:
        # Redacted before they are cut: of half a secret nobody sees what it is.
        title = _cut(_one_line(clean(lesson.title)), _TITLE)
        content = _cut(clean(lesson.content), _CONTENT)
        description = _cut(_one_line(clean(lesson.description)), _DESCRIPTION)
        told = f"{title}\n{content}\n{description}"
        if not (title and content) or _tells(told, trajectory.answer):
            continue
        memory = Memory(
            title=title,
            content=content,
            description=description,
            source="success" if judgment.success else "failure",
            ontology=run.ontology if _names_any(told, prefixes) else None,
            query=question,
            level=level,
            tags=_tags([*map(clean, lesson.tags), LEVELS[level]]),
            run_id=run.run_id,
        )
        if not any(says_the_same(memory, other) for other in kept):
            kept.append(memory)
    return kept[: max(at_most, 0)]


def says_the_same(one: Memory, other: Memory) -> bool:
    """Tell whether two memories say the same in nearly the same words.

    Example:
        >>> says_the_same(Memory("Count", "Use it in SPARQL."), Memory("count", "in SPARQL use it"))
        True
    """
    mine, theirs = (set(words_of(f"{each.title}\n{each.content}")) for each in (one, other))
    return nearly_same(mine, theirs)


def query_parts(sparql: str) -> list[str]:
    """Name what a query is made of, beside plain patterns, in the order in which it comes.

    Example:
        >>> query_parts("SELECT (COUNT(?count) AS ?n) { ?count a/rdfs:subClassOf* ex:limit }")
        ['COUNT', 'property path']
    """
    bare = _NO_KEYWORDS.sub(" ", sparql)
    found = [" ".join(match[1].upper().split()) for match in _KEYWORD.finditer(bare)]
    if _PATH.search(bare):
        found.append("property path")
    return list(dict.fromkeys(found))


def query_shape(sparql: str) -> str:
    """Write a query without what it alone is about: names of an ontology, texts, prefixes.

    Example:
        >>> query_shape('PREFIX ex: <urn:x/> SELECT ?a { ?a a ex:C ; rdfs:label "c" } LIMIT 1')
        'SELECT ?a { ?a a … ; rdfs:label … } LIMIT 1'
    """
    bare = _NO_KEYWORDS.sub(lambda part: " " if part[0].startswith("#") else "…", sparql)
    bare = re.sub(r"\b(?:PREFIX\s+[\w-]*:|BASE)\s*…", " ", bare, flags=re.I)
    return _one_line(_PREFIXED.sub(lambda name: name[0] if name[1] in _BUILT_IN else "…", bare))


def _prefixes_of(trajectory: Trajectory) -> frozenset[str]:
    """Give the prefixes of names that the run has seen in its ontology."""
    texts = [trajectory.sparql, *map(str, trajectory.evidence)]
    texts += [step.output for step in trajectory.steps]
    return frozenset(match[1] for text in texts for match in _PREFIXED.finditer(text)) - _BUILT_IN


def _names_any(text: str, prefixes: frozenset[str]) -> bool:
    if _IRI.search(text):
        return True
    return any(match[1] in prefixes for match in _PREFIXED.finditer(text))


def clean(text: str) -> str:
    """Give a text as a memory keeps it: without secrets, and without what has no form in UTF-8."""
    return Redaction().text(text.strip()).encode("utf-8", "replace").decode()


def _tells(text: str, answer: str) -> bool:
    answer = _one_line(answer).rstrip(".!").casefold()
    return len(answer) >= _TELLING_ANSWER and answer in _one_line(text).casefold()


def _tags(words: Sequence[str]) -> tuple[str, ...]:
    known = dict.fromkeys(_one_line(word).lower()[:_TAG].strip() for word in words)
    known.pop("", None)
    return tuple(sorted([*known][-_TAGS:]))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _cut(text: str, limit: int) -> str:
    """Cut a text between two words."""
    if len(text) <= limit:
        return text
    return text[: limit - 1].rsplit(None, 1)[0].rstrip(",;:") + "…"
