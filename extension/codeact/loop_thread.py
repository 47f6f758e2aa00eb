"""One turn after the other: the thread that turns run on, and the cells that wait for them.

A turn is a coroutine on one private loop thread, kept for the life of the kernel; meanwhile the cell's own thread is a
`Cell`, which shows the turn and does for it what belongs on the main thread.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from codeact_kernel.errors import UserError

from .shell_channel import MainThreadWaiter, ShellChannelFilter, TapUnsupported
from .turn_runner import Turn, TurnDisplay, TurnRunner

__all__ = ["LoopThread", "TurnThread"]

T = TypeVar("T")


class LoopThread:
    """One event loop on a daemon thread, started when first used."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()  # a cell may ask while a sandbox is warmed up for it in the background

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running loop."""
        with self._starting:
            if self._loop is None:
                made: Future[asyncio.AbstractEventLoop] = Future()
                self._thread = threading.Thread(target=_run_loop, args=(made,), name="codeact", daemon=True)
                self._thread.start()
                self._loop = made.result()
            return self._loop

    @property
    def started(self) -> bool:
        """Whether anything has run there."""
        return self._loop is not None

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Start `coroutine` there."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def close(self) -> None:
        """End the loop and its thread. What should be awaited has to be awaited before."""
        loop, self._loop = self._loop, None
        if loop is None or self._thread is None:
            return
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join(timeout=5)
        if not self._thread.is_alive():
            loop.close()


class TurnThread:
    """Runs turns for one cell after the other.

    Args:
        thread: where turns run.
        kernel: the ipykernel whose messages can be tapped; `None` in a terminal.
    """

    def __init__(self, thread: LoopThread, kernel: object = None) -> None:
        self.thread = thread
        self._kernel = kernel
        self._running = False

    def run(self, turn: Turn[T], screen: TurnDisplay) -> T:
        """Run one turn and serve the main thread until it ends.

        Args:
            turn: makes the coroutine, given where its events go and how it gets something done on the main thread.
            screen: shows it.

        Raises:
            UserError: there is a turn already, or this is not the main thread.
            TurnInterrupted: the person stopped it.
            TurnLeft: the person ran the cell again.
        """
        if threading.current_thread() is not threading.main_thread():
            raise UserError(
                "%%codeact runs in the notebook's main thread only: run it in a cell, not in a thread or a subshell."
            )
        if self._running:
            raise UserError("A %%codeact cell is running already: a tool cannot start another one.")
        self._running = True
        try:
            return TurnRunner(self.thread.loop, screen, self._waiter()).run(turn)
        finally:
            self._running = False

    def _waiter(self) -> MainThreadWaiter:
        if self._kernel is None:
            return MainThreadWaiter()
        try:
            return ShellChannelFilter(self._kernel)
        except TapUnsupported:
            return MainThreadWaiter()


def _run_loop(made: Future[asyncio.AbstractEventLoop]) -> None:
    if sys.platform == "win32":  # Jupyter makes selector loops the default there, and those cannot start processes
        loop = asyncio.ProactorEventLoop()  # made in this thread, else it would take the main thread's signals
    else:
        loop = asyncio.new_event_loop()
    made.set_result(loop)
    loop.run_forever()
