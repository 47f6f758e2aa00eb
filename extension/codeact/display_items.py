"""Display the items that programs show. They are ordinary outputs below the card, so files and exports keep them."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# IPython has next to no types.

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

from IPython.display import display

from codeact_kernel.capabilities.show import render_chart
from codeact_kernel.render.display_items import shown_bundle, text_bundle, title_bundle
from codeact_kernel.types import DisplayItem, JSONObject

__all__ = ["DisplayedItems"]

_EMPTY = {"text/plain": ""}
_SECONDS = 3.0
"""Processor time for rendering the items of a turn, usually milliseconds each. Further items are shown as text."""
_PICTURE_SECONDS = 60.0
"""Time for drawing the pictures of a turn's charts. Further charts have no picture."""


class DisplayedItems:
    """The items that one cell displays. Used on the main thread.

    Args:
        redraws: whether the front end can update an output.
        pictures: whether charts need a picture for the file, because no page draws them.
        should_stop: tells whether the turn is being stopped; called from another thread.
    """

    def __init__(self, *, redraws: bool, pictures: bool, should_stop: Callable[[], bool] = lambda: False) -> None:
        self._redraws = redraws
        self._pictures = pictures
        self._handles: list[Any] = []
        self._failed = False
        self._seconds = self._picture_seconds = 0.0
        self._should_stop = should_stop

    def show(self, item: DisplayItem) -> None:
        """Display an item."""
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
        drawn = render_chart(cast("JSONObject", item.data), should_stop=self._should_stop)
        self._picture_seconds += time.monotonic() - before
        return drawn

    def end_run(self, *, failed: bool) -> None:
        """Note how a program ended. Items of a program that did not fail are never removed."""
        self._failed = failed
        self._handles = self._handles if failed else []

    def start_retry(self) -> None:
        """Remove the items of a failed program, because the next program will show them again."""
        for handle in self._handles if self._failed else ():
            handle.update(_EMPTY, raw=True)
        self._handles = []
