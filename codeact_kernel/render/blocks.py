"""Divide a turn into blocks. Each format writes every kind of block in its own way, and none walks the transcript."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..types import JSONValue, OutputFile, ProgramFailure
from .shared import TextTable, footer, to_table
from .transcript import Attempt, Transcript

__all__ = [
    "Block",
    "Failure",
    "Files",
    "Footer",
    "NoValue",
    "Note",
    "Program",
    "Value",
    "Words",
    "divide",
    "find_end",
]


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence about the turn, for example that its answers were recorded."""

    text: str


@dataclass(frozen=True, slots=True)
class Program:
    """One program with its calls and output; `number` counts from 1 to `count`."""

    attempt: Attempt
    number: int
    count: int

    @property
    def is_last(self) -> bool:
        return self.number == self.count


@dataclass(frozen=True, slots=True)
class Words:
    """What the model says instead of a program, or before it."""

    text: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the turn failed."""

    state: str
    failure: ProgramFailure


@dataclass(frozen=True, slots=True)
class Value:
    """The value of the last expression, which is not a table. A table is a block itself."""

    value: JSONValue


@dataclass(frozen=True, slots=True)
class NoValue:
    """Takes the place of the value while there is none; `state` is empty once the turn is over."""

    state: str


@dataclass(frozen=True, slots=True)
class Files:
    """The files that the program wrote for the user."""

    files: Sequence[OutputFile]


@dataclass(frozen=True, slots=True)
class Footer:
    """The state, and where the tokens and seconds went."""

    state: str
    text: str


End: TypeAlias = Failure | TextTable | Value | NoValue
Block: TypeAlias = Note | Program | Words | End | Files | Footer


def divide(transcript: Transcript) -> Iterator[Block]:
    """Yield the blocks of a turn in the order in which they are shown."""
    yield from (Note(note) for note in transcript.notes)
    count = len(transcript.attempts)
    yield from (Program(attempt, number, count) for number, attempt in enumerate(transcript.attempts, 1))
    if transcript.words:
        yield Words(transcript.words)
    yield find_end(transcript)
    if transcript.result is not None and transcript.result.files:
        yield Files(transcript.result.files)
    yield Footer(transcript.state, footer(transcript))


def find_end(transcript: Transcript) -> End:
    """Return the failure or the value with which the turn ended."""
    result = transcript.result
    if result is None:
        return NoValue(transcript.state)
    if result.error is not None:
        return Failure(transcript.state, result.error)
    if result.value is None and result.text is None:
        return NoValue("")
    return to_table(result.value) or Value(result.value)
