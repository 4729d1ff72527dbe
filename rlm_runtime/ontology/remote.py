"""An ontology behind a SPARQL endpoint: asked over HTTP, never loaded."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

from rlm_runtime.errors import ConfigurationError, OntologyError, QueryError, QueryRejected
from rlm_runtime.ontology.class_schema import ClassSchemas
from rlm_runtime.ontology.prefixes import PrefixMap
from rlm_runtime.ontology.protocol import Description, EntityKind, Match, QueryForm, Rows
from rlm_runtime.ontology.query_guard import CheckedQuery, check_query
from rlm_runtime.ontology.remote_address import read_address
from rlm_runtime.ontology.remote_describe import describe_remote
from rlm_runtime.ontology.remote_errors import (
    Deadline,
    EndpointFailed,
    failure_of_status,
    timed_out,
)
from rlm_runtime.ontology.remote_fulltext import check_search_query
from rlm_runtime.ontology.remote_http import Answer, HttpClient
from rlm_runtime.ontology.remote_known import Known, known_of, learn_prefixes
from rlm_runtime.ontology.remote_login import PRIVATE_VARIABLE, find_login
from rlm_runtime.ontology.remote_request import LEGAL_IRI, Dataset, bounded_text, make_request
from rlm_runtime.ontology.remote_results import read_rows
from rlm_runtime.ontology.remote_search import search_remote
from rlm_runtime.ontology.schema import ClassSchema
from rlm_runtime.ontology.syntax_hints import explain_syntax_error

if TYPE_CHECKING:
    from rlm_runtime.ontology.sense_card import SenseCard

__all__ = ["RemoteOntology"]

_TELLS_PLACE = re.compile(r"error at \d+:\d+: expected")
_PROBE_SECONDS = 3.0
_SEARCH_SECONDS = 20.0
_DESCRIBE_SECONDS = 20.0
_ONCE_MORE_BY_POST = frozenset({405, 414, 431, 501})


class RemoteOntology:
    """An ontology behind a SPARQL endpoint; see ``open_ontology``.

    It is safe to use from several threads. Nothing is sent before the first question. What is
    found out about the endpoint (prefixes, its way of full-text search) is kept for ten minutes in
    the process. Proxies of the environment are not used.

    Args:
        address: An http or https address. A login in it is used, and shown nowhere.
        name: A short name; by default the host, and what of the path tells it from others.
        auth: User and password, for basic authentication.
        token: A bearer token.
        headers: More headers to send. All of these go to the scheme, host and port of the address
            only, whatever it redirects to.
        allow_private: Whether it may be in a private network; by default whether
            ``RLM_SPARQL_ALLOW_PRIVATE`` is 1. An address that names this machine always may.
        default_graph: IRIs of graphs that make the default graph; by default the endpoint's choice.
        named_graph: IRIs of graphs that GRAPH can name.
        prefixes: More prefixes, which win over all others.
        federation: Addresses that SERVICE may name; the endpoint is what connects to them.
        search_query: A query for entity search with ``$text`` (becomes a string) and perhaps
            ``$limit``; its columns are the entity and, if you like, the text that matched.

    Raises:
        ConfigurationError: The address or an option cannot work.
    """

    def __init__(
        self,
        address: str,
        *,
        name: str | None = None,
        auth: tuple[str, str] | None = None,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        allow_private: bool | None = None,
        default_graph: str | Sequence[str] = (),
        named_graph: str | Sequence[str] = (),
        prefixes: Mapping[str, str] | None = None,
        federation: Sequence[str] = (),
        search_query: str | None = None,
    ) -> None:
        endpoint = read_address(address)
        login = find_login(endpoint, auth, token, headers)
        if allow_private is None:
            allow_private = os.environ.get(PRIVATE_VARIABLE) == "1"
        self._place = endpoint.place
        self._name = name or endpoint.name
        self._source = endpoint.shown
        self._client = HttpClient(endpoint, login, allow_private=allow_private)
        self._dataset = Dataset(
            _iris("default_graph", default_graph), _iris("named_graph", named_graph)
        )
        self._federation = frozenset(_iris("federation", federation))
        self._given = dict(prefixes or {})
        if search_query is not None:
            check_search_query(search_query)
        self._search_query = search_query
        given = tuple(sorted(self._given.items()))
        sent = tuple(sorted(login.headers.items()))
        key = (endpoint.place, self._name, self._dataset, given, sent, search_query)
        self._known: Known = known_of(key)
        self._prefixes = PrefixMap({**self._known.prefixes, **self._given})
        self._schemas = ClassSchemas(self)
        self._learned = False
        self._answered = False
        self._closed = False

    @property
    def name(self) -> str:
        """A short name, as in ``dbpedia.org``."""
        return self._name

    @property
    def source(self) -> str:
        """The address, without secrets."""
        return self._source

    @property
    def prefixes(self) -> Mapping[str, str]:
        """Prefix to namespace IRI: those given, those of the data, the usual ones."""
        return self._prefixes

    @property
    def host(self) -> str:
        """The host of the endpoint, for the modules of this package."""
        return self._place.origin.host

    @property
    def cards(self) -> MutableMapping[int, SenseCard]:
        """Where sense cards are kept, by their greatest length."""
        return self._known.cards

    @property
    def known(self) -> Known:
        """What was found out about the endpoint, for the modules of this package."""
        return self._known

    def select(self, query: str, *, limit: int = 100, timeout: float = 30.0) -> Rows:
        """Run a read-only SPARQL query; known prefixes need no declaration.

        A SELECT without LIMIT gets one. Rows are read as they come, and no more than wanted.
        Busy or failing connections are tried again within the time.

        Args:
            query: SELECT, ASK, CONSTRUCT or DESCRIBE.
            limit: The most rows to return; more set ``truncated``, as does a limit of the
                endpoint's own that it tells.
            timeout: Seconds for all of it: connecting, waiting, reading.

        Raises:
            QueryRejected: The query could change something or reach out; nothing was sent.
            QueryTimeout: It took longer than ``timeout``, or than the endpoint allows.
            QueryError: Anything else, with what to do.
            OntologyError: The endpoint failed, and never answered before; or it is closed.
        """
        if limit < 0 or not timeout > 0:
            raise QueryError(
                f"limit={limit} and timeout={timeout:g} cannot work: give a limit of at least 0 "
                "rows and a timeout of more than 0 seconds."
            )
        with self._within(timeout) as deadline:
            return self.ask(self.checked(query, deadline), limit, deadline)

    def search(
        self, text: str, *, limit: int = 10, kind: EntityKind | Literal["any"] = "any"
    ) -> list[Match]:
        """Find entities by label, synonym or name, best first, within 20 seconds.

        The endpoint's own full text is used where it has one that is known here, or else
        ``search_query``; without either, exact labels are looked up and the first labels are
        looked through. The list then has a ``note`` that says so.

        Raises:
            QueryTimeout: Nothing was found in time, which does not mean that there is nothing.
            QueryError: The endpoint failed.
            OntologyError: It failed, and never answered before; or it is closed.
        """
        with self._within(_SEARCH_SECONDS) as deadline:
            self._learn(deadline)
            return search_remote(
                self, text, limit=limit, kind=kind, custom=self._search_query, deadline=deadline
            )

    def describe(self, iri: str, *, limit: int = 25, timeout: float = 20.0) -> Description:
        """Say what is known of an entity, as far as bounded queries tell in time.

        Args:
            iri: An IRI in full, in angle brackets, or a prefixed name.
            limit: The most statements to give in each direction.
            timeout: Seconds.

        Raises:
            QueryError: No such prefix, or nothing is said of this IRI.
            QueryTimeout: It took too long.
        """
        full = self.expand(iri)
        with self._within(timeout) as deadline:
            self._learn(deadline)
            if not self.occurs(full, deadline):
                raise QueryError(
                    f"{iri} does not occur in the ontology {self._name!r}. Search for it by its "
                    "label."
                )
            return describe_remote(self, full, limit=limit, deadline=deadline)

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
        with self._within(_DESCRIBE_SECONDS) as deadline:
            return self.occurs(iri, deadline)

    def expand(self, name: str) -> str:
        """Give the full IRI of a prefixed name, ``<iri>`` or IRI.

        Raises:
            QueryError: The prefix is not known; the message lists those that are.
            OntologyError: It might be one of the data, but the endpoint failed.
        """
        try:
            return self._prefixes.expand(name)
        except QueryError:
            with self._within(_DESCRIBE_SECONDS) as deadline:
                if not self._learn(deadline):
                    raise
            return self._prefixes.expand(name)

    def compact(self, iri: str) -> str:
        """Give the prefixed name of an IRI that is legal in SPARQL, else ``<iri>``."""
        return self._prefixes.compact(iri)

    def close(self) -> None:
        """Close its connections; calling it again does nothing."""
        self._closed = True
        self._client.close()

    def __enter__(self) -> RemoteOntology:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"RemoteOntology(name={self._name!r}, source={self._source!r})"

    def checked(self, query: str, deadline: Deadline) -> CheckedQuery:
        """Check a query that was written by somebody else.

        Raises:
            QueryError: As ``select``.
        """
        check = partial(
            check_query,
            query,
            has_graph=partial(self._has_graph, deadline=deadline),
            services=self._federation,
        )
        try:
            checked = check(prefixes=self._prefixes)
        except QueryRejected:
            raise
        except QueryError:
            # A prefix may be unknown only because nothing was asked yet.
            if not self._learn(deadline):
                raise
            return check(prefixes=self._prefixes)
        self._learn(deadline)
        return checked

    def ask(self, query: CheckedQuery, limit: int, deadline: Deadline) -> Rows:
        """Send a query that passed the guard, or one of this package's own.

        Raises:
            TimeoutError: The deadline passed.
            QueryError: As ``select``.
        """
        if self._closed:
            raise OntologyError(
                f"The ontology {self._name!r} is closed. Open it again with open_ontology."
            )
        try:
            text = bounded_text(query, limit)
            text.encode()
        except UnicodeEncodeError:
            raise QueryError("The query has a lone surrogate in it. Leave it out.") from None
        began = time.perf_counter()
        agent = f"rlm-runtime/{version('rlm-runtime')} (SPARQLWrapper/{version('sparqlwrapper')})"
        while True:
            post = self._known.always_post
            request = make_request(
                self._place, text, query.form, self._dataset, agent, always_post=post
            )
            read = partial(self._read, query, limit, method=request.method)
            rows = self._client.run(request, deadline, read)
            if rows is not None:
                self._answered = True
                return replace(rows, duration=time.perf_counter() - began)
            self._known.always_post = True

    def ask_text(
        self, text: str, limit: int, deadline: Deadline, *, form: QueryForm = "SELECT"
    ) -> Rows:
        """Send a query of this package's own, which names all IRIs in full."""
        return self.ask(CheckedQuery(text, form, {}, (), False), limit, deadline)

    def occurs(self, iri: str, deadline: Deadline) -> bool:
        """Say what ``contains`` says, within a time."""
        if not LEGAL_IRI.fullmatch(iri):
            return False
        patterns = (f"<{iri}> ?p ?o", f"?s ?p <{iri}>", f"?s <{iri}> ?o")
        whole = " UNION ".join(f"{{ {p} }}" for p in (*patterns, f"GRAPH <{iri}> {{ ?s ?p ?o }}"))
        rows = self.ask_text(f"ASK {{ {whole} }}", 1, deadline, form="ASK")
        return bool(rows.rows[0]["ask"])

    def _read(self, query: CheckedQuery, limit: int, answer: Answer, *, method: str) -> Rows | None:
        """Read an answer; None asks for another attempt, by POST."""
        if 200 <= answer.status < 300:
            return read_rows(answer, query, limit, self._name)
        if answer.status in _ONCE_MORE_BY_POST and method == "GET":
            return None
        said = answer.told(answer.body.head().decode("utf-8", "replace"))
        if answer.status == 400 and _TELLS_PLACE.search(said):
            hint = explain_syntax_error(bounded_text(query, limit), said)
            raise QueryError(f"{hint}\nThe endpoint {self._name} said: {said}")
        moved = answer.place.origin != self._place.origin
        note = (
            f"It redirects to {answer.place.origin.netloc}, where the login does not follow; open "
            "that address if you trust it."
            if moved and answer.secrets
            else ""
        )
        raise failure_of_status(
            self._name, answer.status, said, sent_login=answer.with_login, note=note
        )

    @contextmanager
    def _within(self, seconds: float) -> Iterator[Deadline]:
        deadline = Deadline(seconds)
        try:
            yield deadline
        except TimeoutError as error:
            raise timed_out(self._name, deadline) from error
        except EndpointFailed as error:
            if self._answered:
                raise
            raise OntologyError(str(error)) from error

    def _learn(self, deadline: Deadline) -> bool:
        """Take in the prefixes of the data, once; say whether there are new ones."""
        if self._learned:
            return False
        if not self._known.asked_for_prefixes:
            probe = deadline.part(min(_PROBE_SECONDS, deadline.left() / 3))
            self._known.prefixes = learn_prefixes(self, self._given, probe)
            self._known.asked_for_prefixes = True
        self._learned = True
        self._prefixes = PrefixMap({**self._known.prefixes, **self._given})
        return bool(self._known.prefixes)

    def _has_graph(self, iri: str, *, deadline: Deadline) -> bool:
        if self._dataset != Dataset():
            return iri in (*self._dataset.default, *self._dataset.named)
        if not LEGAL_IRI.fullmatch(iri):
            return False
        query = f"ASK {{ GRAPH <{iri}> {{ ?s ?p ?o }} }}"
        return bool(self.ask_text(query, 1, deadline, form="ASK").rows[0]["ask"])


def _iris(option: str, given: str | Sequence[str]) -> tuple[str, ...]:
    found = (given,) if isinstance(given, str) else tuple(given)
    for iri in found:
        if not LEGAL_IRI.fullmatch(iri):
            raise ConfigurationError(f"{option}={iri!r} is no IRI. Give it in full.")
    return found
