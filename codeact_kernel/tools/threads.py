"""Where a tool runs that says of itself `thread_safe`: in a thread of its own."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress

__all__ = ["in_thread"]


async def in_thread(run: Callable[[], object]) -> object:
    """Run `run` in a new thread and give what it returned or raised.

    A thread cannot be ended: where the caller is cancelled, `run` goes on and nobody hears of it. So it is a daemon,
    and no worker of a pool, for which the interpreter would wait at its end.
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
        except BaseException as raised:  # whatever it is, it is the caller's
            error = raised
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(finish, value, error)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(body,), name="codeact-tool", daemon=True).start()
    return await done
