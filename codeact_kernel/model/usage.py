"""Tokens, where the endpoint does not tell them."""

from __future__ import annotations

from collections.abc import Sequence

from ..types import Usage
from .base import Message

__all__ = ["estimate"]

CHARACTERS_PER_TOKEN = 4


def estimate(messages: Sequence[Message], text: str) -> Usage:
    """Count what was asked and what was answered so far as four characters per token, and say that it is a guess."""
    asked = sum(len(message.content) for message in messages)
    return Usage(prompt_tokens=count_tokens(asked), completion_tokens=count_tokens(len(text)), estimated=True)


def count_tokens(characters: int) -> int:
    return -(-characters // CHARACTERS_PER_TOKEN)
