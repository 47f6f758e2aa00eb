"""Collect the events of a turn in a transcript, from which every format is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from ..budgets import BudgetUse
from ..events import (
    ApprovalDecided,
    ApprovalRequested,
    BudgetCharged,
    CallFinished,
    CallProgressed,
    CallRequested,
    DataTransferred,
    Event,
    ItemDisplayed,
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
from ..types import CallOutcome, Decision, DisplayItem, Isolation, ToolCall, TurnResult
from .shown_items import Gallery

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
        phase: "starting", "asking the model" (until its first token), "writing" or "writing program", "starting the
            sandbox", "running", and at the end "done", "failed", "denied" or "stopped".
        review: the program that the user reviews now, and why their edited program cannot run.
        moving: which variable the program is reading, and how much of it has been read.
        continues: the earlier prompts that the model saw, the oldest first.
        budget: how much of each budget is used; empty without one.
        waiting: how many calls wait for a decision.
        tools: the tools that were described to the model.
        items: what the programs showed, without that of programs that failed and were followed by another.
        pictures: PNGs of charts in base64, by the index of the item.
        tool_error: the traceback of the tool that made the turn fail; empty if none did.
        gallery: draws the items.
        copies: texts that the user can copy from the finished card, by the labels of their buttons.
    """

    phase: str = "starting"
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
    budget: Sequence[BudgetUse] = ()
    waiting: int = 0
    tools: Sequence[str] = ()
    items: list[DisplayItem] = field(default_factory=list[DisplayItem])
    pictures: dict[int, str] = field(default_factory=dict[int, str])
    gallery: Gallery = field(default_factory=Gallery)
    tool_error: str = ""
    copies: Mapping[str, str] = field(default_factory=dict[str, str])
    run: int = 0
    _writing: bool = False
    _answered: bool = False
    _kept_items: int = 0
    _has_failed: bool = False

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
            tools=result.tools,
            items=list(result.shown),
            result=result,
        )

    def apply(self, event: Event) -> None:
        """Update the state from one event."""
        match event:
            case TurnStarted(ask=ask, model=model, note=note, continues=continues, tools=tools):
                self.ask, self.model, self.note, self.continues, self.tools = ask, model, note, continues, tools
            case Notice(text=text):
                self.notices.append(text)
            case BudgetCharged(uses=uses):
                self.budget = uses
            case ModelRequested():
                self._begin_answer()
            case TextDelta(text=text):
                self._leave_phase("asking the model", "writing")
                self.prose = _bounded(self.prose + text)
            case ProgramDelta(text=text):
                self._leave_phase("asking the model", "writing program")
                self._leave_phase("writing", "writing program")
                self._current().program += text
            case ProgramReady(program=program):
                self._current().program = program
                self._writing, self._answered = False, True
                if self.phase != "running":  # a program can start before all of it is written
                    self.phase = "starting the sandbox"
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
            case RunFinished(outcome=outcome):
                self.moving, self._has_failed = "", outcome.failure is not None
                if not self._has_failed:
                    self._kept_items = len(self.items)
            case ItemDisplayed(item=item):
                self.items.append(item)
            case OutputWritten(text=text):
                attempt = self.attempts[-1]
                attempt.output = _bounded(attempt.output + text)
            case CallRequested() | ApprovalRequested() | ApprovalDecided() | CallProgressed() | CallFinished():
                self._apply_to_call(event)
            case RetryStarted(reason=reason):
                if self._has_failed:  # the next program will show its items again
                    self._drop_items()
                if self._answered:
                    self.attempts[-1].reason = reason
                else:
                    self.notices.append(f"Asked again: {reason}")
            case TurnFinished(result=result):
                self.result, self.phase, self.review, self.waiting = result, _name_phase(result), None, 0
            case _:
                pass

    def _apply_to_call(
        self, event: CallRequested | ApprovalRequested | ApprovalDecided | CallProgressed | CallFinished
    ) -> None:
        match event:
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

    @property
    def state(self) -> str:
        """The phase and the transfer of data, or "waiting for you" while the user has to decide."""
        if self.waiting or self.review:
            return "waiting for you"
        return f"{self.phase}, {self.moving}" if self.moving and self.result is None else self.phase

    @property
    def budget_line(self) -> str:
        """How much of each budget is used, in one line: `1,547 of 20,000 tokens · 3 of 50 calls`."""
        return " · ".join(map(str, self.budget))

    @property
    def status(self) -> str:
        """The state and the line of the budgets, for forms that have one line for both."""
        return " · ".join(filter(None, (self.state, self.budget_line)))

    @property
    def key(self) -> str:
        """A name of the finished turn that is the same if the same turn runs again; empty while it runs."""
        if self.result is None:
            return ""
        programs = [attempt.program for attempt in self.attempts]
        text = "\0".join([self.ask, self.model, self.result.answer, *programs])
        return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]

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
        self.phase, self.prose = "asking the model", ""
        self._writing = self._answered = False

    def _leave_phase(self, phase: str, next_phase: str) -> None:
        if self.phase == phase:
            self.phase = next_phase

    def _drop_items(self) -> None:
        del self.items[self._kept_items :]
        self.pictures = {index: picture for index, picture in self.pictures.items() if index < self._kept_items}

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
