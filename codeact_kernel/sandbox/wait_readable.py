"""Wait for a pipe with a time limit. The worker has one thread, so it cannot leave the reading to another one."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

__all__ = ["poll_until", "wait_readable"]

_MIN_PAUSE, _MAX_PAUSE = 0.0005, 0.02
"""Seconds between two checks of a pipe on Windows, which cannot be waited for. They grow from one to the other."""


def poll_until(is_ready: Callable[[], bool], seconds: float) -> bool:
    """Call `is_ready` until it returns true, for at most `seconds`; return whether it did."""
    deadline, pause = time.monotonic() + seconds, _MIN_PAUSE
    while not is_ready():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(pause, left))
        pause = min(2 * pause, _MAX_PAUSE)
    return True


if sys.platform == "win32":
    import _winapi
    import msvcrt

    def wait_readable(descriptor: int, seconds: float) -> bool:
        """Wait until there is data or the pipe has ended; return whether that happened within `seconds`."""
        handle = msvcrt.get_osfhandle(descriptor)

        def is_ready() -> bool:
            try:
                return _winapi.PeekNamedPipe(handle)[0] > 0
            except OSError:  # the other end is closed, and reading will say so
                return True

        return poll_until(is_ready, seconds)

else:
    import select

    def wait_readable(descriptor: int, seconds: float) -> bool:
        """Wait until there is data or the pipe has ended; return whether that happened within `seconds`."""
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
