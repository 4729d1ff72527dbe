"""A local ontology as its users see it: checked questions, answered by a worker process."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator, Mapping
from itertools import repeat
from typing import TYPE_CHECKING, Any, Literal, cast

from rlm_runtime.errors import OntologyError, QueryError, QueryTimeout
from rlm_runtime.ontology.class_schema import ClassSchemas
from rlm_runtime.ontology.owl_axioms import with_axioms
from rlm_runtime.ontology.prefixes import PrefixMap
from rlm_runtime.ontology.protocol import Description, EntityKind, Match, QueryForm, Rows, Term
from rlm_runtime.ontology.query_guard import check_query
from rlm_runtime.ontology.schema import ClassSchema
from rlm_runtime.ontology.sharing import SharedWorker, let_go
from rlm_runtime.ontology.syntax_hints import explain_syntax_error
from rlm_runtime.ontology.worker_messages import EngineQuery, EngineRows

if TYPE_CHECKING:
    from rlm_runtime.ontology.filling import OnProgress

__all__ = ["HostedOntology"]

_SECONDS = 30.0
_AXIOM_SECONDS = 10.0


class HostedOntology:
    """An ontology in a worker process; see ``open_ontology``. Safe to use from several threads.

    Queries see the statements of all graphs as one; ``GRAPH`` and ``FROM`` tell them apart.

    Args:
        shared: The worker; it is let go when this is closed, or nobody holds it any more.
        name: A short name.
        source: Where it came from.
        on_progress: Is told while it loads, as in ``open_ontology``.

    Raises:
        OntologyError: The source cannot be loaded.
    """

    def __init__(
        self,
        shared: SharedWorker,
        *,
        name: str,
        source: str,
        on_progress: OnProgress | None = None,
    ) -> None:
        self._shared = shared
        self._name = name
        self._source = source
        self._leave = weakref.finalize(self, let_go, shared)
        # At the end of the process all workers end without being asked.
        self._leave.atexit = False
        try:
            opened = shared.open(on_progress)
        except BaseException:
            self._leave()
            raise
        self._prefixes = PrefixMap(opened.prefixes)
        self._unresolved_imports = opened.unresolved_imports
        self._schemas = ClassSchemas(self)

    @property
    def name(self) -> str:
        """A short name, as in ``prov``."""
        return self._name

    @property
    def source(self) -> str:
        """The path, or ``rdflib.Graph``."""
        return self._source

    @property
    def prefixes(self) -> Mapping[str, str]:
        """Prefix to namespace IRI: the source's own first, then the usual ones."""
        return self._prefixes

    @property
    def unresolved_imports(self) -> tuple[str, ...]:
        """IRIs of what it imports and no local file was named for: that is not loaded."""
        return self._unresolved_imports

    def select(self, query: str, *, limit: int = 100, timeout: float = 30.0) -> Rows:
        """Run a read-only SPARQL query; known prefixes need no declaration.

        Of a huge result at most 32 million characters are given. After the time bound the query
        is stopped, if need be by killing the worker; another one takes its place. A worker that
        is starting does not use up the time.

        Args:
            query: SELECT, ASK, CONSTRUCT or DESCRIBE.
            limit: The most rows to return; more set ``truncated``.
            timeout: Seconds.

        Raises:
            QueryRejected: The query could change something or reach out.
            QueryTimeout: It ran longer than ``timeout``.
            QueryError: Anything else, with what to do.
            OntologyError: The ontology is closed; or it has to be loaded again, and its source
                has changed.
        """
        if limit < 0 or not timeout > 0:
            raise QueryError(
                f"limit={limit} and timeout={timeout:g} cannot work: give a limit of at least 0 "
                "rows and a timeout of more than 0 seconds."
            )
        self._check_open()
        checked = check_query(query, self._prefixes, lambda iri: self._ask("has_graph", iri))
        order = checked.variables if checked.selects_all else None
        asked = EngineQuery(query, checked.prefixes, order, limit, checked.has_dataset)
        try:
            return _rows(self._shared.ask("run", asked, timeout=timeout), checked.form)
        except SyntaxError as error:
            raise explain_syntax_error(query, str(error)) from None
        except QueryTimeout:
            raise QueryTimeout(
                f"The query took longer than {timeout:g} s and was given up; this does not mean "
                "that there are no results. Make its patterns more specific, avoid patterns that "
                "share no variable, or raise the time bound."
            ) from None

    def search(
        self, text: str, *, limit: int = 10, kind: EntityKind | Literal["any"] = "any"
    ) -> list[Match]:
        """Find entities by label, synonym or local name, best first."""
        return self._ask("search", text, limit, kind)

    def describe(self, iri: str, *, limit: int = 25, timeout: float = 30.0) -> Description:
        """Say what is known of an entity.

        Of each predicate at least one value is shown, if ``limit`` allows; the rest is shared
        out evenly.

        Args:
            iri: An IRI in full, in angle brackets, or a prefixed name.
            limit: The most statements to give in each direction.
            timeout: Seconds; what the schema says is left out where they do not suffice for it.

        Raises:
            QueryError: No such prefix, or nothing is said of this IRI; the message names the
                nearest entities.
        """
        full = self.expand(iri)
        began = time.monotonic()
        described = self._ask("describe", full, limit, timeout=timeout)
        if described is None:
            raise self._not_found(iri, full)
        left = timeout - (time.monotonic() - began)
        return with_axioms(self, described, limit=limit, timeout=min(left, _AXIOM_SECONDS))

    def schema_of(self, iri: str, *, limit: int = 50, timeout: float = 20.0) -> ClassSchema:
        """Say which properties the instances of a class and of its subclasses really use.

        Args:
            iri: An IRI in full, in angle brackets, or a prefixed name.
            limit: The most properties to give.
            timeout: Seconds.

        Raises:
            QueryError: No such prefix; or it took too long (QueryTimeout).
        """
        return self._schemas.of(self.expand(iri), limit=limit, timeout=timeout)

    def contains(self, iri: str) -> bool:
        """Say whether an IRI in full is a subject, predicate, object or graph here."""
        return self._ask("contains", iri)

    def expand(self, name: str) -> str:
        """Give the full IRI of a prefixed name, ``<iri>`` or IRI.

        Raises:
            QueryError: The prefix is not known; the message lists those that are.
        """
        return self._prefixes.expand(name)

    def compact(self, iri: str) -> str:
        """Give the prefixed name of an IRI that is legal in SPARQL, else ``<iri>``."""
        return self._prefixes.compact(iri)

    def close(self) -> None:
        """Let the worker go, which ends when nobody else uses it; again, this does nothing."""
        self._leave()

    def __enter__(self) -> HostedOntology:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"HostedOntology(name={self._name!r}, source={self._source!r})"

    def _check_open(self) -> None:
        if not self._leave.alive:
            raise OntologyError(
                f"The ontology {self._name!r} is closed. Open it again with open_ontology."
            )

    def _ask(self, method: str, *arguments: Any, timeout: float = _SECONDS) -> Any:
        self._check_open()
        try:
            return self._shared.ask(method, *arguments, timeout=timeout)
        except QueryTimeout:
            raise QueryTimeout(
                f"The ontology {self._name!r} did not answer within {timeout:g} s. Ask for less, "
                "or use a query with a LIMIT."
            ) from None

    def _not_found(self, iri: str, full: str) -> QueryError:
        near = self.search(full, limit=3)
        names = ", ".join(f"{self.compact(match.iri)} ({match.label})" for match in near)
        advice = f"Did you mean {names}? Else search" if near else "Search"
        return QueryError(
            f"{iri} does not occur in the ontology {self._name!r}. {advice} for it by its label."
        )


def _rows(given: EngineRows, form: QueryForm) -> Rows:
    width = len(given.columns)
    fields = iter(given.cells)
    # Half the time of calling Term for each, which is most of a large answer's.
    made = map(tuple.__new__, repeat(Term), zip(fields, fields, fields, fields, strict=True))
    terms = [term if term.kind else None for term in cast("Iterator[Term]", made)]
    rows = tuple(tuple(terms[i * width : (i + 1) * width]) for i in range(given.length))
    return Rows(given.columns, rows, form, truncated=given.truncated, duration=given.duration)
