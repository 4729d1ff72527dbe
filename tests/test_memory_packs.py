"""Packs of memories: the same bytes for the same memories, and nothing taken in unseen."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_runtime.errors import ConfigurationError, MemoryStoreError
from rlm_runtime.folders import state_folder
from rlm_runtime.memory import Memory, MemoryFilters, SQLiteMemoryBackend
from rlm_runtime.memory.location import memory_path
from rlm_runtime.memory.packs import (
    pack_changes,
    pack_lines,
    read_packs,
    unfit,
    without_history,
    write_pack,
)

COUNT = Memory(
    "Count",
    "Use COUNT(DISTINCT ?x).",
    tags=("count", "sparql"),
    created_at="2026-01-02T03:04:05.000006Z",
)
WHOLE = Memory(
    title="Naïve 東京 \u2028",
    content="a\nb",
    description="When counting",
    kind="exemplar",
    source="failure",
    ontology="prov",
    query="How many?",
    level=3,
    tags=("a", "b"),
    run_id="r",
    created_at="2026-01-02T03:04:05Z",
    accessed=9,
    succeeded=2,
    failed=3,
    retired=True,
)


def store_of(*memories: Memory) -> SQLiteMemoryBackend:
    store = SQLiteMemoryBackend(":memory:")
    store.add_memories(memories)
    return store


def every(store: SQLiteMemoryBackend) -> dict[str, Memory]:
    return {one.memory_id: one for one in store.get_all_memories(MemoryFilters(retired=True))}


def pack(path: Path, *lines: dict[str, Any] | str, version: object = 1) -> Path:
    header = {"format": "rlm-runtime-memories", "version": version}
    told = [line if isinstance(line, str) else json.dumps(line) for line in (header, *lines)]
    path.write_text("".join(f"{line}\n" for line in told))
    return path


def test_a_pack_gives_back_what_was_written(tmp_path: Path) -> None:
    write_pack(tmp_path / "new" / "pack.jsonl", [WHOLE, COUNT])
    read = {one.memory_id: one for one in read_packs([tmp_path / "new" / "pack.jsonl"])}
    assert read == {COUNT.memory_id: COUNT, WHOLE.memory_id: WHOLE}
    assert [one.name for one in (tmp_path / "new").iterdir()] == ["pack.jsonl"]


def test_the_same_memories_give_the_same_bytes_wherever_they_were(tmp_path: Path) -> None:
    here, there = store_of(WHOLE, COUNT), store_of(COUNT)
    write_pack(tmp_path / "a", every(here).values())
    there.add_memories(read_packs([tmp_path / "a"]))
    write_pack(tmp_path / "b", every(there).values())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert b"\r" not in (tmp_path / "a").read_bytes()


def test_a_new_memory_is_one_new_line() -> None:
    many = [replace(COUNT, title=f"Count {number}") for number in range(9)]
    before, after = [*pack_lines(many)], [*pack_lines([WHOLE, *many[::-1]])]
    assert len(after) == 11
    assert [line for line in after if line in before] == before
    assert after[1:] == sorted(after[1:])
    keys = [*json.loads([*pack_lines([WHOLE])][1])]
    assert keys[:4] == ["memory_id", "title", "description", "content"]


def test_what_happened_here_stays_here_unless_it_is_wanted() -> None:
    used = replace(COUNT, accessed=5, succeeded=4, failed=1)
    assert [*pack_lines([without_history(used)])] == [*pack_lines([COUNT])]
    told = json.loads([*pack_lines([used])][1])
    assert (told["accessed"], told["succeeded"], told["failed"]) == (5, 4, 1)


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(str.strip)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(texts, texts, st.sets(texts, max_size=3), st.integers(1, 5))))
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, drawn: list[Any]) -> None:
    memories = {
        one.memory_id: one
        for one in (
            Memory(title, content, tags=tuple(sorted(tags)), level=level)
            for title, content, tags, level in drawn
        )
    }
    path = tmp_path_factory.mktemp("pack") / "pack.jsonl"
    write_pack(path, memories.values())
    assert {one.memory_id: one for one in read_packs([path])} == memories


def test_importing_twice_doubles_nothing(tmp_path: Path) -> None:
    write_pack(tmp_path / "pack", [replace(COUNT, accessed=2, succeeded=2), WHOLE])
    store = store_of(replace(COUNT, tags=("mine",), accessed=7, succeeded=1))
    read = read_packs([tmp_path / "pack"])
    changes = pack_changes(store, read)
    assert [len(group) for group in (changes.added, changes.tagged, changes.same)] == [1, 1, 0]
    store.add_memories(read)
    once = every(store)
    assert once[COUNT.memory_id].tags == ("count", "mine", "sparql")
    assert (once[COUNT.memory_id].accessed, once[COUNT.memory_id].succeeded) == (7, 1)
    assert once[WHOLE.memory_id] == WHOLE
    store.add_memories(read)
    assert every(store) == once
    assert len(pack_changes(store, read).same) == 2
    assert store.retrieve("sparql", 3)[0].memory.memory_id == COUNT.memory_id


def test_a_memory_of_two_packs_is_read_once_with_all_its_tags(tmp_path: Path) -> None:
    write_pack(tmp_path / "a", [COUNT])
    write_pack(tmp_path / "b", [replace(COUNT, tags=("other",)), WHOLE])
    read = read_packs([tmp_path / "a", tmp_path / "b"])
    assert [one.tags for one in read if one.title == "Count"] == [("count", "other", "sparql")]
    assert len(read) == 2


def test_what_editors_and_git_do_to_lines_does_no_harm(tmp_path: Path) -> None:
    lines = [*pack_lines([COUNT, WHOLE])]
    path = tmp_path / "pack"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([lines[0], "", *lines[:0:-1]]).encode())
    assert {one.memory_id for one in read_packs([path])} == {COUNT.memory_id, WHOLE.memory_id}


def test_a_line_that_a_person_wrote_needs_no_id(tmp_path: Path) -> None:
    path = pack(tmp_path / "pack", {"title": "Count", "content": "Use COUNT(DISTINCT ?x)."})
    (read,) = read_packs([path])
    assert (read.memory_id, read.source) == (COUNT.memory_id, "human")


GOOD = {"title": "T", "content": "C"}
BROKEN: list[tuple[dict[str, Any] | str, str]] = [
    ('{"title": "T", "content"', "Invalid JSON"),
    ("[1]", "should be an object"),
    ({"title": "T"}, "content: Field required"),
    ({**GOOD, "title": " "}, "title: it is blank"),
    ({**GOOD, "title": "T" * 201}, "title: String should have at most 200 characters"),
    ({**GOOD, "content": "C" * 4001}, "content: String should have at most 4000 characters"),
    ({**GOOD, "kind": "hint"}, "kind: Input should be 'strategy' or 'exemplar'"),
    ({**GOOD, "source": 3}, "source: "),
    ({**GOOD, "level": 6}, "level: "),
    ({**GOOD, "level": "3"}, "level: "),
    ({**GOOD, "tags": "sparql"}, "tags: "),
    ({**GOOD, "tags": [""]}, "tags.0: "),
    ({**GOOD, "accessed": -1}, "accessed: "),
    ({**GOOD, "failed": 2**60}, "failed: "),
    ({**GOOD, "succeeded": True}, "succeeded: "),
    ({**GOOD, "created_at": "yesterday"}, "created_at: "),
    ({**GOOD, "colour": "red"}, "colour: Extra inputs"),
    ({**GOOD, "memory_id": "0" * 16}, "title and content give"),
    ('{"title": "\\ud800", "content": "C"}', "Invalid JSON"),
    ("<<<<<<< HEAD", "a merge in git that is not resolved"),
    ('{"title": ' + "[" * 100_000, "title: |Invalid JSON"),
    ("x" * 1_000_001, "too long"),
]


@pytest.mark.parametrize(("line", "says"), BROKEN, ids=[says for _, says in BROKEN])
def test_a_wrong_line_is_named_and_nothing_is_read(
    tmp_path: Path, line: dict[str, Any] | str, says: str
) -> None:
    path = pack(tmp_path / "pack.jsonl", GOOD, line, {**GOOD, "title": "Z"})
    with pytest.raises(MemoryStoreError) as caught:
        read_packs([path])
    message = str(caught.value)
    assert message.startswith(f"{path}, line 3: ")
    assert any(one in message for one in says.split("|"))
    assert message.endswith("Nothing was imported.")


def test_what_is_no_utf8_is_a_wrong_line(tmp_path: Path) -> None:
    path = pack(tmp_path / "pack", GOOD)
    path.write_bytes(path.read_bytes() + b'{"title": "\xff", "content": "C"}\n')
    with pytest.raises(MemoryStoreError, match="line 3: "):
        read_packs([path])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1: It is not the first line of a pack"),
        ('{"event": "run_start"}\n', "'rlm-runtime memory export' has written"),
        ("[]\n", "line 1: "),
        ("[" * 100_000, "line 1: "),
        ('{"format": "rlm-runtime-memories", "version": 2}\n', "version 2, and 1 is .* Update"),
        ('{"format": "rlm-runtime-memories"}\n', "version None"),
    ],
)
def test_what_is_no_pack_of_a_known_version_is_refused(
    tmp_path: Path, text: str, says: str
) -> None:
    (tmp_path / "pack").write_text(text)
    with pytest.raises(MemoryStoreError, match=says):
        read_packs([tmp_path / "pack"])


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(MemoryStoreError, match=r"no\.jsonl cannot be read.*Check the path"):
        read_packs([tmp_path / "no.jsonl"])
    (tmp_path / "file").touch()
    with pytest.raises(MemoryStoreError, match="cannot be written"):
        write_pack(tmp_path / "file" / "pack", [COUNT])


@pytest.mark.parametrize(
    ("memory", "says"),
    [
        (replace(COUNT, content="C" * 4001), "content: String should have at most 4000"),
        (replace(COUNT, query="Ask https://me:swordfish@host/"), "query seems to hold a secret"),
        (replace(COUNT, title="\ud800"), "Invalid JSON"),
        (COUNT, None),
        (WHOLE, None),
    ],
)
def test_what_must_not_be_in_a_pack_is_told(memory: Memory, says: str | None) -> None:
    told = unfit(memory)
    assert told is None if says is None else says in str(told)


def test_adding_many_is_all_or_nothing() -> None:
    store = store_of(COUNT)
    broken = replace(COUNT, title="Broken", accessed=2**70)
    with pytest.raises(MemoryStoreError):
        store.add_memories([replace(COUNT, title="Other"), broken])
    assert [*every(store)] == [COUNT.memory_id]
    assert store.add_memories([]) == []


def test_deleting_takes_all_that_belongs_to_a_memory() -> None:
    store = store_of(COUNT, WHOLE)
    store.record_usage("r", store.retrieve("count", 1))
    assert store.delete_memories([COUNT.memory_id, COUNT.memory_id, "nobody"]) == 1
    assert [*every(store)] == [WHOLE.memory_id]
    assert store.retrieve("count", 3) == []
    assert store.get_usage_for_memory(COUNT.memory_id) == []


# Where memories are kept


def test_the_path_is_what_is_said_then_the_variable_then_the_setting_then_a_place_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    monkeypatch.delenv("RLM_RUNTIME_MEMORY", raising=False)
    assert memory_path() == state_folder() / "memory.db"
    (tmp_path / "rlm.toml").write_text('memory = "kept/memory.db"')
    assert memory_path() == tmp_path / "kept" / "memory.db"
    monkeypatch.setenv("RLM_RUNTIME_MEMORY", "mine.db")
    assert memory_path() == tmp_path / "below" / "mine.db"
    assert memory_path("given.db") == tmp_path / "below" / "given.db"
    (tmp_path / "rlm.toml").write_text("memory = 3")
    assert memory_path() == tmp_path / "below" / "mine.db"
    monkeypatch.delenv("RLM_RUNTIME_MEMORY")
    with pytest.raises(ConfigurationError, match=r'memory is .* int.*memory = "memory.db"'):
        memory_path()


@pytest.fixture(autouse=True)
def _no_leftovers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RLM_RUNTIME_MEMORY", raising=False)
