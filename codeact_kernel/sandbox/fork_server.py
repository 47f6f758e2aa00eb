"""Copy a process that is ready, again and again, one copy at a time. Linux only, standard library only.

The process has run only our own code when it is copied, so nothing of a program can get from one copy into the next.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

from . import lockdown

__all__ = ["NEXT", "begin", "is_supported"]

NEXT = 75
"""The exit code of a copy that asks for the next copy."""


def is_supported() -> bool:
    """Say whether this system can copy a process, and ends the copy together with the original."""
    return sys.platform == "linux"


def begin() -> None:
    """Return in a copy of this process, and again in a new copy whenever the last copy has ended with `NEXT`.

    In the original process this never returns. It ends with the exit code or signal of the last copy.
    """
    original = os.getpid()
    while copy := os.fork():
        _, status = os.waitpid(copy, 0)
        if os.WIFSIGNALED(status):
            _end_with_signal(os.WTERMSIG(status))
        if os.WEXITSTATUS(status) != NEXT:
            os._exit(os.WEXITSTATUS(status))
    lockdown.die_with(original)


def _end_with_signal(number: int) -> None:
    lockdown.disable_core_files()
    with suppress(OSError, ValueError):  # SIGKILL has no handler
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
