"""Made-up secrets of every common kind, put together here so that no file holds one whole."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

__all__ = ["ENVIRONMENT", "PLANTED", "Plant", "body", "found_in"]


@dataclass(frozen=True)
class Plant:
    """A text with a secret in it.

    Attributes:
        secret: What must be seen nowhere.
        text: The text as it would be met.
    """

    secret: str
    text: str


def body(name: str, length: int = 24) -> str:
    """Give letters and digits that look random, and are always the same for a name."""
    digest = hashlib.sha512(name.encode()).digest()
    return base64.b32encode(digest).decode().lower().replace("=", "")[: length - 1] + "7"


def _plain(prefix: str, length: int = 24) -> Plant:
    secret = prefix + body(prefix, length)
    return Plant(secret, f"use {secret} for it")


def _within(before: str, after: str = "", length: int = 24) -> Plant:
    secret = body(before, length)
    return Plant(secret, before + secret + after)


_PEM = body("pem", 64)
_BASIC = base64.b64encode(f"me:{body('basic', 12)}".encode()).decode()

PLANTED: dict[str, Plant] = {
    "openai": _plain("sk-proj-"),
    "openai, old": _plain("sk-", 48),
    "anthropic": _plain("sk-ant-api03-", 40),
    "google": _plain("AIza", 35),
    "aws id": Plant(f"AKIA{body('aws', 16).upper()}", f"AKIA{body('aws', 16).upper()}, and so on"),
    "aws secret": _within("aws_secret_access_key = ", length=40),
    "github": _plain("ghp_", 36),
    "github, oauth": _plain("gho_", 36),
    "github, fine": _plain("github_pat_", 60),
    "gitlab": _plain("glpat-", 20),
    "slack": _plain("xoxb-", 40),
    "slack hook": _within("https://hooks.slack.com/services/T01/B02/"),
    "stripe": _plain("sk_" + "live_"),
    "hugging face": _plain("hf_", 34),
    "npm": _plain("npm_", 36),
    "pypi": _plain("pypi-AgEIcHlwaS5vcmc", 60),
    "databricks": Plant(
        f"dapi{hashlib.md5(b'x').hexdigest()}", f"dapi{hashlib.md5(b'x').hexdigest()}"
    ),
    "azure storage": _within("AccountName=x;AccountKey=", "==;EndpointSuffix=core", 86),
    "azure sas": _within("https://x.blob.core.windows.net/c?sv=2024&sig=", "%3D&se=1"),
    "jwt": Plant(
        f"{body('claims', 40)}.{body('signature', 43)}",
        f"eyJ{body('header', 20)}.{body('claims', 40)}.{body('signature', 43)}",
    ),
    "private key": Plant(
        _PEM, f"-----BEGIN RSA PRIVATE KEY-----\n{_PEM}\n{_PEM}\n-----END RSA PRIVATE KEY-----"
    ),
    "bearer": _within("Authorization: Bearer "),
    "basic": Plant(_BASIC, f"-H 'Authorization: Basic {_BASIC}'"),
    "digest": _within('Authorization: Digest username="me", nonce="1", response="', '"', 32),
    "cookie": _within("Cookie: theme=dark; session="),
    "set-cookie": _within("Set-Cookie: sid=", "; Path=/; HttpOnly"),
    "header": _within('{"X-Api-Key": "', '"}'),
    "assignment": _within("password="),
    "quoted": _within("client_secret = '", "'"),
    "json": _within('{"user": "me", "api_key": "', '", "n": 1}'),
    "json in json": _within('{\\"user\\": \\"me\\", \\"token\\": \\"', '\\"}'),
    "option": _within("login --token ", " --verbose"),
    "curl": _within("curl -u me:", " http://127.0.0.1/"),
    "prose": _within("the password is ", ", do not tell"),
    "login": _within("postgresql://me:", "@db.example.org:5432/x"),
    "token as login": _within("https://", "@git.example.org/x.git"),
    "parameter": _within("https://example.org/data?format=ttl&access_token=", "#top"),
    "variable": _within("export SOME_API_KEY="),
}
"""Name to plant; every one is to be found by its look alone."""

ENVIRONMENT = {
    "PLANTED_API_KEY": "correct horse/battery+staple",
    "PLANTED_PASSWORD": 'with "quotes" and \\ in it',
    "PLANTED_GITHUB_PAT": body("pat"),
    "DATABASE_URL": f"mysql://me:{body('database')}@127.0.0.1/x",
}
"""Environment variables whose values are secrets that have no look."""


def found_in(text: str | bytes) -> list[str]:
    """Name the planted secrets that a text or a file's content holds, in whatever form."""
    data = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
    return [name for name, plant in PLANTED.items() if plant.secret.encode() in data]
