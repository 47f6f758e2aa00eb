"""What the cell shows: events to a transcript, and the transcript to the cell's one output, in place.

While the turn is under way that is the live card, where a page can show it, else the static form drawn again and again;
at the end it is always the static form, which needs neither a kernel nor a widget.
"""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUntypedFunctionDecorator=false
# IPython has next to no types.

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from IPython.display import display

from codeact_kernel.events import Event, ItemDisplayed, ModelRequested, RetryStarted, RunFinished
from codeact_kernel.render import Transcript, brief, bundle, to_card, to_text
from codeact_kernel.render.escaping import plain

from .approvers import CardApprover
from .display_items import DisplayedItems
from .shell_channel import MainThreadWaiter, ShellChannelFilter

if TYPE_CHECKING:
    from .card import Card

__all__ = ["CellOutput"]

_TICK = 0.1
"""Seconds between two redraws."""
_BYTES_PER_SECOND = 200_000
"""Of the card's state: a Jupyter server drops what comes faster than a few times that."""
_ELAPSED = 5.0
"""Seconds between two corrections of the page's own clock."""

_NO_CARD = (
    "This ipykernel gives a running cell no clicks, so questions are asked with input(): try another version of it."
)
_SAVED = (
    "Saved while it was running: what was allowed and done after its first moment is not in this file, and there may "
    "have been calls with effects. As long as the kernel runs, _codeact has all of it."
)

Mode = Literal["quiet", "terminal", "static"]


