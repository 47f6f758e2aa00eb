"""The functions that a user offers: `@tool` marks them, a `Registry` checks and makes the calls.

The CodeAct kernel imports this package when it starts, so everything but `tool` is imported when it is first used
(PEP 562). `progress` and `to_json` are only in the modules of these names: importing those would replace them here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .decorator import tool
from .options import ApprovalMode, ToolOptions

if TYPE_CHECKING:
    from .conversion import as_tool
    from .from_schema import tool_from_schema
    from .registry import Registry, default_registry
    from .search import ToolIndex
    from .shared_notes import join_stubs, take_fitting
    from .spec import MARK, BoundCall, Convert, OnMain, Tool, ToolCallError, ToolSpec

__all__ = [
    "MARK",
    "ApprovalMode",
    "BoundCall",
    "Convert",
    "OnMain",
    "Registry",
    "Tool",
    "ToolCallError",
    "ToolIndex",
    "ToolOptions",
    "ToolSpec",
    "as_tool",
    "default_registry",
    "join_stubs",
    "take_fitting",
    "tool",
    "tool_from_schema",
]

_HOMES = {
    "conversion": ("as_tool",),
    "from_schema": ("tool_from_schema",),
    "registry": ("Registry", "default_registry"),
    "search": ("ToolIndex",),
    "shared_notes": ("join_stubs", "take_fitting"),
    "spec": ("MARK", "BoundCall", "Convert", "OnMain", "Tool", "ToolCallError", "ToolSpec"),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f".{home}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
