"""``rlm-runtime ontology`` looks at an ontology: for a human, as JSON, as CSV."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rlm_runtime.cli.app import app

ROOT = Path(__file__).parent.parent
PROV = ROOT / "ontology" / "prov.ttl"
PREFIX = "http://www.w3.org/ns/prov#"


def run(*arguments: object, given: str | None = None) -> Result:
    return CliRunner().invoke(app, ["ontology", *map(str, arguments)], input=given)


def shown(*arguments: object, given: str | None = None) -> str:
    result = run(*arguments, given=given)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_info_gives_sizes_and_what_an_lm_reads() -> None:
    told = json.loads(shown("info", PROV, "--json", "--card-chars", 600))
    assert told["name"] == "prov"
    assert told["source"].endswith("prov.ttl")
    assert told["prefixes"]["prov"] == PREFIX
    assert len(told["card"]) <= 600
    rows = json.loads(shown("query", PROV, "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }", "--json"))
    assert rows["rows"] == [{"n": told["triples"]}]
    text = shown("info", PROV, "--card-chars", 600)
    assert f"triples     {told['triples']:,}" in text
    assert f"classes     {told['classes']}" in text
    assert told["card"].splitlines()[0] in text


def test_search_finds_in_spite_of_a_typing_error() -> None:
    text = shown("search", PROV, "was genrated by")
    assert "prov:wasGeneratedBy" in text.splitlines()[1]
    found = json.loads(shown("search", PROV, "activity", "--kind", "class", "--limit", 2, "--json"))
    assert found[0]["iri"] == PREFIX + "Activity"
    assert found[0]["name"] == "prov:Activity"
    assert {match["kind"] for match in found} == {"class"}
    assert len(found) == 2


def test_search_without_a_hit_says_so() -> None:
    assert "No name or label is like 'qzxv'" in shown("search", PROV, "qzxv")
    assert json.loads(shown("search", PROV, "qzxv", "--json")) == []


def test_describe_tells_both_directions_and_what_was_cut() -> None:
    text = shown("describe", PROV, "prov:Activity")
    assert text.startswith(f"prov:Activity  class\n{PREFIX}Activity\n")
    assert "owl:disjointWith  prov:Entity" in text
    assert "rdfs:range  prov:activity" in text
    assert "raise --limit for more" in shown("describe", PROV, "prov:Activity", "--limit", 2)
    told = json.loads(shown("describe", PROV, f"<{PREFIX}Activity>", "--json"))
    assert told["labels"][0]["plain"] == "Activity"
    owl = "http://www.w3.org/2002/07/owl#"
    assert told["outgoing"][owl + "disjointWith"][0]["value"] == PREFIX + "Entity"


CLASSES = "SELECT ?c ?l { ?c a owl:Class ; rdfs:label ?l FILTER(isIRI(?c)) } ORDER BY ?c"


def test_query_shows_a_table_and_says_when_it_is_cut() -> None:
    result = run("query", PROV, CLASSES, "--limit", 2)
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["c", "l"]
    assert lines[1].split() == ["prov:Activity", "Activity@en"]
    assert lines[3].startswith("(2 rows, ")
    assert "more than 2 rows" in result.stderr
    assert shown("query", PROV, "ASK { prov:Activity a owl:Class }") == "yes\n"
    assert shown("query", PROV, "ASK { prov:Activity a owl:Nonsense }") == "no\n"
    assert shown("query", PROV, "SELECT ?s { ?s a owl:Nonsense }").startswith("(0 rows")


def test_query_gives_csv_that_reads_back() -> None:
    rows = list(csv.DictReader(io.StringIO(shown("query", PROV, CLASSES, "--csv"))))
    assert rows[0] == {"c": PREFIX + "Activity", "l": "Activity"}
    tricky = 'SELECT ("a,\\"b\\"\\nc" AS ?x) ?unbound {}'
    parsed = list(csv.reader(io.StringIO(shown("query", PROV, tricky, "--csv"), newline="")))
    assert parsed == [["x", "unbound"], ['a,"b"\nc', ""]]


def test_query_reads_from_a_file_and_from_standard_input(tmp_path: Path) -> None:
    file = tmp_path / "classes.rq"
    file.write_text(CLASSES)
    direct = shown("query", PROV, CLASSES, "--csv")
    assert shown("query", PROV, f"@{file}", "--csv") == direct
    assert shown("query", PROV, "-", "--csv", given=CLASSES) == direct


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["info", "nowhere.ttl"], 2, "nowhere.ttl"),
        (["info", __file__], 2, "test_cli_ontology.py"),
        (["describe", PROV, "nope:Activity"], 1, "nope:"),
        (["query", PROV, "SELECT ?c {"], 1, "yntax"),
        (["query", PROV, "DELETE WHERE { ?s ?p ?o }"], 1, "DELETE"),
        (["query", PROV, "@/nowhere.rq"], 2, "/nowhere.rq"),
        (["query", PROV, "ASK {}", "--json", "--csv"], 2, "exclude each other"),
        (["search", PROV, "x", "--limit", "0"], 2, "--limit"),
        (["search", PROV, "x", "--kind", "thing"], 2, "property"),
    ],
)
def test_errors_are_one_message_on_standard_error(
    arguments: list[object], code: int, says: str
) -> None:
    result = run(*arguments)
    assert result.exit_code == code
    assert "rror: " in result.stderr
    assert says in result.stderr
    assert not result.stdout
    assert "Traceback" not in result.stderr


def test_a_traceback_is_shown_to_those_who_ask_for_it() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "rlm_runtime.cli", "ontology", "info", "nowhere.ttl"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"RLM_RUNTIME_DEBUG": "1"},
    )
    assert ran.returncode == 2
    assert "Traceback" in ran.stderr
