"""`progress(...)`: a tool that takes long says how far it is, and the cell shows it in the row of the call."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

__all__ = ["Report", "progress", "reporting"]

Report: TypeAlias = Callable[[float, float | None, str], None]

_BETWEEN = 0.1
"""Seconds between two reports of one call."""

_current: ContextVar[Report | None] = ContextVar("codeact_progress", default=None)


def progress(done: float, total: float | None = None, text: str = "") -> None:
    """Inside a tool: show that `done` of `total` is done. Elsewhere it does nothing, so the function stays usable.

    Args:
        done: how much is done, in any unit.
        total: how much there is to do; without it the cell shows a number and no bar.
        text: a few words, for example what is being done now.
    """
    report = _current.get()
    if report is not None:
        report(done, total, text)


@contextmanager
def reporting(report: Report | None) -> Generator[None]:
    """Inside, `progress` goes to `report`, if not too often; what is no number is left out."""
    if report is None:
        yield
        return
    last, over = -math.inf, False

    def seldom(done: float, total: float | None, text: str) -> None:
        nonlocal last
        now = time.monotonic()
        if not over and (now - last >= _BETWEEN or done == total):
            last = now
            if (amount := _number(done)) is not None:
                report(amount, _number(total), str(text)[:200])

    token = _current.set(seldom)
    try:
        yield
    finally:
        over = True  # threads and tasks that the tool has left behind carry the context on
        _current.reset(token)


def _number(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]  # numpy's numbers are numbers, too
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
