"""What a program shows, below the card: outputs like any other of the cell, so they stay in its file and exports."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# IPython has next to no types.

from __future__ import annotations

import time
from typing import Any, cast

from IPython.display import display

from codeact_kernel.render.shown import shown_bundle, text_bundle, title_bundle
from codeact_kernel.show import picture
from codeact_kernel.values import JSONObject, Shown

__all__ = ["Items"]

_GONE = {"text/plain": ""}
_SECONDS = 3.0
"""Processor time for the items of a turn; after that they are shown as text. Honest ones take milliseconds each."""


class Items:
    """The items of one cell. On the main thread.

    Args:
        redraws: whether the front end can change what it has shown.
        pictures: whether nobody sees the cell now, and charts need a picture for the file. A page makes it by itself.
    """

    def __init__(self, *, redraws: bool, pictures: bool) -> None:
        self._redraws = redraws
        self._pictures = pictures
        self._handles: list[Any] = []
        self._failed = False
        self._seconds = 0.0

    def show(self, item: Shown) -> None:
        """Display it now."""
        before = time.thread_time()
        if self._seconds < _SECONDS:
            drawn = picture(cast("JSONObject", item.data)) if item.kind == "chart" and self._pictures else ""
            bundles = (title_bundle(item), shown_bundle(item, drawn))
        else:
            bundles = (title_bundle(item), text_bundle(item))
        self._seconds += time.thread_time() - before
        for bundle in bundles:
            if bundle is not None:
                data, metadata = bundle
                handle = display(data, metadata=metadata, raw=True, display_id=self._redraws or None)
                self._handles += [handle] if self._redraws else []

    def run_over(self, *, failed: bool) -> None:
        """A program is over; what it showed stays, unless the next one is to do better."""
        self._failed = failed
        self._handles = self._handles if failed else []

    def mended(self) -> None:
        """Another program comes: what one that failed had shown would stand there twice."""
        for handle in self._handles if self._failed else ():
            handle.update(_GONE, raw=True)
        self._handles = []
