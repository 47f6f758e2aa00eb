"""The functions a person offers: `@tool` marks them, a `Registry` checks and makes the calls."""

from __future__ import annotations

from .decorator import tool
from .registry import ApprovalMode, BoundCall, OnMain, Registry, ToolCallError, ToolSpec, default_registry
from .results import to_json

__all__ = [
    "ApprovalMode",
    "BoundCall",
    "OnMain",
    "Registry",
    "ToolCallError",
    "ToolSpec",
    "default_registry",
    "to_json",
    "tool",
]
