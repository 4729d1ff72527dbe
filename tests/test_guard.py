"""Observation harms nobody, whatever is done to warnings and errors."""

from __future__ import annotations

import io
import sys
import warnings

import pytest

from rlm_runtime import observe
from rlm_runtime.errors import TrackingWarning
from rlm_runtime.guard import shielded, warn_once


class Broken(Exception):
    """An error that cannot even be shown."""

    def __str__(self) -> str:
        raise ValueError("no words")


class Failing:
    """A sink that fails."""

    def emit(self, event: object) -> None:
        raise Broken

    def close(self) -> None:
        raise Broken


def test_an_error_without_words_is_told_by_its_name(swallowing):
    with pytest.warns(TrackingWarning, match="Could not try: Broken"), shielded("try"):
        raise Broken


def test_a_run_outlives_a_sink_that_fails_without_words(swallowing):
    with pytest.warns(TrackingWarning) as told, observe("run", sinks=[Failing()]) as run:
        run.report(outputs={"answer": 42})
    assert {str(one.message).split(":")[1].strip(" .") for one in told} == {"Broken"}


def test_a_run_outlives_a_closed_stderr_and_a_broken_hook(swallowing, monkeypatch):
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    done = []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with observe("run", sinks=[Failing()]):
            done.append("closed")
    monkeypatch.setattr(warnings, "showwarning", lambda *_, **__: 1 / 0)
    with observe("run", sinks=[Failing()]):
        done.append("broken")
    assert done == ["closed", "broken"]


def test_what_filters_make_an_error_is_printed(swallowing, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_once("docs: once", "The disk is full.")
    assert capfd.readouterr().err == "TrackingWarning: The disk is full.\n"


def test_warnings_hold_no_secrets(swallowing, monkeypatch):
    monkeypatch.setenv("STORE_PASSWORD", "swordfish99")
    with pytest.warns(TrackingWarning) as told:
        warn_once("secrets", "Tried https://me:pw@host with swordfish99.")
    assert str(told[0].message) == "Tried https://[redacted]@host with [redacted]."
