"""The thread that turns run on, and the runner that makes a cell wait for its turn.

A turn is a coroutine on one private event loop, whose thread lives as long as the kernel. Meanwhile the main thread
runs a `TurnRunner`, which shows the turn and runs what belongs on the main thread.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from codeact_kernel.errors import UserError

from .shell_channel import ChannelUnsupported, MainThreadWaiter, ShellChannelFilter
from .turn_runner import Turn, TurnDisplay, TurnRunner

__all__ = ["LoopThread", "TurnLauncher"]

T = TypeVar("T")


class LoopThread:
    """An event loop on a daemon thread, which the first use starts."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()  # a cell and the background thread that warms up a sandbox can race

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running loop."""
        with self._starting:
            if self._loop is None:
                loop: Future[asyncio.AbstractEventLoop] = Future()
                self._thread = threading.Thread(target=_run_loop, args=(loop,), name="codeact", daemon=True)
                self._thread.start()
                self._loop = loop.result()
            return self._loop

    @property
    def is_started(self) -> bool:
        """Whether the loop has been used."""
        return self._loop is not None

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine on the loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def close(self) -> None:
        """End the loop and its thread. Unfinished coroutines are abandoned, so await them before."""
        loop, self._loop = self._loop, None
        if loop is None or self._thread is None:
            return
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join(timeout=5)
        if not self._thread.is_alive():
            loop.close()


class TurnLauncher:
    """Runs turns, one at a time, while the main thread serves them.

    Args:
        thread: the loop that turns run on.
        kernel: the ipykernel whose messages can be filtered; `None` in a terminal.
    """

    def __init__(self, thread: LoopThread, kernel: object = None) -> None:
        self.thread = thread
        self._kernel = kernel
        self._is_running = False

    def run(self, turn: Turn[T], display: TurnDisplay) -> T:
        """Run one turn, and serve it on the main thread until it ends.

        Args:
            turn: makes the turn's coroutine from a function that takes its events, and one that runs functions on the
                main thread.
            display: shows the turn.

        Raises:
            UserError: if a turn is running already, or if this is not the main thread.
            TurnInterrupted: if the user stopped the turn.
            TurnAbandoned: if the user ran the cell again while it waited for an approval.
        """
        if threading.current_thread() is not threading.main_thread():
            raise UserError(
                "%%codeact runs in the notebook's main thread only: run it in a cell, not in a thread or a subshell."
            )
        if self._is_running:
            raise UserError("A %%codeact cell is running already: a tool cannot start another one.")
        self._is_running = True
        try:
            return TurnRunner(self.thread.loop, display, self._make_waiter()).run(turn)
        finally:
            self._is_running = False

    def _make_waiter(self) -> MainThreadWaiter:
        if self._kernel is None:
            return MainThreadWaiter()
        try:
            return ShellChannelFilter(self._kernel)
        except ChannelUnsupported:
            return MainThreadWaiter()


def _run_loop(ready: Future[asyncio.AbstractEventLoop]) -> None:
    if sys.platform == "win32":  # Jupyter's default there is a selector loop, which cannot start processes
        loop = asyncio.ProactorEventLoop()  # created in this thread, or it would take the main thread's signals
    else:
        loop = asyncio.new_event_loop()
    ready.set_result(loop)
    loop.run_forever()
