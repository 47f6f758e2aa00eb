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

from codeact_kernel.events import Event, ItemDisplayed
from codeact_kernel.render import Transcript, bundle, measure, summarise_progress, to_card, to_text
from codeact_kernel.render.shown_items import item_bundle
from codeact_kernel.types import CardStyle, TurnResult

from .approvers import CardApprover
from .chart_pictures import ChartPictures
from .live_lines import LiveLines
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
        style: what is open below the answer when the turn is over.
        shown_notices: notices that this kernel has shown before and does not repeat.
        write_tool_error: writes the traceback of the tool that made the turn fail; empty if none did.
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
        style: CardStyle = "answer",
        shown_notices: set[str] | None = None,
        write_copies: Callable[[TurnResult], Mapping[str, str]] = lambda result: {},
        write_tool_error: Callable[[TurnResult], str] = lambda result: "",
    ) -> None:
        self.transcript = Transcript()
        self._loop = loop
        self._mode: Mode = "quiet" if quiet else "terminal" if append_only or captured else "static"
        self._wants_card = card and not quiet and not append_only
        self._shown_notices = set[str]() if shown_notices is None else shown_notices
        self._write_copies = write_copies
        self._write_tool_error = write_tool_error
        self._card: Card | None = None
        self._card_approver: CardApprover | None = None
        self._card_is_alive: asyncio.Future[bool] | None = None
        self._handle: Any = None
        self._drawn: dict[str, str] = {}
        self._is_ending = False
        self._style: CardStyle = style
        self._pictures = ChartPictures(lambda: self._is_ending)
        self._lines = LiveLines() if append_only and not quiet else None
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
        """Add an event to the transcript. `redraw` draws it."""
        if isinstance(event, ItemDisplayed) and self._is_ending:
            self._skipped_items += 1
            return
        self.transcript.apply(event)
        if isinstance(event, ItemDisplayed) and self._mode != "quiet" and self._lines is None:
            self._pictures.add(event.item)
        if self._lines is not None:
            self._lines.show(event, self.transcript)

    def end(self) -> None:
        """Display no more items, because the turn is being stopped. Called in any thread, and by a signal handler."""
        self._is_ending = True
        self.transcript.gallery.is_stopped = True

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
        self._pictures.collect(self.transcript)
        self._next_redraw = time.monotonic() + _TICK
        if self._card is not None:
            self._draw_card(self._card)
        elif self._mode == "static":
            self._draw_static()

    def close(self) -> None:
        """Replace the card with the static form of the whole turn."""
        card, self._card = self._card, None
        if self._lines is not None:
            self.transcript.notices.clear()  # they were printed when they came
        self._pictures.finish()
        self._pictures.collect(self.transcript)
        if self._skipped_items:
            items = "1 item" if self._skipped_items == 1 else f"{self._skipped_items} items"
            self.transcript.notices.append(f"Stopped before {items} could be shown: see codeact.results[-1].shown.")
        if self.transcript.result is not None and self.transcript.result.error is not None:
            self.transcript.tool_error = self._write_tool_error(self.transcript.result)
        if card is not None:
            if self.transcript.ask:
                self._draw_card(card)  # a page that was reloaded keeps this card
            if self.transcript.result is not None:
                self.transcript.copies = self._write_copies(self.transcript.result)
            captured = self._mode == "terminal"
            card.close(None if captured else self._static_form(), self._metadata())
            if captured and self.transcript.result:
                self._draw_static()
        elif self.transcript.ask and (self._mode == "static" or (self._mode == "terminal" and self.transcript.result)):
            self._draw_static()
        if self._mode == "static":
            self._display_charts_without_picture()

    def _display_charts_without_picture(self) -> None:
        """Leave charts to the page where they cannot be drawn here, for example without vl-convert."""
        for index, item in enumerate(self.transcript.items if self.transcript.result is not None else ()):
            if item.kind == "chart" and index not in self.transcript.pictures:
                data, metadata = item_bundle(item)
                display(data, metadata=metadata, raw=True)

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
            handle = card.close(self._static_form(), self._metadata())
            self._handle = handle if self._mode == "static" else None
        if self._mode == "static":
            self._draw_static()
        elif self._lines is None:
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
            return self._static_form()
        finally:
            self.transcript.notices.pop()

    def _static_form(self) -> dict[str, str]:
        form = bundle(self.transcript, self._style)
        if self._lines is not None:  # a terminal keeps nothing, so its text may have the seconds
            form["text/plain"] = to_text(self.transcript, self._style, seconds=True)
        return form

    def _metadata(self) -> dict[str, Any]:
        return {"codeact": measure(self.transcript)} if self.transcript.result is not None else {}

    def _draw_static(self) -> None:
        form = self._static_form()
        if form == self._drawn:
            return
        self._drawn = form
        # Transient data is not saved in the file; `codeact-kernel run` reads the summary from there.
        summary = {"codeact": summarise_progress(self.transcript)}
        if self._handle is None:
            self._handle = display(form, raw=True, display_id=True, metadata=self._metadata(), transient=summary)
        else:
            self._handle.update(form, raw=True, metadata=self._metadata(), transient=summary)


async def _return_false() -> bool:
    return False
