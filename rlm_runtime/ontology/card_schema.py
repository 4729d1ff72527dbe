"""Write the schema part of a sense card: the class tree, and properties by their domain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

from rlm_runtime.ontology.card_facts import CardFacts, PropertyFacts
from rlm_runtime.ontology.card_lines import CardNames, Detail
from rlm_runtime.ontology.prefixes import namespace_of
from rlm_runtime.ontology.text import local_name
from rlm_runtime.ontology.vocabulary import META, OWL, SHACL, XSD

__all__ = ["SchemaLines"]


class _Group(NamedTuple):
    """Properties of one domain (all classes of it), by range: datatypes and big ones first."""

    domain: tuple[str, ...]
    by_range: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]

    @property
    def size(self) -> int:
        return sum(len(properties) for _, properties in self.by_range)


class SchemaLines:
    """The lines of the schema, at any level of detail."""

    def __init__(self, names: CardNames, facts: CardFacts) -> None:
        self._names = names
        self._facts = facts
        self._children = facts.children

    def tree(self, detail: Detail) -> list[str]:
        """Write the class tree, a line for each parent, from the roots down."""
        facts, names = self._facts, self._names
        shown = self._parents[: detail.branches]
        all_of = "all instances of C: ?x a/rdfs:subClassOf* C"
        hint = all_of if facts.individuals else "parent > children"
        lines = [f"Class tree ({hint})"] if shown else []
        for parent in shown:
            told = [names.full(iri, labels=detail.labels) for iri in sorted(self._children[parent])]
            name = names.full(parent, labels=detail.labels)
            lines.append(f"{name} > {names.listed(told, detail.children)}")
        size = {iri: len(self._children[iri]) for iri in self._parents[len(shown) :]}
        rest = [
            f"{names.compact(iri)} ({size[iri]})"
            for iri in sorted(size, key=lambda iri: (-size[iri], iri))
        ]
        what = "With subclasses not shown here (how many)" if shown else "Classes with subclasses"
        lines += names.line(what, rest, detail.names)
        if facts.anonymous:
            lines.append(
                f"Anonymous superclasses (restrictions): {facts.anonymous:,}"
                + ("; FILTER(isIRI(?super)) skips them" if detail.endings else "")
            )
        alone = [names.full(iri, labels=detail.labels) for iri in self._alone]
        what = "Outside of the tree and without instances" if facts.individuals else "Other classes"
        return lines + names.line(what, alone, detail.names)

    @cached_property
    def _parents(self) -> list[str]:
        return _from_the_roots(self._children, self._facts)

    @cached_property
    def _alone(self) -> list[str]:
        """Classes outside the tree without instances, those of the ontology's own first."""
        facts = self._facts
        alone = [
            iri
            for iri, count in facts.classes.items()
            if not count and iri not in self._children and iri not in facts.supers
        ]
        return sorted(alone, key=lambda iri: (-_own(facts, iri), iri))

    def properties(self, detail: Detail) -> list[str]:
        """Write the properties that no instance uses: by their domain, and annotations."""
        facts, names = self._facts, self._names
        groups, annotations = self._groups
        shown = groups[: detail.groups]
        unused = "Declared but unused properties" if facts.individuals else "Properties"
        shaped = [f"{names.compact(iri)} ({n:,})" for iri, n in facts.shaped.items()]
        what = "Properties in SHACL shapes (how many); describe_entity of a class tells its shapes"
        lines = names.line(what, shaped, detail.names)
        if shown:
            ranges = {2: " (-> range)", 1: " (-> range, of datatypes only)"}.get(detail.ranges, "")
            if detail.ranges == 2 and not detail.endings:
                ranges = " (-> range, unless the name ends in it)"
            if detail.ranges == 2 and detail.ranged < len(shown):
                ranges = f"{ranges[:-1]}; line {detail.ranged + 1} on: of datatypes only)"
            cut = any(group.size > detail.properties for group in shown)
            how = "; describe_entity of a class lists more" if cut else ""
            lines.append(f"{unused} by {self._domain_words()}{ranges}{how}")
        for place, group in enumerate(shown):
            domain = names.either(group.domain) or "(no domain)"
            ranges = detail.ranges if place < detail.ranged else min(detail.ranges, 1)
            lines.append(f"{domain}: {self._group(group, replace(detail, ranges=ranges))}")
        rest = [
            names.compact(iri)
            for group in groups[len(shown) :]
            for _, properties in group.by_range
            for iri in properties
        ]
        what = "More properties (domain and range not shown here)" if shown else unused
        lines += names.line(what, rest, detail.names, '; search_entity(kind="property")')
        lines += self._narrower(detail)
        pairs = [f"{names.compact(a)} - {names.compact(b)}" for a, b in self._inverses]
        lines += names.line("Inverse pairs", pairs, detail.inverses)
        return [*lines, *self._annotations(annotations, detail)]

    def _narrower(self, detail: Detail) -> list[str]:
        """Write which properties are below which, and whether chains of others imply some."""
        names, lines = self._names, []
        shown = self._superproperties if detail.narrower else {}
        parts = []
        for parent, below in shown.items():
            start = self._shared_start(parent, below)
            told = f"the {len(below)} others named {start}…" if start else ""
            listed = names.listed([names.compact(iri) for iri in below], detail.narrower)
            parts.append(f"{names.compact(parent)} > {told or listed}")
        if parts:
            left = len(parts) - detail.narrower
            tree = "; ".join(parts[: detail.narrower])
            hint = "" if self._parents else " (parent > children)"
            lines.append(f"Property tree{hint}: {tree}{f'; {left} more' if left > 0 else ''}")
        chains = self._facts.chains
        if chains and detail.names:
            plural = "y" if len(chains) == 1 else "ies"
            lines.append(
                f"Property chains (owl:propertyChainAxiom): {len(chains):,} propert{plural}"
                + (f", e.g. {names.compact(chains[0])}" if detail.endings else "")
            )
        return lines

    @cached_property
    def _superproperties(self) -> dict[str, list[str]]:
        """Give the properties that have others below them, those with the most first."""
        below: dict[str, list[str]] = {}
        for prop in self._facts.properties.values():
            for parent in prop.supers:
                if parent != prop.iri and not parent.startswith(META):
                    below.setdefault(parent, []).append(prop.iri)
        ranked = sorted(below, key=lambda iri: (-len(below[iri]), iri))
        # Those with others below them first: they are the last to be left out.
        return {iri: sorted(below[iri], key=lambda i: (i not in below, i)) for iri in ranked}

    def _shared_start(self, parent: str, below: Sequence[str]) -> str:
        """Give how the names of a parent and of all its many children start, and of no others."""
        # Whatever lies between the first and the last in order starts as both of them do.
        ends = min(parent, *below), max(parent, *below)
        same = next((i for i, (a, b) in enumerate(zip(*ends, strict=False)) if a != b), 0)
        start = ends[0][:same]
        known = {
            iri
            for iri, prop in self._facts.properties.items()
            if iri.startswith(start) and "annotation" not in prop.sorts
        }
        shared = len(below) > 3 and same > len(namespace_of(start)) + 3
        return self._names.compact(start) if shared and known == {parent, *below} else ""

    def _domain_words(self) -> str:
        terms = [self._names.compact(iri) for iri in self._facts.domain_terms]
        return " or ".join(terms).replace("rdfs:", "") or "domain"

    def _annotations(self, predicates: Sequence[str], detail: Detail) -> list[str]:
        """Write predicates with their counts, those with the same kinds of values together."""
        by_kinds: dict[str, list[str]] = {}
        most = detail.names
        for iri in predicates[:most]:
            kinds = ", ".join(self._facts.annotated.get(iri, ())[:3])
            told = f"{self._names.compact(iri)} ({self._facts.predicates[iri]:,})"
            marks = self._facts.marks.get(iri, {})
            if 0 < len(marks) <= detail.marks:
                values = ", ".join(f'"{text[:24]}" {count:,}' for text, count in marks.items())
                by_kinds[f"{self._names.compact(iri)}: {values}"] = []
                continue
            by_kinds.setdefault(f" -> {kinds}" if kinds else "", []).append(told)
        parts = [f"{', '.join(told)}{kinds}" for kinds, told in by_kinds.items()]
        if len(predicates) > most:
            parts.append(f"{len(predicates) - most} more")
        return [f"Used on classes and properties: {'; '.join(parts)}"] if parts else []

    @cached_property
    def _groups(self) -> tuple[list[_Group], list[str]]:
        """Give the groups of unused properties, the largest first, and the annotations."""
        facts = self._facts
        used = {usage.predicate for usages in facts.usages.values() for usage in usages}
        by_domain: dict[tuple[str, ...], list[PropertyFacts]] = {}
        annotations = []
        for iri in sorted(facts.properties.keys() - used):
            prop = facts.properties[iri]
            if not (prop.domains or prop.ranges) and iri in facts.shaped:
                continue
            if prop.domains or prop.ranges or not facts.predicates.get(iri):
                by_domain.setdefault(tuple(prop.domains), []).append(prop)
            elif facts.predicates[iri] > 2 and not iri.startswith(SHACL):
                annotations.append(iri)
        annotations[:0] = [iri for iri in (OWL + "deprecated",) if iri in facts.predicates]
        groups = [_Group(domain, self._ranges(found)) for domain, found in by_domain.items()]
        groups.sort(key=lambda group: (not group.domain, -group.size, group.domain))
        return groups, annotations

    def _ranges(
        self, properties: Sequence[PropertyFacts]
    ) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]:
        by_range: dict[tuple[str, ...], list[str]] = {}
        for prop in properties:
            by_range.setdefault(tuple(prop.ranges), []).append(prop.iri)
        weight = self._weights
        ranked = sorted(
            by_range.items(),
            key=lambda item: (
                not item[0],
                not _is_datatype(item[0]),
                -max((weight[iri] for iri in item[0]), default=0),
                item[0],
            ),
        )
        return tuple((target, tuple(iris)) for target, iris in ranked)

    @cached_property
    def _weights(self) -> Counter[str]:
        """Count how often a class is a domain or range: what much hangs on is told first."""
        return Counter(c for p in self._facts.properties.values() for c in (*p.domains, *p.ranges))

    @cached_property
    def _inverses(self) -> list[tuple[str, str]]:
        pairs = {
            (min(prop.iri, other), max(prop.iri, other))
            for prop in self._facts.properties.values()
            for other in prop.inverses
            if other != prop.iri
        }
        return sorted(pairs)

    def _group(self, group: _Group, detail: Detail) -> str:
        """Write properties, those with the same range together."""
        parts: list[str] = []
        others: list[str] = []
        ending: list[str] = []
        room = detail.properties
        for target, properties in group.by_range:
            shown = [self._names.full(iri, labels=detail.labels) for iri in properties[:room]]
            room -= len(shown)
            if not shown:
                break
            told = ", ".join(shown)
            if detail.ranges == 2 and not detail.endings and _ends_names(target, properties):
                ending += shown
            elif detail.ranges == 2 or (detail.ranges and _is_datatype(target)):
                told = f"{told} -> {self._names.either(target)}" if target else f"no range: {told}"
                parts.append(told)
            else:
                others.append(told)
        parts += [", ".join([*ending, *others])] if ending or others else []
        if group.size > detail.properties:
            parts.append(f"{group.size - detail.properties} more")
        return "; ".join(parts)


