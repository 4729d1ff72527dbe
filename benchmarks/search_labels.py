"""How fast entities are found by their labels, from a hundred to a million of them.

Run by itself, or as a part of ``make bench``. The labels are made up, the same each time: two to
four words, some words much more frequent than others, one local name in three made from the label
and the others opaque, one entity in ten with a comment.
"""

from __future__ import annotations

import argparse
import io
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pyoxigraph import RdfFormat, Store  # noqa: E402

from rlm_runtime.ontology.search import LabelIndex  # noqa: E402

SIZES = (100, 1_000, 10_000, 100_000, 1_000_000)
KINDS = ("exact", "prefix", "words", "typo", "miss")
ROUNDS = 200
_STARTS = [*"bcdfghjklmnpqrstvwz", "br", "ch", "dr", "fl", "gr", "pl", "qu", "sh", "st", "th", "tr"]
_MIDDLES = [*"aeiouy", "ai", "ea", "oo", "ou"]
_ENDS = [*"bdglmnprstx", "ck", "ft", "ll", "nd", "ng", "nt", "rd", "rk", "ss", "st"]
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_HEAD = """@prefix e: <http://things.example/> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
"""


class Figures(NamedTuple):
    """What was measured at one size.

    Attributes:
        size: Labels.
        build: Seconds.
        bytes: Size of the file; None in memory.
        memory: The most memory of the process so far, in MB.
        times: Kind of query to the median and the 95th percentile, in milliseconds.
        mixed: The same over all kinds.
        typo_hits: Share of the misspelt labels whose entity is among the first ten.
        scan: The median of a plain substring scan over all labels, in milliseconds.
        scan_hits: Share of the misspelt labels that the scan finds.
    """

    size: int
    build: float
    bytes: int | None
    memory: float
    times: dict[str, tuple[float, float]]
    mixed: tuple[float, float]
    typo_hits: float
    scan: float
    scan_hits: float


def labels(size: int) -> list[str]:
    """Make different labels, the same each time."""
    chance = random.Random(size)
    vocabulary = _vocabulary(chance, int(100 * size**0.5))
    weights = [1 / (place + 10) for place in range(len(vocabulary))]
    made: dict[str, None] = {}
    while len(made) < size:
        words = chance.choices(vocabulary, weights, k=4 * 1_000)
        for at in range(0, len(words), 4):
            made[" ".join(dict.fromkeys(words[at : at + chance.choice((2, 3, 3, 4))]))] = None
    return list(made)[:size]


def store_of(names: list[str]) -> Store:
    """Make a store where the n-th label belongs to ``name_of(n, label)``."""
    store = Store()
    store.bulk_load(_Stream(_turtle(names)), RdfFormat.TURTLE)
    return store


def name_of(number: int, label: str) -> str:
    """Give the IRI of the entity with a label."""
    local = "_".join((*label.split(), str(number))) if number % 3 == 0 else f"n{number}"
    return f"http://things.example/{local}"


def misspelt(label: str, chance: random.Random) -> str:
    """Make one typing error in a word of at least four letters."""
    words = label.split()
    places = [i for i, word in enumerate(words) if len(word) >= 4]
    place = chance.choice(places or [0])
    word = words[place]
    at = chance.randrange(len(word) - 1)
    letter = chance.choice(_LETTERS)
    words[place] = chance.choice(
        [
            word[:at] + word[at + 1 :],
            word[:at] + letter + word[at:],
            word[:at] + letter + word[at + 1 :],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        ]
    )
    return " ".join(words)


