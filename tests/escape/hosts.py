"""People who decide, workers that lie, and tools that misbehave: what the attempts on the host are made with."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from codeact_kernel.approval import ApprovalRequest, ReviewDecision
from codeact_kernel.sandbox.pool import Pool
from codeact_kernel.sandbox.worker_client import Worker
from codeact_kernel.settings import Limits
from codeact_kernel.types import ApprovalChoice, Decision

from ..sandbox.conftest import CONNECT, HOSTILE
from .conftest import Kernel, unlisted

__all__ = ["CALLS", "RAW", "TRIED", "User", "offering", "with_a_worker_that", "worker_that"]

RAW = (
    CONNECT
    + """
import json
imported = tools

def send(message):
    try:
        answer = imported.dispatch("codeact", message if isinstance(message, str) else json.dumps(message))
    except Exception as error:
        return f"refused: {getattr(error, 'value', error)}"
    if answer[0] == '"':
        answer = json.loads(answer)
    return "refused: " + answer[1:] if answer[0] == "!" else answer[1:]

def raw(operation):
    text = operation if isinstance(operation, str) else json.dumps(operation)
    return send({"at": 0, "last": text})
"""
)
CALLS = """
def call(name, arguments, line=1, batch_size=1, **more):
    return raw({"op": "call_tool", "name": name, "arguments": arguments, "line": line, "batch_size": batch_size, **more})
def call_host(capability, method, arguments):
    return raw({"op": "call_host", "capability": capability, "method": method, "arguments": arguments})
"""
"""Makes calls by `raw`."""
RAW += CALLS
"""Goes around the prelude: the one function that the host has for a guest."""
TRIED = """
def tried(make):
    try:
        return f"ran: {make()!r}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
"""
"""What came of something, in words."""


class User:
    """Somebody who decides, and something that happens meanwhile.

    Args:
        choices: one for each question; the last one holds for those after it.
        meanwhile: is called, or awaited, while the question is open.
        arguments: what they put in the place of the program's arguments.

    Attributes:
        asked: the questions.
    """

    def __init__(
        self,
        *choices: ApprovalChoice,
        meanwhile: Callable[[ApprovalRequest], object] = lambda question: None,
        arguments: dict[str, Any] | None = None,
    ) -> None:
        self.asked: list[ApprovalRequest] = []
        self._choices = choices
        self._meanwhile = meanwhile
        self._arguments = arguments

    async def decide(self, question: ApprovalRequest) -> Decision:
        choice = self._choices[min(len(self.asked), len(self._choices) - 1)]
        self.asked.append(question)
        done = self._meanwhile(question)
        if isinstance(done, Awaitable):
            await done
        reason = "the user said no" if choice == "reject" else ""
        return Decision(choice=choice, by="user", reason=reason, arguments=self._arguments)

    async def review(self, program: str, problem: str) -> ReviewDecision:
        return ReviewDecision(program=program)

    @property
    def shown(self) -> list[dict[str, Any]]:
        """The arguments that they were asked about."""
        return [dict(question.call.arguments) for question in self.asked]


@contextmanager
def offering(kernel: Kernel, *functions: Callable[..., Any], mode: str = "never_require", **options: Any) -> Generator:
    """These tools are there too, inside; what a user allowed meanwhile is forgotten behind it."""
    tools, names = kernel.session.tools, [options.get("name") or function.__name__ for function in functions]
    before = {name: tools._tools.get(name) for name in names}
    for function in functions:
        tools.add(unlisted(function, mode, **options))
    try:
        yield tools
    finally:
        kernel.session.grants.revoke()
        for name, tool in before.items():
            if name in tools:
                tools.remove(name)
            if tool is not None:
                tools.add(tool.function)


@asynccontextmanager
async def worker_that(script: str, limits: Limits | None = None) -> AsyncGenerator[Worker]:
    """The host's side of a process that runs `script` in the place of a worker."""
    worker = await Worker.from_command(_command(script), "embedded", limits or Limits())
    try:
        yield worker
    finally:
        await worker.kill()


@asynccontextmanager
async def with_a_worker_that(script: str) -> AsyncGenerator[None]:
    """The next turn gets a worker that runs `script`; those after it get honest ones."""
    honest, planted = Pool.take, list[Worker]()

    async def take(self: Pool) -> Worker:
        if planted:
            return await honest(self)
        planted.append(worker := await Worker.from_command(_command(script), "embedded", self.limits))
        try:
            await worker.wait_ready()
        except BaseException:
            await worker.kill()
            raise
        return worker

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pool, "take", take)
        yield
    assert planted, "the hostile worker was never asked for"
    assert not planted[0].usable, "the hostile worker is still there"


def _command(script: str) -> tuple[str, ...]:
    return sys.executable, "-c", f"{HOSTILE}\n{textwrap.dedent(script)}"
