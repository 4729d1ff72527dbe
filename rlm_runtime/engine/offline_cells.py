"""The offline explorer's answering cells: Python that asks, checks, words the answer, SUBMITs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlm_runtime.engine.offline_queries import Listing, Vocabulary

__all__ = [
    "Notes",
    "ask_cell",
    "description_cell",
    "listing_cell",
    "plain_cell",
    "statements_cell",
]

_MOST_NAMED = 40


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
    verification="check_query: " + (f"ok, {{check['total']}} rows. " + " ".join(check["warnings"]) \
if check["ok"] else check["error"]),
    reflection={reflection!r},
)"""


def _submit(notes: Notes) -> str:
    remark = f" + {' ' + notes.remark!r}" if notes.remark else ""
    return _SUBMIT.format(remark=remark, thinking=notes.thinking, reflection=notes.reflection)


_LISTING = """\
for {names}, lead, one, many, by, heading, own in [
{alternatives}
]:
    check = check_query(query, 1000)
    if check["ok"] and check["rows"]{holds}:
        break
print(check)
table = sparql_select({names_query}, 1000) if check["ok"] else {{"rows": [], "truncated": False}}
groups = {{}}
for row in table["rows"]:
    group = "" if row.get(by) in (None, own) else f"{{heading}} {{row[by]}}: "
    name = f"{{row['label']}} ({{row['entity']}})" if row["label"] else row["entity"]
    groups[group] = groups.get(group, []) + [name]
parts = []
for group, names in sorted(groups.items()):
    names = sorted(set(names), key=lambda name: name.lower())
    more = [f"and {{len(names) - {most}}} more"] if len(names) > {most} else []
    parts.append(group + ", ".join(names[:{most}] + more))
count = {count}
answer = f"{{lead}} {{count or 'no'}} {{one if count == 1 else many}}"
answer += ": " + "; ".join(parts) + "." if parts else " in this ontology."
{further}evidence = {evidence!r} + [row["entity"] for row in table["rows"]]
{submit}"""

_FURTHER = """\
below = sparql_select(\"\"\"{query}\"\"\")["rows"][0]["count"]
if below > count:
    answer += f" Counting indirect ones too, there are {{below}}."
"""


def listing_cell(
    listings: Sequence[Listing], v: Vocabulary, notes: Notes, *, count: bool, below: str = ""
) -> str:
    """Write the cell that lists the entities of the first listing that has any.

    Args:
        listings: Tried in order.
        v: The predicates in use.
        notes: What is submitted beside the answer.
        count: Whether the reported query is to be one that counts.
        below: Query for the number with indirect ones, or "".
    """
    alternatives = []
    for listing in listings:
        queries = [v.select(listing.pattern, listing.by)]
        if count:
            queries.insert(0, v.count(listing.pattern))
        shown = ", ".join(f'"""{query}"""' for query in queries)
        words = (listing.lead, listing.one, listing.many, listing.by, listing.heading, listing.own)
        alternatives.append(f"    ({shown}, {', '.join(repr(word) for word in words)}),")
    return _LISTING.format(
        names="query, named" if count else "query",
        names_query="named" if count else "query",
        alternatives="\n".join(alternatives),
        holds=' and check["rows"][0]["count"]' if count else "",
        count='check["rows"][0]["count"] if check["ok"] else 0'
        if count
        else 'check.get("total") if table["truncated"] else len({row["entity"] for row in '
        'table["rows"]})',
        most=_MOST_NAMED,
        further=_FURTHER.format(query=below) if below else "",
        evidence=list(notes.evidence),
        submit=_submit(notes),
    )


_ASK = """\
query = \"\"\"{query}\"\"\"
check = check_query(query)
print(check)
holds = check["ok"] and check["rows"][0]["ask"]
answer = {yes!r} if holds else {no!r}
evidence = {evidence!r}
{submit}"""


def ask_cell(query: str, yes: str, no: str, notes: Notes) -> str:
    """Write the cell that answers yes or no from an ASK query."""
    return _ASK.format(
        query=query, yes=yes, no=no, evidence=list(notes.evidence), submit=_submit(notes)
    )


