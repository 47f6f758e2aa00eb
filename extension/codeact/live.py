"""The main thread's part of a turn, and the thread that turns run on.

A turn is a coroutine on one private loop thread, kept for the life of the kernel. Meanwhile the cell's thread stays
here and serves, in order of arrival, what belongs to it: events to show, synchronous tools, questions. So plots,
prints, sqlite connections and context variables behave as in a plain cell, and an interrupt is a KeyboardInterrupt.

Only a tool's own code is ever torn in the middle by an interrupt; elsewhere the handler just asks the turn to end.
"""

from __future__ import annotations

import asyncio
import contextvars
import queue
import signal
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, TypeAlias, TypeVar

from codeact_kernel.errors import UserError
from codeact_kernel.events import Event
from codeact_kernel.tools import ToolCallError

__all__ = ["Live", "LoopThread", "TurnInterrupted"]

T = TypeVar("T")
_TICK = 0.1
"""Seconds that this thread waits for something to do before it looks around."""


class TurnInterrupted(KeyboardInterrupt):
    """The person stopped the cell. Aborts the cells queued behind it, as in a plain cell."""

    def _render_traceback_(self) -> list[str]:
        return ["Stopped. The sandbox was killed; the kernel and its variables are as they were."]


class LoopThread:
    """One event loop on a daemon thread, started when first used."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running loop."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="codeact", daemon=True)
            self._thread.start()
        return self._loop

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


@dataclass(slots=True)
class _Job:
    """Something that has to happen on the main thread, and the turn waits for."""

    function: Callable[[], object]
    done: asyncio.Future[object]
    dropped: bool = False


@dataclass(slots=True)
class _Ended:
    """The turn is over."""


_Item: TypeAlias = Event | _Job | _Ended


@dataclass(slots=True)
class Live:
    """Runs turns for one cell after the other.

    Args:
        thread: where turns run.
    """

    thread: LoopThread
    _items: queue.SimpleQueue[_Item] = field(default_factory=lambda: queue.SimpleQueue[_Item]())
    _job: _Job | None = None
    _task: asyncio.Task[Any] | None = None
    _interrupts: int = 0
    _running: bool = False

    def emit(self, event: Event) -> None:
        """An event of the turn; any thread."""
        self._items.put(event)

    async def on_main(self, function: Callable[[], object]) -> object:
        """Run `function` on the main thread. Awaited on the loop thread; cancelling interrupts the function."""
        job = _Job(function, asyncio.get_running_loop().create_future())
        self._items.put(job)
        try:
            return await job.done
        except asyncio.CancelledError:
            job.dropped = True
            if self._job is job:
                signal.pthread_kill(_main_thread(), signal.SIGINT)
            raise

    def run(
        self, turn: Callable[[], Coroutine[Any, Any, T]], show: Callable[[Event], None], redraw: Callable[[], None]
    ) -> T:
        """Run one turn and serve the main thread until it ends.

        Args:
            turn: makes the coroutine.
            show: takes each event.
            redraw: brings the cell up to date; called when there is something new to show, and at the end.

        Raises:
            UserError: there is a turn already, or this is not the main thread.
            TurnInterrupted: the person stopped it.
        """
        if threading.current_thread() is not threading.main_thread():
            raise UserError("%%codeact runs in the notebook's main thread only: run it in a cell, not in a thread.")
        if self._running:
            raise UserError("A %%codeact cell is running already: a tool cannot start another one.")
        self._running, self._interrupts, self._items = True, 0, queue.SimpleQueue()
        old = signal.signal(signal.SIGINT, self._interrupted)
        try:
            self._task = self._start(turn)
            self._serve(show, redraw)
        finally:
            signal.signal(signal.SIGINT, old)
            self._running = False
            redraw()
        if self._interrupts or self._task.cancelled():
            raise TurnInterrupted
        return self._task.result()

    def _start(self, turn: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        loop, context = self.thread.loop, contextvars.copy_context()
        started: Future[asyncio.Task[T]] = Future()
        items = self._items

        def start() -> None:
            task = loop.create_task(turn(), context=context)
            task.add_done_callback(lambda _: items.put(_Ended()))
            started.set_result(task)

        loop.call_soon_threadsafe(start)
        return started.result()

    def _serve(self, show: Callable[[Event], None], redraw: Callable[[], None]) -> None:
        while True:
            try:
                item = self._items.get(timeout=_TICK)
            except queue.Empty:
                if self._interrupts > 1:
                    return  # the turn does not end although it was told to: leave it behind
                redraw()
                continue
            match item:
                case _Ended():
                    return
                case _Job():
                    redraw()
                    self._do(item)
                case _:
                    show(item)
                    if self._items.empty():
                        redraw()

    def _do(self, job: _Job) -> None:
        loop = self.thread.loop
        try:
            self._job = job
            try:
                result = None if job.dropped else job.function()
            finally:
                self._job = None
        except KeyboardInterrupt:
            if self._interrupts or job.dropped:
                loop.call_soon_threadsafe(job.done.cancel)
            else:  # the tool raised it itself
                loop.call_soon_threadsafe(_fail, job.done, ToolCallError("the tool raised KeyboardInterrupt"))
        except BaseException as error:
            loop.call_soon_threadsafe(_fail, job.done, error)
        else:
            loop.call_soon_threadsafe(_finish, job.done, result)

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        job = self._job
        if job is None or not job.dropped:  # a person did this, and not `on_main`, which drops a job that took too long
            self._interrupts += 1
            if self._task is not None:
                self.thread.loop.call_soon_threadsafe(self._task.cancel)
        if job is not None:
            raise KeyboardInterrupt


def _finish(done: asyncio.Future[object], result: object) -> None:
    if not done.done():
        done.set_result(result)


def _fail(done: asyncio.Future[object], error: BaseException) -> None:
    if not done.done():
        # A future does not take StopIteration; nothing that a tool raises may pass as something else.
        done.set_exception(RuntimeError(f"StopIteration: {error}") if isinstance(error, StopIteration) else error)


def _main_thread() -> int:
    ident = threading.main_thread().ident
    assert ident is not None
    return ident
