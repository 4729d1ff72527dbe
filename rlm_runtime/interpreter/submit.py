"""SUBMIT: turns its arguments into the run's output fields, or says what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["submitted_fields"]

_TYPES: dict[str, tuple[type, ...]] = {
    # Text is what a reader sees of a number, so that one is as good as the other.
    "str": (str, int, float),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "list": (list, tuple, set, frozenset),
    "dict": (dict,),
    "NoneType": (type(None),),
}


def submitted_fields(
    args: Sequence[Any],
    kwargs: dict[str, Any],
    output_fields: list[dict[str, Any]] | None,
    prepare: Callable[[dict[str, Any]], dict[str, Any]] | None,
) -> dict[str, Any]:
    """Check the arguments of SUBMIT and give them by field name.

    Args:
        args: Positional arguments, in the order of ``output_fields``.
        kwargs: Keyword arguments.
        output_fields: ``{"name": …, "type": …}`` for each field; the type may be missing. None
            takes any keywords, and one positional argument as ``output``.
        prepare: Runs before the check; may fill defaults, normalise, or raise ValueError.

    Raises:
        TypeError: A field is unknown, missing, given twice or of the wrong type.
        ValueError: From ``prepare``.

    Example:
        >>> wanted = [{"name": "answer", "type": "str"}, {"name": "evidence", "type": "list"}]
        >>> submitted_fields(["42"], {"evidence": []}, wanted, None)
        {'answer': '42', 'evidence': []}
    """
    wanted = output_fields if output_fields is not None else [{"name": name} for name in kwargs]
    if output_fields is None and not kwargs:
        wanted = [{"name": "output"}]
    shape = f"SUBMIT({', '.join(_described(field) for field in wanted)})"
    names = [field["name"] for field in wanted]
    if len(args) > len(names):
        raise TypeError(f"{len(args)} positional arguments are too many for {shape}")
    fields = dict(zip(names, args, strict=False))
    twice = sorted(fields.keys() & kwargs.keys())
    if twice:
        raise TypeError(f"{', '.join(twice)} given twice; call it as {shape}")
    fields.update(kwargs)
    if prepare is not None:
        fields = prepare(fields)
    unknown = [name for name in fields if name not in names]
    missing = [name for name in names if name not in fields]
    for problem, culprits in (("unknown", unknown), ("missing", missing)):
        if culprits:
            raise TypeError(f"{problem} fields: {', '.join(culprits)}; call it as {shape}")
    for field in wanted:
        _check_type(field, fields[field["name"]], shape)
    return fields


def _described(field: dict[str, Any]) -> str:
    return f"{field['name']}: {field['type']}" if "type" in field else field["name"]


def _check_type(field: dict[str, Any], value: Any, shape: str) -> None:
    name = field.get("type")
    if name not in _TYPES:
        return
    is_flag = isinstance(value, bool) and name in ("int", "float")
    if is_flag or not isinstance(value, _TYPES[name]):
        raise TypeError(
            f"{field['name']} must be {name}, not {type(value).__name__}; call it as {shape}"
        )
