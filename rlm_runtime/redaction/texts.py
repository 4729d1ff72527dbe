"""Finds secrets in text by how they look, and puts a marker in their place."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from rlm_runtime.redaction.assignments import ASSIGNMENT_HINT, hide_assigned
from rlm_runtime.redaction.hints import MARKER, may_match

__all__ = ["redact_secrets", "without_login"]


def redact_secrets(text: str) -> str:
    r"""Replace what looks like a secret by ``MARKER``; all else stays as it is.

    Known are the keys and tokens of common services by their shapes, JWTs, private keys (PEM),
    logins and secret parameters in URLs, headers of authorization, cookies, and values that are
    assigned to names such as ``password``, ``api_key`` or ``--token``.

    Args:
        text: Any text. A text without secrets is given back itself.

    Example:
        >>> redact_secrets("curl -H 'Authorization: Bearer abc' https://me:pw1@host/?token=t0k")
        "curl -H 'Authorization: Bearer [redacted]' https://[redacted]@host/?token=[redacted]"
        >>> redact_secrets("prov:Activity has 3 tokens <http://www.w3.org/ns/prov#Activity>")
        'prov:Activity has 3 tokens <http://www.w3.org/ns/prov#Activity>'
    """
    if not may_match(_ANY_HINT, text):
        return text
    for rule in _RULES:
        if may_match(rule.hint, text):
            text = rule.apply(text)
    return text


def without_login(address: str) -> str:
    """Give an address without the user and password in it, and without secret parameters.

    Example:
        >>> without_login("postgresql://me:secret@host:5432/db?user=me&password=secret")
        'postgresql://host:5432/db?user=me'
        >>> without_login("https://host/@me")
        'https://host/@me'
    """
    address = re.sub(rf"(?<=[?&]){_PARAMETER}[^&#]*&?", "", address).rstrip("?&")
    if re.match("(?i:https?|file|sqlite)", address):
        return re.sub(f"://{_LOGIN}@", "://", address)
    # Addresses of databases may have anything in a password.
    return re.sub("://.*@", "://", address)


class _Rule(NamedTuple):
    hint: str
    """For Rust: matches wherever the rule would change something, and seldom elsewhere."""
    apply: Callable[[str], str]


def _hide(match: re.Match[str]) -> str:
    """Replace the group that matched, or all if the pattern has none."""
    whole, at = match[0], match.start()
    start, end = match.span(match.lastindex or 0)
    return whole[: start - at] + MARKER + whole[end - at :]


def _replacing(pattern: str) -> Callable[[str], str]:
    return lambda text: re.sub(pattern, _hide, text)


# Keys and tokens that show by themselves what they are.
_SHAPES = "|".join(
    (
        "sk-[A-Za-z0-9_-]{12,}",  # OpenAI, Anthropic, OpenRouter, DeepSeek
        "(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9]{12,}",  # Stripe
        "AIza[A-Za-z0-9_-]{30,}|GOCSPX-[A-Za-z0-9_-]{12,}|ya29[.][A-Za-z0-9_-]{12,}",  # Google
        "(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16,}",  # AWS
        "gh[pousr]_[A-Za-z0-9]{12,}|github_pat_[A-Za-z0-9_]{12,}",
        "gl(?:pat|ptt|dt|rt|cbt|ft|soat|agent)-[A-Za-z0-9_-]{12,}",  # GitLab
        "xox[a-z]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}",  # Slack
        "hf_[A-Za-z0-9]{16,}|npm_[A-Za-z0-9]{16,}|pypi-AgE[A-Za-z0-9_-]{12,}",
        "dapi[0-9a-f-]{32,}",  # Databricks
        "(?:gsk|r8|ntn|lin_api|lsv2_pt|lsv2_sk)_[A-Za-z0-9_]{20,}",  # Groq, Replicate, …
        "(?:xai|pplx|nvapi|tvly|csk|figd)-[A-Za-z0-9_-]{20,}",
        "SG[.][A-Za-z0-9_-]{16,}[.][A-Za-z0-9_-]{16,}",  # SendGrid
        "hv[sbr][.][A-Za-z0-9_-]{16,}",  # Vault
        "do[por]_v1_[0-9a-f]{32,}|shp(?:at|ca|pa|ss)_[0-9a-fA-F]{16,}",  # DigitalOcean, Shopify
        "[0-9]{8,10}:AA[A-Za-z0-9_-]{30,}",  # Telegram
        "eyJ[A-Za-z0-9_-]{8,1000}[.][A-Za-z0-9_-]{8,}(?:[.][A-Za-z0-9_-]*){0,3}",  # JWT
    )
)
# At the start of a word, also where the line break before it is written as \n.
_AT_START = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt]))"
# Words joined by hyphens, as in "sk-learn-pipelines", are no key.
_WORDS_ONLY = (
    "sk-(?!proj-|ant-|or-|svcacct-|admin-)(?:[a-z]{1,15}-){0,8}[a-z]{1,15}(?![A-Za-z0-9_-])"
)

_PEM_BEGIN = "-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
# To its end; or, where that was cut off, as far as it looks like base64.
_PEM = (
    f"{_PEM_BEGIN}(?:(?:[^-]|-(?!----))*+-----END [A-Z0-9 ]{{0,40}}-----"
    r"|(?:[A-Za-z0-9+/=]{16,}|\\[rn]|\s)*+)"
)

_LOGIN = (
    r"(?!git@)([^\s/?#\"'<>{}\\]+"
    # A password may hold a slash; what follows a port is no password.
    r"|[^\s/:@\"'<>{}\\]*:(?![0-9]*[/?#])[^\s@\"'<>{}\\]{1,200})"
)
_HOOKS = (
    r"(?:hooks[.]slack(?:-gov)?[.]com/(?:services|workflows|triggers)"
    r"|discord(?:app)?[.]com/api/webhooks)/"
)
_PARAMETER = (
    r"(?i:(?:[a-z0-9.-]{0,40}[_.-])?(?:(?:access_?|auth_?|refresh_?|id_?|api_?)?token|sig|signature"
    r"|password|passwd|pwd|pass|pw|secret|client_?secret|api_?key|auth|sas|jwt"
    r"|x-(?:amz|goog)-credential))="
)

_SCHEME_OF_ONE = "(?:bearer|basic|token|api-?key|key|bot|jwt)"
_SCHEME_OF_MANY = "(?:digest|aws4-hmac-sha256|oauth|hawk|signature|negotiate|ntlm)"
_TO_LINE_END = r"(?:[^\r\n\\]|\\(?![rn]))+"
_BEFORE_VALUE = r"[\"'\\]*\s*[:=]\s*[\"'\\]*"
_HEADERS = (
    rf"(?i:authorization{_BEFORE_VALUE}{_SCHEME_OF_ONE}\s+([^\s\"'\\,;${{<%][^\s\"'\\,;]*)"
    rf"|authorization{_BEFORE_VALUE}{_SCHEME_OF_MANY}\s+({_TO_LINE_END})"
    r"|cookie[\"'\\]*\s*:\s*[\"'\\]*([a-z0-9_.%-]{1,100}=[^\r\n\"'\\]*)"
    r"|bearer\s+((?=[a-z._~+/-]{0,200}[0-9])[a-z0-9._~+/=-]{8,}|[a-z0-9._~+/=-]{24,})"
    r"|basic\s+((?=[a-z+/]{0,200}[0-9=])[a-z0-9+/]{10,}={0,2}|[a-z0-9+/]{24,}={0,2})"
    rf"|digest\s+((?:username|realm)={_TO_LINE_END})"
    # curl's way to log in; user and group, as docker takes them, are numbers.
    r"|(?<!\S)(?:-u|--user)[ =][\"']?[^\s\"':/]{1,100}:"
    r"(?![0-9]+(?:[\s\"']|\Z))([^\s\"'/][^\s\"']*))"
)
_HEADERS_HINT = (
    r"(?i:(?:authorization|cookie)[\"'\\]*\s*[:=]|(?:bearer|basic)\s+[a-z0-9._~+/-]*[0-9=]"
    r"|(?:bearer|basic)\s+[a-z._~+/-]{24}|digest\s+(?:username|realm)="
    r"|(?:-u|--user)[ =][\"']?[^\s\"':/]+:)"
)

_RULES = (
    _Rule(_PEM_BEGIN, _replacing(_PEM)),
    _Rule(_SHAPES, _replacing(f"{_AT_START}(?!{_WORDS_ONLY})(?:{_SHAPES})++")),
    _Rule(r"://[^\s\"'<>{}\\]+@", _replacing(f"://{_LOGIN}@")),
    _Rule(f"{_HOOKS}[A-Za-z0-9]", _replacing(rf"{_HOOKS}([A-Za-z0-9/_-]+)")),
    _Rule(
        f"[?&;#]{_PARAMETER}",
        _replacing(rf"(?<=[\w/.%~=)-])[?&;#]{_PARAMETER}([^&#\s\"'<>\\?$.…{{*][^&#\s\"'<>\\]*)"),
    ),
    _Rule(_HEADERS_HINT, _replacing(_HEADERS)),
    _Rule(ASSIGNMENT_HINT, hide_assigned),
)
_ANY_HINT = "|".join(rule.hint for rule in _RULES)
