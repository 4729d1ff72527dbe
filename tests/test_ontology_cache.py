"""Large ontologies are read once into a store on disk that all share, and that is never trusted."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.lubm import NAMESPACE, write_lubm
from rlm_runtime.cli.app import app
from rlm_runtime.errors import ConfigurationError, OntologyError
from rlm_runtime.ontology import cache, cached_store, loading, open_ontology
from rlm_runtime.ontology.cache import cache_entries, clear_cache, ontologies_folder
from rlm_runtime.ontology.cached_store import distrust
from rlm_runtime.ontology.loading import Loaded, load_path
from rlm_runtime.ontology.search import LabelIndex
from rlm_runtime.ontology.sources import Source

TRIPLES = 3_000


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A graph that counts as large, written long enough ago."""
    monkeypatch.setattr(loading, "IN_MEMORY_BYTES", 10_000)
    path = tmp_path / "graph.nt"
    write_lubm(path, TRIPLES)
    return settled(path)


def settled(path: Path) -> Path:
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def changed(path: Path, text: str) -> None:
    """Add a line, and let the file look as old as before."""
    with path.open("a") as file:
        file.write(text)
    os.utime(path, (1_700_000_001, 1_700_000_001))


def count(loaded: Loaded) -> int:
    return len(loaded.store)


def built() -> list[str]:
    return sorted(entry.key for entry in cache_entries())


def stamp(key: str) -> int:
    return (ontologies_folder() / key / "store").stat().st_ctime_ns


def leftovers() -> list[Path]:
    return list((ontologies_folder() / ".building").glob("*"))


def test_what_is_small_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "graph.nt"
    write_lubm(path, TRIPLES)
    loaded = load_path(path)
    assert (count(loaded), loaded.folder, loaded.labels) == (TRIPLES, None, None)
    assert not ontologies_folder().exists()


def test_what_is_large_is_read_once(large: Path) -> None:
    first = load_path(large)
    (key,) = built()
    when = stamp(key)
    told: list[int] = []
    second = load_path(large, on_progress=lambda done, total: told.append(done))
    assert count(first) == count(second) == TRIPLES
    assert stamp(key) == when
    assert not told
    assert not leftovers()
    assert second.labels is not None
    (match, *_) = LabelIndex.open(second.labels).search("full professor")
    assert match.iri == f"{NAMESPACE}FullProfessor"
    with pytest.raises(RuntimeError, match="read-write"):
        second.store.clear()


