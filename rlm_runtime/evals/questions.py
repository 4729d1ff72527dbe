"""Reads the questions of an evaluation from a file: text, JSON, JSON Lines or CSV."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlm_runtime.errors import ConfigurationError

__all__ = ["Question", "read_questions", "same_question"]


@dataclass(frozen=True)
class Question:
    """A question, and what a right answer says.

    Attributes:
        text: The question, in words.
        expected: Texts that all occur in a right answer; empty when that is not known.

    Example:
        >>> asked = Question("How many Agents are there?", ("3",))
        >>> asked.is_answered_by("There are 3 agents."), asked.is_answered_by("There are 13.")
        (True, False)
    """

    text: str
    expected: tuple[str, ...] = ()

    def is_answered_by(self, answer: str) -> bool:
        """Say whether an answer holds all that is expected, as whole words in any case."""
        said = _plain(answer)
        return all(
            re.search(rf"(?<!\w){re.escape(_plain(one))}(?!\w)", said) for one in self.expected
        )


def same_question(one: str, other: str) -> bool:
    """Say whether two questions differ in nothing but case and spaces.

    Example:
        >>> same_question("What is  Plan?", "what is plan?")
        True
    """
    return _plain(one) == _plain(other)


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def read_questions(source: str | Path | Iterable[str | Question]) -> list[Question]:
    """Give the questions of a file, or those given.

    Args:
        source: Questions, or a file of them in UTF-8: ``.txt`` has one on each line (empty lines
            and those that begin with ``#`` are passed over), ``.json`` a list and ``.jsonl`` a
            line each of texts or objects, ``.csv`` a row each below the names of its columns.
            Objects and rows have ``question`` and may have ``expected``: a text, or in JSON a list
            of texts, that a right answer holds.

    Raises:
        ConfigurationError: The file cannot be read or holds no questions, or one is asked twice.

    Example:
        >>> [one.text for one in read_questions(["What is Plan?", "What is Agent?"])]
        ['What is Plan?', 'What is Agent?']
    """
    if isinstance(source, str | Path):
        where, given = f"{source}: ", _from_file(Path(source))
    else:
        where, given = "", list(source)
    questions = [
        _question(one, f"{where}question {number}") for number, one in enumerate(given, start=1)
    ]
    if not questions:
        raise ConfigurationError(f"{where}there are no questions. Give at least one.")
    seen: dict[str, int] = {}
    for number, question in enumerate(questions, start=1):
        first = seen.setdefault(_plain(question.text), number)
        if first != number:
            raise ConfigurationError(
                f"{where}question {number} is question {first} again: {question.text!r}. "
                "Ask each once; repeat them with more seeds."
            )
    return questions


def _from_file(path: Path) -> list[Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The questions in {path} cannot be read: {error}") from error
    kind = path.suffix.lower()
    try:
        if kind == ".txt":
            lines = (line.strip() for line in text.splitlines())
            return [line for line in lines if line and not line.startswith("#")]
        if kind == ".json":
            value = json.loads(text)
            if not isinstance(value, list):
                raise ConfigurationError(f"{path} holds no list of questions. Put them in [ ].")
            return value
        if kind == ".jsonl":
            return [json.loads(line) for line in text.splitlines() if line.strip()]
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"{path} is not valid JSON: {error}") from error
    if kind == ".csv":
        rows = csv.DictReader(io.StringIO(text))
        if "question" not in (rows.fieldnames or ()):
            raise ConfigurationError(f"{path} has no column question. Name it in the first row.")
        return list(rows)
    raise ConfigurationError(
        f"{path} tells no format. Give a name that ends in .txt, .json, .jsonl or .csv."
    )


def _question(given: Any, where: str) -> Question:
    if isinstance(given, Question):
        text, expected = given.text, given.expected
    elif isinstance(given, dict):
        text, expected = given.get("question"), given.get("expected")
    else:
        text, expected = given, None
    if not isinstance(text, str) or not text.strip():
        raise ConfigurationError(f"{where} is no text. Give one in words, as question.")
    if expected in (None, ""):
        expected = ()
    elif isinstance(expected, str | int | float):
        expected = (expected,)
    if not isinstance(expected, list | tuple) or not all(str(one).strip() for one in expected):
        raise ConfigurationError(f"{where}: expected is neither a text nor a list of texts.")
    return Question(text.strip(), tuple(str(one) for one in expected))
