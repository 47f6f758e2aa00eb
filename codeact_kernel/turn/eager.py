"""A run that begins while the model still writes its program.

Complete statements go to the guest as they come. What changes nothing happens at once: calls of tools that only read
and need nobody's consent, and looking at the notebook's data. Everything else waits until the program is whole and
passed preflight: other calls, files, what is shown and printed. A program that is refused then is thrown away with its
guest, and nothing was done. So is a draft: a block of Python in what turns out to be the model's reasoning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

from ..sandbox.worker_client import AnswerCall, RunClock, Write
from ..types import CallOutcome, CallResult, RunOutcome, Stream, ToolCall
from .calls import Stopwatch
from .statements import Statements

__all__ = ["EagerRun", "Start"]

_READS = frozenset({"data.column", "data.text"})
_LITTLE = 2_000
"""Characters of a program that can be read again for each statement."""
NEXT = "program.next"
"""The service by which the guest asks for more of its program."""

Start = Callable[["EagerRun"], Awaitable[RunOutcome]]
"""Runs the program that begins with `EagerRun.first`, with `EagerRun` between it and the rest of the turn."""


class EagerRun:
    """One program, from its first complete statement on.

    Args:
        passes: whether preflight has nothing against this beginning of a program.
        reads: names of the tools that may be called at once.
        only_reads: whether a tool is still one of these.
        start: runs it.
        waited: counts the time in which the program has to wait for the model.

    Attributes:
        first: what the run began with; empty as long as it has not.
    """

    def __init__(
        self,
        *,
        passes: Callable[[str], bool],
        reads: Collection[str],
        only_reads: Callable[[str], bool],
        start: Start,
        waited: Stopwatch,
    ) -> None:
        self.first = ""
        self._waited = waited
        self._passes = passes
        self._reads = frozenset(reads)
        self._only_reads = only_reads
        self._start = start
        self._statements = Statements()
        self._sent = 0
        self._unread = ""
        self._more = asyncio.Event()
        self._whole = asyncio.Event()
        self._held = False
        self._over = False
        self._printed: list[tuple[Stream, str]] = []
        self._write: Write | None = None
        self._run: asyncio.Task[RunOutcome] | None = None

    def feed(self, text: str) -> None:
        """The model wrote more of it."""
        if (
            self._over
            or not self._statements.feed(text)
            or not self._is_worth_starting()
            or not self._passes(self._beginning())
        ):
            return
        piece = self._statements.text[self._sent : self._statements.complete]
        self._sent = self._statements.complete
        if self._run is None:
            self.first = piece
            self._run = asyncio.create_task(self._started())
        else:
            self._unread += piece
            self._more.set()

    async def complete(self, program: str) -> RunOutcome | None:
        """The program is whole and may run: its outcome, or `None` where this has not begun, and another one may have.

        Raises:
            SandboxError: no sandbox came up.
        """
        if self._run is None or not program.startswith(self._statements.text[: self._sent].rstrip()):
            return None
        self._whole.set()
        if self._write is not None:
            for stream, text in self._printed:
                self._write(stream, text)
        self._printed.clear()
        self._unread += program[self._sent :]
        self._more.set()
        try:
            return await self._run
        finally:
            self._run = None

    async def discard(self) -> bool:
        """Throw it away; whether there was anything. Its guest is killed, and nothing begins any more."""
        self._over = True
        run, self._run = self._run, None
        if run is None:
            return False
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        return True

    def wrap(self, answer: AnswerCall, write: Write, clock: RunClock) -> tuple[AnswerCall, Write]:
        """`answer` and `write` of the run, held back as long as they have to be."""
        self._write = write

        async def answered(call: ToolCall) -> CallOutcome:
            if call.name == NEXT:
                with clock.paused(), self._waited.running():
                    return CallResult(value=await self._next())
            # What comes after a call that is held must not overtake it.
            self._held = self._held or not (call.name in _READS or self._only_reads(call.name))
            if self._held and not self._whole.is_set():
                with clock.paused(), self._waited.running():
                    await self._whole.wait()
            return await answer(call)

        def written(stream: Stream, text: str) -> None:
            if self._whole.is_set():
                write(stream, text)
            else:
                self._printed.append((stream, text))

        return answered, written

    def _beginning(self) -> str:
        return self._statements.text[: self._statements.complete]

    def _is_worth_starting(self) -> bool:
        """Whether the new statements read something, and are no trifle beside those that have to be read again."""
        new = self._beginning()[self._sent :]
        return 8 * len(new) > self._sent - _LITTLE and any(name in new for name in self._reads)

    async def _next(self) -> str | None:
        await self._more.wait()
        if not self._whole.is_set():
            self._more.clear()
        piece, self._unread = self._unread, ""
        return piece or None

    async def _started(self) -> RunOutcome:
        return await self._start(self)
