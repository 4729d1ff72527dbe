"""Keeps secrets out of records: what texts show, keys name and the environment holds."""

from rlm_runtime.redaction.events import Redaction
from rlm_runtime.redaction.hints import MARKER
from rlm_runtime.redaction.texts import redact_secrets, without_login

__all__ = ["MARKER", "Redaction", "redact_secrets", "without_login"]
