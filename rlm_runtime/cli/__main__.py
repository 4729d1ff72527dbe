"""``python -m rlm_runtime.cli``."""

from __future__ import annotations

from rlm_runtime.cli import main

main()
