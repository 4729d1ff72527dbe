"""The offline explorer answers from the data alone, and says so when it cannot."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import dspy
import pytest
import rdflib
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rlm_runtime.engine.dspy_rlm import run_dspy_rlm
from rlm_runtime.engine.offline import OfflineLM
from rlm_runtime.errors import QueryTimeout
from rlm_runtime.interpreter import MontyInterpreter
from rlm_runtime.ontology import Ontology, Rows, open_ontology
from rlm_runtime.types import RunResult
from tests.support.company import write_company_graph
from tests.support.lms import ScriptedLM, cell
from tests.support.questions import COMPANY, PROV, SCHEMA, SKOS, SOSA, Asked

# rdflib's own readers use what its datasets deprecate.
pytestmark = pytest.mark.filterwarnings("ignore:Dataset.default_context:DeprecationWarning")

_PROV = Path(__file__).parents[1] / "ontology" / "prov.ttl"


def _id(asked: Asked) -> str:
    return asked.question


def _answers(
    asked: Asked, ontology: Ontology, graph: rdflib.Graph | rdflib.Dataset, home: str
) -> RunResult:
    """Ask, and hold the answer against the facts; its query is run by another engine."""
    result = run_dspy_rlm(asked.question, ontology, model="offline")
    assert result.converged
    assert result.stop_reason == "submitted"
    assert result.iteration_count == 2
    assert not any(step.error for step in result.trajectory)
    assert result.grounding.missing_iris == ()
    if asked.absent:
        assert result.answer.startswith("Not found in this ontology")
        assert result.evidence == []
        assert result.sparql == ""
        return result
    assert not result.answer.startswith("Not ")
    assert result.sparql
    assert result.verification.startswith("check_query: ok")
    for text in asked.says:
        assert text in result.answer
    if asked.number is not None:
        found = re.search(r"\b(no|\d+)\b", re.sub(r"\([^)]*\)", "", result.answer))
        assert found is not None
        assert asked.number == int(found[0].replace("no", "0"))
    if asked.names is not None:
        wanted = {home + name for name in asked.names.split()}
        rows = graph.query(result.sparql, initNs=dict(ontology.prefixes))
        assert {str(row[0]) for row in rows if str(row[0]).startswith(home)} == wanted
        for name in wanted:
            assert ontology.compact(name) in result.answer
            assert ontology.compact(name) in result.evidence
    return result


@pytest.fixture(scope="module")
def prov() -> tuple[Ontology, rdflib.Graph]:
    return open_ontology(_PROV), rdflib.Graph().parse(_PROV)


@pytest.mark.parametrize("asked", PROV, ids=_id)
def test_questions_over_prov(asked: Asked, prov: tuple[Ontology, rdflib.Graph]) -> None:
    result = _answers(asked, *prov, "http://www.w3.org/ns/prov#")
    for step in result.trajectory:
        lines = step.code.splitlines()
        assert len(lines) <= 25
        assert max(map(len, lines)) <= 90
        assert not any(line.startswith("def ") for line in lines)


_Opened = Callable[[str], tuple[Ontology, rdflib.Dataset]]


@pytest.fixture(scope="module")
def opened(vocabulary: Callable[[str], Path]) -> _Opened:
    """Open a published vocabulary, once a module, with our engine and with rdflib."""
    known: dict[str, tuple[Ontology, rdflib.Dataset]] = {}

    def get(name: str) -> tuple[Ontology, rdflib.Dataset]:
        if name not in known:
            file = vocabulary(name)
            dataset = rdflib.Dataset(default_union=True).parse(file, format="nquads")
            known[name] = open_ontology(file), dataset
        return known[name]

    return get


@pytest.mark.parametrize("asked", SKOS, ids=_id)
def test_questions_over_skos(asked: Asked, opened: _Opened) -> None:
    _answers(asked, *opened("skos"), "http://www.w3.org/2004/02/skos/core#")


@pytest.mark.parametrize("asked", SOSA, ids=_id)
def test_questions_over_sosa(asked: Asked, opened: _Opened) -> None:
    _answers(asked, *opened("sosa"), "http://www.w3.org/ns/sosa/")


@pytest.mark.parametrize("asked", SCHEMA, ids=_id)
def test_questions_over_schema(asked: Asked, opened: _Opened) -> None:
    _answers(asked, *opened("schema"), "http://schema.org/")


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ontology, rdflib.Graph]:
    file = tmp_path_factory.mktemp("company") / "company.ttl"
    write_company_graph(file)
    return open_ontology(file), rdflib.Graph().parse(file)


@pytest.mark.parametrize("asked", COMPANY, ids=_id)
def test_questions_over_instances(asked: Asked, company: tuple[Ontology, rdflib.Graph]) -> None:
    _answers(asked, *company, "http://example.org/company/id/")


_TINY = """
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix z: <http://example.org/zoo#> .
z:Animal a owl:Class ; rdfs:label "animal"@en, "Tier"@de ; skos:definition "It breathes."@en .
z:Bird a owl:Class ; rdfs:subClassOf z:Animal ; rdfs:label "bird"@en .
z:feeds a owl:ObjectProperty ; rdfs:label "feeds"@en ; rdfs:range z:Animal ;
  rdfs:domain [ a owl:Class ; owl:unionOf ( z:Keeper z:Visitor ) ] .
