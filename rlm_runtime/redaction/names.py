"""Tells which names say that their value is a secret, and which secrets the environment holds."""

from __future__ import annotations

import functools
import itertools
import json
import os
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, quote_plus, unquote, urlsplit

__all__ = ["environment_secrets", "names_secret"]

_SECRETS = frozenset(
    {
        *("password", "passwords", "passwd", "passphrase", "passcode", "pwd"),
        *("secret", "secrets", "token", "credential", "credentials", "auth", "authorization"),
        *("cookie", "cookies", "jwt", "apikey", "accesskey", "secretkey", "privatekey"),
        *("authtoken", "accesstoken"),
    }
)
# What kind of key is secret; primary, foreign, cache and sort keys are not.
_KINDS_OF_KEY = frozenset(
    {
        *("api", "access", "secret", "private", "account", "shared", "auth", "signing", "master"),
        *("encryption", "subscription", "session", "storage", "service", "client", "admin"),
        *("license", "deploy", "ssh", "webhook"),
    }
)
# As in token_count, secret_name: they tell about a secret, and are none.
_ABOUT = frozenset(
    {
        *("count", "counts", "limit", "limits", "usage", "budget", "cost", "price", "length"),
        *("size", "type", "name", "names", "url", "uri", "endpoint", "path", "file", "dir"),
        *("sock", "index", "ids", "ttl", "expiry", "expires", "policy", "method", "scheme"),
    }
)
_SHORTEST = 6
_NO_SECRETS = frozenset({"disabled", "enabled", "optional", "required", "password", "secret"})


@functools.lru_cache(maxsize=4096)
def names_secret(name: str) -> bool:
    """Tell whether a name says that its value is a secret, judged by its words.

    Example:
        >>> [names_secret(name) for name in ("apiKey", "DB_PASSWORD", "x-auth-token")]
        [True, True, True]
        >>> [names_secret(name) for name in ("key", "author", "max_tokens", "token_count")]
        [False, False, False, False]
    """
    if len(name) > 100:
        return False
    words = _words(name)
    if not words or words[-1] in _ABOUT or "per" in words:
        return False
    return any(word in _SECRETS for word in words) or any(
        second == "key" and first in _KINDS_OF_KEY for first, second in itertools.pairwise(words)
    )


def _words(name: str) -> list[str]:
    return [word.lower() for word in re.findall("[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def environment_secrets(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Give the secrets among environment variables, in every form in which a text may hold them.

    A variable's value is one if its name says so, unless it is shorter than 6 characters or
    the path of something that exists. So is the password in a value that is a URL.

    Args:
        environment: Name to value, as ``os.environ``.

    Returns:
        The values as they are, escaped as in JSON, and percent-encoded; the longest first.

    Example:
        >>> environment_secrets({"MY_API_KEY": "a/b c+d", "HOME": "/root", "TOKEN": "short"})
        ('a%2Fb%20c%2Bd', 'a%2Fb+c%2Bd', 'a/b c+d')
        >>> environment_secrets({"DATABASE_URL": "postgres://me:swordfish@host/db"})
        ('swordfish',)
    """
    found = {form for secret in _secrets(environment) for form in _forms(secret)}
    return tuple(sorted(found, key=lambda form: (-len(form), form)))


def _secrets(environment: Mapping[str, str]) -> Iterator[str]:
    for name, value in environment.items():
        if len(value) < _SHORTEST:
            continue
        if "://" in value and "@" in value:
            yield from _url_passwords(value)
        if _variable_names_secret(name) and value.lower() not in _NO_SECRETS and not _exists(value):
            yield value


@functools.lru_cache(maxsize=1024)
def _variable_names_secret(name: str) -> bool:
    words = _words(name)
    # OPENAI_KEY and GITHUB_PAT; in the environment, hardly any other key is kept.
    return names_secret(name) or (bool(words) and words[-1] in ("key", "pat"))


def _exists(value: str) -> bool:
    return value[0] in "/~.\\" and os.path.exists(os.path.expanduser(value))


def _url_passwords(value: str) -> Iterator[str]:
    try:
        password = urlsplit(value).password or ""
    except ValueError:
        return
    yield from (form for form in (password, unquote(password)) if len(form) >= _SHORTEST)


def _forms(secret: str) -> Iterator[str]:
    # What the environment holds need not be UTF-8.
    secret = secret.encode("utf-8", "replace").decode()
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield quote(secret, safe="")
    yield quote_plus(secret)
