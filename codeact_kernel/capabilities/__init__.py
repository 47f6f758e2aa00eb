"""Give programs more than tools: data of the notebook, files, HTTP requests, and items to display."""

from __future__ import annotations

from .registry import CapabilitySet

__all__ = ["CapabilitySet"]
