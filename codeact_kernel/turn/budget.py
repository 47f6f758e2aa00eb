"""How often the model may try in one turn: mending programs, looking at data, and calling tools itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..settings import Settings
from .prompt import Feedback

__all__ = ["TurnBudget"]

_BEGINNING = 400
_REFUSAL = re.compile(
    r"\b(?:can(?:['’]t|not| not)|won['’]t|will not|unable to|not able to) "
    r"(?:help|assist|comply|fulfil|support|do (?:that|this)|provide (?:that|this|assistance))",
    re.IGNORECASE,
)
"""A model that does not want to do the task. One that only says that it has no data did not look at its tools."""


@dataclass(slots=True)
class TurnBudget:
    """What was used up of `settings`."""

    settings: Settings
    repairs: int = 0
    observations: int = 0
    calls: int = 0
    told_nothing: bool = False
    asked_for_call: bool = False

    @property
    def is_last_retry(self) -> bool:
        """Whether the next thing to be mended is the end."""
        return self.repairs >= self.settings.max_retries

    @property
    def is_last_program(self) -> bool:
        """Whether no program can follow the next one, so that nothing need be kept for it."""
        return self.is_last_retry and self.observations >= self.settings.limits.observations

    def may_tell_of_nothing(self) -> bool:
        """Whether the model is told that its program ended with nothing: once in a turn, if it may write another."""
        told, self.told_nothing = self.told_nothing, True
        return not told and not self.is_last_retry

    @property
    def too_many_calls(self) -> str:
        """Why the model may call no tool itself any more, or nothing."""
        most = self.settings.limits.direct_calls
        if self.calls < most:
            return ""
        return f"the model called tools itself {most} times and came to no end: ask for less at once"

    def may_ask_for_call(self, words: str, tokens: int) -> bool:
        """Whether the model may be asked once more that answered in `words` and called no tool.

        Not twice in a turn, not where it refused the task, and not where the user wants no second model turn.
        """
        return (
            not self.asked_for_call
            and self.settings.max_retries > 0
            and tokens < self.settings.limits.turn_tokens
            and not _REFUSAL.search(words[:_BEGINNING])
        )

    def charge(self, feedback: Feedback, tokens: int) -> tuple[bool, str]:
        """Whether the model may have another try after this and so many `tokens`; and why not, where its last error
        does not say it."""
        most = self.settings.limits.turn_tokens
        if feedback.charges == "end":
            return False, ""
        if tokens >= most and feedback.reason:
            return False, f"the turn used {tokens:,} tokens and may use {most:,} (--limits turn_tokens=… allows more)"
        match feedback.charges:
            case "nothing":
                return bool(feedback.reason), ""  # rejected without a word: there is nothing to tell the model
            case "repair" | "repeat":
                self.repairs += 1
                return self.repairs <= self.settings.max_retries, ""
            case "look":
                self.observations += 1
                often = self.observations > self.settings.limits.observations
                message = f"the model looked at data {self.observations} times and gave no answer: ask for less at once"
                return not often, message if often else ""
            case "words":
                self.asked_for_call = True
                return True, ""
            case "call":
                self.calls += 1
                return self.calls <= self.settings.limits.direct_calls, ""
