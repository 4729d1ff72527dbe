"""A small shop for tests of the tools: its graph, its tools, and how their results print."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rlm_runtime.ontology import open_ontology
from rlm_runtime.tools import make_ontology_tools, show

__all__ = ["Tools", "printed", "shop_tools"]

Tools = dict[str, Callable[..., Any]]

_PRODUCTS = "\n".join(
    f'ex:p{i} a ex:Product ; rdfs:label "Sensor {i}"@en ; ex:price {i % 3}.5 ; '
    'ex:inCategory ex:c1 ; ex:status "open" .'
    for i in range(40)
)
_SHOP = f"""
@prefix ex: <http://shop.example/ns#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
ex:Thing a owl:Class .
ex:Product a owl:Class ; rdfs:subClassOf ex:Thing ; rdfs:label "Product"@en, "Erzeugnis"@de ;
  rdfs:comment "Something for sale."@en ;
  rdfs:subClassOf [ a owl:Restriction ; owl:onProperty ex:price ; owl:someValuesFrom xsd:decimal ] .
ex:Category a owl:Class .
ex:inCategory a owl:ObjectProperty ; rdfs:domain ex:Product ; rdfs:range ex:Category ;
  owl:inverseOf ex:holds .
ex:made rdfs:domain [ a owl:Class ; owl:unionOf ( ex:Product ex:Category ) ] .
ex:c1 a ex:Category ; rdfs:label "Sensors"@en ; ex:opened "2020-02-03"^^xsd:date ;
  ex:text "{"long " * 200}" ; ex:lines "one\\ntwo" .
ex:shelf ex:near ex:c1 ; ex:inStock 0 .
{_PRODUCTS}
"""


@contextmanager
def shop_tools(folder: Path) -> Iterator[Tools]:
    """Open the shop, written to a folder, and give its tools."""
    path = folder / "shop.ttl"
    path.write_text(_SHOP)
    with open_ontology(path) as ontology:
        yield make_ontology_tools(ontology)


def printed(value: object) -> list[str]:
    """Give the lines that a value prints as."""
    text = show(value)
    assert text is not None
    return text.split("\n")
