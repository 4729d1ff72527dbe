"""README and docs are true: their snippets run, their links lead somewhere, nothing is missing."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import rlm_runtime
from rlm_runtime import errors
from rlm_runtime.cli.app import app
from rlm_runtime.evals import Comparison, Evaluation, Pair
from rlm_runtime.evals.tables import metrics_of
from rlm_runtime.evals.values import METRICS, Failure, Learning, MemoryShown
from rlm_runtime.logging.events import EVENTS, json_schema
from rlm_runtime.logging.jsonl import LogReader
from rlm_runtime.logging.mlflow_sync import Synced
from rlm_runtime.memory import Memory, MemoryBackend, MemoryFilters
from rlm_runtime.ontology import cache, hosting
from rlm_runtime.ontology.remote import RemoteOntology
from rlm_runtime.types import Grounding, RunResult, Step
from tests.support.mlflow_server import _empty_store, sqlite_store  # noqa: F401
from tests.support.snippets import KINDS, blocks_of, run_page

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "ontology" / "README.md", *sorted(DOCS.rglob("*.md"))]
REFERENCE = DOCS / "reference"

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """An empty folder whose name is short: a long one would break lines of output."""
    with tempfile.TemporaryDirectory(prefix="page") as name:
        yield Path(name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder with the ontologies that come along."""
    (tmp_path / "ontology").symlink_to(ROOT / "ontology")
    return tmp_path


@each_page
def test_what_a_page_shows_is_what_happens(
    page: Path, folder: Path, request: pytest.FixtureRequest
) -> None:
    if not any(block.kind != "text" for block in blocks_of(page.read_text())):
        return
    request.getfixturevalue("sqlite_store")
    problems = run_page(page, folder)
    assert not problems, "\n\n".join(problems)


@each_page
def test_a_page_is_short_and_made_of_known_blocks(page: Path) -> None:
    text = page.read_text()
    assert len(text.splitlines()) <= 150
    kinds = [block.kind for block in blocks_of(text)]
    assert {*kinds} <= {*KINDS, "hidden"}, kinds
    assert len(re.findall(r"^```", text, re.M)) == 2 * sum(kind != "hidden" for kind in kinds)
    before_output = {a for a, b in itertools.pairwise(["", *kinds]) if b == "output"}
    assert before_output <= {"python"}, "an output block follows the Python that prints it"


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in links_of(page):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors_of(found), f"{page.name} links to {target}"


def test_every_page_is_in_the_index() -> None:
    listed = {(DOCS / link).resolve() for link in links_of(DOCS / "README.md")}
    assert {page.resolve() for page in DOCS.rglob("*.md")} - listed == {DOCS / "README.md"}


