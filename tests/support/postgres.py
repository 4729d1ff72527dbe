"""A real PostgreSQL for tests: on a free loopback port, its data in a temporary folder."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.shared import Facts, free_port_number, shared

__all__ = ["Postgres", "postgres"]

_SECONDS = 60


@dataclass(frozen=True)
class Postgres:
    """A running database server."""

    port: int
    password: str

    def new_database(self) -> str:
        """Make an empty database, and give its URI with the login in it."""
        import psycopg

        name = f"test_{secrets.token_hex(6)}"
        with psycopg.connect(self._uri("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self._uri(name)

    def _uri(self, database: str) -> str:
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/{database}"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A database server that wants a password; skips when PostgreSQL is not installed."""
    if _binary("postgres") is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with shared(tmp_path_factory, "postgres", _start, _stop) as facts:
        yield Postgres(int(facts["port"]), str(facts["password"]))


def _binary(name: str) -> str | None:
    # Debian keeps the server's programs out of PATH, one folder for each version.
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    folders = [*map(str, packaged), os.environ.get("PATH", "")]
    return shutil.which(name, path=os.pathsep.join(folders))


def _start(_: Path) -> Facts:
    # Not in pytest's own folder, which only its owner may enter, and PostgreSQL refuses to be root.
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    password = secrets.token_hex(16)
    (folder / "password").write_text(password)
    if os.geteuid() == 0:
        for path in (folder, folder / "password"):
            shutil.chown(path, "postgres")
    port = free_port_number()
    # Nothing of it outlives the tests, so it need not wait for the disk.
    options = f"-p {port} -h 127.0.0.1 -k {folder} -c fsync=off -c full_page_writes=off"
    data, log = str(folder / "data"), str(folder / "log")
    try:
        _run("initdb", "-D", data, "-U", "postgres", "-A", "scram-sha-256", "--no-sync",
             "--encoding=UTF8", "--locale=C.UTF-8", f"--pwfile={folder / 'password'}")  # fmt: skip
        _run("pg_ctl", "start", "-w", "-D", data, "-l", log, "-o", options)
    except Exception:
        shutil.rmtree(folder)
        raise
    return {"folder": str(folder), "port": port, "password": password}


def _stop(facts: Facts) -> None:
    folder = Path(str(facts["folder"]))
    _run("pg_ctl", "stop", "-w", "-D", str(folder / "data"), "-m", "immediate")
    shutil.rmtree(folder)


def _run(program: str, *arguments: str) -> None:
    command = [_binary(program) or program, *arguments]
    if os.geteuid() == 0:
        command = ["runuser", "-u", "postgres", "--", *command]
    # pg_ctl start leaves the server with its streams: a pipe would never end.
    with tempfile.TemporaryFile() as said:
        done = subprocess.run(command, cwd="/", stdout=said, stderr=said, timeout=_SECONDS)
        said.seek(0)
        assert done.returncode == 0, said.read().decode()
