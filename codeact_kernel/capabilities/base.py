"""What a capability offers to the engine. `capability.py` declares them; each has a folder here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ..settings import Limits
from ..tools import BoundCall, ToolSpec
from ..types import Handler, JSONObject, JSONValue

__all__ = ["BuiltinTool", "Capability"]


class Capability(Protocol):
    """The host half of one capability, for one turn.

    Its guest half is the module `guest.inside.<name>`. Its `start_run(config, namespace)` is called before the program,
    and what that returns, if anything, is called with the program's value after it. The guest half calls the handlers
    here. It decides nothing: a handler checks what it gets.

    Attributes:
        name: as declared.
        guest_config: the argument of the guest half's `start_run`.
        instructions: whole lines that tell the model how to use the capability, or nothing.
        handlers: answer the guest half, by their names without the capability's.
    """

    @property
    def name(self) -> str: ...

    @property
    def guest_config(self) -> JSONObject: ...

    @property
    def instructions(self) -> str: ...

    @property
    def handlers(self) -> Mapping[str, Handler]: ...

    def start_run(self) -> None:
        """Forget what the run before left open."""
        ...


class BuiltinTool(Protocol):
    """A tool of ours. `bind` does for it what `Registry.validate` and `Registry.edited` do for the user's tools."""

    @property
    def spec(self) -> ToolSpec: ...

    def bind(self, arguments: Mapping[str, JSONValue], limits: Limits) -> BoundCall:
        """Return the call, ready to be decided and run.

        Raises:
            ToolCallError: if the arguments are not valid.
        """
        ...
