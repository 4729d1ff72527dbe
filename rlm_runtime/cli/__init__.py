"""The command line, ``rlm-runtime``; built on the same calls as everything else."""

from __future__ import annotations

from rlm_runtime.cli.app import main

__all__ = ["main"]
