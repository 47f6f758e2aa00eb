"""Wait for a pipe with a time limit; the worker has one thread, so it cannot just leave a reader behind."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

__all__ = ["by_peeking", "readable"]

_SHORTEST, _LONGEST = 0.0005, 0.02
"""Seconds between two looks at a pipe of Windows, which cannot be waited for; they grow from one to the other."""


def by_peeking(waiting: Callable[[], bool], seconds: float) -> bool:
    """Ask `waiting` again and again until it says yes, for at most `seconds`. Whether it did."""
    deadline, pause = time.monotonic() + seconds, _SHORTEST
    while not waiting():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(pause, left))
        pause = min(2 * pause, _LONGEST)
    return True


if sys.platform == "win32":
    import _winapi
    import msvcrt

    def readable(descriptor: int, seconds: float) -> bool:
        """Whether there is something to read, or the pipe has ended, within `seconds`."""
        handle = msvcrt.get_osfhandle(descriptor)

        def waiting() -> bool:
            try:
                return _winapi.PeekNamedPipe(handle)[0] > 0
            except OSError:  # the other end is closed: reading will say so
                return True

        return by_peeking(waiting, seconds)

else:
    import select

    def readable(descriptor: int, seconds: float) -> bool:
        """Whether there is something to read, or the pipe has ended, within `seconds`."""
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