def links_of(page: Path) -> list[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    return re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]+`(?!\]\()", "", text))


def anchors_of(page: Path) -> set[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}


def tables(page: Path) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """Give each table of a page: the heading above it, its columns, its rows."""
    heading, rows = "", []
    for line in [*page.read_text().splitlines(), ""]:
        if line.startswith("#"):
            heading = line.lstrip("# ")
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
        elif rows:
            yield heading, rows[0], rows[2:]
            rows = []


def tables_of(pages: str) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """Give the tables of several pages of the reference: "cli*.md"."""
    for page in sorted(REFERENCE.glob(pages)):
        yield from tables(page)


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def first_column(page: Path, heading: str) -> list[str]:
    found = [rows for above, _, rows in tables(page) if above == heading]
    assert found, f"{page.name} has no table under {heading}"
    return [name for rows in found for row in rows for name in names(row[0])]


# Reference pages are complete


def type_words(schema: dict[str, Any]) -> str:
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return ", ".join("null" if value is None else f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return "object or null"
    words = {"string": "text", "boolean": "true or false", "array": "list"}
    if schema.get("type") == ["boolean", "null"]:
        return "true, false or null"
    if isinstance(schema.get("type"), list):
        return " or ".join(words.get(kind, kind) for kind in schema["type"])
    if schema.get("type") == "integer":
        return "whole number"
    return words.get(schema.get("type", "any"), schema.get("type", "any"))


def test_the_reference_of_events_is_the_schema() -> None:
    schemas = {one["title"]: one["properties"] for one in json_schema()["oneOf"]}
    common = {*schemas["warning"]} - {*EVENTS["warning"]} - {"truncated"}
    ends = {*EVENTS["tool_end"]} - {"output"}
    told: dict[str, dict[str, str]] = {}
    for heading, columns, rows in tables_of("events*.md"):
        for row in rows:
            fields = dict(zip(columns, row, strict=True))
            (field,) = names(fields["field"])
            if "in" not in fields:
                told.setdefault(heading, {})[field] = fields["type"]
            elif fields["in"] in ("start", "end"):
                for name in heading.split(", "):
                    event = f"{name}_{fields['in']}"
                    told.setdefault(event, {})[field] = fields["type"]
            else:
                told.setdefault(fields["in"], {})[field] = fields["type"]
    every, every_end = told.pop("Every event"), told.pop("Every end")
    wanted = schemas["tool_end"]
    assert every == {name: type_words(wanted[name]) for name in common} | {"event": "text"}
    assert every_end == {name: type_words(wanted[name]) for name in ends}
    for event, fields in EVENTS.items():
        own = {
            f: type_words(s) for f, s in fields.items() if not (event[-4:] == "_end" and f in ends)
        }
        assert told.pop(event, {}) == own, event
    assert not told


@pytest.mark.parametrize(
    ("page", "heading", "function"),
    [
        ("run-dspy-rlm.md", "Keywords", rlm_runtime.run_dspy_rlm),
        ("run-dspy-rlm.md", "The module", rlm_runtime.OntologyRLM.__init__),
        ("observe.md", "Keywords", rlm_runtime.observe.__init__),
        ("open-ontology.md", "Keywords", rlm_runtime.open_ontology),
        ("open-ontology.md", "Keywords for endpoints", RemoteOntology.__init__),
        ("evaluate-memory.md", "Keywords", rlm_runtime.evaluate_memory),
        ("memory-store.md", "Memory", Memory),
        ("memory-store.md", "MemoryFilters", MemoryFilters),
        ("runs.md", "search_runs", rlm_runtime.search_runs),
        ("runs.md", "sync", rlm_runtime.sync),
        ("runs.md", "import_logs", rlm_runtime.import_logs),
    ],
)
def test_the_reference_of_keywords_is_the_signature(page: str, heading: str, function: Any) -> None:
    (rows,) = [rows for above, _, rows in tables(REFERENCE / page) if above == heading]
    told: dict[str, str] = {}
    for row in rows:
        keywords, defaults = names(row[0]), names(row[1])
        # One default may stand for all keywords of a row.
        told |= zip(keywords, itertools.cycle(defaults), strict=False)
    parameters = inspect.signature(function).parameters.values()
    optional = [one for one in parameters if one.default is not one.empty]
    assert told == {one.name: default_words(one.default) for one in optional}


@pytest.mark.parametrize(
    ("page", "heading", "kind"),
    [
        ("evaluate-memory.md", "The evaluation", Evaluation),
        ("runs.md", "FoundRun", rlm_runtime.FoundRun),
        ("runs.md", "Synced", Synced),
    ],
)
def test_the_reference_of_fields_is_the_class(page: str, heading: str, kind: Any) -> None:
    told = first_column(REFERENCE / page, heading)
    assert sorted(told) == sorted(field.name for field in dataclasses.fields(kind))


@pytest.mark.parametrize("kind", [Pair, Comparison, MemoryShown, Learning, Failure])
def test_the_reference_of_an_evaluation_has_all_of_its_parts(kind: Any) -> None:
    text = (REFERENCE / "evaluate-memory.md").read_text()
    assert all(f"`{field.name}`" in text for field in dataclasses.fields(kind))


def test_the_reference_of_a_store_is_its_methods() -> None:
    told = first_column(REFERENCE / "memory-store.md", "Methods")
    methods = {name for name in vars(MemoryBackend) if not name.startswith("_")}
    assert sorted(one.partition("(")[0] for one in told) == sorted(methods)


def test_the_reference_of_metrics_is_what_a_run_that_learns_logs(tmp_path: Path) -> None:
    log = tmp_path / "run.jsonl"
    rlm_runtime.run_dspy_rlm(
        "What is Plan?",
        ROOT / "ontology" / "prov.ttl",
        model="offline",
        memory_backend=tmp_path / "memory.db",
        extract_memories=True,
        log_path=log,
    )
    *_, end = LogReader(log)
    told = first_column(REFERENCE / "mlflow.md", "Metrics")
    assert sorted(told) == sorted({*end["metrics"], "cost_usd"})


def test_the_reference_of_an_evaluations_metrics_is_what_it_logs() -> None:
    one = Comparison("m", 2, 0.0, 0.0, 0.0, low=0.0, high=0.0, p_value=1.0)
    learning = Learning(cost_usd=0.0)
    told = Evaluation("e", "prov", "offline", "never", 1, 0.95, (), (one,), learning=learning)
    page = REFERENCE / "evaluate-memory.md"
    assert sorted(first_column(page, "In MLflow")) == sorted(metrics_of(told))
    assert all(f"`{name}`" in page.read_text() for name in METRICS)


def default_words(default: Any) -> str:
    return getattr(default, "__name__", repr(default).replace("'", '"'))


def test_the_reference_of_the_result_is_complete() -> None:
    fields = {field.name for field in dataclasses.fields(RunResult)}
    told = first_column(REFERENCE / "run-dspy-rlm.md", "Result")
    grounding = {field.name for field in dataclasses.fields(Grounding)} | {"evidence_grounded"}
    assert sorted(told) == sorted(fields | grounding)
    text = (REFERENCE / "run-dspy-rlm.md").read_text()
    assert all(f"`{field.name}`" in text for field in dataclasses.fields(Step))


def commands(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


def test_the_reference_of_the_command_line_is_complete() -> None:
    told: dict[str, dict[str, str]] = {}
    for heading, columns, rows in tables_of("cli*.md"):
        for row in rows if columns[0] == "option" else []:
            group = [name for name, _ in commands(typer.main.get_command(app))]
            group = [name for name in group if name.partition(" ")[0] == heading]
            chosen = group
            if "of" in columns and row[1] != "all":
                chosen = [f"{heading} {name}" for name in row[1].split(", ")]
            for name in chosen:
                options = [one.split(" ")[0] for one in names(row[0])]
                told.setdefault(name, {}).update(dict.fromkeys(options, row[-1]))
    for name, command in commands(typer.main.get_command(app)):
        options = {o: p.default for p in command.params for o in p.opts if o.startswith("-")}
        meanings = told.pop(name, {})
        assert {*meanings} == {*options} - {"-h", "--help"}, name
        for option, default in options.items():
            if isinstance(default, int | float | str) and not isinstance(default, bool):
                assert str(default).removesuffix(".0") in meanings[option], (name, option)
        assert any(f"`{name}" in page.read_text() for page in REFERENCE.glob("cli*.md")), name
    assert not told


