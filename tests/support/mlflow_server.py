"""Real MLflow stores for tests: SQLite files, and servers on free loopback ports."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.shared import Facts, free_port_number, shared

if TYPE_CHECKING:
    from tests.support.postgres import Postgres

pytest_plugins = ["tests.support.browser", "tests.support.postgres"]

_START_SECONDS = 120


def start_server(
    folder: Path,
    *,
    store: str | None = None,
    port: int | None = None,
    options: tuple[str, ...] = (),
    env: Mapping[str, str] | None = None,
) -> tuple[subprocess.Popen[bytes], str]:
    """Start a server, and give it and its address when it serves.

    Called again with the folder and the port of a server that is gone, it serves the same.

    Args:
        folder: An existing folder for the log, the artifacts and, without ``store``, a database.
        store: The URI of a database; by default SQLite in the folder.
        port: The loopback port; by default a free one.
        options: More options of ``mlflow server``.
        env: More environment variables for it.
    """
    port = port or free_port_number()
    environment = {
        **os.environ,
        # With litellm installed the job runner looks for the network and never starts serving.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **(env or {}),
    }
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", store or f"sqlite:///{folder}/server.db", "--workers", "1"]
    command += ["--serve-artifacts", "--artifacts-destination", str(folder / "artifacts"), *options]
    with (folder / "server.log").open("ab") as log:
        server = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return server, address
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    stop_server(server)
    raise RuntimeError(f"mlflow server did not start: {(folder / 'server.log').read_text()}")


def stop_server(server: subprocess.Popen[bytes]) -> None:
    """Stop the server and its workers, which would outlive it."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, how)
        except ProcessLookupError:
            break
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            continue


@dataclass(frozen=True)
class Login:
    """A server that wants a name and a password."""

    address: str
    username: str
    password: str


@pytest.fixture
def free_port() -> int:
    """A loopback port that nobody listens on."""
    return free_port_number()


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server over SQLite."""

    def start(folder: Path) -> Facts:
        return _facts(*start_server(folder))

    with shared(tmp_path_factory, "mlflow", start, _kill) as facts:
        yield str(facts["address"])


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[str]:
    """The address of a server over PostgreSQL that keeps the artifacts too."""

    def start(folder: Path) -> Facts:
        return _facts(*start_server(folder, store=postgres.new_database()))

    with shared(tmp_path_factory, "mlflow-postgres", start, _kill) as facts:
        yield str(facts["address"])


@pytest.fixture(scope="session")
def auth_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Login]:
    """A server with basic authentication, and its administrator."""

    def start(folder: Path) -> Facts:
        password = secrets.token_hex(16)
        env = {
            "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
            "MLFLOW_AUTH_ADMIN_PASSWORD": password,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(32),
        }
        started = start_server(folder, options=("--app-name", "basic-auth"), env=env)
        return {**_facts(*started), "password": password}

    with shared(tmp_path_factory, "mlflow-auth", start, _kill) as facts:
        yield Login(str(facts["address"]), "admin", str(facts["password"]))


def _facts(server: subprocess.Popen[bytes], address: str) -> Facts:
    return {"pid": server.pid, "address": address}


def _kill(facts: Facts) -> None:
    # Only the worker that started it could wait for a gentle end, and its store goes with it.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(int(facts["pid"]), signal.SIGKILL)


@pytest.fixture(scope="session")
def _empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow-store") / "empty.db"
    MlflowClient(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_store(_empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of a SQLite store with its schema made, in the folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mlflow.db"
    shutil.copyfile(_empty_store, path)
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        # The "Default" experiment keeps its artifacts where the store was first made.
        database.execute("UPDATE experiments SET artifact_location = ?", (f"{tmp_path}/mlruns/0",))
    return f"sqlite:///{path}"
