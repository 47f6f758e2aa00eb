"""Send HTTP requests of programs to the domains that the user allows."""

from __future__ import annotations

from .capability import Network

__all__ = ["Network"]
