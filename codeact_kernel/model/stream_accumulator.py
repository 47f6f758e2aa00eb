"""Accumulate the chunks of one streamed answer.

A chunk is unchecked JSON from the endpoint, so only fields of the expected type are used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from ..types import Usage
from .function_calls import FunctionCall, get_field

__all__ = ["StreamAccumulator"]

REFUSAL_CHARACTERS = 2_000
"""How much of a refusal is kept; less of it is shown."""
ANSWER_FIELDS = ("content", "reasoning", "reasoning_content", "reasoning_details", "refusal", "tool_calls")
"""Fields of a delta that hold a part of an answer."""


@dataclass(slots=True)
class StreamAccumulator:
    """The parts of one answer received so far."""

    chunks: int = 0
    texts: list[str] = field(default_factory=list[str])
    refusal: str = ""
    finish: str | None = None
    usage: Usage | None = None
    function: FunctionCall = field(default_factory=FunctionCall)

    def take(self, chunk: object) -> str | None:
        """Add one chunk.

        Returns:
            The text, which can be empty; `None` if the chunk has no part of an answer, and so counts as silence.
        """
        self.chunks += 1
        usage = read_usage(chunk)
        choices = get_field(chunk, "choices")
        choice = cast("list[object]", choices)[0] if isinstance(choices, list) and choices else None
        finish = get_field(choice, "finish_reason")
        delta = get_field(choice, "delta")
        if usage is None and not isinstance(finish, str) and not any(get_field(delta, name) for name in ANSWER_FIELDS):
            return None
        self.usage = usage or self.usage
        self.finish = finish if isinstance(finish, str) else self.finish
        self.function.take(delta)
        self.refusal += read_text(delta, "refusal")[: REFUSAL_CHARACTERS - len(self.refusal)]
        text = read_text(delta, "content")
        if text:
            self.texts.append(text)
        return text


def read_usage(chunk: object) -> Usage | None:
    usage = get_field(chunk, "usage")
    counts = (get_field(usage, "prompt_tokens"), get_field(usage, "completion_tokens"))
    prompt, completion = (count if isinstance(count, int) and count >= 0 else None for count in counts)
    if prompt is None or completion is None:
        return None
    return Usage(prompt_tokens=prompt, completion_tokens=completion)


def read_text(delta: object, name: str) -> str:
    text = get_field(delta, name)
    return text if isinstance(text, str) else ""
