"""Imported ontologies come from local files that a map names, and from nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rlm_runtime.cli.app import app
from rlm_runtime.errors import ConfigurationError, OntologyError
from rlm_runtime.ontology import open_ontology
from rlm_runtime.ontology.loading import Loaded, load_path
from rlm_runtime.ontology.sense_card import make_sense_card

OWL = "@prefix owl: <http://www.w3.org/2002/07/owl#> .\n"
CATALOG = """<?xml version="1.0" encoding="UTF-8"?>
<catalog prefer="public" xmlns="urn:oasis:names:tc:entity:xmlns:xml:catalog">
  <group id="g" prefer="public" xml:base="">{}</group>
</catalog>"""


def ontology(path: Path, *imports: str, extra: str = "") -> Path:
    """Write the ontology http://e/<stem>, with a class of its own."""
    iri = f"http://e/{path.stem}"
    lines = [f"<{iri}> a owl:Ontology .", f"<{iri}#Class> a owl:Class .", extra]
    lines += [f"<{iri}> owl:imports <{imported}> ." for imported in imports]
    path.write_text(OWL + "\n".join(lines))
    return path


def classes(loaded: Loaded) -> str:
    rows = loaded.store.query("SELECT ?c { ?c a <http://www.w3.org/2002/07/owl#Class> }")
    return "".join(sorted(row["c"].value[9] for row in rows))  # type: ignore[index, union-attr]


def test_imports_are_read_in_turn_and_once(tmp_path: Path) -> None:
    a = ontology(tmp_path / "a.ttl", "http://e/b", "http://e/a")
    ontology(tmp_path / "b.ttl", "http://e/c", "http://e/d")
    ontology(tmp_path / "c.ttl", "http://e/a", "http://e/b")
    (tmp_path / "rlm-imports.toml").write_text(
        "".join(f'"http://e/{name}" = "{name}.ttl"\n' for name in "abcd")
    )
    loaded = load_path(a)
    assert classes(loaded) == "abc"
    assert loaded.unresolved_imports == ("http://e/d",)


def test_what_is_not_imported_is_not_read(tmp_path: Path) -> None:
    a = ontology(tmp_path / "a.ttl")
    (tmp_path / "b.ttl").write_text("broken")
    loaded = load_path(a, imports={"http://e/b": tmp_path / "b.ttl"})
    assert classes(loaded) == "a"
    assert loaded.unresolved_imports == ()


def test_files_of_a_folder_need_no_map(tmp_path: Path) -> None:
    ontology(tmp_path / "a.ttl", "http://e/b", "http://e/b/2.0", "http://e/c")
    version = "<http://e/b> owl:versionIRI <http://e/b/2.0> ."
    (tmp_path / "b.trig").write_text(
        OWL + f"<http://e/g> {{ <http://e/b> a owl:Ontology . {version} }}"
    )
    assert load_path(tmp_path).unresolved_imports == ("http://e/c",)


def test_the_nearest_map_wins(tmp_path: Path) -> None:
    for name in ("from-argument", "from-toml", "from-catalog"):
        (tmp_path / f"{name}.ttl").write_text(f"{OWL}<http://e/{name[5]}> a owl:Class .")
    a = ontology(tmp_path / "m.ttl", "http://e/1", "http://e/2", "http://e/3")
    entries = "".join(
        f'<uri id="x" name="http://e/{number}" uri="from-catalog.ttl"/>' for number in (1, 2, 3)
    )
    (tmp_path / "catalog-v001.xml").write_text(CATALOG.format(entries))
    assert classes(load_path(a)) == "cm"
    (tmp_path / "rlm-imports.toml").write_text(
        '"http://e/1" = "from-toml.ttl"\n"http://e/2" = "from-toml.ttl"\n'
    )
    assert classes(load_path(a)) == "cmt"
    loaded = load_path(a, imports={"http://e/1": str(tmp_path / "from-argument.ttl")})
    assert classes(loaded) == "acmt"


