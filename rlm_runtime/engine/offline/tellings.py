"""Cells that tell what things are and what is stated of them; see ``cells`` for lists."""

from __future__ import annotations

from collections.abc import Sequence

from rlm_runtime.engine.offline.cells import MOST_NAMED, Notes, quoted, submission

__all__ = ["description_cell", "statements_cell"]

_DESCRIPTION = """\
query = {query}
check = check_query(query)
if not check["ok"]:
    raise RuntimeError(check["error"])
print(check)
facts = sparql_select(query, 200)["rows"]


def whole(iri, predicate, text):
    start, cut, rest = text.partition("… [+")
    length = len(start) + int(rest.split()[0]) if cut else 0
    for at in (301, 601):
        part = (
            f"SELECT (SUBSTR(STR(?t), 1, 300) AS ?start) (SUBSTR(STR(?t), {{at}}, 300) AS ?part) "
            f"WHERE {{{{ {{iri}} {{predicate}} ?t FILTER(STRLEN(STR(?t)) = {{length}}) }}}}"
        )
        rows = sparql_select(part)["rows"] if len(text) > 300 and at <= length else []
        text = start if at == 301 else text
        text += "".join([row["part"] for row in rows if row["start"] == start][:1])
    return text + ("…" if len(text) < length else "")


def tell(iri):
    d = describe_entity(iri, 60)
    labels = d["labels"]

    def names(values):
        shown = [f"{{labels[v]}} ({{v}})" if v in labels else str(v) for v in values]
        return ", ".join(shown[:8] + ([f"and {{len(shown) - 8}} more"] if shown[8:] else []))

    own = [row for row in facts if row["entity"] == iri]
    texts = [(p, row["value"]) for p in {texts!r} for row in own if row["predicate"] == p]
    types = [t for t in d.get("types", []) if t != "owl:NamedIndividual"]
    kind = "mentioned" if d["kind"] not in {kinds!r} else {kinds!r}[d["kind"]]
    of = " of " + names(types) if d["kind"] == "instance" and types else ""
    text = (f"{{d['label']}} ({{iri}})" if d.get("label") else iri) + f" is {{kind}}{{of}}"
    text += f": {{whole(iri, texts[0][0], texts[0][1]).strip()}}" if texts else ""
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
        submit=submission(notes),
    )


_STATEMENTS = """\
options = [
{options}
]
for query, relation in options:
    check = check_query(query, 1000)
    if not check["ok"]:
        raise RuntimeError(check["error"])
    if check["rows"]:
        break
print(check)
table = sparql_select(query, 1000)
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
        most=MOST_NAMED,
        none=none,
        evidence=list(notes.evidence),
        submit=submission(notes),
    )
