"""The offline explorer's answering cells: Python that asks, checks, words the answer, SUBMITs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlm_runtime.engine.offline.queries import Listing
from rlm_runtime.engine.offline.vocabulary import Vocabulary

__all__ = [
    "BELOW",
    "BY_NAMESPACE",
    "EXPECTED",
    "MOST_NAMED",
    "Notes",
    "ask_cell",
    "listing_cell",
    "plain_cell",
    "quoted",
    "submission",
]

MOST_NAMED = 40
"""How many entities an answer names before it only says how many more there are."""

_MOST_COUNTED = 12


@dataclass(frozen=True)
class Notes:
    """What is submitted beside the answer.

    Attributes:
        thinking: How the question was understood.
        reflection: What remains uncertain.
        evidence: Prefixed names of what the question is about.
        remark: A sentence to put behind the answer, or "".
    """

    thinking: str
    reflection: str
    evidence: tuple[str, ...] = ()
    remark: str = ""


_SUBMIT = """\
SUBMIT(
    answer=answer{remark},
    sparql=query,
    evidence=list(dict.fromkeys(evidence))[:20],
    thinking={thinking!r},
    verification=" ".join([f"check_query: ok, {{check['total']}} rows."] + check["warnings"]),
    reflection={reflection!r},
)"""


def quoted(query: str) -> str:
    """Give the Python literal of a query, over several lines where that keeps it as it is.

    Example:
        >>> len(quoted("ASK {}"))
        12
    """
    return repr(query) if "\\" in query or '"""' in query else f'"""{query}"""'


def submission(notes: Notes) -> str:
    """Give the call of SUBMIT for a cell that has set answer, query, evidence and check."""
    remark = f" + {' ' + notes.remark!r}" if notes.remark else ""
    return _SUBMIT.format(remark=remark, thinking=notes.thinking, reflection=notes.reflection)


_LISTING = """\
options = [
{alternatives}
]
# When no option gives rows, the first tells what there is none of.
for {names}, lead, one, many, by, heading, own in options + options[:1]:
    check = check_query(query, 1000)
    if not check["ok"]:
        raise RuntimeError(check["error"])
    if check["rows"]{holds}:
        break
print(check)
table = sparql_select({names_query}, 1000)
groups = {{}}
for row in table["rows"]:
    group = f"{{heading}} {{row[by]}}: ".strip(" ") + " " if row.get(by) not in (None, own) else ""
    name = f"{{row['label']}} ({{row['entity']}})" if row["label"] else row["entity"]
    groups[group] = groups.get(group, []) + [name]
parts = []
for group, names in sorted(groups.items()):
    names = sorted(set(names), key=lambda name: (name[0] == "<", name.lower()))
    more = [f"and {{len(names) - {most}}} more"] if len(names) > {most} else []
    parts.append(group + ", ".join(names[:{most}] + more))
count = {count}
number = {{0: "no", 1: "one", None: f"more than {{len(table['rows'])}}"}}.get(count, count)
answer = f"{{lead}} {{number}} {{one if count == 1 else many}}"
answer += ": " + "; ".join(parts) + "." if parts else " in this ontology."
{further}evidence = {evidence!r} + [row["entity"] for row in table["rows"]]
{submit}"""

BELOW = """\
below = sparql_select({query})["rows"][0]["count"]
if below > (count or 0):
    answer += f" Counting indirect ones too, there are {{below}}."
"""

BY_NAMESPACE = """\
import re
spaces = {}
for row in table["rows"]:
    space = re.match(r"<.*[/#]|[^:]*:", row["entity"])[0]
    spaces[space] = spaces.get(space, 0) + 1
if len(spaces) > 1:
    most = sorted(spaces.items(), key=lambda item: -item[1])[:5]
    answer += " By namespace: " + ", ".join(f"{space.strip('<')} {n}" for space, n in most) + "."
"""

EXPECTED = """\
for role in {roles!r}:
    if not [group for group in groups if group.startswith(role)]:
        answer += f" No {{role}} is stated."
"""


def listing_cell(
    listings: Sequence[Listing], v: Vocabulary, notes: Notes, *, count: bool, further: str = ""
) -> str:
    """Write the cell that lists the entities of the first listing that has any.

    Args:
        listings: Tried in order.
        v: The predicates in use.
        notes: What is submitted beside the answer.
        count: Whether the reported query is to be one that counts.
        further: Code that adds to ``answer``; see BELOW, BY_NAMESPACE and EXPECTED.
    """
    alternatives = []
    for listing in listings:
        queries = [v.select(listing.pattern, listing.by)]
        if count:
            queries.insert(0, v.count(listing.pattern))
        shown = ", ".join(quoted(query) for query in queries)
        words = (listing.lead, listing.one, listing.many, listing.by, listing.heading, listing.own)
        alternatives.append(f"    ({shown}, {', '.join(repr(word) for word in words)}),")
    return _LISTING.format(
        names="query, named" if count else "query",
        names_query="named" if count else "query",
        alternatives="\n".join(alternatives),
        holds=' and check["rows"][0]["count"]' if count else "",
        count='check["rows"][0]["count"]'
        if count
        else 'check["total"] if table["truncated"] else len({row["entity"] for row in '
        'table["rows"]})',
        most=_MOST_COUNTED if count else MOST_NAMED,
        further=further,
        evidence=list(notes.evidence),
        submit=submission(notes),
    )


_ASK = """\
query = {query}
check = check_query(query)
if not check["ok"]:
    raise RuntimeError(check["error"])
print(check)
answer = {yes!r} if check["rows"][0]["ask"] else {no!r}
evidence = {evidence!r}
{submit}"""


def ask_cell(query: str, yes: str, no: str, notes: Notes) -> str:
    """Write the cell that answers yes or no from an ASK query."""
    return _ASK.format(
        query=quoted(query), yes=yes, no=no, evidence=list(notes.evidence), submit=submission(notes)
    )


def plain_cell(answer: str, notes: Notes) -> str:
    """Write the cell that submits an answer without a query: what was not found or understood."""
    return (
        f'SUBMIT(\n    answer={answer!r},\n    sparql="",\n    evidence=[],\n'
        f"    thinking={notes.thinking!r},\n    reflection={notes.reflection!r},\n)"
    )