def test_a_catalog_may_name_what_is_not_local(tmp_path: Path) -> None:
    a = ontology(tmp_path / "a.ttl", "http://e/b", "http://e/c", "http://e/d d")
    ontology(tmp_path / "d d.ttl")
    entries = (
        '<uri name="http://e/b" uri="http://127.0.0.1:1/b.ttl"/>'
        '<uri name="http://e/c" uri="nowhere.ttl"/>'
        f'<uri name="http://e/d d" uri="{(tmp_path / "d d.ttl").as_uri()}"/>'
    )
    (tmp_path / "catalog-v001.xml").write_text(CATALOG.format(entries))
    loaded = load_path(a)
    assert loaded.unresolved_imports == ("http://e/b", "http://e/c")
    assert classes(loaded) == "ad"


def test_an_import_reaches_no_file_by_itself(tmp_path: Path) -> None:
    secret = ontology(tmp_path / "secret.ttl")
    # The second one is relative to the file, and so the same.
    a = ontology(tmp_path / "a.ttl", secret.as_uri(), "secret.ttl")
    loaded = load_path(a)
    assert classes(loaded) == "a"
    assert loaded.unresolved_imports == (secret.as_uri(),)


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("rlm-imports.toml", "http://e/b = b.ttl", "no TOML"),
        ("rlm-imports.toml", '"http://e/b" = 3', "gives no path"),
        ("rlm-imports.toml", "# " + "x" * 5_000_000, "larger than"),
        ("catalog-v001.xml", "<catalog>", "broken XML"),
        ("catalog-v001.xml", '<!DOCTYPE c [<!ENTITY a "a">]><catalog>&a;</catalog>', "DOCTYPE"),
    ],
)
def test_a_broken_map_says_so(tmp_path: Path, name: str, content: str, part: str) -> None:
    a = ontology(tmp_path / "a.ttl")
    (tmp_path / name).write_text(content)
    with pytest.raises(OntologyError, match=part) as caught:
        load_path(a)
    assert str(tmp_path / name) in str(caught.value)


def test_a_broken_import_is_named(tmp_path: Path) -> None:
    a = ontology(tmp_path / "a.ttl", "http://e/b")
    (tmp_path / "b.ttl").write_text("<http://e/b> oops .")
    with pytest.raises(OntologyError, match=r"b\.ttl, line 1"):
        load_path(a, imports={"http://e/b": tmp_path / "b.ttl"})
    with pytest.raises(ConfigurationError, match="there is no file"):
        load_path(a, imports={"http://e/b": tmp_path / "absent.ttl"})


def test_imports_reach_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ontology(Path("a.ttl"), "http://e/b")
    ontology(Path("b.ttl"))
    with open_ontology("a.ttl", imports={"http://e/b": "b.ttl"}) as opened:
        assert opened.contains("http://e/b#Class")
        assert opened.unresolved_imports == ()  # type: ignore[attr-defined]
        assert "Imports" not in make_sense_card(opened)
    with open_ontology("a.ttl") as opened:
        assert not opened.contains("http://e/b#Class")
        assert opened.unresolved_imports == ("http://e/b",)  # type: ignore[attr-defined]


def test_who_looks_at_an_ontology_hears_of_imports_that_are_not_there(tmp_path: Path) -> None:
    path = ontology(tmp_path / "a.ttl", *(f"http://e/{name}" for name in "bcd"))
    with open_ontology(path) as opened:
        card = make_sense_card(opened)
    assert "Imports that are not loaded: <http://e/b>, <http://e/c> and 1 more." in card
    run = CliRunner().invoke(app, ["ontology", "info", str(path)])
    assert "Imported but not loaded: http://e/d" in run.stdout
    told = CliRunner().invoke(app, ["ontology", "info", str(path), "--json"])
    assert json.loads(told.stdout)["unresolved_imports"] == [f"http://e/{n}" for n in "bcd"]
