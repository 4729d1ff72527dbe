"""The full-text search of the engines that have one, as data: how each is asked, and found out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING

from rlm_runtime.errors import ConfigurationError, QueryError
from rlm_runtime.ontology.labels import values_clause
from rlm_runtime.ontology.remote_errors import Deadline, EndpointFailed
from rlm_runtime.ontology.text import whole_words

if TYPE_CHECKING:
    from rlm_runtime.ontology.remote import RemoteOntology

__all__ = ["FullText", "check_search_query", "custom_query", "find_full_text", "in_quotes"]

_PROBE_SECONDS = 2.0
_MAX_PROBED = 5


@dataclass(frozen=True)
class FullText:
    """How an engine is asked for texts with some words.

    Attributes:
        engine: Its name.
        pattern: Binds ?s and ?label; ``$words`` is a string in quotes, ``$limit`` a number and
            ``$labels`` a pattern that binds them by label predicates.
        word: How one word stands in the string.
        between: What joins words that must all be there.
        hosts: What the host must end with, for services that not every engine may be asked for.
    """

    engine: str
    pattern: str
    word: str = "{}"
    between: str = " AND "
    hosts: str = ""

    def query(self, words: Sequence[str], label_predicates: Iterable[str], limit: int) -> str:
        """Write the query for entities with all of some words in a label.

        Args:
            words: Letters and digits only.
            label_predicates: In full.
            limit: The most rows.
        """
        which = values_clause(list(label_predicates)).replace("?x", "?p")
        pattern = Template(self.pattern).substitute(
            words=in_quotes(self.between.join(self.word.format(word) for word in words)),
            limit=limit,
            labels=f"{which} ?s ?p ?label .",
        )
        return f"SELECT DISTINCT ?s ?label WHERE {{ {pattern} }} LIMIT {limit}"


# Sources: the engines' own manuals. Virtuoso: docs.openlinksw.com, "Using Full Text Search in
# SPARQL"; Blazegraph: its wiki, "FullTextSearch"; Jena: "Jena Full Text Search"; GraphDB:
# "Full-text search"; Stardog: "Full-text Search"; AllegroGraph: "Freetext indexing"; Wikidata:
# "MWAPI".
_ENGINES = (
    FullText("Virtuoso", "$labels ?label <bif:contains> $words .", word="'{}'"),
    FullText(
        "Blazegraph",
        "?label <http://www.bigdata.com/rdf/search#search> $words ; "
        '<http://www.bigdata.com/rdf/search#matchAllTerms> "true" . $labels',
        between=" ",
    ),
    FullText("Jena", "?s <http://jena.apache.org/text#query> ($words $limit) . $labels"),
    FullText("GraphDB", "?label <http://www.ontotext.com/fts> $words . $labels"),
    FullText("Stardog", "?label <tag:stardog:api:property:textMatch> $words . $labels"),
    FullText(
        "AllegroGraph",
        "(?s ?label) <http://franz.com/ns/allegrograph/2.2/textindex/match> $words . $labels",
        between=" ",
    ),
    FullText(
        "Wikidata",
        "SERVICE <http://wikiba.se/ontology#mwapi> { "
        '<http://www.bigdata.com/rdf#serviceParam> <http://wikiba.se/ontology#api> "EntitySearch" ;'
        ' <http://wikiba.se/ontology#endpoint> "www.wikidata.org" ;'
        " <https://www.mediawiki.org/ontology#API/search> $words ;"
        ' <https://www.mediawiki.org/ontology#API/language> "en" . '
        "?s <http://wikiba.se/ontology#apiOutputItem> <https://www.mediawiki.org/ontology#API/item>"
        ' } $labels FILTER(LANG(?label) = "en")',
        between=" ",
        hosts="wikidata.org",
    ),
)


def find_full_text(
    remote: RemoteOntology,
    texts: Sequence[str],
    label_predicates: Sequence[str],
    deadline: Deadline,
) -> FullText | None:
    """Find the full-text search of an endpoint: the one that finds a word it is known to have.

    Engines without it take its predicates for ordinary ones, and find nothing.

    Args:
        remote: What to ask.
        texts: Some of its labels.
        label_predicates: In full.
        deadline: Of all probes.
    """
    words = [w for text in texts for w in whole_words(text) if len(w) > 3 and w.isascii()]
    if not words:
        return None
    host = remote.host
    for engine in _ENGINES:
        if engine.hosts and not re.search(rf"(^|\.){re.escape(engine.hosts)}$", host):
            continue
        query = engine.query(words[:1], label_predicates, _MAX_PROBED)
        try:
            if remote.ask_text(query, _MAX_PROBED, deadline.part(_PROBE_SECONDS)).terms:
                return engine
        except EndpointFailed:
            raise
        except (QueryError, TimeoutError):
            deadline.left()
    return None


def check_search_query(query: str) -> None:
    """Check that a query of the user's has the places that are filled in.

    Raises:
        ConfigurationError: It has no ``$text``, or other places.
    """
    try:
        filled = Template(query).substitute(text='""', limit=1)
    except (KeyError, ValueError) as error:
        raise ConfigurationError(
            f"search_query= has a place that is not known ({error}). There are $text and $limit; "
            "write variables with a question mark, and other dollar signs as $$."
        ) from None
    if filled == query or "$text" not in query.replace("${text}", "$text"):
        raise ConfigurationError("search_query= has no $text, which stands for what is looked for.")


def custom_query(query: str, text: str, limit: int) -> str:
    r"""Fill in a query of the user's; the text becomes a string in quotes.

    Example:
        >>> custom_query("SELECT ?s { ?s :says $text } LIMIT $limit", 'a "b"', 5)
        'SELECT ?s { ?s :says "a \\"b\\"" } LIMIT 5'
    """
    return Template(query).substitute(text=in_quotes(text), limit=limit)


def in_quotes(text: str) -> str:
    """Write a text as a string of SPARQL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "")
