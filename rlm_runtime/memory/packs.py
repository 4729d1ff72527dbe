"""Packs: memories as a text file to share and to keep in git, one a line.

A pack begins with a line that names the format and its version. Then comes one JSON object for
each memory, its keys in a fixed order and without those that hold nothing, sorted by
``memory_id``: the same memories give the same bytes, and the difference of two packs shows what
was learned.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from rlm_runtime.errors import MemoryStoreError
from rlm_runtime.memory.protocol import Memory, MemoryBackend, MemoryKind, MemorySource
from rlm_runtime.redaction import redact_secrets

__all__ = [
    "PACK_FORMAT",
    "PACK_VERSION",
    "PackChanges",
    "pack_changes",
    "pack_lines",
    "read_packs",
    "unfit",
    "without_history",
    "write_pack",
]

PACK_FORMAT = "rlm-runtime-memories"
PACK_VERSION = 1

# More than the longest of all fields take together, each character written as an escape.
_MAX_LINE = 1_000_000
_CONFLICT = (b"<<<<<<<", b"=======", b">>>>>>>", b"|||||||")
_NOTHING = "Nothing was imported."


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("it is blank")
    return text


_Count = Annotated[int, Field(ge=0, le=2**53)]


class _Line(BaseModel):
    """A line of a pack, with what it may hold; its keys are written in this order."""

    model_config = ConfigDict(extra="forbid", strict=True)

    memory_id: str = ""
    title: Annotated[str, Field(max_length=200), AfterValidator(_not_blank)]
    description: Annotated[str, Field(max_length=1_000)] = ""
    # As much as a model is shown of all memories together.
    content: Annotated[str, Field(max_length=4_000), AfterValidator(_not_blank)]
    kind: MemoryKind = "strategy"
    source: MemorySource = "human"
    ontology: Annotated[str, Field(max_length=200)] | None = None
    query: Annotated[str, Field(max_length=20_000)] = ""
    level: Annotated[int, Field(ge=1, le=5)] | None = None
    tags: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=100)], ...], Field(max_length=50)
    ] = ()
    run_id: Annotated[str, Field(max_length=200)] | None = None
    created_at: Annotated[str, Field(pattern=r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z)?$")] = ""
    accessed: _Count = 0
    succeeded: _Count = 0
    failed: _Count = 0
    retired: bool = False


@dataclass(frozen=True)
class PackChanges:
    """What memories of a pack are to a store.

    Attributes:
        added: Those that it does not have.
        tagged: Those that it has, with fewer tags.
        same: Those that it has, with all their tags.
    """

    added: tuple[Memory, ...] = ()
    tagged: tuple[Memory, ...] = ()
    same: tuple[Memory, ...] = ()


def without_history(memory: Memory) -> Memory:
    """Give what a memory says, without how often it was used and how that went.

    Example:
        >>> without_history(Memory("Count", "Use COUNT.", succeeded=3)).succeeded
        0
    """
    return replace(memory, accessed=0, succeeded=0, failed=0, retired=False)


def pack_lines(memories: Iterable[Memory]) -> Iterator[str]:
    r"""Write memories as the lines of a pack, without line breaks.

    Example:
        >>> for line in pack_lines([Memory("Count", "Use COUNT.")]):
        ...     print(line[:69])
        {"format": "rlm-runtime-memories", "version": 1}
        {"memory_id": "f8aade628b22545d", "title": "Count", "content": "Use C
    """
    yield json.dumps({"format": PACK_FORMAT, "version": PACK_VERSION})
    yield from map(_line, sorted(memories, key=lambda memory: memory.memory_id))


def write_pack(path: str | Path, memories: Iterable[Memory]) -> None:
    """Write memories as a pack; a file of that name is replaced, at once and as a whole.

    Raises:
        MemoryStoreError: The file cannot be written.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{line}\n" for line in pack_lines(memories))
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise MemoryStoreError(
            f"The pack {path} cannot be written: {error.strerror or error}. Give another path."
        ) from error


def unfit(memory: Memory) -> str | None:
    """Say why a memory cannot be in a pack; None when it can.

    A pack is made to be shared: what looks like a secret keeps a memory out of it.

    Example:
        >>> unfit(Memory("Ask", "Use https://me:swordfish@host/"))
        'its content seems to hold a secret'
        >>> unfit(Memory("Count", " "))
        'its content: it is blank'
    """
    line = _line(memory)
    try:
        _Line.model_validate_json(line.encode("utf-8", "backslashreplace"))
    except ValidationError as error:
        return f"its {_first_of(error)}"
    for name in ("title", "description", "content", "query"):
        text = getattr(memory, name)
        if redact_secrets(text) != text:
            return f"its {name} seems to hold a secret"
    return None


def read_packs(paths: Sequence[str | Path]) -> list[Memory]:
    """Read the memories of packs, each once, with all the tags that it has in any of them.

    Every line is looked at before anything is given. A line without a ``memory_id``, written by
    a person, gets the one that its title and content have.

    Raises:
        MemoryStoreError: A file is no pack or of a newer version, or a line of it is wrong; names
            the file and the line.
    """
    known: dict[str, Memory] = {}
    for path in paths:
        for memory in _read_pack(Path(path)):
            before = known.setdefault(memory.memory_id, memory)
            tags = tuple(sorted({*before.tags, *memory.tags}))
            known[memory.memory_id] = replace(before, tags=tags)
    return list(known.values())


def pack_changes(backend: MemoryBackend, memories: Iterable[Memory]) -> PackChanges:
    """Say what ``backend.add_memories`` would do with memories.

    Example:
        >>> from rlm_runtime.memory import SQLiteMemoryBackend
        >>> with SQLiteMemoryBackend(":memory:") as store:
        ...     changes = pack_changes(store, [Memory("Count", "Use COUNT.")])
        >>> [memory.title for memory in changes.added]
        ['Count']
    """
    added, tagged, same = [], [], []
    for memory in memories:
        there = backend.get_memory(memory.memory_id)
        if there is None:
            added.append(memory)
        elif {*memory.tags} <= {*there.tags}:
            same.append(memory)
        else:
            tagged.append(memory)
    return PackChanges(tuple(added), tuple(tagged), tuple(same))


def _line(memory: Memory) -> str:
    told = {name: getattr(memory, name) for name in _Line.model_fields}
    return json.dumps({name: value for name, value in told.items() if value}, ensure_ascii=False)


def _read_pack(path: Path) -> Iterator[Memory]:
    lines = _lines(path)
    number, header = next(lines, (1, b""))
    _check_header(path, number, header)
    for number, line in lines:
        yield _memory(path, number, line)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Give the lines that hold something, with their numbers from 1."""
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(_MAX_LINE):
                number += 1
                if len(line) == _MAX_LINE:
                    raise _wrong(path, number, "It is too long for a memory.")
                line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if line.strip():
                    yield number, line.strip()
    except OSError as error:
        raise MemoryStoreError(
            f"The pack {path} cannot be read: {error.strerror or error}. Check the path. {_NOTHING}"
        ) from error


def _check_header(path: Path, number: int, line: bytes) -> None:
    header: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        header = json.loads(line)
    if not isinstance(header, dict) or header.get("format") != PACK_FORMAT:
        raise _wrong(
            path,
            number,
            f"It is not the first line of a pack of memories, {next(pack_lines([]))}. Give a file "
            "that 'rlm-runtime memory export' has written.",
        )
    version = header.get("version")
    if version != PACK_VERSION:
        raise _wrong(
            path,
            number,
            f"The pack is of version {version!r}, and {PACK_VERSION} is the one that is known "
            "here. Update rlm-runtime, or have it exported by this version.",
        )


def _memory(path: Path, number: int, line: bytes) -> Memory:
    if line.startswith(_CONFLICT):
        raise _wrong(path, number, "It is a mark of a merge in git that is not resolved yet.")
    try:
        told = _Line.model_validate_json(line)
    except ValidationError as error:
        raise _wrong(path, number, f"{_first_of(error)}. Mend it, or remove the line.") from error
    given = {field.name: getattr(told, field.name) for field in fields(Memory)}
    memory = Memory(**{**given, "tags": tuple(sorted(told.tags))})
    if told.memory_id and told.memory_id != memory.memory_id:
        raise _wrong(
            path,
            number,
            f"memory_id is {told.memory_id}, and title and content give {memory.memory_id}: one "
            "of them was changed. Put back what it was; or leave memory_id out, for a new memory.",
        )
    return memory


def _wrong(path: Path, number: int, what: str) -> MemoryStoreError:
    return MemoryStoreError(f"{path}, line {number}: {what} {_NOTHING}")


def _first_of(error: ValidationError) -> str:
    """Give the first mistake that pydantic found: the key, and what is wrong with it."""
    first = error.errors(include_url=False, include_input=False)[0]
    message = re.sub(r" at line 1 column", " at column", first["msg"])
    message = message.removeprefix("Value error, ")
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {message}" if where else message
