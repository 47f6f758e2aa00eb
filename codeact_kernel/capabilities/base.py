"""Define the interface of capabilities. `capability.py` declares them, and each has a folder here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeAlias

from ..settings import Limits
from ..tools import BoundCall, ToolSpec
from ..types import JSONObject, JSONValue

__all__ = ["BuiltinTool", "BytesHandler", "Capability", "Handler"]

Handler: TypeAlias = Callable[[JSONObject], Awaitable[JSONValue]]
"""Answers a request of a program. Raises ProgramError with a text for the program."""
BytesHandler: TypeAlias = Callable[[JSONObject, bytes], Awaitable[bytes]]
"""Answers a request that bytes belong to, with bytes. Raises as a `Handler` does."""


class Capability(Protocol):
    """The host half of one capability, for one turn.

    Its guest half is the module `guest.inside.<name>`. The guest calls the function `start_run(config, namespace)` of
    that module before the program. If it returns a function, the guest calls that after the program, with the
    program's value. The guest half calls the handlers, which must check every argument: a program can change the guest.

    Attributes:
        name: the name in its declaration.
        names: the names that programs find in their namespace.
        guest_config: the argument of the guest half's `start_run`.
        instructions: whole lines that tell the model how to use the capability, or an empty text.
        handlers: functions that answer the guest half, by the names of the methods that it calls.
    """

    @property
    def name(self) -> str: ...

    @property
    def names(self) -> frozenset[str]: ...

    @property
    def guest_config(self) -> JSONObject: ...

    @property
    def instructions(self) -> str: ...

    @property
    def handlers(self) -> Mapping[str, Handler]: ...

    def start_run(self) -> None:
        """Discard the unfinished state of the previous run."""
        ...


class BuiltinTool(Protocol):
    """A tool of this package. `bind` replaces `validate` and `edited` of the `Registry` of the user's tools."""

    @property
    def spec(self) -> ToolSpec: ...

    def bind(self, arguments: Mapping[str, JSONValue], limits: Limits) -> BoundCall:
        """Validate the arguments and return the call, ready for a decision.

        Raises:
            ToolCallError: if the arguments are not valid.
        """
        ...
