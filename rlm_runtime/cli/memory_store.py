"""What the commands on memories share: their options, the store, how a memory is told."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlm_runtime.cli.output import Page, one_line
from rlm_runtime.errors import MemoryStoreError
from rlm_runtime.memory.protocol import MemoryFilters, MemoryKind, MemorySource

if TYPE_CHECKING:
    from rlm_runtime.memory import Memory, SQLiteMemoryBackend

__all__ = [
    "SHORT_ID",
    "JsonOption",
    "KindOption",
    "OntologyOption",
    "SourceOption",
    "StoreOption",
    "SuccessOption",
    "TagOption",
    "existing_store",
    "filters_of",
    "memory_report",
    "memory_table",
]

SHORT_ID = 8
_TITLE = 60

StoreOption = Annotated[
    Path | None,
    typer.Option(
        "--store",
        metavar="PATH",
        help="Where the memories are. Default: RLM_RUNTIME_MEMORY, the project's setting, or a "
        "place of its own.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]
OntologyOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Only those about this ontology, or about any.")
]
TagOption = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="TAG", help="Only those with this tag; may be repeated."),
]
KindOption = Annotated[
    MemoryKind | None, typer.Option(metavar="KIND", help="Only these: strategy or exemplar.")
]
SourceOption = Annotated[
    MemorySource | None,
    typer.Option(metavar="SOURCE", help="Only those learned from: success, failure or human."),
]
SuccessOption = Annotated[
    float | None,
    typer.Option(
        "--min-success-rate",
        metavar="RATE",
        min=0,
        max=1,
        help="Only those that helped so often, 0 to 1, or were not judged yet.",
    ),
]


def filters_of(tags: Sequence[str] | None, **filters: Any) -> MemoryFilters:
    """Give the filters that the options mean."""
    return MemoryFilters(tags=tuple(tags or ()), **filters)


@contextlib.contextmanager
def existing_store(explicit: Path | None) -> Iterator[SQLiteMemoryBackend]:
    """Open the store of memories that the options mean; it is not made when it is missing.

    Raises:
        MemoryStoreError: There is none, or it cannot be opened.
    """
    from rlm_runtime.memory import SQLiteMemoryBackend
    from rlm_runtime.memory.location import memory_path

    path = memory_path(explicit)
    if not path.exists():
        raise MemoryStoreError(
            f"There is no store of memories at {path}. 'rlm-runtime ask --learn' and 'rlm-runtime "
            "memory import' make one; --store names another."
        )
    with SQLiteMemoryBackend(path) as store:
        yield store


def memory_report(memory: Memory) -> dict[str, Any]:
    """Give a memory as JSON has it."""
    return {
        "memory_id": memory.memory_id,
        **asdict(memory),
        "tags": [*memory.tags],
        "success_rate": memory.success_rate,
    }


def memory_table(page: Page, memories: Sequence[Memory], scores: Sequence[float] = ()) -> None:
    """Show memories as a table; no memories, no table.

    Args:
        page: Where to print.
        memories: What to show.
        scores: How well each fits, where that was asked; shown as shares of the best one, for
            scores of two stores have nothing in common.
    """
    best = max(scores, default=0) or 1
    columns = ["id", *(["fit"] if scores else []), "kind", "ontology", "used", "helped", "title"]
    rows = []
    for place, memory in enumerate(memories):
        judged = memory.succeeded + memory.failed
        title = one_line(memory.title, _TITLE)
        rows.append(
            [
                memory.memory_id[:SHORT_ID],
                *([f"{scores[place] / best:.2f}"] if scores else []),
                memory.kind,
                memory.ontology or "any",
                f"{memory.accessed:,}",
                f"{memory.succeeded:,} of {judged:,}" if judged else "",
                f"{title} (retired)" if memory.retired else title,
            ]
        )
    if rows:
        page.table(columns, rows)
