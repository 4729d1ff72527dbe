"""Finds secrets in text by the names that they are assigned to, as in ``password=hunter2``."""

from __future__ import annotations

import re

from rlm_runtime.redaction.hints import MARKER

__all__ = ["ASSIGNMENT_HINT", "hide_assigned"]

# Names whose value is a secret, and names whose value is one if it looks like one.
_STRONG = (
    r"password|passwd|passphrase|passcode|pwd|secret"
    r"|(?:api|access|account|private|secret|shared|signing|encryption|master|subscription|session"
    r"|storage|service|client|auth|admin|license|deploy|ssh|webhook)[\s_.-]?key"
    r"|(?:access|auth|api|bearer|refresh|id|session|security|oauth|csrf|bot|user)[\s_.-]?token"
)
_WEAK = r"token|credentials?|cookie|authorization|auth|jwt"
_ASSIGNS = r"[\"'\\\]]*\s*(?::\s*[A-Za-z]\w*\s*=|=>?|:=?)"
_NAMED = (
    rf"(?:(?i:(?P<strong>{_STRONG})|{_WEAK})|[A-Z0-9]_KEY)[_-]?[0-9]?"
    rf"(?:(?P<assigns>{_ASSIGNS}(?![=:]))(?P<space>\s*)|\s+(?P<told>is|was):?\s+|\s+)"
)
ASSIGNMENT_HINT = (
    rf"(?:(?i:{_STRONG}|{_WEAK})|[A-Z0-9]_KEY)[_-]?[0-9]?[\"'\\\]]*\s*[:=]"
    rf"|(?i:{_STRONG})[_-]?[0-9]?\s+(?:is|was)"
    rf"|--[A-Za-z0-9-]*(?i:{_STRONG}|{_WEAK})[_-]?[0-9]?\s"
)
_QUOTED = (
    r"[bfru]{0,2}(?P<quote>\\*(?:\"{1,3}|'{1,3}|`))(?P<value>(?:\\.|[^\r\n\\]){1,400}?)"
    r"(?=(?P=quote)|[\r\n]|\Z)"
)
_BARE = r"(?P<value>[^\s\"'`<>(){}\[\],;&|\\]{1,400})"
_BARE_REST = r"[^\s\"'`<>(){}\[\],;&|\\]*"
_FLAG = r"--(?:[A-Za-z0-9]+-)*\Z"
_NUMBER = r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?"
_MEMBER = r"(?=.{1,30}\Z)[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+"
_SECRET_NAME = rf"\$?(?:[A-Za-z_][\w.]*)?(?i:{_STRONG}|{_WEAK})s?[0-9]?"
# Code, variables, placeholders, fields of templates, masks, addresses; and what was redacted.
_NO_VALUE = (
    r"[ ,;:\[)\]{}.<?&|=`\"'*]|\$[A-Z_({]|%[sd(]|[+/](?![A-Za-z0-9+/=]{39})"
    r"|.*(?:\{[\w.]+\}|://|\*\*\*|\.\.\.)"
)
_PLAIN_WORDS = frozenset(
    {
        *("none", "null", "nil", "true", "false", "str", "string", "text", "bool", "bytes"),
        *("required", "optional", "undefined", "empty", "password", "passwd", "secret", "token"),
    }
)


def hide_assigned(text: str) -> str:
    """Replace what is assigned to a name that says that it is secret."""
    parts: list[str] = []
    done = 0
    for name in re.finditer(_NAMED, text):
        secret = _assigned_secret(text, name) if name.start() >= done else None
        if secret is not None:
            parts += text[done : secret.start], MARKER
            done = secret.stop
    return "".join((*parts, text[done:]))


def _assigned_secret(text: str, name: re.Match[str]) -> slice | None:
    """Give where the secret that follows a name is, if there is one."""
    flag = re.search(_FLAG, text[max(0, name.start() - 60) : name.start()]) is not None
    strong = flag or name["strong"] is not None
    if not (name["assigns"] or flag or (strong and name["told"])):
        return None
    quoted = re.compile(_QUOTED).match(text, name.end())
    value = quoted or re.compile(_BARE).match(text, name.end())
    if value is None or not _is_value(value["value"]):
        return None
    likely = _looks_random(value["value"], strong)
    start, end = value.span("value")
    if quoted is not None:
        if not likely and not (strong and len(value["value"]) >= 3):
            return None
        rest = re.compile(rf".*?(?={re.escape(quoted['quote'])}|[\r\n]|\Z)").match(text, end)
    else:
        following = text[end : end + 1] or "\n"
        # In code and prose, names of things follow; in settings such as "password=swordfish",
        # the thing itself.
        tight = str(name["assigns"]).endswith("=") and not name["space"]
        setting = strong and tight and len(value["value"]) >= 4 and following not in ",)"
        if following in "([{" or not (likely or setting):
            return None
        if re.fullmatch(_SECRET_NAME, value["value"]):
            return None
        rest = re.compile(_BARE_REST).match(text, end)
    return slice(start, rest.end() if rest is not None else end)


def _is_value(text: str) -> bool:
    return re.match(_NO_VALUE, text) is None and text.lower() not in _PLAIN_WORDS


def _looks_random(text: str, strong: bool) -> bool:
    sample = text[:200]
    if len(sample) < (6 if strong else 8) or re.search(rf"\s|\A(?:{_NUMBER}|{_MEMBER})\Z", sample):
        return False
    if re.search("[0-9]", sample):
        return re.search("[A-Za-z!@#%^*+=~_-]", sample) is not None and ":" not in sample
    # No word is as long in one case.
    return re.search("[!@#%^*+=~]|[a-z]{20}|[A-Z]{20}", sample) is not None
