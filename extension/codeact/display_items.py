"""What a program shows, below the card: outputs like any other of the cell, so they stay in its file and exports."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# IPython has next to no types.

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

from IPython.display import display

from codeact_kernel.capabilities.show import picture
from codeact_kernel.render.display_items import shown_bundle, text_bundle, title_bundle
from codeact_kernel.types import DisplayItem, JSONObject

__all__ = ["DisplayedItems"]

_GONE = {"text/plain": ""}
_SECONDS = 3.0
"""Processor time for the items of a turn; after that they are shown as text. Honest ones take milliseconds each."""
_PICTURE_SECONDS = 60.0
"""Time for the pictures of a turn's charts; after that the charts have none."""


class DisplayedItems:
    """The items of one cell. On the main thread.

    Args:
        redraws: whether the front end can change what it has shown.
        pictures: whether nobody sees the cell now, and charts need a picture for the file. A page makes it by itself.
        should_stop: whether the turn is being stopped. Asked from another thread.
    """

    def __init__(self, *, redraws: bool, pictures: bool, should_stop: Callable[[], bool] = lambda: False) -> None:
        self._redraws = redraws
        self._pictures = pictures
        self._handles: list[Any] = []
        self._failed = False
        self._seconds = self._picture_seconds = 0.0
        self._should_stop = should_stop

    def show(self, item: DisplayItem) -> None:
        """Display it now."""
        before = time.thread_time()
        if self._seconds < _SECONDS:
            bundles = (title_bundle(item), shown_bundle(item, self._picture(item)))
        else:
            bundles = (title_bundle(item), text_bundle(item))
        self._seconds += time.thread_time() - before
        for bundle in bundles:
            if bundle is not None:
                data, metadata = bundle
                handle = display(data, metadata=metadata, raw=True, display_id=self._redraws or None)
                self._handles += [handle] if self._redraws else []

    def _picture(self, item: DisplayItem) -> str:
        if item.kind != "chart" or not self._pictures or self._picture_seconds > _PICTURE_SECONDS:
            return ""
        before = time.monotonic()
        drawn = picture(cast("JSONObject", item.data), should_stop=self._should_stop)
        self._picture_seconds += time.monotonic() - before
        return drawn

    def run_over(self, *, failed: bool) -> None:
        """A program is over; what it showed stays, unless the next one is to do better."""
        self._failed = failed
        self._handles = self._handles if failed else []

    def mended(self) -> None:
        """Another program comes: what one that failed had shown would stand there twice."""
        for handle in self._handles if self._failed else ():
            handle.update(_GONE, raw=True)
        self._handles = []