class CellOutput:
    """The output of one cell.

    Args:
        once: whether the front end cannot redraw: there the cell shows only how it ended, and what is asked about.
        captured: whether an Output widget takes the cell's outputs: it applies no updates, but can show the card.
        loop: where the turn runs.
        card: whether to show the live card, if that is possible.
        quiet: show nothing; the result is in `_codeact`.
        told: sentences that were said in this kernel already, and are not said again.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        once: bool,
        card: bool,
        captured: bool = False,
        quiet: bool = False,
        told: set[str] | None = None,
    ) -> None:
        self.transcript = Transcript()
        self._loop = loop
        self._mode: Mode = "quiet" if quiet else "terminal" if once or captured else "static"
        self._wants_card = card and not quiet and not once
        self._told = set[str]() if told is None else told
        self._card: Card | None = None
        self._asks: CardApprover | None = None
        self._alive: asyncio.Future[bool] | None = None
        self._handle: Any = None
        self._drawn: dict[str, str] = {}
        self._is_ending = False
        self._items = DisplayedItems(
            redraws=self._mode == "static", pictures=not card, should_stop=lambda: self._is_ending
        )
        self._next = 0.0
        self._known: set[str] = set()
        self._started = time.monotonic()
        self._told_time = 0.0
        self._left_out = 0

    # The screen of a turn, on the main thread

    def open(self, waiter: MainThreadWaiter, stop: Callable[[], None], leave: Callable[[], None]) -> None:
        """Make the card where the page's messages can arrive."""
        if not self._wants_card:
            return
        if not isinstance(waiter, ShellChannelFilter):
            if _NO_CARD not in self._told:
                self._told.add(_NO_CARD)
                self.transcript.notices.append(_NO_CARD)
            return
        from .card import Card  # widgets take a while to import: not when the extension is loaded

        asks = self._asks = CardApprover(waiter.wake, leave)
        waiter.on_run_again = lambda: self._loop.call_soon_threadsafe(asks.abandon)
        self._card = Card(waiter, self._loop, stop)
        self._card.on_message = asks.heard

    def show(self, event: Event) -> None:
        """Take an event in; `redraw` brings it to the screen."""
        self.transcript.apply(event)
        match event:
            case ModelRequested() if self._mode == "terminal" and self._card is None:
                print(f"Asking {plain(self.transcript.model)}…", flush=True)
            case ItemDisplayed() if self._is_ending:
                self._left_out += 1
            case ItemDisplayed(item=item) if self._mode != "quiet":
                self._draw_first()
                self._items.show(item)
            case RunFinished(outcome=outcome):
                self._items.run_over(failed=outcome.failure is not None)
            case RetryStarted():
                self._items.mended()
            case _:
                pass

    def end(self) -> None:
        """Stop drawing what programs show: the turn is being stopped. From any thread, and from a signal handler."""
        self._is_ending = True

    def _draw_first(self) -> None:
        """What stands below the card must not come before it."""
        if self._card is not None and not self._card.shown:
            self._draw_card(self._card)
        elif self._card is None and self._mode == "static" and self._handle is None:
            self._draw_static()

    def redraw(self) -> None:
        """Bring the cell up to date, at most ten times a second.

        The first call of each tool is drawn at once, since nobody knows yet how long that tool takes.
        """
        if not self.transcript.ask:
            return  # the turn has not begun: where it cannot, for want of a model, the error says it all
        called = {row.call.name for attempt in self.transcript.attempts[-1:] for row in attempt.calls[-20:]}
        if called <= self._known and time.monotonic() < self._next:
            return
        self._known |= called
        self._next = time.monotonic() + _TICK
        if self._card is not None:
            self._draw_card(self._card)
        elif self._mode == "static":
            self._draw_static()

    def close(self) -> None:
        """Draw how it ended, and keep that."""
        card, self._card = self._card, None
        if self._left_out:
            what = "1 thing" if self._left_out == 1 else f"{self._left_out} things"
            self.transcript.notices.append(f"Stopped before {what} could be shown: see _codeact.shown.")
        if card is not None:
            if self.transcript.ask:
                self._draw_card(card)  # a page that was reloaded keeps this
            captured = self._mode == "terminal"
            card.close(None if captured else bundle(self.transcript))
            if captured and self.transcript.result:
                self._draw_static()
        elif self.transcript.ask and (self._mode == "static" or (self._mode == "terminal" and self.transcript.result)):
            self._draw_static()

    # What the turn asks for, on the loop

    async def approver(self) -> CardApprover | None:
        """The card's, if a page shows it. That is found out once: no question may be left on a card that is gone."""
        if self._alive is None:
            card = self._card
            self._alive = asyncio.ensure_future(_never() if card is None else card.alive())
        return self._asks if await asyncio.shield(self._alive) else None

    def freeze_card(self) -> None:
        """On the main thread, before a question with `input()`: nobody decides about a program they have not seen."""
        if self._card is not None:  # no page shows it
            card, self._card = self._card, None
            handle = card.close(bundle(self.transcript))
            self._handle = handle if self._mode == "static" else None
        if self._mode == "static":
            self._draw_static()
        else:
            print(to_text(self.transcript))

    def _draw_card(self, card: Card) -> None:
        assert self._asks is not None
        if not card.shown:
            card.show(self._saved_while_running() if self._mode == "static" else {})
        elapsed = time.monotonic() - self._started
        if elapsed - self._told_time >= _ELAPSED or self.transcript.result is not None:
            self._told_time = elapsed
        parts = to_card(self.transcript)
        parts["clock"] = round(self._told_time, 1)
        # A question stands in the row of its call, so the row has to be there.
        parts["questions"] = [one for one in self._asks.questions if self.transcript.has_row(one["run"], one["call"])]
        parts["review"] = self._asks.program
        sent = card.draw(parts)
        self._next = time.monotonic() + max(_TICK, sent / _BYTES_PER_SECOND)

    def _saved_while_running(self) -> dict[str, str]:
        """The static form beside the live card: what a file has that is saved before the turn ends.

        A page that was reloaded never takes another form in, so this one must say that more may have happened.
        """
        self.transcript.notices.append(_SAVED)
        try:
            return bundle(self.transcript)
        finally:
            self.transcript.notices.pop()

    def _draw_static(self) -> None:
        shown = bundle(self.transcript)
        if shown == self._drawn:
            return
        self._drawn = shown
        # Beside the picture, in what no file keeps, the figures for who executes the notebook.
        figures = {"codeact": brief(self.transcript)}
        if self._handle is None:
            self._handle = display(shown, raw=True, display_id=True, transient=figures)
        else:
            self._handle.update(shown, raw=True, transient=figures)


async def _never() -> bool:
    return False
