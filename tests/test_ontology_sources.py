"""Sources that are no plain files: rdflib graphs, and RDF/XML that attacks memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import rdflib

from rlm_runtime.errors import OntologyError
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
    # In a process of its own, for a bomb that goes off ends more than the test.
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
    assert "DOCTYPE" in run.stdout or "entity" in run.stdout
