"""Seconds during which at least one of several things was going on, and for how long two such were going on at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager


class Spans:
    """Spans of time, overlapping ones joined. Things may begin and end on several threads."""

    def __init__(self) -> None:
        self.joined: list[tuple[float, float]] = []
        self._open = 0
        self._since = 0.0
        self._lock = threading.Lock()

    @contextmanager
    def one(self) -> Generator[None]:
        """The time of the `with` block."""
        with self._lock:
            if self._open == 0:
                self._since = time.perf_counter()
            self._open += 1
        try:
            yield
        finally:
            with self._lock:
                self._open -= 1
                if self._open == 0:
                    self.joined.append((self._since, time.perf_counter()))

    @property
    def seconds(self) -> float:
        return sum(end - start for start, end in self.joined)


def together(one: Spans, other: Spans) -> float:
    """Seconds during which both were going on."""
    total, left, right = 0.0, list(one.joined), list(other.joined)
    while left and right:
        start, end = max(left[0][0], right[0][0]), min(left[0][1], right[0][1])
        total += max(0.0, end - start)
        (left if left[0][1] < right[0][1] else right).pop(0)
    return total
