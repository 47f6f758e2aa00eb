"""What a program shows, from the guest to the callback of the capability."""

from __future__ import annotations

import pytest

from codeact_kernel.capabilities.show import Show
from codeact_kernel.errors import ProgramError
from codeact_kernel.limits import ShowLimits
from codeact_kernel.sandbox.worker_client import RunClock
from codeact_kernel.types import CallError, CallOutcome, CallResult, DisplayItem, HostCall, ToolCall

from ..sandbox.conftest import PATIENCE, Programs, Run
from ..sandbox.conftest import program as dedented
from ..sandbox.conftest import programs as programs

__all__ = ["Shows", "programs"]


class Shows:
    """Runs programs, and keeps what they showed and what became of each."""

    def __init__(self, programs: Programs) -> None:
        self.items: list[DisplayItem] = []
        self._programs = programs

    async def run(self, text: str) -> Run:
        run = Run()

        def take(item: DisplayItem) -> None:
            self.items.append(item)
            run.seen.append(("shown", item))

        capability = Show(take, ShowLimits())

        async def answer(call: ToolCall | HostCall) -> CallOutcome:
            assert isinstance(call, HostCall)
            try:
                return CallResult(value=await capability.handlers[call.method](call.arguments))
            except ProgramError as error:
                return CallError(kind="ToolFailed", message=str(error))

        def write(stream: str, text: str) -> None:
            run.seen.append((stream, text))

        async with self._programs.turn() as turn:
            capability.start_run()
            run.outcome = await turn.sandbox.run(
                dedented(text),
                tools={},
                capabilities={capability.name: capability.guest_config},
                keep=False,
                answer=answer,
                write=write,
                clock=RunClock(PATIENCE),
            )
        return run

    async def one(self, text: str) -> DisplayItem:
        """What a program showed that had to finish, and show one thing."""
        run = await self.run(text)
        assert run.outcome.failure is None, run.outcome.failure
        (item,) = self.items
        return item

    async def refused(self, text: str) -> str:
        """Why a program failed that had to show nothing."""
        run = await self.run(text)
        assert self.items == []
        return run.error


@pytest.fixture
def shows(programs: Programs) -> Shows:
    return Shows(programs)
