"""Provide an event loop that waits for tool calls. The importer loads this module after asyncio.

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

from .awaited_tools import to_awaitable, to_starter
from .tool_calls import ToolError, flush_hooks, prepare, submit, use_event_loop, wait

_unsent: list[tuple[asyncio.Future[Any], Any]] = []
"""Calls that the program has made and that are not sent yet."""
_pending: dict[int, asyncio.Future[Any]] = {}
"""Calls that were sent, by id."""
_idle_waiters: list[asyncio.Future[Any]] = []
"""Futures that are done when no call is open and no task can continue."""


class _Answers(selectors._BaseSelectorImpl):  # type: ignore[name-defined,misc]
    """A selector whose only events are the answers to tool calls."""

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is not None:
            timeout = max(timeout, 0.0)
        if _send_calls():
            timeout = 0.0  # a task has to learn that its call could not be sent
        if _pending:
            for call, answer in wait(_pending, timeout):
                future = _pending.pop(call)
                if future.done():
                    continue
                if isinstance(answer, ToolError):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)
        elif _idle_waiters and timeout != 0:
            _idle_waiters.pop().set_result(None)
        elif timeout is None:
            raise RuntimeError("the program waits for an event that can never happen")
        elif timeout:
            time.sleep(timeout)
        return []


class Loop(asyncio.SelectorEventLoop):
    """The event loop of the guest."""

    def __init__(self) -> None:
        super().__init__(_Answers())

    def close(self) -> None:
        _send_calls()  # a call takes effect even if nothing waits for it
        for call in [call for call, future in _pending.items() if future.get_loop() is self]:
            del _pending[call]  # open calls must not reach the next loop
        super().close()

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        return super().create_task(_to_coroutine(coro), **options)

    def run_until_complete(self, future: Any) -> Any:
        if asyncio._get_running_loop() is not None:
            return _run_nested(future)
        return super().run_until_complete(to_awaitable(future))

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        return self.create_task(_to_thread(func, *args))

    def _make_self_pipe(self) -> None: ...
    def _close_self_pipe(self) -> None: ...
    def _write_to_self(self) -> None: ...


def _run_nested(value: Any) -> Any:
    """Await `value` in the running loop, for example if a coroutine calls a function that calls `asyncio.run`.

    asyncio would raise an error here, but the program's side effects have already happened by then.
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
        for _ in range(steps - len(loop._ready)):  # the loop relies on the number of handles that it had
            loop.call_soon(int)
        if task is not None:
            asyncio.tasks._enter_task(loop, task)


def _run_in_runner(self: asyncio.Runner, coro: Any, **options: Any) -> Any:
    return _run(self, _to_coroutine(coro), **options) if asyncio._get_running_loop() is None else _run_nested(coro)


def _run_alone(main: Any, **options: Any) -> Any:
    return _asyncio_run(main, **options) if asyncio._get_running_loop() is None else _run_nested(main)


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


def start_call(name: str, arguments: Mapping[str, Any]) -> Awaitable[Any]:
    """Make a call, and return a future for its answer. Without a running loop, the call is made when it is awaited.

    It is sent together with all other calls that the program makes before it waits, so that the user sees their number.
    """
    prepared = prepare(name, arguments)
    return _start_when_awaited(prepared) if asyncio._get_running_loop() is None else _start_now(prepared)


def _start_now(prepared: Any) -> asyncio.Future[Any]:
    future = asyncio.get_running_loop().create_future()
    _unsent.append((future, prepared))
    return future


async def _start_when_awaited(prepared: Any) -> Any:
    return await _start_now(prepared)


def adopt_call(call: int) -> asyncio.Future[Any]:
    """Return a future for a call that was already sent. The call may have a future already."""
    future = _pending.get(call)
    if future is None:
        future = _pending[call] = asyncio.get_running_loop().create_future()
    return future


async def finish_tasks() -> None:
    """Let tasks that nothing awaits continue, as in a notebook, while calls are open or tasks can run."""
    nothing_left = asyncio.get_running_loop().create_future()
    _idle_waiters.append(nothing_left)
    try:
        while not nothing_left.done() and (tasks := asyncio.all_tasks() - {asyncio.current_task()}):
            await asyncio.wait([*tasks, nothing_left], return_when=asyncio.FIRST_COMPLETED)
    finally:
        _idle_waiters.clear()


def is_busy() -> bool:
    """Return whether calls of an event loop are open."""
    return bool(_unsent or _pending)


def _send_calls() -> bool:
    """Send the calls that were made so far, and return whether sending one failed."""
    calls = [(future, prepared) for future, prepared in _unsent if not future.done()]
    _unsent.clear()
    failed = False
    for future, prepared in calls:
        try:
            _pending[submit(prepared, len(calls))] = future
        except Exception as error:
            future.set_exception(error)
            failed = True
    return failed


# -- asyncio also accepts values that tools have already returned, for example through a helper function ---------------


def _to_coroutine(value: Any) -> Any:
    return value if asyncio.iscoroutine(value) or callable(value) else _await(to_awaitable(value))


async def _await(value: Awaitable[Any]) -> Any:
    return await value


async def _to_thread(func: Callable[..., Any], /, *args: Any, **arguments: Any) -> Any:
    """Run the function at once, because the guest has no threads. The call of a tool is sent without waiting."""
    started = to_starter(func)
    value = started(*args, **arguments)
    return value if started is func else await value


def _convert_first(name: str, parameter: str, change: Callable[[Any], Any]) -> Callable[..., Any]:
    function = getattr(asyncio, name)

    def taking(*args: Any, **options: Any) -> Any:
        if args:
            args = (change(args[0]), *args[1:])
        elif parameter in options:
            options[parameter] = change(options[parameter])
        return function(*args, **options)

    taking.__name__ = taking.__qualname__ = name
    return taking


def _to_futures(values: Iterable[Any]) -> list[Any]:
    return [asyncio.ensure_future(value) for value in values]


def _gather_calls(*values: Any, **options: Any) -> Awaitable[Any]:
    """Do the work of `asyncio.gather`. Without a running loop, as in `asyncio.run(...)`, it begins when awaited."""

    async def later() -> Any:
        return await _gather(*map(to_awaitable, values), **options)

    return later() if asyncio._get_running_loop() is None else _gather(*map(to_awaitable, values), **options)


def _replace(name: str, function: Callable[..., Any]) -> None:
    setattr(asyncio, name, function)
    setattr(asyncio.tasks, name, function)


_gather, _run, _asyncio_run = asyncio.gather, asyncio.Runner.run, asyncio.run
for _name, _parameter in (("ensure_future", "coro_or_future"), ("wait_for", "fut"), ("shield", "arg")):
    _replace(_name, _convert_first(_name, _parameter, to_awaitable))
for _name in ("wait", "as_completed"):
    _replace(_name, _convert_first(_name, "fs", _to_futures))
_replace("gather", _gather_calls)
asyncio.to_thread = _to_thread  # type: ignore[assignment]
asyncio.Runner.run, asyncio.run = _run_in_runner, _run_alone  # type: ignore[assignment]


flush_hooks.append(_send_calls)  # a synchronous call must not overtake calls made before it


asyncio.events._set_event_loop_policy(_Policy())  # type: ignore[attr-defined]
use_event_loop(sys.modules[__name__])  # type: ignore[arg-type]
