"""What programs can use besides the tools: data of the notebook, files, the network, and what they show."""

from __future__ import annotations

from .registry import CapabilitySet

__all__ = ["CapabilitySet"]
