"""``rlm-runtime mlflow ui``: serves MLflow's own pages over the store that is in use."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Annotated

import typer

from rlm_runtime.cli.output import Page
from rlm_runtime.cli.stopping import stopped_by_sigterm
from rlm_runtime.errors import ConfigurationError, RlmError
from rlm_runtime.redaction import without_login

__all__ = ["ui"]

_HOST = "127.0.0.1"
_START_SECONDS = 180.0
_STOP_SECONDS = 10.0
_PAUSE_SECONDS = 0.2


def ui(
    port: Annotated[
        int, typer.Option(metavar="N", min=1, max=65535, help="The port on this machine.")
    ] = 5000,
    tracking_uri: Annotated[
        str | None, typer.Option("--tracking-uri", metavar="URI", help="The store.")
    ] = None,
) -> None:
    """Serve MLflow's pages over the store, until Ctrl-C.

    Of a tracking server, which has pages of its own, only the address is printed.

    For example:

      rlm-runtime mlflow ui --port 5001
    """
    from rlm_runtime.logging.mlflow_health import is_server
    from rlm_runtime.logging.mlflow_reading import existing_store

    uri = existing_store(tracking_uri)
    page = Page()
    if is_server(uri):
        page.line(f"The server has pages of its own: {without_login(uri)}")
        return
    _check_free(port)
    address = f"http://{_HOST}:{port}"
    with stopped_by_sigterm(), _server(uri, port) as server:
        with Page.on_stderr().busy("starting MLflow; this takes about 20 seconds"):
            _wait(server, address)
        page.line(f"MLflow shows {without_login(uri)} at {address} (Ctrl-C stops it)")
        code = server.wait()
    raise RlmError(f"MLflow's server ended by itself, with exit code {code}.")


def _check_free(port: int) -> None:
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise ConfigurationError(
                f"Port {port} cannot be used ({error.strerror}). Give another one with --port."
            ) from error


@contextlib.contextmanager
def _server(uri: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run MLflow's server; at the end also its workers, which would outlive it, are stopped."""
    environment = {
        **os.environ,
        # Not as an argument, which other users of the machine could read: it can hold a login.
        "MLFLOW_BACKEND_STORE_URI": uri,
        # Its runner of jobs looks for the network first, and without one never begins to serve.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    command = [sys.executable, "-m", "mlflow", "ui", "--host", _HOST, "--port", str(port)]
    server = subprocess.Popen(
        [*command, "--workers", "1"], env=environment, stdout=sys.stderr, start_new_session=True
    )
    try:
        yield server
    finally:
        for how in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(server.pid, how)
                server.wait(_STOP_SECONDS)


def _wait(server: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise RlmError(f"MLflow's server did not start (exit code {server.returncode}).")
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(_PAUSE_SECONDS)
    raise RlmError(f"MLflow's server does not answer after {_START_SECONDS:.0f} seconds.")
