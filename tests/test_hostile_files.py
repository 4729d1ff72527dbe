"""Files that attack end in a clear error, or are loaded rightly, in bounded time and memory."""

from __future__ import annotations

import gzip
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from rlm_runtime.errors import OntologyError
from rlm_runtime.ontology import open_ontology, rdf_bytes
from rlm_runtime.ontology.loading import load_path

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XML = f'<rdf:RDF xmlns:rdf="{RDF}" xmlns="http://e/" xmlns:e="http://e/">'
END = "</rdf:RDF>"
DEEP = 100_000
LONG = 20_000_000


def refusal(path: Path) -> str:
    """Open what is refused, and give the message."""
    with pytest.raises(OntologyError) as caught:
        open_ontology(path)
    message = str(caught.value)
    assert str(path) in message
    assert len(message) < 1_000
    return message


def count(path: Path) -> object:
    with open_ontology(path) as ontology:
        return ontology.select("SELECT (COUNT(*) AS ?n) { ?s ?p ?o }").rows[0]["n"]


def _terms(depth: int) -> str:
    return "<<( <http://e/a> <http://e/p> " * depth + "<http://e/a>" + " )>>" * depth


REFUSED: dict[str, tuple[str, Callable[[], str | bytes], str]] = {
    "triples in triples": ("a.ttl", lambda: f"<http://e/a> <http://e/p> {_terms(DEEP)} .", "nests"),
    "triples in triples, lines": (
        "a.nt",
        lambda: (
            f"<http://e/a> <http://e/p> <http://e/o> .\n<http://e/a> <http://e/p> "
            f"{_terms(DEEP)} .\n"
        ),
        "nests",
    ),
    "triples about triples": (
        "a.ttl",
        lambda: "<< " * DEEP + "<http://e/a>" + " <http://e/p> 1 >>" * DEEP + " <http://e/p> 1 .",
        "nests",
    ),
    "deep JSON": ("a.jsonld", lambda: '{"@type": "x", "p": ' + '{"p": ' * DEEP, "nests values"),
    "deep JSON lists": ("a.jsonld", lambda: '[{"@id": "x"}, ' + "[" * DEEP, "nests values"),
    "endless literal": ("a.ttl", lambda: '<http://e/a> <http://e/p> "' + "x" * LONG, "too large"),
    "endless long literal": (
        "a.ttl",
        lambda: '<http://e/a> <http://e/p> """' + "x\n" * (LONG // 2),
        "too large",
    ),
    "endless IRI": ("a.nt", lambda: "<http://e/" + "x" * LONG, "too large"),
    "endless comment": ("a.ttl", lambda: "#" + "x" * LONG + "\n<http://e/a> a 1 .", "too large"),
    "endless prefix": ("a.ttl", lambda: "@prefix " + "x" * (LONG // 10), "broken Turtle"),
    "endless JSON text": ("a.jsonld", lambda: '{"@id": "' + "x" * LONG, "too large"),
    "endless tag": ("a.rdf", lambda: f"{XML}<" + "x" * LONG, "cut off"),
    "external entity": (
        "a.rdf",
        lambda: f'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>{XML}<e:A e:p="&x;"/>{END}',
        "DOCTYPE",
    ),
    "parameter entity": (
        "a.rdf",
        lambda: f'<!DOCTYPE r [<!ENTITY % x "<!ENTITY y \'z\'>"> %x;]>{XML}<e:A e:p="&y;"/>{END}',
        "DOCTYPE",
    ),
    "long entity": (
        "a.rdf",
        lambda: f'<!DOCTYPE r [<!ENTITY x "{"x" * 5_000}">]>{XML}<e:A e:p="{"&x;" * 9}"/>{END}',
        "entity",
    ),
    "invalid UTF-8": ("a.ttl", lambda: b'<http://e/a> <http://e/p> "\xff\xfe\x00\xd8" .', "binary"),
    "invalid UTF-8 far behind": (
        "a.ttl",
        lambda: b"<http://e/a> <http://e/p> 1 .\n" * 9_000 + b'<http://e/a> <http://e/p> "\xc3" .',
        "UTF-8",
    ),
    "overlong UTF-8": ("a.nt", lambda: b'<http://e/a> <http://e/p> "\xc0\xaf" .\n', "UTF-8"),
    "half a character": ("a.ttl", lambda: '<http://e/a> <http://e/p> "\\uD800" .', "broken Turtle"),
    "zero bytes": ("a.ttl", lambda: b"\0" * 100_000, "binary data"),
    "zero bytes in a text": ("a.ttl", lambda: '<http://e/a> <http://e/p> "a\0b" .', "binary data"),
    "torn gzip": ("a.nt.gz", lambda: gzip.compress(os.urandom(90_000))[:50_000], "broken gzip"),
    "gzip and garbage": ("a.nt.gz", lambda: gzip.compress(b"# x\n") + b"garbage", "broken gzip"),
    "gzip in gzip": ("a.nt.gz", lambda: gzip.compress(gzip.compress(b"# x\n" * 99)), "not"),
    "gzip bomb": ("a.nt.gz", lambda: gzip.compress(b"\n" * 30_000_000), "200 times"),
    "gzip bomb of comments": ("a.ttl.gz", lambda: gzip.compress(b"#x\n" * 9_000_000), "200 times"),
    "rules": ("a.n3", lambda: "{ ?x a ?y } => { ?y a ?x } ." * 1_000, "formulas"),
}


@pytest.mark.parametrize("attack", REFUSED)
def test_it_is_refused(tmp_path: Path, attack: str) -> None:
    name, content, part = REFUSED[attack]
    made = content()
    path = tmp_path / name
    path.write_bytes(made.encode() if isinstance(made, str) else made)
    assert part in refusal(path)


LOADED: dict[str, tuple[str, Callable[[], str], int]] = {
    "lists in lists": (
        "a.ttl",
        lambda: "<http://e/a> <http://e/p> " + "(" * DEEP + ")" * DEEP + " .",
        2 * DEEP - 1,
    ),
    "nodes in nodes": (
        "a.ttl",
        lambda: "<http://e/a> <http://e/p> " + "[ <http://e/p> " * DEEP + "1" + "]" * DEEP + " .",
        DEEP + 1,
    ),
    "annotations of annotations": (
        "a.ttl",
        lambda: "<http://e/a> <http://e/p> 1 " + "{| <http://e/p> 1 " * 500 + "|}" * 500 + " .",
        1_001,
    ),
    "a long list": ("a.ttl", lambda: f"<http://e/a> <http://e/p> ({' 1' * DEEP}) .", 2 * DEEP + 1),
    "prefixes": (
        "a.ttl",
        lambda: "".join(f"@prefix p{i}: <http://e/{i}> .\n" for i in range(DEEP)) + "p1:a a p2:b .",
        1,
    ),
    "named graphs": (
        "a.nq",
        lambda: "".join(
            f"<http://e/a> <http://e/p> {i % 7} <http://e/g{i}> .\n".replace(
                f" {i % 7} <", f' "{i % 7}" <'
            )
            for i in range(DEEP)
        ),
        7,
    ),
    "blank lines": ("a.ttl", lambda: "\n" * LONG + "<http://e/a> a <http://e/b> .", 1),
    "a long comment in XML": ("a.rdf", lambda: f"{XML}<!--{'x' * LONG}--><e:A/>{END}", 1),
    "comparisons in texts": (
        "a.ttl",
        lambda: "".join(f'<http://e/{i}> <http://e/p> "a << b" .\n' for i in range(5_000)),
        5_000,
    ),
}


@pytest.mark.parametrize("oddity", LOADED)
def test_it_is_odd_but_loaded_rightly(tmp_path: Path, oddity: str) -> None:
    name, content, triples = LOADED[oddity]
    path = tmp_path / name
    path.write_text(content())
    assert count(path) == triples


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.rdf", XML + "<e:A><e:p>" * 20_000 + "</e:p></e:A>" * 20_000 + END),
        ("a.ttl", "@base <http://e/> .\n" + "@base <a/a/a/a/a/> .\n" * 20_000 + "<a> a <b> ."),
        ("a.ttl", "@prefix " + "x" * 4_000_000),
    ],
    ids=["nested elements", "grown base", "endless prefix"],
)
def test_what_keeps_the_parser_busy_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str
) -> None:
    monkeypatch.setattr(rdf_bytes, "_PATIENCE", 0.2)
    monkeypatch.setattr(rdf_bytes, "_MAX_SECONDS_A_BYTE", 1e-7)
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(OntologyError, match="keeps its parser busy"):
        load_path(path)


