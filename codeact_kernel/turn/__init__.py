"""Run a turn: ask the model, check its program, run it, answer its calls, and return the result."""

from __future__ import annotations

from .context import TurnContext
from .turn import run_turn

__all__ = ["TurnContext", "run_turn"]
