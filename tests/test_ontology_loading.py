"""Ontologies open from any RDF syntax, and what cannot be opened says why and where."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from rlm_runtime.errors import ConfigurationError, OntologyError
from rlm_runtime.ontology import Ontology, open_ontology

TURTLE = """@prefix e: <http://e/> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
e:Cat rdfs:subClassOf e:Animal ; rdfs:label "Katze"@de ; rdfs:seeAlso <#more> .
"""
NTRIPLES = (
    "<http://e/Cat> <http://www.w3.org/2000/01/rdf-schema#subClassOf> <http://e/Animal> .\n"
    '<http://e/Cat> <http://www.w3.org/2000/01/rdf-schema#label> "Katze"@de .\n'
)
NQUADS = NTRIPLES.replace(" .\n", " <http://e/graph> .\n")
TRIG = "@prefix e: <http://e/> .\n@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .\n" + (
    'e:graph { e:Cat rdfs:subClassOf e:Animal ; rdfs:label "Katze"@de }\n'
)
RDFXML = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE rdf:RDF [ <!ENTITY e "http://e/"> ]>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
         xmlns:rdfs="http://www.w3.org/2000/01/rdf-schema#" xmlns:e="&e;">
  <rdf:Description rdf:about="&e;Cat">
    <rdfs:subClassOf rdf:resource="http://e/Animal"/>
    <rdfs:label xml:lang="de">Katze</rdfs:label>
  </rdf:Description>
</rdf:RDF>
"""
JSONLD = """{"@context": {"e": "http://e/", "rdfs": "http://www.w3.org/2000/01/rdf-schema#"},
"@id": "e:Cat", "rdfs:subClassOf": {"@id": "e:Animal"},
"rdfs:label": {"@value": "Katze", "@language": "de"}}
"""
SYNTAXES = {
    "ttl": TURTLE,
    "nt": NTRIPLES,
    "nq": NQUADS,
    "trig": TRIG,
    "n3": TURTLE,
    "rdf": RDFXML,
    "jsonld": JSONLD,
}
ASK = 'ASK { <http://e/Cat> rdfs:subClassOf <http://e/Animal> ; rdfs:label "Katze"@de }'


def knows_cat(path: Path, **how: str) -> bool:
    with open_ontology(path, **how) as ontology:
        return ontology.select(ASK).rows == [{"ask": True}]


def count(ontology: Ontology) -> object:
    return ontology.select("SELECT (COUNT(*) AS ?n) { ?s ?p ?o }").rows[0]["n"]


