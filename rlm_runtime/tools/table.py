"""How values print in the REPL: results of the tools and lists of dicts as compact text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["MAX_PRINT", "NAME", "show"]

MAX_PRINT = 6_000
"""Characters of one printed value; it is cut between rows."""

NAME = re.compile(r"<[^<>\s]+>|(?<![\w:\"])[\w.-]*:[\w-]+(?:[.\\][\w,()-]+)*")
"""A prefixed name or an IRI in angle brackets within a text."""

_MAX_CELL = 160
_MAX_LINE = 1_500
_SHORT = 200
_TABLE_FRAME = frozenset(
    {"columns", "kinds", "rows", "count", "truncated", "total", "handle", "note"}
)
_CHECKED_ROWS = 20
# Fields of a description whose texts have spaces and commas of their own.
_EXPRESSIONS = frozenset(
    {
        *("superclasses", "inherited_restrictions", "equivalent", "disjoint_with", "shapes"),
        *("domain", "inherited_domain", "range", "inherited_range", "chains", "keys"),
        *("inverse", "in_restrictions_of", "must_not_be"),
    }
)
# Fields of a description that are told along with others.
_BESIDE = frozenset({"labels", "kinds", "cut", "equal_subclasses"})
_COUNTS = "_counts"
# Fields of a description that are dicts, and of what.
_DICTS = {
    **dict.fromkeys(("labels", "kinds"), str),
    **dict.fromkeys(("properties", "equal_subclasses"), list),
    "cut": int | None,
    "inherits": object,
    "inherits_from": int,
}
_ADDS = re.compile(r"adds \S+ ")
# Fields of a description that print as a few examples when there are more than a few.
_BRIEF = {"inherits": 5}
_FEW = 8


def show(value: object) -> str | None:
    """Give a dict or list as compact text, or None when it should print as Python prints it.

    A table (a dict with ``columns`` and ``rows``) has a header with the kinds and ends with its
    row count and note; of a query's check, twenty rows and what is worth telling. A list of flat
    dicts is a table without kinds; a description and other dicts and lists that would make one
    long line get a line for each key or item. Unbound values are ``-``. It stops after MAX_PRINT
    characters, between rows, and says how many are left.

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
        if isinstance(value.get("columns"), list) and _is_table(value.get("rows")):
            return _table(value)
        if _is_description(value):
            return _description(value)
        return _fields(value) if len(repr(value)) > _SHORT else None
    if isinstance(value, list | tuple) and value:
        if _is_table(value):
            columns = list(dict.fromkeys(key for row in value for key in row))
            return _bounded([" | ".join(columns)], [_row(row, columns) for row in value])
        if len(repr(value)) > _SHORT:
            return _bounded([], [_inline(item) for item in value])
    return None


def _is_table(value: object) -> bool:
    """Say whether this is a list of dicts with text keys and no dicts or lists inside."""
    return isinstance(value, list | tuple) and all(
        isinstance(row, dict)
        and all(isinstance(key, str) for key in row)
        and not any(_is_group(item) for item in row.values())
        for row in value
    )


def _is_description(value: Mapping[str, Any]) -> bool:
    """Say whether this is what describe_entity gives: a dict of others may have such keys, too."""
    if not (all(isinstance(key, str) for key in value) and {"iri", "kind", "labels"} <= set(value)):
        return False
    counted = [key.removesuffix(_COUNTS) for key in value if key.endswith(_COUNTS)]
    return (
        all(_is_dict_of(kind, value.get(field, {})) for field, kind in _DICTS.items())
        and all(_is_dict_of(int | None, value[f"{field}{_COUNTS}"]) for field in counted)
        and all(_is_dict_of(object, value.get(field) or {}) for field in counted)
        and all(_are_texts(names) for names in value.get("equal_subclasses", {}).values())
        and _are_texts(value.get("subclasses") or [])
    )


def _is_dict_of(kind: Any, value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(item, kind) for item in value.values())


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_group(value: object) -> bool:
    return isinstance(value, dict | list | tuple)


