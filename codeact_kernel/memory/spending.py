"""Add up what turns use: the tokens of each model, and calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ..types import Usage

__all__ = ["Spending", "UsedTokens"]


@dataclass(frozen=True, kw_only=True, slots=True)
class UsedTokens:
    """What some turns with the same model used.

    Attributes:
        group: what the turns have in common: the number of the turn, or the day.
        endpoint: the URL of the model; empty if it is not behind one.
        is_live: whether a model answered, and not a record or a script.
        answers: how many times the model was asked.
        seconds: the time of the turns without the time for decisions.
    """

    group: str = ""
    model: str
    endpoint: str
    is_live: bool
    turns: int = 0
    answers: int = 1
    usage: Usage
    seconds: float = 0.0


@dataclass(slots=True)
class Spending:
    """What a cell or a session has used so far.

    Attributes:
        calls: how many tool calls were made.
        unpriced: the models without a known price, of which the user has been told.
    """

    calls: int = 0
    unpriced: set[str] = field(default_factory=set[str])
    _by_model: dict[tuple[str, str, bool], UsedTokens] = field(default_factory=dict[tuple[str, str, bool], UsedTokens])

    def add_answer(self, answer: UsedTokens) -> None:
        """Add the tokens of one answer."""
        key = (answer.model, answer.endpoint, answer.is_live)
        before = self._by_model.get(key)
        if before is not None:
            answer = replace(before, answers=before.answers + answer.answers, usage=before.usage + answer.usage)
        self._by_model[key] = answer

    @property
    def by_model(self) -> Sequence[UsedTokens]:
        """The tokens of each model."""
        return tuple(self._by_model.values())

    @property
    def usage(self) -> Usage:
        """The tokens of all models."""
        return sum((used.usage for used in self._by_model.values()), Usage())

    @property
    def tokens(self) -> int:
        """The tokens of all models, read and written."""
        return self.usage.prompt_tokens + self.usage.completion_tokens

    def clear(self) -> None:
        """Begin again at zero."""
        self.calls = 0
        self._by_model.clear()
