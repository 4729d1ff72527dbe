"""Open a source from its store on disk, which is built the first time."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlm_runtime.errors import OntologyError
from rlm_runtime.ontology.cache import (
    MANIFEST,
    evict,
    is_key,
    lock_of,
    ontologies_folder,
    remove_entry,
    unfinished,
)
from rlm_runtime.ontology.filling import Loaded, OnProgress, load_source
from rlm_runtime.ontology.search import LabelIndex
from rlm_runtime.ontology.sources import Source
from rlm_runtime.ontology.whole_graph import whole_graph

if TYPE_CHECKING:
    from pyoxigraph import Store

__all__ = ["distrust", "load_cached"]

# A new one has all stores built anew; so has a new version of the engine.
_VERSION = 2
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_STORE = "store"
_LABELS = "labels.sqlite"


def load_cached(source: Source, on_progress: OnProgress | None = None) -> Loaded:
    """Open the store of a source from the cache folder, building it if it is not there.

    Of several processes that open the same new source, one builds and the others wait for it.
    A store that is not whole, or that the engine finds broken, is built again.

    Raises:
        OntologyError: As ``load_source``; or the cache folder cannot be written, or is full.
    """
    try:
        return _load(source, on_progress)
    except OSError as error:
        raise _not_written(error) from error


def distrust(loaded: Loaded) -> bool:
    """Have a store built again at the next opening, because reading it showed that it is broken.

    Returns:
        Whether it lies on disk; one in memory cannot be built again in this way.
    """
    if loaded.folder is None:
        return False
    with contextlib.suppress(OSError):
        (loaded.folder / MANIFEST).unlink()
    return True


def _load(source: Source, on_progress: OnProgress | None) -> Loaded:
    signature, settled = source.signature()
    known = ontologies_folder() / ".known" / _of_version(signature)
    noted = _read_key(known)
    key = noted or _of_version(source.content_key())
    loaded = _open(key)
    if loaded is None:
        with lock_of(key):
            loaded = _open(key)
            if loaded is None:
                remove_entry(key)
                # Else the store of a file that has just changed would go by the old one's name.
                source.check_unchanged(signature)
                _build(key, source, on_progress)
                loaded = _open(key)
        # A store that was built is of use, whatever becomes of others.
        with contextlib.suppress(OSError):
            evict(keep=key)
    if loaded is None:
        raise OntologyError(
            f"What was written for {source.path} into {ontologies_folder()} cannot be read again. "
            "Check the disk, or set RLM_RUNTIME_HOME to a folder on another one."
        )
    if settled and key != noted:
        # A cache that may only be read is read all the same.
        with contextlib.suppress(OSError):
            _write_key(known, key)
    return loaded


def _read_key(known: Path) -> str | None:
    try:
        key = known.read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return None
    return key if is_key(key) else None


def _write_key(known: Path, key: str) -> None:
    known.parent.mkdir(exist_ok=True)
    part = known.with_suffix(f".{os.getpid()}")
    part.write_text(key, "ascii")
    os.replace(part, known)


def _open(key: str) -> Loaded | None:
    """Open a store, if it is there and whole."""
    from pyoxigraph import Store

    folder = ontologies_folder() / key
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
        if manifest["version"] != _version() or manifest["files"] != _sizes(folder):
            return None
        store = Store.read_only(str(folder / _STORE))
        LabelIndex.open(folder / _LABELS).close()
        # A cache that may only be read keeps no order of use.
        with contextlib.suppress(OSError):
            os.utime(folder / MANIFEST)
    # The engine reports broken files as RuntimeError, missing ones as OSError.
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, OntologyError):
        return None
    return Loaded(
        store,
        prefixes=manifest["prefixes"],
        unresolved_imports=tuple(manifest["unresolved_imports"]),
        folder=folder,
        labels=folder / _LABELS,
    )


def _build(key: str, source: Source, on_progress: OnProgress | None) -> None:
    folder = unfinished(key)
    try:
        folder.mkdir()
        facts = _fill(folder, source, on_progress)
        text = json.dumps({"version": _version(), **facts, "files": _sizes(folder)})
        with (folder / MANIFEST).open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.rename(folder, ontologies_folder() / key)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fill(folder: Path, source: Source, on_progress: OnProgress | None) -> dict[str, Any]:
    """Write store and labels; what is open is closed on return, so that sizes are final."""
    from pyoxigraph import Store

    size = source.size

    def tell(done: int, _total: int = 0) -> None:
        # To index the names takes longer than to read the files.
        if on_progress is not None:
            on_progress(done, 2 * size)

    store = Store(str(folder / _STORE))
    loaded = load_source(source, store, tell)
    store.flush()
    triples = _count(store)
    LabelIndex.build(
        store,
        path=folder / _LABELS,
        on_progress=lambda read: tell(size + size * min(read, triples) // triples),
    ).close()
    return {
        "source": str(source.path.absolute()),
        "triples": triples,
        "prefixes": loaded.prefixes,
        "unresolved_imports": loaded.unresolved_imports,
    }


def _count(store: Store) -> int:
    query = "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }"
    (solution,) = store.query(query, default_graph=whole_graph(store))  # pyright: ignore
    return int(solution["n"].value)


def _sizes(folder: Path) -> dict[str, int]:
    """Give the size of each file that holds data; the engine's own log changes at each opening."""
    return {
        file.relative_to(folder).as_posix(): file.stat().st_size
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != MANIFEST and not file.name.startswith("LOG")
    }


def _of_version(name: str) -> str:
    """Make a name that is another one in each version, so that none removes another's stores."""
    return hashlib.sha256(f"{_version()} {name}".encode()).hexdigest()


def _version() -> str:
    from pyoxigraph import __version__

    return f"{_VERSION}/{__version__}"


def _not_written(error: OSError) -> OntologyError:
    # The engine gives no error number.
    words = ("No space left", "File too large", "quota exceeded")
    full = error.errno in _FULL or any(part in str(error) for part in words)
    what = "is full" if full else "cannot be used"
    return OntologyError(
        f"The cache folder {ontologies_folder()} {what} ({error}). Make room there, remove stores "
        "with `rlm-runtime ontology cache clear`, or set RLM_RUNTIME_HOME to a folder on another "
        "disk."
    )