def test_a_store_is_found_again_without_reading_the_file(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_path(large)

    def read(self: object) -> str:
        raise AssertionError("the file was read")

    monkeypatch.setattr(Source, "content_key", read)
    assert count(load_path(large)) == TRIPLES


def test_a_file_that_was_just_written_is_read_to_be_sure(large: Path) -> None:
    os.utime(large)
    load_path(large)
    times = large.stat()
    text = large.read_text()
    # Of the same length, and without a new time: only what it holds tells the difference.
    large.write_text(text.replace("Computer", "Komputer").replace("#label", "#lapel"))
    os.utime(large, ns=(times.st_atime_ns, times.st_mtime_ns))
    load_path(large)
    assert len(built()) == 2


def test_a_file_that_changes_before_it_is_built_is_told(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = Source.content_key

    def and_then_it_changed(self: Source) -> str:
        found = key(self)
        changed(large, "<http://e/new> <http://e/p> <http://e/o> .\n")
        return found

    monkeypatch.setattr(Source, "content_key", and_then_it_changed)
    with pytest.raises(OntologyError, match="changed while it was read"):
        load_path(large)
    assert not built()


def test_each_version_has_stores_of_its_own(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_path(large)
    monkeypatch.setattr(cached_store, "_VERSION", 0)
    load_path(large)
    assert len(built()) == 2


def test_a_changed_file_is_read_again_and_a_touched_one_is_not(large: Path) -> None:
    load_path(large)
    os.utime(large, (1_700_000_009, 1_700_000_009))
    load_path(large)
    assert len(built()) == 1
    changed(large, "<http://e/new> <http://e/p> <http://e/o> .\n")
    assert count(load_path(large)) == TRIPLES + 1
    assert len(built()) == 2


def test_prefixes_and_named_graphs_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "IN_MEMORY_BYTES", 10)
    path = tmp_path / "some.trig"
    path.write_text("@prefix e: <http://e/> . e:g { e:a e:p 1, _:b } e:h { e:a e:p 1 } e:a e:p 3 .")
    for _ in range(2):
        loaded = load_path(path)
        assert loaded.prefixes == {"e": "http://e/"}
        query = "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }"
        assert next(iter(loaded.store.query(query)))["n"].value == "3"  # type: ignore[index]
        assert count(loaded) == 6


def test_relative_iris_belong_to_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "IN_MEMORY_BYTES", 10)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "same.ttl"
        path.write_text("<#x> <http://e/p> 1 .")
        assert f"{path.as_uri()}#x" in str(load_path(path).store)


def test_zipped_files_and_folders_count_unzipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "IN_MEMORY_BYTES", 100_000)
    plain = tmp_path / "graph.nt"
    write_lubm(plain, TRIPLES)
    folder = tmp_path / "folder"
    folder.mkdir()
    zipped = folder / "graph.nt.gz"
    zipped.write_bytes(gzip.compress(plain.read_bytes()))
    assert zipped.stat().st_size < 100_000
    told: list[tuple[int, int]] = []
    monkeypatch.setattr("rlm_runtime.ontology.filling._STEP", 1_000)
    loaded = load_path(zipped, on_progress=lambda done, total: told.append((done, total)))
    assert loaded.folder is not None
    size = zipped.stat().st_size
    # What is large is first read, then indexed.
    assert (size, 2 * size) in told
    assert told == sorted(told)
    (folder / "more.ttl").write_text("<http://e/a> <http://e/p> 1 .")
    assert count(load_path(folder)) == TRIPLES + 1
    assert {entry.source for entry in cache_entries()} == {str(zipped), str(folder)}


def test_imports_are_part_of_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "IN_MEMORY_BYTES", 10)
    main, other = tmp_path / "main.ttl", tmp_path / "other.ttl"
    owl = "@prefix owl: <http://www.w3.org/2002/07/owl#> .\n"
    main.write_text(f"{owl}<http://e/main> owl:imports <http://e/other>, <http://e/absent> .")
    other.write_text("<http://e/x> <http://e/p> 1 .")
    settled(main)
    imports = {"http://e/other": other}
    for extra in (0, 0, 1):
        if extra:
            changed(other, "<http://e/y> <http://e/p> 1 .")
        loaded = load_path(main, imports=imports)
        assert count(loaded) == 3 + extra
        assert loaded.unresolved_imports == ("http://e/absent",)
    assert load_path(main).unresolved_imports == ("http://e/absent", "http://e/other")


def _damage(folder: Path, damage: str) -> None:
    data = max((folder / "store").glob("*.sst"), key=lambda file: file.stat().st_size)
    manifest = folder / "manifest.json"
    match damage:
        case "missing":
            data.unlink()
        case "short":
            os.truncate(data, 100)
        case "empty":
            os.truncate(data, 0)
        case "no current":
            (folder / "store" / "CURRENT").unlink()
        case "no manifest":
            manifest.unlink()
        case "torn manifest":
            os.truncate(manifest, 40)
        case "other version":
            told = json.loads(manifest.read_text())
            manifest.write_text(json.dumps({**told, "version": "0/0"}))
        case "no labels":
            (folder / "labels.sqlite").unlink()
        case "noise":
            with data.open("r+b") as file:
                file.seek(-400, os.SEEK_END)
                file.write(random.Random(1).randbytes(400))


@pytest.mark.parametrize(
    "damage",
    [
        *("missing", "short", "empty", "no current", "no manifest", "torn manifest"),
        *("other version", "no labels", "noise"),
    ],
)
def test_what_is_not_whole_is_built_again(large: Path, damage: str) -> None:
    load_path(large)
    (key,) = built()
    when = stamp(key)
    _damage(ontologies_folder() / key, damage)
    loaded = load_path(large)
    assert count(loaded) == TRIPLES
    assert stamp(key) != when
    assert not leftovers()


