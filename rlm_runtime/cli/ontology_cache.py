"""``rlm-runtime ontology cache``: the stores on disk that large ontologies are opened from."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlm_runtime.cli.output import Page, print_json
from rlm_runtime.cli.words import age_seconds, counted

if TYPE_CHECKING:
    from rlm_runtime.ontology.cache import CacheEntry

__all__ = ["cache"]

cache = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_SHOWN = 48

_Json = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]


@cache.command(name="list")
def list_stores(as_json: _Json = False) -> None:
    """List the stores, the last used one first.

    For example:

      rlm-runtime ontology cache list
    """
    from rlm_runtime.ontology.cache import cache_entries, ontologies_folder, size_limit

    entries = cache_entries()
    limit = size_limit()
    if as_json:
        print_json(
            {
                "folder": str(ontologies_folder()),
                "limit_bytes": limit,
                "stores": list(map(_entry_json, entries)),
            }
        )
        return
    page = Page()
    if entries:
        page.table(
            ["source", "triples", "size", "used"],
            [
                (
                    _end_of(entry.source),
                    f"{entry.triples:,}",
                    _size_words(entry.size),
                    _ago(entry.used),
                )
                for entry in entries
            ],
        )
    taken = _size_words(sum(entry.size for entry in entries))
    page.line(f"({counted(len(entries), 'store')}, {taken} of {_size_words(limit)})", style="dim")


@cache.command()
def clear(
    older_than: Annotated[
        str,
        typer.Option(
            "--older-than",
            metavar="AGE",
            help="Only what was not used for so long: 30d, 12h, 5m.",
            show_default=False,
        ),
    ] = "0s",
    as_json: _Json = False,
) -> None:
    """Remove stores; they are built again when they are needed.

    Very large ones stay while a program has them open.

    For example:

      rlm-runtime ontology cache clear --older-than 30d
    """
    from rlm_runtime.ontology.cache import clear_cache

    removed = clear_cache(older_than=age_seconds(older_than))
    if as_json:
        print_json({"removed": list(map(_entry_json, removed))})
        return
    page = Page()
    for entry in removed:
        page.line("removed ", _size_words(entry.size), "  ", entry.source)
    freed = _size_words(sum(entry.size for entry in removed))
    page.line(f"({counted(len(removed), 'store')}, {freed})", style="dim")


def _entry_json(entry: CacheEntry) -> dict[str, Any]:
    used = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.used))
    return {**asdict(entry), "used": used}


def _end_of(path: str) -> str:
    """Give the end of a path, which tells most, so that rows stay on one line."""
    return path if len(path) <= _SHOWN else f"…{path[1 - _SHOWN :]}"


def _size_words(size: float) -> str:
    """Give a size with the unit that suits it.

    Example:
        >>> _size_words(999), _size_words(1_500_000), _size_words(20e9)
        ('999 B', '1.5 MB', '20.0 GB')
    """
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.1f} {unit}" if unit != "B" else f"{size:.0f} B"
        size /= 1000
    return f"{size:,.1f} TB"


def _ago(then: float) -> str:
    seconds = max(time.time() - then, 0)
    for unit, noun in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= unit:
            return f"{counted(int(seconds // unit), noun)} ago"
    return "just now"
