"""Questions that a tool asks the user while its call runs."""

from __future__ import annotations

from collections.abc import Awaitable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from ..types import JSONObject, JSONValue

__all__ = ["Ask", "asking", "current_ask"]


class Ask(Protocol):
    """Asks the user to fill in a form."""

    def __call__(self, who: str, message: str, schema: JSONObject, /) -> Awaitable[Mapping[str, JSONValue] | None]:
        """Return the user's answers by the names in the schema; `None` if the user gives none.

        Args:
            who: Who asks.
            message: The question.
            schema: The JSON schema of the answers.
        """
        ...


_current: ContextVar[Ask | None] = ContextVar("codeact_ask", default=None)


def current_ask() -> Ask | None:
    """Return what asks the user on behalf of the call that runs; `None` outside of a call."""
    return _current.get()


@contextmanager
def asking(ask: Ask | None) -> Generator[None]:
    """Let the tool that is called in the `with` block ask the user."""
    token = _current.set(ask)
    try:
        yield
    finally:
        _current.reset(token)
