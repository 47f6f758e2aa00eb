"""Async tools run on a loop of their own: what to say where one waits for another loop, which stands still meanwhile.

In a notebook that is the loop of the cells. Objects that were made there (a client, a queue, an event) belong to it.
Most uses of them elsewhere raise an error of asyncio's, which is explained here. Some just wait, for ever; those that
are certain to do so are found by looking at what a tool waits for.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Awaitable, Coroutine, Generator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar, cast

__all__ = ["BlockedWait", "await_tool", "explain", "standing_still"]

T = TypeVar("T")

_LOOK = 1.0
"""Seconds between two looks at what a tool waits for. It is stopped when two of them see the same."""
_DEEPEST = 50
_WAITERS = re.compile(r"[/\\]asyncio[/\\](?:locks|queues)\.py$")
_OTHER_LOOP = re.compile(r"different (?:event )?loop")
_OTHER_THREAD = re.compile(r"SQLite objects created in a thread")
_NESTED = re.compile(r"cannot be called from a running event loop|This event loop is already running")
_OURS = ("ipykernel", "IPython", "tornado", "zmq", "jupyter_client", "comm", "codeact", "codeact_kernel")
"""Modules whose tasks every notebook has."""

_ADVICE = (
    "async tools run on an event loop and a thread of their own, so open clients, connections, queues and events "
    "inside the tool, or make it a tool without async"
)
_STANDS_STILL = (
    "it waits for something that only a task of the notebook could do, and the notebook stands still until this cell "
    f"ends: {_ADVICE}"
)
_AWAIT = "make the tool async def, and use await in the place of asyncio.run"
_ONE_THREAD = "this tool runs in another thread, so open the connection inside it, or leave thread_safe=True out"

_MOST_WATCHED = 20
"""Calls in flight that are looked at: each costs as much as there are tasks when it begins."""
_watched: set[asyncio.Task[Any]] = set()
_waiting: set[asyncio.Task[Any]] = set()
"""The calls that wait for the notebook, as it seems."""
_still: ContextVar[asyncio.AbstractEventLoop | None] = ContextVar("codeact_standing_still", default=None)


class BlockedWait(Exception):
    """A tool was waiting for a loop that stands still until the tool has ended."""

    def __init__(self) -> None:
        super().__init__(_STANDS_STILL)


@contextmanager
def standing_still(loop: asyncio.AbstractEventLoop | None) -> Generator[None]:
    """Say that `loop` does nothing until what runs in here is over."""
    token = _still.set(loop)
    try:
        yield
    finally:
        _still.reset(token)


def explain(message: str, *, on_loop: bool, on_main: bool) -> str:
    """Say what to do about an error of a tool that is due to where tools run; nothing about any other.

    Args:
        message: of the error.
        on_loop: whether the tool was awaited.
        on_main: whether this is the main thread.
    """
    if _NESTED.search(message):
        return _AWAIT
    if on_main:
        return ""
    if _OTHER_LOOP.search(message) or (on_loop and _OTHER_THREAD.search(message)):
        return _ADVICE
    return _ONE_THREAD if _OTHER_THREAD.search(message) else ""


async def await_tool(awaitable: Awaitable[T]) -> T:
    """Await what an async tool returned.

    Raises:
        BlockedWait: it waits for what the loop that stands still would have to do.
    """
    still, task = _still.get(), asyncio.current_task()
    if still is None or still is asyncio.get_running_loop() or task is None:
        return await awaitable
    if not inspect.iscoroutine(awaitable) or len(_watched) >= _MOST_WATCHED:
        return await awaitable
    _watched.add(task)
    before = asyncio.all_tasks()
    seen: object = None
    is_blocked = False
    timer: asyncio.TimerHandle | None = None

    def look() -> None:
        nonlocal seen, is_blocked, timer
        waits_for = _blocker(awaitable, still)
        (_waiting.discard if waits_for is None else _waiting.add)(task)
        if waits_for is not None and waits_for is seen and not _helpers(before):
            is_blocked = task.cancel()
            return
        seen = waits_for
        timer = task.get_loop().call_later(_LOOK, look)

    timer = task.get_loop().call_later(_LOOK, look)
    try:
        return await awaitable
    except asyncio.CancelledError:
        if is_blocked and task.uncancel() == 0:  # by us, and by nobody else
            raise BlockedWait from None
        raise
    finally:
        timer.cancel()
        _watched.discard(task)
        _waiting.discard(task)


def _helpers(before: set[asyncio.Task[Any]]) -> bool:
    """Whether there are tasks that the tool itself may have started: one of them may do what it waits for."""
    return any(not task.done() and task not in _waiting for task in asyncio.all_tasks() - before)


def _blocker(awaitable: Coroutine[Any, Any, object], still: asyncio.AbstractEventLoop) -> object:
    """What the tool waits for, if it is a thing of the notebook's that nobody can do anything with now."""
    frames = list(_frames(awaitable))
    if frames and _WAITERS.search(frames[-1].f_code.co_filename):
        thing = frames[-1].f_locals.get("self")
        used = [frame for frame in frames if not _WAITERS.search(frame.f_code.co_filename)]
        is_known = any(thing is one for frame in used for one in _globals_of(frame))
        return thing if is_known and _has_tasks(still, thing) else None
    return _scheduled_there(awaitable, still)


