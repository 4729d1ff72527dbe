"""ontology/prov.ttl says what W3C's PROV-O says, all of it, and comments in our own words."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import SequenceMatcher
from pathlib import Path

import pytest
from rdflib import OWL, RDF, RDFS, BNode, Dataset, Graph, Literal, Namespace, URIRef
from rdflib.compare import graph_diff
from rdflib.term import Node

# rdflib's own readers use what its datasets deprecate.
pytestmark = pytest.mark.filterwarnings("ignore:Dataset.default_context:DeprecationWarning")

PROV = Namespace("http://www.w3.org/ns/prov#")
PROV_O = URIRef("http://www.w3.org/ns/prov-o#")
FILE = Path(__file__).parents[1] / "ontology" / "prov.ttl"
KINDS = (OWL.Class, OWL.ObjectProperty, OWL.DatatypeProperty)
NOT_STRUCTURE = {
    *(RDFS.label, RDFS.comment, RDFS.isDefinedBy),
    *(PROV.definition, PROV.editorsDefinition, PROV.editorialNote, PROV.sharesDefinitionWith),
    *(PROV.dm, PROV.n, PROV.constraints),
}
TRUE_OF_EVERYTHING = {(RDFS.subClassOf, OWL.Thing), (RDFS.subPropertyOf, OWL.topObjectProperty)}
PROSE = (RDFS.comment, PROV.definition, PROV.editorsDefinition, PROV.editorialNote)
WORDS_IN_A_ROW = 8


@pytest.fixture(scope="module")
def ours() -> Graph:
    return Graph().parse(FILE, format="turtle")


@pytest.fixture(scope="module")
def w3c(vocabulary: Callable[[str], Path]) -> Graph:
    dataset = Dataset(default_union=True)
    dataset.parse(vocabulary("prov"), format="nquads")
    merged = Graph()
    merged += dataset.triples((None, None, None))
    return merged


def terms(graph: Graph) -> set[Node]:
    """The classes and properties of PROV-O itself, not of the documents around it."""
    return {
        term
        for term in graph.subjects(RDFS.isDefinedBy, PROV_O)
        if any((term, RDF.type, kind) in graph for kind in KINDS)
    }


def annotation_terms(graph: Graph) -> set[Node]:
    found = set(graph.subjects(RDF.type, OWL.AnnotationProperty))
    return {term for term in found if str(term).startswith(PROV)} - terms(graph)


def structure(graph: Graph, roots: set[Node]) -> Graph:
    """All that is said of the roots and of the blank nodes below them, but prose."""
    found = Graph()
    waiting = list(roots)
    while waiting:
        subject = waiting.pop()
        for predicate, value in graph.predicate_objects(subject):
            if predicate in NOT_STRUCTURE or (predicate, value) in TRUE_OF_EVERYTHING:
                continue
            found.add((subject, predicate, value))
            if isinstance(value, BNode):
                waiting.append(value)
    return found


def test_it_has_the_classes_and_properties_of_prov_o(ours: Graph, w3c: Graph) -> None:
    assert terms(ours) == terms(w3c)


def test_every_axiom_is_that_of_prov_o(ours: Graph, w3c: Graph) -> None:
    roots = terms(w3c) | annotation_terms(ours)
    _, only_ours, only_w3c = graph_diff(structure(ours, roots), structure(w3c, roots))
    assert sorted(only_ours) == []
    assert sorted(only_w3c) == []


def test_nothing_is_said_of_other_terms(ours: Graph) -> None:
    subjects = {subject for subject in ours.subjects() if isinstance(subject, URIRef)}
    assert subjects == terms(ours) | annotation_terms(ours) | {PROV_O}


def test_every_term_that_is_mentioned_is_there(ours: Graph) -> None:
    mentioned = {
        term for triple in ours for term in triple if isinstance(term, URIRef) and term in PROV
    }
    assert mentioned == terms(ours) | annotation_terms(ours)


def test_every_term_has_its_w3c_name_as_its_only_label(ours: Graph) -> None:
    for term in terms(ours) | annotation_terms(ours):
        name = str(term).removeprefix(PROV)
        assert list(ours.objects(term, RDFS.label)) == [Literal(name, lang="en")]


def test_every_term_has_one_comment_of_one_line_that_no_other_has(ours: Graph) -> None:
    seen: set[str] = set()
    for term in terms(ours) | annotation_terms(ours):
        (comment,) = ours.objects(term, RDFS.comment)
        assert isinstance(comment, Literal)
        assert comment.language == "en"
        assert 20 <= len(comment) <= 160, term
        assert "\n" not in comment
        assert comment not in seen, term
        seen.add(str(comment))


def test_no_comment_is_taken_from_the_w3c(ours: Graph, w3c: Graph) -> None:
    sentences = [
        sentence
        for predicate in PROSE
        for text in w3c.objects(None, predicate)
        for sentence in (str(text), *re.split(r"(?<=[.;:])\s+", str(text)))
    ]
    runs = {run for sentence in sentences for run in word_runs(sentence)}
    for term, comment in ours.subject_objects(RDFS.comment):
        assert not word_runs(str(comment)) & runs, term
        for mine in re.split(r"(?<=[.;:])\s+", str(comment)):
            for sentence in sentences:
                # The quick upper bounds spare most of the pairs the slow comparison.
                matcher = SequenceMatcher(None, mine.lower(), sentence.lower())
                alike = matcher.real_quick_ratio() > 0.8 and matcher.quick_ratio() > 0.8
                assert not (alike and matcher.ratio() > 0.8), (term, sentence)


def word_runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return {
        tuple(words[start : start + WORDS_IN_A_ROW])
        for start in range(len(words) - WORDS_IN_A_ROW + 1)
    }