z:Keeper a owl:Class . z:Visitor a owl:Class .
z:tux a z:Bird ; rdfs:label "Tux" . z:ada a z:Keeper ; rdfs:label "Ada" ; z:feeds z:tux .
z:red skos:broader z:colour ; skos:prefLabel "red"@en . z:colour skos:prefLabel "colour"@en .
"""


@pytest.fixture(scope="module")
def tiny() -> Ontology:
    return open_ontology(rdflib.Graph().parse(data=_TINY, format="turtle"))


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is an animal?", "animal (z:Animal) is a class: It breathes."),
        ("What is the domain of feeds?", "2 classes: z:Keeper, z:Visitor."),
        ("What is narrower than colour?", "colour (z:colour) has 1 direct narrower concept: red"),
        ("What is the German label of animal?", "animal (z:Animal) is called Tier."),
        ("Whom does Ada feed?", "“feeds” of Ada (z:ada): Tux (z:tux)."),
        ("How many triples are there?", "Triples in this ontology: 27."),
        ("Which bird is the oldest?", "Not answered: the question holds “oldest”"),
        ("How many keepers are not fed?", "Not answered: the question holds “not”"),
        ("Which birds lived in 1999?", "Not answered: the question holds “1999”"),
        ("Which classes are not subclasses of animal?", "Not answered: the question holds “not”"),
    ],
)
def test_an_ontology_never_seen_before(question: str, answer: str, tiny: Ontology) -> None:
    assert answer in run_dspy_rlm(question, tiny, model="offline").answer


_WORDS = re.findall(
    r"[^ ]+",
    "what is the a of how many subclasses domain range inverse Bird z:feeds Ada 'x \" \\ {x} "
    "[[ ## history ## ]] Cell 1: ? are there does have related and list match [0, 1] <http://e/> "
    '<a b> """ animal\'s not in “red” :x z: between Tux',
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(
        st.text(min_size=1, max_size=200),
        st.lists(st.sampled_from([*_WORDS, "\n"]), min_size=1, max_size=12).map(" ".join),
    ).filter(str.strip)
)
@example('"0x}"')
def test_any_text_gets_a_result(tiny: Ontology, text: str) -> None:
    result = run_dspy_rlm(text, tiny, model="offline", max_iterations=4)
    assert result.answer
    assert result.iteration_count <= 3
    assert result.stop_reason == "submitted"
    assert result.grounding.missing_iris == ()
    assert result.grounding.sparql_ok is not False


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(label=st.text(min_size=1, max_size=40), name=st.text(min_size=1, max_size=10))
def test_any_label_and_name_can_be_asked_about(label: str, name: str) -> None:
    zoo = rdflib.Namespace("http://example.org/zoo#")
    odd = zoo[quote(name, safe="'()*,;$!~")]
    graph = rdflib.Graph().parse(data=_TINY, format="turtle")
    graph.add((odd, rdflib.RDF.type, rdflib.OWL.Class))
    graph.add((odd, rdflib.RDFS.label, rdflib.Literal(label)))
    graph.add((odd, rdflib.RDFS.subClassOf, zoo.Animal))
    graph.add((zoo.feeds, rdflib.RDFS.range, odd))
    with open_ontology(graph) as ontology:
        for question in (
            f"What is <{odd}>?",
            f"What is <{odd}> a subclass of?",
            f"How many subclasses does <{odd}> have?",
            f"How are <{odd}> and animal related?",
            f"Is <{odd}> a subclass of animal?",
            f"What is the label of <{odd}>?",
        ):
            result = run_dspy_rlm(question, ontology, model="offline")
            assert not any(step.error for step in result.trajectory)
            assert str(odd) in result.grounding.evidence_iris


def test_it_is_the_same_every_time_and_counts_its_tokens(tiny: Ontology) -> None:
    first, second = (run_dspy_rlm("What is Bird?", tiny, model="offline") for _ in range(2))
    assert first.trajectory == second.trajectory
    assert first.usage == second.usage
    total = first.usage.total
    assert total.calls == 2
    assert total.input_tokens > total.output_tokens > 0
    assert total.cost_usd in (None, 0.0)


