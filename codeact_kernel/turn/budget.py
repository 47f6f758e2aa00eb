"""Count how often the model may try again in one turn: retries, observations, and direct calls."""

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
"""Words with which a model refuses the task. A model that only says that it has no data has not looked at its tools."""


@dataclass(slots=True)
class TurnBudget:
    """The tries that a turn has used of those that its settings allow."""

    settings: Settings
    retries: int = 0
    observations: int = 0
    calls: int = 0
    has_reported_no_value: bool = False
    has_asked_for_call: bool = False

    @property
    def is_last_retry(self) -> bool:
        """Whether no retry is left."""
        return self.retries >= self.settings.max_retries

    @property
    def is_last_program(self) -> bool:
        """Whether no program can follow the next one, so that its variables need not be kept."""
        return self.is_last_retry and self.observations >= self.settings.limits.observations

    def may_report_no_value(self) -> bool:
        """Return whether to tell the model that its program ended with nothing: once in a turn, if a retry is left."""
        was_reported, self.has_reported_no_value = self.has_reported_no_value, True
        return not was_reported and not self.is_last_retry

    @property
    def too_many_calls(self) -> str:
        """Why the model may make no more direct calls, or an empty text."""
        max_calls = self.settings.limits.direct_calls
        if self.calls < max_calls:
            return ""
        return f"the model called tools itself {max_calls} times and did not finish: ask for less at once"

    def may_ask_for_call(self, words: str) -> bool:
        """Return whether to ask the model once more after it answered in words and called no tool.

        It is asked at most once in a turn, and not if it refused the task or the user allows no retries.

        Args:
            words: the answer of the model.
        """
        return not self.has_asked_for_call and self.settings.max_retries > 0 and not _REFUSAL.search(words[:_BEGINNING])

    def charge(self, feedback: Feedback) -> tuple[bool, str]:
        """Count the feedback, and return whether the model may have another try.

        Returns:
            Whether it may, and if not, the reason where the turn's last error does not contain it.
        """
        match feedback.charges:
            case "everything":
                return False, ""
            case "nothing":
                return bool(feedback.reason), ""  # rejected without a comment: the model gets no new information
            case "retry" | "repeated_program":
                self.retries += 1
                return self.retries <= self.settings.max_retries, ""
            case "observation":
                self.observations += 1
                is_over_limit = self.observations > self.settings.limits.observations
                message = f"the model looked at data {self.observations} times and gave no answer: ask for less at once"
                return not is_over_limit, message if is_over_limit else ""
            case "question":
                self.has_asked_for_call = True
                return True, ""
            case "direct_call":
                self.calls += 1
                return self.calls <= self.settings.limits.direct_calls, ""
