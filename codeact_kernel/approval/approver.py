"""Who may say yes to a call: pure rules, and the seam to a person.

A call is decided at the bridge, when it happens, whatever the program, the prelude or preflight said before. Doubt
means no: an unknown tool, nobody there, or an approver that fails is a denial.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Literal, Protocol

from .values import Decision, ToolCall

__all__ = ["Approver", "AutoApprove", "DenyAll", "needs_person"]


class Approver(Protocol):
    """Decides about one call that needs approval, perhaps by asking a person."""

    async def decide(self, call: ToolCall) -> Decision:
        """The decision; it is good for this call alone."""
        ...


class AutoApprove:
    """Says yes to everything. For scripts whose author is the person."""

    async def decide(self, call: ToolCall) -> Decision:
        return Decision(allowed=True, by="policy")


class DenyAll:
    """Says no, because nobody is there to ask; tells how to allow the tool beforehand."""

    async def decide(self, call: ToolCall) -> Decision:
        return Decision(
            allowed=False,
            by="nobody",
            reason=f"{call.name} needs approval and nobody is here to give it: "
            f"allow it beforehand with --allow {call.name} or CODEACT_ALLOW={call.name}",
        )


def needs_person(name: str, approval_mode: Literal["always_require", "never_require"], allow: Set[str]) -> bool:
    """Whether a call of the tool must be decided by an approver."""
    return approval_mode == "always_require" and name not in allow