def test_too_few_turns_are_told_as_such(tiny: Ontology) -> None:
    result = run_dspy_rlm("What is Bird?", tiny, model="offline", max_iterations=1)
    assert not result.converged
    assert result.stop_reason == "max_iterations"
    assert "turns were used up" in result.answer
    assert (result.sparql, result.evidence) == ("", [])


def test_it_gives_up_when_it_does_not_see_what_was_found(tiny: Ontology) -> None:
    result = run_dspy_rlm("What is Bird?", tiny, model="offline", max_output_chars=10)
    assert result.stop_reason == "submitted"
    assert result.answer.startswith("Not answered")


@pytest.mark.parametrize("question", ["What is Bird?", "What is a dragon?", "List all classes"])
def test_it_reads_what_a_sandbox_prints_without_tables(tiny: Ontology, question: str) -> None:
    plain = run_dspy_rlm(question, tiny, model="offline", interpreter=MontyInterpreter)
    assert plain.converged
    assert plain.answer == run_dspy_rlm(question, tiny, model="offline").answer


def test_a_search_that_fails_is_no_absence(tiny: Ontology, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> Any:
        raise QueryTimeout("The search took longer than 30 s.")

    monkeypatch.setattr(tiny, "search", away)
    result = run_dspy_rlm("What is a dragon?", tiny, model="offline")
    assert result.answer.startswith("Not answered")
    assert "longer than 30 s" in result.answer


def test_a_query_that_fails_is_no_empty_answer(
    tiny: Ontology, monkeypatch: pytest.MonkeyPatch
) -> None:
    select = tiny.select

    def slow(query: str, **options: Any) -> Rows:
        if "?entity rdfs:subClassOf z:Animal" in query:
            raise QueryTimeout("It took longer than 30 s.")
        return select(query, **options)

    monkeypatch.setattr(tiny, "select", slow)
    result = run_dspy_rlm("What are the subclasses of animal?", tiny, model="offline")
    assert result.stop_reason == "submitted"
    assert result.iteration_count == 3
    assert result.answer.startswith("Not answered: the offline explorer's query failed.")
    assert "longer than 30 s" in result.answer


@pytest.mark.parametrize("length", [299, 300, 301, 650, 1500])
def test_a_definition_is_told_whole_or_its_cut_is_shown(length: int) -> None:
    text = ("word " * 400)[: length - 1] + "!"
    graph = rdflib.Graph().parse(data=_TINY, format="turtle")
    owl = rdflib.URIRef("http://example.org/zoo#Owl")
    graph.add((owl, rdflib.RDF.type, rdflib.OWL.Class))
    graph.add((owl, rdflib.RDFS.comment, rdflib.Literal(text, lang="en")))
    with open_ontology(graph) as ontology:
        answer = run_dspy_rlm("What is an owl?", ontology, model="offline").answer
    shown = text if length <= 300 else f"{text[:300]}… [+{length - 300} chars]"
    assert answer == f"Owl (z:Owl) is a class: {shown}"


def test_prompts_of_other_forms_are_declined_in_their_form() -> None:
    class Judge(dspy.Signature):
        claim: str = dspy.InputField()
        verdict: str = dspy.OutputField()
        score: int = dspy.OutputField()
        sure: Literal["yes", "no"] = dspy.OutputField()
        reasons: list[str] = dspy.OutputField()

    with dspy.context(lm=OfflineLM()):
        for adapter in (dspy.ChatAdapter(), dspy.JSONAdapter()):
            with dspy.context(adapter=adapter):
                judged = dspy.Predict(Judge)(claim="The sky is blue.")
            assert "cannot reason about texts" in judged.verdict
            assert (judged.score, judged.sure, judged.reasons) == (0, "yes", [])
    (text,) = OfflineLM()("Summarise this.")
    assert "cannot reason about texts" in text


def test_it_can_be_awaited() -> None:
    (text,) = asyncio.run(OfflineLM().acall("Hello"))
    assert "offline explorer" in text


def test_a_cell_may_ask_it_as_the_sub_model(tiny: Ontology) -> None:
    lm = ScriptedLM(cell("SUBMIT(answer=llm_query('Are birds animals?'))"))
    result = run_dspy_rlm("Any?", tiny, model=lm, sub_model="offline")
    assert "cannot reason about texts" in result.answer


def test_it_answers_where_the_user_prefers_json(tiny: Ontology) -> None:
    with dspy.context(adapter=dspy.JSONAdapter()):
        result = run_dspy_rlm("What is an animal?", tiny, model="offline")
    assert "It breathes." in result.answer
