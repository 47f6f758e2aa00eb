"""Serve one turn on the main thread while its cell runs.

In order of arrival, the main thread shows events, runs synchronous tools, asks questions, and handles the page's
messages (`shell_channel`). So plots, prints, sqlite connections and context variables behave as in a plain cell, and an
interrupt is a KeyboardInterrupt.

An interrupt raises inside the code of a tool only. Everywhere else the signal handler just asks the turn to end.
"""

from __future__ import annotations

import _thread
import asyncio
import contextvars
import queue
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any, Protocol, TypeAlias, TypeVar

from codeact_kernel.events import Emit, Event
from codeact_kernel.tools import OnMain, ToolCallError

from .shell_channel import ChannelUnsupported, MainThreadWaiter

__all__ = ["Turn", "TurnAbandoned", "TurnDisplay", "TurnInterrupted", "TurnRunner"]

T = TypeVar("T")
Turn: TypeAlias = Callable[[Emit, OnMain], Coroutine[Any, Any, T]]
_TICK = 0.1
"""Seconds that the main thread waits for something to do before it redraws and checks for interrupts."""


class TurnInterrupted(KeyboardInterrupt):
    """The user stopped the cell. Like an interrupt of a plain cell, this aborts the cells that are queued behind it."""

    def _render_traceback_(self) -> list[str]:
        return ["Interrupted."]


class TurnAbandoned(Exception):
    """The user ran the cell again while it waited for an approval.

    The cell ends without an error, since an error would abort the run that is queued behind it.
    """


class TurnDisplay(Protocol):
    """Shows a turn. All methods but `end` are called on the main thread."""

    def open(self, waiter: MainThreadWaiter, stop: Callable[[], None], leave: Callable[[], None]) -> None:
        """Prepare the output before the turn begins.

        Args:
            waiter: makes the main thread wait, and serves the page's messages meanwhile.
            stop: ends the turn; can be called in any thread.
            leave: ends the turn without an error; can be called in any thread.
        """
        ...

    def show(self, event: Event) -> None:
        """Handle an event."""
        ...

    def redraw(self) -> None:
        """Bring the cell up to date. Called when there is something new to show, and at every tick."""
        ...

    def end(self) -> None:
        """Draw nothing more that takes time, because the turn is being stopped. Called from any thread."""
        ...

    def close(self) -> None:
        """Draw the end of the turn."""
        ...


@dataclass(slots=True)
class _Job:
    """A function that has to run on the main thread while the turn waits.

    Attributes:
        is_dropped: whether the turn has stopped waiting.
        is_interrupted: whether the function was interrupted. It is never interrupted twice, so that it can clean up.
    """

    function: Callable[[], object]
    done: asyncio.Future[object]
    is_dropped: bool = False
    is_interrupted: bool = False


@dataclass(slots=True)
class _Ended:
    """The turn has ended."""


_Item: TypeAlias = Event | _Job | _Ended