def test_what_takes_all_memory_takes_that_of_the_worker(tmp_path: Path) -> None:
    path = tmp_path / "grown.ttl"
    names = "".join(f"p:a{i} a p:b{i} .\n" for i in range(10_000))
    path.write_text(f"@prefix p: <http://e/{'x' * 1_000_000}> .\n{names}")
    assert "memory" in refusal(path)


@pytest.mark.parametrize(
    "content",
    [
        '{{"@context": "{}", "@id": "http://e/a", "http://e/p": 1}}',
        '{{"@context": {{"@import": "{}"}}, "@id": "http://e/a", "http://e/p": 1}}',
        '{{"@context": ["{}", {{"p": "http://e/p"}}], "@id": "http://e/a", "p": 1}}',
    ],
)
def test_nothing_is_fetched(tmp_path: Path, content: str) -> None:
    reached: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)

        def listen() -> None:
            try:
                reached.append(server.accept())
            except OSError:
                return

        thread = threading.Thread(target=listen)
        thread.start()
        path = tmp_path / "remote.jsonld"
        path.write_text(content.format(f"http://127.0.0.1:{server.getsockname()[1]}/context"))
        message = refusal(path)
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert "@context" in message or "@import" in message
    assert not reached


def test_a_folder_of_traps_is_walked_once(tmp_path: Path) -> None:
    (tmp_path / "good.ttl").write_text("<http://e/a> <http://e/p> 1 .")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "loop.ttl").symlink_to("loop.ttl")
    (tmp_path / "nowhere.ttl").symlink_to("/nowhere.ttl")
    os.mkfifo(tmp_path / "pipe.ttl")
    (tmp_path / "device.ttl").symlink_to("/dev/zero")
    assert count(tmp_path) == 1


