"""The capability `show`: text, tables, charts and images that programs show to the user."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import cast, get_args

from ...capability import SHOW
from ...errors import ProgramError
from ...json_size import weigh
from ...limits import ShowLimits
from ...text import format_bytes
from ...types import DisplayItem, JSONObject, JSONValue, ShownKind
from ..base import Handler
from .figures import replace_figures
from .validation import max_item_bytes, validate_item

__all__ = ["Show"]

_MEMORY_FACTOR = 8
"""The memory that the items of a turn may take, as a multiple of their size. Most items take three to five times it."""
_KINDS: tuple[ShownKind, ...] = get_args(ShownKind)


class Show:
    """The items that the programs of one turn show.

    Args:
        on_item: takes each item after it was checked.
    """

    declaration = SHOW
    name = SHOW.name
    names = frozenset(SHOW.guest_names)
    instructions = ""  # the rules of every prompt explain `show`

    def __init__(self, on_item: Callable[[DisplayItem], None], limits: ShowLimits) -> None:
        self.handlers: Mapping[str, Handler] = {"item": self._item}
        self.guest_config: JSONObject = {"table_rows": limits.table_rows, "chart_rows": limits.chart_rows}
        self._on_item = on_item
        self._limits = limits
        self._parts: list[str] = []
        self._size = 0
        self._items = 0
        self._bytes = 0
        self._weight = 0
        self._lock = threading.Lock()  # figures of tools come from their threads

    def start_run(self) -> None:
        """Discard the unfinished item of the previous run. The items that it showed still count."""
        self._parts, self._size = [], 0

    async def _item(self, arguments: JSONObject) -> JSONValue:
        """Take a piece of an item. Show the item with the last piece."""
        kind, title, text, last = (arguments.get(name) for name in ("kind", "title", "text", "last"))
        alternative = arguments.get("alternative", "")
        try:
            if (
                kind not in _KINDS
                or not (isinstance(title, str) and isinstance(text, str) and isinstance(alternative, str))
                or not isinstance(last, bool)
            ):
                raise ProgramError(f"an item must be one of {', '.join(_KINDS)}, with a title and text")
            self._parts.append(text)
            self._size += len(text)
            self._check_limits(kind, title or alternative, self._size)
            if last:
                self._show(kind, title, "".join(self._parts), alternative)
        except ProgramError:
            self.start_run()
            raise
        if last:
            self.start_run()
        return None

    def show_image(self, title: str, data: bytes) -> None:
        """Show an image file of the program, if it is valid and within the limits."""
        with suppress(ProgramError):
            self._show_picture(title, data)

    def replace_figures(self, value: object) -> object:
        """Show the figures in a tool's result, and return it with a text for the program in the place of each.

        Can be called in any thread.

        Raises:
            ProgramError: if a figure cannot be shown.
        """

        def show_picture(data: bytes, alternative: str) -> str:
            item = self._show_picture("", data, alternative[: self._limits.title_characters])
            size = cast("dict[str, JSONValue]", item.data)
            return f"<figure {size['width']} × {size['height']} pixels, shown to the user>"

        def show_chart(text: str) -> str:
            self._check_limits("chart", "", len(text))
            self._show("chart", "", text)
            return "<figure chart, shown to the user>"

        return replace_figures(value, show_picture, show_chart)

    def _show_picture(self, title: str, data: bytes, alternative: str = "") -> DisplayItem:
        text = base64.b64encode(data).decode()
        self._check_limits("image", title, len(text))
        return self._show("image", title, text, alternative)

    def _show(self, kind: ShownKind, title: str, text: str, alternative: str = "") -> DisplayItem:
        data = validate_item(kind, text, self._limits)
        if alternative and isinstance(data, dict) and kind == "image":
            data = {**data, "alternative": alternative}
        item = DisplayItem(kind=kind, title=title, data=data)
        with self._lock:
            self._weight += weigh(item.data)
            if self._weight > _MEMORY_FACTOR * self._limits.turn_bytes:
                raise ProgramError("the items of this turn take too much memory: show less")
            self._items += 1
            self._bytes += len(text)
        self._on_item(item)
        return item

    def _check_limits(self, kind: ShownKind, title: str, size: int) -> None:
        """Check the limits before decoding an item.

        Raises:
            ProgramError: if the item exceeds a limit.
        """
        limits = self._limits
        if self._items >= limits.items:
            raise ProgramError(f"a turn may show {limits.items} items: combine them")
        if size > (max_bytes := max_item_bytes(kind, limits)):
            raise ProgramError(f"a {kind} to show has at most {max_bytes:,} bytes: show less, or aggregate first")
        if self._bytes + size > limits.turn_bytes:
            raise ProgramError(f"a turn may show {format_bytes(limits.turn_bytes)} in all: show less")
        if len(title) > limits.title_characters:
            raise ProgramError(f"a title has at most {limits.title_characters} characters")
