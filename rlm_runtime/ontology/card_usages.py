"""Gather by queries how predicates are really used: by instances, and on the schema itself."""

from __future__ import annotations

from collections.abc import Sequence

from rlm_runtime.ontology.card_facts import Asker, Usage, whole
from rlm_runtime.ontology.labels import values_clause
from rlm_runtime.ontology.protocol import Ontology, Term
from rlm_runtime.ontology.terms import kind_of
from rlm_runtime.ontology.text import local_name
from rlm_runtime.ontology.vocabulary import META, NAME_PREDICATES, OWL, RDF, RDFS

__all__ = ["gather_usages"]

_MAX_CLASSES = 40
_MAX_VALUE_LISTS = 24
_MAX_ANNOTATIONS = 20
_FEW_VALUES = 12
_FEW_INSTANCES = 12
_FEW_MARKS = 8
_MAX_TREES = 3
_MAX_TREE = 30
_MAX_SAMPLED = 15
_SOME_INSTANCES = 100


def gather_usages(asker: Asker) -> None:
    """Add to the facts what instances, subjects without a class, and the schema itself use."""
    facts = asker.facts
    # In a vocabulary, a class with one instance tells of the vocabulary itself.
    least = 1 if facts.is_data else 2
    counted = [iri for iri, count in facts.classes.items() if count >= least][:_MAX_CLASSES]
    if facts.least is not None:
        _of_some_instances(asker, counted[:_MAX_SAMPLED])
        return
    _of_classes(asker, counted, f"{values_clause(counted)} ?s a ?x ; ?p ?o")
    _untyped(asker)
    _value_lists(asker)
    _trees(asker)
    _annotations(asker)


def _of_some_instances(asker: Asker, classes: Sequence[str]) -> None:
    """Look at the first instances of each class, where there are too many."""
    some = " UNION ".join(
        f"{{ SELECT (<{iri}> AS ?x) ?s WHERE {{ ?s a <{iri}> }} LIMIT {_SOME_INSTANCES} }}"
        for iri in classes
    )
    asker.facts.looked_at = {iri: min(asker.facts.classes[iri], _SOME_INSTANCES) for iri in classes}
    _of_classes(asker, classes, f"{{ SELECT ?x ?s WHERE {{ {some} }} }} ?s ?p ?o")


def _of_classes(asker: Asker, classes: Sequence[str], instances: str) -> None:
    """Tell the usages of some classes; the pattern has their instances as ?s with ?x, ?p, ?o."""
    if not classes:
        return
    which = f"{instances} FILTER(?p != <{RDF}type>)"
    _usages(asker, "?x", which)
    kinds = {usage.kind for usages in asker.facts.usages.values() for usage in usages}
    if "bnode" in kinds:
        inside = "?o ?q ?v FILTER(isBlank(?o)) FILTER NOT EXISTS { ?o a ?any }"
        for cls, predicate, inner, _ in asker.ask(
            "what is in blank nodes",
            f"SELECT ?x ?p ?q (COUNT(*) AS ?n) WHERE {{ {which} {inside} }} GROUP BY ?x ?p ?q "
            "ORDER BY ?x ?p DESC(?n) ?q",
        ):
            if cls and predicate and inner:
                for usage in _of(asker, cls.value, predicate.value, "bnode"):
                    usage.inside.append(inner.value)
    if kinds & {"iri", "bnode"}:
        for cls, predicate, target, _ in asker.ask(
            "what links point to",
            f"SELECT ?x ?p ?d (COUNT(*) AS ?n) WHERE {{ {which} ?o a ?d }} GROUP BY ?x ?p ?d "
            "ORDER BY ?x ?p DESC(?n) ?d",
        ):
            if cls and predicate and target and target.value != OWL + "NamedIndividual":
                for usage in _of(asker, cls.value, predicate.value, "iri", "bnode"):
                    usage.targets.append(target.value)


def _of(asker: Asker, cls: str, predicate: str, *kinds: str) -> list[Usage]:
    usages = asker.facts.usages.get(cls, ())
    return [u for u in usages if u.predicate == predicate and u.kind in kinds]


