"""Send a request and read its answer: one deadline, checked addresses, bounded repetition."""

from __future__ import annotations

import http.client
import os
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TypeVar
from urllib.parse import urljoin

from rlm_runtime.errors import ConfigurationError
from rlm_runtime.ontology.remote_address import Endpoint, Origin, Place, reachable, read_address
from rlm_runtime.ontology.remote_body import Body
from rlm_runtime.ontology.remote_connection import Connection
from rlm_runtime.ontology.remote_errors import Deadline, EndpointFailed, told
from rlm_runtime.ontology.remote_login import Login

__all__ = ["Answer", "HttpClient", "Request"]

T = TypeVar("T")

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_AGAIN_LATER = frozenset({429, 502, 503, 504})
_MAX_REDIRECTS = 5
_MAX_ATTEMPTS = 4
_FIRST_WAIT = 0.5
_MAX_WAIT = 30.0
_MAX_IDLE = 4
_IDLE_SECONDS = 10.0


@dataclass(frozen=True)
class Request:
    """A request: where to, and what.

    Attributes:
        place: The address.
        method: ``GET`` or ``POST``.
        headers: Those without secrets.
        data: The body.
    """

    place: Place
    method: str
    headers: Mapping[str, str]
    data: bytes | None


@dataclass
class Answer:
    """An answer whose body is still to be read.

    Attributes:
        status: The HTTP status.
        headers: Its headers; names are looked up in any case.
        body: Its body, unpacked.
        place: Where it came from, after redirects.
        with_login: Whether the login was sent there.
        secrets: Texts that it may echo and nobody may be shown.
    """

    status: int
    headers: http.client.HTTPMessage
    body: Body
    place: Place
    with_login: bool
    secrets: tuple[str, ...] = field(repr=False)

    def told(self, text: str) -> str:
        """Make words of the answer fit to be told."""
        return told(text, self.secrets)


