"""Estimate tokens if the endpoint does not report them."""

from __future__ import annotations

from collections.abc import Sequence

from ..types import Usage
from .base import Message

__all__ = ["estimate"]

CHARACTERS_PER_TOKEN = 4


def estimate(messages: Sequence[Message], text: str) -> Usage:
    """Estimate the tokens of the messages and of the answer, at four characters for each token."""
    asked = sum(len(message.content) for message in messages)
    return Usage(prompt_tokens=count_tokens(asked), completion_tokens=count_tokens(len(text)), estimated=True)


def count_tokens(characters: int) -> int:
    return -(-characters // CHARACTERS_PER_TOKEN)
