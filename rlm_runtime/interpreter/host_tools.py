"""Calls host functions for sandboxed code: binds arguments, awaits, and words their errors."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import traceback
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rlm_runtime.errors import BudgetExceeded
from rlm_runtime.interpreter.values import clean_text

__all__ = ["call_tool", "ends_the_cell", "error_for_sandbox"]

_MAX_MESSAGE = 4_000
# The exceptions that Monty knows under their Python name and that a tool may sensibly raise.
_KNOWN = frozenset(
    {
        *("ArithmeticError", "AssertionError", "AttributeError", "Exception", "FileExistsError"),
        *("FileNotFoundError", "ImportError", "IndexError", "IsADirectoryError", "KeyError"),
        *("LookupError", "ModuleNotFoundError", "NameError", "NotADirectoryError", "OSError"),
        *("NotImplementedError", "OverflowError", "PermissionError", "RecursionError"),
        *(
            "RuntimeError",
            "TimeoutError",
            "TypeError",
            "UnboundLocalError",
            "ValueError",
            "ZeroDivisionError",
        ),
    }
)


def call_tool(name: str, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """Call a host function with arguments bound by its signature; await what it returns.

    Args:
        name: What sandboxed code calls it.
        function: A plain or a coroutine function. A ``__signature__`` on it is believed, so that
            wrappers that take keywords only can be called with positional arguments.
        args: Positional arguments.
        kwargs: Keyword arguments.

    Raises:
        TypeError: The arguments do not fit the signature, which the message shows.

    Example:
        >>> def search(query, limit=10):
        ...     return [query] * limit
        >>> call_tool("search", search, ["a"], {"limit": 2})
        ['a', 'a']
    """
    bound_args, bound_kwargs = _bind(name, function, args, kwargs)
    result = function(*bound_args, **bound_kwargs)
    return _wait_for(result) if inspect.isawaitable(result) else result


def _bind(
    name: str, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return list(args), kwargs
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{error}; call it as {name}{_shape(signature)}") from None
    by_position: list[Any] = []
    by_name: dict[str, Any] = {}
    kinds = inspect.Parameter
    for parameter in signature.parameters.values():
        if parameter.name not in bound.arguments:
            continue
        value = bound.arguments[parameter.name]
        if parameter.kind is kinds.VAR_POSITIONAL:
            # Extra positional arguments push the ones before them into their positions.
            return list(bound.args), bound.kwargs
        if parameter.kind is kinds.VAR_KEYWORD:
            by_name.update(value)
        elif parameter.kind is kinds.POSITIONAL_ONLY:
            by_position.append(value)
        else:
            by_name[parameter.name] = value
    return by_position, by_name


def _shape(signature: inspect.Signature) -> str:
    bare = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=signature.empty))


async def _await(awaitable: Any) -> Any:
    return await awaitable


def _wait_for(awaitable: Any) -> Any:
    coroutine: Coroutine[Any, Any, Any] = _await(awaitable)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    # The loop of this thread is busy with the very call that waits; another thread has its own.
    with ThreadPoolExecutor(max_workers=1) as executor:
        return executor.submit(contextvars.copy_context().run, asyncio.run, coroutine).result()


def ends_the_cell(error: BaseException) -> bool:
    """Say whether an exception is for the run and not for sandboxed code to see.

    Example:
        >>> ends_the_cell(KeyboardInterrupt()), ends_the_cell(ValueError("no such prefix"))
        (True, False)
    """
    return (
        not isinstance(error, Exception)
        or isinstance(error, BudgetExceeded)
        or getattr(type(error), "rlm_control", False) is True
    )


def error_for_sandbox(error: BaseException) -> tuple[str, str]:
    """Give the name of a Python exception and a message for what a host function raised.

    Exceptions that Monty does not know become a RuntimeError whose message names their class.

    Example:
        >>> error_for_sandbox(ConnectionError("refused"))
        ('RuntimeError', 'ConnectionError: refused')
    """
    kind = type(error)
    message = clean_text(_message(error))[:_MAX_MESSAGE]
    if kind.__module__ == "builtins" and kind.__name__ in _KNOWN:
        return kind.__name__, message
    return "RuntimeError", f"{kind.__name__}: {message}" if message else kind.__name__


def _message(error: BaseException) -> str:
    if isinstance(error, KeyError) and len(error.args) == 1 and isinstance(error.args[0], str):
        return error.args[0]
    # Formatting through traceback survives a __str__ that raises.
    text = "".join(traceback.format_exception_only(error)).strip()
    kind = type(error)
    for prefix in (f"{kind.__module__}.{kind.__qualname__}", kind.__qualname__):
        if text == prefix:
            return ""
        if text.startswith(f"{prefix}: "):
            return text[len(prefix) + 2 :]
    return text
