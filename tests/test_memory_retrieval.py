"""Memories that fit a question are found: ranked, filtered, apart, in the same order each time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rlm_runtime.memory import Memory, MemoryFilters, SQLiteMemoryBackend
from rlm_runtime.memory.kinds import kinds_of
from rlm_runtime.memory.levels import level_of
from rlm_runtime.memory.words import searchable, words_of
from tests.support.memories import DOMAINS, asked_again, memories_of

MANY = 2_400


@pytest.fixture
def store() -> Iterator[SQLiteMemoryBackend]:
    with SQLiteMemoryBackend(":memory:") as opened:
        yield opened


@pytest.fixture(scope="module")
def memories() -> list[Memory]:
    return list(memories_of(DOMAINS, MANY))


@pytest.fixture(scope="module")
def full(memories: list[Memory]) -> Iterator[SQLiteMemoryBackend]:
    """Eight domains, three hundred memories each, all with the words of their domain."""
    with SQLiteMemoryBackend(":memory:") as opened:
        for memory in memories:
            opened.add_memory(memory)
        yield opened


def titles(
    store: SQLiteMemoryBackend, task: str, k: int = 3, filters: MemoryFilters | None = None
) -> list[str]:
    return [found.memory.title for found in store.retrieve(task, k, filters)]


def scores(
    store: SQLiteMemoryBackend, task: str, filters: MemoryFilters | None = None
) -> dict[str, float]:
    return {found.memory.title: found.score for found in store.retrieve(task, 9, filters)}


def words_like(name: str, count: int = 9) -> str:
    """Make up words that no other memory has."""
    return " ".join(f"{name}{number}" for number in range(count))


@pytest.mark.parametrize("levels", [False, True])
def test_a_question_in_other_words_finds_its_memory(
    full: SQLiteMemoryBackend, memories: list[Memory], levels: bool
) -> None:
    asked = asked_again(memories, DOMAINS, 200)
    assert full.get_stats().memories >= 2_000
    assert not any(one.question in (one.wanted.query, one.wanted.title) for one in asked)
    hits = 0
    for one in asked:
        filters = MemoryFilters(level=level_of(one.question) if levels else None)
        found = full.retrieve(one.question, 3, filters)
        hits += one.wanted.memory_id in [each.memory.memory_id for each in found]
    assert hits / len(asked) >= 0.95


def test_words_match_in_any_form(store: SQLiteMemoryBackend) -> None:
    store.add_memory(Memory("Ships", "Follow ex:wasDerivedFrom and has_primary_source."))
    store.add_memory(Memory("Cafés", "Their menus are in ex:HTMLPages."))
    store.add_memory(Memory("人口", "東京都の人口を数える"))
    store.add_memory(Memory("Реки", "Длина рек"))
    assert titles(store, "What is deriving?") == ["Ships"]
    assert titles(store, "primarySources") == ["Ships"]
    assert titles(store, "WASDERIVEDFROM") == ["Ships"]
    assert titles(store, "cafe") == ["Cafés"]
    assert titles(store, "Me\N{COMBINING ACUTE ACCENT}nus") == ["Cafés"]
    assert titles(store, "page menu") == ["Cafés"]
    assert titles(store, "東京はどこ") == ["人口"]
    assert titles(store, "длина") == ["Реки"]


def test_the_frame_of_a_question_finds_nothing(store: SQLiteMemoryBackend) -> None:
    store.add_memory(Memory("What is it?", "Which of these are they, and who would they be for?"))
    assert titles(store, "Who is it that would have been for them?") == []


@pytest.mark.parametrize(
    "task",
    [
        "",
        " \n\t",
        "?!",
        '"',
        "'; DROP TABLE memory_items; --",
        'NEAR("agent" 3',
        "agent AND OR NOT",
        "title : agent*",
        "{title} : ^agent + - ( ) [ ]",
        "\0agent\0",
        "\ud800 agent",
        "agent " * 10_000,
        " ".join(f"agent{n}" for n in range(10_000)),
        "(" * 5_000,
        "a" * 100_000,
        "🙂 👩‍👩‍👧 \u202e",
    ],
)
def test_any_text_can_be_asked(store: SQLiteMemoryBackend, task: str) -> None:
    store.add_memory(Memory("Agents", "An agent acts."))
    only = set(words_of(task)) == {"agent"}
    assert titles(store, task) in ([["Agents"]] if only else [[], ["Agents"]])
    assert titles(store, "agent") == ["Agents"]


@given(st.text(max_size=80))
@example("\N{GEORGIAN MTAVRULI CAPITAL LETTER AN}")
@example("\N{CHEROKEE LETTER A}")
@example("\N{NEW TAI LUE VOWEL SIGN AA}")
@settings(deadline=None, max_examples=150)
def test_any_text_that_is_kept_is_found_by_itself(text: str) -> None:
    with SQLiteMemoryBackend(":memory:") as store:
        store.add_memory(Memory("Kept", f"xylopolist {text}"))
        assert titles(store, f"xylopolist {text}") == ["Kept"]


def test_filters_change_what_is_found(store: SQLiteMemoryBackend) -> None:
    base = Memory("", "", tags=("count",), ontology="prov", source="success", succeeded=3, failed=1)
    kinds = {
        "Fits": base,
        "About any": replace(base, ontology=None),
        "Other ontology": replace(base, ontology="foaf"),
        "Exemplar": replace(base, kind="exemplar", query="Which agents?"),
        "Of a failure": replace(base, source="failure"),
        "More tags": replace(base, tags=("count", "time")),
        "Misled": replace(base, succeeded=1, failed=2),
        "Not judged": replace(base, succeeded=0, failed=0),
        "Retired": replace(base, retired=True),
    }
    for number, (title, memory) in enumerate(kinds.items()):
        told = f"Count agents. {words_like(f'w{number}x', 30)}"
        store.add_memory(replace(memory, title=title, content=told))

    def found(**wanted: object) -> set[str]:
        return set(titles(store, "agents", 20, MemoryFilters(**wanted)))  # type: ignore[arg-type]

    shown = set(kinds) - {"Retired"}
    assert found() == shown
    assert found(retired=True) == set(kinds)
    assert found(ontology="prov") == shown - {"Other ontology"}
    assert found(ontology="foaf") == {"Other ontology", "About any"}
    assert found(ontology="none") == {"About any"}
    assert found(kind="exemplar") == {"Exemplar"}
    assert found(source="failure") == {"Of a failure"}
    assert found(tags=("time", "count")) == {"More tags"}
    assert found(tags=("time", "space")) == set()
    assert found(min_success_rate=0.75) == shown - {"Misled"}
    assert found(min_success_rate=0.8) == {"Not judged"}
    assert found(kind="exemplar", source="failure") == set()


def test_a_filter_that_few_pass_finds_them_among_thousands(store: SQLiteMemoryBackend) -> None:
    for number in range(600):
        store.add_memory(Memory(f"Agent agents {number}", "Agent.", ontology="crowd"))
    store.add_memory(Memory("Late", "Of many things one is an agent.", ontology="few"))
    store.add_memory(Memory("Later", "There may be some agent in it too.", ontology="few"))
    found = titles(store, "agent", 3, MemoryFilters(ontology="few"))
    assert sorted(found) == ["Late", "Later"]


def test_frequent_words_fill_up_what_rare_ones_leave(
    store: SQLiteMemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlm_runtime.memory.retrieval._MOST_ROWS", 10)
    for number in range(40):
        store.add_memory(Memory(f"Agent {number}", f"Agents act {number * 'x'}."))
    store.add_memory(Memory("Plans", "A plan."))
    store.add_memory(Memory("Agents and labels", "Agents act and have labels."))
    found = titles(store, "plans of agents that act", 3)
    assert found == ["Plans"]
    assert titles(store, "agents act labels", 1) == ["Agents and labels"]
    assert len(titles(store, "agents act", 60)) >= 10
    assert len(titles(store, "agents", 3)) == 3


def test_no_two_are_nearly_the_same(store: SQLiteMemoryBackend) -> None:
    told = "Use COUNT with DISTINCT over the agents, for rows repeat when they have two labels."
    for extra in ("", " Always.", " Check it.", " Really."):
        store.add_memory(Memory("Count agents", told + extra))
    store.add_memory(Memory("Labels", "Agents have a skos:prefLabel in several languages."))
    found = store.retrieve("agents", 5)
    assert len(found) == 2
    assert [one.memory.title for one in found] == ["Count agents", "Labels"]


def test_memories_that_helped_come_before_those_that_did_not(store: SQLiteMemoryBackend) -> None:
    for title, succeeded, failed in (("Alpha", 1, 2), ("Bravo", 0, 0), ("Gamma", 5, 1)):
        told = f"agent {words_like(title)}"
        store.add_memory(Memory(title, told, succeeded=succeeded, failed=failed))
    score = scores(store, "agents")
    assert score["Gamma"] > score["Bravo"] > score["Alpha"]


def test_the_level_is_preferred_and_then_its_neighbours(store: SQLiteMemoryBackend) -> None:
    for title, level in (("Ones", 1), ("Threes", 3), ("Fours", 4), ("Any", None)):
        store.add_memory(Memory(title, f"agent {words_like(title)}", level=level))
    score = scores(store, "agents", MemoryFilters(level=3))
    assert score["Threes"] > score["Fours"] > score["Ones"] == score["Any"]
    assert titles(store, "agents", 1, MemoryFilters(level=1)) == ["Ones"]
    assert len(set(scores(store, "agents").values())) == 1


def test_a_better_fit_weighs_more_than_any_preference(store: SQLiteMemoryBackend) -> None:
    for number in range(20):
        store.add_memory(Memory(f"Other {number}", f"Something else, number {number}."))
    store.add_memory(Memory("Fits", "Orders of a supplier by month", failed=3, level=5))
    store.add_memory(Memory("Helped", "Orders have months", succeeded=30, level=1))
    found = titles(store, "supplier orders by month", 2, MemoryFilters(level=1))
    assert found == ["Fits", "Helped"]


def test_scores_fall_and_the_order_is_the_same_each_time(memories: list[Memory]) -> None:
    answers = []
    for some in (memories[:1_000], memories[:1_000][::-1]):
        with SQLiteMemoryBackend(":memory:") as store:
            for memory in some:
                store.add_memory(memory)
            found = store.retrieve("Which patients do the doctors treat?", 5)
        scores = [one.score for one in found]
        assert scores == sorted(scores, reverse=True)
        answers.append([one.memory.memory_id for one in found])
    assert answers[0] == answers[1]
    assert len(answers[0]) == 5


def test_those_that_fit_alike_come_in_the_same_order_whenever_they_were_added() -> None:
    some = [Memory(name, f"agent {words_like(name)}") for name in ("Ann", "Bob", "Cid", "Dan")]
    answers = []
    for added in (some, some[::-1]):
        with SQLiteMemoryBackend(":memory:") as store:
            for memory in added:
                store.add_memory(memory)
            answers.append(titles(store, "agent", 3))
            assert len(set(scores(store, "agent").values())) == 1
    assert answers[0] == answers[1]


def test_the_best_comes_first_also_when_a_rare_word_found_another(
    store: SQLiteMemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlm_runtime.memory.retrieval._MOST_ROWS", 10)
    for number in range(60):
        store.add_memory(Memory(f"Filler {number}", f"Nothing of it {number}."))
    for name in range(20):
        store.add_memory(Memory(f"Agent plan {name}", f"An agent and w{name}."))
    store.add_memory(Memory("Long", f"A zebra has {words_like('long', 400)}"))
    found = store.retrieve("agent zebra plan", 3)
    assert [one.memory.title for one in found][-1] != "Long"
    assert [one.memory.title for one in store.retrieve("zebra", 3)] == ["Long"]


# What runs on a company's data taught: titles, when they help, what to do, and who asked what.
NOTES = (
    ("Show the runner-up", "For questions of who has the most or the fewest.",
     "Sort the counts in falling order and read five rows before one is named.",
     "Which supplier delivers the most products?"),
    ("Standing relation or events", "For verbs that name what holds or what happened (orders).",
     "Count over the direct property and over the event class and name both results.",
     "Which supplier delivers the most products?"),
    ("Climb a tree of things", "For numbers per top node of a hierarchy, narrower ones included.",
     "Follow the upward property any number of times from each thing.",
     "How many products are in each top-level category, counting narrower ones?"),
    ("Add the groups up", "For 'how many per x' where a thing has one x.",
     "Their sum is the number of all instances, or something is missing.",
     "How many products are in each top-level category, counting narrower ones?"),
    ("Read a hit before it is believed", "For hits of a search by a synonym or a translation.",
     "The column matched shows what was found; most employees have no second label.",
     "Which customer placed the most orders?"),
    ("The version that holds", "For the current or latest of several dated values.",
     "Take what has no end, and count those that only have ended ones.",
     "Which product is the most expensive, at its current price?"),
)  # fmt: skip


@pytest.fixture
def company(store: SQLiteMemoryBackend) -> SQLiteMemoryBackend:
    for title, description, content, question in NOTES:
        level = level_of(question)
        store.add_memory(
            Memory(title, content, description, query=question, level=level, tags=("count",))
        )
        store.add_memory(
            Memory(
                question,
                f"SELECT ?x (COUNT(?y) AS ?n) {{ ?x ex:p{level} ?y }} ORDER BY ?n # {title}",
                kind="exemplar",
                query=question,
                level=level,
                tags=("order by",),
            )
        )
    return store


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Which machine makes the most parts?", {"Show the runner-up"}),
        ("Who has the largest number of bookings?", {"Show the runner-up"}),
        ("Which employee placed the fewest orders?", {"Show the runner-up"}),
        ("How many employees are in each location?", {"Add the groups up"}),
        ("What is the number of visits per clinic?", {"Add the groups up"}),
        ("How many books does each subject have, narrower ones included?",
         {"Climb a tree of things", "Add the groups up"}),
        ("What is the latest salary of Ada?", {"The version that holds"}),
        ("What is the highest current salary?", {"Show the runner-up", "The version that holds"}),
        ("How many employees are there?", set()),
        ("Which employees placed orders?", set()),
        ("Which orders did Ada Lovelace place with Globex?", set()),
    ],
)  # fmt: skip
def test_a_strategy_comes_for_its_kind_of_question_and_for_no_other(
    company: SQLiteMemoryBackend, question: str, expected: set[str]
) -> None:
    found = company.retrieve(question, 3, MemoryFilters(level=level_of(question)))
    assert {one.memory.title for one in found if one.memory.kind == "strategy"} == expected


@pytest.mark.parametrize(
    "question",
    ["Who wrote Middlemarch?", "What is prov:Activity?", "Which planets have water and a product?"],
)
def test_nothing_comes_for_a_question_that_nothing_fits(
    company: SQLiteMemoryBackend, question: str
) -> None:
    assert company.retrieve(question, 9) == []


def test_the_question_that_taught_a_strategy_does_not_find_it(store: SQLiteMemoryBackend) -> None:
    asked = "Which zebra crosses the savanna?"
    store.add_memory(Memory("Labels", "Names are in rdfs:label.", query=asked))
    assert titles(store, asked) == []
    store.add_memory(Memory("Zebras", "ASK {}", kind="exemplar", query=asked))
    assert titles(store, asked) == ["Zebras"]


def test_exemplars_do_not_crowd_out_strategies(store: SQLiteMemoryBackend) -> None:
    for number in range(5):
        asked = f"Which pump feeds boiler {words_like(f'x{number}', 4)}?"
        store.add_memory(Memory(f"E{number}", "ASK {}", kind="exemplar", query=asked))
    assert len(titles(store, "pump that feeds a boiler", 5)) == 2
    assert len(titles(store, "pump that feeds a boiler", 5, MemoryFilters(kind="exemplar"))) == 5
    store.add_memory(Memory("Ducts", f"Pumps feed boilers by ducts. {words_like('d')}"))
    store.add_memory(Memory("Pipes", f"A boiler is fed, a pump feeds. {words_like('p')}"))
    found = titles(store, "pump that feeds a boiler", 3)
    assert {"Ducts", "Pipes"} < set(found)


def test_an_exemplar_of_another_form_ranks_lower(store: SQLiteMemoryBackend) -> None:
    for title in ("How many parts does each pump have?", "Which pump has the most parts?"):
        store.add_memory(Memory(title, "ASK {}", kind="exemplar", query=title))
    asked = {"How many parts per pump?": 0, "Which pump has the fewest parts?": 1}
    for question, first in asked.items():
        found = titles(store, question, 2)
        assert found[0].startswith(("How", "Which")[first])


def test_an_exemplar_of_the_very_form_comes_last_where_no_other_fits(
    store: SQLiteMemoryBackend,
) -> None:
    asked = ("Which pump has the most parts?", "Which pipes have no valve?", "How many parts?")
    for title in asked:
        store.add_memory(Memory(title, "ASK {}", kind="exemplar", query=title))
    most, without, _ = asked
    assert titles(store, "Which of the doctors treats the most patients in Vienna?") == [most]
    assert titles(store, "Which surgeons with a licence treat no child?") == [without]
    assert titles(store, "Which pump has no licence?") == [without]
    # Other kinds as well, none, or one that says little.
    for other in ("Which ward has no bed since 2020?", "Who is Ada?", "How many beds has Vienna?"):
        assert titles(store, other) == []
    store.add_memory(Memory("Ties", "Read on.", "For what has the most or the fewest."))
    found = titles(store, "Which of the doctors treats the most patients in Vienna?")
    assert found == ["Ties", most]
    assert titles(store, "Which of the doctors treats the most patients?", 1) == ["Ties"]


def test_a_note_on_counting_is_not_for_every_count(store: SQLiteMemoryBackend) -> None:
    store.add_memory(Memory("By category", "Go by it.", "how many things there are of a kind"))
    assert titles(store, "How many lamps are there?") == ["By category"]
    other = "How many people report to Jonas Novak, directly or through others?"
    assert titles(store, other) == []
    store.add_memory(Memory("Ties", "Give all that tie.", "the most or the fewest of something"))
    asked = "Which of the people reports to most others, directly or through others?"
    assert titles(store, asked) == ["Ties"]


@pytest.mark.parametrize(
    ("question", "negated"),
    [
        ("Which suppliers supply no product at all?", True),
        ("How many employees have no e-mail address?", True),
        ("Which products are no longer supplied?", True),
        ("No orders: which suppliers are these?", True),
        ("Which products cost no more than 50 euros?", False),
        ("Which orders came no later than Monday?", False),
        ("Which shelves are no longer than 2 m?", False),
        ("Who placed order No. 5?", False),
        ("Is it larger? Answer yes or no if you can.", False),
        ("Say no more: which are there?", False),
        ("Who placed order no 5?", False),
        ("Who supplies it, no matter since when?", False),
        ("Who plays the piano?", False),
    ],
)
def test_no_before_a_noun_asks_for_what_is_not(question: str, negated: bool) -> None:
    assert ("negation" in kinds_of(question)) is negated


@pytest.mark.parametrize("k", [0, -1])
def test_none_are_wanted(store: SQLiteMemoryBackend, k: int) -> None:
    store.add_memory(Memory("Agents", "An agent acts."))
    assert store.retrieve("agent", k) == []


def test_searching_writes_nothing(store: SQLiteMemoryBackend) -> None:
    known = store.add_memory(Memory("Agents", "An agent acts."))
    store.retrieve("agent")
    memory = store.get_memory(known)
    assert memory is not None
    assert memory.accessed == 0


def test_names_are_indexed_whole_and_in_parts() -> None:
    assert searchable("ex:hadHTMLPage_count") == "ex hadhtmlpage had html page count"
