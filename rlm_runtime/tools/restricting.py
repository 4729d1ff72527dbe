"""Which classes restrict an entity, and what they allow as values of a property."""

from __future__ import annotations

from rlm_runtime.ontology.labels import values_clause
from rlm_runtime.ontology.vocabulary import OWL, RDF, RDFS, SHACL, either
from rlm_runtime.tools.describe_kinds import Asked
from rlm_runtime.tools.values import cell

__all__ = ["allowed_values"]

_MAX_ROWS = 500
_COMPLEX = "…"
# What says in a word what is allowed, in the order in which it reads.
_WORDS = {
    OWL + "someValuesFrom": "some",
    OWL + "allValuesFrom": "only",
    OWL + "hasValue": "value",
    **{OWL + name: "exactly" for name in ("cardinality", "qualifiedCardinality")},
    **{OWL + name: "min" for name in ("minCardinality", "minQualifiedCardinality")},
    **{OWL + name: "max" for name in ("maxCardinality", "maxQualifiedCardinality")},
    SHACL + "minCount": "min",
    SHACL + "maxCount": "max",
    SHACL + "hasValue": "value",
    **dict.fromkeys((OWL + "onClass", OWL + "onDataRange", SHACL + "class"), ""),
    **dict.fromkeys((SHACL + "datatype", SHACL + "node"), ""),
}
_ITEMS = f"<{RDF}rest>*/<{RDF}first>"
_PARTS = (
    f"({either([RDFS + 'subClassOf', OWL + 'equivalentClass'])}/"
    f"({either([OWL + 'intersectionOf', OWL + 'unionOf'])}/{_ITEMS})*)|<{SHACL}property>"
)


def allowed_values(asked: Asked, classes: list[str]) -> dict[str, str]:
    """Say what some classes allow as values of the property asked about.

    Args:
        asked: About the property; the IRIs found are added to those it named.
        classes: Prefixed names.

    Returns:
        Class to text, as in ``some ex:Wheel, max 4`` or ``ex:Car or ex:Truck``; ``…`` where it is
        not as simple as that.
    """
    ontology = asked.ontology
    iris = {ontology.expand(name): name for name in classes}
    query = (
        f"SELECT ?x ?r ?q ?v ?either WHERE {{ {values_clause(list(iris))} ?x {_PARTS} ?r . "
        f"?r <{OWL}onProperty>|<{SHACL}path> {asked.this} . "
        f"{{ ?r ?q ?v }} UNION {{ ?r <{SHACL}or> ?either . ?either {_ITEMS} ?m . ?m ?q ?v }} "
        f"VALUES ?q {{ {' '.join(f'<{iri}>' for iri in _WORDS)} }} }}"
    )
    # Class to restriction to what it says: a word, or the members of an alternative, to values.
    said: dict[str, dict[str, dict[str, set[str]]]] = {}
    for cls, restriction, word, value, either_of in ontology.select(query, limit=_MAX_ROWS).terms:
        if not (cls and restriction and word and value):
            continue
        if value.kind == "iri":
            asked.named.add(value.value)
        text = _COMPLEX if value.kind == "bnode" else str(cell(ontology, value))
        parts = said.setdefault(iris[cls.value], {}).setdefault(restriction.value, {})
        parts.setdefault(either_of.value if either_of else word.value, set()).add(text)
    return {
        name: ", ".join(sorted({_text(parts) for parts in said.get(name, {}).values()})) or _COMPLEX
        for name in classes
    }


def _text(parts: dict[str, set[str]]) -> str:
    said = [
        f"{word} {value}".strip()
        for predicate, word in _WORDS.items()
        for value in sorted(parts.get(predicate, ()))
    ]
    alternatives = [" or ".join(sorted(each)) for p, each in parts.items() if p not in _WORDS]
    if len(alternatives) > 1:
        alternatives = [f"({each})" for each in sorted(alternatives)]
    return " ".join([*said, *alternatives])
