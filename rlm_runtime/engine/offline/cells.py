"""The offline explorer's answering cells: Python that asks, checks, words the answer, SUBMITs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlm_runtime.engine.offline.queries import Listing, Vocabulary

__all__ = [
    "BELOW",
    "BY_NAMESPACE",
    "EXPECTED",
    "Notes",
    "ask_cell",
    "description_cell",
    "listing_cell",
    "plain_cell",
    "quoted",
    "statements_cell",
]

_MOST_NAMED = 40
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
    verification="check_query: " + (f"ok, {{check['total']}} rows. " + " ".join(check["warnings"]) \
if check["ok"] else check["error"]),
    reflection={reflection!r},
)"""


def quoted(query: str) -> str:
    """Give the Python literal of a query, over several lines where that keeps it as it is.

    Example:
        >>> len(quoted("ASK {}"))
        12
    """
    return repr(query) if "\\" in query or '"""' in query else f'"""{query}"""'


def _submit(notes: Notes) -> str:
    remark = f" + {' ' + notes.remark!r}" if notes.remark else ""
    return _SUBMIT.format(remark=remark, thinking=notes.thinking, reflection=notes.reflection)


_LISTING = """\
options = [
{alternatives}
]
# When no option gives rows, the first tells what there is none of.
for {names}, lead, one, many, by, heading, own in options + options[:1]:
    check = check_query(query, 1000)
    if check["ok"] and check["rows"]{holds}:
        break
print(check)
table = sparql_select({names_query}, 1000) if check["ok"] else {{"rows": [], "truncated": False}}
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
number = {{0: "no", 1: "one"}}.get(count, count)
answer = f"{{lead}} {{number}} {{one if count == 1 else many}}"
answer += ": " + "; ".join(parts) + "." if parts else " in this ontology."
{further}evidence = {evidence!r} + [row["entity"] for row in table["rows"]]
{submit}"""

BELOW = """\
below = sparql_select({query})["rows"][0]["count"]
if below > count:
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
        count='check["rows"][0]["count"] if check["ok"] else 0'
        if count
        else 'check.get("total") if table["truncated"] else len({row["entity"] for row in '
        'table["rows"]})',
        most=_MOST_COUNTED if count else _MOST_NAMED,
        further=further,
        evidence=list(notes.evidence),
        submit=_submit(notes),
    )


_ASK = """\
query = {query}
check = check_query(query)
print(check)
holds = check["ok"] and check["rows"][0]["ask"]
answer = {yes!r} if holds else {no!r}
evidence = {evidence!r}
{submit}"""


def ask_cell(query: str, yes: str, no: str, notes: Notes) -> str:
    """Write the cell that answers yes or no from an ASK query."""
    return _ASK.format(
        query=quoted(query), yes=yes, no=no, evidence=list(notes.evidence), submit=_submit(notes)
    )


_DESCRIPTION = """\
query = {query}
check = check_query(query)
print(check)
facts = sparql_select(query, 200)["rows"]


def whole(iri, predicate, text):
    head, cut, rest = text.partition("… [+")
    length = 300 + int(rest.split()[0]) if cut else 0
    for start in (301, 601):
        if start <= length:
            part = (
                f"SELECT (SUBSTR(STR(?t), {{start}}, 300) AS ?part) "
                f"WHERE {{{{ {{iri}} {{predicate}} ?t FILTER(STRLEN(STR(?t)) = {{length}}) }}}}"
            )
            head += sparql_select(part)["rows"][0]["part"]
    return head + ("…" if length > 900 else "")


