"""How fast memories are kept and found again, and how often the right one is found.

The memories are made up, the same each time: those of an ontology share its 30 classes and 15
relations, so that most words of a question are in hundreds of memories. Run by itself, or as a
part of ``make bench``.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from rlm_runtime.memory import Memory, MemoryFilters, SQLiteMemoryBackend  # noqa: E402
from rlm_runtime.memory.levels import level_of  # noqa: E402
from tests.support.memories import Asked, asked_again, made_up_domains, memories_of  # noqa: E402

QUESTIONS = 200

Filtering = Callable[[Asked], MemoryFilters | None]


def _as_a_run(asked: Asked) -> MemoryFilters:
    return MemoryFilters(ontology=asked.wanted.ontology, level=level_of(asked.question))


def _all_filters(asked: Asked) -> MemoryFilters:
    wanted = asked.wanted
    return MemoryFilters(
        ontology=wanted.ontology,
        tags=wanted.tags,
        kind=wanted.kind,
        source=wanted.source,
        min_success_rate=wanted.success_rate,
    )


# Each way to ask: its name, what is made of a question, and which memories are wanted.
WAYS: tuple[tuple[str, Callable[[str], str], Filtering], ...] = (
    ("as a run asks", str, _as_a_run),
    ("without filters", str, lambda _: None),
    ("with all filters", str, _all_filters),
    ("pasted 50 times", lambda question: f"{question} " * 50, _as_a_run),
    ("words of all only", lambda _: "Count the number of all labels with DISTINCT", _as_a_run),
    ("words of none", lambda _: "Quizzaciously, ultracrepidarian xylopolist?", _as_a_run),
)


def fill(store: SQLiteMemoryBackend, memories: Sequence[Memory]) -> float:
    """Keep memories one by one; give how many in a second."""
    start = time.perf_counter()
    for memory in memories:
        store.add_memory(memory)
    return len(memories) / (time.perf_counter() - start)


def ask(
    store: SQLiteMemoryBackend,
    asked: Sequence[Asked],
    told: Callable[[str], str],
    filters: Filtering,
) -> tuple[list[float], float]:
    """Ask for three memories each; give the milliseconds, and the share of those found."""
    times, hits = [], 0
    for one in asked:
        start = time.perf_counter()
        found = store.retrieve(told(one.question), 3, filters(one))
        times.append((time.perf_counter() - start) * 1000)
        hits += one.wanted.memory_id in [each.memory.memory_id for each in found]
    return times, hits / len(asked)


def main() -> None:
    """Print what keeping and finding costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memories", type=int, default=100_000)
    parser.add_argument("--ontologies", type=int, default=20)
    given = parser.parse_args()
    domains = made_up_domains(given.ontologies)
    memories = list(memories_of(domains, given.memories))
    print(f"Python {platform.python_version()}, {platform.machine()}, {platform.system()}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "memories.db"
        with SQLiteMemoryBackend(path) as store:
            rate = fill(store, memories)
            kept = store.get_stats().memories
        size = path.stat().st_size / 1e6
        print(
            f"{kept:,} memories of {len(domains)} ontologies, {rate:,.0f} a second, {size:.0f} MB"
        )
        asked = asked_again(memories, domains, QUESTIONS)
        print(f"{QUESTIONS} questions        p50 ms   p95 ms   in the top 3")
        with SQLiteMemoryBackend(path) as store:
            for name, told, filters in WAYS:
                times, hits = ask(store, asked, told, filters)
                middle, late = statistics.median(times), statistics.quantiles(times, n=20)[-1]
                print(f"{name:<20} {middle:8.1f} {late:8.1f} {hits:10.1%}")


if __name__ == "__main__":
    main()
