"""The live card: one widget, which a page draws from the state that it is given, and which says what was clicked.

Down goes plain data, part by part as it changes; up come small messages, in whatever thread reads them. These are
hostile until checked: a page may run scripts that are not ours.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportMissingTypeStubs=false
# pyright: reportUnknownArgumentType=false, reportUntypedBaseClass=false
# Widgets have next to no types.

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from IPython.display import display

from codeact_kernel.types import JSONValue

from .shell_channel import ShellChannelFilter

__all__ = ["Card"]

_HERE = Path(__file__).parent
_HELLO = 3.0
"""Seconds in which a page that can show the card has said so; it takes less than a tenth of one."""


class _Widget(anywidget.AnyWidget):
    # One module of two files: front ends are given a text, and no place from which it could import another.
    _esm = "\n".join((_HERE / name).read_text(encoding="utf-8") for name in ("seen.js", "card.js"))
    _css = (_HERE / "card.css").read_text(encoding="utf-8")
    slow_stop = traitlets.Bool().tag(sync=True)
    clock = traitlets.Float().tag(sync=True)
    head = traitlets.Dict().tag(sync=True)
    programs = traitlets.List().tag(sync=True)
    runs = traitlets.List().tag(sync=True)
    questions = traitlets.List().tag(sync=True)
    review = traitlets.Dict(default_value=None, allow_none=True).tag(sync=True)
    end = traitlets.Dict(default_value=None, allow_none=True).tag(sync=True)


class Card:
    """The widget of one turn. Made and drawn on the main thread.

    Args:
        loop: where `on_message` is called.
        stop: what the stop button does; called in whatever thread sees the click.

    Attributes:
        on_message: takes what the page sent, but for a stop.
        shown: whether it is in the cell.
    """

    def __init__(self, tap: ShellChannelFilter, loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
        self.on_message: Callable[[Mapping[str, Any]], None] = lambda message: None
        self._loop = loop
        self._stop = stop
        self._views = 0
        self._hello = asyncio.Event()
        self._until = time.monotonic() + _HELLO
        self._drawn: dict[str, JSONValue] = {}
        self._widget: Any = _Widget(slow_stop=not tap.at_once)
        tap.listen(self._widget.comm.comm_id, self._on_message)
        self._handle: Any = None

    @property
    def shown(self) -> bool:
        return self._handle is not None

    def show(self, static: Mapping[str, str]) -> None:
        """Put it into the cell; `static` is for pages that know no widgets."""
        data, metadata = self._widget._repr_mimebundle_()
        self._handle = display({**data, **static}, metadata=metadata, raw=True, display_id=True)
        self._until = time.monotonic() + _HELLO

    def draw(self, parts: Mapping[str, JSONValue]) -> int:
        """Send what has changed, all of it in one message; about how many bytes that was."""
        changed = {name: value for name, value in parts.items() if self._drawn.get(name, ...) != value}
        self._drawn.update(changed)
        with self._widget.hold_sync():
            for name, value in changed.items():
                setattr(self._widget, name, value)
        return len(json.dumps(changed)) if changed else 0

    async def alive(self) -> bool:
        """Whether a page has shown it, and its messages arrive here. Awaited on the loop."""
        try:
            async with asyncio.timeout(max(0.0, self._until - time.monotonic())):
                await self._hello.wait()
        except TimeoutError:
            return self._hello.is_set()
        return True

    def close(self, static: Mapping[str, str] | None) -> Any:
        """Put `static` in its place, for good; the handle of that output, if there is one.

        Args:
            static: `None` where the output cannot be updated: there the card just goes.
        """
        if self._handle is not None and static is not None:
            self._handle.update(dict(static), raw=True)
        if self._views < 2:  # a page that was reloaded does not hear of the update: it keeps the card
            self._widget.close()
        return self._handle

    def _on_message(self, message: Mapping[str, Any]) -> None:
        match message.get("kind"):
            case "hello":
                self._views += 1
                self._loop.call_soon_threadsafe(self._hello.set)
            case "stop":
                self._stop()
            case _:
                self._loop.call_soon_threadsafe(self.on_message, message)
