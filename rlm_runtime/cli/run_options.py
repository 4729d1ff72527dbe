"""The arguments and options that all commands share which ask questions of an ontology."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = [
    "ApiBaseOption",
    "ExperimentOption",
    "ModelOption",
    "OntologyArgument",
    "QuietOption",
    "TrackingUriOption",
]

OntologyArgument = Annotated[
    str,
    typer.Argument(
        metavar="ONTOLOGY",
        help="A file or folder of RDF, or the address of a SPARQL endpoint.",
        show_default=False,
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        envvar="RLM_MODEL",
        metavar="NAME",
        help="The LM: a LiteLLM name such as openai/gpt-4o-mini, or offline (needs no key).",
        show_default=False,
    ),
]
ApiBaseOption = Annotated[
    str | None, typer.Option(metavar="URL", help="Endpoint of the LM, if not its maker's own.")
]
ExperimentOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="MLflow experiment (implies --mlflow).")
]
TrackingUriOption = Annotated[
    str | None, typer.Option(metavar="URI", help="MLflow store (implies --mlflow).")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
