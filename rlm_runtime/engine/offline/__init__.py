"""The offline explorer: rules in the place of a language model."""

from __future__ import annotations

from rlm_runtime.engine.offline.lm import OfflineLM

__all__ = ["OfflineLM"]
