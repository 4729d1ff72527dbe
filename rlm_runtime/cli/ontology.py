"""``rlm-runtime ontology``: looks at an ontology without any LM."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rlm_runtime.cli.ontology_cache import cache
from rlm_runtime.cli.output import Page, one_line, print_csv, print_json
from rlm_runtime.cli.words import time_words
from rlm_runtime.errors import ConfigurationError
from rlm_runtime.ontology.schema import Expression

if TYPE_CHECKING:
    from rlm_runtime.ontology.protocol import Description, Ontology, Rows, Term

__all__ = ["ontology"]

ontology = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
ontology.add_typer(cache, name="cache", help="List and clear the stores of large ontologies.")

_LABEL = 12
_TEXT = 160
_SECONDS = 30.0
# What loads faster needs no telling.
_PATIENCE = 1.0

_Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A file or folder of RDF, or the address of a SPARQL endpoint.",
        show_default=False,
    ),
]
_Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, help="The most to show.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]


@ontology.command()
def info(
    source: _Source,
    card_chars: Annotated[
        int,
        typer.Option(
            "--card-chars", metavar="N", min=300, help="The most characters of the overview."
        ),
    ] = 3_000,
    as_json: _Json = False,
) -> None:
    """Say what an ontology is: its size, and what an LM reads first.

    For example:

      rlm-runtime ontology info ontology/prov.ttl
    """
    from rlm_runtime.ontology.imports import IMPORT_MAP
    from rlm_runtime.ontology.sense_card import read_sense_card

    with _opened(source) as opened:
        card, facts = read_sense_card(opened, max_chars=card_chars)
        counts = {
            "triples": facts.triples,
            "classes": len(facts.classes),
            "properties": len(facts.properties),
            "individuals": facts.individuals,
        }
        unresolved: Sequence[str] = getattr(opened, "unresolved_imports", ())
        if as_json:
            print_json(
                {
                    "name": opened.name,
                    "source": opened.source,
                    "title": facts.title,
                    **counts,
                    "prefixes": dict(opened.prefixes),
                    "missing": facts.missing,
                    "unresolved_imports": unresolved,
                    "card": card,
                }
            )
            return
        page = Page()
        page.line((opened.name, "bold"), ("  " + facts.title if facts.title else "", "cyan"))
        page.line((f"{'source':<{_LABEL}}", "dim"), opened.source)
        for label, count in counts.items():
            shown = "not counted" if count is None else f"{count:,}"
            page.line((f"{label:<{_LABEL}}", "dim"), shown)
        for missing in facts.missing:
            page.line(f"Could not be found out: {missing}", style="yellow")
        for iri in unresolved:
            page.line(
                f"Imported but not loaded: {iri}; name its file in {IMPORT_MAP}", style="yellow"
            )
        page.blank()
        page.rule(f"what an LM reads first ({len(card):,} characters)")
        page.line(card)


@ontology.command()
def search(
    source: _Source,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A name, label or part of one.")],
    kind: Annotated[
        Literal["any", "class", "property", "instance"], typer.Option(help="Only this kind.")
    ] = "any",
    limit: _Limit = 10,
    as_json: _Json = False,
) -> None:
    """Find entities by label, synonym or name, typos allowed.

    The best match comes first.

    For example:

      rlm-runtime ontology search ontology/prov.ttl "was generated" --kind property
    """
    with _opened(source) as opened:
        found = opened.search(text, limit=limit, kind=kind)
        if as_json:
            print_json([match.__dict__ | {"name": opened.compact(match.iri)} for match in found])
            return
        page = Page()
        if not found:
            page.line(f"No name or label is like {text!r}. Try other or fewer words.")
            return
        page.table(
            ["name", "label", "kind", "match", "types"],
            [
                (
                    opened.compact(match.iri),
                    match.label,
                    match.kind,
                    match.rank
                    if match.matched == match.label
                    else f"{match.rank} ({match.matched})",
                    ", ".join(map(opened.compact, match.types)),
                )
                for match in found
            ],
        )


@ontology.command()
def describe(
    source: _Source,
    iri: Annotated[str, typer.Argument(metavar="IRI", help="An IRI or a prefixed name.")],
    limit: _Limit = 25,
    as_json: _Json = False,
) -> None:
    """Say what is known of one entity.

    For example:

      rlm-runtime ontology describe ontology/prov.ttl prov:Activity
    """
    with _opened(source) as opened:
        found = opened.describe(iri, limit=limit)
        if as_json:
            print_json(_description_json(found))
        else:
            _print_description(Page(), opened, found)


def _opened(source: str) -> Ontology:
    """Open an ontology, and show how far it is if that takes long."""
    from rlm_runtime.ontology import open_ontology

    with ExitStack() as shown:
        begin = time.monotonic()
        tell: list[Callable[[str, int, int], None]] = []
        told = -1

        def on_progress(done: int, total: int) -> None:
            nonlocal told
            tenth = 10 * done // max(total, 1)
            if time.monotonic() - begin < _PATIENCE or tenth == told:
                return
            if not tell:
                page = Page.on_stderr()
                tell.append(shown.enter_context(page.progress(f"reading {source}, %")))
            told = tenth
            tell[0](f"% of {source} are done", 100 * done // total, 100)

        return open_ontology(source, on_progress=on_progress)


def _description_json(found: Description) -> dict[str, Any]:
    def terms(values: tuple[Term, ...]) -> list[dict[str, Any]]:
        return [term._asdict() | {"plain": term.plain} for term in values]

    axioms = {
        name: [one._asdict() if isinstance(one, Expression) else one for one in values]
        for name, values in found.axioms.__dict__.items()
        if name != "truncated"
    }
    counts = {"instances": found.instances, "instances_below": found.instances_below}
    return found.__dict__ | {
        "axioms": axioms | {"truncated": found.axioms.truncated},
        **{name: count and count._asdict() for name, count in counts.items()},
        "labels": terms(found.labels),
        "comments": terms(found.comments),
        "outgoing": {iri: terms(values) for iri, values in found.outgoing.items()},
        "incoming": {iri: terms(values) for iri, values in found.incoming.items()},
    }


def _print_description(page: Page, opened: Ontology, found: Description) -> None:
    page.line((opened.compact(found.iri), "bold"), f"  {found.kind or 'only mentioned'}")
    page.line(found.iri, style="dim")
    for label in found.labels:
        page.line(_term_text(opened, label), style="cyan")
    for comment in found.comments:
        page.line(one_line(comment.value), indent=2)
    _print_axioms(page, found)
    for title, statements, count in (
        ("statements", found.outgoing, found.outgoing_count),
        ("used by", found.incoming, found.incoming_count),
    ):
        if not statements:
            continue
        shown = sum(map(len, statements.values()))
        of = f"{shown} of {count}, raise --limit for more" if shown < count else f"{count}"
        page.blank()
        page.line((title, "bold"), (f"  ({of})", "dim"))
        for predicate, values in statements.items():
            texts = [one_line(_term_text(opened, value), _TEXT) for value in values]
            page.line((opened.compact(predicate), "magenta"), "  ", ", ".join(texts), indent=2)


def _print_axioms(page: Page, found: Description) -> None:
    """Print what the schema says, and how many instances there are."""
    lines = {
        name: ", ".join(_axiom_text(one) for one in values)
        for name, values in found.axioms.__dict__.items()
        if name != "truncated" and values
    }
    if found.instances is not None:
        below = found.instances_below
        more = f", with subclasses {below}" if below not in (None, found.instances) else ""
        lines["instances"] = f"{found.instances}{more}"
    if not lines:
        return
    page.blank()
    page.line(("schema", "bold"), ("  (cut)" if found.axioms.truncated else "", "dim"))
    for name, text in lines.items():
        page.line((name, "magenta"), "  ", one_line(text, 3 * _TEXT), indent=2)


def _axiom_text(one: Expression | str) -> str:
    return one.text if isinstance(one, Expression) else one


@ontology.command()
def query(
    source: _Source,
    sparql: Annotated[
        str,
        typer.Argument(
            metavar="SPARQL", help="The query; @FILE reads it from a file, - from standard input."
        ),
    ],
    limit: _Limit = 100,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.001, help="The longest it may take.")
    ] = _SECONDS,
    as_json: _Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV to standard output.")] = False,
) -> None:
    """Run a read-only SPARQL query.

    The ontology's prefixes and the usual ones are predeclared.

    For example:

      rlm-runtime ontology query ontology/prov.ttl 'SELECT ?c { ?c a owl:Class }' --csv
    """
    if as_json and as_csv:
        raise ConfigurationError("--json and --csv exclude each other. Give one of them.")
    text = _query_text(sparql)
    with _opened(source) as opened:
        rows = opened.select(text, limit=limit, timeout=timeout)
        if as_json:
            print_json(
                {
                    "form": rows.form,
                    "columns": rows.columns,
                    "rows": rows.rows,
                    "truncated": rows.truncated,
                    "duration_seconds": rows.duration,
                }
            )
        elif as_csv:
            print_csv(rows.columns, [[_csv_cell(term) for term in row] for row in rows.terms])
        else:
            _print_rows(Page(), opened, rows)
        if rows.truncated and not as_json:
            Page.on_stderr().line(
                f"There are more than {limit:,} rows; raise --limit to see them.", style="yellow"
            )


def _query_text(argument: str) -> str:
    if argument == "-":
        return sys.stdin.read()
    if not argument.startswith("@"):
        return argument
    path = Path(argument[1:]).expanduser()
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"Cannot read the query from {path}: {error}. Give @FILE a UTF-8 text file."
        ) from error


def _csv_cell(term: Term | None) -> str:
    if term is None:
        return ""
    return f"_:{term.value}" if term.kind == "bnode" else term.value


def _print_rows(page: Page, opened: Ontology, rows: Rows) -> None:
    if rows.form == "ASK":
        page.line("yes" if rows.rows[0]["ask"] else "no")
        return
    if rows.terms:
        page.table(rows.columns, [[_term_text(opened, term) for term in row] for row in rows.terms])
    count = f"{len(rows):,} row{'' if len(rows) == 1 else 's'}"
    page.line(f"({count}, {time_words(rows.duration)})", style="dim")


def _term_text(opened: Ontology, term: Term | None) -> str:
    if term is None:
        return "-"
    if term.kind == "iri":
        return opened.compact(term.value)
    if term.kind == "bnode":
        return f"_:{term.value}"
    return f"{term.value}@{term.language}" if term.language else term.value