def _frames(awaitable: object) -> Iterator[Any]:
    for _ in range(_DEEPEST):
        if isinstance(awaitable, asyncio.Task):
            awaitable = cast("asyncio.Task[Any]", awaitable).get_coro()
        if not inspect.iscoroutine(awaitable) or awaitable.cr_frame is None:
            return
        yield awaitable.cr_frame
        awaitable = awaitable.cr_await


def _globals_of(frame: Any) -> Iterator[object]:
    """What the code of `frame` names and has not made, and the parts of that."""
    code = frame.f_code
    named = [frame.f_globals.get(name) for name in code.co_names]
    named += [frame.f_locals.get(name) for name in (*code.co_freevars, "self")]
    for one in named:
        yield one
        if isinstance(one, Mapping):
            yield from cast("Mapping[object, object]", one).values()
        elif isinstance(one, list | tuple):
            yield from cast("list[object]", one)
        else:
            yield from getattr(one, "__dict__", {}).values()


def _has_tasks(loop: asyncio.AbstractEventLoop, thing: object) -> bool:
    """Whether the loop that stands still has something to do for the user: a task, or a callback, maybe of `thing`."""
    if any(not task.done() and not _is_ours(task.get_coro()) for task in asyncio.all_tasks(loop)):
        return True
    handles = [*getattr(loop, "_ready", ()), *getattr(loop, "_scheduled", ())]
    callbacks = [getattr(handle, "_callback", None) for handle in handles if not handle.cancelled()]
    return any(getattr(one, "__self__", None) is thing or not _is_ours(one) for one in callbacks)


def _is_ours(code: object) -> bool:
    frame = getattr(code, "cr_frame", None)
    module = frame.f_globals.get("__name__", "") if frame is not None else getattr(code, "__module__", None) or ""
    return module.partition(".")[0] in (*_OURS, "asyncio", "concurrent", "")


def _scheduled_there(awaitable: object, still: asyncio.AbstractEventLoop) -> object:
    """The coroutine for which the tool asked the loop that stands still, with `run_coroutine_threadsafe`."""
    waits_for: Any = awaitable
    while inspect.iscoroutine(waits_for):
        waits_for = cast("Any", waits_for).cr_await
    if type(waits_for).__name__ not in ("FutureIter", "Future"):
        return None
    asked = "run_coroutine_threadsafe.<locals>.callback"
    handles = list(getattr(still, "_ready", ()))
    found = [one for one in handles if getattr(getattr(one, "_callback", None), "__qualname__", "") == asked]
    return found[0] if len(found) == 1 else None
