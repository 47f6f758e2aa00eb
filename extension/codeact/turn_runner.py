"""The main thread while one cell runs one turn.

It serves, in order of arrival, what belongs to it: events to show, synchronous tools, questions, and what the page
sends (`tap`). So plots, prints, sqlite connections and context variables behave as in a plain cell, and an interrupt
is a KeyboardInterrupt.

Only a tool's own code is ever torn in the middle by an interrupt; elsewhere the handler just asks the turn to end.
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

from .shell_channel import MainThreadWaiter, TapUnsupported

__all__ = ["Turn", "TurnAbandoned", "TurnDisplay", "TurnInterrupted", "TurnRunner"]

T = TypeVar("T")
Turn: TypeAlias = Callable[[Emit, OnMain], Coroutine[Any, Any, T]]
_TICK = 0.1
"""Seconds that this thread waits for something to do before it looks around."""


class TurnInterrupted(KeyboardInterrupt):
    """The person stopped the cell. Aborts the cells queued behind it, as in a plain cell."""

    def _render_traceback_(self) -> list[str]:
        return ["Stopped. The kernel and its variables are as they were."]


class TurnAbandoned(Exception):
    """The person ran the cell again while it waited for them. No error, which would drop the run that they want."""


class TurnDisplay(Protocol):
    """Where a turn is shown. Everything here happens on the main thread."""

    def open(self, waiter: MainThreadWaiter, stop: Callable[[], None], leave: Callable[[], None]) -> None:
        """Before the turn begins. `stop` ends it, `leave` ends it without an error; both from any thread."""
        ...

    def show(self, event: Event) -> None:
        """Take an event in."""
        ...

    def redraw(self) -> None:
        """Bring the cell up to date; called when there is something new to show, and every tick."""
        ...

    def end(self) -> None:
        """The turn is being stopped: draw nothing more that takes time. From any thread."""
        ...

    def close(self) -> None:
        """The turn is over; the last drawing."""
        ...


@dataclass(slots=True)
class _Job:
    """Something that has to happen on the main thread, and the turn waits for.

    Attributes:
        dropped: the turn waits for it no longer.
        torn: it was interrupted; once is enough, for what it does then is cleaning up.
    """

    function: Callable[[], object]
    done: asyncio.Future[object]
    dropped: bool = False
    torn: bool = False


@dataclass(slots=True)
class _Ended:
    """The turn is over."""


_Item: TypeAlias = Event | _Job | _Ended


class TurnRunner:
    """The main thread during one turn. A turn that was left behind goes on talking to its own, dead, cell."""

    def __init__(self, loop: asyncio.AbstractEventLoop, screen: TurnDisplay, waiter: MainThreadWaiter) -> None:
        self._loop = loop
        self._screen = screen
        self._waiter = waiter
        self._items: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._later: deque[_Item] = deque()
        """What came while a tool had the main thread, and is no event."""
        self._job: _Job | None = None
        self._task: asyncio.Task[Any] | None = None
        self._interrupts = 0
        self._left = False
        self._own_interrupts = 0

    def run(self, turn: Turn[T]) -> T:
        old = signal.signal(signal.SIGINT, self._interrupted)
        try:
            with self._tapped():
                self._screen.open(self._waiter, self.stop, self.leave)
                try:
                    task = self._start(turn)
                    self._serve()
                finally:
                    self._cancel()
                    self._screen.close()
        finally:
            signal.signal(signal.SIGINT, old)
        if self._interrupts or task.cancelled():
            raise TurnAbandoned if self._left else TurnInterrupted
        return task.result()

    async def on_main(self, function: Callable[[], object]) -> object:
        """Run `function` on the main thread. Awaited on the loop thread; cancelling interrupts the function."""
        job = _Job(function, self._loop.create_future())
        self._put(job)
        try:
            return await job.done
        except asyncio.CancelledError:
            job.dropped = True
            if self._job is job and not job.torn:
                await self._tear(job)
            raise

    def stop(self) -> None:
        """The person wants it to end. From any thread; what is running on the main thread is torn by `on_main`."""
        self._interrupts += 1
        self._screen.end()
        self._cancel()
        self._waiter.wake()

    def leave(self) -> None:
        """Stop, and say nothing: nobody sees this cell any more."""
        self._left = True
        self.stop()

    async def _tear(self, job: _Job) -> None:
        """Interrupt what runs on the main thread."""
        self._own_interrupts += 1  # so that the handler does not take it for the person's
        while True:
            # A signal that comes just before a call that blocks does not end it, and its handler has to wait as well:
            # so it is said again until the handler has run. Till then the several signals are one.
            _interrupt_main_thread()
            with suppress(asyncio.CancelledError):  # it is cancelled already
                await asyncio.sleep(_TICK)
            if self._job is not job or job.torn:
                return

    def _put(self, item: _Item) -> None:
        """From any thread. What a tool on the main thread has to tell is shown at once: nobody else could do it."""
        self._items.put(item)
        if threading.current_thread() is threading.main_thread():
            if self._job is not None and isinstance(item, Event):
                self._show_meanwhile(self._job)
        elif not isinstance(item, Event):  # an event can wait for the next tick: it is drawn no more often anyway
            self._waiter.wake()

    def _show_meanwhile(self, job: _Job) -> None:
        """In the middle of a tool. An interrupt that comes now tears the tool, but not the showing."""
        before, self._job = self._interrupts, None
        try:
            while not self._items.empty():
                item = self._items.get()
                if isinstance(item, Event):
                    self._screen.show(item)
                else:
                    self._later.append(item)
            self._screen.redraw()
            self._waiter.wait(0)
        finally:
            self._job = job
        if self._interrupts > before or job.dropped:
            job.torn = True
            raise KeyboardInterrupt

    @contextmanager
    def _tapped(self) -> Generator[None]:
        """With the waiter open; one that cannot tap after all is replaced by one that only waits."""
        with ExitStack() as stack:
            try:
                stack.enter_context(self._waiter)
            except TapUnsupported:
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
            except TimeoutError:  # an async tool of a turn that was left behind holds the loop
                if self._interrupts > 1:
                    raise TurnInterrupted from None

    def _serve(self) -> None:
        while True:
            try:
                item = self._later.popleft() if self._later else self._items.get_nowait()
            except queue.Empty:
                if self._interrupts > 1:
                    return  # the turn does not end although it was told to: leave it behind
                self._screen.redraw()
                self._waiter.wait(_TICK)
                continue
            match item:
                case _Ended():
                    return
                case _Job():
                    self._screen.redraw()
                    self._do(item)
                case _:
                    self._screen.show(item)

    def _do(self, job: _Job) -> None:
        if job.dropped or self._interrupts:  # stopped: what waited behind the tool that was torn does not begin
            self._loop.call_soon_threadsafe(job.done.cancel)
            return
        try:
            try:
                self._job = job
                result = job.function()
            finally:
                self._job = None
        except KeyboardInterrupt:
            if self._interrupts or job.dropped:
                self._loop.call_soon_threadsafe(job.done.cancel)
            else:  # the tool raised it itself
                self._loop.call_soon_threadsafe(_fail, job.done, ToolCallError("the tool raised KeyboardInterrupt"))
        except BaseException as error:
            self._loop.call_soon_threadsafe(_fail, job.done, error)
        else:
            self._loop.call_soon_threadsafe(_finish, job.done, result)
        finally:
            self._job = None

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        job = self._job
        if self._own_interrupts:
            self._own_interrupts -= 1
            if job is None or not job.dropped:
                return  # the job ended by itself just now
        else:
            self._interrupts += 1
            self._screen.end()
            self._cancel()
        if job is not None:
            job.torn = True
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
        # A future does not take StopIteration; nothing that a tool raises may pass as something else.
        done.set_exception(RuntimeError(f"StopIteration: {error}") if isinstance(error, StopIteration) else error)


def _interrupt_main_thread() -> None:
    if sys.platform == "win32":
        _thread.interrupt_main()
        return
    ident = threading.main_thread().ident
    assert ident is not None
    signal.pthread_kill(ident, signal.SIGINT)  # unlike interrupt_main, it ends a sleep or a read