def _untyped(asker: Asker) -> None:
    schema = "|".join(
        f"<{RDFS}{name}>" for name in ("domain", "range", "subClassOf", "subPropertyOf")
    )
    bare = f"MINUS {{ ?s a|{schema} ?any }}"
    query = (
        "SELECT (COUNT(*) AS ?n) WHERE { { SELECT DISTINCT ?s WHERE { ?s ?p ?o "
        f"FILTER(isIRI(?s)) }} }} {bare} }}"
    )
    asker.facts.untyped = asker.number("subjects without a class", query) or 0
    if asker.facts.untyped:
        _usages(asker, '""', f"?s ?p ?o FILTER(isIRI(?s)) {bare}")


def _usages(asker: Asker, cls: str, which: str) -> None:
    for row in asker.ask(
        "predicates of each class",
        f"SELECT ?c ?p ?type ?lang (COUNT(*) AS ?n) (COUNT(DISTINCT ?s) AS ?have) "
        f"(COUNT(DISTINCT ?o) AS ?values) (MIN(?o) AS ?low) (MAX(?o) AS ?high) "
        f"WHERE {{ {which} BIND({cls} AS ?c) "
        'BIND(IF(isLiteral(?o), STR(DATATYPE(?o)), IF(isIRI(?o), "iri", "bnode")) AS ?type) '
        'BIND(IF(isLiteral(?o), LCASE(LANG(?o)), "") AS ?lang) } '
        "GROUP BY ?c ?p ?type ?lang ORDER BY ?c DESC(?have) ?p DESC(?n)",
    ):
        c, predicate, sort, language, n, have, values, low, high = row
        if not (predicate and sort and n and have and values):
            continue
        known = {"iri": Term("", "iri"), "bnode": Term("", "bnode")}.get(sort.value)
        # The kind of a literal needs a value: the integer types count as one kind.
        like = known or low or Term("", "literal", sort.value, language.value if language else "")
        usage = Usage(
            predicate.value,
            kind_of(like, asker.ontology.compact),
            whole(n),
            whole(have),
            whole(values),
            low,
            high,
        )
        asker.facts.usages.setdefault(c.value if c else "", []).append(usage)


def _value_lists(asker: Asker) -> None:
    """List few texts that repeat, as of a status, and the names of the few of a class."""
    few = [
        (cls, usage)
        for cls, usages in asker.facts.usages.items()
        for usage in usages
        if usage.kind.startswith("string") and (_repeats(usage) or _names_few(usage))
    ][:_MAX_VALUE_LISTS]
    for typed in (True, False):
        asked = {(c, u.predicate, u.kind): u for c, u in few if bool(c) == typed}
        if not asked:
            continue
        which = " ".join(
            f'({f"<{cls}> " if typed else ""}<{predicate}> "{kind.partition("@")[2]}")'
            for cls, predicate, kind in asked
        )
        names, pattern = ("?x ?p ?lang", "?s a ?x ; ?p ?v") if typed else ("?p ?lang", "?s ?p ?v")
        for row in asker.ask(
            "the values of some predicates",
            f"SELECT {names} ?v (MIN(STR(?s)) AS ?first) (COUNT(DISTINCT ?s) AS ?n) "
            f"WHERE {{ VALUES ({names}) {{ {which} }} {pattern} FILTER(isLiteral(?v) && "
            f"LCASE(LANG(?v)) = ?lang) }} GROUP BY {names} ?v ORDER BY {names} ?v",
        ):
            cls, predicate, value, first, count = row[0], row[-5], row[-3], row[-2], row[-1]
            if predicate and value:
                key = (
                    cls.value if typed and cls else "",
                    predicate.value,
                    kind_of(value, asker.ontology.compact),
                )
                if key in asked:
                    asked[key].listed.append(value)
                    if first and count and count.value == "1" and _names_few(asked[key]):
                        asked[key].named[value.value] = first.value


