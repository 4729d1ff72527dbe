"""Read the address of an endpoint, and find the network addresses that may be connected to."""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from rlm_runtime.errors import ConfigurationError
from rlm_runtime.ontology.remote_errors import Deadline, EndpointFailed
from rlm_runtime.redaction import redact_secrets

__all__ = ["Endpoint", "Origin", "Place", "reachable", "read_address"]

_PORTS = {"http": 80, "https": 443}
_GENERIC = frozenset({"sparql", "query", "select", "repositories", ""})
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SAFE = "%/:=&?~+!$,;'@()*-._"

SocketAddress = tuple[socket.AddressFamily, tuple[str, int]]

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Origin(NamedTuple):
    """What a login is bound to."""

    scheme: str
    host: str
    port: int

    @property
    def netloc(self) -> str:
        """Host, and port unless it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


class Place(NamedTuple):
    """An http(s) address without login: where to, and what to ask for there."""

    origin: Origin
    target: str

    @property
    def url(self) -> str:
        """The address as text."""
        return f"{self.origin.scheme}://{self.origin.netloc}{self.target}"


@dataclass(frozen=True)
class Endpoint:
    """The address of an endpoint, as it was given.

    Attributes:
        place: The address without login.
        login: User and password, if the address had them.
    """

    place: Place
    login: tuple[str, str] | None = field(repr=False)

    @property
    def shown(self) -> str:
        """The address as it may be told, without secrets."""
        return redact_secrets(self.place.url)

    @property
    def name(self) -> str:
        """Its host and port, then what of its path tells it from its neighbours.

        Example:
            >>> read_address("https://me:pw@e.org/sparql").name
            'e.org'
            >>> read_address("http://127.0.0.1:3030/pets/query").name
            '127.0.0.1:3030/pets'
        """
        parts = self.place.target.partition("?")[0].split("/")
        told = [part for part in parts if part.lower() not in _GENERIC]
        return redact_secrets("/".join([self.place.origin.netloc, *told]))[:200]

    @property
    def is_loopback(self) -> bool:
        """Whether the address itself says that it is on this machine."""
        host = self.place.origin.host
        if host == "localhost" or host.endswith(".localhost"):
            return True
        found = _literal(host)
        return found is not None and _unwrapped(found).is_loopback


def read_address(address: str) -> Endpoint:
    """Take the address of an endpoint apart.

    Raises:
        ConfigurationError: It is no http or https address that can be asked; no secret of the
            address is in the message.

    Example:
        >>> read_address("http://me:pw@127.0.0.1:7878/query").place.url
        'http://127.0.0.1:7878/query'
    """
    if re.search(r"[\x00-\x20\x7f\\]", address):
        raise ConfigurationError(
            "The address of the endpoint has white space, a backslash or control characters in it. "
            "Write them percent-encoded."
        )
    try:
        parts = urlsplit(address)
        scheme, host, port = parts.scheme.lower(), parts.hostname or "", parts.port
        if not host.isascii():
            host = host.encode("idna").decode()
    except ValueError as error:
        raise ConfigurationError(
            f"The address of the endpoint cannot be read: {type(error).__name__}. "
            "Write it like https://host/sparql."
        ) from None
    if scheme not in _PORTS:
        raise ConfigurationError(
            f"An endpoint cannot be asked by {scheme}:. Only http and https addresses can; give "
            "the path of a local file without a scheme."
        )
    if not host or "%" in host:
        raise ConfigurationError(
            "The address of the endpoint has no host. Write it like https://host/sparql."
        )
    target = quote(parts.path or "/", safe=_SAFE)
    if parts.query:
        target += f"?{quote(parts.query, safe=_SAFE)}"
    login = None
    if parts.username or parts.password:
        login = (unquote(parts.username or ""), unquote(parts.password or ""))
    return Endpoint(Place(Origin(scheme, host.rstrip("."), port or _PORTS[scheme]), target), login)


def reachable(
    origin: Origin, deadline: Deadline, *, allow_private: bool, allow_loopback: bool
) -> list[SocketAddress]:
    """Give the socket addresses of a host that may be connected to.

    The caller connects to one of them and never resolves the name again, so that a name that
    resolves to something else the next time gains nothing.

    Raises:
        EndpointFailed: The name is not known, or stands for refused addresses only.
        TimeoutError: The names could not be resolved in time.
    """
    found = _resolve(origin, deadline)
    allowed = [
        (family, address)
        for family, address in found
        if allow_private or _may_connect(ipaddress.ip_address(address[0]), allow_loopback)
    ]
    if not allowed:
        shown = ", ".join(sorted({str(address[0]) for _, address in found}))
        raise EndpointFailed(
            f"{origin.host} is {shown}: an address of this machine, of a private network, or not a "
            "public one, which is refused. If you trust the endpoint, open it with "
            "open_ontology(…, allow_private=True) or set RLM_SPARQL_ALLOW_PRIVATE=1."
        )
    return allowed


def _resolve(origin: Origin, deadline: Deadline) -> list[SocketAddress]:
    literal = _literal(origin.host)
    if literal is not None:
        family = socket.AF_INET if literal.version == 4 else socket.AF_INET6
        return [(family, (str(literal), origin.port))]
    answer: list[object] = []

    def look_up() -> None:
        try:
            answer.append(socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answer.append(error)

    # The system's resolver knows no time bound; a thread that waits for it can be left behind.
    thread = threading.Thread(target=look_up, name="rlm-resolve", daemon=True)
    thread.start()
    thread.join(deadline.left())
    if not answer:
        raise TimeoutError
    (found,) = answer
    if isinstance(found, socket.gaierror) and found.errno == socket.EAI_AGAIN:
        raise found
    if not isinstance(found, list):
        raise EndpointFailed(
            f"The host {origin.host} is not known ({found}). Check the address of the endpoint."
        )
    return [(family, (str(address[0]), address[1])) for family, _, _, _, address in found]


def _literal(host: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _unwrapped(address: IPAddress) -> IPAddress:
    """Give the IPv4 address that an IPv6 address stands for, if it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return (
        address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1] or address
    )


def _may_connect(address: IPAddress, allow_loopback: bool) -> bool:
    address = _unwrapped(address)
    if address.is_loopback:
        return allow_loopback
    # What is reserved embeds IPv4 addresses in ways of old, and is given to nobody else.
    is_odd = address.is_multicast or address.is_reserved
    if isinstance(address, ipaddress.IPv6Address):
        is_odd |= address.is_site_local
    return address.is_global and not is_odd
