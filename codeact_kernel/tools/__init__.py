"""The functions a person offers: `@tool` marks them, a `Registry` checks and makes the calls."""

from __future__ import annotations

from .decorator import as_tool, tool
from .progress import progress
from .registry import MARK, Registry, default_registry
from .shared_notes import join_stubs
from .spec import ApprovalMode, BoundCall, Convert, OnMain, Tool, ToolCallError, ToolOptions, ToolSpec
from .to_json import to_json

__all__ = [
    "MARK",
    "ApprovalMode",
    "BoundCall",
    "Convert",
    "OnMain",
    "Registry",
    "Tool",
    "ToolCallError",
    "ToolOptions",
    "ToolSpec",
    "as_tool",
    "default_registry",
    "join_stubs",
    "progress",
    "to_json",
    "tool",
]