class TurnRunner:
    """Runs one turn. A turn that does not end when it is stopped keeps sending to its runner, which ignores it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, display: TurnDisplay, waiter: MainThreadWaiter) -> None:
        self._loop = loop
        self._display = display
        self._waiter = waiter
        self._items: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._postponed: deque[_Item] = deque()
        """Items other than events that arrived while a tool was running on the main thread."""
        self._job: _Job | None = None
        self._task: asyncio.Task[Any] | None = None
        self._interrupts = 0
        self._is_abandoned = False
        self._own_interrupts = 0

    def run(self, turn: Turn[T]) -> T:
        """Run the turn, and serve it until it ends.

        Raises:
            TurnInterrupted: if the user stopped the turn.
            TurnAbandoned: if the user ran the cell again while it waited for an approval.
        """
        previous_handler = signal.signal(signal.SIGINT, self._handle_interrupt)
        try:
            with self._open_waiter():
                self._display.open(self._waiter, self.stop, self.leave)
                try:
                    task = self._start(turn)
                    self._serve()
                finally:
                    self._cancel()
                    self._display.close()
        finally:
            signal.signal(signal.SIGINT, previous_handler)
        if self._interrupts or task.cancelled():
            raise TurnAbandoned if self._is_abandoned else TurnInterrupted
        return task.result()

    async def on_main(self, function: Callable[[], object]) -> object:
        """Run `function` on the main thread. Awaited on the loop; cancelling interrupts the function."""
        job = _Job(function, self._loop.create_future())
        self._put(job)
        try:
            return await job.done
        except asyncio.CancelledError:
            job.is_dropped = True
            if self._job is job and not job.is_interrupted:
                await self._interrupt_job(job)
            raise

    def stop(self) -> None:
        """Stop the turn, from any thread. `on_main` then interrupts the function that is running on the main thread."""
        self._interrupts += 1
        self._display.end()
        self._cancel()
        self._waiter.wake()

    def leave(self) -> None:
        """Stop the turn without an error, because its cell has gone."""
        self._is_abandoned = True
        self.stop()

    async def _interrupt_job(self, job: _Job) -> None:
        self._own_interrupts += 1  # so that the handler can tell this interrupt from the user's
        while True:
            # A signal just before a blocking call does not end the call, and its handler has to wait for the call. So
            # the signal is repeated until the handler has run; until then several signals count as one.
            _interrupt_main_thread()
            with suppress(asyncio.CancelledError):  # this task is cancelled already
                await asyncio.sleep(_TICK)
            if self._job is not job or job.is_interrupted:
                return

    def _put(self, item: _Item) -> None:
        """Queue an item, from any thread. An event from a tool that blocks the main thread is shown at once."""
        self._items.put(item)
        if threading.current_thread() is threading.main_thread():
            if self._job is not None and isinstance(item, Event):
                self._show_during_job(self._job)
        elif not isinstance(item, Event):  # events wait for the next tick, since nothing is drawn more often
            self._waiter.wake()

    def _show_during_job(self, job: _Job) -> None:
        """Show events in the middle of a tool. An interrupt during this is raised in the tool, after the drawing."""
        interrupts, self._job = self._interrupts, None
        try:
            while not self._items.empty():
                item = self._items.get()
                if isinstance(item, Event):
                    self._display.show(item)
                else:
                    self._postponed.append(item)
            self._display.redraw()
            self._waiter.wait(0)
        finally:
            self._job = job
        if self._interrupts > interrupts or job.is_dropped:
            job.is_interrupted = True
            raise KeyboardInterrupt

    @contextmanager
    def _open_waiter(self) -> Generator[None]:
        """Open the waiter. If it cannot filter the channel after all, replace it by a plain waiter."""
        with ExitStack() as stack:
            try:
                stack.enter_context(self._waiter)
            except ChannelUnsupported:
                self._waiter = stack.enter_context(MainThreadWaiter())
            yield

    def _start(self, turn: Turn[T]) -> asyncio.Task[T]:
        context = contextvars.copy_context()
        started: Future[asyncio.Task[T]] = Future()

        def start() -> None:
            task = self._loop.create_task(turn(self._put, self.on_main), context=context)
            task.add_done_callback(lambda _: self._put(_Ended()))
            self._task = task
            if self._interrupts:
                task.cancel()
            started.set_result(task)

        self._loop.call_soon_threadsafe(start)
        while True:
            try:
                return started.result(timeout=_TICK)
            except TimeoutError:  # an async tool of an earlier turn, which did not end, blocks the loop
                if self._interrupts > 1:
                    raise TurnInterrupted from None

    def _serve(self) -> None:
        while True:
            try:
                item = self._postponed.popleft() if self._postponed else self._items.get_nowait()
            except queue.Empty:
                if self._interrupts > 1:
                    return  # the turn does not end although it was stopped, so do not wait for it
                self._display.redraw()
                self._waiter.wait(_TICK)
                continue
            match item:
                case _Ended():
                    return
                case _Job():
                    self._display.redraw()
                    self._run_job(item)
                case _:
                    self._display.show(item)

    def _run_job(self, job: _Job) -> None:
        if job.is_dropped or self._interrupts:  # after a stop, queued functions do not start
            self._loop.call_soon_threadsafe(job.done.cancel)
            return
        try:
            try:
                self._job = job
                result = job.function()
            finally:
                self._job = None
        except KeyboardInterrupt:
            if self._interrupts or job.is_dropped:
                self._loop.call_soon_threadsafe(job.done.cancel)
            else:  # the tool itself raised it
                self._loop.call_soon_threadsafe(_fail, job.done, ToolCallError("the tool raised KeyboardInterrupt"))
        except BaseException as error:
            self._loop.call_soon_threadsafe(_fail, job.done, error)
        else:
            self._loop.call_soon_threadsafe(_finish, job.done, result)
        finally:
            self._job = None

    def _handle_interrupt(self, number: int, frame: FrameType | None) -> None:
        job = self._job
        if self._own_interrupts:
            self._own_interrupts -= 1
            if job is None or not job.is_dropped:
                return  # the job has just ended
        else:
            self._interrupts += 1
            self._display.end()
            self._cancel()
        if job is not None:
            job.is_interrupted = True
            raise KeyboardInterrupt

    def _cancel(self) -> None:
        task = self._task
        if task is not None and not task.done():
            self._loop.call_soon_threadsafe(task.cancel)


def _finish(done: asyncio.Future[object], result: object) -> None:
    if not done.done():
        done.set_result(result)


def _fail(done: asyncio.Future[object], error: BaseException) -> None:
    if not done.done():
        # A future cannot hold StopIteration.
        done.set_exception(RuntimeError(f"StopIteration: {error}") if isinstance(error, StopIteration) else error)


def _interrupt_main_thread() -> None:
    if sys.platform == "win32":
        _thread.interrupt_main()
        return
    ident = threading.main_thread().ident
    assert ident is not None
    signal.pthread_kill(ident, signal.SIGINT)  # unlike interrupt_main, a signal ends a sleep or a read
