"""Write the instance part of a sense card: classes with the predicates of their instances."""

from __future__ import annotations

from collections.abc import Sequence

from rlm_runtime.ontology.card_detail import Detail
from rlm_runtime.ontology.card_facts import CardFacts, Usage
from rlm_runtime.ontology.card_names import CardNames
from rlm_runtime.ontology.labels import NAME_PREDICATES
from rlm_runtime.ontology.protocol import Term
from rlm_runtime.ontology.terms import in_sparql

__all__ = ["InstanceLines"]

_ORDERED = frozenset({"integer", "decimal", "double", "float", "date", "dateTime", "gYear", "time"})
_MAX_TARGETS = 3


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
        how = "; describe_entity lists the rest" if any(cut for _, cut in written) else ""
        lines = [f"Classes (direct instances): predicates of their instances{how}"] if shown else []
        lines += [line for line, _ in written]
        rest = [
            f"{self._names.compact(i)} ({n:,})" for i, n in counts.items() if i and i not in shown
        ]
        what = "Other classes (direct instances)" if shown else "Classes (direct instances)"
        return [*lines, *self._names.line(what, rest, detail.names)]

    def _used_line(self, cls: str, instances: int, detail: Detail) -> tuple[str, bool]:
        """Write the line of a class, and say whether predicates were left out."""
        groups: dict[str, list[Usage]] = {}
        for usage in self._facts.usages.get(cls, ()):
            groups.setdefault(usage.predicate, []).append(usage)
        # What an instance is called is what questions name it by.
        ranked = sorted(groups, key=lambda predicate: predicate not in NAME_PREDICATES)
        shown = ranked[: detail.predicates]
        parts = [
            f"{self._names.full(predicate, labels=detail.labels)} "
            f"{self._values(groups[predicate], instances, detail)}"
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
        if listed and len(listed) <= detail.listed:
            always = "always " if len(listed) == 1 < usage.statements else ""
            return f"{usage.kind} {always}{'|'.join(self._text(t, 24) for t in listed)}{told}"
        return f"{usage.kind} {self._text(low, example)}{told}" if example else usage.kind + told

    def _text(self, term: Term, longest: int) -> str:
        return in_sparql(
            term._replace(language="", datatype=""), self._names.compact, longest=longest
        )

    def _narrowest(self, classes: Sequence[str]) -> list[str]:
        above = {s for iri in classes for s in self._facts.supers.get(iri, ())}
        return [iri for iri in classes if iri not in above] or list(classes)
