"""Turn events into what the user sees: a mimebundle of plain text, Markdown and HTML, in which all text is escaped."""

from __future__ import annotations

from ..types import TurnResult
from .card_state import to_card
from .html import to_html
from .markdown import to_markdown
from .progress_summary import summarise_progress
from .text import to_text
from .transcript import CallRow, Transcript

__all__ = ["CallRow", "Transcript", "bundle", "summarise_progress", "to_card", "to_html", "to_markdown", "to_text"]


def bundle(turn: Transcript | TurnResult) -> dict[str, str]:
    """Return the mimebundle of a running or finished turn."""
    transcript = Transcript.from_result(turn) if isinstance(turn, TurnResult) else turn
    return {
        "text/plain": to_text(transcript),
        "text/markdown": to_markdown(transcript),
        "text/html": to_html(transcript),
    }