_DESCRIPTION = """\
{query}check = check_query(query)
print(check)


def tell(iri):
    d = describe_entity(iri, 60)
    labels = d["labels"]

    def names(values):
        shown = [f"{{labels[v]}} ({{v}})" if v in labels else str(v) for v in values]
        return ", ".join(shown[:12]) + (f" and {{len(shown) - 12}} more" if len(shown) > 12 else "")

    types = [t for t in d.get("types", []) if not t.startswith("owl:NamedIndividual")]
    is_thing = d["kind"] == "instance" and types
    article = "an" if d["kind"][0] in "aeio" else "a"
    text = f"{{d.get('label') or iri}} ({{iri}}) is {{article}} {{d['kind']}}"
    text += (" of " + names(types) if is_thing else "")
    comment = str(d.get("comment") or "").split("… [+")
    text += ": " + comment[0] + ("…" if comment[1:] else "") if comment[0] else ", without a definition here"
    text += "" if text.endswith((".", "!", "?", "…")) else "."
    for key, said in [
        ("superclasses", "Superclasses"), ("subclasses", "Subclasses"),
        ("domain_of", "Properties that have it as domain"),
        ("inherits", "Properties it inherits"),
        ("range_of", "Properties that have it as range"),
        ("superproperties", "Superproperties"), ("subproperties", "Subproperties"),
        ("domain", "Domain"), ("range", "Range"), ("inverse", "Inverse"),
    ]:
        if d.get(key):
            text += f" {{said}}: {{names(d[key])}}."
    if d["kind"] == "class" and d.get("instances"):
        text += f" It has {{d.get('instances_with_subclasses') or d['instances']}} instances."
    if d["kind"] == "instance":
        for predicate, values in d["properties"].items():
            text += f" {{labels.get(predicate, predicate)}}: {{names(values)}}."
    return text


answer = {lead!r} + " ".join(tell(iri) for iri in {entities!r})
evidence = {evidence!r}
{submit}"""


def description_cell(query: str, entities: Sequence[str], notes: Notes, lead: str = "") -> str:
    """Write the cell that tells what each of some entities is."""
    return _DESCRIPTION.format(
        query=f'query = """{query}"""\n',
        lead=lead,
        entities=list(entities),
        evidence=list(notes.evidence),
        submit=_submit(notes),
    )


_STATEMENTS = """\
for query in [
{queries}
]:
    check = check_query(query, 1000)
    if check["ok"] and check["rows"]:
        break
print(check)
table = sparql_select(query, 1000) if check["ok"] else {{"rows": []}}
shown = {shown!r}
told = {{}}
for row in table["rows"]:
    label = row.get("label")
    value = f"{{label}} ({{row['value']}})" if label else str(row["value"])
    told[row["subject"]] = told.get(row["subject"], []) + [value]
answer = "; ".join(
    f"{{shown[subject]}}: {{', '.join(values[:{most}])}}"
    + (f" and {{len(values) - {most}}} more" if len(values) > {most} else "")
    for subject, values in told.items()
)
answer = {lead!r} + answer + "." if answer else {none!r}
evidence = {evidence!r} + [
    row["value"] for row in table["rows"] if table["kinds"]["value"] == "iri"
]
{submit}"""


def statements_cell(
    queries: Sequence[str], shown: dict[str, str], lead: str, none: str, notes: Notes
) -> str:
    """Write the cell that tells the ``?value`` of each ``?subject``.

    Args:
        queries: Tried in order; they give ``?subject`` and ``?value``, perhaps ``?label``.
        shown: Each subject, as a reader is told it.
        lead: How the answer begins.
        none: The answer when no query gives a row.
        notes: What is submitted beside the answer.
    """
    return _STATEMENTS.format(
        queries="\n".join(f'    """{query}""",' for query in queries),
        shown=shown,
        most=_MOST_NAMED,
        lead=lead,
        none=none,
        evidence=list(notes.evidence),
        submit=_submit(notes),
    )


def plain_cell(answer: str, notes: Notes) -> str:
    """Write the cell that submits an answer without a query: what was not found or understood."""
    return (
        f'SUBMIT(\n    answer={answer!r},\n    sparql="",\n    evidence=[],\n'
        f"    thinking={notes.thinking!r},\n    reflection={notes.reflection!r},\n)"
    )
