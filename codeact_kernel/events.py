"""Everything that can happen in a turn, as frozen dataclasses: the only vocabulary of screens and journals.

Each event has `turn` (an id), `seq` (1, 2, 3 within the turn) and `at` (seconds since the turn began); the turn's
`Emitter` stamps them. An event says what happened and never asks anything: questions go to the approver.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from .types import (
    CallOutcome,
    Decision,
    DisplayItem,
    Isolation,
    RunOutcome,
    Stream,
    Timings,
    ToolCall,
    TurnResult,
    Usage,
)

__all__ = [
    "ApprovalDecided",
    "ApprovalRequested",
    "CallFinished",
    "CallProgressed",
    "CallRequested",
    "DataTransferred",
    "Emit",
    "Emitter",
    "Event",
    "ItemDisplayed",
    "ModelRequested",
    "Notice",
    "OutputWritten",
    "ProgramDelta",
    "ProgramReady",
    "ProgramWithdrawn",
    "RetryStarted",
    "ReviewDecided",
    "ReviewRequested",
    "RunFinished",
    "RunStarted",
    "TextDelta",
    "TurnFinished",
    "TurnStarted",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Base of all events."""

    turn: str = ""
    seq: int = 0
    at: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class TurnStarted(Event):
    """A person asked. `note` must be shown when the answers are not a live model's."""

    ask: str
    model: str
    note: str
    tools: Sequence[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice(Event):
    """Something takes longer than a person would expect, or went otherwise than asked."""

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelRequested(Event):
    """The model was asked; `number` counts from 1 within the turn."""

    number: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TextDelta(Event):
    """The model wrote prose."""

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgramDelta(Event):
    """The model wrote a piece of its program."""

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgramReady(Event):
    """The program is complete."""

    program: str
    attempt: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgramWithdrawn(Event):
    """What the model wrote since it was asked is not its program: it was a draft in its reasoning, or words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewRequested(Event):
    """A person is asked whether the program may run. `problem` says why what they made of it cannot."""

    program: str
    problem: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewDecided(Event):
    """What became of it: the program as it will run, or `None` where it was rejected."""

    program: str | None
    comment: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStarted(Event):
    """The program begins, inside this boundary."""

    run: int
    isolation: Isolation


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputWritten(Event):
    """The program printed."""

    stream: Stream
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DataTransferred(Event):
    """The program looks at a variable of the notebook: `done` of its `total` values have gone in."""

    name: str
    done: int
    total: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemDisplayed(Event):
    """The program showed something."""

    item: DisplayItem


@dataclass(frozen=True, kw_only=True, slots=True)
class CallRequested(Event):
    """The program wants a tool."""

    run: int
    call: ToolCall


@dataclass(frozen=True, kw_only=True, slots=True)
class ApprovalRequested(Event):
    """A person has to decide about the call."""

    run: int
    call: ToolCall


@dataclass(frozen=True, kw_only=True, slots=True)
class ApprovalDecided(Event):
    """The call may run, or not. `waited` is in seconds."""

    run: int
    call: ToolCall
    decision: Decision
    waited: float


@dataclass(frozen=True, kw_only=True, slots=True)
class CallProgressed(Event):
    """The tool tells how far it is. `total` is `None` where it does not know."""

    run: int
    call: ToolCall
    done: float
    total: float | None
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CallFinished(Event):
    """The call is over. `took` is the tool's own time in seconds."""

    run: int
    call: ToolCall
    answer: CallOutcome
    took: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFinished(Event):
    """The program is over."""

    run: int
    outcome: RunOutcome


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryStarted(Event):
    """The model is asked once more, because of `reason`."""

    attempt: int
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TurnFinished(Event):
    """The turn is over; `result` holds all of it."""

    result: TurnResult
    usage: Usage
    timings: Timings


Emit: TypeAlias = Callable[[Event], None]
"""Takes an event and gives nothing back."""


class Emitter:
    """Stamps the events of one turn and passes them on."""

    def __init__(self, turn: str, to: Emit) -> None:
        self._turn = turn
        self._to = to
        self._seq = 0
        self._start = time.monotonic()

    def __call__(self, event: Event) -> None:
        self._seq += 1
        at = round(time.monotonic() - self._start, 4)
        self._to(dataclasses.replace(event, turn=self._turn, seq=self._seq, at=at))
