"""The login for an endpoint: from arguments, address or environment, bound to its origin."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from rlm_runtime.errors import ConfigurationError
from rlm_runtime.ontology.remote_address import Endpoint

__all__ = [
    "HOST_VARIABLE",
    "PASSWORD_VARIABLE",
    "PRIVATE_VARIABLE",
    "TOKEN_VARIABLE",
    "USER_VARIABLE",
    "Login",
    "find_login",
]

HOST_VARIABLE = "RLM_SPARQL_HOST"
"""The host, or host:port, that the login of the environment is for."""

USER_VARIABLE = "RLM_SPARQL_USER"
PASSWORD_VARIABLE = "RLM_SPARQL_PASSWORD"
TOKEN_VARIABLE = "RLM_SPARQL_TOKEN"
PRIVATE_VARIABLE = "RLM_SPARQL_ALLOW_PRIVATE"
"""Set to 1, it lets endpoints be in private networks."""

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OURS = frozenset(
    {"host", "connection", "content-length", "content-type", "transfer-encoding", "accept"}
    | {"accept-encoding", "expect", "upgrade", "te", "trailer"}
)


@dataclass(frozen=True)
class Login:
    """Headers that only the endpoint's own origin may see.

    Attributes:
        headers: Name to value.
        secrets: Texts that must not be shown to anybody.
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


def find_login(
    endpoint: Endpoint,
    auth: tuple[str, str] | None,
    token: str | None,
    headers: Mapping[str, str] | None,
) -> Login:
    """Gather the login: the arguments win over the address, that over the environment.

    The environment's login is used only for the host that ``RLM_SPARQL_HOST`` names.

    Raises:
        ConfigurationError: Both kinds of login are given, the environment's has no host, or a
            header cannot be sent; no secret is in the message.

    Example:
        >>> from rlm_runtime.ontology.remote_address import read_address
        >>> sorted(find_login(read_address("http://me:pw@e.org/"), None, None, None).headers)
        ['Authorization']
    """
    if auth is not None and token is not None:
        raise ConfigurationError("auth= and token= exclude each other. Give one of them.")
    if auth is not None and (len(auth) != 2 or not all(isinstance(part, str) for part in auth)):
        raise ConfigurationError("auth= must be a pair of texts: (user, password).")
    if auth is None and token is None:
        auth = endpoint.login
        if auth is None and not any(name.lower() == "authorization" for name in headers or ()):
            auth, token = _of_environment(endpoint)
    sent: dict[str, str] = {}
    secrets: list[str] = []
    if auth is not None:
        both = base64.b64encode(":".join(auth).encode()).decode()
        sent["Authorization"] = f"Basic {both}"
        secrets += [auth[1], both]
    elif token is not None:
        sent["Authorization"] = f"Bearer {token}"
        secrets.append(token)
    for name, value in (headers or {}).items():
        if not _NAME.fullmatch(name) or name.lower() in _OURS:
            raise ConfigurationError(
                f"The header {name!r} cannot be set. Leave it out of headers=."
            )
        sent[name] = value
        # Short values, as of a flag, are in many texts.
        secrets += [part for part in (value, *value.split()) if len(part) >= 6]
    for name, value in sent.items():
        if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value) or not value.isascii():
            raise ConfigurationError(
                f"The value of the header {name} has characters that cannot be sent. Look for a "
                "line break at its end."
            )
    return Login(sent, tuple(secrets))


def _of_environment(endpoint: Endpoint) -> tuple[tuple[str, str] | None, str | None]:
    user, password, token = (
        os.environ.get(name) for name in (USER_VARIABLE, PASSWORD_VARIABLE, TOKEN_VARIABLE)
    )
    if not (user or password or token):
        return None, None
    host = os.environ.get(HOST_VARIABLE, "").strip().lower()
    if not host:
        raise ConfigurationError(
            f"A login for SPARQL endpoints is set in the environment, but not for which host. Set "
            f"{HOST_VARIABLE} to the host of the endpoint, or unset {USER_VARIABLE}, "
            f"{PASSWORD_VARIABLE} and {TOKEN_VARIABLE}."
        )
    origin = endpoint.place.origin
    if host not in (origin.host, origin.netloc, f"{origin.host}:{origin.port}"):
        return None, None
    if token and (user or password):
        raise ConfigurationError(
            f"{TOKEN_VARIABLE} and {USER_VARIABLE} with {PASSWORD_VARIABLE} exclude each other. "
            "Unset one of them."
        )
    return (None, token) if token else ((user or "", password or ""), None)
