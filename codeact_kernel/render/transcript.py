"""What has been seen of a turn: events go in one by one, and each format is drawn from what they left."""

from __future__ import annotations

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
    """One tool call, as far as it has come.

    Attributes:
        took: seconds.
        asked: whether a person is asked about it, or was.
        batch: which of the groups of calls that the program sent off at once it belongs to; 0 is none.
        progress: what the tool told last: how much is done, of how much, and a few words.
        text, end: both as they are shown: made once, since a card is drawn often and values can be large.
    """

    call: ToolCall
    decision: Decision | None = None
    answer: CallOutcome | None = None
    took: float = 0.0
    asked: bool = False
    batch: int = 0
    progress: tuple[float, float | None, str] | None = None
    text: str = ""
    end: str = ""

    @property
    def is_waiting(self) -> bool:
        """Whether a person has to decide now."""
        return self.asked and self.decision is None and self.answer is None


@dataclass(slots=True)
class Batch:
    """Calls that the program sent off at once: how many there are, how many were opened, how many are over."""

    size: int
    opened: int = 0
    over: int = 0


@dataclass(slots=True)
class Attempt:
    """One program and what became of it.

    Attributes:
        calls: its tool calls, as they came.
        batches: those sent off at once, by the number that their rows have; the first is none.
        reason: why it was not the last.
    """

    program: str = ""
    calls: list[CallRow] = field(default_factory=list[CallRow])
    batches: list[Batch] = field(default_factory=lambda: [Batch(0)])
    rows: dict[int, CallRow] = field(default_factory=dict[int, CallRow])
    output: str = ""
    reason: str = ""

    def add_call(self, call: ToolCall) -> None:
        """A call that the program makes."""
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
    """The state that the formats are drawn from.

    Attributes:
        phase: "writing program", "running", "done", "failed", "denied" or "stopped".
        review: the program that a person is asked about now, and why what they made of it cannot run.
        moving: how much of which variable the program has read, while it does.
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
    waiting: int = 0
    run: int = 0
    _writing: bool = False
    _answered: bool = False

    @classmethod
    def from_result(cls, result: TurnResult) -> Transcript:
        """Of a result that was kept, without its events."""
        rows = [CallRow(one.call, one.decision, one.answer, one.seconds) for one in result.calls]
        attempt = Attempt(program=result.program or "", calls=rows, output=_bounded(result.stdout + result.stderr))
        return cls(
            phase=_name_phase(result),
            ask=result.ask,
            model=result.model,
            note=result.note,
            prose=result.answer,
            attempts=[attempt] if result.program is not None else [],
            isolation=result.isolation,
            result=result,
        )

    def apply(self, event: Event) -> None:
        """Take one event in."""
        match event:
            case TurnStarted(ask=ask, model=model, note=note):
                self.ask, self.model, self.note = ask, model, note
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
                if self.has_row(run, call.id):  # a tool that was given up may talk on while the next program runs
                    self._row(call).progress = (done, total, text)
            case CallFinished(call=call, answer=answer, took=took):
                row = self._row(call)
                self.waiting -= row.is_waiting
                row.answer, row.took = answer, took
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
        """The phase, with what moves in it, or "waiting for you" while it waits for a decision."""
        if self.waiting or self.review:
            return "waiting for you"
        return f"{self.phase}, {self.moving}" if self.moving and self.result is None else self.phase

    @property
    def notes(self) -> list[str]:
        """The sentences about the turn."""
        return [note for note in (self.note, *self.notices) if note]

    @property
    def words(self) -> str:
        """What the model says in words: its answer, or what it writes before its first program."""
        if self.result is not None:
            return _bounded(self.result.answer)
        return "" if self.attempts else self.prose

    def has_row(self, run: object, call: object) -> bool:
        """Whether the call is the present run's, and was seen to be opened."""
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
