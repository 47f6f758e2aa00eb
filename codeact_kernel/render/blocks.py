"""Divide a turn into blocks, which every format and the live card show in the same order.

While a turn runs, its programs and calls come first. When it is over, the answer comes first, and everything behind it
is one `Details` block. To add an element, yield a block of a suitable kind in `divide`. A new kind also needs a writer
in `html.py`, `markdown.py` and `text.py`; the live card draws what `html.py` makes of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, TypeAlias

from ..text import truncate
from ..types import DisplayItem, Isolation, JSONValue
from .elements import Element
from .escaping import escape_controls, escape_hidden
from .failures import describe_done, describe_failure, traceback_text
from .file_list import FileRow, list_files
from .summary import details, summary_line
from .tables import TextTable, to_table
from .transcript import Attempt, Transcript
from .values import is_scalar, value_block

__all__ = [
    "Block",
    "Details",
    "Failure",
    "Files",
    "NoValue",
    "Note",
    "Output",
    "Program",
    "Shown",
    "Table",
    "Tree",
    "Value",
    "Words",
    "divide",
]

_MAX_LINE = 300
_FIGURE = re.compile(r"<figure [^<>]{1,100}, shown to the user>")
"""What a program gets for a figure that a tool returned. The user sees the figure itself."""


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence about the turn, for example that its answers were recorded."""

    kind: ClassVar = "note"
    text: str


@dataclass(frozen=True, slots=True)
class Program:
    """One program with its calls and output.

    Attributes:
        number, count: the program is number `number` of `count`.
        failed_line: the line in which the turn failed; `None` in all but the last program.
    """

    kind: ClassVar = "program"
    attempt: Attempt
    number: int
    count: int
    failed_line: int | None = None

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
    """Why the turn failed.

    Attributes:
        done: what the turn had done before.
        line, source: the line of the program that failed; `None` and empty if it is not known.
        traceback: the traceback of the program; empty if the guest sent none.
        tool_error: the traceback of the tool that failed; empty if none did.
    """

    kind: ClassVar = "failure"
    state: str
    message: str
    done: str
    line: int | None
    source: str
    traceback: str
    tool_error: str

    @property
    def sentences(self) -> list[str]:
        """What was done and why it failed. What was done comes first, except after a stop, which the user asked for."""
        sentences = (
            [self.message, self.done] if self.state == "stopped" or not self.has_effects else [self.done, self.message]
        )
        return [sentence for sentence in sentences if sentence]

    @property
    def has_effects(self) -> bool:
        """Whether the turn had done something before."""
        return self.done.startswith("Already")


@dataclass(frozen=True, slots=True)
class Output:
    """What the last program printed. It belongs to the answer, as in any other cell."""

    kind: ClassVar = "output"
    text: str


@dataclass(frozen=True, slots=True)
class Shown:
    """An item that the program showed. `draw` draws it for pages."""

    kind: ClassVar = "shown"
    item: DisplayItem
    draw: Callable[[], Element]


@dataclass(frozen=True, slots=True)
class Table:
    """The value of the last expression, if people read it as a table."""

    kind: ClassVar = "table"
    table: TextTable


@dataclass(frozen=True, slots=True)
class Tree:
    """The value of the last expression, if it is nested. `text` is the same in text."""

    kind: ClassVar = "tree"
    value: JSONValue
    text: str


@dataclass(frozen=True, slots=True)
class Value:
    """The value of the last expression, if it is neither a table nor nested."""

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
class Details:
    """Everything behind the answer: one line that opens into the programs with their calls, and a few more lines."""

    kind: ClassVar = "details"
    summary: str
    programs: Sequence[Program]
    lines: Sequence[str]


End: TypeAlias = Failure | Table | Tree | Value | NoValue
Block: TypeAlias = Note | Program | Words | Output | Shown | End | Files | Details
"""A part of the output. Apart from programs, trees and shown items, a block is finished and bounded text, in which
hidden characters are escaped. Each format still has to escape what is markup there."""


def divide(transcript: Transcript) -> Iterator[Block]:
    """Yield the blocks of a turn in the order in which they are shown."""
    yield from (Note(escape_controls(note)) for note in transcript.notes)
    if transcript.isolation is not None and transcript.result is not None and transcript.isolation.missing:
        yield Note(_warn_of_boundary(transcript.isolation))
    failed_line = transcript.result.error.line if transcript.result and transcript.result.error else None
    count = len(transcript.attempts)
    programs = [
        Program(attempt, number, count, failed_line if number == count else None)
        for number, attempt in enumerate(transcript.attempts, 1)
    ]
    end = _find_end(transcript)
    if transcript.result is None:
        yield from programs
    if isinstance(end, Failure):
        yield end
    if words := escape_controls(transcript.words.strip()):
        yield Words(words)
    if transcript.result is not None and (printed := _find_output(transcript)):
        yield Output(printed)
    for index, item in enumerate(transcript.items):
        yield Shown(item, partial(transcript.gallery.draw, item, transcript.pictures.get(index, "")))
    if not isinstance(end, Failure):
        yield end
    if transcript.result is None:
        return
    if transcript.result.files:
        yield Files(*list_files(transcript.result.files))
    yield Details(summary_line(transcript), programs, details(transcript))


def _find_end(transcript: Transcript) -> End:
    """Return the failure or the value with which the turn ended."""
    result = transcript.result
    if result is None:
        return NoValue(escape_controls(transcript.status))
    if result.error is not None:
        rows = [row for attempt in transcript.attempts for row in attempt.calls]
        return Failure(
            state=escape_controls(transcript.state),
            message=describe_failure(result),
            done=describe_done(result, rows),
            line=result.error.line,
            source=_find_line(transcript, result.error.line),
            traceback=traceback_text(result.error),
            tool_error=transcript.tool_error,
        )
    if (result.value is None and result.text is None) or _is_figure(result.value):
        return NoValue("")
    if (table := to_table(result.value)) is not None:
        return Table(table)
    if _is_nested(result.value):
        return Tree(result.value, value_block(result.value))
    return Value(value_block(result.value))


def _find_line(transcript: Transcript, line: int | None) -> str:
    """Return the text of a line of the last program, or an empty text if the program is shorter."""
    lines = escape_hidden(transcript.attempts[-1].program).strip("\n").split("\n") if transcript.attempts else []
    return truncate(lines[line - 1], _MAX_LINE) if line and line <= len(lines) else ""


def _find_output(transcript: Transcript) -> str:
    return escape_controls(transcript.attempts[-1].output).rstrip("\n") if transcript.attempts else ""


def _is_figure(value: JSONValue) -> bool:
    return isinstance(value, str) and _FIGURE.fullmatch(value) is not None


def _is_nested(value: JSONValue) -> bool:
    parts = list(value.values()) if isinstance(value, dict) else value
    return isinstance(parts, list) and not all(map(is_scalar, parts))


def _warn_of_boundary(isolation: Isolation) -> str:
    return escape_controls(f"This system has no {' and no '.join(isolation.missing)}: the sandbox ran without it.")
