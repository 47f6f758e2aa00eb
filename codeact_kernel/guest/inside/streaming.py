"""Fetch the next statements of a program that starts while the model is still writing it."""

from typing import Any

from .tool_calls import call_host

_is_streaming = False


def start_run(config: dict[str, Any], namespace: dict[str, Any]) -> None:
    """Note whether more statements may follow those that the guest has."""
    global _is_streaming
    _is_streaming = config["more"]


def next_statements() -> str | None:
    """Wait for the next statements of the program, and return them. Returns `None` at its end."""
    return call_host("program", "next") if _is_streaming else None
