"""The clock of a run, which stands still for a person and for a tool."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

__all__ = ["RunClock"]


class RunClock:
    """The wall-clock limit of one run. It stands still while a person decides."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._limit = asyncio.timeout(None)
        self._pauses = 0
        self._ends = self._left = 0.0

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Let it run for the time of the `with` block, which ends with a TimeoutError when the time is up."""
        loop = asyncio.get_running_loop()
        async with self._limit:
            self._ends = loop.time() + self.seconds
            self._timer = loop.call_at(self._ends, self._look)
            try:
                yield
            finally:
                self._timer.cancel()

    @contextmanager
    def paused(self) -> Generator[None]:
        """Stop the clock for the time of the `with` block; several may overlap."""
        loop = asyncio.get_running_loop()
        self._pauses += 1
        if self._pauses == 1:
            self._left = self._ends - loop.time()
        try:
            yield
        finally:
            self._pauses -= 1
            if self._pauses == 0:
                self._ends = loop.time() + self._left

    def _look(self) -> None:
        """A timer that was right before the last pauses: it is set anew only here, since they are many and short."""
        loop = asyncio.get_running_loop()
        left = self._left if self._pauses else self._ends - loop.time()
        if left > 0 or self._pauses:
            self._timer = loop.call_later(max(left, 0.001), self._look)
        else:
            self._limit.reschedule(loop.time())
