"""The face of the sandbox: LM-written code runs here, never in this process.

Names are imported on first use, so that importing this package loads neither DSPy nor Monty.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlm_runtime.interpreter.factory import make_interpreter_factory
    from rlm_runtime.interpreter.limits import SandboxLimits
    from rlm_runtime.interpreter.monty import MontyInterpreter

_HOME_OF = {
    "MontyInterpreter": "rlm_runtime.interpreter.monty",
    "SandboxLimits": "rlm_runtime.interpreter.limits",
    "make_interpreter_factory": "rlm_runtime.interpreter.factory",
}

__all__ = ["MontyInterpreter", "SandboxLimits", "make_interpreter_factory"]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'rlm_runtime.interpreter' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