def tell(iri):
    d = describe_entity(iri, 60)
    labels = d["labels"]

    def names(values):
        shown = [f"{{labels[v]}} ({{v}})" if v in labels else str(v) for v in values]
        return ", ".join(shown[:8] + ([f"and {{len(shown) - 8}} more"] if shown[8:] else []))

    own = [row for row in facts if row["entity"] == iri]
    texts = [whole(iri, p, row["value"]) for p in {texts!r} for row in own if row["predicate"] == p]
    types = [t for t in d.get("types", []) if t != "owl:NamedIndividual"]
    kind = "mentioned" if d["kind"] not in {kinds!r} else {kinds!r}[d["kind"]]
    of = " of " + names(types) if d["kind"] == "instance" and types else ""
    text = f"{{d.get('label') or iri}} ({{iri}}) is {{kind}}{{of}}"
    text += f": {{texts[0].strip()}}" if texts else ""
    text += "" if text[-1] in ".!?…" else "."
    for key, said in {facts!r}.items():
        if d.get(key):
            text += f" {{said}}: {{names(d[key])}}."
    if d["kind"] == "class" and d.get("instances"):
        text += f" Instances: {{d.get('instances_with_subclasses') or d['instances']}}."
    if d["kind"] == "instance":
        for predicate, values in d["properties"].items():
            if predicate not in {texts!r}:
                text += f" {{labels.get(predicate, predicate)}}: {{names(values)}}."
    return text


answer = {lead!r} + " ".join(tell(iri) for iri in {entities!r})
evidence = {evidence!r}
{submit}"""

_KINDS = {"class": "a class", "property": "a property", "instance": "an instance"}
_FACTS = {
    "superclasses": "Superclasses",
    "subclasses": "Subclasses",
    "superproperties": "Superproperties",
    "subproperties": "Subproperties",
    "domain": "Domain",
    "range": "Range",
    "inverse": "Inverse",
    "domain_of": "Properties with this domain",
    "inherits": "Inherited properties",
    "range_of": "Properties with this range",
}


def description_cell(
    query: str, entities: Sequence[str], texts: Sequence[str], notes: Notes, lead: str = ""
) -> str:
    """Write the cell that tells what each of some entities is.

    Args:
        query: Gives ``?entity``, ``?predicate`` and ``?value``.
        entities: What to tell of.
        texts: Predicates of definitions, the best first.
        notes: What is submitted beside the answer.
        lead: How the answer begins.
    """
    return _DESCRIPTION.format(
        query=quoted(query),
        kinds=_KINDS,
        facts=_FACTS,
        texts=list(texts),
        lead=lead,
        entities=list(entities),
        evidence=list(notes.evidence),
        submit=_submit(notes),
    )


_STATEMENTS = """\
options = [
{options}
]
for query, relation in options:
    check = check_query(query, 1000)
    if check["ok"] and check["rows"]:
        break
print(check)
table = sparql_select(query, 1000) if check["ok"] else {{"rows": [], "kinds": {{}}}}
shown = {shown!r}
told = {{}}
for row in table["rows"]:
    label = row.get("label")
    value = f"{{label}} ({{row['value']}})" if label else str(row["value"])
    told[row["subject"]] = told.get(row["subject"], []) + [value]
parts = []
for subject, values in told.items():
    more = [f"and {{len(values) - {most}}} more"] if len(values) > {most} else []
    values = ", ".join(values[:{most}] + more)
    said = relation.replace("{{subject}}", shown.get(subject, subject))
    parts.append(said.replace("{{values}}", values))
answer = "; ".join(parts)
answer += "" if answer[-1:] in (".", "!", "?") else "."
answer = answer if parts else {none!r}
evidence = {evidence!r}
for column, kind in table["kinds"].items():
    evidence += [row[column] for row in table["rows"] if kind == "iri" and row[column]]
{submit}"""


def statements_cell(
    options: Sequence[tuple[str, str]], shown: dict[str, str], none: str, notes: Notes
) -> str:
    """Write the cell that tells the ``?value`` of each ``?subject``.

    Args:
        options: Queries, tried in order, that give ``?subject`` and ``?value``, perhaps
            ``?label``; each with a sentence that has room for ``{values}`` and ``{subject}``.
        shown: Each subject, as a reader is told it.
        none: The answer when no query gives a row.
        notes: What is submitted beside the answer.
    """
    return _STATEMENTS.format(
        options="\n".join(f"    ({quoted(query)}, {said!r})," for query, said in options),
        shown=shown,
        most=_MOST_NAMED,
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
