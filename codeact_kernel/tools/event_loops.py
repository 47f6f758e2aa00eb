"""Detect and explain async tools that wait for the notebook's event loop, which is blocked while a cell runs.

Async tools run on their own event loop. Objects made in a cell (a client, a queue, an event) belong to the loop of the
notebook. Most uses of them on another loop raise an asyncio error, which is explained here. Some uses wait forever;
those that are certain to do so are found by looking at the object that the tool waits for.
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

_INTERVAL = 1.0
"""Seconds between two checks of a waiting tool. It is stopped if two checks in a row find the same object."""
_MAX_FRAMES = 50
_WAITERS = re.compile(r"[/\\]asyncio[/\\](?:locks|queues)\.py$")
_OTHER_LOOP = re.compile(r"different (?:event )?loop")
_OTHER_THREAD = re.compile(r"SQLite objects created in a thread")
_NESTED = re.compile(r"cannot be called from a running event loop|This event loop is already running")
_OURS = ("ipykernel", "IPython", "tornado", "zmq", "jupyter_client", "comm", "codeact", "codeact_kernel")
"""Packages whose tasks run in every notebook."""

_ADVICE = (
    "async tools run on an event loop and a thread of their own, so open clients, connections, queues and events "
    "inside the tool, or make it a tool without async"
)
_STANDS_STILL = f"it waits for a task of the notebook, and the notebook is blocked until this cell ends: {_ADVICE}"
_AWAIT = "make the tool async def, and use await in the place of asyncio.run"
_ONE_THREAD = "this tool runs in another thread, so open the connection inside it, or leave thread_safe=True out"

_MAX_WATCHED = 20
"""Calls that are watched at the same time: each keeps a set of all tasks that ran when it began."""
_watched: set[asyncio.Task[Any]] = set()
_waiting: set[asyncio.Task[Any]] = set()
"""The calls that seem to wait for the notebook."""
_still: ContextVar[asyncio.AbstractEventLoop | None] = ContextVar("codeact_standing_still", default=None)


class BlockedWait(Exception):
    """A tool waited for an event loop that is blocked until the tool ends."""

    def __init__(self) -> None:
        super().__init__(_STANDS_STILL)


@contextmanager
def standing_still(loop: asyncio.AbstractEventLoop | None) -> Generator[None]:
    """Mark `loop` as blocked until the `with` block ends."""
    token = _still.set(loop)
    try:
        yield
    finally:
        _still.reset(token)


def explain(message: str, *, on_loop: bool, on_main: bool) -> str:
    """Return advice about an error that comes from the thread or event loop of a tool; "" for any other error.

    Args:
        message: The message of the error.
        on_loop: The tool was awaited.
        on_main: This is the main thread.
    """
    if _NESTED.search(message):
        return _AWAIT
    if on_main:
        return ""
    if _OTHER_LOOP.search(message) or (on_loop and _OTHER_THREAD.search(message)):
        return _ADVICE
    return _ONE_THREAD if _OTHER_THREAD.search(message) else ""


async def await_tool(awaitable: Awaitable[T]) -> T:
    """Await the coroutine of an async tool.

    Raises:
        BlockedWait: The tool waits for the event loop that is blocked.
    """
    still, task = _still.get(), asyncio.current_task()
    if still is None or still is asyncio.get_running_loop() or task is None:
        return await awaitable
    if not inspect.iscoroutine(awaitable) or len(_watched) >= _MAX_WATCHED:
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
        if waits_for is not None and waits_for is seen and not _has_own_tasks(before):
            is_blocked = task.cancel()
            return
        seen = waits_for
        timer = task.get_loop().call_later(_INTERVAL, look)

    timer = task.get_loop().call_later(_INTERVAL, look)
    try:
        return await awaitable
    except asyncio.CancelledError:
        if is_blocked and task.uncancel() == 0:  # only this module cancelled it
            raise BlockedWait from None
        raise
    finally:
        timer.cancel()
        _watched.discard(task)
        _waiting.discard(task)


def _has_own_tasks(before: set[asyncio.Task[Any]]) -> bool:
    """Whether the tool itself may have started tasks: one of them may end its wait."""
    return any(not task.done() and task not in _waiting for task in asyncio.all_tasks() - before)


def _blocker(awaitable: Coroutine[Any, Any, object], still: asyncio.AbstractEventLoop) -> object:
    """Return the object of the notebook that the tool waits for, if only the blocked loop could change it."""
    frames = list(_frames(awaitable))
    if frames and _WAITERS.search(frames[-1].f_code.co_filename):
        primitive = frames[-1].f_locals.get("self")
        used = [frame for frame in frames if not _WAITERS.search(frame.f_code.co_filename)]
        is_known = any(primitive is value for frame in used for value in _outer_values(frame))
        return primitive if is_known and _has_tasks(still, primitive) else None
    return _find_scheduled(awaitable, still)


def _frames(awaitable: object) -> Iterator[Any]:
    for _ in range(_MAX_FRAMES):
        if isinstance(awaitable, asyncio.Task):
            awaitable = cast("asyncio.Task[Any]", awaitable).get_coro()
        if not inspect.iscoroutine(awaitable) or awaitable.cr_frame is None:
            return
        yield awaitable.cr_frame
        awaitable = awaitable.cr_await


def _outer_values(frame: Any) -> Iterator[object]:
    """Yield the values from outside that the code of `frame` names, and their parts."""
    code = frame.f_code
    named = [frame.f_globals.get(name) for name in code.co_names]
    named += [frame.f_locals.get(name) for name in (*code.co_freevars, "self")]
    for value in named:
        yield value
        if isinstance(value, Mapping):
            yield from cast("Mapping[object, object]", value).values()
        elif isinstance(value, list | tuple):
            yield from cast("list[object]", value)
        else:
            yield from getattr(value, "__dict__", {}).values()


def _has_tasks(loop: asyncio.AbstractEventLoop, primitive: object) -> bool:
    """Whether the blocked loop has work for the user: a task, or a callback, possibly of `primitive`."""
    if any(not task.done() and not _is_ours(task.get_coro()) for task in asyncio.all_tasks(loop)):
        return True
    handles = [*getattr(loop, "_ready", ()), *getattr(loop, "_scheduled", ())]
    callbacks = [getattr(handle, "_callback", None) for handle in handles if not handle.cancelled()]
    return any(getattr(call, "__self__", None) is primitive or not _is_ours(call) for call in callbacks)


def _is_ours(code: object) -> bool:
    frame = getattr(code, "cr_frame", None)
    module = frame.f_globals.get("__name__", "") if frame is not None else getattr(code, "__module__", None) or ""
    return module.partition(".")[0] in (*_OURS, "asyncio", "concurrent", "")


def _find_scheduled(awaitable: object, still: asyncio.AbstractEventLoop) -> object:
    """Return the handle of the coroutine that the tool gave to the blocked loop with `run_coroutine_threadsafe`."""
    waits_for: Any = awaitable
    while inspect.iscoroutine(waits_for):
        waits_for = cast("Any", waits_for).cr_await
    if type(waits_for).__name__ not in ("FutureIter", "Future"):
        return None
    asked = "run_coroutine_threadsafe.<locals>.callback"
    handles = list(getattr(still, "_ready", ()))
    matches = [item for item in handles if getattr(getattr(item, "_callback", None), "__qualname__", "") == asked]
    return matches[0] if len(matches) == 1 else None
