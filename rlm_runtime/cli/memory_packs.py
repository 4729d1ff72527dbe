"""``rlm-runtime memory``: writes and reads packs of memories, and thins out a store."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rlm_runtime.cli.memory_store import (
    SHORT_ID,
    JsonOption,
    KindOption,
    OntologyOption,
    SourceOption,
    StoreOption,
    SuccessOption,
    TagOption,
    existing_store,
    filters_of,
    memory_table,
)
from rlm_runtime.cli.output import Page, confirmed, print_json
from rlm_runtime.cli.words import age_seconds, counted
from rlm_runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from rlm_runtime.memory import Memory

__all__ = ["export", "import_", "prune"]

_MAX_SHOWN = 20
_MISLED = 0.5
_ENOUGH = 4

_DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


def export(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="It is replaced.", show_default=False)
    ],
    ontology: OntologyOption = None,
    tag: TagOption = None,
    kind: KindOption = None,
    source: SourceOption = None,
    min_success_rate: SuccessOption = None,
    with_history: Annotated[
        bool,
        typer.Option(
            "--with-history", help="Also those that are retired, and how often each helped."
        ),
    ] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write memories to a pack: a text file to share and to keep in git.

    The same memories give the same file. What seems to hold a secret is left out, and named.

    For example:

      rlm-runtime memory export memories.jsonl --min-success-rate 0.8
    """
    from rlm_runtime.memory.packs import unfit, without_history, write_pack

    filters = filters_of(
        tag,
        ontology=ontology,
        kind=kind,
        source=source,
        min_success_rate=min_success_rate,
        retired=with_history,
    )
    with existing_store(store) as opened:
        found = [*opened.get_all_memories(filters)]
    left_out = {one.memory_id: reason for one in found if (reason := unfit(one))}
    packed = [one for one in found if one.memory_id not in left_out]
    write_pack(file, packed if with_history else map(without_history, packed))
    if as_json:
        print_json({"file": str(file), "exported": len(packed), "left_out": left_out})
        return
    for memory_id, reason in left_out.items():
        Page.on_stderr().line(("left out: ", "yellow"), f"{memory_id[:SHORT_ID]}, as {reason}")
    Page().line(f"{counted(len(packed), 'memory', 'memories')} written to {file}")


def import_(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Packs.", show_default=False)
    ],
    dry_run: _DryRun = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add the memories of packs to a store, which is made when it is missing.

    Every line of every file is checked first. What the store has already gets the tags of the
    pack; all else about it stays, counts too. Doing it again changes nothing.

    For example:

      rlm-runtime memory import memories.jsonl --dry-run
    """
    from rlm_runtime.memory import SQLiteMemoryBackend
    from rlm_runtime.memory.location import memory_path
    from rlm_runtime.memory.packs import pack_changes, read_packs

    memories = read_packs(files)
    path = memory_path(store)
    with SQLiteMemoryBackend(":memory:" if dry_run and not path.exists() else path) as opened:
        changes = pack_changes(opened, memories)
        if not dry_run:
            opened.add_memories(memories)
    if as_json:
        told = {name: [one.memory_id for one in group] for name, group in vars(changes).items()}
        print_json({"store": str(path), "dry_run": dry_run, **told})
        return
    page = Page()
    if dry_run:
        _show_some(page, changes.added)
    page.line(
        (counted(len(changes.added), "new memory", "new memories"), "bold"),
        f", {len(changes.tagged):,} with more tags, {len(changes.same):,} known already",
    )
    page.line(("nothing was changed in " if dry_run else "store: ", "dim"), str(path))


def prune(
    max_success_rate: Annotated[
        float | None,
        typer.Option(
            metavar="RATE",
            min=0,
            max=1,
            help=f"Those that helped so often at the most; {_MISLED:g} without other conditions.",
            show_default=False,
        ),
    ] = None,
    min_judged: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help=f"… in so many judged runs at least; {_ENOUGH}.",
            show_default=False,
        ),
    ] = None,
    unused: Annotated[bool, typer.Option("--unused", help="Those that no run was given.")] = False,
    older_than: Annotated[
        str | None,
        typer.Option(metavar="AGE", help="Those learned longer ago: 90d, 12h.", show_default=False),
    ] = None,
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete them for good, retired ones too.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking.")] = False,
    dry_run: _DryRun = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Retire memories that meet all conditions: runs are not given them any more.

    A retired memory stays known, so that no run learns it anew; one that is deleted may come
    back. Exit codes: 0 done, also when there are none; 1 it was not confirmed.

    For example:

      rlm-runtime memory prune --dry-run

      rlm-runtime memory prune --unused --older-than 90d --delete
    """
    from rlm_runtime.memory.protocol import MemoryFilters
    from rlm_runtime.memory.pruning import PruneRule

    if yes and not delete:
        raise ConfigurationError("--yes belongs to --delete; retiring does not ask.")
    if max_success_rate is None and (min_judged is not None or not (unused or older_than)):
        max_success_rate = _MISLED
    before = max(time.time() - age_seconds(older_than), 0) if older_than else None
    rule = PruneRule(
        max_success_rate,
        min_judged or _ENOUGH,
        unused,
        None if before is None else f"{datetime.fromtimestamp(before, UTC):%Y-%m-%dT%H:%M:%S}",
    )
    doing = "deleted" if delete else "retired"
    with existing_store(store) as opened:
        every = opened.get_all_memories(MemoryFilters(retired=delete))
        found = [one for one in every if rule.meets(one)]
        number = counted(len(found), "memory", "memories")
        if found and delete and not (yes or dry_run):
            _show_some(Page.on_stderr(), found)
            if not confirmed(f"Delete {number} for good?"):
                Page.on_stderr().line("Nothing was deleted. --yes deletes without asking.")
                raise typer.Exit(1)
        ids = [one.memory_id for one in found]
        if delete and not dry_run:
            opened.delete_memories(ids)
        elif not dry_run:
            for memory_id in ids:
                opened.set_retired(memory_id, True)
    if as_json:
        print_json({doing: ids, "dry_run": dry_run})
        return
    page = Page()
    _show_some(page, found)
    page.line(f"{number} would be {doing}" if dry_run else f"{number} {doing}", style="bold")


def _show_some(page: Page, memories: Sequence[Memory]) -> None:
    memory_table(page, memories[:_MAX_SHOWN])
    if len(memories) > _MAX_SHOWN:
        page.line(f"and {len(memories) - _MAX_SHOWN:,} more", style="dim")
