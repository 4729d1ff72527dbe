"""The one place of the command line that prints: text, code, tables, JSON, CSV, errors."""

from __future__ import annotations

import csv
import json
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rlm_runtime.logging.console import visible
from rlm_runtime.redaction import Redaction

__all__ = [
    "Page",
    "confirmed",
    "one_line",
    "print_csv",
    "print_error",
    "print_interrupted",
    "print_json",
    "print_line",
    "warnings_on",
]

Language = Literal["python", "sparql"]

# Wider than any line: what is piped into a file or another program is not wrapped.
_UNWRAPPED = 100_000
_MAX_RULE = 100
_C1 = re.compile("[\x7f-\x9f]")


def one_line(text: str, length: int | None = None) -> str:
    r"""Give text on one line, at most so many characters of it.

    Example:
        >>> one_line("SELECT ?s\n  WHERE {}", 12)
        'SELECT ?s W…'
    """
    line = " ".join(visible(text).split())
    return line if length is None or len(line) <= length else line[: length - 1] + "…"


class Page:
    """A stream to print on, with colours and wrapping only where they belong.

    Colours are for terminals (never with ``NO_COLOR``), and only a terminal's lines are wrapped.

    Args:
        console: Where to print; default: standard output.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or _console(stderr=False)

    @classmethod
    def on_stderr(cls) -> Page:
        """Give a page on standard error."""
        return cls(_console(stderr=True))

    def blank(self) -> None:
        """Print an empty line."""
        self._console.print()

    def line(
        self, *parts: str | tuple[str, str], style: str = "", indent: int = 0, gutter: str = ""
    ) -> None:
        """Print text, wrapped and indented.

        Args:
            *parts: Texts, or (text, style).
            style: For all of it.
            indent: Columns.
            gutter: Put before each line, after the indentation.
        """
        text = Text(style=style)
        for part in parts:
            if isinstance(part, str):
                text.append(visible(part))
            else:
                text.append(visible(part[0]), style=part[1])
        self._print(text, indent, gutter)

    def command(self, text: str, *, indent: int = 0) -> None:
        """Print a command to copy: on one line, however long."""
        self._console.print(Text(" " * indent + visible(text)), soft_wrap=True, highlight=False)

    def rule(self, title: str, *, indent: int = 0) -> None:
        """Print a line across the page with a title."""
        width = min(self._console.width, _MAX_RULE)
        title = visible(title)
        text = Text.assemble(
            ("── ", "dim"), (title, "bold"), (f" {'─' * (width - indent - len(title) - 4)}", "dim")
        )
        self._print(text, indent, "")

    def code(self, text: str, language: Language, *, indent: int = 0) -> None:
        """Print code, coloured by its syntax on a terminal."""
        text = visible(text).strip("\n")
        if self._console.color_system is None or self._console.no_color:
            self._print(Text(text), indent, "")
            return
        from rich.syntax import Syntax

        shown = Syntax("", language, theme="ansi_dark").highlight(text)
        # The highlighter adds a line break.
        shown.rstrip()
        self._print(shown, indent, "")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print rows in columns, below their names."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(visible(column), overflow="fold")
        for row in rows:
            table.add_row(*(Text(visible(cell)) for cell in row))
        self._console.print(table, highlight=False)

    def busy(self, doing: str) -> AbstractContextManager[object]:
        """Show on a terminal that something goes on, below what is printed meanwhile."""
        if not self._console.is_terminal:
            return nullcontext()
        return self._console.status(Text(doing, "dim"), spinner_style="dim")

    @contextmanager
    def progress(self, doing: str) -> Iterator[Callable[[str, int, int], None]]:
        """Show how far something is: a bar on a terminal, else a line for each part.

        Yields:
            A function to call with what was done last, how many are done, and how many there are.
        """
        if not self._console.is_terminal:
            yield lambda text, done, total: self.line(f"{done}/{total}  {text}")
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (TextColumn("{task.description}", style="dim"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=self._console, transient=True) as bar:
            # Until the first part is done nobody knows how many there are.
            task = bar.add_task(doing, total=None)
            yield lambda _text, done, total: bar.update(task, completed=done, total=total)

    def _print(self, text: Text, indent: int, gutter: str) -> None:
        before = Text(" " * indent).append(gutter, "dim")
        width = max(self._console.width - len(before), 20)
        # One write: lines of several threads, or of a progress display, must not mix.
        lines = text.wrap(self._console, width, overflow="fold", tab_size=4, no_wrap=False)
        for line in lines:
            line.rstrip()
        whole = Text("\n").join(before + line if line or gutter else line for line in lines)
        self._console.print(whole, soft_wrap=True, highlight=False)


def _console(*, stderr: bool) -> Console:
    probe = Console(stderr=stderr, highlight=False, emoji=False, markup=False)
    if probe.is_terminal or "COLUMNS" in os.environ:
        return probe
    return Console(
        stderr=stderr, highlight=False, emoji=False, markup=False, width=_UNWRAPPED, height=100
    )


def print_json(value: Any) -> None:
    """Print one JSON value to standard output."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    # JSON itself leaves these as they are, and a terminal obeys some of them.
    sys.stdout.write(_C1.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n")


def print_csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows as CSV to standard output, as the SPARQL 1.1 CSV format has it."""
    writer = csv.writer(sys.stdout)
    # A file gets the data as they are; a terminal would obey what they hold.
    shown = visible if sys.stdout.isatty() else str
    writer.writerow([shown(column) for column in columns])
    writer.writerows([shown(cell) for cell in row] for row in rows)


def print_error(message: str, *hints: str) -> None:
    """Print what went wrong to standard error, with what to do on lines of its own.

    What libraries say of a failure can quote a key or a login; neither is shown.
    """
    page = Page.on_stderr()
    shown = Redaction().text
    page.line(("error: ", "bold red"), shown(message))
    for hint in hints:
        page.line(shown(hint), indent=2)


def print_interrupted(*hints: str) -> None:
    """Say on standard error that the user has stopped it."""
    page = Page.on_stderr()
    page.line("interrupted", style="yellow")
    for hint in hints:
        page.line(hint, indent=2)


def confirmed(question: str) -> bool:
    """Ask the user on standard error; only a clear yes is one, and silence is none."""
    try:
        return typer.confirm(question, default=False, err=True)
    except typer.Abort:
        return False


def print_line(text: str) -> None:
    """Print one line to standard output."""
    Page().line(text)


@contextmanager
def warnings_on(page: Page) -> Iterator[None]:
    """Show Python's warnings on a page, as one line each."""

    def show(message: Warning | str, *_: object, **__: object) -> None:
        page.line(("warning: ", "yellow"), Redaction().text(str(message)))

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
