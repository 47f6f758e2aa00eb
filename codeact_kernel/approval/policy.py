"""Where the calls of one turn wait for their decisions, and what a decision means for those that come after it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable
from dataclasses import replace
from typing import TypeVar, cast

from ..settings import Limits
from ..types import Decision
from .approver import Approver
from .grants import Grants
from .request import ApprovalRequest, ReviewDecision

__all__ = ["ApprovalPolicy"]

T = TypeVar("T")


class ApprovalPolicy:
    """The decisions of one turn. Several questions may be open; each gets an answer of its own.

    An answer that holds for longer settles what is asked after it, and never a question that a person is looking at:
    they may be about to change or to deny that very call.

    Args:
        grants: what was allowed before this turn, and outlives it.
    """

    def __init__(self, approver: Approver, grants: Grants, limits: Limits) -> None:
        self._approver = approver
        self._grants = grants
        self._limits = limits
        self._cell: set[tuple[str, str, bool]] = set()
        self._denied: Counter[str] = Counter()

    def remembered_decision(self, question: ApprovalRequest) -> Decision | None:
        """The decision that needs nobody any more."""
        if _in_cell(question) in self._cell:
            return Decision(choice="allow_cell", by="memory")
        if not question.untrusted and (granted := self._grants.find(question)) is not None:
            return granted
        if self._denied[question.call.name] >= self._limits.denials_per_tool:
            reason = f"{question.call.name} was denied too often in this turn"
            return Decision(choice="reject", by="policy", reason=reason)
        return None

    async def decide(self, question: ApprovalRequest) -> Decision:
        """Ask, and wait for the answer. No answer is a no."""
        question = replace(question, already_decided=lambda: self.remembered_decision(question))
        try:
            decision = await self._within(self._approver.decide(question))
        except TimeoutError:
            return self._unanswered(question, self._too_late)
        except Exception as error:  # whatever goes wrong with asking
            return self._unanswered(question, f"asking failed: {type(error).__name__}")
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise asyncio.CancelledError  # an approver that does not let go decides nothing any more
        if not isinstance(cast("object", decision), Decision):  # an approver may be anybody's
            return self._unanswered(question, "asking failed: no decision came of it")
        if decision.by == "person":
            self._remember(question, decision)
        return decision

    async def review(self, program: str, problem: str) -> ReviewDecision:
        """What becomes of a program before it runs. No answer is a no."""
        try:
            return await self._within(self._approver.review(program, problem))
        except TimeoutError:
            return ReviewDecision(program=None, comment=self._too_late, by="nobody")
        except Exception as error:
            return ReviewDecision(program=None, comment=f"asking failed: {type(error).__name__}", by="nobody")

    def _unanswered(self, question: ApprovalRequest, reason: str) -> Decision:
        """A no, that counts as one: what nobody answers is not asked without end."""
        self._denied[question.call.name] += 1
        return Decision(choice="reject", by="nobody", reason=reason)

    def _remember(self, question: ApprovalRequest, decision: Decision) -> None:
        self._denied[question.call.name] += decision.choice == "reject"
        if decision.arguments is not None:
            if not (version := question.tool_version_for(decision.arguments)):
                return
            question = replace(question, call=replace(question.call, version=version))
        if decision.choice == "allow_cell" or (question.untrusted and decision.choice == "allow_session"):
            self._cell.add(_in_cell(question))
        self._grants.remember(question, decision)

    @property
    def _too_late(self) -> str:
        return f"nobody decided within {self._limits.decision_seconds:g} s"

    async def _within(self, answer: Awaitable[T]) -> T:
        async with asyncio.timeout(self._limits.decision_seconds) as limit:
            given = await answer
        if limit.expired():  # an approver that does not let go decides nothing any more
            raise TimeoutError
        return given


def _in_cell(question: ApprovalRequest) -> tuple[str, str, bool]:
    """What an answer for the cell is for. One from before an outsider's text came in does not hold after it."""
    return (*question.tool, bool(question.untrusted))
