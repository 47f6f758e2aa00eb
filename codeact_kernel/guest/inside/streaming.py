"""A program that begins while the model still writes it comes in pieces."""

from typing import Any

from .tool_calls import service

_comes = False


def start_run(told: dict[str, Any], namespace: dict[str, Any]) -> None:
    """Whether there may be more of the program than the guest has."""
    global _comes
    _comes = told["more"]


def more() -> str | None:
    """The next statements of the program, once they are there; `None` when that was all."""
    return service("program.next") if _comes else None
