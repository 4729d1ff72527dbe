"""What can go wrong with an endpoint: its time, its refusals, and its words made fit to be told."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Sequence

from rlm_runtime.errors import QueryError, QueryTimeout
from rlm_runtime.redaction import redact_secrets

__all__ = ["Deadline", "EndpointFailed", "failure_of_status", "timed_out", "told"]

_MAX_TOLD = 300
# Sockets take no time-out of many years.
_LONGEST = 10_000_000.0
_TIMED_OUT = re.compile(
    r"time(?:d[ -]?|-?)out|TimeoutException|estimated execution time|exceeded .{0,30}time limit"
    r"|time limit|S1T(?:00|AT)",
    re.I,
)


class EndpointFailed(QueryError):
    """The endpoint itself failed, whatever it was asked."""


class Deadline:
    """The time left for one query, over all of its connections, waits and reads.

    Args:
        seconds: From now on.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = min(seconds, _LONGEST)
        self.doing = "connecting"
        self._until = time.monotonic() + self.seconds

    def left(self) -> float:
        """Give the seconds that are left, more than 0.

        Raises:
            TimeoutError: There are none.
        """
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def part(self, seconds: float) -> Deadline:
        """Give a deadline for a part of the work: so many seconds, but no more than are left."""
        return Deadline(min(seconds, self.left()))


def timed_out(name: str, deadline: Deadline) -> QueryTimeout:
    """Make the error for a deadline that has passed."""
    advice = (
        "Check that the endpoint is up and can be reached from here"
        if deadline.doing == "connecting"
        else "Make the patterns more specific, add a LIMIT, or raise the time bound"
    )
    return QueryTimeout(
        f"The endpoint {name} was given up after {deadline.seconds:g} s, while {deadline.doing}; "
        f"this does not mean that there are no results. {advice}."
    )


def told(text: str, secrets: Sequence[str] = ()) -> str:
    r"""Make an endpoint's words fit to be told: short, on one line, without markup and secrets.

    Args:
        text: What it sent.
        secrets: Texts that must not be shown, such as the password it was sent.

    Example:
        >>> told("<h1>Bad\n query</h1>\x1b[2J, token is t0p", ["t0p"])
        'Bad query \\x1b[2J, token is [hidden]'
    """
    if re.search(r"<(?:!doctype|html|body|head|h1|p|pre|title)\b", text[:2000], re.I):
        text = re.sub(r"(?is)<(script|style)\b.*?</\1\s*>|<[^>]*>", " ", text)
        text = html.unescape(text)
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "[hidden]")
    line = " ".join(redact_secrets(text).split())
    shown = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in line)
    return shown if len(shown) <= _MAX_TOLD else f"{shown[:_MAX_TOLD]}…"


def failure_of_status(
    name: str, status: int, said: str, *, sent_login: bool, note: str = ""
) -> QueryError:
    """Make the error for an answer that is no success.

    Args:
        name: The endpoint.
        status: The HTTP status.
        said: The endpoint's words, fit to be told.
        sent_login: Whether a login was sent.
        note: More to tell, as that a redirect left the login behind.
    """
    words = f": {said}" if said else "."
    more = f" {note}" if note else ""
    if status in (400, 422):
        return QueryError(f"The endpoint {name} refused the query{words}{more}")
    if status != 404 and _TIMED_OUT.search(said):
        return QueryTimeout(
            f"The endpoint {name} gave the query up at a time limit of its own; this does not mean "
            f"that there are no results. Make the patterns more specific or add a LIMIT. It said"
            f"{words}{more}"
        )
    if status == 413:
        return QueryError(f"The query is too long for the endpoint {name}. Shorten it{words}{more}")
    if status == 500:
        return QueryError(
            f"The endpoint {name} failed over the query (status 500). Simplify it or try "
            f"again{words}{more}"
        )
    if status == 401:
        advice = (
            "The login that was sent was not accepted"
            if sent_login
            else "It wants a login: open_ontology(…, auth=(user, password)) or token=, or set "
            "RLM_SPARQL_HOST with RLM_SPARQL_USER and RLM_SPARQL_PASSWORD, or with RLM_SPARQL_TOKEN"
        )
    else:
        advice = _ADVICE.get(status, "Check the address and the state of the endpoint")
    return EndpointFailed(
        f"The endpoint {name} answers with status {status}. {advice}{words}{more}"
    )


_ADVICE = {
    403: "Access is forbidden to this login or from this machine",
    404: "There is nothing at this address; check its path, as in /sparql or /query",
    405: "It takes neither GET nor POST there; this is no SPARQL query endpoint",
    406: "It has no results as JSON or XML, or no graphs as N-Triples or Turtle",
    407: "A proxy is in the way and wants a login",
    429: "It asks for fewer requests; try again later",
    502: "What stands before it cannot reach it; try again later",
    503: "It is overloaded or down; try again later",
    504: "What stands before it got no answer from it in time; try again later",
}
