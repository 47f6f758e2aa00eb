"""Imported in the guest once asyncio is imported: an event loop that waits for tool calls.

The guest has no sockets to select on and no clock of its own that can be trusted, so the selector's `select` asks the
worker to wait: for the answers of open calls, or for time to pass.
"""

import asyncio
import asyncio.events
import asyncio.tasks
import selectors
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from .awaited_tools import awaitable, starting
from .tool_calls import ToolError, flushes, prepare, submit, use_event_loop, wait

_ready: list[tuple[asyncio.Future[Any], Any]] = []
"""Calls that the program has made and nobody has sent off yet."""
_pending: dict[int, asyncio.Future[Any]] = {}
"""Calls that are under way, by id."""
_resting: list[asyncio.Future[Any]] = []
"""Who is told when no call is under way and no task can go on."""


class _Answers(selectors._BaseSelectorImpl):  # type: ignore[name-defined,misc]
    """A selector whose only events are the answers to tool calls."""

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is not None:
            timeout = max(timeout, 0.0)
        if _send_ready():
            timeout = 0.0  # somebody has to be told that a call could not be sent
        if _pending:
            for call, answer in wait(_pending, timeout):
                future = _pending.pop(call)
                if future.done():
                    continue
                if isinstance(answer, ToolError):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)
        elif _resting and timeout != 0:
            _resting.pop().set_result(None)
        elif timeout is None:
            raise RuntimeError("the program waits for something that can never happen")
        elif timeout:
            time.sleep(timeout)
        return []


class Loop(asyncio.SelectorEventLoop):
    """The guest's event loop."""

    def __init__(self) -> None:
        super().__init__(_Answers())

    def close(self) -> None:
        _send_ready()  # a call that was made is made, also when nobody waits for it
        for call in [call for call, future in _pending.items() if future.get_loop() is self]:
            del _pending[call]  # calls that were left open are no business of another loop
        super().close()

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        return super().create_task(_coroutine(coro), **options)

    def run_until_complete(self, future: Any) -> Any:
        if asyncio._get_running_loop() is not None:
            return _nested(future)
        return super().run_until_complete(awaitable(future))

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        return self.create_task(_to_thread(func, *args))

    def _make_self_pipe(self) -> None: ...
    def _close_self_pipe(self) -> None: ...
    def _write_to_self(self) -> None: ...


def _nested(value: Any) -> Any:
    """Await `value` in the loop that runs already, as where a coroutine calls a function that calls `asyncio.run`.

    The program has its effects behind it by then, so an error would come too late.
    """
    loop: Any = asyncio.get_running_loop()
    task, steps = asyncio.current_task(loop), len(loop._ready)
    if task is not None:
        asyncio.tasks._leave_task(loop, task)
    try:
        future = value if asyncio.isfuture(value) else loop.create_task(value)
        while not future.done():
            loop._run_once()
        return future.result()
    finally:
        for _ in range(steps - len(loop._ready)):  # the loop counts on those that it had
            loop.call_soon(int)
        if task is not None:
            asyncio.tasks._enter_task(loop, task)


def _run_in_runner(self: asyncio.Runner, coro: Any, **options: Any) -> Any:
    return _run(self, _coroutine(coro), **options) if asyncio._get_running_loop() is None else _nested(coro)


def _run_alone(main: Any, **options: Any) -> Any:
    return _asyncio_run(main, **options) if asyncio._get_running_loop() is None else _nested(main)


