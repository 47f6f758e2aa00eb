"""THE loop: ask the model, check its program, run it against the tools, and either that is the answer or it is mended.

    ask → program → run ⇄ tool calls → result

What leads back to the model: a program that was refused or failed (at most `max_retries` times), one that asked to see
something with `observe(...)`, one that the person sent back, and a call that the model makes itself. Everything that
happens is emitted as an event; nothing here knows of notebooks.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from ..approval import ApprovalPolicy, Approver, Grants, ReviewDecision
from ..capabilities.data import Input
from ..capabilities.registry import CapabilitySet
from ..errors import CodeActError, ModelError
from ..events import (
    Emit,
    Emitter,
    ModelRequested,
    Notice,
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
from ..model.answer_parser import AnswerParser, Piece
from ..model.base import Message, ModelClient
from ..sandbox.pool import Pool, Sandbox
from ..settings import Settings
from ..tools import OnMain, Registry
from ..types import CallError, ProgramFailure, RunOutcome, ToolCall, TurnResult
from . import prompt
from .budget import TurnBudget
from .calls import Calls
from .direct_call import DirectCall
from .eager import EagerRun
from .program_checker import ProgramChecker
from .prompt import Feedback
from .recorder import TurnRecorder

__all__ = ["run_turn"]

_SAID = 4_000
"""Characters of an answer in words that the model is shown again."""


async def run_turn(
    ask: str,
    *,
    inputs: Sequence[Input] = (),
    outputs: Sequence[str] = (),
    model: ModelClient,
    sandboxes: Pool,
    tools: Registry,
    approver: Approver,
    grants: Grants,
    emit: Emit,
    settings: Settings,
    on_main: OnMain,
) -> TurnResult:
    """One turn, from what the person typed to its result.

    A program that fails for good is no exception: the result's `error` says why.

    Args:
        inputs: variables that the programs get.
        outputs: names that they have to assign, for the result's `outputs`.
        grants: what the person allowed before; what they allow for longer than this turn is added.
        on_main: runs a synchronous tool where such tools belong (in a notebook, on the kernel's main thread).

    Raises:
        ModelError: the model gave no usable answer.
        SandboxError: no sandbox came up.
    """
    number = uuid.uuid4().hex
    emit = Emitter(number, emit)
    reach = CapabilitySet(settings, inputs, outputs, emit)
    desk = ApprovalPolicy(approver, grants, settings.limits)
    calls = Calls(number, tools, reach, desk, settings, emit, on_main)
    tally = TurnRecorder(ask, model, calls, reach, emit, settings.limits)
    checks = ProgramChecker(tools, reach, settings, emit)
    turn = TurnLoop(model, checks, reach, desk, calls, tally, emit, settings, TurnBudget(settings))
    emit(TurnStarted(ask=ask, model=model.name, note=model.note, tools=tuple(tools)))
    for text in [text for one in inputs for text in one.notices]:
        emit(Notice(text=text))
    try:
        async with sandboxes.checkout() as sandbox:
            await turn.run_loop(prompt.first(ask, tools.specs().values(), reach.instructions), sandbox)
    except asyncio.CancelledError:
        tally.error, tally.stopped = ProgramFailure(kind="Interrupted", message="stopped by the person"), True
        raise
    except CodeActError as error:
        tally.error = ProgramFailure(kind=type(error).__name__, message=str(error))
        raise
    finally:
        tally.keep_files()
        result = tally.result()
        emit(TurnFinished(result=result, usage=result.usage, timings=result.timings))
    return result


@dataclass(slots=True)
class TurnLoop:
    model: ModelClient
    checker: ProgramChecker
    capabilities: CapabilitySet
    desk: ApprovalPolicy
    calls: Calls
    recorder: TurnRecorder
    emit: Emit
    settings: Settings
    budget: TurnBudget

    async def run_loop(self, messages: list[Message], sandbox: Sandbox) -> None:
        while True:
            async with self.beginning(sandbox) as early:
                written = await self.next(messages, early, sandbox)
                if written is None:
                    feedback, said = self.ask_for_call(), self.recorder.run_turn_loop[:_SAID]
                elif isinstance(written, Feedback):
                    feedback, said = written, "(an answer that could not be used)"
                else:
                    program, feedback = await self.run_or_reject(written, sandbox, early)
                    said = f"```python\n{program}\n```"
            if feedback is None or not self.may_retry(feedback):
                return
            messages += [Message("assistant", said), feedback.message]

    async def next(self, messages: list[Message], early: EagerRun | None, sandbox: Sandbox) -> str | Feedback | None:
        """As `write`. Where the model only was to think again about its words, these stay when nothing better comes."""
        try:
            return await self.write(messages, early, sandbox)
        except ModelError:
            if not self.recorder.run_turn_loop:
                raise
            return None

    async def run_or_reject(
        self, program: str, sandbox: Sandbox, early: EagerRun | None
    ) -> tuple[str, Feedback | None]:
        """The program as it was run, or would have been, and what the model has to know to go on."""
        self.recorder.run_turn_loop = ""
        if (feedback := self.checker.repeated(program)) is not None:
            return program, feedback
        calls_before = len(self.calls.records)
        program, feedback = await self.review(program, self.refused(program))
        feedback = feedback or await self.run(program, sandbox, early)
        error = self.recorder.error
        # A program whose worker was lost before it made a call has done nothing, and may do better in the next worker.
        lost = error is not None and error.kind == "WorkerLost" and len(self.calls.records) == calls_before
        if feedback is not None and (feedback.charges != "repair" or (error is not None and not lost)):
            self.checker.remember(program, feedback)
        return program, feedback

    def ask_for_call(self) -> Feedback | None:
        """What the model is asked that answered in words, though it has tools and called none of them."""
        tally = self.recorder
        if not len(self.checker.tools) or self.calls.records:
            return None
        tokens = tally.usage.prompt_tokens + tally.usage.completion_tokens
        if not self.calls.run and self.budget.may_ask_for_call(tally.run_turn_loop, tokens):
            return prompt.no_call()
        self.emit(Notice(text="No tool was called: the answer is in the model's own words."))
        return None

    @asynccontextmanager
    async def beginning(self, sandbox: Sandbox) -> AsyncGenerator[EagerRun | None]:
        """What runs of the next program while the model writes it; nothing where nothing could be gained, or undone."""
        reads = self.calls.prefetchable_tools()
        if self.settings.wait or self.settings.review or not reads or self.checker.direct() or sandbox.kept:
            yield None
            return
        early = EagerRun(
            passes=self.checker.is_valid_prefix,
            reads=reads,
            only_reads=self.calls.is_prefetchable,
            start=lambda early: self.start(early.first, sandbox, early),
            waited=self.recorder.text_time,
        )
        try:
            yield early
        finally:
            await self.discard(early, sandbox)

    async def discard(self, early: EagerRun | None, sandbox: Sandbox) -> None:
        """Stop what has begun of a program, if anything has, with the guest that it left."""
        if early is not None and await early.discard():
            await sandbox.close(broken=True)
            self.emit(Notice(text="What had begun of a program was stopped: it had only read."))

    async def write(self, messages: list[Message], early: EagerRun | None, sandbox: Sandbox) -> str | Feedback | None:
        """The model's next program, what it has to be told instead, or `None` when it answers in words."""
        tally, reader = (
            self.recorder,
            AnswerParser(self.settings.limits.program_bytes, {*self.checker.tools, *self.capabilities.tools}),
        )
        finish, shown_as_program = None, False
        tally.model_turns += 1
        self.emit(ModelRequested(number=tally.model_turns))
        with tally.model_time.running(), tally.counting(messages) as count:
            functions = prompt.functions(self.checker.direct().values())
            # A client of somebody's own need not know of functions.
            answer = self.model.stream(messages, functions) if functions else self.model.stream(messages)
            async with aclosing(answer) as stream:
                async for delta in stream:
                    count(delta)
                    finish = delta.finish or finish
                    for piece in reader.feed(delta.text):
                        await self.show(piece, early, sandbox)
                        shown_as_program = piece.kind == "program" or (shown_as_program and piece.kind == "prose")
                    if reader.done:
                        break
        written = reader.finish(finish)
        written = self.checker.clean(written)
        if written.problem and finish in ("content_filter", "refusal"):
            raise ModelError(written.problem)
        if written.problem and self.budget.is_last_retry:
            raise ModelError(f"No usable answer. {written.problem} Run the cell again, or try another model.")
        if written.problem:
            return prompt.unusable(written.problem)
        if written.program is None:
            if shown_as_program:
                await self.show(Piece("withdrawn", ""), early, sandbox)
            tally.run_turn_loop, tally.error = written.prose, None
            return None
        tally.attempts += 1
        if self.checker.direct_call(written.program) is None:
            tally.program = written.program
        self.emit(ProgramReady(program=written.program, attempt=tally.attempts))
        if written.notice:
            self.emit(Notice(text=written.notice))
        return written.program

    async def show(self, piece: Piece, early: EagerRun | None, sandbox: Sandbox) -> None:
        """Show what the model wrote, and begin with a program; or take both back, when it was only a draft."""
        if piece.kind == "withdrawn":
            await self.discard(early, sandbox)
            self.emit(ProgramWithdrawn())
        elif piece.kind == "prose":
            self.emit(TextDelta(text=piece.text))
        else:
            self.emit(ProgramDelta(text=piece.text))
            if early is not None:
                early.feed(piece.text)

    async def review(self, program: str, refused: Feedback | None) -> tuple[str, Feedback | None]:
        """The program as it will run, and what the model has to be told instead of running it."""
        if refused or not self.settings.review:
            return program, refused
        problem = ""
        while True:
            self.emit(ReviewRequested(program=program, problem=problem))
            with self.recorder.review_time.running():
                verdict = await self.desk.review(program, problem)
            self.emit(ReviewDecided(program=verdict.program, comment=verdict.comment))
            if verdict.program is None:
                return program, self.rejected(verdict)
            if verdict.program == program and not problem:
                return program, None
            self.recorder.program = program = verdict.program
            again = self.refused(program)
            if again is None:
                return program, None
            problem = again.reason

    def rejected(self, verdict: ReviewDecision) -> Feedback:
        said = verdict.comment.strip()
        self.recorder.error = ProgramFailure(kind="Rejected", message=said or "the person did not let the program run")
        return prompt.rejected(said if verdict.by == "person" else "")

    def refused(self, program: str) -> Feedback | None:
        """What preflight has against it."""
        feedback = self.checker.check(program)
        if feedback is not None and self.checker.direct_call(program) is None:
            self.recorder.error = ProgramFailure(kind="Refused", message=feedback.reason, line=feedback.line)
        return feedback

    async def run(self, program: str, sandbox: Sandbox, early: EagerRun | None) -> Feedback | None:
        """Run it; what the model has to know to go on, or `None` when this is the answer."""
        if (call := self.checker.direct_call(program)) is not None:
            return await self.call(program, call)
        tally, limits = self.recorder, self.settings.limits
        self.calls.set_program(program, self.checker.sites)
        outcome = await early.complete(program) if early is not None else None
        if outcome is None:
            await self.discard(early, sandbox)  # what has begun is not the beginning of this
            outcome = await self.start(program, sandbox)
        tally.outcome, tally.error = outcome, outcome.failure
        self.emit(RunFinished(run=tally.attempts, outcome=outcome))
        self.checker.remember_names(program, outcome)
        if outcome.failure is not None:
            if self.calls.is_final(outcome.failure):
                self.emit(Notice(text="The model was not asked again: no other program can change that."))
                return None
            most = limits.shown_to_model
            return prompt.repair(outcome, self.calls.records, tally.printed, self.checker.specs_named(), most=most)
        if outcome.observed:
            return prompt.observed(outcome.observed, tally.printed, most=limits.shown_to_model)
        return prompt.no_value() if tally.is_empty and self.budget.may_tell_of_nothing() else None

    async def start(self, program: str, sandbox: Sandbox, early: EagerRun | None = None) -> RunOutcome:
        """Run a program, or the first statements of one that is still being written."""
        tally = self.recorder
        number = tally.attempts + (early is not None)
        with tally.run_time.running():
            if sandbox.preparing:
                self.emit(Notice(text=sandbox.preparing))
            isolation = await sandbox.open()
            tally.begin_run(isolation)
            self.emit(RunStarted(run=number, isolation=isolation))
            clock = self.calls.begin(number)
            tools = self.checker.callable()
            answer, write = self.capabilities.route_calls(self.calls.answer), tally.write
            if early is not None:
                answer, write = early.wrap(answer, write, clock)
            return await sandbox.run(
                program,
                tools={name: list(spec.parameters) for name, spec in tools.items()},
                rooms={
                    **self.capabilities.start_run(mends=tally.outcome.failure is not None),
                    "ahead": {"reads": list(self.calls.prefetchable_tools()), "tools": list(tools)},
                    "early": {"more": early is not None},
                },
                keep=not self.budget.last,
                answer=answer,
                write=write,
                clock=clock,
            )

    async def call(self, program: str, call: DirectCall) -> Feedback:
        """The model's own call of a tool; what comes of it is for the model."""
        if message := self.budget.too_many_calls:
            self.recorder.error = ProgramFailure(kind="NoAnswer", message=message)
            return prompt.called(call.name, CallError(kind="ToolFailed", message=message), most=1_000)
        self.calls.set_program(program, ())
        async with self.calls.begin(self.recorder.attempts).running():
            wanted = ToolCall(id=1, name=call.name, arguments=call.arguments, line=1)
            answer = await self.calls.answer(wanted, direct=True)
        self.recorder.error = None
        return prompt.called(call.name, answer, most=self.settings.limits.shown_to_model)

    def may_retry(self, feedback: Feedback) -> bool:
        """Whether the model may have another try; counts it."""
        usage = self.recorder.usage
        may, why_not = self.budget.charge(feedback, usage.prompt_tokens + usage.completion_tokens)
        if why_not:
            self.recorder.error = ProgramFailure(kind="NoAnswer", message=why_not)
        if may:
            self.emit(RetryStarted(attempt=self.recorder.attempts + 1, reason=feedback.reason))
        elif feedback.charges in ("repeat", "end"):
            self.emit(Notice(text="The model wrote the same program again, which was not run."))
        return may
