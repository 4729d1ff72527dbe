"""Memories of several domains by the thousand, and questions that ask for one in other words."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rlm_runtime.memory.levels import level_of
from rlm_runtime.memory.protocol import Memory

__all__ = ["DOMAINS", "Asked", "Domain", "asked_again", "made_up_domains", "memories_of"]


@dataclass(frozen=True)
class Domain:
    """What the memories of one ontology are about.

    Attributes:
        name: The ontology.
        nouns: Its classes, in the singular; each takes an s.
        verbs: Its relations; each takes s, ed and ing.
        names: Some of its individuals.
    """

    name: str
    nouns: Sequence[str]
    verbs: Sequence[str]
    names: Sequence[str]


def _domain(name: str, nouns: str, verbs: str, names: str) -> Domain:
    return Domain(name, nouns.split(), verbs.split(), names.split())


DOMAINS = (
    _domain(
        "company",
        "supplier product part warehouse customer invoice contract employee department project "
        "office manager",
        "order deliver own audit approv request stock return",
        "Acme Globex Initech Hooli Umbrella Stark",
    ),
    _domain(
        "library",
        "book author publisher reader loan edition translator chapter journal editor shelf review",
        "print borrow cit translat reprint donat catalog recommend",
        "Orlando Middlemarch Penguin Knopf Faber Ulysses",
    ),
    _domain(
        "hospital",
        "patient doctor nurse ward drug diagnosi symptom treatment surgeon clinic trial dose",
        "treat examin admit prescrib monitor discharg infect vaccinat",
        "Aspirin Mercy Charité Insulin Heparin Marsden",
    ),
    _domain(
        "university",
        "student professor course lecture faculty thesi grant laborator seminar exam campu degree",
        "teach attend supervis enroll grad fund fail mentor",
        "Oxford Bologna Leiden Uppsala Coimbra Jena",
    ),
    _domain(
        "building",
        "sensor room floor damper boiler pump meter zone valve fan chiller thermostat",
        "measur heat cool feed ventilat regulat connect serv",
        "Tower Annex Pavilion Atrium Foyer Rotunda",
    ),
    _domain(
        "provenance",
        "activit agent entit plan bundle revision quotation source collection role dataset script",
        "generat deriv attribut inform invalidat delegat quot transform",
        "Kepler Taverna Galaxy Airflow Snakemake Nextflow",
    ),
    _domain(
        "music",
        "album song composer singer orchestra concert label band festival instrument choir score",
        "record perform compos sampl conduct releas cover arrang",
        "Aurora Bowie Coltrane Elgar Motown Nonesuch",
    ),
    _domain(
        "geography",
        "river mountain city country region lake island harbor border canal glacier valley",
        "cross surround drain border flood govern irrigat bridg",
        "Danube Andes Ghent Ticino Baikal Zanzibar",
    ),
)

# Form of a question to how a run asked it and what it noted; then how others ask the same.
_ASKED = {
    "list": "Which {a}s {v} {b}s?",
    "count": "How many {a}s {v} {b}s?",
    "negation": "Which {a}s do not {v} any {b}s?",
    "superlative": "Which {a} {v}s the most {b}s?",
    "filter": "Which {a}s {v} more than 10 {b}s?",
}
_TITLED = {
    "list": "Find the {b}s of each {a}",
    "count": "Count {a}s once when they {v} several {b}s",
    "negation": "FILTER NOT EXISTS for {a}s that {v} no {b}",
    "superlative": "Rank {a}s by their {b}s, with ties",
    "filter": "HAVING for {a}s with enough {b}s",
}
_AGAIN = {
    "list": (
        "I would like to see every {a} {v}ing a {b}",
        "List all of the {a}s that {v} at least some {b}.",
        "Who can tell me what {b}s are {v}ed by what {a}s?",
    ),
    "count": (
        "What is the number of {a}s {v}ing {b}s?",
        "Give me the total of all {a}s that {v} a {b}",
        "Count every {a} by which a {b} is {v}ed.",
    ),
    "negation": (
        "Are there {a}s without any {b} that they {v}?",
        "Show me each {a} never {v}ing a {b}",
        "{b}s are {v}ed by many; which {a}s lack them?",
    ),
    "superlative": (
        "What {a} has the largest number of {v}ed {b}s?",
        "Top {a} when it comes to {v}ing {b}s",
        "By which {a} are {b}s {v}ed most often?",
    ),
    "filter": (
        "List the {a}s with over 25 {v}ed {b}s.",
        "I need each {a} {v}ing at least 3 {b}s",
        "Is there any {a} by which a dozen {b}s or more are {v}ed?",
    ),
}
_ADVICE = (
    "Look at the schema before the first query.",
    "Names are in rdfs:label, mostly in English.",
    "Count with DISTINCT, for rows repeat when a property has several values.",
    "An OPTIONAL keeps those that have no value.",
    "Search by label, then check the kind of what was found.",
    "Numbers are typed xsd:decimal and compare as they are.",
    "Dates carry no time zone; compare them as texts.",
    "The inverse property is not stated, so turn the triple around.",
    "Ask for labels in the same query instead of one by one.",
    "Check the final query with check_query before it is submitted.",
    "Ties belong in the answer; LIMIT 1 hides them.",
    "A subquery with GROUP BY is quicker than counting in Python.",
    "Empty results were a wrong direction of the property in this run.",
    "Subclasses count too: rdfs:subClassOf* finds the instances of all.",
)


def memories_of(domains: Sequence[Domain], count: int, seed: int = 1) -> Iterator[Memory]:
    """Make up memories, the same each time for the same seed, domain by domain in turn.

    Two of three are strategies, the others exemplars; one in twenty is about any ontology. Those
    of a domain have its words in common, so that each is a distractor of many others; no two
    were learned from the same question.

    Raises:
        ValueError: The domains have too few words for so many questions.
    """
    questions = min(len(d.nouns) * (len(d.nouns) - 1) * len(d.verbs) for d in domains) * len(_ASKED)
    if count > 0.9 * questions * len(domains):
        raise ValueError(f"{len(domains)} domains are too few for {count} memories.")
    rng = random.Random(seed)
    told: set[tuple[str, ...]] = set()
    number = 0
    while number < count:
        domain = domains[number % len(domains)]
        form = rng.choice(list(_ASKED))
        a, b = rng.sample(domain.nouns, 2)
        verb = rng.choice(domain.verbs)
        key = (domain.name, form, a, b, verb)
        if key not in told:
            told.add(key)
            number += 1
            yield _memory(rng, domain, form, {"a": a, "b": b, "v": verb})


def _memory(rng: random.Random, domain: Domain, form: str, words: dict[str, str]) -> Memory:
    a, b, verb = words["a"], words["b"], words["v"]
    query = _ASKED[form].format(**words)
    title = _TITLED[form].format(**words)
    joined = f"ex:{verb}ed{b.capitalize()}"
    told = " ".join(rng.sample(_ADVICE, 4))
    content = f"Start at ex:{a.capitalize()} and follow {joined}. {told}"
    kind = "strategy"
    if rng.random() < 1 / 3:
        kind = "exemplar"
        content = f"SELECT ?x ?label {{ ?x a ex:{a.capitalize()} ; {joined} ?y }} # {form}"
    return Memory(
        title=title if rng.random() < 0.5 else f"{title} ({rng.choice(domain.names)})",
        content=content,
        description=f"For questions about {a}s and what they {verb}.",
        kind=kind,
        source=rng.choice(["success", "success", "failure"]),
        ontology=None if rng.random() < 0.05 else domain.name,
        query=query,
        level=level_of(query),
        tags=tuple(sorted({form, domain.name})),
        succeeded=rng.randrange(4),
        failed=rng.randrange(3),
    )


@dataclass(frozen=True)
class Asked:
    """A question in other words, and the memory that it is after."""

    question: str
    wanted: Memory


def asked_again(
    memories: Sequence[Memory], domains: Sequence[Domain], count: int, seed: int = 2
) -> list[Asked]:
    """Ask for some of the memories in other words.

    The frame of the question is another one, its words have other endings, and one question in
    four names an individual that memories of other questions name as well.
    """
    rng = random.Random(seed)
    by_name = {domain.name: domain for domain in domains}
    asked = []
    for memory in rng.sample(list(memories), count):
        form, domain = _form_and_domain(memory, by_name)
        words = _words_of(memory.query, form)
        question = rng.choice(_AGAIN[form]).format(**words)
        if rng.random() < 0.25:
            question = f"At {rng.choice(domain.names)}: {question}"
        asked.append(Asked(question, memory))
    return asked


def _form_and_domain(memory: Memory, domains: dict[str, Domain]) -> tuple[str, Domain]:
    (form,) = set(memory.tags) & set(_ASKED)
    (name,) = set(memory.tags) & set(domains)
    return form, domains[name]


def _words_of(query: str, form: str) -> dict[str, str]:
    """Read the words back out of a question that ``_ASKED`` made."""
    shape, said = _ASKED[form].rstrip("?").split(), query.rstrip("?").split()
    found = {}
    for slot, word in zip(shape, said, strict=True):
        if slot.startswith("{"):
            found[slot[1]] = word.removesuffix("s") if slot.endswith("s") else word
    return found


def made_up_domains(count: int, nouns: int = 30, verbs: int = 15, seed: int = 3) -> list[Domain]:
    """Make up domains of words that no language has, the same each time."""
    rng = random.Random(seed)

    def word() -> str:
        return "".join(
            rng.choice("bcdfgklmnprtvz") + rng.choice("aeiou") for _ in range(rng.randint(2, 4))
        ) + rng.choice("bdgklmnprt")

    return [
        Domain(
            f"ontology{number}",
            [word() for _ in range(nouns)],
            [word() for _ in range(verbs)],
            [word().capitalize() for _ in range(200)],
        )
        for number in range(count)
    ]
