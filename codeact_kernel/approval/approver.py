"""The interface to the user who decides about calls, and approvers that decide without a user."""

from __future__ import annotations

from collections.abc import Set
from typing import Literal, Protocol

from ..types import Decision
from .request import ApprovalRequest, ReviewDecision

__all__ = ["Approver", "AutoApprove", "DenyAll", "how_to_allow", "requires_approval"]


class Approver(Protocol):
    """Decides about requests, for example by asking the user. Several requests may be open at once."""

    async def decide(self, request: ApprovalRequest, /) -> Decision:
        """Return the decision about one call. Cancelled if the request is decided in another way."""
        ...

    async def review(self, program: str, problem: str, /) -> ReviewDecision:
        """Return the decision about a program before it runs.

        Args:
            problem: Why the last edit of the program cannot run; empty at first.
        """
        ...


class AutoApprove:
    """Approves everything. Use it in scripts whose author is also their user."""

    async def decide(self, request: ApprovalRequest, /) -> Decision:
        return Decision(choice="allow_once", by="policy")

    async def review(self, program: str, problem: str, /) -> ReviewDecision:
        return ReviewDecision(program=program, by="policy")


class DenyAll:
    """Denies every call that needs approval, for runs without a user, and says how to allow the tool beforehand."""

    async def decide(self, request: ApprovalRequest, /) -> Decision:
        name = request.call.name
        reason = f"{name} needs approval and nobody is here to give it: {how_to_allow(name)}"
        if request.untrusted:
            reason = (
                f"{name} needs approval, since {request.untrusted} returned text that an outsider can write, and "
                "nobody is here to give it: run the cell where somebody can answer"
            )
        return Decision(choice="reject", by="nobody", reason=reason)

    async def review(self, program: str, problem: str, /) -> ReviewDecision:
        comment = "The program needs a review and nobody is here to do it: leave out --review"
        return ReviewDecision(program=None, comment=comment, by="nobody")


def how_to_allow(name: str) -> str:
    """Describe the ways to allow a tool beforehand."""
    if name == "http_request":
        return 'give the host approval_mode="never_require" in allowed_domains'
    return (
        f"allow it beforehand with --allow {name}, with CODEACT_ALLOW={name}, "
        f'or with c.CodeAct.allow = ["{name}"] in ipython_config.py'
    )


def requires_approval(name: str, approval_mode: Literal["always_require", "never_require"], allow: Set[str]) -> bool:
    """Whether an approver must decide about calls of the tool, in a turn without text from outsiders."""
    return approval_mode == "always_require" and name not in allow
