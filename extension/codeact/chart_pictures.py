"""Draw the charts of a turn as pictures for its card, on a thread, while the turn goes on."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import cast

from codeact_kernel.capabilities.show import render_chart
from codeact_kernel.render import Transcript
from codeact_kernel.types import DisplayItem, JSONObject

__all__ = ["ChartPictures", "draw_all"]

_SECONDS = 60.0
"""Time for drawing the charts of a turn, usually a second each. Further charts have no picture."""
_TICK = 0.05


class ChartPictures:
    """Draws the charts of one turn. Used on the main thread.

    Args:
        should_stop: tells whether the turn is being stopped; called from another thread.
    """

    def __init__(self, should_stop: Callable[[], bool]) -> None:
        self._should_stop = should_stop
        self._waiting: deque[DisplayItem] = deque()
        self._drawn: dict[int, str] = {}
        self._deadline = 0.0
        self._thread: threading.Thread | None = None

    def add(self, item: DisplayItem) -> None:
        """Start to draw an item, if it is a chart."""
        if item.kind != "chart":
            return
        self._waiting.append(item)
        if self._thread is None:
            self._deadline = time.monotonic() + _SECONDS
            self._thread = threading.Thread(target=self._draw, name="codeact charts", daemon=True)
            self._thread.start()

    def collect(self, transcript: Transcript) -> None:
        """Add the pictures that are drawn by now to the transcript."""
        for index, item in enumerate(transcript.items):
            if picture := self._drawn.get(id(item)):
                transcript.pictures[index] = picture

    def finish(self) -> None:
        """Wait until the charts are drawn, the time is over, or the turn is being stopped."""
        while self._thread is not None and self._thread.is_alive() and not self._is_over():
            self._thread.join(_TICK)

    def _draw(self) -> None:
        while self._waiting and not self._is_over():
            item = self._waiting[0]
            self._drawn[id(item)] = render_chart(cast("JSONObject", item.data), should_stop=self._is_over)
            self._waiting.popleft()
        self._thread = None

    def _is_over(self) -> bool:
        return self._should_stop() or time.monotonic() > self._deadline


def draw_all(transcript: Transcript) -> Transcript:
    """Draw the charts of a finished turn whose card is shown again."""
    pictures = ChartPictures(lambda: False)
    for item in transcript.items:
        pictures.add(item)
    pictures.finish()
    pictures.collect(transcript)
    return transcript
