"""THE loop: ask the model, check its program, run it against the tools, and either that is the answer or it is mended.

    ask → program → run ⇄ tool calls → result

What leads back to the model: a program that was refused or failed (at most `max_retries` times), one that asked to see
something with `observe(...)`, one that the person sent back, and a call that the model makes itself. Everything that
happens is emitted as an event; nothing here knows of notebooks.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from . import preflight, prompt
from .approval import Approver, Desk, Grants, Verdict
from .calls import Calls
from .data import Input
from .errors import CodeActError, ModelError
from .events import (
    Emit,
    Emitter,
    ModelAsked,
    Notice,
    ProgramChecked,
    ProgramDelta,
    ProgramReady,
    RepairStarted,
    ReviewAsked,
    ReviewDecided,
    RunFinished,
    RunStarted,
    TextDelta,
    TurnFinished,
    TurnStarted,
)
from .guest import modules
from .model.base import Message, ModelClient
from .model.extract import Reader
from .model.usage import estimate
from .prompt import Feedback
from .reach import Reach
from .sandbox.pool import Pool, Sandbox
from .settings import Settings
from .tally import Tally
from .tools import OnMain, Registry, ToolSpec
from .values import ProgramFailure, Raised, ToolCall, TurnResult

__all__ = ["run_turn"]


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
    reach = Reach(settings, inputs, outputs, emit)
    desk = Desk(approver, grants, settings.limits)
    calls = Calls(number, tools, reach, desk, settings, emit, on_main)
    tally = Tally(ask, model, calls, reach, emit, settings.limits)
    turn = _Turn(model, tools, reach, desk, calls, tally, emit, settings)
    emit(TurnStarted(ask=ask, model=model.name, note=model.note, tools=tuple(tools)))
    try:
        async with sandboxes.checkout() as sandbox:
            await turn.answer(ask, sandbox)
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
class _Turn:
    model: ModelClient
    tools: Registry
    reach: Reach
    desk: Desk
    calls: Calls
    tally: Tally
    emit: Emit
    settings: Settings
    repairs: int = 0
    looks: int = 0
    direct_calls: int = 0
    named: Sequence[str] = ()
    sites: Sequence[preflight.Site] = ()
    defined: set[str] = field(default_factory=set[str])
    """Names that programs before left in the guest, as far as their text tells."""

    async def answer(self, ask: str, sandbox: Sandbox) -> None:
        messages = prompt.first(ask, self.tools.specs().values(), modules(), self.reach.prompt)
        while (written := await self.write(messages)) is not None:
            if isinstance(written, Feedback):
                feedback, said = written, "(an answer that could not be used)"
            else:
                program, feedback = await self.reviewed(written, self.check(written))
                feedback, said = feedback or await self.run(program, sandbox), f"```python\n{program}\n```"
            if feedback is None or not self.goes_on(feedback):
                return
            messages += [Message("assistant", said), feedback.message]

    async def write(self, messages: list[Message]) -> str | Feedback | None:
        """The model's next program, what it has to be told instead, or `None` when it answers in words."""
        tally, reader = self.tally, Reader(self.settings.limits.program_bytes)
        usage, finish, text = None, None, ""
        tally.model_turns += 1
        self.emit(ModelAsked(number=tally.model_turns))
        with tally.model_time.running():
            functions = prompt.functions(self.direct().values())
            # A client of somebody's own need not know of functions.
            answer = self.model.stream(messages, functions) if functions else self.model.stream(messages)
            async with aclosing(answer) as stream:
                async for delta in stream:
                    text += delta.text
                    usage, finish = delta.usage or usage, delta.finish or finish
                    for piece in reader.feed(delta.text):
                        self.emit((ProgramDelta if piece.kind == "program" else TextDelta)(text=piece.text))
                    if reader.done:
                        break
        tally.usage += usage or estimate(messages, text)
        written = reader.finish(finish)
        if written.problem and finish in ("content_filter", "refusal"):
            raise ModelError(written.problem)
        if written.problem and self.repairs >= self.settings.max_retries:
            raise ModelError(f"No usable answer. {written.problem} Run the cell again, or try another model.")
        if written.problem:
            return prompt.unusable(written.problem)
        if written.program is None:
            tally.answer, tally.error = written.prose, None
            return None
        tally.attempts += 1
        if preflight.direct_call(written.program, self.direct()) is None:
            tally.program = written.program
        self.emit(ProgramReady(program=written.program, attempt=tally.attempts))
        if written.extra_blocks:
            self.emit(Notice(text="The model wrote a second program: only the first is run."))
        return written.program

    async def reviewed(self, program: str, refused: Feedback | None) -> tuple[str, Feedback | None]:
        """The program as it will run, and what the model has to be told instead of running it."""
        if refused or not self.settings.review:
            return program, refused
        problem = ""
        while True:
            self.emit(ReviewAsked(program=program, problem=problem))
            with self.tally.review_time.running():
                verdict = await self.desk.review(program, problem)
            self.emit(ReviewDecided(program=verdict.program, comment=verdict.comment))
            if verdict.program is None:
                return program, self.rejected(verdict)
            if verdict.program == program and not problem:
                return program, None
            self.tally.program = program = verdict.program
            again = self.check(program)
            if again is None:
                return program, None
            problem = again.reason

    def rejected(self, verdict: Verdict) -> Feedback:
        said = verdict.comment.strip()
        self.tally.error = ProgramFailure(kind="Rejected", message=said or "the person did not let the program run")
        return prompt.rejected(said if verdict.by == "person" else "")

    def check(self, program: str) -> Feedback | None:
        """What preflight refuses, before anything has happened."""
        if (call := preflight.direct_call(program, self.direct())) is not None:
            self.emit(ProgramChecked(problems=[call.problem] if call.problem else [], tools_named=(call.name,)))
            return prompt.refused([call.problem]) if call.problem else None
        report = preflight.check(
            program,
            self.callable(),
            modules(),
            self.defined | self.reach.names,
            direct=self.direct(),
            program_bytes=self.settings.limits.program_bytes,
        )
        self.named, self.sites = report.tools_named, report.sites
        problems = [problem.message for problem in report.problems]
        self.emit(ProgramChecked(problems=problems, tools_named=report.tools_named))
        if not problems:
            return None
        self.tally.error = ProgramFailure(kind="Refused", message=problems[0], line=report.problems[0].line)
        return prompt.refused(problems)

    def callable(self) -> dict[str, ToolSpec]:
        """The tools that a program can call, by name."""
        return {name: spec for name, spec in self.tools.specs().items() if not spec.direct}

    def direct(self) -> dict[str, ToolSpec]:
        """The tools that the model calls itself."""
        return {name: spec for name, spec in self.tools.specs().items() if spec.direct}

    async def run(self, program: str, sandbox: Sandbox) -> Feedback | None:
        """Run it; what the model has to know to go on, or `None` when this is the answer."""
        if (call := preflight.direct_call(program, self.direct())) is not None:
            return await self.call(program, call)
        tally, limits = self.tally, self.settings.limits
        with tally.run_time.running():
            if sandbox.preparing:
                self.emit(Notice(text=sandbox.preparing))
            isolation = await sandbox.open()
            tally.begin_run(isolation)
            self.emit(RunStarted(run=tally.attempts, isolation=isolation))
            clock = self.calls.begin(tally.attempts, program, self.sites)
            callable_ = self.callable()
            outcome = await sandbox.run(
                program,
                tools={name: list(spec.parameters) for name, spec in callable_.items()},
                rooms={
                    **self.reach.begin(mends=tally.outcome.failure is not None),
                    "ahead": {"reads": list(self.calls.ahead()), "tools": list(callable_)},
                },
                keep=self.repairs < self.settings.max_retries or self.looks < limits.observations,
                answer=self.reach.answering(self.calls.answer),
                write=tally.write,
                clock=clock,
            )
        tally.outcome, tally.error = outcome, outcome.failure
        self.emit(RunFinished(run=tally.attempts, outcome=outcome))
        self.defined = set() if outcome.state_lost else self.defined | set(re.findall(r"\w+", program))
        if outcome.failure is not None:
            most = limits.shown_to_model
            return prompt.repair(outcome, self.calls.records, tally.printed, self.specs_named(), most=most)
        if outcome.observed:
            return prompt.observed(outcome.observed, tally.printed, most=limits.shown_to_model)
        return None

    async def call(self, program: str, call: preflight.DirectCall) -> Feedback:
        """The model's own call of a tool; what comes of it is for the model."""
        most = self.settings.limits.direct_calls
        if self.direct_calls >= most:
            message = f"the model called tools itself {most} times and came to no end: ask for less at once"
            self.tally.error = ProgramFailure(kind="NoAnswer", message=message)
            return prompt.called(call.name, Raised(kind="ToolFailed", message=message), most=1_000)
        async with self.calls.begin(self.tally.attempts, program, ()).running():
            wanted = ToolCall(id=1, name=call.name, arguments=call.arguments, line=1)
            answer = await self.calls.answer(wanted, direct=True)
        self.tally.error = None
        return prompt.called(call.name, answer, most=self.settings.limits.shown_to_model)

    def specs_named(self) -> list[ToolSpec]:
        """The tools that the program names, as they are known by now: calls have shown what they return."""
        specs = self.tools.specs()
        return [specs[name] for name in self.named if name in specs]

    def goes_on(self, feedback: Feedback) -> bool:
        """Whether the model may have another try; counts it."""
        if feedback.counts == "nothing" and not feedback.reason:
            return False  # rejected without a word: there is nothing to tell the model
        if feedback.counts == "repair":
            self.repairs += 1
            if self.repairs > self.settings.max_retries:
                return False
        if feedback.counts == "look":
            self.looks += 1
            if self.looks > self.settings.limits.observations:
                message = f"the model looked at data {self.looks} times and gave no answer: ask for less at once"
                self.tally.error = ProgramFailure(kind="NoAnswer", message=message)
                return False
        if feedback.counts == "call":
            self.direct_calls += 1
            if self.direct_calls > self.settings.limits.direct_calls:
                return False
        self.emit(RepairStarted(attempt=self.tally.attempts + 1, reason=feedback.reason))
        return True
