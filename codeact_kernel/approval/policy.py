"""Wait for decisions about the calls of one turn, and apply them to later calls."""

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
    """The decisions of one turn. Several requests may be open at once, and each gets its own decision.

    A decision that also covers later calls never closes a request that the user is already looking at: they may be
    about to edit or deny that very call.

    Args:
        grants: The permissions from before this turn, which outlive it.
    """

    def __init__(self, approver: Approver, grants: Grants, limits: Limits) -> None:
        self._approver = approver
        self._grants = grants
        self._limits = limits
        self._allowed_in_cell: set[tuple[str, str, bool]] = set()
        self._denied: Counter[str] = Counter()

    def remembered_decision(self, request: ApprovalRequest) -> Decision | None:
        """Return the decision about `request` if it needs no user any more."""
        if _cell_key(request) in self._allowed_in_cell:
            return Decision(choice="allow_cell", by="memory")
        if not request.untrusted and (granted := self._grants.find(request)) is not None:
            return granted
        if self._denied[request.call.name] >= self._limits.denials_per_tool:
            reason = f"{request.call.name} was denied too often in this turn"
            return Decision(choice="reject", by="policy", reason=reason)
        return None

    async def decide(self, request: ApprovalRequest) -> Decision:
        """Ask the approver and return its decision; without an answer, the call is denied.

        A decision about a question of a tool covers no later one.
        """
        try:
            decision = await self._within(self._approver.decide(replace(request, memory=self)))
        except TimeoutError:
            return self._deny_unanswered(request, self._timeout_reason)
        except Exception as error:  # approvers can be third-party code
            return self._deny_unanswered(request, f"asking failed: {type(error).__name__}")
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise asyncio.CancelledError  # the approver suppressed its cancellation: its decision comes too late
        if not isinstance(cast("object", decision), Decision):
            return self._deny_unanswered(request, "asking failed: no decision came of it")
        if decision.by == "user" and not request.is_question:
            self._remember(request, decision)
        return decision

    async def review(self, program: str, problem: str) -> ReviewDecision:
        """Ask the approver about a program; without an answer, it is rejected."""
        try:
            return await self._within(self._approver.review(program, problem))
        except TimeoutError:
            return ReviewDecision(program=None, comment=self._timeout_reason, by="nobody")
        except Exception as error:
            return ReviewDecision(program=None, comment=f"asking failed: {type(error).__name__}", by="nobody")

    def _deny_unanswered(self, request: ApprovalRequest, reason: str) -> Decision:
        """Deny the call, and count the denial, so that a program cannot ask without end if nobody answers."""
        self._denied[request.call.name] += 1
        return Decision(choice="reject", by="nobody", reason=reason)

    def _remember(self, request: ApprovalRequest, decision: Decision) -> None:
        self._denied[request.call.name] += decision.choice == "reject"
        if decision.arguments is not None:
            if not (version := request.tool_version_for(decision.arguments)):
                return
            request = replace(request, call=replace(request.call, version=version))
        if decision.choice == "allow_cell" or (request.untrusted and decision.choice == "allow_session"):
            self._allowed_in_cell.add(_cell_key(request))
        self._grants.remember(request, decision)

    @property
    def _timeout_reason(self) -> str:
        return f"nobody decided within {self._limits.decision_seconds:g} s"

    async def _within(self, answer: Awaitable[T]) -> T:
        async with asyncio.timeout(self._limits.decision_seconds) as timeout:
            result = await answer
        if timeout.expired():  # the approver suppressed its cancellation: its answer comes too late
            raise TimeoutError
        return result


def _cell_key(request: ApprovalRequest) -> tuple[str, str, bool]:
    """Return the key of a decision for the cell. It changes when text from an outsider comes in."""
    return (*request.tool, bool(request.untrusted))
