"""The thread of the user's code, so that a tool that takes long does not keep the server from its messages."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TypeVar, cast

from ..tools.threads import in_thread

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
        return cast("T", await in_thread(function, self._jobs.put))

    def _work(self) -> None:
        while True:
            self._jobs.get()()
