"""Draw the charts of a turn as pictures for its card, on a thread, while the turn goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import cast

from codeact_kernel.capabilities.show import render_chart
from codeact_kernel.render import Transcript
from codeact_kernel.types import DisplayItem, JSONObject

__all__ = ["ChartPictures", "draw_all"]

_SECONDS = 60.0
"""Time for drawing the charts of a turn, usually a second each. Further charts have no picture."""
_TICK = 0.05


class ChartPictures:
    """Draws the charts of one turn, one after the other. Used on the main thread.

    Args:
        should_stop: tells whether the turn is being stopped; called from another thread.
    """

    def __init__(self, should_stop: Callable[[], bool]) -> None:
        self._should_stop = should_stop
        self._charts: list[tuple[DisplayItem, Future[str]]] = []
        self._deadline = 0.0
        self._pool: ThreadPoolExecutor | None = None

    def add(self, item: DisplayItem) -> None:
        """Start to draw an item, if it is a chart."""
        if item.kind != "chart":
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="codeact charts")
            self._deadline = time.monotonic() + _SECONDS
        self._charts.append((item, self._pool.submit(self._draw, item)))

    def collect(self, transcript: Transcript) -> None:
        """Add the pictures that are drawn by now to the transcript."""
        places = {id(item): index for index, item in enumerate(transcript.items)}
        for item, drawn in self._charts:
            if id(item) in places and drawn.done() and not drawn.cancelled() and (picture := drawn.result()):
                transcript.pictures[places[id(item)]] = picture

    def finish(self) -> None:
        """Wait until the charts are drawn, the time is over, or the turn is being stopped."""
        if self._pool is None:
            return
        futures = [drawn for _, drawn in self._charts]
        while not self._is_over() and wait(futures, timeout=_TICK).not_done:
            pass
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _draw(self, item: DisplayItem) -> str:
        return "" if self._is_over() else render_chart(cast("JSONObject", item.data), should_stop=self._is_over)

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
