"""What has been seen of a turn: events go in one by one, and each format is drawn from what they left."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..events import (
    CallAnswered,
    CallDecided,
    CallOpened,
    Event,
    ModelAsked,
    Notice,
    OutputWritten,
    ProgramChecked,
    ProgramDelta,
    ProgramReady,
    RepairStarted,
    RunFinished,
    RunStarted,
    TextDelta,
    TurnFinished,
    TurnStarted,
)
from ..values import Answer, Decision, Isolation, ToolCall, TurnResult

__all__ = ["Attempt", "CallRow", "Transcript"]

_OUTPUT_SHOWN = 20_000


@dataclass(slots=True)
class CallRow:
    """One tool call, as far as it has come. `took` is in seconds."""

    call: ToolCall
    decision: Decision | None = None
    answer: Answer | None = None
    took: float = 0.0
    text: str = ""
    end: str = ""
    """Both as they are shown: made once, since a card is drawn often and values can be large."""


@dataclass(slots=True)
class Attempt:
    """One program and what became of it. `reason` says why it was not the last."""

    program: str = ""
    calls: list[CallRow] = field(default_factory=list[CallRow])
    output: str = ""
    reason: str = ""


@dataclass(slots=True)
class Transcript:
    """The state that the formats are drawn from.

    Attributes:
        state: "asking the model", "writing", "checking", "running", "done", "failed" or "stopped".
    """

    state: str = "asking the model"
    ask: str = ""
    model: str = ""
    note: str = ""
    notices: list[str] = field(default_factory=list[str])
    prose: str = ""
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    isolation: Isolation | None = None
    result: TurnResult | None = None
    _writing: bool = False
    _answered: bool = False

    @classmethod
    def of(cls, result: TurnResult) -> Transcript:
        """Of a result that was kept, without its events."""
        rows = [CallRow(one.call, one.decision, one.answer, one.seconds) for one in result.calls]
        attempt = Attempt(program=result.program or "", calls=rows, output=_bounded(result.stdout + result.stderr))
        return cls(
            state=_end(result),
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
            case ModelAsked():
                self.state, self.prose = "asking the model", ""
                self._writing = self._answered = False
            case TextDelta(text=text):
                self.state, self.prose = "writing", _bounded(self.prose + text)
            case ProgramDelta(text=text):
                self.state = "writing"
                self._current().program += text
            case ProgramReady(program=program):
                self._current().program = program
                self.state, self._writing, self._answered = "checking", False, True
            case ProgramChecked() | RunFinished():
                pass
            case RunStarted(isolation=isolation):
                self.state, self.isolation = "running", isolation
            case OutputWritten(text=text):
                attempt = self.attempts[-1]
                attempt.output = _bounded(attempt.output + text)
            case CallOpened(call=call):
                self.attempts[-1].calls.append(CallRow(call))
            case CallDecided(call=call, decision=decision):
                self._row(call).decision = decision
            case CallAnswered(call=call, answer=answer, took=took):
                row = self._row(call)
                row.answer, row.took = answer, took
            case RepairStarted(reason=reason):
                if self._answered:
                    self.attempts[-1].reason = reason
                else:
                    self.notices.append(f"Asked again: {reason}")
            case TurnFinished(result=result):
                self.result, self.state = result, _end(result)
            case _:
                pass

    @property
    def words(self) -> str:
        """What the model says in words: its answer, or what it writes before its first program."""
        if self.result is not None:
            return _bounded(self.result.answer)
        return "" if self.attempts else self.prose

    def _current(self) -> Attempt:
        if not self._writing:
            self._writing = True
            self.attempts.append(Attempt())
        return self.attempts[-1]

    def _row(self, call: ToolCall) -> CallRow:
        return next(row for row in reversed(self.attempts[-1].calls) if row.call.id == call.id)


def _end(result: TurnResult) -> str:
    if result.error is None:
        return "done"
    return "stopped" if result.stopped else "failed"


def _bounded(text: str) -> str:
    if len(text) <= _OUTPUT_SHOWN:
        return text
    return f"{text[: _OUTPUT_SHOWN // 2]}\n… some output is not shown here …\n{text[-_OUTPUT_SHOWN // 2 :]}"
