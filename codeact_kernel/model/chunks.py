"""What the chunks of one streamed answer come to. Nobody has checked their shape: of each only what fits is taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from ..values import Usage
from .functions import FunctionCall

__all__ = ["Tally"]


@dataclass(slots=True)
class Tally:
    """What is known of one answer so far."""

    chunks: int = 0
    texts: list[str] = field(default_factory=list[str])
    refusals: list[str] = field(default_factory=list[str])
    finish: str | None = None
    usage: Usage | None = None
    function: FunctionCall = field(default_factory=FunctionCall)

    def take(self, chunk: object) -> str:
        """Add what one chunk tells, and return its text."""
        self.chunks += 1
        self.usage = usage_of(chunk) or self.usage
        choices: object = getattr(chunk, "choices", None)
        choice = cast("list[object]", choices)[0] if isinstance(choices, list) and choices else None
        finish = getattr(choice, "finish_reason", None)
        if isinstance(finish, str):
            self.finish = finish
        delta = getattr(choice, "delta", None)
        self.function.take(delta)
        self.refusals.append(text_of(delta, "refusal"))
        text = text_of(delta, "content")
        self.texts.append(text)
        return text


def usage_of(chunk: object) -> Usage | None:
    usage = getattr(chunk, "usage", None)
    counts = (getattr(usage, "prompt_tokens", None), getattr(usage, "completion_tokens", None))
    prompt, completion = (count if isinstance(count, int) and count >= 0 else None for count in counts)
    if prompt is None or completion is None:
        return None
    return Usage(prompt_tokens=prompt, completion_tokens=completion)


def text_of(delta: object, field_name: str) -> str:
    text = getattr(delta, field_name, None)
    return text if isinstance(text, str) else ""
