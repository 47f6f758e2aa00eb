"""Let programs find the tools whose stubs are not in the prompt."""

from __future__ import annotations

from .capability import Discovery

__all__ = ["Discovery"]
