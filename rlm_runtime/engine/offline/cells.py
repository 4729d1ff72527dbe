"""The offline explorer's answering cells: Python that asks, checks, words the answer, SUBMITs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Template

from rlm_runtime.engine.offline.vocabulary import Vocabulary, in_english
from rlm_runtime.engine.offline.wording import fstring, items, literal, query_literal

__all__ = ["MOST_IN_A_FACT", "Listing", "Notes", "Plan", "ask_cell", "count_cell"]
__all__ += ["definition_cell", "list_cell", "plain_cell", "statements_cell", "values_cell"]

Plan = tuple[str, str]
"""Reasoning and cell."""

MOST_IN_A_FACT = 8
"""How many values of a field are told behind a definition."""


@dataclass(frozen=True)
class Notes:
    """What is submitted beside the answer.

    Attributes:
        thinking: How the question was understood.
        evidence: Prefixed names of what the question is about.
        reflection: What remains uncertain.
        remark: A sentence to put behind the answer, or "".
    """

    thinking: str
    evidence: Sequence[str] = ()
    reflection: str = "Read by fixed rules."
    remark: str = ""


@dataclass(frozen=True)
class Listing:
    """A pattern whose ``?entity`` are the answer, and how to speak of them.

    Attributes:
        pattern: The body of the query.
        lead: The sentence up to the number, as in "Agent (ex:Agent) has".
        one: What is listed, in the singular.
        many: The same in the plural.
        by: Further variables of the pattern to tell with each entity, or "".
        told: How they are told: text behind the entity, with ``r`` as the row.
    """

    pattern: str
    lead: str
    one: str
    many: str
    by: str = ""
    told: str = ""


_CELL = Template("""\
q = $query
c = check_query(q)
print(c)
rows = c["rows"]
${body}SUBMIT(
    answer=answer,
    sparql=q,
    evidence=$evidence,
    thinking=$thinking,
    verification=f"check_query: ok, rows: {c['total']}, warnings: {len(c['warnings'])}.",
    reflection=$reflection,
)""")
_LIST = Template("""\
names = [$name for r in rows]
n = (c["total"] or "over 10000") if rows else "no"
noun = $one if n == 1 else $many
$sentence
answer += ": " + ", ".join(names) + (", …" if c["truncated"] else ".") if names else "."
""")
_COUNT = Template("""\
n = rows[0]["count"] or "no"
where = q.partition("WHERE")[2]
some = sparql_select(f"SELECT DISTINCT ?entity {where} ORDER BY ?entity", 10)
names = [r["entity"] for r in some["rows"]]
noun = $one if n == 1 else $many
$sentence
end = ", …" if some["truncated"] else "."
answer += ": " + ", ".join(names) + end if names else "."
""")
_STATEMENTS = Template("""\
facts = {}
for r in rows:
    value = f"{r['label']} ({r['value']})" if r["label"] else str(r["value"])
    facts.setdefault($key, []).append(value)
lines = [f"{about}: {', '.join(values)}" for about, values in facts.items()]
answer = $lead
answer += "\\n" + "\\n".join(lines) + ("\\n…" if c["truncated"] else "")
""")
_VALUES = Template("""\
values = [f"{r['label']} ({r['value']})" if r["label"] else str(r["value"]) for r in rows]
answer = $lead
answer += ", ".join(values) + (", …" if c["truncated"] else ".")
if not rows:
    answer = $none
