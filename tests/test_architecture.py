"""The package keeps its layers, its import rule and its size."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "rlm_runtime"
FILES = sorted(PACKAGE.rglob("*.py"))

LAYERS = {
    "errors": 0,
    "types": 0,
    "guard": 0,
    "redaction": 0,
    "settings": 0,
    "folders": 0,
    "plain": 0,
    "clipping": 0,
    "ontology": 1,
    "interpreter": 1,
    "logging": 1,
    "memory": 1,
    "tools": 2,
    "engine": 3,
    "evals": 4,
    "cli": 5,
}
MAY_ALSO = {"tools": {"ontology"}}
# The parts that tools and engine may use are those below them; layer 1 parts never meet.
HOMES = {
    "mlflow": ("logging/mlflow_",),
    "pyoxigraph": ("ontology/",),
    "rdflib": ("ontology/",),
    "SPARQLWrapper": ("ontology/remote",),
    "pydantic_monty": ("interpreter/monty",),
    "scipy": ("evals/",),
    "matplotlib": ("evals/",),
    "typer": ("cli/",),
    "rich": ("cli/",),
}


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Give each module that a file imports, and whether only for type checking."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module]
        for name in names:
            yield name, id(node) in typing_only


def part(name: str) -> str | None:
    pieces = name.split(".")
    return pieces[1] if pieces[0] == "rlm_runtime" and len(pieces) > 1 else None


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_imports_only_what_lies_below_it(path: Path) -> None:
    inside = path.relative_to(PACKAGE)
    mine = inside.parts[0].removesuffix(".py")
    if mine == "__init__":
        return
    for name, typing_only in imports(path):
        other = part(name)
        if other is None or other == mine or typing_only:
            continue
        allowed = LAYERS[other] == 0 or LAYERS[other] < LAYERS[mine]
        if LAYERS[mine] == 2:
            allowed = LAYERS[other] == 0 or other in MAY_ALSO[mine]
        assert allowed, f"{inside} (layer {LAYERS[mine]}) imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_optional_libraries_are_imported_at_home_only(path: Path) -> None:
    inside = path.relative_to(PACKAGE).as_posix()
    for name, typing_only in imports(path):
        homes = HOMES.get(name.split(".")[0])
        if homes is not None and not typing_only:
            assert inside.startswith(homes), f"{inside} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_says_its_job_and_stays_small(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    assert not text.strip() or ast.get_docstring(ast.parse(text)), "no docstring"


def loaded_by(code: str) -> set[str]:
    """Give the top-level modules that a fresh interpreter has loaded after some code."""
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sorted(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return {name.split(".")[0] for name in shown.stdout.split()}


def test_importing_the_package_imports_no_other_library() -> None:
    heavy = {"dspy", "litellm", *HOMES}
    assert not loaded_by("import rlm_runtime") & heavy


def test_reading_logs_and_opening_ontologies_needs_no_dspy() -> None:
    code = "import rlm_runtime.logging.jsonl, rlm_runtime\n"
    code += "rlm_runtime.open_ontology('ontology/prov.ttl').close()"
    assert not loaded_by(code) & {"dspy", "litellm", "mlflow"}


def test_every_public_name_is_there() -> None:
    import rlm_runtime

    for name in rlm_runtime.__all__:
        assert getattr(rlm_runtime, name) is not None
    assert set(dir(rlm_runtime)) == set(rlm_runtime.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        rlm_runtime.nonsense  # noqa: B018
