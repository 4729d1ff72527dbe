"""Which classes restrict an entity, and how: restrictions of OWL and shapes of SHACL."""

from __future__ import annotations

from rlm_runtime.errors import QueryError
from rlm_runtime.ontology.labels import values_clause
from rlm_runtime.ontology.owl_text import INNER_OF_ONE, NodeTexts, most_said, several
from rlm_runtime.ontology.protocol import Term
from rlm_runtime.ontology.vocabulary import OWL, RDF, RDFS, SHACL, either
from rlm_runtime.ontology.within import is_writable
from rlm_runtime.tools.describe_kinds import Asked

__all__ = ["restrictions_with"]

_MAX_ROWS = 3_000
_ITEMS = f"<{RDF}rest>*/<{RDF}first>"
_MEMBER = f"({either([OWL + 'intersectionOf', OWL + 'unionOf'])}/{_ITEMS})"
_ALTERNATIVE = f"({either([SHACL + 'or', SHACL + 'and', SHACL + 'xone'])}/{_ITEMS})"
# From a class to its restrictions and shapes, and from these to what they name.
_OWL_PARTS = f"{either([RDFS + 'subClassOf', OWL + 'equivalentClass'])}/{_MEMBER}*"
_OWL_NAMES = (
    f"(<{OWL}onProperty>|<{OWL}hasValue>|"
    f"({either([OWL + n for n in ('someValuesFrom', 'allValuesFrom', 'onClass')])}/{_MEMBER}?))"
)
_SHACL_PARTS = f"(<{SHACL}property>|^<{SHACL}targetClass>)"
_SHACL_NAMES = (
    f"(<{SHACL}path>|<{SHACL}hasValue>|(<{SHACL}in>/{_ITEMS})|({_ALTERNATIVE}?/<{SHACL}class>))"
)
_OFF = f"<{SHACL}deactivated> true"


def restrictions_with(asked: Asked) -> dict[str, str]:
    """Give the first classes whose restrictions or shapes name an entity, and what these say.

    Args:
        asked: About the entity; half its limit of classes is given.

    Returns:
        Prefixed name of the class to text, as in ``ex:part some ex:Wheel, ex:part max 4``; of a
        property without its own name: ``some ex:Wheel, max 4``.
    """
    ontology, this = asked.ontology, asked.this
    path = f"({_OWL_PARTS}/{_OWL_NAMES})|({_SHACL_PARTS}/{_SHACL_NAMES})"
    classes = asked.iris("in_restrictions_of", f"?x {path} {this}", max(1, asked.limit // 2))
    if not classes:
        return {}
    iris = {ontology.expand(name): name for name in classes}
    query = (
        f"SELECT DISTINCT ?x ?r ?s ?p ?o WHERE {{ {values_clause(list(iris))} "
        f"{{ ?x {_OWL_PARTS} ?r . ?r {_OWL_NAMES} {this} }} UNION "
        f"{{ ?x {_SHACL_PARTS} ?r . ?r {_SHACL_NAMES} {this} "
        f"FILTER NOT EXISTS {{ ?x {_OFF} }} FILTER NOT EXISTS {{ ?r {_OFF} }} }} "
        f"?r ({either(INNER_OF_ONE)})* ?s "
        f"FILTER(isBlank(?s) || ?s = ?r || EXISTS {{ ?s <{RDF}first> ?item }}) ?s ?p ?o }}"
    )
    try:
        rows = ontology.select(query, limit=_MAX_ROWS, timeout=asked.aside)
    except QueryError:
        return dict.fromkeys(classes, "could not be read")
    statements: dict[Term, dict[str, list[Term]]] = {}
    found: dict[str, set[Term]] = {name: set() for name in classes}
    for cls, restriction, subject, predicate, value in rows.terms:
        if cls and restriction and subject and predicate and value:
            found[iris[cls.value]].add(restriction)
            values = statements.setdefault(subject, {}).setdefault(predicate.value, [])
            if value not in values:
                values.append(value)
    if rows.truncated:
        asked.cut.setdefault("in_restrictions_of")
    texts = NodeTexts(statements, ontology.compact)
    own = f"{ontology.compact(this[1:-1])} "

    def told(restrictions: set[Term]) -> str:
        each = most_said((texts.shape(r) or texts.text(r)).removeprefix(own) for r in restrictions)
        return several(", ", each, len(each))

    # Of the others, all shapes that name it are deactivated.
    unread = {name for iri, name in iris.items() if rows.truncated or not is_writable(iri)}
    return {
        name: told(restrictions) if restrictions else "could not be read"
        for name, restrictions in found.items()
        if restrictions or name in unread
    }