class HttpClient:
    """Sends requests to one endpoint; safe to use from several threads.

    Proxies of the environment are not used: what they connect to could not be checked.

    Args:
        endpoint: Logins are bound to its origin: scheme, host and port.
        login: The headers that only that origin may see.
        allow_private: Whether private addresses may be connected to.
    """

    def __init__(self, endpoint: Endpoint, login: Login, *, allow_private: bool) -> None:
        self._home = endpoint.place.origin
        self._login = login
        self._allow_private = allow_private
        self._allow_loopback = endpoint.is_loopback
        self._idle: list[tuple[Connection, float]] = []
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._closed = False

    def run(self, request: Request, deadline: Deadline, read: Callable[[Answer], T]) -> T:
        """Send a request, and read its answer with ``read``.

        Failed connections, and answers that ask to come again, are tried again a few times
        with growing waits, never past the deadline.

        Raises:
            TimeoutError: The deadline passed.
            EndpointFailed: It cannot be connected to, or breaks the rules of HTTP.
        """
        for attempt in range(1, _MAX_ATTEMPTS + 1):
            wait = _FIRST_WAIT * 2 ** (attempt - 1) * random.uniform(0.5, 1.0)
            last = attempt == _MAX_ATTEMPTS
            try:
                answer, connection = self._send(request, deadline)
                kept = False
                try:
                    wait = max(wait, _retry_after(answer.headers.get("Retry-After")))
                    if last or not self._asks_again(answer, wait, deadline):
                        result = read(answer)
                        kept = self._keep(connection, answer)
                        return result
                finally:
                    if not kept:
                        connection.dispose()
            except TimeoutError:
                raise
            except (OSError, http.client.HTTPException) as error:
                if last or not _may_pass(error) or wait > deadline.left():
                    # Its cause may quote what the endpoint sent, a login included.
                    raise _failed(self._home, error) from None
            deadline.doing = "waiting to try again"
            time.sleep(min(wait, deadline.left()))
        raise AssertionError("the last attempt returns or raises")

    def _asks_again(self, answer: Answer, wait: float, deadline: Deadline) -> bool:
        """Say whether an answer asks to come again, and there is time to."""
        if answer.status not in _AGAIN_LATER or wait > min(_MAX_WAIT, deadline.left()):
            return False
        # A query that took the endpoint too long once will do so again.
        return not answer.body.says_timeout()

    def close(self) -> None:
        """Close the connections that are kept."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.dispose()

    def _send(self, request: Request, deadline: Deadline) -> tuple[Answer, Connection]:
        """Send a request and follow its redirects."""
        for _ in range(_MAX_REDIRECTS + 1):
            response, connection = self._exchange(request, deadline)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or not location:
                at_home = request.place.origin == self._home
                with_login = at_home and bool(self._login.headers)
                try:
                    body = Body(response, deadline, self._home.netloc)
                except BaseException:
                    connection.dispose()
                    raise
                secrets = self._login.secrets
                return (
                    Answer(
                        response.status, response.headers, body, request.place, with_login, secrets
                    ),
                    connection,
                )
            connection.dispose()
            request = self._redirected(request, response.status, location)
        raise EndpointFailed(
            f"The endpoint {self._home.netloc} redirects more than {_MAX_REDIRECTS} times. "
            "Give the address where it ends."
        )

    def _redirected(self, request: Request, status: int, location: str) -> Request:
        here = request.place
        try:
            there = read_address(urljoin(here.url, location)).place
        except (ConfigurationError, ValueError) as error:
            raise EndpointFailed(
                f"The endpoint {self._home.netloc} redirects to an address that cannot be "
                f"followed. {error}"
            ) from None
        if here.origin.scheme == "https" and there.origin.scheme == "http":
            raise EndpointFailed(
                f"The endpoint {self._home.netloc} redirects from https to http at "
                f"{there.origin.netloc}, which is refused. Give that address, if you trust it."
            )
        # Only 303 says that the request is done; else POST stays POST, or the query would be lost.
        if status == 303 and request.method == "POST":
            plain = {k: v for k, v in request.headers.items() if k.lower() != "content-type"}
            return Request(there, "GET", plain, None)
        return replace(request, place=there)

    def _exchange(
        self, request: Request, deadline: Deadline
    ) -> tuple[http.client.HTTPResponse, Connection]:
        """Send one request and read the head of its answer."""
        origin = request.place.origin
        kept = self._kept(origin)
        if kept is not None:
            try:
                return self._exchange_on(kept, request, deadline), kept
            except (ConnectionError, http.client.RemoteDisconnected):
                # The endpoint had closed it in the meantime, which is no failure.
                deadline.left()
        connection = Connection(origin, self._connect, deadline)
        return self._exchange_on(connection, request, deadline), connection

    def _exchange_on(
        self, connection: Connection, request: Request, deadline: Deadline
    ) -> http.client.HTTPResponse:
        headers = dict(request.headers)
        if request.place.origin == self._home:
            headers.update(self._login.headers)
        connection.deadline = deadline
        try:
            connection.request(
                request.method, request.place.target, body=request.data, headers=headers
            )
            deadline.doing = "waiting for its answer"
            response = connection.getresponse()
        except BaseException:
            connection.dispose()
            raise
        deadline.doing = "reading its answer"
        return response

    def _connect(self, origin: Origin, deadline: Deadline) -> socket.socket:
        """Connect to one of the addresses that were checked."""
        deadline.doing = "connecting"
        addresses = reachable(
            origin,
            deadline,
            allow_private=self._allow_private,
            allow_loopback=self._allow_loopback,
        )
        failure: OSError | None = None
        for i, (family, address) in enumerate(addresses):
            try:
                sock = socket.socket(family, socket.SOCK_STREAM)
            except OSError as error:
                # Names have addresses of families that this machine may not speak.
                failure = error
                continue
            try:
                # One address that swallows what it is sent must not use up the time of the next.
                sock.settimeout(deadline.left() / (len(addresses) - i))
                sock.connect(address)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if origin.scheme == "https":
                    sock.settimeout(deadline.left())
                    sock = self._tls.wrap_socket(sock, server_hostname=origin.host)
            except OSError as error:
                sock.close()
                failure = error
                deadline.left()
                continue
            except BaseException:
                sock.close()
                raise
            return sock
        raise failure or OSError("no address")

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()

    def _kept(self, origin: Origin) -> Connection | None:
        """Take a kept connection to an origin; those kept too long are closed."""
        now = time.monotonic()
        found: Connection | None = None
        stale: list[Connection] = []
        with self._lock:
            if self._process != os.getpid():
                # A forked process must not talk into the connections of its parent.
                self._process, self._idle = os.getpid(), []
            rest: list[tuple[Connection, float]] = []
            for connection, since in self._idle:
                if now - since > _IDLE_SECONDS:
                    stale.append(connection)
                elif found is None and connection.origin == origin:
                    found = connection
                else:
                    rest.append((connection, since))
            self._idle = rest
        for connection in stale:
            connection.dispose()
        return found

    def _keep(self, connection: Connection, answer: Answer) -> bool:
        """Keep a connection whose answer was read to its end; say whether it is kept."""
        if not answer.body.ended_well():
            return False
        with self._lock:
            keeps = not self._closed and len(self._idle) < _MAX_IDLE
            if keeps:
                self._idle.append((connection, time.monotonic()))
        return keeps


def _may_pass(error: Exception) -> bool:
    """Say whether a failure may be gone at the next attempt."""
    return (
        isinstance(error, ConnectionError | http.client.IncompleteRead | socket.gaierror)
        or type(error) is OSError
    )


def _retry_after(value: str | None) -> float:
    """Read a Retry-After header: seconds from now, 0 when it says nothing."""
    if value is None:
        return 0.0
    if value.strip().isdecimal():
        return float(value.strip()[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _failed(origin: Origin, error: Exception) -> EndpointFailed:
    said = str(error) or type(error).__name__
    if isinstance(error, ssl.SSLCertVerificationError):
        advice = (
            f"Its certificate is not trusted ({error.verify_message}). Set SSL_CERT_FILE to the "
            "certificates of its issuer, if you trust them."
        )
    elif isinstance(error, ssl.SSLError):
        advice = f"TLS failed ({error.reason or said}). Does it speak https at this port?"
    elif isinstance(error, http.client.IncompleteRead):
        advice = "It closed the connection before the end of its answer. Try again later."
    elif isinstance(error, http.client.HTTPException) and not isinstance(error, ConnectionError):
        advice = f"It does not speak HTTP as it should ({type(error).__name__}). Check the address."
    else:
        advice = f"{said}. Check that it is up and that the address is right."
    return EndpointFailed(f"The endpoint {origin.netloc} cannot be asked: {advice}")
