"""What the cell shows: events to a transcript, and the transcript to the cell's one output, in place."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUntypedFunctionDecorator=false
# IPython has next to no types.

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from IPython.display import display

from codeact_kernel.events import Event, ModelAsked
from codeact_kernel.render import Transcript, bundle, to_text
from codeact_kernel.render.safe import plain

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["View"]

_TICK = 0.1
"""Seconds between two redraws."""


class View:
    """The output of one cell.

    Args:
        shell: IPython; a terminal cannot redraw, so there the cell shows only how it ended.
        quiet: show nothing; the result is in `_codeact`.
    """

    def __init__(self, shell: InteractiveShell, *, quiet: bool) -> None:
        self.transcript = Transcript()
        self._terminal = not hasattr(shell, "kernel") and not quiet
        self._live = not self._terminal and not quiet
        self._quiet = quiet
        self._handle: Any = None
        self._shown: dict[str, str] = {}
        self._drawn = 0.0
        self._known: set[str] = set()

    def show(self, event: Event) -> None:
        """Take an event in; `redraw` brings it to the screen."""
        self.transcript.apply(event)
        if isinstance(event, ModelAsked) and self._terminal:
            print(f"Asking {plain(self.transcript.model)}…", flush=True)

    def redraw(self, *, force: bool = False) -> None:
        """Bring the cell up to date: at most ten times a second, unless it is the end, or `force` (a question follows).

        The first call of each tool is drawn at once, since nobody knows yet how long that tool takes.
        """
        over = self.transcript.result is not None
        if not self.transcript.ask:
            return  # the turn has not begun: where it cannot, for want of a model, the error says it all
        if force and not self._live:
            print(to_text(self.transcript))  # nobody should decide about a program that they have not seen
        if self._quiet or not (self._live or over):
            return
        called = {row.call.name for attempt in self.transcript.attempts for row in attempt.calls}
        if not (force or over or called - self._known or time.monotonic() - self._drawn > _TICK):
            return
        shown = bundle(self.transcript)
        self._known, self._drawn = called, time.monotonic()
        if shown == self._shown:
            return
        self._shown = shown
        if self._handle is None:
            self._handle = display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)
