"""The events of a turn, from which displays and logs learn what happened.

Each event has `turn` (an id), `seq` (1, 2, 3 within the turn) and `at` (seconds since the turn began), which the
`Emitter` of the turn sets. An event reports what happened and needs no answer: questions go to the approver.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from .budgets import BudgetUse
from .secrets import StreamHider, hide_in
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
    "BudgetCharged",
    "CallFinished",
    "CallProgressed",
    "CallRequested",
    "DataTransferred",
    "Emit",
    "Emitter",
    "Event",
    "ItemDisplayed",
    "ModelAnswered",
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
    """Base class of all events."""

    turn: str = ""
    seq: int = 0
    at: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class TurnStarted(Event):
    """The user sent a prompt.

    Attributes:
        note: says that the answers are not from a live model, and must be shown; else empty.
        continues: the earlier prompts of the thread that the model sees, the oldest first.
        endpoint: the URL of the model, without credentials; empty if it is not behind one.
    """

    ask: str
    model: str
    note: str
    tools: Sequence[str]
    continues: Sequence[str] = ()
    endpoint: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice(Event):
    """Something takes longer than the user would expect, or differs from their request."""

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetCharged(Event):
    """The turn has used something that a budget limits. `uses` has every limit of the cell and of the session."""

    uses: Sequence[BudgetUse]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelRequested(Event):
    """The model was asked; `number` counts from 1 within the turn."""

    number: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelAnswered(Event):
    """The answer to the request with this number is over, or the request failed or was stopped.

    Attributes:
        usage: the tokens of this answer.
        finish: why the answer ended, in the words of the endpoint; `None` if it did not say.
        error: the type of the error if the request failed or was stopped; else empty.
        model, note, endpoint: who answered, as in `TurnStarted`: another one, if a recorded program came first.
    """

    number: int
    usage: Usage
    finish: str | None = None
    error: str = ""
    model: str = ""
    note: str = ""
    endpoint: str = ""


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
    """The program shown since the last request is withdrawn: it was a draft in the reasoning of the model, or words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewRequested(Event):
    """The user is asked whether the program may run. `problem` says why the program they edited cannot run."""

    program: str
    problem: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewDecided(Event):
    """The user decided. `program` is the program as it will run, or `None` if it was rejected."""

    program: str | None
    comment: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStarted(Event):
    """The program starts in this sandbox."""

    run: int
    isolation: Isolation


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputWritten(Event):
    """The program printed."""

    stream: Stream
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DataTransferred(Event):
    """The program reads a variable of the notebook: `done` of its `total` values were sent."""

    name: str
    done: int
    total: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemDisplayed(Event):
    """The program showed something."""

    item: DisplayItem


@dataclass(frozen=True, kw_only=True, slots=True)
class CallRequested(Event):
    """The program called a tool."""

    run: int
    call: ToolCall


@dataclass(frozen=True, kw_only=True, slots=True)
class ApprovalRequested(Event):
    """The user has to decide about the call."""

    run: int
    call: ToolCall


@dataclass(frozen=True, kw_only=True, slots=True)
class ApprovalDecided(Event):
    """The call was allowed or denied. `waited` is in seconds."""

    run: int
    call: ToolCall
    decision: Decision
    waited: float


@dataclass(frozen=True, kw_only=True, slots=True)
class CallProgressed(Event):
    """The tool reported its progress. `total` is `None` if the tool does not know it."""

    run: int
    call: ToolCall
    done: float
    total: float | None
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CallFinished(Event):
    """The call is over. `seconds` is the time of the tool itself."""

    run: int
    call: ToolCall
    answer: CallOutcome
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFinished(Event):
    """The program is over."""

    run: int
    outcome: RunOutcome


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryStarted(Event):
    """The model is asked again, because of `reason`."""

    attempt: int
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TurnFinished(Event):
    """The turn is over."""

    result: TurnResult
    usage: Usage
    timings: Timings


Emit: TypeAlias = Callable[[Event], None]
"""Receives the events of a turn."""


_Piece: TypeAlias = TextDelta | ProgramDelta | OutputWritten
"""A piece of a text, which may end in the middle of a secret."""
_ENDS_ANSWER = (ModelAnswered, ProgramReady, ProgramWithdrawn)
_ENDS_EVERYTHING = (RunStarted, RunFinished, TurnFinished)


class Emitter:
    """Set `turn`, `seq` and `at` of the events of one turn, and pass them on without secrets."""

    def __init__(self, turn: str, to: Emit) -> None:
        self._turn = turn
        self._to = to
        self._seq = 0
        self._start = time.monotonic()
        self._texts: dict[tuple[type[Event], str], tuple[StreamHider, _Piece]] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, _Piece):
            self._send_piece(event)
            return
        for rest in self._end_texts(event):
            self._send(rest)
        self._send(hide_in(event))

    def _send_piece(self, event: _Piece) -> None:
        key = (type(event), event.stream if isinstance(event, OutputWritten) else "")
        hider = self._texts[key][0] if key in self._texts else StreamHider()
        self._texts[key] = hider, event
        if (text := hider.feed(event.text)) or not event.text:
            self._send(dataclasses.replace(event, text=text))

    def _end_texts(self, event: Event) -> Iterator[Event]:
        """Return what was held back of the texts that end with this event."""
        if isinstance(event, _ENDS_ANSWER + _ENDS_EVERYTHING):
            for key in list(self._texts):
                if key[0] is not OutputWritten or isinstance(event, _ENDS_EVERYTHING):
                    hider, last = self._texts.pop(key)
                    if text := hider.flush():
                        yield dataclasses.replace(last, text=text)

    def _send(self, event: Event) -> None:
        self._seq += 1
        at = round(time.monotonic() - self._start, 4)
        self._to(dataclasses.replace(event, turn=self._turn, seq=self._seq, at=at))
