"""The sense card: what an ontology is, as the first thing an LM reads of it; all from the data."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import MutableMapping, Sequence
from functools import cached_property
from typing import NamedTuple
from weakref import WeakKeyDictionary

from rlm_runtime.errors import ConfigurationError, OntologyError, QueryTimeout
from rlm_runtime.ontology.card_facts import CardFacts
from rlm_runtime.ontology.card_lines import (
    CardNames,
    Detail,
    InstanceLines,
    less_and_less,
)
from rlm_runtime.ontology.card_queries import gather_card_facts
from rlm_runtime.ontology.card_schema import SchemaLines
from rlm_runtime.ontology.card_templates import working_queries
from rlm_runtime.ontology.prefixes import namespace_of
from rlm_runtime.ontology.protocol import Ontology

__all__ = ["SenseCard", "make_sense_card", "read_sense_card"]

_LEAST = 300
_QUERY_TIMEOUT = 10.0
_SECONDS = 30.0
# An endpoint may be far, busy and huge: what is not told in this time is left out of its card.
_CONTACT_TIMEOUT = 10.0
_PROBE_TIMEOUT = 3.0
_PROBE_SECONDS = 10.0
_QUERY_SECONDS = 4.0
_MAX_TRIPLES = 200_000
_USUAL = ("rdf", "rdfs", "owl", "xsd", "skos")
_SORTS = ("object", "datatype", "annotation", "rdf:Property")

_made: WeakKeyDictionary[Ontology, dict[int, SenseCard]] = WeakKeyDictionary()


class SenseCard(NamedTuple):
    """A sense card and what it is made from."""

    text: str
    facts: CardFacts


def make_sense_card(ontology: Ontology, *, max_chars: int = 3000) -> str:
    """Say what an ontology is: size, vocabulary, predicates in use, queries that run.

    Everything is found by queries, and two calls give the same text. Of a large endpoint samples
    are looked at, within some ten seconds, and the card says so. When there is too much for
    ``max_chars``, descriptions and examples go first, then ranges and inverses, then predicates
    and classes from the rarest on; the card says how many were left out. No line is cut in the
    middle. A whole card is kept for as long as the ontology is; one for which a query
    failed, as after a time-out, is made anew. The cards of an endpoint are kept for ten minutes,
    for all who open it.

    Args:
        ontology: Local or remote.
        max_chars: The most characters, at least 300.

    Raises:
        ConfigurationError: ``max_chars`` is too small for a card.
        OntologyError: The ontology is closed, or its endpoint does not answer.

    Example:
        >>> import rdflib
        >>> from rlm_runtime.ontology import open_ontology
        >>> graph = rdflib.Graph().parse(data="<http://e/x> a <http://e/C> .", format="turtle")
        >>> with open_ontology(graph) as ontology:
        ...     "1 triples" in make_sense_card(ontology)
        True
    """
    return read_sense_card(ontology, max_chars=max_chars).text


def read_sense_card(ontology: Ontology, *, max_chars: int = 3000) -> SenseCard:
    """Give the text of ``make_sense_card`` with the facts behind it, which must not be changed."""
    if max_chars < _LEAST:
        raise ConfigurationError(
            f"An overview of {max_chars} characters says too little. Give sense_card_chars= (of "
            f"make_sense_card: max_chars=) at least {_LEAST}."
        )
    _greet(ontology)
    cards = _cards_of(ontology)
    if max_chars in cards:
        return cards[max_chars]
    if _is_endpoint(ontology):
        facts = gather_card_facts(
            ontology, timeout=_PROBE_TIMEOUT, seconds=_PROBE_SECONDS, most=_MAX_TRIPLES
        )
        queries = working_queries(ontology, facts, timeout=_PROBE_TIMEOUT, seconds=_QUERY_SECONDS)
    else:
        facts = gather_card_facts(ontology, timeout=_QUERY_TIMEOUT, seconds=_SECONDS)
        queries = working_queries(ontology, facts, timeout=_QUERY_TIMEOUT, seconds=_SECONDS)
    made = SenseCard(_fitted(_Card(ontology, facts, queries), max_chars), facts)
    if not facts.failed or _is_endpoint(ontology):
        cards[max_chars] = made
    return made


def _is_endpoint(ontology: Ontology) -> bool:
    return ontology.source.startswith(("http://", "https://"))


def _greet(ontology: Ontology) -> None:
    """Ask for next to nothing: what is closed or gives no answer has no card, and says so."""
    try:
        ontology.select("ASK {}", timeout=_CONTACT_TIMEOUT)
    except QueryTimeout as error:
        raise OntologyError(
            f"The ontology {ontology.name!r} gave no answer to ASK {{}} within "
            f"{_CONTACT_TIMEOUT:g} s. Check that it is up, or try again later."
        ) from error


def _cards_of(ontology: Ontology) -> MutableMapping[int, SenseCard]:
    """Give where the cards of an ontology are kept."""
    shared = getattr(ontology, "cards", None)
    if shared is not None:
        return shared
    try:
        return _made.setdefault(ontology, {})
    except TypeError:
        # It has no hash, or no place for weak references.
        return {}


def _fitted(card: _Card, max_chars: int) -> str:
    """Write a card in as much detail as fits."""
    steps = list(less_and_less())

    def fits(detail: Detail) -> bool:
        return len("\n".join(card.lines(detail))) <= max_chars

    # A search by halves: writing a large card at every step takes longer than its queries.
    at = bisect_left(steps, True, hi=len(steps) - 1, key=fits)
    lines = card.lines(steps[at])
    if fits(steps[at]):
        return "\n".join(lines)
    while len("\n".join(lines)) > max_chars - 2:
        lines.pop()
    return "\n".join([*lines, "…"])


class _Card:
    """Writes one card at any level of detail.

    Args:
        ontology: Gives its name and the prefixed names.
        facts: What to say.
        queries: Queries that are known to run and to find something.
    """

    def __init__(self, ontology: Ontology, facts: CardFacts, queries: Sequence[str]) -> None:
        self._ontology = ontology
        self._facts = facts
        names = (CardNames(ontology, facts), CardNames(ontology, facts, self._main_namespace()))
        self._ways = [
            (each, InstanceLines(each, facts), SchemaLines(each, facts)) for each in names
        ]
        self._queries = queries

    def lines(self, detail: Detail) -> list[str]:
        """Write the whole card."""
        names, instances, schema = self._ways[detail.bare]
        lines = [
            *self._head(detail),
            *names.legend,
            *instances.lines(detail),
            *schema.tree(detail),
            *schema.properties(detail),
        ]
        queries = self._queries[: detail.queries]
        if queries:
            lines += ["Queries that run as they are:", *queries]
        lines += self._unresolved()
        if self._facts.least is not None:
            lines.append("Too large to look at as a whole: values and shares are those of samples.")
        if self._facts.missing:
            lines.append(f"Not found out: {', '.join(dict.fromkeys(self._facts.missing))}.")
        return lines

    def _unresolved(self) -> list[str]:
        """Name what is imported and was not found; only what is loaded from files knows of it."""
        iris: Sequence[str] = getattr(self._ontology, "unresolved_imports", ())
        more = f" and {len(iris) - 2} more" if len(iris) > 2 else ""
        named = ", ".join(f"<{iri}>" for iri in iris[:2])
        return [f"Imports that are not loaded: {named}{more}."] if iris else []

    def _main_namespace(self) -> str:
        """Give the namespace of most classes and properties."""
        iris = (*self._facts.classes, *self._facts.properties)
        counts = Counter(namespace_of(iri) for iri in iris)
        return max(counts, key=lambda namespace: (counts[namespace], namespace), default="")

    def _head(self, detail: Detail) -> list[str]:
        facts = self._facts
        comment, room = facts.comment, detail.comment
        if len(comment) > room:
            comment = f"{comment[:room].rsplit(' ', 1)[0]} …" if room else ""
        about = ". ".join(text.rstrip(".") for text in (facts.title, comment) if text)
        about += "" if about.endswith("…") or not about else "."
        sort = " and ".join(facts.declared) or "RDF without a declared schema"
        least = "uncounted" if not facts.least else f"more than {facts.least:,}"
        triples = least if facts.triples is None else f"{facts.triples:,}"
        instances = "uncounted" if facts.individuals is None else f"{facts.individuals:,}"
        instances = "no" if instances == "0" else instances
        size = (
            f"{sort}; {triples} triples, {len(facts.classes):,} classes, "
            f"{len(facts.properties):,} properties{self._sorts}, {instances} instances."
        )
        name = self._ontology.name
        comments = f" Comments: {self._texts(facts.commenting)}." if facts.commenting else ""
        return [
            *([f"{name}: {about}", size] if about else [f"{name}: {size}"]),
            self._prefixes(detail.prefixes),
            f"Labels: {self._texts(facts.naming) or 'none'}.{comments}",
        ]

    @cached_property
    def _sorts(self) -> str:
        """Count the properties by what they are declared as; some are several things."""
        counts = Counter(sort for p in self._facts.properties.values() for sort in p.sorts)
        parts = [f"{counts[sort]:,} {sort}" for sort in _SORTS if counts[sort]]
        bare = sum(not p.sorts for p in self._facts.properties.values())
        if not parts:
            return ""
        return f" ({', '.join([*parts, *([f'{bare:,} undeclared'] if bare else [])])})"

    def _prefixes(self, most: int) -> str:
        """Name the prefixes in use with their namespaces, and namespaces that have none."""
        own, bare, prefix_of = self._namespaces
        usual = [p for p in _USUAL if p in self._ontology.prefixes]
        parts = [f"{prefix_of[n]}: <{n}>" for n in own[:most]]
        parts += [f"no prefix for <{n}>" for n in bare[: max(most - len(parts), 1)]]
        left = len(own) + len(bare) - len(parts)
        more = f"; {left} more" if left else ""
        return f"Prefixes (predeclared): {', '.join([*parts, *usual])}{more}."

    @cached_property
    def _namespaces(self) -> tuple[list[str], list[str], dict[str, str]]:
        """Give the namespaces in use that have a prefix, those without, and the prefixes."""
        uses = Counter(self._facts.namespaces)
        uses.update(namespace_of(i) for i in (*self._facts.classes, *self._facts.properties))
        prefix_of = {namespace: p for p, namespace in self._ontology.prefixes.items()}
        ranked = sorted(uses, key=lambda namespace: (-uses[namespace], namespace))
        # One or two names, as the ontology itself and its title, are not worth a namespace.
        ranked = [n for n in ranked if uses[n] > 2 or 20 * uses[n] > uses[ranked[0]]]
        own = [n for n in ranked if n in prefix_of and prefix_of[n] not in _USUAL]
        return own, [n for n in ranked if n not in prefix_of and uses[n] > 2], prefix_of

    def _texts(self, counts: dict[str, dict[str, int]]) -> str:
        """Write label or comment predicates with their counts by language."""
        totals = {predicate: sum(languages.values()) for predicate, languages in counts.items()}
        parts = []
        for predicate in sorted(totals, key=lambda iri: (-totals[iri], iri)):
            # The odd title of the ontology itself is not how its entities are named.
            if totals[predicate] * 20 < max(totals.values()):
                break
            named = {tag or "untagged": count for tag, count in counts[predicate].items()}
            ranked = sorted(named.items(), key=lambda item: (-item[1], item[0]))
            told = ", ".join(f"{language} {count:,}" for language, count in ranked[:4])
            more = f", {len(ranked) - 4} more" if len(ranked) > 4 else ""
            parts.append(f"{self._ontology.compact(predicate)} ({told}{more})")
        return ", ".join(parts[:3])