def test_what_reading_finds_broken_is_built_again_when_it_is_reported(large: Path) -> None:
    loaded = load_path(large)
    (key,) = built()
    when = stamp(key)
    assert distrust(loaded)
    assert not built()
    assert count(load_path(large)) == TRIPLES
    assert stamp(key) != when
    assert not distrust(Loaded(loaded.store))


_OPEN = """
import sys
from pathlib import Path
from rlm_runtime.ontology import filling, loading
loading.IN_MEMORY_BYTES = 10_000
print("ready", flush=True)
sys.stdin.readline()
loaded = loading.load_path(Path(sys.argv[1]), on_progress=None)
print(len(loaded.store), flush=True)
"""
_BUILT = """
import rlm_runtime.ontology.cached_store as cached
fill = cached._fill
def told(*arguments):
    print("builds", flush=True)
    return fill(*arguments)
cached._fill = told
"""
_STUCK = """
import rlm_runtime.ontology.cached_store as cached
fill = cached._fill
def stuck(*arguments):
    facts = fill(*arguments)
    print("stuck", flush=True)
    sys.stdin.readline()
    return facts
cached._fill = stuck
"""


def process(path: Path, extra: str = "") -> subprocess.Popen[str]:
    program = _OPEN.replace('print("ready"', f'{extra}\nprint("ready"')
    return subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_of_two_processes_one_builds_and_both_answer(large: Path) -> None:
    processes = [process(large, _BUILT) for _ in range(3)]
    for one in processes:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    said = [one.communicate("\n", timeout=60)[0].split() for one in processes]
    assert sorted(map(len, said)) == [1, 1, 2]
    assert [words[-1] for words in said] == [str(TRIPLES)] * 3
    assert len(built()) == 1


def test_a_killed_build_leaves_nothing(large: Path) -> None:
    one = process(large, _STUCK)
    assert one.stdin is not None
    assert one.stdout is not None
    one.stdin.write("\n")
    one.stdin.flush()
    assert [one.stdout.readline() for _ in range(2)] == ["ready\n", "stuck\n"]
    assert leftovers()
    # It holds the lock: nobody else takes its half-built store for garbage.
    assert clear_cache() == []
    assert leftovers()
    one.send_signal(signal.SIGKILL)
    one.communicate(timeout=60)
    assert not built()
    assert count(load_path(large)) == TRIPLES
    assert not leftovers()
    # What a killed process left of another ontology goes, too.
    (ontologies_folder() / ".building" / f"{'0' * 64}-1").mkdir()
    clear_cache()
    assert not leftovers()


def test_a_failed_build_leaves_nothing(large: Path) -> None:
    changed(large, "<http://e/broken> .\n")
    for _ in range(2):
        with pytest.raises(OntologyError, match=rf"line {TRIPLES + 1}"):
            load_path(large)
        assert not built()
        assert not leftovers()


@pytest.mark.parametrize(("most", "said"), [(10_000, "is full"), (250_000, "space")])
def test_a_full_disk_is_told(large: Path, most: int, said: str) -> None:
    # No file may grow larger than this, which the system reports much like a full disk.
    program = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, {most}))\n"
    )
    _, errors = process(large, program).communicate("\n", timeout=60)
    assert "OntologyError: " in errors
    assert said in errors
    assert not built()
    assert not leftovers()
    assert count(load_path(large)) == TRIPLES


