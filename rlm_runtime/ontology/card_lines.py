"""How a sense card is written: in how much detail, with which names, and its instances."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from rlm_runtime.ontology.card_facts import CardFacts, Usage
from rlm_runtime.ontology.prefixes import namespace_of
from rlm_runtime.ontology.protocol import Ontology, Term
from rlm_runtime.ontology.terms import in_sparql
from rlm_runtime.ontology.vocabulary import NAME_PREDICATES

__all__ = ["CardNames", "Detail", "InstanceLines", "less_and_less"]

_LOCAL = re.compile(r"[\w-]+")
_ORDERED = frozenset({"integer", "decimal", "double", "float", "date", "dateTime", "gYear", "time"})
_MAX_TARGETS = 3


@dataclass(frozen=True)
class Detail:
    """How much of everything a card shows.

    Attributes:
        classes: Lines of classes with the predicates of their instances.
        predicates: Predicates in such a line.
        example: Characters of an example text; 0 for no examples.
        strings: Whether texts in quotes without a language are called strings.
        listed: Values in a list of all values.
        comment: Characters of the ontology's description.
        labels: Whether names are followed by labels that say more than they.
        bare: Whether names of the main namespace are written without it.
        branches: Lines of the class tree.
        children: Classes in such a line.
        groups: Lines of properties by domain.
        properties: Properties in such a line.
        ranges: 2 for all ranges, 1 for those that are datatypes, 0 for none.
        ranged: Lines of properties with such ranges.
        endings: Whether ranges are written that a property's name ends in.
        narrower: Properties in the property tree that have others below them, and of these.
        marks: Different texts of an annotation.
        inverses: Pairs of inverse properties.
        names: Names in a line of what is only named.
        prefixes: Prefixes with their namespaces.
        queries: Queries.
    """

    classes: int = 60
    predicates: int = 60
    example: int = 30
    strings: bool = True
    listed: int = 12
    comment: int = 300
    labels: bool = True
    bare: bool = False
    branches: int = 60
    children: int = 60
    groups: int = 60
    properties: int = 60
    ranges: int = 2
    ranged: int = 60
    endings: bool = True
    narrower: int = 60
    marks: int = 8
    inverses: int = 30
    names: int = 60
    prefixes: int = 12
    queries: int = 2


# Descriptions and examples go before names: a name left out is a name that is searched for.
_STEPS: tuple[dict[str, int | bool], ...] = (
    {"comment": 160},
    {"example": 16},
    {"comment": 100, "inverses": 15},
    {"labels": False, "predicates": 30, "names": 40},
    {"comment": 60},
    {"bare": True},
    {"strings": False, "example": 12},
    {"endings": False, "listed": 10},
    {"narrower": 12, "comment": 0},
    {"narrower": 6, "marks": 4},
    {"narrower": 4, "ranged": 2},
    {"classes": 30, "branches": 30, "inverses": 8},
    {"example": 10, "listed": 8, "names": 20},
    {"predicates": 15, "children": 30},
    {"ranges": 1},
    {"inverses": 0, "predicates": 12},
    {"classes": 20, "branches": 15, "properties": 40, "listed": 6, "narrower": 0, "marks": 0},
    {"classes": 14, "branches": 10, "groups": 20},
    {"predicates": 9, "children": 20, "properties": 25, "names": 15},
    {"classes": 10, "branches": 7, "groups": 14, "properties": 20},
    {"predicates": 7, "example": 0, "children": 9, "properties": 16, "groups": 10},
    {"classes": 8, "prefixes": 6, "properties": 12},
    {"queries": 1, "ranges": 0},
    {"predicates": 5, "branches": 5, "children": 6, "names": 12, "listed": 0},
    {"classes": 6, "branches": 4, "groups": 6, "properties": 10},
    {"predicates": 4, "children": 4},
    {"classes": 4, "branches": 3, "groups": 4, "properties": 7, "names": 10},
    {"predicates": 3, "prefixes": 3, "children": 3, "properties": 5},
    {"classes": 3, "branches": 2, "groups": 3, "properties": 3},
    {"branches": 0, "groups": 2, "names": 8},
    {"classes": 2, "groups": 1, "queries": 0},
    {"classes": 1, "groups": 0, "names": 6},
    {"classes": 0, "prefixes": 2},
    {"names": 4},
    {"names": 2, "prefixes": 1},
)


def less_and_less() -> Iterator[Detail]:
    """Yield the details to try, from everything to next to nothing."""
    detail = Detail()
    yield detail
    for step in _STEPS:
        detail = replace(detail, **step)  # pyright: ignore[reportArgumentType]
        yield detail


class CardNames:
    """Writes the names of one card; a card is written many times until it fits.

    Args:
        ontology: Gives the prefixed names.
        facts: Gives the labels.
        bare: A namespace whose names are written without it; "" for none.
    """

    def __init__(self, ontology: Ontology, facts: CardFacts, bare: str = "") -> None:
        self.compact = cache(self._short if bare else ontology.compact)
        self._ontology = ontology
        self._bare = bare
        self._labels = facts.labels

    @property
    def legend(self) -> list[str]:
        """Say on a line how bare names are to be read; no line when there are none."""
        if not self._bare:
            return []
        return [f"Below, x without a prefix means {self._ontology.compact(f'{self._bare}x')}."]

    def _short(self, iri: str) -> str:
        local = iri.removeprefix(self._bare)
        if local != iri and _LOCAL.fullmatch(local):
            return local
        return self._ontology.compact(iri)

    def full(self, iri: str, *, labels: bool = True) -> str:
        """Write a name and, if asked for, the label that says more than it."""
        label = self._labels.get(iri) if labels else None
        return f'{self.compact(iri)} "{label[:40]}"' if label else self.compact(iri)

    def either(self, iris: Sequence[str]) -> str:
        """Write ``ex:A|ex:B``."""
        return "|".join(self.compact(iri) for iri in iris)

    def listed(self, names: Sequence[str], most: int, how: str = "") -> str:
        """Write a list, at most so many of it; ``how`` says how the rest can be seen."""
        shown = names[:most]
        more = f", {len(names) - len(shown):,} more{how}" if len(names) > len(shown) else ""
        return ", ".join(shown) + more

    def line(self, what: str, names: Sequence[str], most: int, how: str = "") -> list[str]:
        """Write a list on a line of its own, or no line when nothing would be on it."""
        return [f"{what}: {self.listed(names, most, how)}"] if names and most else []


class InstanceLines:
    """The lines of the instances, at any level of detail."""

    def __init__(self, names: CardNames, facts: CardFacts) -> None:
        self._names = names
        self._facts = facts

    def lines(self, detail: Detail) -> list[str]:
        """Write the classes that have instances, with the predicates these really use."""
        facts = self._facts
        counts = {iri: count for iri, count in facts.classes.items() if count}
        if facts.untyped:
            counts[""] = facts.untyped
        if not counts:
            return []
        shown = [iri for iri in counts if iri in facts.usages][: detail.classes]
        written = [self._used_line(iri, counts[iri], detail) for iri in shown]
        how = "; schema_of lists the rest" if any(cut for _, cut in written) else ""
        each = ", xN: N values each" if any(" x" in line for line, _ in written) else ""
        what = f"Classes (direct instances): predicates of their instances{each}{how}"
        lines = [what] if shown else []
        for cls, (line, _) in zip(shown, written, strict=True):
            lines += [line, *self._trees(cls, detail)]
        rest = [
            f"{self._names.compact(i)} ({n:,})" for i, n in counts.items() if i and i not in shown
        ]
        what = "Other classes (direct instances)" if shown else "Classes (direct instances)"
        return [*lines, *self._names.line(what, rest, detail.names)]

    def _trees(self, cls: str, detail: Detail) -> list[str]:
        """Write how few instances of a class hang together, the roots first."""
        return [
            f"Tree by {self._names.compact(usage.predicate)}: "
            + "; ".join(
                f"{parent} > {self._names.listed(below, detail.children)}"
                for parent, below in usage.tree.items()
            )
            for usage in self._facts.usages[cls]
            if usage.tree and detail.listed
        ]

    def _used_line(self, cls: str, instances: int, detail: Detail) -> tuple[str, bool]:
        """Write the line of a class, and say whether predicates were left out."""
        groups: dict[str, list[Usage]] = {}
        for usage in self._facts.usages.get(cls, ()):
            groups.setdefault(usage.predicate, []).append(usage)
        # What an instance is called is what questions name it by.
        ranked = sorted(groups, key=lambda predicate: predicate not in NAME_PREDICATES)
        shown = ranked[: detail.predicates]
        looked_at = self._facts.looked_at.get(cls, instances)
        parts = [
            f"{self._names.full(predicate, labels=detail.labels)} "
            f"{self._values(groups[predicate], looked_at, detail)}"
            for predicate in shown
        ]
        if len(groups) > len(shown):
            parts.append(f"{len(groups) - len(shown)} more")
        name = self._names.full(cls, labels=detail.labels) if cls else "(no class)"
        supers = self._facts.supers.get(cls, [])
        below = f" < {', '.join(self._names.compact(s) for s in supers[:3])}" if supers else ""
        told = "; ".join(parts) or "nothing but their class"
        return f"{name} ({instances:,}){below}: {told}", len(groups) > len(shown)

    def _values(self, usages: Sequence[Usage], instances: int, detail: Detail) -> str:
        """Write kinds, examples and coverage: ``string "Ana", 398 of 412``, ``-> ex:C x2.5``."""
        # Beside all names in one language, an example in another tells nothing.
        told_all = any(0 < len(usage.listed) <= detail.listed for usage in usages)
        kinds = ", ".join(
            (usage.kind if told_all and not usage.listed else self._value(usage, detail))
            + (f" ({usage.subjects:,})" if len(usages) > 1 and usage.subjects < instances else "")
            for usage in usages[:_MAX_TARGETS]
        )
        more = ", …" if len(usages) > _MAX_TARGETS else ""
        have = max(usage.subjects for usage in usages)
        each = sum(usage.statements for usage in usages) / have
        often = f" x{each:.1f}" if each >= 1.05 and len(usages) == 1 else ""
        some = f", {have:,} of {instances:,}" if have < instances else ""
        return f"{kinds}{more}{often}{some}"

    def _value(self, usage: Usage, detail: Detail) -> str:
        example = detail.example
        if usage.kind in ("iri", "bnode"):
            targets = [self._names.compact(iri) for iri in self._narrowest(usage.targets)]
            if targets:
                return f"-> {'|'.join(targets[:_MAX_TARGETS])}"
            if usage.inside:
                return f"-> [{', '.join(self._names.compact(iri) for iri in usage.inside[:6])}]"
            if usage.low is None or usage.kind == "bnode" or not example:
                return f"-> {usage.kind}"
            return f"-> iri {self._names.compact(usage.low.value)}"
        low, high = usage.low, usage.high
        if low is None or high is None:
            return usage.kind
        if usage.kind in _ORDERED:
            return f"{usage.kind} {low.value}" + (f"..{high.value}" if low != high else "")
        if usage.kind == "boolean":
            return usage.kind
        # Names that several instances share have to be expected by whoever looks one up.
        shared = usage.predicate in NAME_PREDICATES and usage.values < usage.statements
        told = f" (only {usage.values:,} different)" if shared else ""
        listed = usage.listed
        kind = "" if usage.kind == "string" and not detail.strings else f"{usage.kind} "
        if listed and len(listed) <= detail.listed:
            always = "always " if len(listed) == 1 < usage.statements else ""
            return f"{kind}{always}{self._listed(usage)}{told}"
        # An example beside that would look like a name that is shared, which it need not be.
        if shared or not example:
            return usage.kind + told
        return f"{kind}{self._text(low, example)}"

    def _listed(self, usage: Usage) -> str:
        """Write all values; names of instances with their IRIs, or with the rule these follow."""
        compact = self._names.compact
        alike = {n: i for n, i in usage.named.items() if i.removeprefix(namespace_of(i)) == n}
        spaces = {namespace_of(iri) for iri in alike.values()}
        rule = f"(IRI {compact(f'{spaces.pop()}NAME')}) " if len(spaces) == 1 < len(alike) else ""
        return rule + "|".join(
            f"{compact(usage.named[t.value])} {self._text(t, 24)}"
            if t.value in usage.named and not (rule and t.value in alike)
            else self._text(t, 24)
            for t in usage.listed
        )

    def _text(self, term: Term, longest: int) -> str:
        return in_sparql(
            term._replace(language="", datatype=""), self._names.compact, longest=longest
        )

    def _narrowest(self, classes: Sequence[str]) -> list[str]:
        above = {s for iri in classes for s in self._facts.supers.get(iri, ())}
        return [iri for iri in classes if iri not in above] or list(classes)
