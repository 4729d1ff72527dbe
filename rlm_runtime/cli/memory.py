"""``rlm-runtime memory``: looks at what runs taught; its other commands are registered here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from rlm_runtime.cli.memory_evaluate import evaluate
from rlm_runtime.cli.memory_packs import export, import_, prune
from rlm_runtime.cli.memory_store import (
    JsonOption,
    KindOption,
    OntologyOption,
    SourceOption,
    StoreOption,
    SuccessOption,
    TagOption,
    existing_store,
    filters_of,
    memory_report,
    memory_table,
)
from rlm_runtime.cli.output import Page, print_json
from rlm_runtime.cli.words import counted
from rlm_runtime.errors import ConfigurationError
from rlm_runtime.memory.protocol import MemoryFilters

if TYPE_CHECKING:
    from rlm_runtime.memory import Memory, MemoryBackend, MemoryUsage

__all__ = ["memory"]

memory = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_MAX_ROWS = 50
_LABEL = 13

_Retired = Annotated[bool, typer.Option("--retired", help="Also those that are retired.")]


@memory.command("list")
def list_memories(
    ontology: OntologyOption = None,
    tag: TagOption = None,
    kind: KindOption = None,
    source: SourceOption = None,
    min_success_rate: SuccessOption = None,
    retired: _Retired = False,
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help=f"The most to show; {_MAX_ROWS}, of JSON all."),
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List memories, the latest first.

    For example:

      rlm-runtime memory list --ontology prov --kind strategy
    """
    filters = filters_of(
        tag,
        ontology=ontology,
        kind=kind,
        source=source,
        min_success_rate=min_success_rate,
        retired=retired,
    )
    with existing_store(store) as opened:
        found = [*opened.get_all_memories(filters)][::-1]
    if as_json:
        print_json([memory_report(one) for one in found[:limit]])
        return
    if not found:
        Page().line("There are no such memories.")
        return
    shown = found[: limit or _MAX_ROWS]
    memory_table(Page(), shown)
    number = counted(len(found), "memory", "memories")
    if len(shown) < len(found):
        number = f"the latest {len(shown)} of {number}; --limit and --json give more"
    Page().line(f"({number})", style="dim")


@memory.command()
def search(
    question: Annotated[
        str, typer.Argument(metavar="QUESTION", help="In words.", show_default=False)
    ],
    ontology: OntologyOption = None,
    tag: TagOption = None,
    kind: KindOption = None,
    source: SourceOption = None,
    min_success_rate: SuccessOption = None,
    retired: _Retired = False,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="The most to find.")] = 10,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the memories that a run with this question would be given, best first.

    For example:

      rlm-runtime memory search "How many kinds of Agent are there?" --ontology prov
    """
    from rlm_runtime.memory.levels import level_of

    filters = filters_of(
        tag,
        ontology=ontology,
        kind=kind,
        source=source,
        min_success_rate=min_success_rate,
        level=level_of(question),
        retired=retired,
    )
    with existing_store(store) as opened:
        found = opened.retrieve(question, limit, filters)
    if as_json:
        print_json([{"score": one.score, **memory_report(one.memory)} for one in found])
    elif found:
        memory_table(Page(), [one.memory for one in found], [one.score for one in found])
    else:
        Page().line("No memory fits this question.")


@memory.command()
def show(
    memory_id: Annotated[
        str,
        typer.Argument(metavar="ID", help="The first characters will do.", show_default=False),
    ],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a memory as a whole, with the runs that were given it.

    For example:

      rlm-runtime memory show 241452a5
    """
    with existing_store(store) as opened:
        found = _memory_by_id(opened, memory_id)
        usages = opened.get_usage_for_memory(found.memory_id)
    if as_json:
        print_json({**memory_report(found), "runs": [asdict(one) for one in usages]})
        return
    page = Page()
    facts = {
        "memory": found.memory_id,
        "title": found.title,
        "when": found.description,
        "kind": found.kind,
        "learned from": _origin(found),
        "question": found.query,
        "level": found.level,
        "ontology": found.ontology or "any",
        "tags": ", ".join(found.tags),
        "given to": counted(found.accessed, "run"),
        "helped": f"{found.succeeded:,} of {found.succeeded + found.failed:,} judged",
        "retired": "yes; runs are not given it any more" if found.retired else "",
    }
    for label, fact in facts.items():
        if fact:
            _fact(page, label, str(fact))
    page.blank()
    if found.kind == "exemplar":
        page.code(found.content, "sparql")
    else:
        page.line(found.content)
    if usages:
        page.blank()
        page.table(["run", "rank", "judged"], [_usage_row(one) for one in usages])


@memory.command()
def stats(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Say how much a store holds.

    For example:

      rlm-runtime memory stats --json
    """
    with existing_store(store) as opened:
        told, path = opened.get_stats(), opened.path
    if as_json:
        print_json({"store": path, **asdict(told)})
        return
    page = Page()
    _fact(page, "store", path)
    judged = f"{told.judgments:,} judged, {told.succeeded:,} of them a success"
    _fact(page, "runs", f"{told.runs:,}: {judged}")
    _fact(page, "memories", f"{told.memories:,} in use, {told.retired:,} retired")
    _fact(page, "given to runs", counted(told.usages, "time"))
    for label, numbers in (
        ("kind", told.by_kind),
        ("source", told.by_source),
        ("ontology", told.by_ontology),
    ):
        if numbers:
            _fact(page, f"by {label}", _numbers(numbers))


memory.command()(export)
memory.command("import")(import_)
memory.command()(prune)
memory.command()(evaluate)


def _memory_by_id(store: MemoryBackend, prefix: str) -> Memory:
    whole = store.get_memory(prefix)
    if whole is not None:
        return whole
    every = store.get_all_memories(MemoryFilters(retired=True))
    found = [one for one in every if one.memory_id.startswith(prefix.lower())]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(one.memory_id for one in found[:5])
        raise ConfigurationError(f"{len(found)} memories begin with {prefix}: {ids}. Give more.")
    raise ConfigurationError(
        f"There is no memory {prefix}. 'rlm-runtime memory list --retired' shows all."
    )


def _origin(found: Memory) -> str:
    when = found.created_at[:10]
    run = f", run {found.run_id}" if found.run_id else ""
    return f"{found.source}{run}, {when}"


def _usage_row(usage: MemoryUsage) -> list[str]:
    judged = {True: "success", False: "failure", None: ""}[usage.success]
    return [usage.run_id, str(usage.rank), judged]


def _numbers(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{name or 'any'} {number:,}" for name, number in numbers.items())


def _fact(page: Page, label: str, text: str) -> None:
    page.line((f"{label:<{_LABEL}} ", "dim"), text)
