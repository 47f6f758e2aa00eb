"""The room `show`: text, tables, charts and pictures that a program wants a person to see."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import get_args

from ...capability import SHOW
from ...errors import ProgramError
from ...json_size import weigh
from ...limits import ShowLimits
from ...text import format_bytes
from ...types import DisplayItem, Handler, JSONObject, JSONValue, ShownKind
from .validation import checked, most_bytes

__all__ = ["Show"]

_MEMORY = 8
"""How many times its size in bytes a turn's items may take in memory; most take three to five times as much."""
_KINDS: tuple[ShownKind, ...] = get_args(ShownKind)


class Show:
    """What the programs of one turn show, however many programs it has.

    Args:
        on_item: takes each item as it comes. Nothing in it is trusted, all of it is checked.
    """

    declaration = SHOW
    name = SHOW.name
    instructions = ""  # `show` stands in the rules, which are the same for every prompt

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

    def start_run(self) -> None:
        """What a run before began to send is forgotten; what it showed counts."""
        self._parts, self._size = [], 0

    async def _item(self, arguments: JSONObject) -> JSONValue:
        """A piece of an item, and with the last one the item is shown."""
        kind, title, text, last = (arguments.get(name) for name in ("kind", "title", "text", "last"))
        try:
            if kind not in _KINDS or not (isinstance(title, str) and isinstance(text, str) and isinstance(last, bool)):
                raise ProgramError(f"what is shown is one of {', '.join(_KINDS)}, with a title and text")
            self._parts.append(text)
            self._size += len(text)
            self._count(kind, title, self._size)
            if last:
                self._show(kind, title, "".join(self._parts))
        except ProgramError:
            self.start_run()
            raise
        if last:
            self.start_run()
        return None

    def show_image(self, title: str, data: bytes) -> None:
        """Show a picture that the program wrote to a file, if it is one that may be shown."""
        text = base64.b64encode(data).decode()
        with suppress(ProgramError):
            self._count("image", title, len(text))
            self._show("image", title, text)

    def _show(self, kind: ShownKind, title: str, text: str) -> None:
        item = DisplayItem(kind=kind, title=title, data=checked(kind, text, self._limits))
        self._weight += weigh(item.data)
        if self._weight > _MEMORY * self._limits.turn_bytes:
            raise ProgramError("what this turn shows takes too much memory: show less")
        self._items += 1
        self._bytes += len(text)
        self._on_item(item)

    def _count(self, kind: ShownKind, title: str, size: int) -> None:
        """Before anything is decoded.

        Raises:
            ProgramError: this is more than may be shown.
        """
        limits = self._limits
        if self._items >= limits.items:
            raise ProgramError(f"a turn may show {limits.items} things: put them together")
        if size > (most := most_bytes(kind, limits)):
            raise ProgramError(f"a {kind} to show has at most {most:,} bytes: show less, or aggregate first")
        if self._bytes + size > limits.turn_bytes:
            raise ProgramError(f"a turn may show {format_bytes(limits.turn_bytes)} in all: show less")
        if len(title) > limits.title_characters:
            raise ProgramError(f"a title has at most {limits.title_characters} characters")
