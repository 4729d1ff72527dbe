"""How values print in the REPL: results of the tools and lists of dicts as compact text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["MAX_PRINT", "show"]

MAX_PRINT = 6_000
"""Characters of one printed value; cut between rows."""

_MAX_WIDTH = 160
_SHORT = 200


def show(value: object) -> str | None:
    """Give a dict or list as compact text, or None when it should print as Python prints it.

    A table (a dict with ``columns`` and ``rows``) has a header with the kinds and ends with its
    row count and note; a list of flat dicts is a table without kinds; other dicts and lists that
    would make one long line get a line for each key or item. Unbound values are ``-``. At most
    MAX_PRINT characters, cut between rows.

    Example:
        >>> print(show({"columns": ["c", "n"], "kinds": {"c": "iri", "n": "integer"},
        ...             "rows": [{"c": "ex:A", "n": 3}], "count": 1, "truncated": False}))
        c:iri | n:integer
        ex:A | 3
        (1 row)
        >>> show([1, 2, 3]) is None
        True
    """
    if isinstance(value, dict):
        if isinstance(value.get("rows"), list) and isinstance(value.get("columns"), list):
            return _result(value)
        if ("iri" in value and "properties" in value) or len(repr(value)) > _SHORT:
            return _fields(value)
        return None
    if isinstance(value, list | tuple) and value:
        if _flat_rows(value):
            columns = list(dict.fromkeys(key for row in value for key in row))
            return _bounded([" | ".join(columns)], (_row(row, columns) for row in value))
        if len(repr(value)) > _SHORT:
            return _bounded([], (_inline(item) for item in value))
    return None


def _flat_rows(value: Sequence[object]) -> bool:
    return all(
        isinstance(row, dict)
        and row
        and all(isinstance(key, str) for key in row)
        and not any(isinstance(item, dict | list | tuple) for item in row.values())
        for row in value
    )


def _is_description(value: Mapping[str, Any]) -> bool:
    return "iri" in value and "kind" in value and "labels" in value


def _result(table: Mapping[str, Any]) -> str:
    columns, rows = table["columns"], table["rows"]
    kinds = table.get("kinds") or {}
    told = {
        key: value
        for key, value in table.items()
        if key not in ("columns", "kinds", "rows", "count", "truncated", "total", "note")
    }
    lead = ["; ".join(f"{k}: {_inline(v)}" for k, v in told.items() if not _is_group(v))]
    for key, value in told.items():
        if isinstance(value, list):
            lead.extend(f"{key}: {_inline(item)}" for item in value)
        elif isinstance(value, dict) and value:
            lead.append(f"{key}: {_inline(value)}")
    header = " | ".join(f"{c}:{kinds[c]}" if c in kinds else str(c) for c in columns)
    body = (_row(row, columns) if isinstance(row, dict) else _inline(row) for row in rows)
    head = [line for line in (*lead, header if rows else "") if line]
    return _bounded(head, body, _foot(table, len(rows)))


def _foot(table: Mapping[str, Any], shown: int) -> str:
    count = table.get("count", shown)
    total = table.get("total")
    of = f" of {total}" if total not in (None, count) else ""
    plural = "" if count == 1 and not of else "s"
    more = ", there are more" if table.get("truncated") and not of else ""
    first = f", first {shown} shown" if shown < count else ""
    note = f" {table['note']}" if table.get("note") else ""
    return f"({count}{of} row{plural}{more}{first}){note}"


def _is_group(value: object) -> bool:
    return isinstance(value, dict | list)


def _fields(value: Mapping[str, Any]) -> str:
    description = _is_description(value)
    labels: Mapping[str, str] = value["labels"] if description else {}
    kinds: Mapping[str, str] = value.get("kinds", {}) if description else {}
    lines: list[str] = []
    for key, item in value.items():
        if description and (key in ("labels", "kinds") or item in (None, [], {}, False)):
            continue
        if isinstance(item, dict) and any(_is_group(v) for v in item.values()):
            lines.append(f"{key}:")
            lines.extend(
                f"  {k}{f' ({kinds[k]})' if kinds.get(k, 'iri') != 'iri' else ''}: "
                f"{_inline(v, labels)}"
                for k, v in item.items()
            )
        elif isinstance(item, list) and item and _flat_rows(item):
            lines.append(f"{key}:")
            columns = list(item[0])
            lines.append(f"  {' | '.join(columns)}")
            lines.extend(f"  {_row(row, columns)}" for row in item)
        else:
            lines.append(f"{key}: {_inline(item, labels)}")
    return _bounded([], lines)


def _row(row: Mapping[str, Any], columns: Sequence[str]) -> str:
    return " | ".join(_clip(_inline(row.get(column))) for column in columns)


def _clip(text: str) -> str:
    return text if len(text) <= _MAX_WIDTH else f"{text[:_MAX_WIDTH]}…"


def _inline(value: object, labels: Mapping[str, str] | None = None) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        label = (labels or {}).get(value)
        text = value.replace("\n", "\\n").replace("\r", "")
        return f"{text} ({label})" if label else text
    if isinstance(value, list | tuple):
        return ", ".join(_inline(item, labels) for item in value)
    if isinstance(value, dict):
        return "; ".join(
            f"{k}{' ->' if isinstance(v, str) else ''} {_inline(v, labels)}"
            for k, v in value.items()
        )
    return repr(value)


def _bounded(head: list[str], body: Iterable[str], foot: str = "") -> str:
    """Join the lines while they fit; then say how many were left out."""
    lines = list(head)
    room = MAX_PRINT - sum(len(line) + 1 for line in head) - len(foot)
    rest = iter(body)
    left_out = 0
    for line in rest:
        if left_out or (len(line) + 1 > room and len(lines) > len(head)):
            left_out += 1
            continue
        lines.append(line)
        room -= len(line) + 1
    if left_out:
        lines.append(f"… {left_out} more rows not printed; print a slice to see them.")
    return "\n".join([*lines, foot] if foot else lines)