def _table(table: Mapping[str, Any]) -> str:
    columns = [str(column) for column in table["columns"]]
    rows = table["rows"]
    told = {key: value for key, value in table.items() if key not in _TABLE_FRAME}
    if "ok" in told and "ties" in told:
        told = _worth_telling(told)
        rows = rows[:_CHECKED_ROWS]
    lead = ["; ".join(f"{k}: {_inline(v)}" for k, v in told.items() if not _is_group(v))]
    for key, value in told.items():
        if isinstance(value, list):
            lead.extend(f"{key}: {_inline(item)}" for item in value)
        elif isinstance(value, dict) and value:
            lead.append(f"{key}: {_inline(value)}")
    kinds = table.get("kinds")
    kinds = kinds if isinstance(kinds, dict) else {}
    header = " | ".join(f"{c}:{kinds[c]}" if c in kinds else c for c in columns)
    head = [line for line in (*lead, header if rows else "") if line]
    return _bounded(head, [_row(row, columns) for row in rows], _foot(table, len(rows)))


def _worth_telling(check: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out of a query's check what is as it should be: a zero would be read as a finding."""
    usual = {"form": "SELECT", "duplicates": 0, "ties": 0}
    told = {key: value for key, value in check.items() if usual.get(key, "") != value}
    if "ties" in told:
        ties = told.pop("ties")
        told["ties cut by LIMIT"] = "unknown" if ties is None else ties
    return told


def _foot(table: Mapping[str, Any], shown: int) -> str:
    count = table.get("count", shown)
    total = table.get("total")
    of = f" of {total}" if total not in (None, count) else ""
    plural = "" if count == 1 and not of else "s"
    more = ", there are more" if table.get("truncated") and not of else ""
    first = f", first {shown} shown; rows holds all {count}" if shown != count else ""
    note = f" {table['note']}" if table.get("note") else ""
    return f"({count}{of} row{plural}{more}{first}){note}"


def _description(said: Mapping[str, Any]) -> str:
    """Write a line for each field that tells something; of what is cut, say how many there are."""
    labels, kinds = said["labels"], said.get("kinds", {})
    lines: list[str] = []
    for key in dict.fromkeys(key.removesuffix(_COUNTS) for key in said if key not in _BESIDE):
        item, counts = said.get(key) or {}, said.get(f"{key}{_COUNTS}", {})
        if not (item or counts):
            continue
        between = "; " if key in _EXPRESSIONS else ", "
        if key in _EXPRESSIONS:
            item = _labelled(item, labels)
        if key == "subclasses":
            item = _labelled(_paired(item, said.get("equal_subclasses", {})), labels)
        if key == "properties":
            item = {name: _folded(values) for name, values in item.items()}
        if key in _BRIEF and len(item) > _FEW:
            first = dict(list(item.items())[: _BRIEF[key]])
            left = len(item) - len(first)
            lines.append(f"{key}: {_inline(first, labels)}; … {left} more (key {key})")
        elif key == "inherits_from":
            told = [f"{c} ({n} propert{'y' if n == 1 else 'ies'})" for c, n in item.items()]
            lines.append(f"{key}: {_inline(told)}")
        elif counts or _has_groups(item):
            lines += _groups(key, item, counts, labels, kinds, between)
        elif isinstance(item, list) and _is_table(item):
            lines += _indented(key, item)
        else:
            missing = said.get("cut", {}).get(key, 0)
            between = "; " if isinstance(item, dict) else between
            more = f"{between}…" if missing is None else ""
            lines.append(f"{key}: {_inline(item, labels, between, missing or 0)}{more}")
    return _bounded([], lines)


def _fields(value: Mapping[Any, Any]) -> str:
    """Write a line for each key; a dict of lists or a list of dicts is indented below its key."""
    lines: list[str] = []
    for key, item in value.items():
        if _has_groups(item):
            lines += _groups(key, item, {}, {}, {}, ", ")
        elif isinstance(item, list) and item and _is_table(item):
            lines += _indented(key, item)
        else:
            lines.append(f"{key}: {_inline(item)}")
    return _bounded([], lines)


def _has_groups(value: object) -> bool:
    return isinstance(value, dict) and any(_is_group(item) for item in value.values())


def _groups(
    key: object,
    found: Mapping[str, Any],
    counts: Mapping[str, int | None],
    labels: Mapping[str, str],
    kinds: Mapping[str, str],
    between: str,
) -> list[str]:
    """Write a line for each group, and how many it lacks where it was cut."""
    lines = [f"{key}:"]
    for name in dict.fromkeys((*found, *counts)):
        items, kind = found.get(name, ()), kinds.get(name, "iri")
        of_kind = f" ({kind})" if kind != "iri" else ""
        shown = len(items) if _is_group(items) else 1
        count = counts.get(name, shown)
        more = f"{between if items else ''}…" if count is None else ""
        left = (count or 0) - shown
        lines.append(f"  {name}{of_kind}: {_inline(items, labels, between, left)}{more}")
    return lines


def _indented(key: object, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines = [" | ".join(columns), *(_row(row, columns) for row in rows)]
    return [f"{key}:", *(f"  {line}" for line in lines)]


def _folded(texts: Iterable[Any]) -> list[Any]:
    """Leave out of rules that add a value what the one before says: ``adds ex:p 1``, ``2``."""
    folded: list[Any] = []
    before = ""
    for text in texts:
        rule = _ADDS.match(str(text))
        lead = rule[0] if rule else ""
        folded.append(text[len(lead) :] if lead and lead == before else text)
        before = lead
    return folded


def _paired(names: Iterable[str], equal: Mapping[str, Sequence[str]]) -> list[str]:
    """Write names that are equivalent together: ``ex:Auto (= ex:Car)``."""
    told = {other for others in equal.values() for other in others}
    return [
        f"{name} (= {', '.join(equal[name])})" if name in equal else name
        for name in names
        if name not in told
    ]


def _row(row: Mapping[str, Any], columns: Sequence[str]) -> str:
    return " | ".join(_cut(_inline(row.get(column)), _MAX_CELL) for column in columns)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}… [+{len(text) - longest} chars]"


def _inline(
    value: object,
    labels: Mapping[str, str] | None = None,
    between: str = ", ",
    left: int = 0,
) -> str:
    """Write a value on one line of bounded length; of a list, say how many items it lacks."""
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return _joined(between, [_inline(item, labels) for item in value], left)
    if isinstance(value, dict):
        pairs = [
            f"{key}{' ->' if isinstance(item, str) else ''} {_inline(item, labels)}"
            for key, item in value.items()
        ]
        return _joined("; ", pairs, left)
    text = value if isinstance(value, str) else repr(value)
    label = labels.get(text) if labels else None
    text = "\\n".join(text.splitlines())
    return _cut(f"{text} ({label})" if label else text, _MAX_LINE)


def _labelled(value: Any, labels: Mapping[str, str]) -> Any:
    """Write the label behind each name in the texts of a field."""
    if isinstance(value, dict):
        return {key: _labelled(item, labels) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_labelled(item, labels) for item in value]
    return NAME.sub(lambda m: f"{m[0]} ({labels[m[0]]})" if m[0] in labels else m[0], str(value))


def _joined(separator: str, parts: Sequence[str], left: int = 0) -> str:
    size = 0
    for shown, part in enumerate(parts):
        size += len(part) + len(separator)
        if shown and size > _MAX_LINE:
            left += len(parts) - shown
            parts = parts[:shown]
            break
    return separator.join([*parts, f"… {left} more"] if left > 0 else parts)


def _bounded(head: Iterable[str], body: Sequence[str], foot: str = "") -> str:
    """Join the lines while they fit; then say how many were left out."""
    lines = list(head)
    room = MAX_PRINT - sum(len(line) + 1 for line in lines) - len(foot)
    for shown, line in enumerate(body):
        room -= len(line) + 1
        if room < 0 and shown:
            lines.append(f"… {len(body) - shown} more not printed; print a slice to see them.")
            break
        lines.append(line)
    return "\n".join([*lines, foot] if foot else lines)
