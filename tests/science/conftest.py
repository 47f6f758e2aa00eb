"""A session whose programs run in the science guest."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest_asyncio

from codeact_kernel import ScriptedModel, Session, Settings
from codeact_kernel.settings import Limits
from codeact_kernel.types import TurnResult

SETTINGS = Settings(backend="embedded", guest="science", max_retries=0, limits=Limits(memory_bytes=512 << 20))


class Science:
    """Runs programs for a prompt, each in a fresh copy of the guest."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.events: list[object] = []
        self.model = ScriptedModel([])

    async def ask(
        self,
        *programs: str,
        inputs: Mapping[str, object] | None = None,
        outputs: Sequence[str] = (),
        tools: Sequence[Callable[..., object]] = (),
        **changes: Any,
    ) -> TurnResult:
        """Run these programs, each after the failure of the one before."""
        self.events.clear()
        self.model = ScriptedModel([f"```python\n{program}\n```" for program in programs])
        for tool in tools:
            if tool.__name__ not in self.session.tools:
                self.session.tools.add(tool)
        return await self.session.ask(
            "Go.",
            inputs=inputs or {},
            outputs=outputs,
            model=self.model,
            settings=replace(SETTINGS, max_retries=len(programs) - 1, **changes),
            new=True,
            emit=self.events.append,
        )

    async def value(self, program: str, **options: Any) -> Any:
        """Return the value of a program that must not fail."""
        result = await self.ask(program, **options)
        assert result.error is None, (result.error, result.error.traceback)
        return result.value


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def science() -> AsyncGenerator[Science]:
    async with Session(tools=()) as session:
        yield Science(session)
