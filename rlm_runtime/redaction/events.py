"""Takes the secrets out of events: what texts show, what keys name, what the environment holds."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from rlm_runtime.redaction.hints import MARKER, may_match
from rlm_runtime.redaction.names import environment_secrets, names_secret
from rlm_runtime.redaction.texts import redact_secrets

__all__ = ["WITHHELD", "Redaction"]

WITHHELD = "[withheld: the redact= function failed]"
"""Stands where a text was that the user's function could not redact."""

# What the schema fixes, numbers, and what tells events apart: never touched.
_STRUCTURE = frozenset(
    {
        *("v", "seq", "ts", "event", "run_id", "trajectory_id", "span_id", "parent_id"),
        *("status", "stop_reason", "converged", "metrics", "usage", "duration_ns", "versions"),
        *("role", "cost_usd", "cache_hit", "operation", "kind", "limit", "used", "truncated"),
    }
)
_HINT_LENGTH = 32
_HEADERS = ("headers", "extra_headers", "default_headers")
# Settings of LMs: in these, all that sounds like a secret is one, unless it is a number.
_SETTINGS = ("config", "lm_kwargs")
_SOUNDS = ("key", "token", "secret", "password", "credential", "auth", "header")


# Tells of a key and what it holds whether that is a secret.
_Judge = Callable[[str, Any], bool]


def _is_secret(key: str, _: Any) -> bool:
    return names_secret(key)


def _is_secret_setting(key: str, item: Any) -> bool:
    lowered = key.lower()
    return names_secret(key) or (
        not isinstance(item, int | float) and any(sound in lowered for sound in _SOUNDS)
    )


class Redaction:
    """Makes events without secrets of events with them; keep one for each run.

    In every text, what the environment held as a secret when the run began is replaced first;
    then the text goes through ``text_rule``. What a key names as secret is replaced whole. The
    fields that the schema fixes stay, so the new event follows it as the old one did.

    Args:
        text_rule: Is given every text of an event, and keys that are no identifiers, and
            returns what is shown of it. If it raises or returns no text, that text is withheld,
            with one TrackingWarning.

    Example:
        >>> redaction = Redaction()
        >>> redaction({"event": "tool_start", "args": {"api_key": "k", "url": "ftp://me:pw@host"}})
        {'event': 'tool_start', 'args': {'api_key': '[redacted]', 'url': 'ftp://[redacted]@host'}}
    """

    def __init__(self, text_rule: Callable[[str], str] = redact_secrets) -> None:
        self._rule = text_rule if text_rule is redact_secrets else _checked(text_rule)
        self._known = environment_secrets(os.environ)
        # The beginnings will do to look for; a pattern of whole certificates would be too long.
        starts = {secret[:_HINT_LENGTH] for secret in self._known}
        self._known_hint = "|".join(map(_literally, sorted(starts)))
        self._keys: dict[str, str] = {}

    def __call__(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Give an event without its secrets; the one given stays as it is."""
        redacted = {
            name: value if name in _STRUCTURE else self.value(value)
            for name, value in event.items()
        }
        if event["event"] == "lm_start":
            redacted["params"] = self._value(event["params"], _is_secret_setting)
        return redacted

    def text(self, text: str) -> str:
        """Give a text without its secrets."""
        return self._rule(self._without_known(text))

    def _without_known(self, text: str) -> str:
        if self._known and may_match(self._known_hint, text):
            for secret in self._known:
                text = text.replace(secret, MARKER)
        return text

    def value(self, value: Any) -> Any:
        """Give a plain value (text, number, list, dict) without its secrets, as a new one."""
        return self._value(value, _is_secret)

    def _value(self, value: Any, judge: _Judge) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return self._mapping(value, judge)
        if isinstance(value, list | tuple):
            return [self._value(item, judge) for item in value]
        return value

    def _mapping(self, value: dict[str, Any], judge: _Judge) -> dict[str, Any]:
        # The pieces of a completion are called tokens, too.
        judge = _nothing_is_secret if "logprob" in value else judge
        shown: dict[str, Any] = {}
        for key, item in value.items():
            name = self._key(key)
            while name in shown:
                name += "'"
            if judge(key, item):
                shown[name] = self._hidden(item)
            elif key in _HEADERS:
                shown[name] = self._headers(item, judge)
            else:
                shown[name] = self._value(item, _is_secret_setting if key in _SETTINGS else judge)
        return shown

    def _key(self, key: str) -> str:
        shown = self._keys.get(key)
        if shown is None:
            # Those who read events look for "answer" or "role"; other keys are data.
            # An environment may hold such a word as a secret.
            known = key if key.isidentifier() else self._without_known(key)
            shown = (redact_secrets if key.isidentifier() else self._rule)(known)
            # The same few come again and again, unless a tool's result has data for keys.
            if len(self._keys) < 1000:
                self._keys[key] = shown
        return shown

    def _headers(self, value: Any, judge: _Judge) -> Any:
        if isinstance(value, dict):
            return self._hidden(value)
        if isinstance(value, list) and all(isinstance(p, list) and len(p) == 2 for p in value):
            return [[self._value(name, judge), self._hidden(content)] for name, content in value]
        return self._value(value, judge)

    def _hidden(self, value: Any) -> Any:
        """Hide a value, but show of what form it is."""
        if isinstance(value, dict):
            return {self._key(key): self._hidden(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._hidden(item) for item in value]
        return value if value is None or value == "" or isinstance(value, bool) else MARKER


def _nothing_is_secret(_key: str, _item: Any) -> bool:
    return False


def _literally(text: str) -> str:
    """Give a pattern for Rust that matches just this text."""
    return "".join(c if c.isascii() and c.isalnum() else f"\\x{{{ord(c):x}}}" for c in text)


def _checked(rule: Callable[[str], str]) -> Callable[[str], str]:
    def checked(text: str) -> str:
        # Imported here: what is guarded is redacted itself, when it is warned of.
        from rlm_runtime.guard import quietly, warn_once

        shown = quietly(lambda: rule(text), None)
        if isinstance(shown, str):
            return shown
        # The error is not shown: it may quote the text.
        warn_once(
            "redact=",
            "The function given as redact= failed, or returned no text; what it was given is "
            f"withheld, and the record shows {WITHHELD!r} instead. Try it on texts of your own.",
        )
        return WITHHELD

    return checked
