"""What all tests share: swallowed errors re-raise, and nothing leaks from one test to another."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

pytest_plugins = ["tests.support.mlflow_server", "tests.support.vocabularies"]

# The same examples each time: a gate that fails by chance tells nothing. `make fuzz` seeks others.
settings.register_profile("gate", derandomize=True)
settings.register_profile("fuzz", print_blob=True)
settings.load_profile("gate")

os.environ["RLM_RUNTIME_RAISE"] = "1"
# A shell has what it starts in the background ignore Ctrl-C, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Set by pytest-xdist, it would have the command line wrap what it prints into a pipe.
os.environ.pop("COLUMNS", None)
# A LiteLLM that looks up prices, or an MLflow that sends usage data, would reach for the network.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")


@pytest.fixture(autouse=True)
def _own_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: Any) -> None:
    """Give each test a spool of its own, and undo what examples in docstrings set."""
    home = tmp_path_factory.getbasetemp() / "homes" / secrets.token_hex(8)
    monkeypatch.setenv("RLM_RUNTIME_HOME", str(home))
    monkeypatch.setenv("RLM_RUNTIME_RAISE", "1")


@pytest.fixture
def swallowing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Swallow errors of observation as outside the tests, and let every cause warn again."""
    from rlm_runtime.guard import RAISE_VARIABLE, forget_warnings

    monkeypatch.setenv(RAISE_VARIABLE, "0")
    forget_warnings()


@pytest.fixture(autouse=True)
def _callbacks_do_not_fail(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test in which DSPy swallowed the exception of a callback."""
    yield
    for record in caplog.get_records("call"):
        assert not record.getMessage().startswith("Error when "), record.getMessage()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where everything is installed, a skipped test is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("RLM_RUNTIME_NO_SKIP") != "1" or reporter is None:
        return
    if reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
