"""Describe an entity of an endpoint by a few bounded queries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from rlm_runtime.ontology.describing import predicate_place, preferred, shares, value_place
from rlm_runtime.ontology.owl_axioms import with_axioms
from rlm_runtime.ontology.protocol import Description, Term
from rlm_runtime.ontology.remote_errors import Deadline
from rlm_runtime.ontology.remote_kinds import look_at
from rlm_runtime.ontology.remote_request import LEGAL_IRI
from rlm_runtime.ontology.vocabulary import COMMENT_PREDICATES, NAME_PREDICATES

if TYPE_CHECKING:
    from rlm_runtime.ontology.remote import RemoteOntology

__all__ = ["describe_remote"]

_MAX_COUNTED = 100_000
_MAX_PREDICATES = 60
_MAX_TEXTS = 200


def describe_remote(
    remote: RemoteOntology, iri: str, *, limit: int, deadline: Deadline
) -> Description:
    """Describe an entity that occurs.

    Counts stop at 100,000 statements in each direction.

    Args:
        remote: What to ask.
        iri: In full.
        limit: The most statements to give in each direction.
        deadline: Of all of it; what a schema says of the entity may take some seconds more.

    Raises:
        TimeoutError: The deadline passed.
    """
    seen = look_at(remote, [iri], deadline)[iri]
    texts = _texts(remote, iri, deadline)
    outgoing, outgoing_count = _sampled(remote, iri, "out", limit, deadline)
    incoming, incoming_count = _sampled(remote, iri, "in", limit, deadline)
    said = Description(
        iri,
        None if seen.mentioned else seen.kind,
        labels=preferred(_placed(texts, NAME_PREDICATES)),
        comments=preferred(_placed(texts, COMMENT_PREDICATES)),
        outgoing=outgoing,
        incoming=incoming,
        outgoing_count=outgoing_count,
        incoming_count=incoming_count,
        truncated=max(outgoing_count, incoming_count) > limit,
    )
    return with_axioms(remote, said, limit=limit, timeout=min(5.0, deadline.left() / 4))


def _texts(remote: RemoteOntology, iri: str, deadline: Deadline) -> list[tuple[str, Term]]:
    which = " ".join(f"<{each}>" for each in (*NAME_PREDICATES, *COMMENT_PREDICATES))
    query = f"SELECT ?p ?o WHERE {{ VALUES ?p {{ {which} }} <{iri}> ?p ?o FILTER(isLiteral(?o)) }}"
    rows = remote.ask_text(query, _MAX_TEXTS, deadline)
    return [(predicate.value, text) for predicate, text in rows.terms if predicate and text]


def _placed(texts: Iterable[tuple[str, Term]], predicates: Sequence[str]) -> list[tuple[int, Term]]:
    return [(predicates.index(iri), text) for iri, text in texts if iri in predicates]


def _sampled(
    remote: RemoteOntology, iri: str, side: Literal["out", "in"], limit: int, deadline: Deadline
) -> tuple[dict[str, tuple[Term, ...]], int]:
    """Count the statements of one direction by predicate, and give some of each."""

    def pattern(predicate: str) -> str:
        if side == "in":
            return f"?other {predicate} <{iri}>"
        told = ", ".join(f"<{each}>" for each in (*NAME_PREDICATES, *COMMENT_PREDICATES))
        return f"<{iri}> {predicate} ?other FILTER(!(isLiteral(?other) && {predicate} IN ({told})))"

    counted = f"{{ SELECT ?p WHERE {{ {pattern('?p')} }} LIMIT {_MAX_COUNTED} }}"
    rows = remote.ask_text(
        f"SELECT ?p (COUNT(*) AS ?n) WHERE {{ {counted} }} GROUP BY ?p ORDER BY DESC(?n) ?p",
        1000,
        deadline,
    )
    counts = {p.value: n.plain for p, n in rows.terms if p and n and isinstance(n.plain, int)}
    named = filter(LEGAL_IRI.fullmatch, counts)
    first = sorted(named, key=predicate_place)[:_MAX_PREDICATES]
    dealt = dict(zip(first, shares([counts[p] for p in first], limit), strict=True))
    wanted = {predicate: share for predicate, share in dealt.items() if share}
    if not wanted:
        return {}, sum(counts.values())
    samples = " UNION ".join(
        f"{{ SELECT (<{predicate}> AS ?p) ?other WHERE {{ {pattern(f'<{predicate}>')} }} "
        f"LIMIT {share} }}"
        for predicate, share in wanted.items()
    )
    rows = remote.ask_text(f"SELECT ?p ?other WHERE {{ {samples} }}", limit, deadline)
    found: dict[str, list[Term]] = {predicate: [] for predicate in wanted}
    for predicate, other in rows.terms:
        if predicate and other and predicate.value in found:
            found[predicate.value].append(other)
    given = {p: tuple(sorted(terms, key=value_place)) for p, terms in found.items() if terms}
    return given, sum(counts.values())
