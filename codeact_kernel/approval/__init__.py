"""Decide about calls that need approval: pure rules, earlier permissions, and the interface to the user.

A call is decided when it reaches the host, whatever the program, the guest or preflight said before. In doubt it is
denied: an unknown tool, no user to ask, or an approver that fails.
"""

from __future__ import annotations

from .approver import Approver, AutoApprove, DenyAll, requires_approval
from .grants import Grant, Grants
from .policy import ApprovalPolicy
from .request import ApprovalRequest, ArgumentValidator, DecisionMemory, ReviewDecision

__all__ = [
    "ApprovalPolicy",
    "ApprovalRequest",
    "Approver",
    "ArgumentValidator",
    "AutoApprove",
    "DecisionMemory",
    "DenyAll",
    "Grant",
    "Grants",
    "ReviewDecision",
    "requires_approval",
]
