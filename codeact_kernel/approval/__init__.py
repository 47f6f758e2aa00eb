"""Who may say yes: pure rules, what a person said before, and the seam to a person.

A call is decided at the bridge, when it happens, whatever the program, the prelude or preflight said before. Doubt
means no: an unknown tool, nobody there, or an approver that fails is a denial.
"""

from __future__ import annotations

from .approver import Approver, AutoApprove, DenyAll, requires_approval
from .grants import Grant, Grants
from .policy import ApprovalPolicy
from .request import ApprovalRequest, ReviewDecision

__all__ = [
    "ApprovalPolicy",
    "ApprovalRequest",
    "Approver",
    "AutoApprove",
    "DenyAll",
    "Grant",
    "Grants",
    "ReviewDecision",
    "requires_approval",
]
