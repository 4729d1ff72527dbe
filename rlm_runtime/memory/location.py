"""Finds where memories are kept when a call does not say."""

from __future__ import annotations

import os
from pathlib import Path

from rlm_runtime.folders import state_folder
from rlm_runtime.settings import read_settings

__all__ = ["MEMORY_VARIABLE", "memory_path"]

MEMORY_VARIABLE = "RLM_RUNTIME_MEMORY"
"""Set this environment variable to the path of your store of memories."""


def memory_path(explicit: str | Path | None = None) -> Path:
    """Give the path of the store of memories; it need not exist yet.

    The first that there is: the path given; ``RLM_RUNTIME_MEMORY``; ``memory`` in the project's
    settings; ``memory.db`` in the state folder.

    Args:
        explicit: What the caller says.

    Raises:
        ConfigurationError: The settings file would count, and is broken.

    Example:
        >>> os.environ["RLM_RUNTIME_MEMORY"] = "/srv/memory.db"
        >>> memory_path().as_posix(), memory_path("/tmp/mine.db").as_posix()
        ('/srv/memory.db', '/tmp/mine.db')
        >>> del os.environ["RLM_RUNTIME_MEMORY"]
    """
    chosen = explicit or os.environ.get(MEMORY_VARIABLE) or read_settings().memory
    return Path(os.path.expanduser(chosen or state_folder() / "memory.db")).absolute()
