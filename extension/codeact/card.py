"""The live card: a widget that a page draws from its state, and that reports the user's clicks.

The kernel sends plain data, and only the parts that have changed. The page sends small messages, which arrive in any
thread. These messages are untrusted, because a page can run scripts that are not ours.
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

__all__ = ["SCRIPTS", "Card"]

_HERE = Path(__file__).parent
SCRIPTS = ("elements", "seen", "program", "approval", "finished", "card")
"""The files of the card's script, in the order in which they are joined."""
_HELLO = 3.0
"""Seconds to wait for the first message of a page that shows the card. Pages need less than 0.1 s."""


class _Widget(anywidget.AnyWidget):
    # The files are joined, because a front end gets the module as text and cannot import another file.
    _esm = "\n".join((_HERE / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    _css = (_HERE / "card.css").read_text(encoding="utf-8")
    slow_stop = traitlets.Bool().tag(sync=True)
    clock = traitlets.Float().tag(sync=True)
    head = traitlets.Dict().tag(sync=True)
    above = traitlets.List().tag(sync=True)
    programs = traitlets.List().tag(sync=True)
    runs = traitlets.List().tag(sync=True)
    forms = traitlets.List().tag(sync=True)
    review = traitlets.Dict(default_value=None, allow_none=True).tag(sync=True)
    below = traitlets.List().tag(sync=True)


class Card:
    """The widget of one turn. Created and drawn on the main thread.

    Args:
        channel: delivers the page's messages while the cell runs.
        loop: the loop on which `on_message` is called.
        stop: ends the turn when the user clicks Stop; called in any thread.

    Attributes:
        on_message: handles every message of the page other than a greeting and a stop.
    """

    def __init__(self, channel: ShellChannelFilter, loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
        self.on_message: Callable[[Mapping[str, Any]], None] = lambda message: None
        self._loop = loop
        self._stop = stop
        self._views = 0
        self._hello = asyncio.Event()
        self._deadline = time.monotonic() + _HELLO
        self._drawn: dict[str, JSONValue] = {}
        self._widget: Any = _Widget(slow_stop=not channel.is_immediate)
        channel.listen(self._widget.comm.comm_id, self._on_message)
        self._handle: Any = None

    @property
    def is_shown(self) -> bool:
        """Whether the card is in the cell."""
        return self._handle is not None

    def show(self, static: Mapping[str, str]) -> None:
        """Display the card in the cell, with the static form for pages without widgets."""
        data, metadata = self._widget._repr_mimebundle_()
        self._handle = display({**data, **static}, metadata=metadata, raw=True, display_id=True)
        self._deadline = time.monotonic() + _HELLO

    def draw(self, parts: Mapping[str, JSONValue]) -> int:
        """Send the parts that have changed in one message, and return its approximate size in bytes."""
        changed = {name: value for name, value in parts.items() if self._drawn.get(name, ...) != value}
        self._drawn.update(changed)
        with self._widget.hold_sync():
            for name, value in changed.items():
                setattr(self._widget, name, value)
        return len(json.dumps(changed)) if changed else 0

    async def is_alive(self) -> bool:
        """Tell whether a page shows the card and its messages arrive. Awaited on the loop."""
        try:
            async with asyncio.timeout(max(0.0, self._deadline - time.monotonic())):
                await self._hello.wait()
        except TimeoutError:
            return self._hello.is_set()
        return True

    def close(self, static: Mapping[str, str] | None, metadata: Mapping[str, Any]) -> Any:
        """Replace the card with the static form.

        Args:
            static: the static form, or `None` if the output cannot be updated, so that the card just disappears.
            metadata: the metadata of the output.

        Returns:
            The handle of the output, or `None` if the card was never shown.
        """
        if self._handle is not None and static is not None:
            self._handle.update(dict(static), raw=True, metadata=dict(metadata))
        if self._views < 2:  # a page that was reloaded misses the update, so it keeps the card
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
