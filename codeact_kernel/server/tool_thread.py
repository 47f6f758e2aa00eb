"""The thread of the user's code, so that a tool that takes long does not keep the server from its messages."""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar, cast

__all__ = ["ToolThread"]

T = TypeVar("T")


class ToolThread:
    """Runs functions one after another on one thread, as many database connections require.

    It is a daemon thread: a tool that never returns does not keep the server from ending.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="codeact-tools", daemon=True).start()

    async def run(self, function: Callable[[], T]) -> T:
        """Run `function` there, and return its result or raise its exception."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[object] = loop.create_future()
        context = contextvars.copy_context()

        def finish(value: object, error: BaseException | None) -> None:
            if done.done():
                return
            if error is None:
                done.set_result(value)
            else:
                done.set_exception(error)

        def job() -> None:
            if done.cancelled():  # the program was stopped before its turn came
                return
            value, error = None, None
            try:
                value = context.run(function)
            except BaseException as raised:  # the caller handles it
                error = raised
            with suppress(RuntimeError):  # the loop was closed in the meantime
                loop.call_soon_threadsafe(finish, value, error)

        self._jobs.put(job)
        return cast("T", await done)

    def _work(self) -> None:
        while True:
            self._jobs.get()()
