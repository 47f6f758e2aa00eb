"""The seam to a person, and what stands there where none is."""

from __future__ import annotations

from collections.abc import Set
from typing import Literal, Protocol

from ..types import Decision
from .request import ApprovalRequest, ReviewDecision

__all__ = ["Approver", "AutoApprove", "DenyAll", "how_to_allow", "requires_approval"]


class Approver(Protocol):
    """Decides what needs a decision, perhaps by asking a person. Several questions may be open at once."""

    async def decide(self, question: ApprovalRequest) -> Decision:
        """The decision about one call. Cancelled when the question is settled otherwise."""
        ...

    async def review(self, program: str, problem: str) -> ReviewDecision:
        """What becomes of a program before it runs. `problem` says why the last edit of it cannot run."""
        ...


class AutoApprove:
    """Says yes to everything. For scripts whose author is the person."""

    async def decide(self, question: ApprovalRequest) -> Decision:
        return Decision(choice="allow_once", by="policy")

    async def review(self, program: str, problem: str) -> ReviewDecision:
        return ReviewDecision(program=program, by="policy")


class DenyAll:
    """Says no, because nobody is there to ask; tells how to allow the tool beforehand."""

    async def decide(self, question: ApprovalRequest) -> Decision:
        name = question.call.name
        reason = f"{name} needs approval and nobody is here to give it: {how_to_allow(name)}"
        if question.untrusted:
            reason = (
                f"{name} needs approval, since {question.untrusted} returned text that an outsider can write, and "
                "nobody is here to give it: run the cell where somebody can answer"
            )
        return Decision(choice="reject", by="nobody", reason=reason)

    async def review(self, program: str, problem: str) -> ReviewDecision:
        comment = "The program was to be reviewed and nobody is here to do it: leave out --review"
        return ReviewDecision(program=None, comment=comment, by="nobody")


def how_to_allow(name: str) -> str:
    """The three ways to allow a tool beforehand."""
    if name == "http_request":
        return 'give the host approval_mode="never_require" in allowed_domains'
    return (
        f"allow it beforehand with --allow {name}, with CODEACT_ALLOW={name}, "
        f'or with c.CodeAct.allow = ["{name}"] in ipython_config.py'
    )


def requires_approval(name: str, approval_mode: Literal["always_require", "never_require"], allow: Set[str]) -> bool:
    """Whether a call of the tool must be decided by an approver, in a turn that has read nothing from outsiders."""
    return approval_mode == "always_require" and name not in allow
