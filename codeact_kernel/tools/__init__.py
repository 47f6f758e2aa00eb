"""The functions a person offers: `@tool` marks them, a `Registry` checks and makes the calls."""

from __future__ import annotations

from .decorator import as_tool, tool
from .registry import MARK, ApprovalMode, BoundCall, OnMain, Registry, ToolCallError, ToolSpec, default_registry
from .reporting import progress
from .results import to_json

__all__ = [
    "MARK",
    "ApprovalMode",
    "BoundCall",
    "OnMain",
    "Registry",
    "ToolCallError",
    "ToolSpec",
    "as_tool",
    "default_registry",
    "progress",
    "to_json",
    "tool",
]
