"""Brings to MLflow what it has not got yet: the runs in the spool."""

from __future__ import annotations

import dataclasses
import importlib.util
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rlm_runtime.errors import ConfigurationError, LogFormatError
from rlm_runtime.guard import contained
from rlm_runtime.logging.events import Event
from rlm_runtime.logging.mlflow_delivery import Delivery
from rlm_runtime.logging.mlflow_destination import Destination
from rlm_runtime.logging.mlflow_health import check, forget_away
from rlm_runtime.logging.mlflow_store import import_mlflow, resolve_tracking_uri
from rlm_runtime.logging.spool import SpooledRun, spooled_runs, sweep
from rlm_runtime.redaction import Redaction, without_login
from rlm_runtime.settings import absolute_uri

__all__ = ["OnProgress", "Synced", "deliver", "deliver_backlog", "need_mlflow", "pending", "sync"]

OnProgress = Callable[["Synced", int, int], None]

# One thread of a process at a time looks through the spool; what it cannot deliver it tries once.
_looking = threading.Lock()
_tried: set[Path] = set()


@dataclass(frozen=True)
class Synced:
    """What became of one run.

    Attributes:
        path: Where it lies: its folder in the spool, or the log.
        state: ``delivered``; ``pending`` (only looked at); ``running`` (its process lives and
            delivers it itself); ``failed``; ``unreadable`` (its record is damaged).
        run_id: None when the record does not tell.
        tracking_uri: Where it goes, without a login.
        status: ``FINISHED``, ``FAILED`` or ``KILLED``; None when the record does not tell.
        events: How many there are.
        mlflow_run_id: The MLflow run, once it exists.
        error: What went wrong, else None.
    """

    path: Path
    state: Literal["delivered", "pending", "running", "failed", "unreadable"]
    run_id: str | None = None
    tracking_uri: str = ""
    status: str | None = None
    events: int = 0
    mlflow_run_id: str | None = None
    error: str | None = None


def sync(
    tracking_uri: str | None = None,
    *,
    dry_run: bool = False,
    on_progress: OnProgress | None = None,
) -> list[Synced]:
    """Deliver the runs that are kept in the spool, the oldest first.

    A run whose process died in the middle of it becomes KILLED, at the time of its last event,
    with the trace that there is. What is delivered leaves the spool, so a second call has
    nothing to do.

    Args:
        tracking_uri: Deliver there, with its login, if it needs one. Default: each run goes where
            it was meant to go.
        dry_run: Only look.
        on_progress: Called after each run with its result, its number from 1, and how many there
            are.

    Raises:
        ConfigurationError: MLflow is not installed.

    Example:
        >>> from rlm_runtime import sync
        >>> [run.state for run in sync(dry_run=True)]
        []
    """
    need_mlflow()
    runs = spooled_runs()
    if not runs:
        return []
    import_mlflow(tracking_uri)
    forget_away()
    results = []
    for number, run in enumerate(runs, start=1):
        with run.claimed() as ours:
            if not run.path.exists():
                continue
            found = _read(run, tracking_uri)
            if not found.events and found.result.state == "pending":
                # Just being made, or its process was killed before it recorded anything.
                if ours and not dry_run:
                    run.remove()
                continue
            if not ours:
                result = dataclasses.replace(found.result, state="running", status=None)
            else:
                result = found.result if dry_run else _settle(found)
            results.append(result)
        if on_progress is not None:
            on_progress(result, number, len(runs))
    if not dry_run:
        sweep()
    return results


def deliver_backlog(destination: Destination, stop: threading.Event | None = None) -> None:
    """Deliver what older runs left in the spool for the store that this destination names.

    For a run's own worker, while it has nothing else to do: raises nothing, leaves alone what
    this process could not deliver before, and ends when the store is away or ``stop`` is set.

    Args:
        destination: Names the store, with its login.
        stop: Ends the work after the delivery in hand.
    """
    if not _looking.acquire(blocking=False):
        return
    try:
        for run in spooled_runs():
            if stop is not None and stop.is_set():
                return
            with contained() as outcome:
                go_on = run.path in _tried or _deliver_old(run, destination.tracking_uri)
            if outcome.ok and not go_on:
                return
    finally:
        _looking.release()


