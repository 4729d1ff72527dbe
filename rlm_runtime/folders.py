"""Where this package keeps files of its own: the user's state folder."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["HOME_VARIABLE", "cache_folder", "state_folder"]

HOME_VARIABLE = "RLM_RUNTIME_HOME"
"""Set this environment variable to keep all such files below a folder of your choice."""


def state_folder() -> Path:
    """Give the folder for what must outlive a process; it need not exist yet.

    ``RLM_RUNTIME_HOME`` if that is set, else the place that the operating system means for it,
    such as ``~/.local/state/rlm-runtime``.

    Example:
        >>> os.environ["RLM_RUNTIME_HOME"] = "/srv/rlm"
        >>> state_folder().as_posix()
        '/srv/rlm'
    """
    home = os.environ.get(HOME_VARIABLE)
    if home:
        return Path(home).expanduser().absolute()
    import platformdirs

    return platformdirs.user_state_path("rlm-runtime", appauthor=False)


def cache_folder() -> Path:
    """Give the folder for what can be made again; it need not exist yet.

    ``cache`` in ``RLM_RUNTIME_HOME`` if that is set, else the place that the operating system
    means for it, such as ``~/.cache/rlm-runtime``.
    """
    home = os.environ.get(HOME_VARIABLE)
    if home:
        return Path(home).expanduser().absolute() / "cache"
    import platformdirs

    return platformdirs.user_cache_path("rlm-runtime", appauthor=False)