def test_the_reference_of_errors_is_complete() -> None:
    told = {
        name for _, _, rows in tables(REFERENCE / "errors.md") for r in rows for name in names(r[0])
    }
    assert {*errors.__all__, "UnsandboxedWarning"} == told | {"RlmError"}


def test_the_reference_of_environment_variables_is_complete() -> None:
    sources = [path.read_text() for path in (ROOT / "rlm_runtime").rglob("*.py")]
    read = {name for text in sources for name in re.findall(r'"(RLM_[A-Z_]+)"', text)}
    (ours, *_) = [rows for _, _, rows in tables(REFERENCE / "environment.md")]
    meanings = {names(row[0])[0]: row[1] for row in ours}
    assert {*meanings} == read
    told = meanings[hosting.MEMORY_VARIABLE]
    assert f"at least {hosting._LEAST_MEMORY}; {hosting._DEFAULT_MEMORY} unless set" in told
    assert f"`{cache._DEFAULT_SIZE}`" in meanings[cache.SIZE_VARIABLE]


def test_commands_of_make_exist() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    assert all(f"`make {target}`" in (ROOT / "CLAUDE.md").read_text() for target in targets)
    for page in PAGES:
        text = page.read_text()
        used = re.findall(r"^make (\w+)|`make (\w+)`", text, re.M)
        assert {a or b for a, b in used} <= targets, page


# The demo


def test_the_demo_answers_and_the_commands_that_it_prints_work(folder: Path) -> None:
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    (recipe,) = re.findall(r"^demo:.*\n\t@\$\(BIN\)/rlm-runtime (.*)$", makefile, re.M)
    shown = rlm_runtime_command(shlex.split(recipe), folder)
    assert "Activity (prov:Activity)" in shown
    assert "FINISHED  submitted · converged" in shown

    (log_command,) = re.findall(r"rlm-runtime (log show .*)$", shown, re.M)
    log = rlm_runtime_command(shlex.split(log_command), folder)
    assert "What is Activity?" in log
    assert "step 1" in log

    (store,) = re.findall(r"mlflow ui --backend-store-uri (\S+)$", shown, re.M)
    (run_id,) = re.findall(r"^MLflow +run (\w+)", shown, re.M)
    from mlflow import MlflowClient

    path = folder / store.removeprefix("sqlite:///")
    assert MlflowClient(f"sqlite:///{path}").get_run(run_id).info.status == "FINISHED"


def rlm_runtime_command(words: list[str], folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "rlm_runtime.cli", *words],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
