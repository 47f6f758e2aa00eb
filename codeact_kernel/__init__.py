"""The engine of CodeAct: one program per prompt, run in a sandbox that calls the notebook's tools.

Light on purpose: the worker process imports this file too, so what is heavy (`tool` brings pydantic) comes when it is
asked for (PEP 562).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .session import Session
    from .tools import tool

__all__ = ["Session", "__version__", "tool"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name == "tool":
        from .tools import tool

        return tool
    if name == "Session":
        from .session import Session

        return Session
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
