"""Run a `thread_safe` tool in its own thread."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress

__all__ = ["in_thread"]


async def in_thread(run: Callable[[], object]) -> object:
    """Run `run` in a new thread, and return its result or raise its exception.

    A thread cannot be stopped: if the caller is cancelled, `run` continues and its result is dropped. So it is a daemon
    thread and not a pool worker, for which the interpreter would wait when it exits.
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

    def body() -> None:
        value, error = None, None
        try:
            value = run()
        except BaseException as raised:  # the caller handles it
            error = raised
        with suppress(RuntimeError):  # the loop was closed in the meantime
            loop.call_soon_threadsafe(finish, value, error)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(body,), name="codeact-tool", daemon=True).start()
    return await done
