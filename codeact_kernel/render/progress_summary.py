"""A turn in a few figures, for a program that executes a notebook and shows how far it is."""

from __future__ import annotations

from ..types import JSONObject
from .shared import call_text
from .transcript import Transcript

__all__ = ["brief"]

_CALL = 60


def brief(transcript: Transcript) -> JSONObject:
    """`ask` (its first line), `state`, `call` (that runs now), `calls`, `denied`, `tokens` (at the end), `over`."""
    rows = [row for attempt in transcript.attempts for row in attempt.calls]
    now = [row for row in rows[-20:] if row.answer is None]
    usage = transcript.result.usage if transcript.result is not None else None
    return {
        "ask": transcript.ask.strip().partition("\n")[0][:_CALL],
        "state": transcript.state,
        "call": call_text(now[-1])[:_CALL] if now and transcript.result is None else "",
        "calls": len(rows),
        "denied": sum(row.decision is not None and not row.decision.allowed for row in rows),
        "tokens": usage.prompt_tokens + usage.completion_tokens if usage is not None else 0,
        "over": transcript.result is not None,
    }
