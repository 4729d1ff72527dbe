"""The ``rlm-runtime`` command: its groups, its options, and how its errors end."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from rlm_runtime import __version__
from rlm_runtime.cli.ask import DEBUG, ask
from rlm_runtime.cli.log import log
from rlm_runtime.cli.memory import memory
from rlm_runtime.cli.mlflow import mlflow
from rlm_runtime.cli.ontology import ontology
from rlm_runtime.cli.output import print_error, print_interrupted, print_line
from rlm_runtime.errors import (
    ConfigurationError,
    LogFormatError,
    MemoryStoreError,
    OntologyError,
    RlmError,
)

__all__ = ["app", "main"]

# What libraries say of themselves would stand between the steps; LiteLLM would also fetch its
# price list over the network, though one came along with it.
_QUIET = {"MLFLOW_LOGGING_LEVEL": "WARNING", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}

_BAD_USAGE = (ConfigurationError, OntologyError, LogFormatError, MemoryStoreError)


class _Commands(TyperGroup):
    """Turns expected errors into a message and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except RlmError as error:
            if ctx.meta.get(DEBUG) or os.environ.get("RLM_RUNTIME_DEBUG") == "1":
                print_error("".join(traceback.format_exception(error)).rstrip())
            else:
                print_error(str(error), *_notes(error))
            raise typer.Exit(2 if isinstance(error, _BAD_USAGE) else 1) from error
        except KeyboardInterrupt as error:
            print_interrupted(*_notes(error))
            raise typer.Exit(130) from error
        except SystemExit as error:
            # Below 128 it is no signal: a reader that closed the pipe, for one.
            if isinstance(error.code, int) and error.code > 128:
                print_interrupted(*_notes(error))
            raise


def _notes(error: BaseException) -> list[str]:
    return getattr(error, "__notes__", [])


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(ask)
app.add_typer(log, name="log", help="Show, follow and check trajectory logs.")
app.add_typer(
    memory, name="memory", help="Look at what runs taught, share it, measure whether it helps."
)
app.add_typer(mlflow, name="mlflow", help="Bring runs to MLflow, find and compare them.")
app.add_typer(ontology, name="ontology", help="Look at an ontology without any LM.")


def _print_version(wanted: bool) -> None:
    if wanted:
        print_line(f"rlm-runtime {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Ask questions over RDF ontologies with an LM, and see every step it took.

    For example:

      rlm-runtime ask "What is Activity?" ontology/prov.ttl --model offline
    """


def main() -> None:
    """Run the command line with the process's arguments, and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        # Logs can hold what the terminal's encoding, or any encoding, cannot.
        stream.reconfigure(errors="backslashreplace")  # pyright: ignore[reportAttributeAccessIssue]
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    app(prog_name="rlm-runtime")
