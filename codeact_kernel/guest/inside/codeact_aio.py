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

from codeact_calls import ToolError, submit, wait

_pending: dict[int, asyncio.Future[Any]] = {}


class _Answers(selectors._BaseSelectorImpl):  # type: ignore[name-defined,misc]
    """A selector whose only events are the answers to tool calls."""

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is not None:
            timeout = max(timeout, 0.0)
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
    """Send a call off; the future is done when its answer comes."""
    future = asyncio.get_running_loop().create_future()
    _pending[submit(name, arguments)] = future
    return future


asyncio.events._set_event_loop_policy(_Policy())  # type: ignore[attr-defined]
