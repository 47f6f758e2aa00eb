"""Run the programs of one turn in its sandbox: whole, or eagerly while the model is still writing."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ..capabilities.registry import prefetch_config
from ..events import Notice, RunFinished, RunStarted
from ..sandbox.pool import Sandbox
from ..types import RunOutcome
from .calls import Calls
from .context import TurnContext
from .eager import EagerRun, Gate
from .program_checker import ProgramChecker
from .recorder import TurnRecorder

__all__ = ["ProgramRunner"]


@dataclass(slots=True)
class ProgramRunner:
    """Runs programs in `sandbox`."""

    context: TurnContext
    sandbox: Sandbox
    checker: ProgramChecker
    calls: Calls
    recorder: TurnRecorder

    @asynccontextmanager
    async def eager_run(self, *, keep_state: bool) -> AsyncGenerator[EagerRun | None]:
        """Prepare an eager run of the next program. Yield `None` if it could not help or not be undone."""
        settings = self.context.settings
        read_only_tools = self.calls.prefetchable_tools()
        if (
            settings.wait
            or settings.review
            or not read_only_tools
            or self.checker.direct_tools()
            or self.sandbox.has_state
        ):
            yield None
            return
        eager = EagerRun(self, self.checker, self.calls, self.recorder.text_time, keep_state=keep_state)
        try:
            yield eager
        finally:
            await eager.discard()

    async def run(self, program: str, eager: EagerRun | None, *, keep_state: bool) -> RunOutcome:
        """Run `program` to its end.

        Args:
            eager: the run that started while the model wrote the program.
            keep_state: whether the variables of a program that fails or observes stay for the next program.

        Raises:
            SandboxError: if no sandbox starts.
        """
        self.calls.set_program(program, self.checker.sites)
        outcome = await eager.complete(program) if eager is not None else None
        if outcome is None:
            if eager is not None:
                await eager.discard()  # it started with another program
            outcome = await self.start(program, keep_state=keep_state)
        self.recorder.record_outcome(program, outcome)
        self.context.emit(RunFinished(run=self.recorder.attempts, outcome=outcome))
        self.checker.remember_names(program, outcome)
        return outcome

    async def start(self, program: str, gate: Gate | None = None, *, keep_state: bool) -> RunOutcome:
        """Run a program, or with `gate` the first statements of a program that is still being written.

        Raises:
            SandboxError: if no sandbox starts.
        """
        number = self.recorder.attempts + (gate is not None)
        with self.recorder.run_time.running():
            if self.sandbox.startup_notice:
                self.context.emit(Notice(text=self.sandbox.startup_notice))
            isolation = await self.sandbox.open()
            self.recorder.start_run(isolation)
            self.context.emit(RunStarted(run=number, isolation=isolation))
            clock = self.calls.start_run(number)
            answer, write = self.context.capabilities.route_calls(self.calls.answer), self.recorder.write
            if gate is not None:
                answer, write = gate.wrap(answer, write, clock)
            tools = self.checker.callable_tools()
            return await self.sandbox.run(
                program,
                tools={name: list(spec.parameters) for name, spec in tools.items()},
                capabilities={
                    **self.context.capabilities.start_run(is_retry=self.recorder.outcome.failure is not None),
                    "prefetch": prefetch_config(self.calls.prefetchable_tools(), tools),
                    "streaming": {"more": gate is not None},
                },
                keep=keep_state,
                answer=answer,
                write=write,
                clock=clock,
            )

    async def discard(self) -> None:
        """Discard the guest together with the program that was started in it and must not run."""
        await self.sandbox.close(broken=True)
        self.context.emit(Notice(text="The partly written program was stopped. It had only read data."))
