"""The output of a `%%codeact` cell, which is redrawn in place from the turn's transcript.

During the turn the output is the live card, if the page can show it, and otherwise the static form. At the end it is
always the static form, which needs neither a kernel nor a widget.
"""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUntypedFunctionDecorator=false
# IPython has next to no types.

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from IPython.display import display

from codeact_kernel.events import Event, ItemDisplayed, ModelRequested, RetryStarted, RunFinished
from codeact_kernel.render import Transcript, bundle, summarise_progress, to_card, to_text
from codeact_kernel.render.escaping import escape_controls
from codeact_kernel.types import TurnResult

from .approvers import CardApprover
from .display_items import DisplayedItems
from .shell_channel import MainThreadWaiter, ShellChannelFilter

if TYPE_CHECKING:
    from .card import Card

__all__ = ["CellOutput"]

_TICK = 0.1
"""Seconds between two redraws."""
_BYTES_PER_SECOND = 200_000
"""Maximum rate of the card's state. A Jupyter server drops messages at a few times this rate."""
_CLOCK_SECONDS = 5.0
"""Seconds between two corrections of the page's own clock."""

_NO_CARD = (
    "This ipykernel delivers no clicks to a running cell, so questions are asked with input(): try another version."
)
_SAVED = (
    "Saved while the cell was running: later approvals and calls are not in this file, including calls with effects. "
    "As long as the kernel runs, codeact.results[-1] has the whole result."
)

Mode = Literal["quiet", "terminal", "static"]


