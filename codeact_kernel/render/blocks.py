"""Divide a turn into blocks, which every format and the live card show in the same order.

To add an element, yield a block of a suitable kind in `divide`. A new kind also needs a writer in `html.py`,
`markdown.py`, `text.py` and the table of `extension/codeact/card.js`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from .escaping import escape_controls
from .file_list import FileRow, list_files
from .shared import TextTable, error_text, footer, to_table, traceback_text, value_block
from .transcript import Attempt, Transcript

__all__ = [
    "Block",
    "Failure",
    "Files",
    "Footer",
    "NoValue",
    "Note",
    "Program",
    "Table",
    "Value",
    "Words",
    "divide",
]


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence about the turn, for example that its answers were recorded."""

    kind: ClassVar = "note"
    text: str


@dataclass(frozen=True, slots=True)
class Program:
    """One program with its calls and output; `number` counts from 1 to `count`."""

    kind: ClassVar = "program"
    attempt: Attempt
    number: int
    count: int

    @property
    def is_last(self) -> bool:
        return self.number == self.count


@dataclass(frozen=True, slots=True)
class Words:
    """What the model says instead of a program, or before it."""

    kind: ClassVar = "words"
    text: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the turn failed. The traceback is empty if the guest sent none."""

    kind: ClassVar = "failure"
    state: str
    message: str
    traceback: str


@dataclass(frozen=True, slots=True)
class Table:
    """The value of the last expression, if it is a list of rows."""

    kind: ClassVar = "table"
    table: TextTable


@dataclass(frozen=True, slots=True)
class Value:
    """The value of the last expression, if it is not a table."""

    kind: ClassVar = "value"
    text: str


@dataclass(frozen=True, slots=True)
class NoValue:
    """Takes the place of the value if there is none; `state` is empty once the turn is over."""

    kind: ClassVar = "no_value"
    state: str


@dataclass(frozen=True, slots=True)
class Files:
    """The files that the program wrote for the user, and how many more it wrote."""

    kind: ClassVar = "files"
    rows: list[FileRow]
    left_out: str


@dataclass(frozen=True, slots=True)
class Footer:
    """The state, and where the tokens and seconds went."""

    kind: ClassVar = "footer"
    state: str
    text: str


End: TypeAlias = Failure | Table | Value | NoValue
Block: TypeAlias = Note | Program | Words | End | Files | Footer
"""A part of the output. Apart from programs, a block is finished and bounded text, in which hidden characters are
escaped. Each format still has to escape what is markup there."""


def divide(transcript: Transcript) -> Iterator[Block]:
    """Yield the blocks of a turn in the order in which they are shown."""
    yield from (Note(escape_controls(note)) for note in transcript.notes)
    count = len(transcript.attempts)
    yield from (Program(attempt, number, count) for number, attempt in enumerate(transcript.attempts, 1))
    if words := escape_controls(transcript.words.strip()):
        yield Words(words)
    yield _find_end(transcript)
    if transcript.result is not None and transcript.result.files:
        yield Files(*list_files(transcript.result.files))
    yield Footer(escape_controls(transcript.state), footer(transcript))


def _find_end(transcript: Transcript) -> End:
    """Return the failure or the value with which the turn ended."""
    result = transcript.result
    if result is None:
        return NoValue(escape_controls(transcript.state))
    if result.error is not None:
        return Failure(escape_controls(transcript.state), error_text(result.error), traceback_text(result.error))
    if result.value is None and result.text is None:
        return NoValue("")
    table = to_table(result.value)
    return Value(value_block(result.value)) if table is None else Table(table)