def _is_datatype(target: tuple[str, ...]) -> bool:
    return any(iri.startswith(XSD) for iri in target)


def _ends_names(target: tuple[str, ...], properties: Sequence[str]) -> bool:
    """Say whether the name of a class is the end of the names of all properties with this range."""
    name = local_name(target[0]).lower() if len(target) == 1 and not _is_datatype(target) else ""
    return bool(name) and all(local_name(iri).lower().endswith(name) for iri in properties)


def _own(facts: CardFacts, iri: str) -> int:
    """Count the subjects in the namespace of an IRI: foreign names come last."""
    return facts.namespaces.get(namespace_of(iri), 0)


def _from_the_roots(children: dict[str, list[str]], facts: CardFacts) -> list[str]:
    """Order the parents level by level, own ones and large families of a level first."""
    order: dict[str, None] = {}
    level = [iri for iri in children if iri not in facts.supers]
    # Classes that are only in a circle have no root.
    level = level or sorted(children)[:1]
    while level:
        level.sort(key=lambda iri: (-_own(facts, iri), -len(children[iri]), iri))
        order.update(dict.fromkeys(level))
        below = {child for iri in level for child in children[iri]}
        level = [iri for iri in below if iri in children and iri not in order]
    order.update(dict.fromkeys(sorted(set(children) - set(order))))
    return list(order)
