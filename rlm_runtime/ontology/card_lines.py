"""Write the facts of a sense card as lines, in as much detail as there is room for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from rlm_runtime.ontology.card_facts import CardFacts, PropertyFacts, Usage
from rlm_runtime.ontology.protocol import Ontology, Term
from rlm_runtime.ontology.terms import in_sparql

__all__ = ["Detail", "card_lines"]

_USUAL = ("rdf", "rdfs", "owl", "xsd", "skos")
_ORDERED = frozenset({"integer", "decimal", "double", "float", "date", "dateTime", "gYear", "time"})
_MAX_TARGETS = 3


@dataclass(frozen=True)
class Detail:
    """How much of everything a card shows.

    Attributes:
        classes: Lines of classes with their predicates, and of domains with their properties.
        predicates: Predicates, properties or subclasses in one line.
        example: Characters of an example text; 0 for no examples.
        comment: Characters of the ontology's description.
        branches: Lines of the class tree.
        names: Names in a line of what is only named.
        prefixes: Prefixes with their namespaces.
        queries: Queries.
    """

    classes: int
    predicates: int
    example: int
    comment: int
    branches: int
    names: int
    prefixes: int
    queries: int


def card_lines(
    ontology: Ontology, facts: CardFacts, queries: Sequence[str], detail: Detail
) -> list[str]:
    """Write the whole card.

    Args:
        ontology: Gives its name and the prefixed names.
        facts: What to say.
        queries: Queries that are known to run and to find something.
        detail: How much of it to say.
    """
    card = _Card(ontology, facts, detail)
    lines = [*card.head(), *card.used(), *card.tree(), *card.declared()]
    if queries[: detail.queries]:
        lines += ["Queries that run as they are:", *queries[: detail.queries]]
    if facts.missing:
        lines.append(f"Not found out: {', '.join(dict.fromkeys(facts.missing))}.")
    return lines


class _Card:
    """The lines of one card at one level of detail."""

    def __init__(self, ontology: Ontology, facts: CardFacts, detail: Detail) -> None:
        self._ontology = ontology
        self._compact = ontology.compact
        self._facts = facts
        self._detail = detail

    def head(self) -> list[str]:
        facts = self._facts
        comment, room = facts.comment, self._detail.comment
        if len(comment) > room:
            comment = f"{comment[:room].rsplit(' ', 1)[0]} …" if room else ""
        about = ". ".join(text.rstrip(".") for text in (facts.title, comment) if text) or "no title"
        sort = " and ".join(facts.declared) or "RDF without a declared schema"
        triples = "uncounted" if facts.triples is None else f"{facts.triples:,}"
        instances = "uncounted" if facts.individuals is None else f"{facts.individuals:,}"
        instances = "no" if instances == "0" else instances
        return [
            f"{self._ontology.name}: {about}{'' if about.endswith('…') else '.'}",
            f"{sort}; {triples} triples, {len(facts.classes):,} classes, "
            f"{len(facts.properties):,} properties, {instances} instances.",
            self._prefixes(),
            f"Labels: {self._texts(facts.naming)}. Comments: {self._texts(facts.commenting)}.",
        ]

    def _prefixes(self) -> str:
        """Name the prefixes in use with their namespaces, and namespaces that have none."""
        uses = dict(self._facts.namespaces)
        for iri in (*self._facts.classes, *self._facts.properties):
            namespace = re.sub(r"[^/#]*$", "", iri)
            uses[namespace] = uses.get(namespace, 0) + 1
        prefix_of = {namespace: p for p, namespace in self._ontology.prefixes.items()}
        ranked = sorted(uses, key=lambda namespace: (-uses[namespace], namespace))
        own = [n for n in ranked if n in prefix_of and prefix_of[n] not in _USUAL]
        # One or two subjects, as the ontology itself, are not worth a namespace.
        bare = [n for n in ranked if n not in prefix_of and uses[n] > 2]
        shown = self._detail.prefixes
        usual = [p for p in _USUAL if p in self._ontology.prefixes]
        parts = [f"{prefix_of[n]}: <{n}>" for n in own[:shown]]
        parts += [f"no prefix for <{n}>" for n in bare[: max(shown - len(parts), 1)]]
        left = len(own) + len(bare) - len(parts)
        more = f"; {left} more" if left else ""
        return f"Prefixes (predeclared): {', '.join([*parts, *usual])}{more}."

    def _texts(self, counts: dict[tuple[str, str], int]) -> str:
        """Write label or comment predicates with their counts by language."""
        by_predicate: dict[str, dict[str, int]] = {}
        for (predicate, language), count in counts.items():
            by_predicate.setdefault(predicate, {})[language or "untagged"] = count
        parts = []
        for predicate, languages in sorted(
            by_predicate.items(), key=lambda item: (-sum(item[1].values()), item[0])
        ):
            ranked = sorted(languages.items(), key=lambda item: (-item[1], item[0]))
            told = ", ".join(f"{language} {count:,}" for language, count in ranked[:4])
            more = f", {len(ranked) - 4} more" if len(ranked) > 4 else ""
            parts.append(f"{self._compact(predicate)} ({told}{more})")
        return ", ".join(parts[:3]) or "none"

    def used(self) -> list[str]:
        """Write the classes that have instances, with the predicates these really use."""
        facts = self._facts
        counts = {iri: count for iri, count in facts.classes.items() if count}
        if facts.untyped:
            counts[""] = facts.untyped
        if not counts:
            return []
        shown = [iri for iri in counts if iri in facts.usages][: self._detail.classes]
        lines = ["Classes (direct instances): predicates of their instances"] if shown else []
        for iri in shown:
            name = self._name(iri) if iri else "(no class)"
            supers = facts.supers.get(iri, [])
            below = f" < {', '.join(self._compact(s) for s in supers[:3])}" if supers else ""
            lines.append(f"{name} ({counts[iri]:,}){below}: {self._usages(iri, counts[iri])}")
        rest = [f"{self._compact(i)} ({n:,})" for i, n in counts.items() if i and i not in shown]
        what = "Other classes (direct instances)" if shown else "Classes (direct instances)"
        return [*lines, *self._names(what, rest)]

    def _names(self, what: str, names: Sequence[str]) -> list[str]:
        """Write a list of names on one line, or no line when there are none."""
        shown = names[: self._detail.names]
        more = f", {len(names) - len(shown):,} more" if len(names) > len(shown) else ""
        return [f"{what}: {', '.join(shown)}{more}"] if names and shown else []

    def _usages(self, iri: str, instances: int) -> str:
        groups: dict[str, list[Usage]] = {}
        for usage in self._facts.usages.get(iri, ()):
            groups.setdefault(usage.predicate, []).append(usage)
        shown = list(groups.items())[: self._detail.predicates]
        parts = [
            f"{self._name(predicate)} {self._values(usages, instances)}"
            for predicate, usages in shown
        ]
        if len(groups) > len(shown):
            parts.append(f"{len(groups) - len(shown)} more")
        return "; ".join(parts) or "nothing but their class"

    def _values(self, usages: Sequence[Usage], instances: int) -> str:
        """Write kinds, examples and coverage: ``string "Ana", 398 of 412``, ``-> ex:C x2.5``."""
        kinds = ", ".join(
            self._value(usage)
            + (f" ({usage.subjects:,})" if len(usages) > 1 and usage.subjects < instances else "")
            for usage in usages[:_MAX_TARGETS]
        )
        more = ", …" if len(usages) > _MAX_TARGETS else ""
        have = max(usage.subjects for usage in usages)
        each = sum(usage.statements for usage in usages) / have
        often = f" x{each:.1f}" if each >= 1.05 and len(usages) == 1 else ""
        some = f", {have:,} of {instances:,}" if have < instances else ""
        return f"{kinds}{more}{often}{some}"

    def _value(self, usage: Usage) -> str:
        example = self._detail.example
        if usage.kind in ("iri", "bnode"):
            targets = [self._compact(iri) for iri in self._narrowest(usage.targets)]
            if targets:
                return f"-> {'|'.join(targets[:_MAX_TARGETS])}"
            if usage.inside:
                return f"-> [{', '.join(self._compact(iri) for iri in usage.inside[:6])}]"
            if usage.low is None or usage.kind == "bnode" or not example:
                return f"-> {usage.kind}"
            return f"-> iri {self._compact(usage.low.value)}"
        low, high = usage.low, usage.high
        if low is None or high is None:
            return usage.kind
        if usage.kind in _ORDERED:
            return f"{usage.kind} {low.value}" + (f"..{high.value}" if low != high else "")
        if usage.kind == "boolean" or not example:
            return usage.kind
        if usage.listed:
            return f"{usage.kind} {'|'.join(self._text(term, 24) for term in usage.listed)}"
        return f"{usage.kind} {self._text(low, example)}"

    def _text(self, term: Term, longest: int) -> str:
        return in_sparql(term._replace(language="", datatype=""), self._compact, longest=longest)

    def _narrowest(self, classes: Sequence[str]) -> list[str]:
        above = {s for iri in classes for s in self._facts.supers.get(iri, ())}
        return [iri for iri in classes if iri not in above] or list(classes)

    def tree(self) -> list[str]:
        """Write the class tree, a line for each parent, big branches first."""
        facts = self._facts
        children: dict[str, list[str]] = {}
        for child, parents in facts.supers.items():
            for parent in parents:
                children.setdefault(parent, []).append(child)
        alone = [
            iri
            for iri, count in facts.classes.items()
            if not count and iri not in children and iri not in facts.supers
        ]
        if not children and not alone:
            return []
        order = _from_the_roots(children, facts.supers)
        shown = order[: self._detail.branches]
        hint = "; not inferred: ?x a/rdfs:subClassOf* C" if facts.individuals else ""
        lines = [f"Class tree (parent > children{hint})"] if shown else []
        lines += [f"{self._name(p)} > {self._listed(sorted(children[p]))}" for p in shown]
        what = "Other parents" if shown else "Classes with subclasses"
        lines += self._names(what, [self._compact(iri) for iri in order[len(shown) :]])
        what = "Other classes, without instances" if facts.individuals else "Other classes"
        return [*lines, *self._names(what, [self._name(iri) for iri in alone])]

    def _listed(self, iris: Sequence[str]) -> str:
        shown = iris[: self._detail.predicates]
        more = f", {len(iris) - len(shown)} more" if len(iris) > len(shown) else ""
        return ", ".join(self._name(iri) for iri in shown) + more

    def declared(self) -> list[str]:
        """Write the properties that no instance uses: by their domain, and annotations."""
        facts = self._facts
        used = {usage.predicate for usages in facts.usages.values() for usage in usages}
        unused = [facts.properties[iri] for iri in sorted(facts.properties) if iri not in used]
        by_domain: dict[tuple[str, ...], list[PropertyFacts]] = {}
        for prop in unused:
            if prop.domains or prop.ranges or not facts.predicates.get(prop.iri):
                by_domain.setdefault(tuple(prop.domains), []).append(prop)
        ranked = sorted(by_domain.items(), key=lambda item: (not item[0], -len(item[1]), item[0]))
        shown = ranked[: self._detail.classes]
        what = "Declared but unused properties" if facts.individuals else "Properties"
        lines = [f"{what} by domain (-> range)"] if shown else []
        for domain, properties in shown:
            name = "|".join(self._compact(iri) for iri in domain) or "(no domain)"
            lines.append(f"{name}: {self._ranges(properties)}")
        rest = [self._compact(p.iri) for _, group in ranked[len(shown) :] for p in group]
        lines += self._names(f"Other {what.lower()}" if shown else what, rest)
        grouped = {prop.iri for group in by_domain.values() for prop in group}
        annotations = [
            f"{self._compact(prop.iri)} ({facts.predicates[prop.iri]:,})"
            for prop in unused
            if prop.iri not in grouped and facts.predicates[prop.iri] > 2
        ]
        return [*lines, *self._names("Used on classes and properties themselves", annotations)]

    def _ranges(self, properties: Sequence[PropertyFacts]) -> str:
        """Write properties, those with the same range together, the most linked ranges first."""
        by_range: dict[tuple[str, ...], list[PropertyFacts]] = {}
        for prop in properties:
            by_range.setdefault(tuple(prop.ranges), []).append(prop)
        weight = self._weights
        ranked = sorted(by_range, key=lambda r: (-max((weight[c] for c in r), default=0), r))
        parts = []
        room = self._detail.predicates
        for target in ranked:
            names = [
                self._name(prop.iri) + self._inverse(prop)
                for prop in by_range[target][: max(room, 0)]
            ]
            room -= len(names)
            if names:
                to = "|".join(self._compact(iri) for iri in target)
                parts.append(", ".join(names) + (f" -> {to}" if to else ""))
        if len(properties) > self._detail.predicates:
            parts.append(f"{len(properties) - self._detail.predicates} more")
        return "; ".join(parts)

    @cached_property
    def _weights(self) -> Counter[str]:
        """Count how often a class is a domain or range: what much hangs on is told first."""
        return Counter(c for p in self._facts.properties.values() for c in (*p.domains, *p.ranges))

    def _inverse(self, prop: PropertyFacts) -> str:
        inverses = [self._compact(iri) for iri in prop.inverses if iri != prop.iri]
        return f" (inverse {', '.join(inverses)})" if inverses else ""

    def _name(self, iri: str) -> str:
        label = self._facts.labels.get(iri) if self._detail.example else None
        return f'{self._compact(iri)} "{label[:40]}"' if label else self._compact(iri)


def _from_the_roots(children: dict[str, list[str]], supers: dict[str, list[str]]) -> list[str]:
    """Order the parents level by level, the largest families of a level first."""
    order: dict[str, None] = {}
    level = [iri for iri in children if iri not in supers]
    # Classes that are only in a circle have no root.
    level = level or sorted(children)[:1]
    while level:
        level.sort(key=lambda iri: (-len(children[iri]), iri))
        order.update(dict.fromkeys(level))
        below = {child for iri in level for child in children[iri]}
        level = [iri for iri in below if iri in children and iri not in order]
    order.update(dict.fromkeys(sorted(set(children) - set(order))))
    return list(order)
