"""Show the result of a turn as its card where a cell ends with it, for example `_codeact`."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# IPython has next to no types.

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from codeact_kernel.render import Transcript, to_html, to_markdown, to_text
from codeact_kernel.render.shown_items import Bundle, item_bundle
from codeact_kernel.types import CardStyle, DisplayItem, TurnResult

from .chart_pictures import draw_all

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["register_result_formatters"]


def register_result_formatters(shell: InteractiveShell, style: Callable[[], CardStyle]) -> None:
    """Register the text, HTML and Markdown of a result, and the media types of an item that a program showed.

    Args:
        style: returns what is open below the answer.
    """
    formatters: Any = cast("Any", shell.display_formatter).formatters

    def text(result: TurnResult, printer: Any, cycle: bool) -> None:
        printer.text(to_text(Transcript.from_result(result), style()))

    def html(result: TurnResult) -> str:
        return to_html(draw_all(Transcript.from_result(result)), style())

    def markdown(result: TurnResult) -> str:
        return to_markdown(Transcript.from_result(result), style())

    def item_media(item: DisplayItem, include: Any = None, exclude: Any = None) -> Bundle:
        return item_bundle(item)

    for mime, function in (("text/plain", text), ("text/html", html), ("text/markdown", markdown)):
        formatters[mime].for_type(TurnResult, function)
    mimebundle: Any = cast("Any", shell.display_formatter).mimebundle_formatter
    mimebundle.for_type(DisplayItem, item_media)