def failing(path: Path, content: str | bytes = "") -> str:
    """Write a file that cannot be opened, and give the message."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(OntologyError) as caught:
        open_ontology(path)
    message = str(caught.value)
    assert str(path) in message
    assert message.endswith((".", "?"))
    return message


@pytest.mark.parametrize("suffix", SYNTAXES)
def test_every_syntax_opens(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"pets.{suffix}"
    path.write_text(SYNTAXES[suffix])
    assert knows_cat(path)
    zipped = tmp_path / f"pets.{suffix}.gz"
    zipped.write_bytes(gzip.compress(SYNTAXES[suffix].encode()))
    assert knows_cat(zipped)


WRONG = ["owl", "ttl", "rdf", "nt", "nq", "xml", "json", "txt", "n3", ""]


@pytest.mark.parametrize(
    ("syntax", "wrong"),
    # To N3 a TriG graph is a formula.
    [(s, wrong) for s in SYNTAXES for wrong in WRONG if (s, wrong) != ("trig", "n3")],
)
def test_content_decides_when_the_name_lies(tmp_path: Path, syntax: str, wrong: str) -> None:
    path = tmp_path / (f"pets.{wrong}" if wrong else "pets")
    content = SYNTAXES[syntax]
    path.write_text(content)
    assert knows_cat(path)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("<a> <b> <c> .", "turtle with relative IRIs"),
        ("<a> a <c> .", "turtle with a"),
        ("[] <http://e/p> 1 .", "turtle that begins with a blank node"),
        ("[ <http://e/p> 1 ] .", "turtle that begins with a property list"),
        ("(1 2) <http://e/p> 3 .", "turtle that begins with a list"),
        ("{ <http://e/a> <http://e/p> 1 }", "trig that begins with a graph"),
        ("# Prefix: is Manchester\n<http://e/a> <http://e/p> 1 .", "turtle with a comment"),
        ("PREFIX e: <http://e/>\ne:a e:p 'Class: x' .", "turtle in the style of SPARQL"),
        ("[ ]<http://e/p> '''\nClass: x\n''' .", "turtle that quotes Manchester syntax"),
        ('[{"@id": "http://e/a", "http://e/p": 1}]', "expanded JSON-LD"),
        (
            "<!-- hi -->\n<rdf:RDF " + RDFXML.partition("<rdf:RDF ")[2].replace("&e;", "http://e/"),
            "",
        ),
    ],
    ids=lambda value: value if len(value) < 40 else "",
)
def test_unusual_beginnings_are_read(tmp_path: Path, content: str, name: str) -> None:
    path = tmp_path / "data.txt"
    path.write_text(content)
    with open_ontology(path) as ontology:
        assert len(ontology.select("SELECT * { ?s ?p ?o }")) > 0


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("content", [TURTLE, RDFXML.replace("UTF-8", "UTF-16")])
def test_byte_order_marks_and_wide_encodings_are_read(
    tmp_path: Path, encoding: str, content: str
) -> None:
    path = tmp_path / "pets.rdf"
    if encoding == "utf-8-sig":
        content = content.replace("UTF-16", "UTF-8")
    path.write_bytes(content.encode(encoding))
    assert knows_cat(path)


def test_an_xml_declaration_names_the_encoding(tmp_path: Path) -> None:
    path = tmp_path / "pets.rdf"
    text = RDFXML.replace("UTF-8", "ISO-8859-1").replace("Katze", "Käse")
    path.write_bytes(text.encode("latin-1"))
    with open_ontology(path) as ontology:
        assert ontology.select("SELECT ?l { ?s rdfs:label ?l }").rows == [{"l": "Käse"}]


def test_relative_iris_are_resolved_against_the_file(tmp_path: Path) -> None:
    path = tmp_path / "pets.ttl"
    path.write_text(TURTLE)
    with open_ontology(path) as ontology:
        (row,) = ontology.select("SELECT ?o { ?s rdfs:seeAlso ?o }").rows
    assert row["o"] == path.as_uri() + "#more"


def test_slightly_wrong_iris_are_let_in_and_can_be_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "pets.ttl"
    path.write_text("<http://e/a b> <http://e/p> <http://e/{x}> .")
    with open_ontology(path) as ontology:
        found = ontology.describe("<http://e/a b>")
        assert [term.value for term in found.outgoing["http://e/p"]] == ["http://e/{x}"]


@pytest.mark.parametrize("suffix", ["ttl", "rdf", "jsonld", "trig"])
def test_prefixes_are_kept(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"pets.{suffix}"
    path.write_text(SYNTAXES[suffix])
    with open_ontology(path) as ontology:
        assert ontology.prefixes["e"] == "http://e/"
        assert ontology.compact("http://e/Cat") == "e:Cat"


def test_the_name_is_the_stem(tmp_path: Path) -> None:
    path = tmp_path / "pets.v2.ttl.gz"
    path.write_bytes(gzip.compress(TURTLE.encode()))
    folder = tmp_path / "zoo.d"
    folder.mkdir()
    (folder / "a.ttl").write_text(TURTLE)
    for source, name in ((path, "pets.v2"), (folder, "zoo.d")):
        with open_ontology(str(source)) as ontology:
            assert (ontology.name, ontology.source) == (name, str(source))
    with open_ontology(path, name="mine") as ontology:
        assert ontology.name == "mine"


def test_a_format_can_be_forced(tmp_path: Path) -> None:
    path = tmp_path / "pets.owl"
    path.write_text(TURTLE)
    assert knows_cat(path, format="turtle")
    with pytest.raises(OntologyError, match="broken RDF/XML"):
        open_ontology(path, format="RDF/XML")
    with pytest.raises(ConfigurationError, match="no format 'excel'"):
        open_ontology(path, format="excel")


def test_a_folder_is_read_whole(tmp_path: Path) -> None:
    deep = tmp_path / "b" / "deep"
    deep.mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.ttl").write_text("not turtle")
    (tmp_path / "a.ttl").write_text("@prefix p: <http://a/> . p:a p:b _:x .")
    (deep / "b.nt.gz").write_bytes(gzip.compress(b"<http://b/a> <http://a/b> _:x .\n"))
    (deep / "c.ttl").write_text("@prefix p: <http://c/> . @prefix q: <http://q/> . p:a q:b _:x .")
    (deep / "d.rdf").write_text(RDFXML)
    (deep / "e.xml").write_text(RDFXML.replace("Cat", "Dog"))
    (deep / "package.json").write_text('{"name": "x"}')
    (deep / "README.md").write_text("# Prefix: no RDF")
    (deep / "empty.ttl").write_text("@prefix nothing: <http://n/> .")
    with open_ontology(tmp_path) as ontology:
        assert count(ontology) == 7
        assert (ontology.prefixes["p"], ontology.prefixes["q"]) == ("http://a/", "http://q/")
        blank = ontology.select("SELECT DISTINCT ?b { ?s ?p ?b FILTER(isBlank(?b)) }")
        assert len(blank) == 3, "blank nodes of different files are different"


def test_a_folder_names_its_broken_file(tmp_path: Path) -> None:
    (tmp_path / "a.ttl").write_text(TURTLE)
    (tmp_path / "b.ttl").write_text("<http://e/a> <http://e/b> \n\n oops .")
    with pytest.raises(OntologyError, match=r"b\.ttl, line 3"):
        open_ontology(tmp_path)


def test_a_folder_without_rdf_says_so(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("x")
    with pytest.raises(OntologyError, match="no RDF file"):
        open_ontology(tmp_path)


def test_named_graphs_are_seen_together_and_apart(tmp_path: Path) -> None:
    path = tmp_path / "data.trig"
    path.write_text(
        "@prefix e: <http://e/> . e:a e:p 1 . e:g { e:a e:p 1 . e:a e:p 2 } e:h { e:a e:p 2, 3 }"
    )
    with open_ontology(path) as ontology:

        def values(query: str) -> list[object]:
            return sorted(str(row["v"]) for row in ontology.select(query).rows)

        assert values("SELECT ?v { ?s ?p ?v }") == ["1", "2", "3"]
        assert values("SELECT ?v { GRAPH e:g { ?s ?p ?v } }") == ["1", "2"]
        assert values("SELECT ?v FROM e:h { ?s ?p ?v }") == ["2", "3"]
        assert values("SELECT ?v FROM NAMED e:h { GRAPH ?g { ?s ?p ?v } }") == ["2", "3"]
        assert ontology.describe("e:a").outgoing_count == 3
        assert ontology.describe("e:g").outgoing_count == 0


def test_the_only_graph_is_read_without_its_name_too(tmp_path: Path) -> None:
    path = tmp_path / "data.nq"
    path.write_text('<e:a> <e:p> "one two" <e:g> .\n<e:a> <e:q> <e:b> <e:g> .\n')
    with open_ontology(path) as ontology:

        def count(query: str) -> int:
            return len(ontology.select(query).rows)

        assert count("SELECT * { ?s ?p ?v }") == 2
        assert count("SELECT * { GRAPH <e:g> { ?s ?p ?v } }") == 2
        assert count("SELECT * FROM <e:g> { ?s ?p ?v }") == 2
        assert count("SELECT * FROM NAMED <e:g> { ?s ?p ?v }") == 0
        assert count("CONSTRUCT WHERE { ?s ?p ?v }") == 2
        assert count("DESCRIBE <e:a>") == 2
        assert ontology.describe("<e:a>").outgoing_count == 2
        assert ontology.describe("<e:b>").incoming_count == 1
        assert [match.iri for match in ontology.search("a")] == ["e:a"]


def test_large_literals_are_data(tmp_path: Path) -> None:
    path = tmp_path / "large.ttl"
    path.write_text(f'<http://e/a> <http://e/p> "{"x" * 10_000_000}" .')
    with open_ontology(path) as ontology:
        (row,) = ontology.select("SELECT (STRLEN(?o) AS ?n) { ?s ?p ?o }").rows
    assert row["n"] == 10_000_000


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("empty.ttl", "", "is empty"),
        ("blank.ttl", "\n \n", "is empty"),
        ("comment.ttl", "# nothing\n", "no triples"),
        ("prefixes.ttl", "@prefix e: <http://e/> .\n", "no triples"),
        ("broken.ttl", TURTLE + "\ne:Cat e:p .\n", "line 5, column"),
        ("prefix.ttl", TURTLE + "x:Cat e:p 1 .\n", "prefix x: has not been declared"),
        ("open.ttl", TURTLE + 'e:Cat e:p "open .\n', "broken Turtle"),
        ("cut.ttl", TURTLE[:-3], "line"),
        ("latin.ttl", TURTLE.encode() + 'e:a e:b "é" .'.encode("latin-1"), "UTF-8"),
        ("broken.nt", NTRIPLES + "<http://e/a> <http://e/b> .\n", "line 3"),
        ("broken.nq", NQUADS + "<http://e/a> oops .\n", "line 3"),
        ("broken.jsonld", JSONLD.replace('"e:Cat",', '"e:Cat"'), "line 2, column"),
        ("broken.rdf", RDFXML.replace("</rdfs:label>", "</e:label>"), "broken RDF/XML"),
        ("cut.rdf", RDFXML[:-12], "cut off"),
        ("cut2.rdf", RDFXML[: RDFXML.index("</rdf:Description>")], "cut off"),
        ("remote.jsonld", '{"@context": "https://schema.org", "@id": "x", "a": 1}', "@context"),
        ("rules.n3", "@prefix e: <http://e/> . { ?x e:a ?y } => { ?y e:b ?x } .", "formulas"),
        ("formula.n3", "@prefix e: <http://e/> . e:a e:says { e:b e:c e:d } .", "formulas"),
        ("page.ttl", "<!DOCTYPE html>\n<html><body>404</body></html>", "web page"),
        ("page.owl", "<html xmlns='x'><body>404</body></html>", "web page"),
        (
            "owl.owl",
            '<?xml version="1.0"?><Ontology xmlns="http://www.w3.org/2002/07/owl#"></Ontology>',
            "OWL/XML",
        ),
        ("other.xml", "<?xml version='1.0'?><note>hi</note>", "root is <note>"),
        ("m.owl", "Prefix: : <http://e/>\nOntology: <http://e/>\nClass: :Cat\n", "Manchester"),
        ("f.owl", "Prefix(:=<http://e/>)\nOntology(<http://e/>\n)", "functional"),
        ("go.obo", "format-version: 1.2\n[Term]\nid: GO:1\n", "OBO"),
        ("text.ttl", "Dear reader, this is no RDF.", "broken Turtle"),
        ("data.json", '{"name": "not @linked"}', "not JSON-LD"),
        ("table.csv", "a,b\n1,2\n", "broken"),
        ("noise.ttl", b"PK\x03\x04" + bytes(range(256)) * 20, "binary data"),
        ("noise3.ttl", bytes(range(256)) * 20, "not valid text"),
        ("noise2.ttl", b"\x89PNG\r\n\x1a\n" * 20, "UTF-8"),
        ("cut.ttl.gz", gzip.compress(TURTLE.encode() * 50)[:-20], "broken gzip"),
        ("bad.ttl.gz", gzip.compress(TURTLE.encode())[:20] + b"x" * 50, "broken gzip"),
        ("code.rdf", RDFXML.replace("UTF-8", "klingon"), "encoding 'klingon'"),
        ("half.ttl", TURTLE.encode("utf-16")[:-1], "utf-16"),
        ("huge.ttl", f'<http://e/a> <http://e/p> "{"x" * 20_000_000}" .', "too large"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_what_cannot_be_read_says_why(
    tmp_path: Path, name: str, content: str | bytes, part: str
) -> None:
    assert part in failing(tmp_path / name, content)


def test_what_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(OntologyError, match="no file or folder"):
        open_ontology(tmp_path / "absent.ttl")
    with pytest.raises(OntologyError, match="no file or folder @prefix"):
        open_ontology(TURTLE * 100)
    with pytest.raises(OntologyError, match="not a regular file"):
        open_ontology("/dev/zero")
    with pytest.raises(ConfigurationError, match="from a int"):
        open_ontology(3)  # type: ignore[arg-type]


def test_a_file_that_cannot_be_read_says_so() -> None:
    # Its mode lets the owner and root open it, yet reading from address 0 fails.
    with pytest.raises(OntologyError, match="Input/output error"):
        open_ontology("/proc/self/mem", format="ttl")


def test_what_unzips_beyond_the_bound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.ttl.gz"
    path.write_bytes(gzip.compress(TURTLE.encode() + b"\n" * 30_000_000))
    with pytest.raises(OntologyError, match="more than 200 times"):
        open_ontology(path)


def test_an_ontology_is_given_back_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "pets.ttl"
    path.write_text(TURTLE)
    ontology = open_ontology(path)
    assert open_ontology(ontology) is ontology


def test_importing_the_package_loads_no_engine() -> None:
    program = (
        "import sys, rlm_runtime.ontology\n"
        "print([name for name in ('pyoxigraph', 'rdflib') if name in sys.modules])\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert run.stdout.strip() == "[]"
