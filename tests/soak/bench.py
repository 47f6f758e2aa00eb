"""What the faults of a soak have in common: a session, how it is asked, and where its workers are."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import TypeAlias

import psutil

from codeact_kernel import Session
from codeact_kernel.errors import ModelError, SandboxError
from codeact_kernel.model.base import ModelClient
from codeact_kernel.model.scripted import ScriptedModel
from codeact_kernel.settings import Limits, Settings

from ..model.conftest import FakeEndpoint

__all__ = ["Bench", "children"]

LIMITS = Limits(
    run_seconds=3, tool_seconds=1, start_seconds=30, model_seconds=5, memory_bytes=64 << 20, output_characters=50_000
)
"""A worker that is damaged says nothing, and a program that never ends does: what they cost is waited for here."""
SETTINGS = Settings(backend="embedded", limits=LIMITS)

Hook: TypeAlias = Callable[[], Awaitable[object]]


@dataclass
class Bench:
    """What the faults of one soak share.

    Attributes:
        hook: what the tool `fault` does in this turn.
        interposed: what stands before the next workers that are started.
    """

    random: Random
    session: Session
    endpoint: FakeEndpoint
    hook: Hook | None = None
    interposed: list[Sequence[str]] = field(default_factory=list[Sequence[str]])

    async def ask(self, *programs: str, model: ModelClient | None = None, expected: object = None) -> str:
        """One turn with these programs, the later ones as repairs: how it ended."""
        model = model or ScriptedModel([f"```python\n{program}\n```" for program in programs])
        try:
            result = await self.session.ask("go on", model=model, settings=SETTINGS)
        except (ModelError, SandboxError) as error:
            return type(error).__name__
        if result.error is not None:
            return result.error.kind
        return "right" if result.value == expected else "another value"

    def number(self) -> int:
        """So that no answer can be another turn's."""
        return self.random.randrange(1 << 40)

    async def with_hook(self, program: str, hook: Hook, retried: bool = True) -> str:
        """A turn whose program calls `fault()`; with `retried` a good program follows if that one fails."""
        self.hook, number = hook, self.number()
        good = f"add({number}, b=1)"
        return await self.ask(f"{program}\n{good}", *([good] * 2 if retried else []), expected=number + 1)

    async def interposing(self, *command: str) -> str:
        """A turn whose first worker is started by `command`, or is that process."""
        await self.session.reset()
        self.interposed.append(command)
        number = self.number()
        program = f"print('x' * 300)\nrows = [add(i, b={number}) for i in range(5)]\nrows[-1]"
        ended = await self.ask(*[program] * 3, expected=number + 4)
        self.interposed.clear()
        return ended

    def later(self, do: Callable[[], object]) -> None:
        asyncio.get_running_loop().call_later(self.random.random() * 0.3, do)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """One of the workers' processes: the one that was started, or the copy of it that runs the guest."""
        found = children()
        for process in found if self.random.random() < 0.3 else self.random.sample(found, min(1, len(found))):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)


def children() -> list[psutil.Process]:
    """The processes below this one, those of the workers' copies too."""
    return psutil.Process().children(recursive=True)
