"""Ask the model for its next program, and read the program out of the answer while it streams."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

from ..errors import ModelError
from ..events import ModelRequested, Notice, ProgramDelta, ProgramReady, ProgramWithdrawn, TextDelta
from ..memory.recorded_turn import RecordedTurn
from ..model.answer_parser import AnswerParser, Extracted, Piece
from ..model.base import Message, ModelClient, start_stream
from ..model.deferred import DeferredModel
from ..secrets import hide_in
from . import prompt
from .context import TurnContext
from .eager import EagerRun
from .program_checker import ProgramChecker
from .recorder import TurnRecorder

__all__ = ["Answer", "Program", "ProgramWriter", "Unusable", "Words"]


@dataclass(frozen=True, slots=True)
class Words:
    """The model answered in words."""

    text: str


@dataclass(frozen=True, slots=True)
class Unusable:
    """The answer held a program that cannot be used. `problem` says why, in a sentence for the model."""

    problem: str


@dataclass(frozen=True, slots=True)
class Program:
    """The model wrote a program, or called a direct tool in a block that is nothing but the call."""

    text: str


Answer = Words | Unusable | Program


@dataclass(slots=True)
class ProgramWriter:
    """Asks the model, once for each program of a turn."""

    context: TurnContext
    model: ModelClient
    checker: ProgramChecker
    recorder: TurnRecorder
    _recorded: RecordedTurn | None = field(init=False)
    _used_programs: int = 0

    def __post_init__(self) -> None:
        self._recorded = self.context.recorded

    @property
    def is_recorded(self) -> bool:
        """Whether the next answer comes from a record."""
        return self._recorded is not None

    @property
    def has_recorded_program(self) -> bool:
        """Whether the record has a program that has not been used yet."""
        return self._recorded is not None and self._used_programs < len(self._recorded.programs)

    @property
    def may_write_after_record(self) -> bool:
        """Whether another program can follow the recorded program that was used last."""
        return self._recorded is not None and (self.has_recorded_program or not self._recorded.is_final)

    @property
    def is_given(self) -> bool:
        """Whether the caller of the engine wrote the program."""
        return self._recorded is not None and self._recorded.is_given

    def leave_record(self, why: str = "") -> bool:
        """Ask the model from now on, by default because a recorded program failed. Return whether that is allowed.

        Args:
            why: a sentence for the user.
        """
        if self._recorded is None or self._recorded.is_final:
            return False
        self._recorded = None
        self.recorder.leave_record()
        why = why or "The recorded program failed, so the model is asked to correct it."
        self.context.emit(Notice(text=why))
        return True

    async def why_no_request(self, messages: Sequence[Message]) -> str:
        """Return why a budget does not allow a request with these messages, or an empty text."""
        if isinstance(self.model, DeferredModel):
            with suppress(ModelError):  # the request itself will fail with it
                await self.model.choose()
        return self.context.accounts.why_no_request(messages, self.model)

    async def write(self, messages: Sequence[Message], eager: EagerRun | None) -> Answer:
        """Ask for the next program.

        Args:
            messages: the conversation so far.
            eager: the run that takes the program while it is written.

        Raises:
            ModelError: if the endpoint fails, or the model refuses the task.
        """
        if self._recorded is not None:
            finish, written, is_shown_as_program = None, self._next_recorded(self._recorded), False
        else:
            finish, written, is_shown_as_program = await self._read(messages, eager)
        written = self.checker.clean(written)
        if written.problem and finish in ("content_filter", "refusal"):
            raise ModelError(written.problem)
        if written.problem:
            return Unusable(written.problem)
        if written.program is None:
            if is_shown_as_program:
                await self._withdraw(eager)
            self.recorder.record_words(written.prose)
            return Words(written.prose)
        self.recorder.record_program(written.program, is_direct=self.checker.direct_call(written.program) is not None)
        self.context.emit(ProgramReady(program=written.program, attempt=self.recorder.attempts))
        if written.notice:
            self.context.emit(Notice(text=written.notice))
        return Program(written.program)

    def _next_recorded(self, recorded: RecordedTurn) -> Extracted:
        if not recorded.programs:
            return Extracted(program=None, prose=recorded.answer)
        self._used_programs += 1
        return Extracted(program=recorded.programs[self._used_programs - 1], prose="")

    async def _read(self, messages: Sequence[Message], eager: EagerRun | None) -> tuple[str | None, Extracted, bool]:
        """Read the stream to its end.

        Returns:
            Why it ended, its program or words, and whether a program is on the screen for it.
        """
        tools = {*self.checker.tools, *self.context.capabilities.tools}
        shown = _Shown(AnswerParser(self.context.limits.program_bytes, tools))
        finish = None
        self.context.emit(ModelRequested(number=self.recorder.start_model_turn()))
        with self.recorder.model_time.running(), self.recorder.counting(messages) as count:
            functions = prompt.describe_functions(self.checker.direct_tools().values())
            visible, functions = hide_in(list(messages)), hide_in(functions)
            max_tokens = self.context.accounts.max_answer_tokens(visible, self.model)
            answer = start_stream(self.model, visible, functions, max_tokens)
            async with aclosing(answer) as stream:
                async for delta in stream:
                    count(delta)
                    finish = delta.finish or finish
                    for piece in shown.parser.feed(delta.text):
                        await self._show(piece, eager)
                        shown.note(piece)
                    if shown.parser.done:
                        break
        return finish, shown.parser.finish(finish), shown.is_program

    async def _show(self, piece: Piece, eager: EagerRun | None) -> None:
        """Show a part of the answer, and feed a program to the eager run. Withdraw a draft."""
        match piece.kind:
            case "withdrawn":
                await self._withdraw(eager)
            case "prose":
                self.context.emit(TextDelta(text=piece.text))
            case _:
                self.context.emit(ProgramDelta(text=piece.text))
                if eager is not None:
                    eager.feed(piece.text)

    async def _withdraw(self, eager: EagerRun | None) -> None:
        if eager is not None:
            await eager.discard()
        self.context.emit(ProgramWithdrawn())


@dataclass(slots=True)
class _Shown:
    """The state of the screen while an answer is read."""

    parser: AnswerParser
    is_program: bool = field(default=False)

    def note(self, piece: Piece) -> None:
        self.is_program = piece.kind == "program" or (self.is_program and piece.kind == "prose")
