"""``rlm-runtime mlflow``: finds runs in MLflow, shows, exports and compares them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlm_runtime.cli.mlflow_view import (
    comparable,
    show_comparison,
    show_experiments,
    show_run,
    show_runs,
)
from rlm_runtime.cli.output import Page, print_csv, print_json
from rlm_runtime.cli.words import counted, tag_values
from rlm_runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from rlm_runtime.logging.mlflow_found import FoundRun

__all__ = ["compare", "export", "list_experiments", "search", "show"]

_MAX_ROWS = 50

_Experiments = Annotated[
    list[str] | None,
    typer.Option(
        "--experiment",
        "--experiment-name",
        metavar="NAME",
        help="Only runs of this experiment; may be repeated. Default: all.",
    ),
]
_Ontology = Annotated[
    str | None, typer.Option(metavar="NAME", help="Only runs over this ontology.")
]
_Converged = Annotated[
    bool | None,
    typer.Option(
        "--converged/--not-converged",
        help="Only runs that submitted an answer, or that did not.",
        show_default=False,
    ),
]
_Model = Annotated[str | None, typer.Option(metavar="NAME", help="Only runs of this model.")]
_Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="K=V", help="Only runs with this tag; may be repeated."),
]
_Filter = Annotated[
    str,
    typer.Option(
        "--filter",
        metavar="TEXT",
        help='A further condition in MLflow\'s language: "metrics.total_tokens < 5000".',
    ),
]
_OrderBy = Annotated[
    list[str] | None,
    typer.Option(
        "--order-by",
        metavar="TEXT",
        help='"metrics.cost_usd DESC", say; may be repeated. Default: the latest first.',
    ),
]
_Limit = Annotated[
    int | None, typer.Option("--limit", metavar="N", min=1, help="The most runs. Default: all.")
]
_Uri = Annotated[
    str | None,
    typer.Option("--tracking-uri", metavar="URI", help="The store or server.", show_default=False),
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]
_Csv = Annotated[bool, typer.Option("--csv", help="Print CSV to standard output.")]


def list_experiments(
    tracking_uri: _Uri = None, as_json: _Json = False, as_csv: _Csv = False
) -> None:
    """List the experiments, the latest first.

    For example:

      rlm-runtime mlflow list-experiments
    """
    _one_form(as_json, as_csv)
    from rlm_runtime.logging import mlflow_search
    from rlm_runtime.logging.mlflow_found import experiment_report

    with _looking():
        found = mlflow_search.list_experiments(tracking_uri=tracking_uri)
    reports = [experiment_report(one) for one in found]
    if as_json:
        print_json(reports)
    elif as_csv:
        rows = [["" if value is None else str(value) for value in one.values()] for one in reports]
        print_csv([*reports[0]] if reports else [], rows)
    else:
        show_experiments(found)


def search(
    experiment: _Experiments = None,
    ontology: _Ontology = None,
    converged: _Converged = None,
    model: _Model = None,
    tag: _Tags = None,
    filter_string: _Filter = "",
    order_by: _OrderBy = None,
    limit: _Limit = None,
    tracking_uri: _Uri = None,
    as_json: _Json = False,
    as_csv: _Csv = False,
) -> None:
    """Find runs that meet every condition.

    Exit codes: 0 done, also when there are none; 1 the store does not answer; 2 no such store or
    experiment, or a condition that MLflow does not understand.

    For example:

      rlm-runtime mlflow search --ontology prov --converged

      rlm-runtime mlflow search --filter "metrics.code_errors > 2" --limit 10
    """
    _one_form(as_json, as_csv)
    runs = _find(
        experiment,
        tag,
        order_by,
        ontology=ontology,
        converged=converged,
        model=model,
        filter_string=filter_string,
        limit=limit,
        tracking_uri=tracking_uri,
    )
    from rlm_runtime.logging.mlflow_found import run_report, run_texts

    if as_json:
        print_json([run_report(run) for run in runs])
    elif as_csv:
        print_csv(*run_texts(runs))
    else:
        show_runs(runs, limit or _MAX_ROWS)


def export(
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A name that ends in .csv, .json or .parquet.",
            show_default=False,
        ),
    ],
    experiment: _Experiments = None,
    ontology: _Ontology = None,
    converged: _Converged = None,
    model: _Model = None,
    tag: _Tags = None,
    filter_string: _Filter = "",
    order_by: _OrderBy = None,
    limit: _Limit = None,
    tracking_uri: _Uri = None,
) -> None:
    """Write runs to a file: one row each, with all params, metrics and tags.

    A file of that name is replaced.

    For example:

      rlm-runtime mlflow export --experiment-name study --output results.csv
    """
    from rlm_runtime.logging.mlflow_export import checked_output, write_runs

    checked_output(output)
    runs = _find(
        experiment,
        tag,
        order_by,
        ontology=ontology,
        converged=converged,
        model=model,
        filter_string=filter_string,
        limit=limit,
        tracking_uri=tracking_uri,
    )
    write_runs(runs, output)
    Page().line(f"{counted(len(runs), 'run')} written to {output}")


def show(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="Its id in MLflow or in its log; the first characters will do.",
            show_default=False,
        ),
    ],
    tracking_uri: _Uri = None,
    as_json: _Json = False,
    as_csv: _Csv = False,
) -> None:
    """Show a run with its params, metrics and tags.

    For example:

      rlm-runtime mlflow show 3f2a9c1b
    """
    _one_form(as_json, as_csv)
    (found,) = _runs_by_id([run], tracking_uri)
    from rlm_runtime.logging.mlflow_found import run_report, run_texts

    if as_json:
        print_json(run_report(found))
    elif as_csv:
        columns, rows = run_texts([found])
        print_csv(["field", "value"], zip(columns, *rows, strict=True))
    else:
        show_run(found)


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="Two ids or more, as for show.", show_default=False),
    ],
    all_fields: Annotated[
        bool, typer.Option("--all", help="Show also what is the same for all of them.")
    ] = False,
    tracking_uri: _Uri = None,
    as_json: _Json = False,
    as_csv: _Csv = False,
) -> None:
    """Compare runs side by side: what is not the same for all of them.

    For example:

      rlm-runtime mlflow compare 3f2a9c1b 77d0e5aa
    """
    _one_form(as_json, as_csv)
    if len(runs) < 2:
        raise ConfigurationError("Give two runs or more to compare.")
    found = _runs_by_id(runs, tracking_uri)
    from rlm_runtime.logging.mlflow_found import run_columns, run_report, run_texts

    columns = run_columns(found)
    differ = comparable(columns)
    names = [name for name, differs in differ.items() if differs or all_fields]
    if as_json:
        differing = [name for name, differs in differ.items() if differs]
        print_json({"differing": differing, "runs": [run_report(run) for run in found]})
    elif as_csv:
        fields, rows = run_texts(found)
        lines = [line for line in zip(fields, *rows, strict=True) if line[0] in names]
        print_csv(["field", *(run.run_id for run in found)], lines)
    else:
        show_comparison(found, columns, names)


def _find(
    experiments: Sequence[str] | None,
    tags: Sequence[str] | None,
    order_by: Sequence[str] | None,
    **conditions: Any,
) -> list[FoundRun]:
    from rlm_runtime.logging.mlflow_search import search_runs

    with _looking():
        return search_runs(
            experiments or [],
            tags=tag_values(tags or []),
            order_by=order_by or [],
            **conditions,
        )


def _runs_by_id(ids: Sequence[str], tracking_uri: str | None) -> list[FoundRun]:
    from rlm_runtime.logging.mlflow_search import find_run

    with _looking():
        return [find_run(run_id, tracking_uri=tracking_uri) for run_id in ids]


def _one_form(as_json: bool, as_csv: bool) -> None:
    if as_json and as_csv:
        raise ConfigurationError("Give one of --json and --csv, not both.")


@contextlib.contextmanager
def _looking() -> Iterator[None]:
    """Show that a search goes on, and keep what libraries print off standard output."""
    with contextlib.redirect_stdout(sys.stderr), Page.on_stderr().busy("looking into MLflow"):
        yield