""")
_ASK = Template("""\
claim = $claim
yes = rows[0]["ask"]
answer = f"Yes: {claim}." if yes else f"No: this ontology does not say that {claim}."
""")


def _cell(query: str, body: str, notes: Notes, found: str = "[]") -> Plan:
    """Put a cell together; ``found`` is an expression of evidence beside that of the notes."""
    evidence = [items(notes.evidence, 13), found]
    evidence = [part for part in evidence if part != "[]"] or ["[]"]
    if notes.remark:
        remark = literal(f"\n{notes.remark}", "answer += ")
        body += f"answer += {remark}\n"
    return f"{notes.thinking} I query, check and submit.", _CELL.substitute(
        query=query_literal(query),
        body=body,
        evidence=(" + " if sum(map(len, evidence)) < 72 else "\n    + ").join(evidence),
        thinking=literal(notes.thinking, "    thinking=", ","),
        reflection=literal(notes.reflection, "    reflection=", ","),
    )


def _labelled(variables: str, pattern: str, v: Vocabulary) -> str:
    """Give the query for some variables, with a label of ``?entity`` or else of ``?value``."""
    named = "?entity" if variables.startswith("?entity") else "?value"
    return (
        f"SELECT {variables} (MIN(STR(?name)) AS ?label) WHERE {{\n  {pattern}\n"
        f"  OPTIONAL {{ {named} {v.labels} ?name FILTER({in_english('name')}) }}\n"
        f"}} GROUP BY {variables} ORDER BY {variables}"
    )


def list_cell(listing: Listing, v: Vocabulary, notes: Notes) -> Plan:
    """Write the cell that lists entities."""
    if listing.by:
        name = f"f\"{{r['entity']}} {listing.told}\""
        columns = f"?entity {listing.by}"
        query = f"SELECT DISTINCT {columns} WHERE {{\n  {_iris(listing)}\n}} ORDER BY {columns}"
    else:
        name = """f"{r['label']} ({r['entity']})" if r["label"] else r["entity"]"""
        query = _labelled("?entity", _iris(listing), v)
    body = _LIST.substitute(_words(listing), name=name)
    return _cell(query, body, notes, '[r["entity"] for r in rows[:15]]')


def count_cell(listing: Listing, notes: Notes) -> Plan:
    """Write the cell that counts entities and names some of them."""
    query = f"SELECT (COUNT(DISTINCT ?entity) AS ?count) WHERE {{\n  {_iris(listing)}\n}}"
    found = '[r["entity"] for r in some["rows"]]'
    return _cell(query, _COUNT.substitute(_words(listing)), notes, found)


def _iris(listing: Listing) -> str:
    return f"{listing.pattern} FILTER(isIRI(?entity))"


def _words(listing: Listing) -> dict[str, str]:
    sentence = f"answer = {fstring(listing.lead, ' {n} {noun}')}"
    if len(sentence) > 88:
        sentence = f'answer = {literal(listing.lead)}\nanswer += f" {{n}} {{noun}}"'
    return {"one": literal(listing.one), "many": literal(listing.many), "sentence": sentence}


def definition_cell(
    told: Mapping[str, str], facts: Mapping[str, str], v: Vocabulary, notes: Notes
) -> Plan:
    """Write the cell that tells what each of some entities is.

    ``told`` has the words before each one's definition, as in "Agent (ex:Agent) is a class: ";
    ``facts`` those before the values of some fields of the first one's description.
    """
    texts = "\n".join(
        f"  OPTIONAL {{ ?entity {path} ?{variable} FILTER({in_english(variable)}) }}"
        for variable, paths in (("label", [v.labels]), ("definition", v.texts))
        for path in paths
    )
    query = (
        "SELECT ?entity ?label ?definition WHERE {\n"
        f"  VALUES ?entity {{ {' '.join(told)} }}\n{texts}\n}}"
    )
    alone = 'text = rows[0]["definition"] or "no definition."\n'
    each = 'text = {r["entity"]: r["definition"] or "no definition." for r in rows}\n'
    body, before, gap = alone if len(told) == 1 else each, "answer = ", ""
    for iri, words in told.items():
        after = " + text" if len(told) == 1 else f" + text[{literal(iri)}]"
        body += f"{before}{literal(gap + words, before, after)}{after}\n"
        before, gap = "answer += ", "\n"
    if facts:
        body += f"d = describe_entity({literal(next(iter(told)))})\n"
    for key, said in facts.items():
        body += f'answer += "\\n{said}: " + ", ".join(d["{key}"][:{MOST_IN_A_FACT}]) + "."\n'
    return _cell(query, body, notes)


def statements_cell(pattern: str, lead: str, key: str, v: Vocabulary, notes: Notes) -> Plan:
    """Write the cell that tells what is stated of each ``?subject`` of a pattern.

    ``key`` is the expression, with ``r`` as the row, of what stands before the values.
    """
    pattern += f"\n  ?subject ?property ?value\n  FILTER(isIRI(?value) || {in_english('value')})"
    body = _STATEMENTS.substitute(key=key, lead=literal(lead, "answer = "))
    return _cell(_labelled("?subject ?property ?value", pattern, v), body, notes)


def values_cell(pattern: str, lead: str, none: str, v: Vocabulary, notes: Notes) -> Plan:
    """Write the cell that tells the ``?value`` of a pattern, or ``none``."""
    body = _VALUES.substitute(lead=literal(lead, "answer = "), none=literal(none, "    answer = "))
    found = '[r["value"] for r in rows[:15] if r["label"]]'
    return _cell(_labelled("?value", pattern, v), body, notes, found)


def ask_cell(pattern: str, claim: str, notes: Notes) -> Plan:
    """Write the cell that answers whether a claim holds, which a pattern states."""
    body = _ASK.substitute(claim=literal(claim, "claim = "))
    return _cell(f"ASK {{\n  {pattern}\n}}", body, notes)


def plain_cell(answer: str, notes: Notes) -> Plan:
    """Write the cell that submits an answer without a query: what was not found or understood."""
    fields = {"answer": answer, "thinking": notes.thinking, "reflection": notes.reflection}
    fields["verification"] = "There was nothing to check."
    lines = [f"    {name}={literal(text, f'    {name}=', ',')},\n" for name, text in fields.items()]
    return notes.thinking, f'SUBMIT(\n{"".join(lines)}    sparql="",\n    evidence=[],\n)'
