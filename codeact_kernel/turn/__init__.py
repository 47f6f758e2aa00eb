"""One prompt from beginning to end: ask the model, check its program, run it, answer its calls, give the result."""

from __future__ import annotations

from .turn import run_turn

__all__ = ["run_turn"]