def _deliver_old(run: SpooledRun, tracking_uri: str) -> bool:
    """Deliver a run if it is for this store and nobody else's; tell whether to go on."""
    with run.claimed() as ours:
        if not ours:
            return True
        with contained() as known:
            meant = run.destination["tracking_uri"]
        if known.ok and meant != without_login(tracking_uri):
            return True
        found = _read(run, tracking_uri)
        state = _settle(found).state if found.events else found.result.state
    if state == "failed":
        with contained() as there:
            check(tracking_uri)
        if not there.ok:
            return False
    if state in ("failed", "unreadable"):
        # The store is there and does not want it, or it cannot be read: trying again does not help.
        _tried.add(run.path)
    return True


@dataclass(frozen=True)
class _Found:
    """A run that was read from the spool: what is known of it, and what to deliver."""

    run: SpooledRun
    result: Synced
    events: list[Event]
    destination: Destination | None


def _read(run: SpooledRun, tracking_uri: str | None) -> _Found:
    with contained() as outcome:
        events = run.events()
        # What has no events need not go anywhere.
        destination = Destination(**run.destination) if events else None
    if outcome.error is not None:
        return _Found(run, Synced(run.path, "unreadable", error=_told(outcome.error)), [], None)
    if destination is None:
        return _Found(run, Synced(run.path, "pending"), [], None)
    destination = _redirected(destination, tracking_uri)
    return _Found(run, pending(run.path, events, destination), events, destination)


def _settle(found: _Found) -> Synced:
    """Deliver a run that is ours, and remove it from the spool when that worked."""
    if found.destination is None:
        return found.result
    result = deliver(found.result, found.events, found.destination)
    if result.state == "delivered":
        found.run.remove()
    return result


def _redirected(destination: Destination, tracking_uri: str | None) -> Destination:
    """Put in the address to use: the one that is given, else that of the run, with a login."""
    target = absolute_uri(tracking_uri or resolve_tracking_uri(), Path.cwd())
    if without_login(target) == destination.tracking_uri:
        return dataclasses.replace(destination, tracking_uri=target)
    if tracking_uri is None:
        return destination
    # Ids of experiments and runs mean nothing in another store.
    return dataclasses.replace(
        destination, tracking_uri=target, experiment_id=None, parent_run_id=None
    )


def pending(path: Path, events: Sequence[Event], destination: Destination) -> Synced:
    """Tell what is known of a run before it is delivered."""
    end = events[-1] if events and events[-1]["event"] == "run_end" else None
    return Synced(
        path,
        "pending",
        run_id=events[0]["run_id"] if events else None,
        tracking_uri=without_login(destination.tracking_uri),
        status=end["status"] if end else "KILLED",
        events=len(events),
    )


def deliver(found: Synced, events: list[Event], destination: Destination) -> Synced:
    """Deliver a run, and tell what became of it; raises nothing."""
    delivery = Delivery(destination)
    with contained() as outcome:
        delivery.finish(events)
    found = dataclasses.replace(found, state="delivered", mlflow_run_id=delivery.mlflow_run_id)
    if outcome.error is None:
        return found
    damaged = isinstance(outcome.error, LogFormatError)
    return dataclasses.replace(
        found, state="unreadable" if damaged else "failed", error=_told(outcome.error)
    )


def _told(error: Exception) -> str:
    return Redaction().text(str(error)).strip() or type(error).__name__


def need_mlflow() -> None:
    """Raise a ConfigurationError when MLflow is not installed; does not import it."""
    if importlib.util.find_spec("mlflow") is None:
        raise ConfigurationError(
            "MLflow is not installed, so nothing can be delivered to it. "
            "Run: pip install 'rlm-runtime[mlflow]'"
        )