class CellOutput:
    """The output of one cell.

    Args:
        loop: the loop that the turn runs on.
        append_only: whether the front end cannot redraw; the cell then shows only its questions and its end.
        card: whether to show the live card, if the page can.
        captured: whether an Output widget takes the cell's outputs; it can show the card, but applies no updates.
        quiet: whether to show nothing.
        shown_notices: notices that this kernel has shown before and does not repeat.
        write_copies: writes the texts that the user can copy from the finished card, by the labels of their buttons.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        append_only: bool,
        card: bool,
        captured: bool = False,
        quiet: bool = False,
        shown_notices: set[str] | None = None,
        write_copies: Callable[[TurnResult], Mapping[str, str]] = lambda result: {},
    ) -> None:
        self.transcript = Transcript()
        self._loop = loop
        self._mode: Mode = "quiet" if quiet else "terminal" if append_only or captured else "static"
        self._wants_card = card and not quiet and not append_only
        self._shown_notices = set[str]() if shown_notices is None else shown_notices
        self._write_copies = write_copies
        self._card: Card | None = None
        self._card_approver: CardApprover | None = None
        self._card_is_alive: asyncio.Future[bool] | None = None
        self._handle: Any = None
        self._drawn: dict[str, str] = {}
        self._is_ending = False
        self._items = DisplayedItems(
            redraws=self._mode == "static", pictures=not card, should_stop=lambda: self._is_ending
        )
        self._next_redraw = 0.0
        self._drawn_tools: set[str] = set()
        self._started = time.monotonic()
        self._clock = 0.0
        self._skipped_items = 0

    # The display of a turn, on the main thread

    def open(self, waiter: MainThreadWaiter, stop: Callable[[], None], leave: Callable[[], None]) -> None:
        """Make the card, if the page's messages can reach a running cell."""
        if not self._wants_card:
            return
        if not isinstance(waiter, ShellChannelFilter):
            if _NO_CARD not in self._shown_notices:
                self._shown_notices.add(_NO_CARD)
                self.transcript.notices.append(_NO_CARD)
            return
        from .card import Card  # slow to import, because widgets are

        approver = self._card_approver = CardApprover(waiter.wake, leave)
        waiter.on_run_again = lambda: self._loop.call_soon_threadsafe(approver.abandon)
        self._card = Card(waiter, self._loop, stop)
        self._card.on_message = approver.receive

    def show(self, event: Event) -> None:
        """Add an event to the transcript. Items that a program shows are displayed at once; `redraw` draws the rest."""
        self.transcript.apply(event)
        match event:
            case ModelRequested() if self._mode == "terminal" and self._card is None:
                print(f"Asking {escape_controls(self.transcript.model)}…", flush=True)
            case ItemDisplayed() if self._is_ending:
                self._skipped_items += 1
            case ItemDisplayed(item=item) if self._mode != "quiet":
                self._draw_first()
                self._items.show(item)
            case RunFinished(outcome=outcome):
                self._items.end_run(failed=outcome.failure is not None)
            case RetryStarted():
                self._items.start_retry()
            case _:
                pass

    def end(self) -> None:
        """Display no more items, because the turn is being stopped. Called in any thread, and by a signal handler."""
        self._is_ending = True

    def _draw_first(self) -> None:
        """Draw the card before the first item, so that the item is below it."""
        if self._card is not None and not self._card.is_shown:
            self._draw_card(self._card)
        elif self._card is None and self._mode == "static" and self._handle is None:
            self._draw_static()

    def redraw(self) -> None:
        """Bring the cell up to date, at most ten times a second.

        The first call of each tool is drawn at once, because the tool may block this thread for a long time.
        """
        if not self.transcript.ask:
            return  # if the turn cannot begin, for example without a model, the error is all that the cell shows
        tools = {row.call.name for attempt in self.transcript.attempts[-1:] for row in attempt.calls[-20:]}
        if tools <= self._drawn_tools and time.monotonic() < self._next_redraw:
            return
        self._drawn_tools |= tools
        self._next_redraw = time.monotonic() + _TICK
        if self._card is not None:
            self._draw_card(self._card)
        elif self._mode == "static":
            self._draw_static()

    def close(self) -> None:
        """Replace the card with the static form of the whole turn."""
        card, self._card = self._card, None
        if self._skipped_items:
            items = "1 item" if self._skipped_items == 1 else f"{self._skipped_items} items"
            self.transcript.notices.append(f"Stopped before {items} could be shown: see codeact.results[-1].shown.")
        if card is not None:
            if self.transcript.ask:
                self._draw_card(card)  # a page that was reloaded keeps this card
            if self.transcript.result is not None:
                self.transcript.copies = self._write_copies(self.transcript.result)
            captured = self._mode == "terminal"
            card.close(None if captured else bundle(self.transcript))
            if captured and self.transcript.result:
                self._draw_static()
        elif self.transcript.ask and (self._mode == "static" or (self._mode == "terminal" and self.transcript.result)):
            self._draw_static()

    # Called by the turn, on the loop

    async def card_approver(self) -> CardApprover | None:
        """Return the approver that asks on the card, or `None` if no page shows the card.

        Only the first call looks for a page: a later answer could leave a question on a card that is gone.
        """
        if self._card_is_alive is None:
            card = self._card
            self._card_is_alive = asyncio.ensure_future(_return_false() if card is None else card.is_alive())
        return self._card_approver if await asyncio.shield(self._card_is_alive) else None

    def freeze_card(self) -> None:
        """Draw the turn as it is now, before a question with `input()`, so that the user has seen the program."""
        if self._card is not None:  # which no page shows, or the card would ask
            card, self._card = self._card, None
            handle = card.close(bundle(self.transcript))
            self._handle = handle if self._mode == "static" else None
        if self._mode == "static":
            self._draw_static()
        else:
            print(to_text(self.transcript))

    def _draw_card(self, card: Card) -> None:
        assert self._card_approver is not None
        if not card.is_shown:
            card.show(self._static_form_during_turn() if self._mode == "static" else {})
        elapsed = time.monotonic() - self._started
        if elapsed - self._clock >= _CLOCK_SECONDS or self.transcript.result is not None:
            self._clock = elapsed
        parts = to_card(self.transcript)
        parts["clock"] = round(self._clock, 1)
        # An approval form is drawn in the row of its call, so forms wait for their row.
        parts["forms"] = [
            form for form in self._card_approver.open_forms if self.transcript.has_row(form["run"], form["call"])
        ]
        parts["review"] = self._card_approver.program
        sent_bytes = card.draw(parts)
        self._next_redraw = time.monotonic() + max(_TICK, sent_bytes / _BYTES_PER_SECOND)

    def _static_form_during_turn(self) -> dict[str, str]:
        """Render the static form that is saved with the card, in a file that is saved before the turn ends.

        A page that was reloaded never updates this form, so the form has to say that more may have happened.
        """
        self.transcript.notices.append(_SAVED)
        try:
            return bundle(self.transcript)
        finally:
            self.transcript.notices.pop()

    def _draw_static(self) -> None:
        form = bundle(self.transcript)
        if form == self._drawn:
            return
        self._drawn = form
        # Transient data is not saved in the file; `codeact-kernel run` reads the summary from there.
        summary = {"codeact": summarise_progress(self.transcript)}
        if self._handle is None:
            self._handle = display(form, raw=True, display_id=True, transient=summary)
        else:
            self._handle.update(form, raw=True, transient=summary)


async def _return_false() -> bool:
    return False
