"""Show the result of a turn as its card where a cell ends with it, for example `_codeact`."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# IPython has next to no types.

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from codeact_kernel.render import bundle
from codeact_kernel.types import TurnResult

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["register_result_formatters"]


def register_result_formatters(shell: InteractiveShell) -> None:
    """Register the text, HTML and Markdown of a result."""
    formatters: Any = cast("Any", shell.display_formatter).formatters

    def text(result: TurnResult, printer: Any, cycle: bool) -> None:
        printer.text(bundle(result)["text/plain"])

    def html(result: TurnResult) -> str:
        return bundle(result)["text/html"]

    def markdown(result: TurnResult) -> str:
        return bundle(result)["text/markdown"]

    for mime, function in (("text/plain", text), ("text/html", html), ("text/markdown", markdown)):
        formatters[mime].for_type(TurnResult, function)
