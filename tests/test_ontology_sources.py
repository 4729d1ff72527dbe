"""Sources that are no plain files: rdflib graphs, other prefixes, and files that attack."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import rdflib

from rlm_runtime.errors import ConfigurationError, OntologyError
from rlm_runtime.ontology import Ontology, open_ontology

TURTLE = """@prefix e: <http://e/> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
e:Cat rdfs:subClassOf e:Animal ; rdfs:label "Katze"@de ; rdfs:seeAlso <#more> .
"""
TRIG = "@prefix e: <http://e/> .\n@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .\n" + (
    'e:graph { e:Cat rdfs:subClassOf e:Animal ; rdfs:label "Katze"@de }\n'
)


def count(ontology: Ontology) -> object:
    return ontology.select("SELECT (COUNT(*) AS ?n) { ?s ?p ?o }").rows[0]["n"]


def refusal(path: Path) -> str:
    """Open a file in a process of its own, for an attack that works ends more than the test."""
    program = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))\n"
        "from rlm_runtime.errors import OntologyError\n"
        "from rlm_runtime.ontology import open_ontology\n"
        "try:\n    open_ontology(sys.argv[1])\n"
        "except OntologyError as error:\n    print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_an_rdflib_graph_is_copied_as_it_is_now() -> None:
    graph = rdflib.Graph(identifier="http://e/zoo").parse(data=TURTLE, publicID="http://e/base")
    graph.add(
        (rdflib.URIRef("http://e/a b"), rdflib.RDF.value, rdflib.Literal('x\n"\\é', lang="en"))
    )
    graph.add((rdflib.BNode("n-1"), rdflib.RDF.value, rdflib.Literal(5)))
    with open_ontology(graph) as ontology:
        graph.add((rdflib.URIRef("http://e/later"), rdflib.RDF.value, rdflib.Literal(1)))
        assert (ontology.name, ontology.source) == ("zoo", "rdflib.Graph")
        assert count(ontology) == 5
        assert next(iter(ontology.prefixes)) == "e"
        values = ontology.select("SELECT ?v { ?s rdf:value ?v } ORDER BY ?v").rows
        assert [row["v"] for row in values] == ['x\n"\\é', 5] or values[0]["v"] == 5


def test_an_rdflib_dataset_keeps_its_graphs() -> None:
    dataset = rdflib.Dataset()
    dataset.parse(data=TRIG, format="trig")
    with open_ontology(dataset) as ontology:
        rows = ontology.select("SELECT DISTINCT ?g { GRAPH ?g { ?s ?p ?o } }").rows
        assert rows == [{"g": "http://e/graph"}]
        assert count(ontology) == 2
        assert ontology.name == "graph"


def test_an_rdflib_graph_that_is_no_rdf_is_refused() -> None:
    with pytest.raises(OntologyError, match="no triples"):
        open_ontology(rdflib.Graph())
    rules = rdflib.Graph().parse(
        data="{ ?x <http://e/a> ?y } => { ?y <http://e/b> ?x } .", format="n3"
    )
    with pytest.raises(OntologyError, match="formulas"):
        open_ontology(rules)


_OLD, _NEW = "http://schema.org/", "https://schema.org/"


@pytest.mark.parametrize(
    ("namespaces", "prefixes", "expected"),
    [
        ([_OLD], "", _OLD),
        ([_NEW], "", _NEW),
        ([_OLD, _NEW], "", _NEW),
        ([], "", _NEW),
        ([_OLD], f"@prefix schema: <{_NEW}> .", _NEW),
        ([_NEW], f"@prefix schema: <{_OLD}> .", _OLD),
    ],
)
def test_schema_stands_for_the_namespace_that_the_data_use(
    tmp_path: Path, namespaces: list[str], prefixes: str, expected: str
) -> None:
    path = tmp_path / "some.ttl"
    data = "\n".join(f'<http://e/x> <{namespace}name> "X" .' for namespace in namespaces)
    path.write_text(f'{prefixes}\n{data}\n<http://e/x> <http://e/p> "y" .')
    with open_ontology(path) as ontology:
        assert ontology.prefixes["schema"] == expected
        assert ontology.compact(f"{expected}name") == "schema:name"


def test_a_name_of_its_own_for_schema_org_wins(tmp_path: Path) -> None:
    path = tmp_path / "some.ttl"
    path.write_text(f"@prefix s: <{_OLD}> .\n<http://e/x> a s:Thing .")
    with open_ontology(path) as ontology:
        assert ontology.compact(f"{_OLD}name") == "s:name"
        assert ontology.expand("schema:name") == f"{_OLD}name"


def test_schema_stands_for_what_an_rdflib_graph_uses() -> None:
    graph = rdflib.Graph().parse(data=f'<http://e/x> <{_OLD}name> "X" .', format="turtle")
    with open_ontology(graph) as ontology:
        assert ontology.compact(f"{_OLD}name") == "schema:name"


def _nested(depth: int, opening: str, closing: str, before: str = "1") -> str:
    return f'{{"@context": {{"@vocab": "http://e/"}}, "q": [{before}], "p": ' + (
        f"{opening * depth}1{closing * depth}}}"
    )


@pytest.mark.parametrize(
    "text",
    [
        _nested(10_000, '{"p":', "}"),
        _nested(10_000, '{"p": "}}}}}", "q": ', "}"),
        _nested(10_000, '{"p": "\\\\\\"}}}}", "q": ', "}"),
        _nested(10_000, '{"@list": [', "]}"),
        _nested(10_000, '{"p":', "}", before=", ".join(['"\\\\"'] * 49_999)),
        _nested(10_000, f'{{"q": {" " * 70}"{"x" * 70}", "p":', "}"),
    ],
    ids=["plain", "closed in strings", "behind escapes", "lists", "late", "wide"],
)
def test_json_that_is_nested_too_deep_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "deep.jsonld"
    path.write_text(text)
    assert "nests values deeper than 1000" in refusal(path)


@pytest.mark.parametrize(
    "text", ["[[[{{", 'a "[" b', "\\[", '\\"[{', "\\\\", "[" * 3000, "]" * 3000, "\\" * 3000]
)
def test_brackets_in_json_strings_are_text(tmp_path: Path, text: str) -> None:
    path = tmp_path / "some.jsonld"
    texts = [text + str(i) for i in range(2_000)] + [text * 3]
    path.write_text(json.dumps({"@context": {"@vocab": "http://e/"}, "p": texts}))
    with open_ontology(path) as ontology:
        assert count(ontology) == 2_001


def _bomb(levels: int) -> str:
    entities = '<!ENTITY e0 "aaaaaaaaaa">' + "".join(
        f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, levels)
    )
    return entities


_BODY = (
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:e="http://e/">{}'
    '<rdf:Description rdf:about="#x"><e:p>&e11;</e:p></rdf:Description></rdf:RDF>'
)
BOMBS = {
    "plain": f"<!DOCTYPE x [{_bomb(12)}]>" + _BODY.format(""),
    "inside": _BODY.format(f"<!DOCTYPE x [{_bomb(12)}]>"),
    "late": _BODY.format("<!--" + " " * 200_000 + f"--><!DOCTYPE x [{_bomb(12)}]>"),
    "twice": f"<!DOCTYPE x [{_bomb(2)}]><!DOCTYPE x [{_bomb(12)}]>" + _BODY.format(""),
    "grown": '<!DOCTYPE x [<!ENTITY e11 "aa">'
    + '<!ENTITY e11 "&e11;&e11;">' * 40
    + "]>"
    + _BODY.format(""),
    "commented": f"<!DOCTYPE x [<!-- {_bomb(12)} -->]>" + _BODY.format(""),
    "hidden end": f'<!DOCTYPE x [<!ENTITY a "]><rdf:RDF>">{_bomb(12)}]>' + _BODY.format(""),
    "long": "<!DOCTYPE x [" + " " * 70_000 + f"{_bomb(12)}]>" + _BODY.format(""),
    "outside": '<!DOCTYPE x [<!ENTITY e11 SYSTEM "file:///etc/passwd">]>' + _BODY.format(""),
}


@pytest.mark.parametrize("name", BOMBS)
def test_xml_entities_fill_no_memory(tmp_path: Path, name: str) -> None:
    path = tmp_path / "bomb.rdf"
    path.write_text(BOMBS[name])
    reason = refusal(path)
    assert "DOCTYPE" in reason or "entity" in reason


@pytest.mark.parametrize(
    ("source", "options", "told"),
    [
        ("http://127.0.0.1:9/sparql", {"format": "turtle"}, "format= .* files only"),
        ("http://127.0.0.1:9/sparql", {"memory_limit": 2**30}, "files and graphs only"),
        (rdflib.Graph(), {"format": "turtle", "imports": {}}, r"format=, imports= .* files only"),
        (rdflib.Graph(), {"token": "t"}, "address of an endpoint only"),
    ],
)
def test_what_could_do_nothing_is_refused(
    source: object, options: dict[str, object], told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        open_ontology(source, **options)  # type: ignore[call-overload]
    graph = rdflib.Graph().parse(data="<http://e/a> a <http://e/C> .")
    with open_ontology(graph) as opened, pytest.raises(ConfigurationError, match="Leave it out"):
        open_ontology(opened, **options)  # type: ignore[call-overload]
