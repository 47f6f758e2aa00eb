"""What programs can use besides the tools: data of the notebook, files, the network, and what they show."""

from __future__ import annotations

from .registry import Capability, CapabilitySet

__all__ = ["Capability", "CapabilitySet"]
