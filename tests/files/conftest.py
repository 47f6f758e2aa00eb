"""Programs that have the files capability, in real guests."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from codeact_kernel.access.mounts import FileMount
from codeact_kernel.capabilities.files import Files
from codeact_kernel.errors import ProgramError
from codeact_kernel.limits import OutputLimits
from codeact_kernel.sandbox.pool import Sandbox
from codeact_kernel.sandbox.worker_client import RunClock
from codeact_kernel.settings import Limits
from codeact_kernel.types import CallError, CallOutcome, CallResult, HostCall, JSONValue, ToolCall

from ..sandbox.conftest import PATIENCE, Programs, Run, program, programs

__all__ = ["Filed", "Programs", "Turn", "program", "programs"]


class Turn:
    """One sandbox and one files capability, as a turn has them."""

    def __init__(self, sandbox: Sandbox, files: Files) -> None:
        self.files = files
        self._sandbox = sandbox

    async def run(self, text: str, *, keep: bool = False) -> Run:
        run = Run()

        async def answer(call: ToolCall | HostCall) -> CallOutcome:
            assert isinstance(call, HostCall)
            run.seen.append(("call", call))
            try:
                return CallResult(value=await self.files.handlers[call.method](call.arguments))
            except ProgramError as error:
                return CallError(kind="ToolFailed", message=str(error))

        self.files.start_run()
        run.outcome = await self._sandbox.run(
            program(text),
            tools={},
            capabilities={self.files.name: self.files.guest_config},
            keep=keep,
            answer=answer,
            write=lambda stream, text: run.seen.append((stream, text)),
            clock=RunClock(PATIENCE),
        )
        return run


class Filed:
    """Makes turns over a folder of the test's own."""

    def __init__(self, programs: Programs, folder: Path) -> None:
        self.folder = folder
        self._programs = programs

    @asynccontextmanager
    async def turn(
        self, *mounts: FileMount, workspace: Path | None = None, output: OutputLimits | None = None
    ) -> AsyncGenerator[Turn]:
        files = Files(mounts, workspace, Limits(output=output or OutputLimits()))
        try:
            async with self._programs.pool.checkout() as sandbox:
                yield Turn(sandbox, files)
        finally:
            files.close()

    async def run(self, text: str, *mounts: FileMount, **options: Any) -> Run:
        """One turn with one program."""
        async with self.turn(*mounts, **options) as turn:
            return await turn.run(text)


@pytest.fixture
def filed(programs: Programs, tmp_path: Path) -> Filed:
    return Filed(programs, tmp_path)


class Services:
    """Asks the capability's handlers as a hostile guest does, past the guest half."""

    def __init__(self, files: Files) -> None:
        self.files = files

    async def __call__(self, operation: str, **arguments: JSONValue) -> Any:
        return await self.files.handlers[operation](arguments)

    async def error(self, operation: str, **arguments: JSONValue) -> str:
        """Name of the error that a step must end with, and its sentence."""
        answer = await self(operation, **arguments)
        assert isinstance(answer, dict) and "error" in answer, answer
        return f"{answer['error']}: {answer['why']}"

    async def read(self, handle: int, offset: int, size: int) -> bytes:
        return self.unpacked(await self("read", handle=handle, offset=offset, size=size))

    @staticmethod
    def unpacked(packed: dict[str, str]) -> bytes:
        return packed["text"].encode("latin-1") if "text" in packed else base64.b64decode(packed["base64"])


@pytest.fixture
def serving() -> Iterator[Callable[..., Services]]:
    """Makes files capabilities, which are closed behind the test."""
    made: list[Files] = []

    def make(*mounts: FileMount, workspace: Path | None = None, output: OutputLimits | None = None) -> Services:
        made.append(Files(mounts, workspace, Limits(output=output or OutputLimits())))
        return Services(made[-1])

    yield make
    for files in made:
        files.close()
