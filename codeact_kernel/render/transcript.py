"""Collect the events of a turn in a transcript, from which every format is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..events import (
    ApprovalDecided,
    ApprovalRequested,
    CallFinished,
    CallProgressed,
    CallRequested,
    DataTransferred,
    Event,
    ModelRequested,
    Notice,
    OutputWritten,
    ProgramDelta,
    ProgramReady,
    ProgramWithdrawn,
    RetryStarted,
    ReviewDecided,
    ReviewRequested,
    RunFinished,
    RunStarted,
    TextDelta,
    TurnFinished,
    TurnStarted,
)
from ..types import CallOutcome, Decision, Isolation, ToolCall, TurnResult

__all__ = ["Attempt", "Batch", "CallRow", "Transcript"]

_OUTPUT_SHOWN = 20_000


@dataclass(slots=True)
class CallRow:
    """One tool call and its progress.

    Attributes:
        seconds: the time of the tool itself.
        asked: whether the user is or was asked about the call.
        batch: the index of its batch of parallel calls in `Attempt.batches`; 0 if it is in none.
        progress: the last report of the tool: the amount done, the total and a few words.
        text, result: the call and its result as they are shown. Both are kept, because a card is drawn often and
            values can be large.
    """

    call: ToolCall
    decision: Decision | None = None
    answer: CallOutcome | None = None
    seconds: float = 0.0
    asked: bool = False
    batch: int = 0
    progress: tuple[float, float | None, str] | None = None
    text: str = ""
    result: str = ""

    @property
    def is_waiting(self) -> bool:
        """Return whether the user has to decide now."""
        return self.asked and self.decision is None and self.answer is None


@dataclass(slots=True)
class Batch:
    """Parallel calls: how many the program makes, how many were requested, and how many are over."""

    size: int
    opened: int = 0
    over: int = 0


@dataclass(slots=True)
class Attempt:
    """One program with its calls and output.

    Attributes:
        calls: its tool calls in the order of their requests.
        batches: its batches of parallel calls. The first is a placeholder for calls that are in no batch.
        rows: its tool calls by id.
        reason: why the model was asked for another program.
    """

    program: str = ""
    calls: list[CallRow] = field(default_factory=list[CallRow])
    batches: list[Batch] = field(default_factory=lambda: [Batch(0)])
    rows: dict[int, CallRow] = field(default_factory=dict[int, CallRow])
    output: str = ""
    reason: str = ""

    def add_call(self, call: ToolCall) -> None:
        """Add a call that the program makes."""
        row = self.rows[call.id] = CallRow(call)
        self.calls.append(row)
        if call.batch_size > 1:
            batch = self.batches[-1]
            if batch.size != call.batch_size or batch.opened == batch.size:
                self.batches.append(batch := Batch(call.batch_size))
            batch.opened += 1
            row.batch = len(self.batches) - 1


@dataclass(slots=True)
class Transcript:
    """The state of a turn, from which the formats are written.

    Attributes:
        phase: "writing program", "running", "done", "failed", "denied" or "stopped".
        review: the program that the user reviews now, and why their edited program cannot run.
        moving: which variable the program is reading, and how much of it has been read.
        continues: the earlier prompts that the model saw, the oldest first.
        waiting: how many calls wait for a decision.
        copies: texts that the user can copy from the finished card, by the labels of their buttons.
    """

    phase: str = "writing program"
    ask: str = ""
    model: str = ""
    note: str = ""
    notices: list[str] = field(default_factory=list[str])
    prose: str = ""
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    isolation: Isolation | None = None
    result: TurnResult | None = None
    review: tuple[str, str] | None = None
    moving: str = ""
    continues: Sequence[str] = ()
    waiting: int = 0
    copies: Mapping[str, str] = field(default_factory=dict[str, str])
    run: int = 0
    _writing: bool = False
    _answered: bool = False

    @classmethod
    def from_result(cls, result: TurnResult) -> Transcript:
        """Make the transcript of a result whose events are gone."""
        rows = [CallRow(record.call, record.decision, record.answer, record.seconds) for record in result.calls]
        attempt = Attempt(program=result.program or "", calls=rows, output=_bounded(result.stdout + result.stderr))
        return cls(
            phase=_name_phase(result),
            ask=result.ask,
            model=result.model,
            note=result.note,
            prose=result.answer,
            attempts=[attempt] if result.program is not None else [],
            isolation=result.isolation,
            continues=result.continues,
            result=result,
        )

    def apply(self, event: Event) -> None:
        """Update the state from one event."""
        match event:
            case TurnStarted(ask=ask, model=model, note=note, continues=continues):
                self.ask, self.model, self.note, self.continues = ask, model, note, continues
            case Notice(text=text):
                self.notices.append(text)
            case ModelRequested():
                self._begin_answer()
            case TextDelta(text=text):
                self.prose = _bounded(self.prose + text)
            case ProgramDelta(text=text):
                self._current().program += text
            case ProgramReady(program=program):
                self._current().program = program
                self._writing, self._answered = False, True
            case ProgramWithdrawn():
                self._withdraw()
            case ReviewRequested(program=program, problem=problem):
                self.review = (program, problem)
            case ReviewDecided(program=program):
                self.review = None
                if program is not None and program != self.attempts[-1].program:
                    self.attempts[-1].program = program
                    self.notices = [*dict.fromkeys([*self.notices, "You changed the program before it ran."])]
            case RunStarted(run=run, isolation=isolation):
                self.phase, self.run, self.isolation = "running", run, isolation
            case DataTransferred(name=name, done=done, total=total):
                self.moving = f"{name}: {done:,} of {total:,} values read"
            case RunFinished():
                self.moving = ""
            case OutputWritten(text=text):
                attempt = self.attempts[-1]
                attempt.output = _bounded(attempt.output + text)
            case CallRequested(call=call):
                self.attempts[-1].add_call(call)
            case ApprovalRequested(call=call):
                self._row(call).asked = True
                self.waiting += 1
            case ApprovalDecided(call=call, decision=decision):
                row = self._row(call)
                self.waiting -= row.is_waiting
                row.decision = decision
            case CallProgressed(run=run, call=call, done=done, total=total, text=text):
                if self.has_row(run, call.id):  # an abandoned tool can still report during the next run
                    self._row(call).progress = (done, total, text)
            case CallFinished(call=call, answer=answer, seconds=seconds):
                row = self._row(call)
                self.waiting -= row.is_waiting
                row.answer, row.seconds = answer, seconds
                self.attempts[-1].batches[row.batch].over += 1
            case RetryStarted(reason=reason):
                if self._answered:
                    self.attempts[-1].reason = reason
                else:
                    self.notices.append(f"Asked again: {reason}")
            case TurnFinished(result=result):
                self.result, self.phase, self.review, self.waiting = result, _name_phase(result), None, 0
            case _:
                pass

    @property
    def state(self) -> str:
        """The phase and the transfer of data, or "waiting for you" while the user has to decide."""
        if self.waiting or self.review:
            return "waiting for you"
        return f"{self.phase}, {self.moving}" if self.moving and self.result is None else self.phase

    @property
    def notes(self) -> list[str]:
        """The note and the notices of the turn."""
        return [note for note in (self.note, *self.notices) if note]

    @property
    def words(self) -> str:
        """The words of the model: its answer, or its text before the first program."""
        if self.result is not None:
            return _bounded(self.result.answer)
        return "" if self.attempts else self.prose

    def has_row(self, run: object, call: object) -> bool:
        """Return whether the current run has requested this call."""
        return run == self.run and bool(self.attempts) and call in self.attempts[-1].rows

    def _begin_answer(self) -> None:
        self.phase, self.prose = "writing program", ""
        self._writing = self._answered = False

    def _withdraw(self) -> None:
        if self._writing:
            del self.attempts[-1]
        self._begin_answer()

    def _current(self) -> Attempt:
        if not self._writing:
            self._writing = True
            self.attempts.append(Attempt())
        return self.attempts[-1]

    def _row(self, call: ToolCall) -> CallRow:
        return self.attempts[-1].rows[call.id]


def _name_phase(result: TurnResult) -> str:
    if result.error is None:
        return "done"
    if result.stopped:
        return "stopped"
    denied = result.error.kind == "ToolDenied" and any(not record.decision.allowed for record in result.calls)
    return "denied" if denied or result.error.kind == "Rejected" else "failed"


def _bounded(text: str) -> str:
    if len(text) <= _OUTPUT_SHOWN:
        return text
    return f"{text[: _OUTPUT_SHOWN // 2]}\n… some output is not shown here …\n{text[-_OUTPUT_SHOWN // 2 :]}"
