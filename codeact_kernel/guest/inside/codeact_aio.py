"""Runs in the guest as `codeact_aio`, once asyncio is imported: an event loop that waits for tool calls.

The guest has no sockets to select on and no clock of its own that can be trusted, so the selector's `select` asks the
worker to wait: for the answers of open calls, or for time to pass.
"""

import asyncio
import asyncio.events
import selectors
import time
from collections.abc import Mapping
from typing import Any

from codeact_calls import ToolError, flushes, prepare, submit, wait

_ready: list[tuple[asyncio.Future[Any], Any]] = []
"""Calls that the program has made and nobody has sent off yet."""
_pending: dict[int, asyncio.Future[Any]] = {}
"""Calls that are under way, by id."""


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
        _pending.clear()  # calls that were left open are no business of the next loop
        super().close()

    def _make_self_pipe(self) -> None: ...
    def _close_self_pipe(self) -> None: ...
    def _write_to_self(self) -> None: ...


class _Policy(asyncio.events._AbstractEventLoopPolicy):  # type: ignore[name-defined,misc]
    _loop: asyncio.AbstractEventLoop | None = None

    def get_event_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError("there is no running event loop: use `await` at the top level, or asyncio.run(...)")
        return self._loop

    def set_event_loop(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self._loop = loop

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return Loop()


def start(name: str, arguments: Mapping[str, Any]) -> asyncio.Future[Any]:
    """Make a call; the future is done when its answer comes.

    It is sent off together with all others that the program makes before it waits, so that the person sees how many
    there are.
    """
    future = asyncio.get_running_loop().create_future()
    _ready.append((future, prepare(name, arguments)))
    return future


def adopted(call: int) -> asyncio.Future[Any]:
    """A call that is under way already, as a future; it may have been adopted before."""
    future = _pending.get(call)
    if future is None:
        future = _pending[call] = asyncio.get_running_loop().create_future()
    return future


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


flushes.append(_send_ready)  # a call that waits does not overtake those made before it


asyncio.events._set_event_loop_policy(_Policy())  # type: ignore[attr-defined]