@pytest.mark.parametrize("trap", ["pipe", "device", "link", "loop"])
def test_what_is_no_file_is_refused(tmp_path: Path, trap: str) -> None:
    path = tmp_path / "trap.ttl"
    match trap:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "link":
            path.symlink_to("/nowhere.ttl")
        case "loop":
            path.symlink_to(path)
    assert "not a regular file" in (message := refusal(path)) or "no file" in message


LINE = '<http://e/a> <http://e/p> "{}" .\n'


def _growing(path: Path, at: int, change: Callable[[], object]) -> Callable[[int, int], None]:
    changes = iter([change])

    def on_progress(done: int, total: int) -> None:
        if done >= at:
            next(changes, lambda: None)()

    return on_progress


def test_a_file_that_grows_meanwhile_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlm_runtime.ontology.filling._STEP", 1)
    path = tmp_path / "log.nt"

    def grow() -> None:
        with path.open("a") as file:
            file.writelines(LINE.format(i) for i in range(30_000))

    path.write_text("".join(LINE.format(i) for i in range(9_000)))
    with pytest.raises(OntologyError, match="grows while it is read"):
        load_path(path, on_progress=_growing(path, 1, grow))


@pytest.mark.parametrize("change", ["same length", "cut", "gone"])
def test_a_file_that_changes_meanwhile_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr("rlm_runtime.ontology.filling._STEP", 1)
    path = tmp_path / "log.nt"
    text = "".join(LINE.format(i) for i in range(9_000))
    changes: dict[str, Callable[[], object]] = {
        "same length": lambda: path.write_text(text.replace("/p>", "/q>")),
        "cut": lambda: path.write_text(text[:100]),
        "gone": path.unlink,
    }
    path.write_text(text)
    os.utime(path, (1, 1))
    with pytest.raises(OntologyError, match=r"changed while|broken|No such file"):
        load_path(path, on_progress=_growing(path, 1, changes[change]))
