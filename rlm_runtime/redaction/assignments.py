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
# Of an f-string or a template.
_FIELD = r"\{[\w.]+\}"
_IDENTIFIER = r"[A-Za-z_]\w*(?:\.\w+)*"
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
        if name.start() < done:
            continue
        start, end = _assigned_secret(text, name)
        if end > start:
            parts += text[done:start], MARKER
            done = end
    return "".join((*parts, text[done:]))


def _assigned_secret(text: str, name: re.Match[str]) -> tuple[int, int]:
    """Give where the secret after a name begins and ends; two equal numbers if there is none."""
    none = (0, 0)
    flag = re.search(_FLAG, text[max(0, name.start() - 60) : name.start()]) is not None
    strong = flag or name["strong"] is not None
    if name["assigns"] is None and not flag and not (strong and name["told"]):
        return none
    quoted = re.compile(_QUOTED).match(text, name.end())
    value = quoted or re.compile(_BARE).match(text, name.end())
    if value is None or not _is_value(value["value"]):
        return none
    likely = _looks_random(value["value"], 6 if strong else 8)
    start, end = value.span("value")
    if quoted is not None:
        if not likely and not (strong and len(value["value"]) >= 3):
            return none
        close = re.compile(rf"{re.escape(quoted['quote'])}|[\r\n]|\Z").search(text, end)
        return start, close.start() if close is not None else end
    following = text[end : end + 1]
    if following and following in "([{":
        return none
    if not likely:
        # In code and prose, names of things follow; in settings such as "password=swordfish",
        # the thing itself.
        tight = (name["assigns"] or "").endswith("=") and not name["space"]
        if not (strong and tight and len(value["value"]) >= 4) or following in (",", ")"):
            return none
    if _names_a_secret(value["value"]):
        return none
    rest = re.compile(_BARE_REST).match(text, end)
    return start, rest.end() if rest is not None else end


def _is_value(text: str) -> bool:
    """Tell a value from a placeholder, a piece of code and what was redacted before."""
    return (
        text[0] not in " ,;:[)]{}+.<$%*?/&|=`\"'"
        and "://" not in text
        and "***" not in text
        and "..." not in text
        and re.search(_FIELD, text) is None
        and text.lower() not in _PLAIN_WORDS
    )


def _looks_random(text: str, least: int) -> bool:
    sample = text[:200]
    if len(sample) < least or re.search(r"\s", sample):
        return False
    if re.fullmatch(f"{_NUMBER}|{_MEMBER}", sample):
        return False
    if re.search("[0-9]", sample):
        return re.search("[A-Za-z!@#%^*+=~_-]", sample) is not None and ":" not in sample
    return re.search("[!@#%^*+=~]", sample) is not None


def _names_a_secret(value: str) -> bool:
    """Tell a variable that holds a secret, as in ``token=self.api_token``."""
    return (
        re.fullmatch(_IDENTIFIER, value) is not None
        and re.search(rf"(?i)(?:{_STRONG}|{_WEAK})s?[0-9]?\Z", value) is not None
    )
