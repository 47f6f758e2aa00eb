"""Run a tool on another thread, and wait for its result on the event loop."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress

__all__ = ["in_thread"]


def _start_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="codeact-tool", daemon=True).start()


async def in_thread(run: Callable[[], object], start: Callable[[Callable[[], None]], None] = _start_thread) -> object:
    """Run `run` on another thread, and return its result or raise its exception.

    A thread cannot be stopped: if the caller is cancelled, `run` continues and its result is dropped. So it is a daemon
    thread and not a pool worker, for which the interpreter would wait when it exits.

    Args:
        start: Hands the work to the thread; by default to a new one.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[object] = loop.create_future()

    def finish(value: object, error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(value)
        else:
            done.set_exception(error)

    def work() -> None:
        if done.cancelled():  # the caller was stopped before the thread was free
            return
        value, error = None, None
        try:
            value = run()
        except BaseException as raised:  # the caller handles it
            error = raised
        with suppress(RuntimeError):  # the loop was closed in the meantime
            loop.call_soon_threadsafe(finish, value, error)

    context = contextvars.copy_context()
    start(lambda: context.run(work))
    return await done
