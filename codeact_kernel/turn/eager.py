"""Run a program while the model is still writing it.

The guest gets each statement as soon as it is complete. Calls of read-only tools that need no approval, and reads of
the notebook's data, are answered at once. Everything else waits until the program is complete and has passed
preflight: other calls, files, displayed items and printed text. If preflight rejects the program, it is discarded
together with its guest, and has changed nothing. The same happens to a draft, a block of Python in the model's
reasoning.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from ..capability import EAGER_HANDLERS, NEXT_STATEMENTS
from ..sandbox.worker_client import AnswerCall, RunClock, Write
from ..types import CallOutcome, CallResult, HostCall, RunOutcome, Stream, ToolCall
from .calls import Calls
from .program_checker import ProgramChecker
from .statements import Statements
from .stopwatch import Stopwatch

__all__ = ["EagerRun", "Gate"]

_CHEAP = 2_000
"""Characters of a program that preflight can check again for each statement."""


class Gate(Protocol):
    """Stands between a run and the rest of the turn."""

    def wrap(self, answer: AnswerCall, write: Write, clock: RunClock) -> tuple[AnswerCall, Write]:
        """Return `answer` and `write`, which are held back as long as necessary."""
        ...


class Runs(Protocol):
    """The methods of `ProgramRunner` that an eager run needs."""

    async def start(self, program: str, gate: Gate | None = None, *, keep_state: bool) -> RunOutcome: ...
    async def discard(self) -> None: ...


class EagerRun:
    """One program, from its first complete statement on.

    Args:
        runner: runs the program.
        checker: checks the beginning of the program.
        calls: the calls of the turn, with the read-only tools.
        waited: measures the time in which the program waits for the model.
        keep_state: as for `ProgramRunner.run`.
    """

    def __init__(
        self, runner: Runs, checker: ProgramChecker, calls: Calls, waited: Stopwatch, *, keep_state: bool
    ) -> None:
        self._runner = runner
        self._checker = checker
        self._calls = calls
        self._read_only_tools = frozenset(calls.prefetchable_tools())
        self._waited = waited
        self._keep_state = keep_state
        self._statements = Statements()
        self._sent = 0
        self._unread = ""
        self._has_more = asyncio.Event()
        self._is_complete = asyncio.Event()
        self._is_held = False
        self._is_discarded = False
        self._printed: list[tuple[Stream, str]] = []
        self._write: Write | None = None
        self._run: asyncio.Task[RunOutcome] | None = None

    def feed(self, text: str) -> None:
        """Take the next part of the program, and run the statements that are complete."""
        if self._is_discarded or not self._statements.feed(text) or not self._is_worth_starting():
            return
        if not self._checker.is_valid_prefix(self._beginning()):
            return
        piece = self._statements.text[self._sent : self._statements.complete]
        self._sent = self._statements.complete
        if self._run is None:
            self._run = asyncio.create_task(self._start(piece))
        else:
            self._unread += piece
            self._has_more.set()

    async def complete(self, program: str) -> RunOutcome | None:
        """Let the program run to its end, now that it is complete and accepted.

        Returns:
            The outcome, or `None` if no run has started, or if it started with other statements.

        Raises:
            SandboxError: if no sandbox starts.
        """
        if self._run is None or not program.startswith(self._statements.text[: self._sent].rstrip()):
            return None
        self._is_complete.set()
        if self._write is not None:
            for stream, text in self._printed:
                self._write(stream, text)
        self._printed.clear()
        self._unread += program[self._sent :]
        self._has_more.set()
        try:
            return await self._run
        finally:
            self._run = None

    async def discard(self) -> None:
        """Stop the run together with its guest, and start no other."""
        self._is_discarded = True
        run, self._run = self._run, None
        if run is None:
            return
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        await self._runner.discard()

    def wrap(self, answer: AnswerCall, write: Write, clock: RunClock) -> tuple[AnswerCall, Write]:
        """Return `answer` and `write` of the run, held back until the program is complete. See `Gate`."""
        self._write = write

        async def gated_answer(call: ToolCall | HostCall) -> CallOutcome:
            if isinstance(call, HostCall):
                handler = (call.capability, call.method)
                if handler == NEXT_STATEMENTS:
                    with clock.paused(), self._waited.running():
                        return CallResult(value=await self._next_statements())
                is_read_only = handler in EAGER_HANDLERS
            else:
                is_read_only = self._calls.is_prefetchable(call.name)
            # A call must not overtake an earlier call that is held back.
            self._is_held = self._is_held or not is_read_only
            if self._is_held and not self._is_complete.is_set():
                with clock.paused(), self._waited.running():
                    await self._is_complete.wait()
            return await answer(call)

        def gated_write(stream: Stream, text: str) -> None:
            if self._is_complete.is_set():
                write(stream, text)
            else:
                self._printed.append((stream, text))

        return gated_answer, gated_write

    def _beginning(self) -> str:
        return self._statements.text[: self._statements.complete]

    def _is_worth_starting(self) -> bool:
        """Return whether the new statements use a read-only tool and are long enough for another check."""
        new = self._beginning()[self._sent :]
        return 8 * len(new) > self._sent - _CHEAP and any(name in new for name in self._read_only_tools)

    async def _next_statements(self) -> str | None:
        await self._has_more.wait()
        if not self._is_complete.is_set():
            self._has_more.clear()
        piece, self._unread = self._unread, ""
        return piece or None

    async def _start(self, first: str) -> RunOutcome:
        return await self._runner.start(first, self, keep_state=self._keep_state)