def measure(size: int, folder: Path | None, rounds: int = ROUNDS) -> Figures:
    """Build an index in a folder, or in memory, and search it."""
    names = labels(size)
    store = store_of(names)
    path = folder / f"labels-{size}.db" if folder else None
    start = time.perf_counter()
    index = LabelIndex.build(store, path=path)
    build = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    del store
    chance = random.Random(7)
    asked = {kind: [_query(kind, names, chance) for _ in range(rounds)] for kind in KINDS}
    times: dict[str, list[float]] = {}
    hits = 0
    for kind, queries in asked.items():
        for text, wanted in queries:
            found, seconds = _timed(lambda text=text: index.search(text))
            times.setdefault(kind, []).append(seconds)
            hits += kind == "typo" and wanted in {match.iri for match in found}
    index.close()
    scans = [
        _timed(lambda text=text: _scan(names, text))
        for text, _ in asked["typo"][: max(5, 2_000_000 // (size + 10_000))]
    ]
    every = [seconds for kind in KINDS for seconds in times[kind]]
    return Figures(
        size,
        build,
        path.stat().st_size if path else None,
        memory,
        {kind: _middle_and_slow(times[kind]) for kind in KINDS},
        _middle_and_slow(every),
        hits / rounds,
        statistics.median(seconds for _, seconds in scans) * 1e3,
        sum(bool(found) for found, _ in scans) / len(scans),
    )


def _vocabulary(chance: random.Random, size: int) -> list[str]:
    made: dict[str, None] = {}
    while len(made) < size:
        syllables = chance.choice((1, 2, 2, 3, 3, 4))
        parts = [chance.choice(_STARTS) + chance.choice(_MIDDLES) for _ in range(syllables)]
        made["".join(parts) + chance.choice(_ENDS)] = None
    return list(made)


def _turtle(names: list[str]) -> Iterator[str]:
    yield _HEAD + "".join(f'e:C{n} a owl:Class ; rdfs:label "kind {n}"@en .\n' for n in range(50))
    for number, label in enumerate(names):
        comment = f' ; rdfs:comment "Made for {label[::-1]}, kept in store."@en' * (
            number % 10 == 0
        )
        other = name_of(number // 2, names[number // 2])
        yield (
            f'<{name_of(number, label)}> a e:C{number % 50} ; rdfs:label "{label.capitalize()}"@en'
            f"{comment} ; e:with <{other}> .\n"
        )


class _Stream(io.RawIOBase):
    """Texts as a file, so that they need not be in memory at once."""

    def __init__(self, texts: Iterator[str]) -> None:
        self._texts = texts
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while len(self._rest) < size and (text := next(self._texts, None)) is not None:
            self._rest += text.encode()
        out, self._rest = self._rest[:size], self._rest[size:]
        return out


def _query(kind: str, names: list[str], chance: random.Random) -> tuple[str, str]:
    number = chance.randrange(len(names))
    label = names[number]
    words = label.split()
    text = {
        "exact": label,
        "prefix": label[: max(3, len(label) // 2)],
        "words": " ".join(chance.sample(words, min(2, len(words)))),
        "typo": misspelt(label, chance),
        "miss": " ".join("".join(chance.sample(_LETTERS, 7)) for _ in range(2)),
    }[kind]
    return text, name_of(number, label)


def _timed(work: Callable[[], list[Any]]) -> tuple[list[Any], float]:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def _scan(names: list[str], text: str) -> list[str]:
    wanted = text.lower()
    return [name for name in names if wanted in name.lower()]


def _middle_and_slow(seconds: list[float]) -> tuple[float, float]:
    return statistics.median(seconds) * 1e3, statistics.quantiles(seconds, n=20)[-1] * 1e3


def table(figures: list[Figures]) -> str:
    """Write figures as a Markdown table."""
    head = ["labels", "build s", "file MB", *(f"{kind} ms" for kind in KINDS), "all ms"]
    head += ["typo hit@10", "scan ms", "scan hits"]
    lines = [head, ["---:"] * len(head)]
    for f in figures:
        times = [f"{middle:.2f} / {slow:.2f}" for middle, slow in (*f.times.values(), f.mixed)]
        size = f"{f.bytes / 1e6:.1f}" if f.bytes else "memory"
        lines.append([f"{f.size:,}", f"{f.build:.3f}", size, *times])
        lines[-1] += [f"{f.typo_hits:.3f}", f"{f.scan:.2f}", f"{f.scan_hits:.2f}"]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=SIZES[-1])
    parser.add_argument("--memory", action="store_true", help="keep the indexes in memory")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = None if options.memory else Path(folder)
        print(table([measure(size, place) for size in SIZES if size <= options.largest]))
    print("\nTimes: median / 95th percentile of", ROUNDS, "searches; scan: a loop over all labels.")


if __name__ == "__main__":
    main()
