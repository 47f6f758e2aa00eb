"""Measure the seconds in which at least one of several overlapping activities was going on."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["Stopwatch"]


class Stopwatch:
    """Count time once, however many activities overlap.

    Attributes:
        seconds: the time of the activities that have ended.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._open = 0
        self._since = 0.0

    @contextmanager
    def running(self) -> Generator[None]:
        """Count the time of the `with` block."""
        if self._open == 0:
            self._since = time.monotonic()
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
            if self._open == 0:
                self.seconds += time.monotonic() - self._since
