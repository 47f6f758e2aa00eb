"""Summarise a turn in a few figures, for a program that executes a notebook and shows its progress."""

from __future__ import annotations

from ..types import JSONObject
from .calls import call_text
from .transcript import Transcript

__all__ = ["summarise_progress"]

_CALL = 60


def summarise_progress(transcript: Transcript) -> JSONObject:
    """Return the figures of a turn.

    Returns:
        `ask` is the first line of the prompt, `call` the running call, `calls` and `denied` are counts, `tokens` is 0
        until the turn is `over`.
    """
    rows = [row for attempt in transcript.attempts for row in attempt.calls]
    running = [row for row in rows[-20:] if row.answer is None]
    usage = transcript.result.usage if transcript.result is not None else None
    return {
        "ask": transcript.ask.strip().partition("\n")[0][:_CALL],
        "state": transcript.state,
        "call": call_text(running[-1])[:_CALL] if running and transcript.result is None else "",
        "calls": len(rows),
        "denied": sum(row.decision is not None and not row.decision.allowed for row in rows),
        "tokens": usage.prompt_tokens + usage.completion_tokens if usage is not None else 0,
        "over": transcript.result is not None,
    }
