"""Events to what a person sees: one mimebundle of plain text, Markdown and HTML. Pure, and everything is escaped."""

from __future__ import annotations

from ..types import TurnResult
from .card_state import to_card
from .html import to_html
from .markdown import to_markdown
from .progress_summary import brief
from .text import to_text
from .transcript import CallRow, Transcript

__all__ = ["CallRow", "Transcript", "brief", "bundle", "to_card", "to_html", "to_markdown", "to_text"]


def bundle(what: Transcript | TurnResult) -> dict[str, str]:
    """The mimebundle of a turn: as far as it has come, or of its result."""
    transcript = Transcript.from_result(what) if isinstance(what, TurnResult) else what
    return {
        "text/plain": to_text(transcript),
        "text/markdown": to_markdown(transcript),
        "text/html": to_html(transcript),
    }
