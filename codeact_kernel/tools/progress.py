"""`progress(...)`: show in the cell how far a slow tool is."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

from ..secrets import hide

__all__ = ["Report", "current_report", "progress", "reporting"]

Report: TypeAlias = Callable[[float, float | None, str], None]

_INTERVAL = 0.1
"""Minimum seconds between two reports of one call."""

_current: ContextVar[Report | None] = ContextVar("codeact_progress", default=None)


def progress(done: float, total: float | None = None, text: str = "") -> None:
    """Show in the cell that `done` of `total` is finished. Outside of a tool call, do nothing.

    Args:
        done: The amount that is finished, in any unit.
        total: The whole amount; without it, the cell shows a number instead of a bar.
        text: A few words, for example about the current step.
    """
    report = _current.get()
    if report is not None:
        report(done, total, text)


def current_report() -> Report | None:
    """Return what `progress` reports to, for a callback that runs on another task; `None` outside of a tool call."""
    return _current.get()


@contextmanager
def reporting(report: Report | None) -> Generator[None]:
    """Send calls of `progress` in the `with` block to `report`, but not too often and only if `done` is a number."""
    if report is None:
        yield
        return
    last, is_over = -math.inf, False

    def throttled(done: float, total: float | None, text: str) -> None:
        nonlocal last
        now = time.monotonic()
        if not is_over and (now - last >= _INTERVAL or done == total):
            last = now
            if (amount := _number(done)) is not None:
                report(amount, _number(total), hide(str(text))[:200])

    token = _current.set(throttled)
    try:
        yield
    finally:
        is_over = True  # threads and tasks that the tool left behind keep the context
        _current.reset(token)


def _number(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]  # also accepts numpy's numbers
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