def test_a_cache_that_cannot_be_written_says_so(
    large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RLM_RUNTIME_HOME", str(tmp_path / "file"))
    with pytest.raises(OntologyError, match=r"cannot be used.*set RLM_RUNTIME_HOME"):
        load_path(large)


def test_a_garbled_memory_of_a_store_is_swept_away(large: Path) -> None:
    known = ontologies_folder() / ".known"
    known.mkdir(parents=True)
    (known / "garbled").write_bytes(b"\xff")
    assert count(load_path(large)) == TRIPLES
    assert not (known / "garbled").exists()


@pytest.mark.parametrize("note", ["", "abc", "../../elsewhere"])
def test_a_wrong_memory_of_a_store_is_written_anew(large: Path, note: str) -> None:
    os.utime(large, (1, 1))
    load_path(large)
    (known,) = (ontologies_folder() / ".known").iterdir()
    right = known.read_text()
    known.write_text(note)
    assert count(load_path(large)) == TRIPLES
    assert known.read_text() == right
    assert [entry.key for entry in cache_entries()] == [right]


def test_those_not_used_for_longest_go_first(
    tmp_path: Path, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / f"{number}.nt" for number in range(3)]
    for seed, path in enumerate(paths):
        write_lubm(path, TRIPLES, seed + 1)
        load_path(settled(path))
    size = cache_entries()[0].size
    for age, path in zip((20, 30, 10), paths, strict=True):
        (entry,) = [entry for entry in cache_entries() if entry.source == str(path)]
        then = time.time() - age
        os.utime(ontologies_folder() / entry.key / "manifest.json", (then, then))
    monkeypatch.setenv("RLM_RUNTIME_CACHE_SIZE", f"{size * 3.5 / 1000:.0f}KB")
    loaded = load_path(large)
    assert [Path(entry.source).name for entry in cache_entries()] == ["graph.nt", "2.nt", "0.nt"]
    monkeypatch.setenv("RLM_RUNTIME_CACHE_SIZE", "0")
    kept = load_path(paths[1])
    assert [entry.source for entry in cache_entries()] == [str(paths[1])]
    # Who has an evicted one open goes on with it.
    assert count(loaded) == count(kept) == TRIPLES
    assert len(list((ontologies_folder() / ".known").iterdir())) == 1


@pytest.mark.parametrize(
    ("text", "size"),
    [("", 20 * 10**9), ("1000", 1000), ("1.5 gb", 15 * 10**8), ("2M", 2 * 10**6), ("7B", 7)],
)
def test_the_size_limit_has_units(text: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.SIZE_VARIABLE, text)
    assert cache.size_limit() == size


@pytest.mark.parametrize("text", ["much", "-1", "1 PB", "GB"])
def test_a_wrong_size_limit_says_so(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.SIZE_VARIABLE, text)
    with pytest.raises(ConfigurationError, match="is no size"):
        cache.size_limit()


def shown(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["ontology", "cache", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_line_lists_and_clears(large: Path) -> None:
    assert json.loads(shown("list", "--json"))["stores"] == []
    assert "(0 stores, 0 B of 20.0 GB" in shown("list")
    load_path(large)
    (told,) = json.loads(shown("list", "--json"))["stores"]
    assert (told["source"], told["triples"]) == (str(large), TRIPLES)
    assert told["size"] == cache_entries()[0].size
    # The end of a long path tells more than its beginning.
    assert f"{str(large)[-40:]}  3,000" in shown("list")
    assert "(0 stores, 0 B)" in shown("clear", "--older-than", "1d")
    removed = json.loads(shown("clear", "--older-than", "0s", "--json"))["removed"]
    assert [one["key"] for one in removed] == [told["key"]]
    assert not built()
    result = CliRunner().invoke(app, ["ontology", "cache", "clear", "--older-than", "long"])
    assert result.exit_code == 2


def test_a_large_ontology_answers_through_its_worker(tmp_path: Path) -> None:
    path = tmp_path / "graph.nt"
    write_lubm(path, 80_000)
    assert path.stat().st_size > loading.IN_MEMORY_BYTES
    told: list[int] = []
    with open_ontology(settled(path), on_progress=lambda done, _: told.append(done)) as ontology:
        (row,) = ontology.select("SELECT (COUNT(*) AS ?n) { ?s ?p ?o }").rows
        assert row["n"] == 80_000
        assert ontology.search("asociate professor")[0].iri == f"{NAMESPACE}AssociateProfessor"
    assert told == sorted(told)
    assert told
    (key,) = built()
    assert len(list(ontologies_folder().glob("[0-9a-f]*"))) == 1
    shutil.rmtree(ontologies_folder() / key)
