"""Load RDF files, folders and rdflib graphs into a store."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from rlm_runtime.errors import OntologyError
from rlm_runtime.ontology.rdf_bytes import RdfBytes, open_rdf
from rlm_runtime.ontology.rdf_format import Syntax, has_rdf_suffix, syntax_of
from rlm_runtime.ontology.rdf_json import RdfJson
from rlm_runtime.ontology.rdf_xml import RdfXml

if TYPE_CHECKING:
    from pyoxigraph import Quad, QuadParser, Store

__all__ = ["Loaded", "load_path", "merge_named_graphs"]

_LOOKS_RDF = re.compile(rb'<rdf:RDF|"@(?:context|id|graph|type)"')


@dataclass
class Loaded:
    """A store with what was loaded, and the prefixes that the sources declare.

    Its default graph holds every statement, those of the named graphs too, once.
    """

    store: Store
    prefixes: dict[str, str] = field(default_factory=dict)


def load_path(path: Path, syntax: Syntax | None = None) -> Loaded:
    """Load a file, or all RDF files below a folder, sorted by path.

    Prefixes are kept; where two files of a folder differ, the first one wins. Blank nodes of
    different files stay different. Relative IRIs are resolved against the file's own.

    Args:
        path: A file or a folder. Hidden files and files that are no RDF are left out of a folder.
        syntax: Forces the syntax; else content and name of each file decide.

    Raises:
        OntologyError: Missing, unreadable, not RDF, broken (with the line, where the parser knows
            it), or without a single triple.
    """
    from pyoxigraph import Store

    # Unlike Path.exists, this also takes a text that is far too long for a path.
    if not os.path.exists(path):
        raise OntologyError(f"There is no file or folder {str(path)[:300]}. Check the path.")
    loaded = Loaded(Store())
    files = list(_rdf_files(path)) if path.is_dir() else [path]
    if not files:
        raise OntologyError(
            f"The folder {path} holds no RDF file. Give a folder with .ttl, .owl, .rdf, .nt, .nq, "
            ".trig, .n3 or .jsonld files, or the file itself."
        )
    for file in files:
        _load_file(file, syntax, loaded)
    merge_named_graphs(loaded.store)
    if not len(loaded.store):
        raise OntologyError(f"{path} holds no triples. Check that it is the right file.")
    return loaded


def merge_named_graphs(store: Store) -> None:
    """Copy the statements of all named graphs into the default graph.

    The engine's own union of graphs gives a statement once for every graph that has it, so that
    counts are wrong, and it disregards FROM.
    """
    from pyoxigraph import Quad

    if next(iter(store.named_graphs()), None) is not None:
        store.bulk_extend([Quad(q.subject, q.predicate, q.object) for q in store])


def _rdf_files(folder: Path) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        raise OntologyError(
            f"Cannot list {error.filename}: {error.strerror}. Check that it may be read."
        ) from error

    for parent, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if name.startswith(".") or not path.is_file():
                continue
            surely = has_rdf_suffix(path)
            if surely is None:
                with open_rdf(path) as content:
                    surely = bool(_LOOKS_RDF.search(content.head))
            if surely:
                yield path


def _load_file(path: Path, syntax: Syntax | None, loaded: Loaded) -> None:
    with open_rdf(path) as content:
        if not content.head.strip():
            raise OntologyError(f"{path} is empty. Check that it is the right file.")
        syntax = syntax or syntax_of(path, content.head)
        try:
            prefixes = _read(path, content, syntax, loaded.store)
        except SyntaxError as error:
            raise _broken(path, syntax, error) from error
        except MemoryError as error:
            raise OntologyError(
                f"{path} holds a value that is too large to read: {error}. "
                "Literals may have about 16 million bytes."
            ) from error
        except ValueError as error:
            raise OntologyError(f"{path} cannot be loaded: {error}.") from error
    for prefix, namespace in prefixes.items():
        loaded.prefixes.setdefault(prefix, namespace)


def _read(path: Path, content: RdfBytes, syntax: Syntax, store: Store) -> dict[str, str]:
    """Load a file's content into the store, and give its prefixes."""
    from pyoxigraph import RdfFormat, parse

    base = path.resolve().as_uri()
    if syntax == "rdfxml":
        xml = RdfXml(path, content)
        store.bulk_load(cast(IO[bytes], xml), RdfFormat.RDF_XML, base_iri=base, lenient=True)
        return xml.prefixes
    stream = cast(IO[bytes], content)
    if syntax == "nquads":
        store.bulk_load(stream, RdfFormat.N_QUADS, lenient=True)
        return {}
    if syntax == "jsonld":
        stream = cast(IO[bytes], RdfJson(path, content))
    formats = {"trig": RdfFormat.TRIG, "n3": RdfFormat.N3, "jsonld": RdfFormat.JSON_LD}
    parser: QuadParser = parse(
        stream, formats[syntax], base_iri=base, lenient=True, rename_blank_nodes=True
    )
    store.bulk_extend(_without_formulas(path, parser) if syntax == "n3" else parser)
    return parser.prefixes


def _without_formulas(path: Path, quads: Iterable[Quad]) -> Iterator[Quad]:
    from pyoxigraph import DefaultGraph

    for quad in quads:
        if not isinstance(quad.graph_name, DefaultGraph):
            raise _formula(path)
        yield quad


def _formula(path: Path) -> OntologyError:
    return OntologyError(
        f"{path} holds N3 formulas, rules or variables ({{ … }}, =>, ?x), which are not RDF. "
        "Remove them, or save the plain statements as Turtle."
    )


def _broken(path: Path, syntax: Syntax, error: SyntaxError) -> OntologyError:
    message = re.sub(r"^Parser error at line \d+.*?: ", "", error.msg or str(error))
    if "LoadDocumentCallback" in message:
        return OntologyError(
            f"{path} takes its JSON-LD @context from another place, and nothing is fetched. "
            "Put the context into the file, or save it as Turtle or N-Quads."
        )
    if syntax == "n3" and "variables are not allowed" in message:
        return _formula(path)
    where = f", line {error.lineno}" if error.lineno else ""
    if error.lineno and error.offset:
        where += f", column {error.offset}"
    names = {"trig": "Turtle or TriG", "n3": "N3", "nquads": "N-Triples or N-Quads"}
    name = names.get(syntax, "RDF/XML" if syntax == "rdfxml" else "JSON-LD")
    return OntologyError(
        f"{path}{where}: broken {name}: {message.rstrip('.')}. Correct it there, "
        "or name the format with format=… if it is another one."
    )
