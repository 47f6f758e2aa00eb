"""The clock of a run, which stops while the user decides and while tools run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

__all__ = ["RunClock"]


class RunClock:
    """The wall-clock limit of one run, without the time for which it is paused."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._timeout = asyncio.timeout(None)
        self._pauses = 0
        self._deadline = self._left = 0.0

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Run the clock during the `with` block.

        Raises:
            TimeoutError: out of the block, when the time is up.
        """
        loop = asyncio.get_running_loop()
        async with self._timeout:
            self._deadline = loop.time() + self.seconds
            self._timer = loop.call_at(self._deadline, self._check)
            try:
                yield
            finally:
                self._timer.cancel()

    @contextmanager
    def paused(self) -> Generator[None]:
        """Stop the clock during the `with` block. Several blocks can overlap."""
        loop = asyncio.get_running_loop()
        self._pauses += 1
        if self._pauses == 1:
            self._left = self._deadline - loop.time()
        try:
            yield
        finally:
            self._pauses -= 1
            if self._pauses == 0:
                self._deadline = loop.time() + self._left

    def _check(self) -> None:
        """End the run if its time is up. Else set the timer again, which the pauses since then have made wrong.

        A pause does not change the timer itself, because pauses are many and short.
        """
        loop = asyncio.get_running_loop()
        left = self._left if self._pauses else self._deadline - loop.time()
        if left > 0 or self._pauses:
            self._timer = loop.call_later(max(left, 0.001), self._check)
        else:
            self._timeout.reschedule(loop.time())
