"""Fill a store with what RDF files hold, and with what they import."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from rlm_runtime.errors import OntologyError
from rlm_runtime.ontology.imports import wanted_imports
from rlm_runtime.ontology.rdf_bytes import RdfBytes, holds_more_than, open_rdf
from rlm_runtime.ontology.rdf_format import Syntax, syntax_of
from rlm_runtime.ontology.rdf_json import RdfJson
from rlm_runtime.ontology.rdf_text import RdfText
from rlm_runtime.ontology.rdf_xml import RdfXml
from rlm_runtime.ontology.sources import Source
from rlm_runtime.ontology.whole_graph import merge_named_graphs

if TYPE_CHECKING:
    from pyoxigraph import Quad, QuadParser, Store

__all__ = ["Loaded", "OnProgress", "load_source"]

OnProgress = Callable[[int, int], None]
"""Called now and then: bytes done, and bytes in all; those of large files count twice, for they
are read first and then indexed."""

_STEP = 2**20
_AT_ONCE = 8 * 2**20


@dataclass
class Loaded:
    """A store with what was loaded, and the prefixes that the sources declare.

    Attributes:
        store: Its ``whole_graph`` holds every statement once. In memory; or on disk, and then it
            must not be changed.
        prefixes: Prefix to namespace, as the files declare them.
        unresolved_imports: IRIs of imported ontologies for which there was no local file.
        folder: Where the store lies on disk; None when it is in memory.
        labels: Where the index of its labels lies on disk, if there is one.
    """

    store: Store
    prefixes: dict[str, str] = field(default_factory=dict)
    unresolved_imports: tuple[str, ...] = ()
    folder: Path | None = None
    labels: Path | None = None


def load_source(source: Source, store: Store, on_progress: OnProgress | None = None) -> Loaded:
    """Load all files of a source, and those that they import, into an empty store.

    Prefixes are kept; where two files differ, the first one wins. Blank nodes of different files
    stay different. Relative IRIs are resolved against the file's own.

    Raises:
        OntologyError: A file is unreadable, not RDF, broken (with the line, where the parser
            knows it) or changes meanwhile, or there is not a single triple.
    """
    loaded = Loaded(store)
    before, _ = source.signature()
    reading = _Reading(source, on_progress)
    for file in source.files:
        _load_file(file, source.syntax, loaded, reading)
    resolved: set[Path] = {file.resolve() for file in source.files}
    while found := _unread(wanted_imports(store), source.imports, resolved):
        for file in found:
            _load_file(file, None, loaded, reading)
            resolved.add(file.resolve())
    loaded.unresolved_imports = tuple(
        iri for iri in wanted_imports(store) if iri not in source.imports
    )
    merge_named_graphs(store)
    source.check_unchanged(before)
    # Its length would be counted.
    if next(iter(store.quads_for_pattern(None, None, None, None)), None) is None:
        raise OntologyError(f"{source.path} holds no triples. Check that it is the right file.")
    return loaded


class _Reading:
    """How far the files of a source are read."""

    def __init__(self, source: Source, on_progress: OnProgress | None) -> None:
        self._on_progress = on_progress
        self._total = source.size
        self._done = 0
        self._told = 0

    def next_file(self) -> Callable[[int], None]:
        """Give what to call with the bytes read of one file, the last one until now."""
        before = self._done

        def on_read(done: int) -> None:
            self._done = before + done
            if self._on_progress is not None and self._done >= self._told + _STEP:
                self._told = self._done
                self._on_progress(self._done, self._total)

        return on_read


def _unread(wanted: Iterable[str], imports: Mapping[str, Path], read: set[Path]) -> list[Path]:
    files = {imports[iri].resolve(): imports[iri] for iri in wanted if iri in imports}
    return [file for resolved, file in files.items() if resolved not in read]


def _load_file(path: Path, syntax: Syntax | None, loaded: Loaded, reading: _Reading) -> None:
    with open_rdf(path, reading.next_file()) as content:
        if content.is_blank:
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
    stream: Any = RdfJson(path, content) if syntax == "jsonld" else RdfText(path, content)
    if syntax == "nquads" and not holds_more_than(path, _AT_ONCE):
        # Lines declare no prefixes, and cannot nest so that they keep a parser busy; it would ask
        # for them two kilobytes at a time.
        store.bulk_load(stream.read(), RdfFormat.N_QUADS, base_iri=base, lenient=True)
        return {}
    formats = {
        "trig": RdfFormat.TRIG,
        "n3": RdfFormat.N3,
        "nquads": RdfFormat.N_QUADS,
        "jsonld": RdfFormat.JSON_LD,
    }
    parser: QuadParser = parse(
        stream, formats[syntax], base_iri=base, lenient=True, rename_blank_nodes=True
    )
    # Quads that go straight from parser to store cost half of those that Python has seen.
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
