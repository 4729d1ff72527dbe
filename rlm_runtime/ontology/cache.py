"""The folder of stores on disk: which there are, how large they may grow, and how they go."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from rlm_runtime.errors import ConfigurationError
from rlm_runtime.folders import cache_folder

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = [
    "SIZE_VARIABLE",
    "CacheEntry",
    "cache_entries",
    "clear_cache",
    "evict",
    "is_key",
    "keep_in_use",
    "lock_of",
    "ontologies_folder",
    "remove_entry",
    "size_limit",
    "unfinished",
]

SIZE_VARIABLE = "RLM_RUNTIME_CACHE_SIZE"
"""The most bytes that all stores together may take: a number with KB, MB, GB or TB."""

MANIFEST = "manifest.json"

_DEFAULT_SIZE = "20GB"
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", re.I)
_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class CacheEntry:
    """A store on disk.

    Attributes:
        key: Names it: a hash of what it was read from.
        source: Path of the file or folder that it was read from.
        triples: How many statements it holds.
        size: Bytes on disk, its index of labels with it.
        used: When it was last opened, in seconds since 1970.
    """

    key: str
    source: str
    triples: int
    size: int
    used: float


def is_key(name: str) -> bool:
    """Say whether a name can be that of a store."""
    return _KEY.fullmatch(name) is not None


def ontologies_folder() -> Path:
    """Give the folder of all stores; it need not exist yet."""
    return cache_folder() / "ontologies"


def size_limit() -> int:
    """Give the most bytes that the cache may take, as ``RLM_RUNTIME_CACHE_SIZE`` says.

    Raises:
        ConfigurationError: It is no size.

    Example:
        >>> os.environ["RLM_RUNTIME_CACHE_SIZE"] = "1.5 GB"
        >>> size_limit()
        1500000000
    """
    text = os.environ.get(SIZE_VARIABLE) or _DEFAULT_SIZE
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ConfigurationError(
            f"{SIZE_VARIABLE}={text!r} is no size. Give a number of bytes, or one with a unit, "
            "such as 500MB or 20GB."
        )
    return int(float(match[1]) * _UNITS[match[2].upper()])


def cache_entries() -> list[CacheEntry]:
    """Give all stores that are whole, the last used one first."""
    found = []
    for folder in _folders():
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
            found.append(
                CacheEntry(
                    key=folder.name,
                    source=str(manifest["source"]),
                    triples=int(manifest["triples"]),
                    size=sum(int(size) for size in manifest["files"].values()),
                    used=(folder / MANIFEST).stat().st_mtime,
                )
            )
    return sorted(found, key=lambda entry: -entry.used)


def clear_cache(older_than: float = 0.0) -> list[CacheEntry]:
    """Remove stores, and what killed processes left; give what was removed.

    Who has a store open goes on with it: one whose files a worker has yet to open stays, as does
    one that is being built.

    Args:
        older_than: Only stores that were not opened for so many seconds.
    """
    before = time.time() - older_than
    chosen = [entry for entry in cache_entries() if entry.used <= before]
    removed = [entry for entry in chosen if _remove_unless_busy(entry.key)]
    _sweep()
    return removed


def evict(keep: str) -> None:
    """Remove the stores that were not used for longest, until all fit into the size limit.

    One that is being built, or whose files a worker has yet to open, stays.

    Args:
        keep: Key of the one that stays in any case.
    """
    limit = size_limit()
    entries = cache_entries()
    total = sum(entry.size for entry in entries)
    for entry in reversed(entries):
        if total > limit and entry.key != keep and _remove_unless_busy(entry.key):
            total -= entry.size
    _sweep()


def keep_in_use(folder: Path) -> IO[bytes] | None:
    """Keep a store from being removed, for the engine opens some of its files only to read them.

    Returns:
        To be held for as long; None where the system itself keeps what is open, or at a store
        that is gone.
    """
    with contextlib.suppress(ImportError, OSError):
        import fcntl

        manifest = (folder / MANIFEST).open("rb")
        fcntl.flock(manifest, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return manifest
    return None


def lock_of(key: str) -> BaseFileLock:
    """Give the lock that who makes or removes a store must hold; it makes its folder."""
    from filelock import FileLock

    folder = ontologies_folder() / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{key}.lock")


def unfinished(key: str) -> Path:
    """Give a new place to build a store in; call it with the lock of its key held.

    What another process has left of the same store is removed.
    """
    parent = ontologies_folder() / ".building"
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(f"{key}-*"):
        shutil.rmtree(left, ignore_errors=True)
    return parent / f"{key}-{secrets.token_hex(4)}"


def remove_entry(key: str) -> None:
    """Remove a store whose lock is held; it is gone for others before its files are."""
    gone = unfinished(key)
    with contextlib.suppress(FileNotFoundError):
        os.replace(ontologies_folder() / key, gone)
    shutil.rmtree(gone, ignore_errors=True)


def _remove_unless_busy(key: str) -> bool:
    from filelock import Timeout

    try:
        with lock_of(key).acquire(timeout=0):
            if _is_in_use(ontologies_folder() / key):
                return False
            remove_entry(key)
    except (Timeout, PermissionError):
        return False
    return True


def _is_in_use(folder: Path) -> bool:
    with contextlib.suppress(ImportError, FileNotFoundError):
        import fcntl

        with (folder / MANIFEST).open("r+b") as manifest:
            try:
                fcntl.flock(manifest, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    return False


def _folders() -> Iterator[Path]:
    with contextlib.suppress(FileNotFoundError):
        for folder in ontologies_folder().iterdir():
            if is_key(folder.name):
                yield folder


def _sweep() -> None:
    """Remove half-built stores of dead processes, and memories of stores that are gone."""
    from filelock import Timeout

    root = ontologies_folder()
    for left in (root / ".building").glob("*"):
        key = left.name.partition("-")[0]
        with contextlib.suppress(Timeout), lock_of(key).acquire(timeout=0):
            shutil.rmtree(left, ignore_errors=True)
    for folder in _folders():
        if not (folder / MANIFEST).exists():
            _remove_unless_busy(folder.name)
    there = {folder.name for folder in _folders()}
    for known in (root / ".known").glob("*"):
        with contextlib.suppress(OSError):
            if known.read_bytes().decode("ascii", "replace") not in there:
                known.unlink()