def _repeats(usage: Usage) -> bool:
    return usage.values <= _FEW_VALUES and usage.statements > usage.values


def _names_few(usage: Usage) -> bool:
    foreign = "@" in usage.kind and not usage.kind.startswith("string@en")
    return usage.predicate in NAME_PREDICATES and usage.statements <= _FEW_INSTANCES and not foreign


def _trees(asker: Asker) -> None:
    """Read the links among the few instances of a class, as of categories to wider ones."""
    facts = asker.facts
    inner = [
        (cls, usage)
        for cls, usages in facts.usages.items()
        for usage in usages
        if usage.targets == [cls] and usage.statements <= _MAX_TREE
    ][:_MAX_TREES]
    for cls, usage in inner:
        pairs = [
            (a.value, b.value)
            for a, b in asker.ask(
                "links within a class",
                f"SELECT DISTINCT ?a ?b WHERE {{ ?a a <{cls}> ; <{usage.predicate}> ?b "
                f"FILTER(isIRI(?a) && isIRI(?b)) }} ORDER BY ?a ?b",
            )
            if a and b
        ]
        # Several things have the same parent: a side with fewer of them is the parents'.
        if usage.values > usage.subjects:
            pairs = [(b, a) for a, b in pairs]
        parents = dict(pairs)
        if len(parents) < len(pairs) or not _has_roots(parents):
            continue
        called = asker.labels([iri for pair in pairs for iri in pair])
        for child, parent in sorted(pairs, key=lambda pair: (pair[1] in parents, pair[::-1])):
            name, below = (called.get(iri) or local_name(iri) for iri in (parent, child))
            usage.tree.setdefault(name, []).append(below)


def _has_roots(parents: dict[str, str]) -> bool:
    """Say whether going up from anywhere comes to an end."""
    for start in parents:
        at, seen = start, set[str]()
        while at in parents and at not in seen:
            seen.add(at)
            at = parents[at]
        if at in seen:
            return False
    return bool(parents)


def _annotations(asker: Asker) -> None:
    """Tell what those predicates point to that only classes and properties have."""
    facts = asker.facts
    used = {usage.predicate for usages in facts.usages.values() for usage in usages}
    free = [
        iri
        for iri, count in facts.predicates.items()
        if count > 2 and iri not in used and not iri.startswith(META)
    ][:_MAX_ANNOTATIONS]
    if not free:
        return
    few: list[str] = []
    for predicate, sort, count, values in asker.ask(
        "what annotations point to",
        f"SELECT ?x ?k (COUNT(*) AS ?n) (COUNT(DISTINCT ?o) AS ?values) "
        f"WHERE {{ {values_clause(free)} ?s ?x ?o "
        'OPTIONAL { ?o a ?t } BIND(IF(isLiteral(?o), "text", IF(BOUND(?t), STR(?t), '
        '"iri")) AS ?k) } GROUP BY ?x ?k ORDER BY ?x DESC(?n) ?k',
    ):
        if predicate and sort:
            found = facts.annotated.setdefault(predicate.value, [])
            name = _kind_name(asker.ontology, sort.value)
            if name and name not in found:
                found.append(name)
            if name == "text" and count and values:
                repeats = whole(count) >= 3 * whole(values)
                few += [predicate.value] if repeats and whole(values) <= _FEW_MARKS else []
    if few:
        for predicate, text, count in asker.ask(
            "the texts of some annotations",
            f"SELECT ?x ?o (COUNT(*) AS ?n) WHERE {{ {values_clause(few)} ?s ?x ?o "
            "FILTER(isLiteral(?o)) } GROUP BY ?x ?o ORDER BY ?x DESC(?n) ?o",
        ):
            if predicate and text and count:
                facts.marks.setdefault(predicate.value, {})[text.value] = whole(count)


def _kind_name(ontology: Ontology, sort: str) -> str:
    if sort.startswith(META):
        named = {"Class": "class", "Property": "property"}
        return next((name for end, name in named.items() if sort.endswith(end)), "")
    return sort if sort in ("text", "iri") else ontology.compact(sort)