class _Policy(asyncio.events._AbstractEventLoopPolicy):  # type: ignore[name-defined,misc]
    _loop: asyncio.AbstractEventLoop | None = None

    def get_event_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None or self._loop.is_closed():
            self._loop = Loop()
        return self._loop

    def set_event_loop(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self._loop = loop

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return Loop()


def start(name: str, arguments: Mapping[str, Any]) -> Awaitable[Any]:
    """Make a call; the future is done when its answer comes. Without an event loop it is made when it is awaited.

    It is sent off together with all others that the program makes before it waits, so that the person sees how many
    there are.
    """
    prepared = prepare(name, arguments)
    return _later(prepared) if asyncio._get_running_loop() is None else _started(prepared)


def _started(prepared: Any) -> asyncio.Future[Any]:
    future = asyncio.get_running_loop().create_future()
    _ready.append((future, prepared))
    return future


async def _later(prepared: Any) -> Any:
    return await _started(prepared)


def adopted(call: int) -> asyncio.Future[Any]:
    """A call that is under way already, as a future; it may have been adopted before."""
    future = _pending.get(call)
    if future is None:
        future = _pending[call] = asyncio.get_running_loop().create_future()
    return future


async def rest() -> None:
    """Let tasks that nobody awaits go on, as they would in a notebook, while there are calls or steps to wait for."""
    nothing_left = asyncio.get_running_loop().create_future()
    _resting.append(nothing_left)
    try:
        while not nothing_left.done() and (tasks := asyncio.all_tasks() - {asyncio.current_task()}):
            await asyncio.wait([*tasks, nothing_left], return_when=asyncio.FIRST_COMPLETED)
    finally:
        _resting.clear()


def busy() -> bool:
    """Whether calls of an event loop are under way."""
    return bool(_ready or _pending)


def _send_ready() -> bool:
    """Send off what was made so far; whether one of the calls could not be sent."""
    calls = [(future, prepared) for future, prepared in _ready if not future.done()]
    _ready.clear()
    failed = False
    for future, prepared in calls:
        try:
            _pending[submit(prepared, len(calls))] = future
        except Exception as error:
            future.set_exception(error)
            failed = True
    return failed


# -- what asyncio takes as awaitable: also the values that tools gave already, as when a helper called them ------------


def _coroutine(value: Any) -> Any:
    return value if asyncio.iscoroutine(value) or callable(value) else _awaited(awaitable(value))


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value


async def _to_thread(func: Callable[..., Any], /, *args: Any, **arguments: Any) -> Any:
    """There are no threads: a tool's call goes off without waiting, and another function runs at once."""
    started = starting(func)
    value = started(*args, **arguments)
    return value if started is func else await value


def _taking(name: str, parameter: str, change: Callable[[Any], Any]) -> Callable[..., Any]:
    function = getattr(asyncio, name)

    def taking(*args: Any, **options: Any) -> Any:
        if args:
            args = (change(args[0]), *args[1:])
        elif parameter in options:
            options[parameter] = change(options[parameter])
        return function(*args, **options)

    taking.__name__ = taking.__qualname__ = name
    return taking


def _futures(values: Iterable[Any]) -> list[Any]:
    return [asyncio.ensure_future(one) for one in values]


def _gathering(*values: Any, **options: Any) -> Awaitable[Any]:
    """`asyncio.gather`; without an event loop, as inside `asyncio.run(...)`, it begins when it is awaited."""

    async def later() -> Any:
        return await _gather(*map(awaitable, values), **options)

    return later() if asyncio._get_running_loop() is None else _gather(*map(awaitable, values), **options)


def _replace(name: str, made: Callable[..., Any]) -> None:
    setattr(asyncio, name, made)
    setattr(asyncio.tasks, name, made)


_gather, _run, _asyncio_run = asyncio.gather, asyncio.Runner.run, asyncio.run
for _name, _parameter in (("ensure_future", "coro_or_future"), ("wait_for", "fut"), ("shield", "arg")):
    _replace(_name, _taking(_name, _parameter, awaitable))
for _name in ("wait", "as_completed"):
    _replace(_name, _taking(_name, "fs", _futures))
_replace("gather", _gathering)
asyncio.to_thread = _to_thread  # type: ignore[assignment]
asyncio.Runner.run, asyncio.run = _run_in_runner, _run_alone  # type: ignore[assignment]


flushes.append(_send_ready)  # a call that waits does not overtake those made before it


asyncio.events._set_event_loop_policy(_Policy())  # type: ignore[attr-defined]
use_event_loop(sys.modules[__name__])  # type: ignore[arg-type]
