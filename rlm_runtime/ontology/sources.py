"""What an ontology is read from: its files, and how to tell whether they are still the same."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rlm_runtime.errors import OntologyError
from rlm_runtime.ontology.imports import read_import_map
from rlm_runtime.ontology.rdf_bytes import holds_more_than, open_rdf
from rlm_runtime.ontology.rdf_format import Syntax, has_rdf_suffix, looks_rdf

__all__ = ["Source", "find_source"]

# The clock of a file system may stand still this long, so that a file changes without a new time.
_SETTLED_NS = 2_000_000_000


@dataclass(frozen=True)
class Source:
    """The files of an ontology.

    Attributes:
        path: The file or folder, as it was given.
        files: Itself, or the RDF files below it, sorted by path.
        syntax: The syntax that was asked for, if any.
        imports: IRI of an ontology to the file that holds it.
    """

    path: Path
    files: tuple[Path, ...]
    syntax: Syntax | None = None
    imports: Mapping[str, Path] = field(default_factory=dict)

    @property
    def members(self) -> list[Path]:
        """All files that may be read."""
        return [*self.files, *sorted({*self.imports.values()} - {*self.files})]

    @property
    def size(self) -> int:
        """Bytes of all files together, zipped if they are."""
        return sum(_status(file).st_size for file in self.members)

    def is_larger_than(self, size: int) -> bool:
        """Say whether all files, or one of them unzipped, hold more than ``size`` bytes."""
        return self.size > size or any(holds_more_than(file, size) for file in self.members)

    def signature(self) -> tuple[str, bool]:
        """Give a hash that changes whenever a file does, without reading any of them.

        Returns:
            The hash of the files' paths, sizes, times and numbers; and whether all of them are so
            old that the next change will show in it.
        """
        told = hashlib.sha256(repr((self.syntax, self._imports_text())).encode())
        newest = 0
        for file in self.members:
            status = _status(file)
            newest = max(newest, status.st_mtime_ns)
            stamp = (status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev)
            told.update(f"{_address(file)} {stamp}\n".encode())
        return told.hexdigest(), newest < time.time_ns() - _SETTLED_NS

    def check_unchanged(self, signature: str) -> None:
        """Raise OntologyError if a file has changed since it had this signature."""
        if self.signature()[0] != signature:
            raise OntologyError(
                f"{self.path} changed while it was read. Wait until it is written, and open it "
                "again."
            )

    def content_key(self) -> str:
        """Give a hash of all that decides what is loaded: what the files hold, and where they are.

        Their places count because relative IRIs are resolved against them.
        """
        told = hashlib.sha256(repr((self.syntax, self._imports_text())).encode())
        for file in self.members:
            try:
                with file.open("rb") as opened:
                    digest = hashlib.file_digest(opened, "sha256").hexdigest()
            except OSError as error:
                raise _unreadable(file, error) from error
            told.update(f"{_address(file)} {digest}\n".encode())
        return told.hexdigest()

    def _imports_text(self) -> list[tuple[str, str]]:
        return sorted((iri, _address(file)) for iri, file in self.imports.items())


def find_source(
    path: Path,
    syntax: Syntax | None = None,
    imports: Mapping[str, str | Path] | None = None,
) -> Source:
    """Find the files of an ontology.

    Args:
        path: A file or a folder. Hidden files and files that are no RDF are left out of a folder.
        syntax: Forces the syntax; else content and name of each file decide.
        imports: IRI of an ontology to its file; before what a map beside the ontology says.

    Raises:
        OntologyError: There is nothing, nothing that is RDF, or a file that cannot be read.
    """
    # Unlike Path.exists, this also takes a text that is far too long for a path.
    if not os.path.exists(path):
        raise OntologyError(f"There is no file or folder {str(path)[:300]}. Check the path.")
    if not path.is_dir() and not path.is_file():
        raise OntologyError(f"{path} is not a regular file. Give an RDF file or a folder of them.")
    files = tuple(_rdf_files(path)) if path.is_dir() else (path,)
    if not files:
        raise OntologyError(
            f"The folder {path} holds no RDF file. Give a folder with .ttl, .owl, .rdf, .nt, .nq, "
            ".trig, .n3 or .jsonld files, or the file itself."
        )
    return Source(path, files, syntax, read_import_map(path, imports))


def _rdf_files(folder: Path) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        raise OntologyError(
            f"Cannot list {error.filename}: {error.strerror}. Check that it may be read."
        ) from error

    for parent, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if name.startswith(".") or not path.is_file():
                continue
            surely = has_rdf_suffix(path)
            if surely is None:
                with open_rdf(path) as content:
                    surely = looks_rdf(content.head)
            if surely:
                yield path


def _status(file: Path) -> os.stat_result:
    try:
        return file.stat()
    except OSError as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: OSError) -> OntologyError:
    return OntologyError(
        f"Cannot read {file}: {error.strerror or error}. Check that it is there and may be read."
    )


def _address(file: Path) -> str:
    return os.path.realpath(file)
