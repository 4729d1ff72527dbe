"""Tells quickly whether a tracking server answers, and remembers for a while if one did not."""

from __future__ import annotations

import re
import threading
import time
from urllib.parse import urlsplit

from rlm_runtime.redaction import without_login

__all__ = ["check", "forget_away", "is_server", "mark_away", "probe"]

_PROBE_SECONDS = 3.0
# Asking a server that refuses costs nothing; one that keeps silent is left alone for a while.
_SLOW_SECONDS = 1.0
_REST_SECONDS = 30.0
_GATEWAY = (502, 503, 504)

_away: dict[str, float] = {}
_lock = threading.Lock()


def check(tracking_uri: str) -> None:
    """Raise unless the store seems to answer.

    MLflow's own calls would try for minutes. Any answer will do: a proxy may guard the path.

    Raises:
        MlflowException: A server does not answer, or a store did not a moment ago.
    """
    from mlflow.exceptions import MlflowException

    with _lock:
        since = _away.get(tracking_uri)
    if since is not None and time.monotonic() - since < _REST_SECONDS:
        raise MlflowException(
            f"{without_login(tracking_uri)} did not answer a moment ago, "
            f"and is left alone for {_REST_SECONDS:.0f} seconds"
        )
    probe(tracking_uri)


def mark_away(tracking_uri: str) -> None:
    """Note that a store keeps its callers waiting."""
    with _lock:
        _away[tracking_uri] = time.monotonic()


def forget_away() -> None:
    """Ask every store again."""
    with _lock:
        _away.clear()


def probe(tracking_uri: str) -> None:
    """Ask a server for its health; other stores are taken to be there.

    Raises:
        MlflowException: It does not answer, or a gateway answers in its place.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    if not is_server(tracking_uri):
        return
    address = without_login(tracking_uri)
    started = time.monotonic()
    try:
        response = http_request(
            get_default_host_creds(tracking_uri),
            "/health",
            "GET",
            max_retries=0,
            timeout=_PROBE_SECONDS,
            raise_on_status=False,
        )
    except MlflowException as error:
        if time.monotonic() - started > _SLOW_SECONDS:
            mark_away(tracking_uri)
        raise MlflowException(f"{address} does not answer ({_reason(str(error))})") from error
    if response is not None and response.status_code in _GATEWAY:
        raise MlflowException(f"{address} is away: its gateway says {response.status_code}")


def is_server(tracking_uri: str) -> bool:
    """Tell whether a store is spoken to over HTTP."""
    return urlsplit(tracking_uri).scheme in ("http", "https")


def _reason(message: str) -> str:
    """Give the last link of the chain that is in a message of requests and urllib3."""
    found = re.search(r"\[Errno [^\]]*\] ([^'\")]+)", message)
    if found:
        return found[1]
    return "no word in time" if "timed out" in message else message
