"""The open questions of one turn. What a person answers to one of them may settle others."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable
from typing import TypeVar

from ..settings import Limits
from ..values import Decision
from .approver import Approver
from .grants import Grants
from .question import Question, Verdict

__all__ = ["Desk"]

T = TypeVar("T")


class Desk:
    """Where the calls of a turn wait for their decisions.

    Args:
        grants: what was allowed before this turn, and outlives it.
    """

    def __init__(self, approver: Approver, grants: Grants, limits: Limits) -> None:
        self._approver = approver
        self._grants = grants
        self._limits = limits
        self._open: dict[asyncio.Future[Decision], tuple[Question, asyncio.Task[None]]] = {}
        self._cell: set[tuple[str, str]] = set()
        self._denied: Counter[str] = Counter()

    def known(self, question: Question) -> Decision | None:
        """The decision that needs nobody any more."""
        if question.tool in self._cell:
            return Decision(choice="allow_cell", by="memory")
        if (granted := self._grants.cover(question)) is not None:
            return granted
        if self._denied[question.call.name] >= self._limits.denials_per_tool:
            reason = f"{question.call.name} was denied too often in this turn"
            return Decision(choice="reject", by="policy", reason=reason)
        return None

    async def decide(self, question: Question) -> Decision:
        """Ask, and wait for the answer, or for that to another question that settles this one."""
        settled: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        asking = asyncio.create_task(self._ask(question, settled))
        self._open[settled] = (question, asking)
        try:
            return await settled
        finally:
            del self._open[settled]
            asking.cancel()

    async def review(self, program: str, problem: str) -> Verdict:
        """What becomes of a program before it runs. No answer is a no."""
        try:
            return await self._within(self._approver.review(program, problem))
        except TimeoutError:
            return Verdict(program=None, comment=self._too_late, by="nobody")
        except Exception as error:
            return Verdict(program=None, comment=f"asking failed: {type(error).__name__}", by="nobody")

    async def _ask(self, question: Question, settled: asyncio.Future[Decision]) -> None:
        try:
            decision = await self._within(self._approver.decide(question))
        except TimeoutError:
            decision = Decision(choice="reject", by="nobody", reason=self._too_late)
        except Exception as error:  # whatever goes wrong with asking: no answer is a no
            decision = Decision(choice="reject", by="nobody", reason=f"asking failed: {type(error).__name__}")
        if not settled.done():  # it may have been settled while this answer was on its way: then that holds
            settled.set_result(decision)
            self._learn(question, decision)

    def _learn(self, question: Question, decision: Decision) -> None:
        if decision.choice == "allow_cell":
            self._cell.add(question.tool)
        self._grants.remember(question, decision)
        self._denied[question.call.name] += decision.choice == "reject" and decision.by == "person"
        for settled, (other, asking) in self._open.items():
            if not settled.done() and (known := self.known(other)) is not None:
                settled.set_result(known)
                asking.cancel()  # at once: nobody is asked what is settled

    @property
    def _too_late(self) -> str:
        return f"nobody decided within {self._limits.decision_seconds:g} s"

    async def _within(self, answer: Awaitable[T]) -> T:
        async with asyncio.timeout(self._limits.decision_seconds):
            return await answer
