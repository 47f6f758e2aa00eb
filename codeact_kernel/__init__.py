"""CodeAct: a model answers a prompt with one program, which runs in a sandbox and calls the user's tools.

`async with Session(tools=[...]) as session: result = await session.ask("...")`

The worker process and the start of the kernel import this file as well, so each name is imported when it is first used
(PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .access import AllowedDomain, FileMount
    from .approval import ApprovalRequest, Approver, AutoApprove, DenyAll, ReviewDecision
    from .budgets import Budget
    from .capabilities.data import Frame
    from .configuration import from_environment
    from .errors import CodeActError, ModelError, ProgramError, SandboxError, ToolDefinitionError, UserError
    from .model.base import Delta, Message, ModelClient
    from .model.scripted import ScriptedModel
    from .secrets import Secret
    from .session import Session
    from .settings import Limits, Settings
    from .sources.openapi import openapi_tools
    from .tools import Registry, tool, tool_from_schema
    from .tools.progress import progress
    from .types import Decision, DisplayItem, OutputFile, ToolCall, TurnResult

__all__ = [
    "AllowedDomain",
    "ApprovalRequest",
    "Approver",
    "AutoApprove",
    "Budget",
    "CodeActError",
    "Decision",
    "Delta",
    "DenyAll",
    "DisplayItem",
    "FileMount",
    "Frame",
    "Limits",
    "Message",
    "ModelClient",
    "ModelError",
    "OutputFile",
    "ProgramError",
    "Registry",
    "ReviewDecision",
    "SandboxError",
    "ScriptedModel",
    "Secret",
    "Session",
    "Settings",
    "ToolCall",
    "ToolDefinitionError",
    "TurnResult",
    "UserError",
    "__version__",
    "from_environment",
    "openapi_tools",
    "progress",
    "tool",
    "tool_from_schema",
]
__version__ = "0.1.0"

_HOMES = {
    "access": ("AllowedDomain", "FileMount"),
    "approval": ("ApprovalRequest", "Approver", "AutoApprove", "DenyAll", "ReviewDecision"),
    "budgets": ("Budget",),
    "configuration": ("from_environment",),
    "capabilities.data": ("Frame",),
    "errors": ("CodeActError", "ModelError", "ProgramError", "SandboxError", "ToolDefinitionError", "UserError"),
    "model.base": ("Delta", "Message", "ModelClient"),
    "model.scripted": ("ScriptedModel",),
    "secrets": ("Secret",),
    "session": ("Session",),
    "settings": ("Limits", "Settings"),
    "sources.openapi": ("openapi_tools",),
    "tools": ("Registry", "tool", "tool_from_schema"),
    "tools.progress": ("progress",),
    "types": ("Decision", "DisplayItem", "OutputFile", "ToolCall", "TurnResult"),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f".{home}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
