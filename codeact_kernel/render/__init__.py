"""Turn events into what the user sees: a mimebundle of plain text, Markdown and HTML, in which all text is escaped."""

from __future__ import annotations

from ..types import CardStyle, TurnResult
from .card_state import to_card
from .html import to_html
from .markdown import to_markdown
from .progress_summary import summarise_progress
from .summary import measure
from .text import to_text
from .transcript import CallRow, Transcript

__all__ = [
    "CallRow",
    "Transcript",
    "bundle",
    "measure",
    "summarise_progress",
    "to_card",
    "to_html",
    "to_markdown",
    "to_text",
]


def bundle(turn: Transcript | TurnResult, style: CardStyle = "answer") -> dict[str, str]:
    """Return the mimebundle of a running or finished turn.

    Args:
        style: what is open below the answer: nothing (`"answer"`), the last program, or everything (`"full"`).
    """
    transcript = Transcript.from_result(turn) if isinstance(turn, TurnResult) else turn
    return {
        "text/plain": to_text(transcript, style),
        "text/markdown": to_markdown(transcript, style),
        "text/html": to_html(transcript, style),
    }
