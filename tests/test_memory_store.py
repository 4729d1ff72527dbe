"""What the SQLite store of memories keeps, counts and refuses."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from rlm_runtime.errors import MemoryStoreError
from rlm_runtime.memory.protocol import (
    Judgment,
    Memory,
    MemoryBackend,
    MemoryFilters,
    MemoryUsage,
    Retrieved,
    StoredRun,
    StoreStats,
    Trajectory,
)
from rlm_runtime.memory.sqlite import SQLiteMemoryBackend
from rlm_runtime.types import Step

COUNT = Memory("Count", "Use COUNT(DISTINCT ?x).", tags=("sparql", "count"))
LABEL = Memory("Label", "Ask for rdfs:label.", kind="exemplar", source="success", ontology="prov")


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SQLiteMemoryBackend]:
    path = tmp_path / "memories.db" if request.param == "file" else ":memory:"
    with SQLiteMemoryBackend(path) as opened:
        yield opened


def given(store: MemoryBackend, run_id: str, *memories: Memory) -> None:
    store.add_run(StoredRun(run_id, "How many?", "prov"))
    store.record_usage(run_id, [Retrieved(memory, 1.0) for memory in memories])


def memory(store: MemoryBackend, memory_id: str) -> Memory:
    found = store.get_memory(memory_id)
    assert found is not None
    return found


def test_a_store_is_a_memory_backend(store: SQLiteMemoryBackend) -> None:
    assert isinstance(store, MemoryBackend)


def test_a_memory_comes_back_as_it_was(store: SQLiteMemoryBackend) -> None:
    whole = Memory(
        title="Naïve 東京 \0",
        content="a\nb",
        description="When counting",
        kind="exemplar",
        source="failure",
        ontology="prov",
        query="How many?",
        level=3,
        tags=("a", "b"),
        run_id="r",
        created_at="2026-01-02T03:04:05.000006Z",
        accessed=1,
        succeeded=2,
        failed=3,
        retired=True,
    )
    assert store.add_memory(whole) == whole.memory_id
    assert store.get_memory(whole.memory_id) == whole


def test_text_that_utf8_has_no_form_for_keeps_its_memory_the_same(
    store: SQLiteMemoryBackend,
) -> None:
    odd = Memory("a\ud800", "b\udfff", tags=("\ud801",))
    assert store.add_memory(odd) == odd.memory_id
    found = memory(store, odd.memory_id)
    assert (found.title, found.content, found.tags) == ("a\\ud800", "b\\udfff", ("\\ud801",))
    assert found.memory_id == odd.memory_id
    store.add_memory(found)
    assert len(list(store.get_all_memories())) == 1


def test_adding_a_memory_again_keeps_its_counts_and_adds_its_tags(
    store: SQLiteMemoryBackend,
) -> None:
    known = store.add_memory(COUNT)
    store.update_memory_stats(known, accessed=2, success=1)
    again = Memory(COUNT.title, f" {COUNT.content}\n", description="other", tags=("new",))
    assert store.add_memory(again) == known
    found = memory(store, known)
    assert (found.accessed, found.succeeded, found.description) == (2, 1, "")
    assert found.tags == ("count", "new", "sparql")
    assert store.get_stats().memories == 1


def test_a_memory_of_unknown_time_gets_that_of_its_adding(store: SQLiteMemoryBackend) -> None:
    known = store.add_memory(COUNT)
    assert memory(store, known).created_at.endswith("Z")


def test_what_is_not_there_is_none(store: SQLiteMemoryBackend) -> None:
    assert store.get_memory("no") is None
    assert not store.has_memory("no")
    assert store.get_trajectory("no") is None
    assert store.get_judgment("no") is None
    assert store.get_usage_for_trajectory("no") == []
    assert store.get_usage_for_memory("no") == []
    assert list(store.get_all_memories()) == []
    assert store.get_stats() == StoreStats()


@pytest.mark.parametrize(
    ("filters", "titles"),
    [
        (None, "a b c"),
        (MemoryFilters(), "a b c"),
        (MemoryFilters(retired=True), "a b c d"),
        (MemoryFilters(ontology="prov"), "a b"),
        (MemoryFilters(ontology="other"), "a c"),
        (MemoryFilters(ontology="third"), "a"),
        (MemoryFilters(tags=("x",)), "a b"),
        (MemoryFilters(tags=("x", "y")), "b"),
        (MemoryFilters(kind="exemplar"), "c"),
        (MemoryFilters(source="failure"), "b"),
        (MemoryFilters(query="How many?"), "c"),
        (MemoryFilters(query="How"), ""),
        (MemoryFilters(min_success_rate=0.5), "a b"),
        (MemoryFilters(min_success_rate=0.8), "a"),
        (MemoryFilters(min_success_rate=0.0, tags=("y",), source="human"), ""),
        (MemoryFilters(level=5), "a b c"),
    ],
)
def test_only_memories_that_pass_are_given_oldest_first(
    store: SQLiteMemoryBackend, filters: MemoryFilters | None, titles: str
) -> None:
    when = "2026-01-0{}T00:00:00.000000Z".format
    store.add_memory(Memory("d", "", retired=True, created_at=when(4)))
    store.add_memory(
        Memory(
            "c",
            "",
            kind="exemplar",
            ontology="other",
            query="How many?",
            failed=1,
            created_at=when(3),
        )
    )
    store.add_memory(Memory("a", "", tags=("x",), created_at=when(1)))
    store.add_memory(
        Memory(
            "b",
            "",
            ontology="prov",
            source="failure",
            tags=("y", "x"),
            succeeded=3,
            failed=1,
            created_at=when(2),
        )
    )
    assert [found.title for found in store.get_all_memories(filters)] == titles.split()


def test_all_memories_are_given_while_others_are_added(store: SQLiteMemoryBackend) -> None:
    when = "2026-01-01T00:00:00.000000Z"
    wanted = {store.add_memory(Memory(str(n), "", created_at=when)) for n in range(1203)}
    seen = []
    for found in store.get_all_memories():
        seen.append(found.memory_id)
        if len(seen) == 700:
            store.add_memory(Memory("older", "", created_at="2025-01-01T00:00:00.000000Z"))
    assert len(seen) == 1203
    assert set(seen) == wanted


def test_a_run_and_its_trajectory_are_kept_once(store: SQLiteMemoryBackend) -> None:
    run = StoredRun("r", "How many?", "prov", metadata={"seen": {2, 1}})
    assert store.add_run(run)
    assert not store.add_run(StoredRun("r", "another", "other"))
    steps = (Step("think", "print(1)", "1\n"), Step("", "1/0", "", "ZeroDivisionError, line 1"))
    whole = Trajectory("r", steps, "1", "SELECT *", ["http://a/b"])
    assert store.add_trajectory(whole)
    assert not store.add_trajectory(Trajectory("r", (), "other"))
    assert store.get_trajectory("r") == whole
    assert store.get_stats() == StoreStats(runs=1, trajectories=1)


def test_evidence_that_is_not_json_is_kept_in_words(store: SQLiteMemoryBackend) -> None:
    cycle: list[object] = [date(2026, 1, 2)]
    cycle.append(cycle)
    store.add_run(StoredRun("r", "q\ud800", "prov", metadata={"when": date(2026, 1, 2)}))
    store.add_trajectory(Trajectory("r", (), "a\ud800", "", [{"b", "a"}, cycle, b"\xff", "\ud800"]))
    found = store.get_trajectory("r")
    assert found is not None
    assert found.answer == "a\\ud800"
    assert found.evidence == [["a", "b"], ["2026-01-02", "<cycle>"], "b'\\xff'", "\ud800"]


def test_a_trajectory_is_found_by_the_latest_of_its_runs(store: SQLiteMemoryBackend) -> None:
    for run_id, day in (("new", 3), ("old", 1), ("unfinished", 4)):
        when = f"2026-01-0{day}T00:00:00.000000Z"
        store.add_run(StoredRun(run_id, "?", "prov", trajectory_id="t", created_at=when))
    for run_id in ("new", "old"):
        store.add_trajectory(Trajectory(run_id, answer=run_id))
        store.add_judgment(Judgment(run_id, True, run_id))
    trajectory, judgment = store.get_trajectory("t"), store.get_judgment("t")
    assert trajectory is not None
    assert judgment is not None
    assert (trajectory.answer, judgment.reason) == ("new", "new")
    first = store.get_trajectory("old")
    assert first is not None
    assert first.answer == "old"


@pytest.mark.parametrize(
    "add",
    [
        lambda store: store.add_trajectory(Trajectory("no")),
        lambda store: store.add_judgment(Judgment("no", True)),
        lambda store: store.update_memory_stats("no", accessed=1),
        lambda store: store.set_retired("no", True),
    ],
)
def test_what_belongs_to_nothing_is_refused(
    store: SQLiteMemoryBackend, add: Callable[[SQLiteMemoryBackend], object]
) -> None:
    with pytest.raises(MemoryStoreError, match=r"There is no .* no .*add it first"):
        add(store)
    assert store.get_stats() == StoreStats()


def test_a_judgment_counts_once_for_each_memory_that_its_run_had(
    store: SQLiteMemoryBackend,
) -> None:
    count, label = store.add_memory(COUNT), store.add_memory(LABEL)
    given(store, "r1", COUNT, LABEL)
    given(store, "r1", COUNT, LABEL)
    given(store, "r2", COUNT)
    assert store.add_judgment(Judgment("r1", True, "Right.", 0.75, "rules", "2026"))
    assert not store.add_judgment(Judgment("r1", False))
    assert store.add_judgment(Judgment("r2", False))
    assert store.get_judgment("r1") == Judgment("r1", True, "Right.", 0.75, "rules", "2026")
    counts = [
        (m.accessed, m.succeeded, m.failed) for m in map(store.get_memory, (count, label)) if m
    ]
    assert counts == [(2, 1, 1), (1, 1, 0)]
    assert store.get_usage_for_trajectory("r1") == [
        MemoryUsage(count, "r1", 1, 1.0, True),
        MemoryUsage(label, "r1", 2, 1.0, True),
    ]
    assert [(use.run_id, use.success) for use in store.get_usage_for_memory(count)] == [
        ("r1", True),
        ("r2", False),
    ]


def test_usage_that_is_told_after_the_judgment_counts_as_well(store: SQLiteMemoryBackend) -> None:
    known = store.add_memory(COUNT)
    store.add_run(StoredRun("r", "?", "prov"))
    store.add_judgment(Judgment("r", False))
    for _ in range(2):
        given(store, "r", COUNT)
    assert (memory(store, known).accessed, memory(store, known).failed) == (1, 1)
    assert [use.success for use in store.get_usage_for_trajectory("r")] == [False]


def test_usage_of_a_memory_that_is_gone_is_passed_over(store: SQLiteMemoryBackend) -> None:
    known = store.add_memory(COUNT)
    given(store, "r", LABEL, COUNT)
    assert store.get_usage_for_trajectory("r") == [MemoryUsage(known, "r", 2, 1.0)]


def test_usage_is_told_for_all_runs_of_a_trajectory(store: SQLiteMemoryBackend) -> None:
    store.add_memory(COUNT)
    for run_id in ("r1", "r2"):
        store.add_run(StoredRun(run_id, "?", "prov", trajectory_id="t"))
        store.record_usage(run_id, [Retrieved(COUNT, 1.0)])
    assert [use.run_id for use in store.get_usage_for_trajectory("t")] == ["r1", "r2"]


@pytest.mark.parametrize(
    ("success", "failure", "retired"),
    [(0, 3, False), (0, 4, True), (2, 2, False), (1, 3, True), (3, 4, True), (4, 3, False)],
)
def test_what_misled_in_most_of_enough_runs_is_retired(
    store: SQLiteMemoryBackend, success: int, failure: int, retired: bool
) -> None:
    known = store.add_memory(COUNT)
    for kind, times in ((True, success), (False, failure)):
        for n in range(times):
            run_id = f"{kind}{n}"
            given(store, run_id, COUNT)
            store.add_judgment(Judgment(run_id, kind))
    assert memory(store, known).retired is retired
    counted = store.add_memory(LABEL)
    store.update_memory_stats(counted, success=success, failure=failure)
    assert memory(store, counted).retired is retired


def test_a_retired_memory_can_be_taken_back(store: SQLiteMemoryBackend) -> None:
    known = store.add_memory(COUNT)
    store.update_memory_stats(known, failure=4)
    store.set_retired(known, False)
    store.update_memory_stats(known, accessed=1, success=1)
    assert not memory(store, known).retired
    store.set_retired(known, True)
    assert memory(store, known).retired


def test_stats_tell_what_there_is(store: SQLiteMemoryBackend) -> None:
    store.add_memory(COUNT)
    store.add_memory(LABEL)
    store.set_retired(store.add_memory(Memory("old", "old")), True)
    given(store, "r1", COUNT, LABEL)
    given(store, "r2")
    store.add_trajectory(Trajectory("r1"))
    store.add_judgment(Judgment("r1", True))
    store.add_judgment(Judgment("r2", False))
    assert store.get_stats() == StoreStats(
        runs=2,
        trajectories=1,
        judgments=2,
        succeeded=1,
        memories=2,
        retired=1,
        usages=2,
        by_kind={"exemplar": 1, "strategy": 1},
        by_source={"human": 1, "success": 1},
        by_ontology={"": 1, "prov": 1},
    )


def test_a_memory_is_found_by_its_words_and_its_tags(store: SQLiteMemoryBackend) -> None:
    known = store.add_memory(COUNT)
    store.add_memory(LABEL)
    store.add_memory(Memory(COUNT.title, COUNT.content, tags=("cardinality",)))
    for task in ("Count them", "cardinality"):
        assert store.retrieve(task)[0].memory.memory_id == known
    store.set_retired(known, True)
    assert known not in {found.memory.memory_id for found in store.retrieve("Count them")}


def test_a_store_outlives_its_object(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folders" / "memories.db"
    with SQLiteMemoryBackend(str(path)) as store:
        known = store.add_memory(COUNT)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    assert [file.name for file in path.parent.iterdir()] == ["memories.db"]
    with SQLiteMemoryBackend(path) as store:
        assert store.has_memory(known)
        assert store.path == str(path)


def test_a_closed_store_says_so(store: SQLiteMemoryBackend) -> None:
    store.close()
    store.close()
    with pytest.raises(MemoryStoreError, match="closed"):
        store.get_stats()


def test_a_number_that_sqlite_cannot_hold_changes_nothing(store: SQLiteMemoryBackend) -> None:
    known = store.add_memory(COUNT)
    with pytest.raises(MemoryStoreError, match=r"Cannot count for a memory .* One of the values"):
        store.update_memory_stats(known, accessed=2**70)
    store.update_memory_stats(known, accessed=1)
    assert memory(store, known).accessed == 1


def test_a_score_that_is_no_number_is_not_passed_over(store: SQLiteMemoryBackend) -> None:
    store.add_memory(COUNT)
    with pytest.raises(MemoryStoreError, match="One of the values"):
        store.record_usage("r", [Retrieved(COUNT, float("nan"))])
    assert store.get_usage_for_trajectory("r") == []


def test_a_judgment_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "memories.db"
    with SQLiteMemoryBackend(path) as store:
        known = store.add_memory(COUNT)
        given(store, "r", COUNT)
        with sqlite3.connect(path) as db:
            db.execute(
                "CREATE TRIGGER broken BEFORE UPDATE OF success ON memory_usage"
                " BEGIN SELECT raise(FAIL, 'disk on fire'); END"
            )
        with pytest.raises(MemoryStoreError, match=r"add a judgment .* disk on fire"):
            store.add_judgment(Judgment("r", True))
        assert store.get_judgment("r") is None
        assert memory(store, known).succeeded == 0


@pytest.mark.parametrize("content", [b"Title: my notes\n" * 100, b"SQLite format 3\0" + b"x" * 500])
def test_a_file_that_is_no_database_is_refused_and_stays(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(MemoryStoreError, match=r"notes\.txt.* Give the path of"):
        SQLiteMemoryBackend(path)
    assert path.read_bytes() == content


def test_a_path_that_cannot_be_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MemoryStoreError, match="Check the path"):
        SQLiteMemoryBackend(tmp_path / "a\0b")
    with pytest.raises(MemoryStoreError, match=r"Cannot open the memory store .* Check the path"):
        SQLiteMemoryBackend(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(MemoryStoreError, match="Check the path"):
        SQLiteMemoryBackend(tmp_path / "file" / "memories.db")


def test_after_a_fork_both_processes_use_the_store(tmp_path: Path) -> None:
    path = tmp_path / "memories.db"
    with SQLiteMemoryBackend(path) as store, SQLiteMemoryBackend(":memory:") as other:
        store.add_memory(COUNT)
        child = os.fork()
        if child == 0:
            try:
                other.add_memory(LABEL)
                store.add_memory(LABEL)
                store.close()
            finally:
                os._exit(0)
        store.add_memory(Memory("parent", "parent"))
        os.waitpid(child, 0)
        assert {found.title for found in store.get_all_memories()} == {"Count", "Label", "parent"}
        assert other.get_stats().memories == 0


def test_a_child_that_outlives_its_parents_store_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "memories.db"
    store = SQLiteMemoryBackend(path)
    store.add_memory(COUNT)
    child_hears, parent_tells = os.pipe()
    parent_hears, child_tells = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            store.get_stats()
            os.write(child_tells, b"open")
            os.read(child_hears, 4)
            store.add_memory(LABEL)
        finally:
            os._exit(0)
    os.read(parent_hears, 4)
    store.close()
    os.write(parent_tells, b"shut")
    os.waitpid(child, 0)
    for end in (child_hears, parent_tells, parent_hears, child_tells):
        os.close(end)
    with SQLiteMemoryBackend(path) as again:
        assert {found.title for found in again.get_all_memories()} == {"Count", "Label"}
