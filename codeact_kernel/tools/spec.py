"""Data about tools and calls, for the rest of the engine."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ..errors import ProgramError
from ..secrets import hide
from ..settings import Limits
from ..types import JSONObject, JSONValue, StoredResult
from .options import ToolOptions
from .schema import ToolSignature

__all__ = ["MARK", "BoundCall", "Convert", "OnMain", "Tool", "ToolCallError", "ToolSpec"]

MARK = "codeact_tool"
"""The attribute of a function that holds its `Tool`."""

OnMain: TypeAlias = Callable[[Callable[[], object]], Awaitable[object]]
"""Runs a callable on the thread of the user's synchronous code, and returns its result or raises its exception."""

Convert: TypeAlias = "Callable[[object, Limits], JSONValue | StoredResult]"
"""Turns a tool's result into the value that the program gets. Raises ProgramError if that is not possible."""


class ToolCallError(ProgramError):
    """A call without a result.

    The message is for the program, and has no secrets. `__cause__` is the tool's own error, for the user.

    Attributes:
        is_final: No other program could have avoided the error, so the model is not asked for one.
    """

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(hide(message))
        self.is_final = is_final


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolSpec(ToolOptions):
    """A tool without its function.

    Attributes:
        name: The name in programs.
        own_name: The name that the user knows.
        origin: The server or description that the tool is from, for example `"mcp:git"`; empty for the user's own.
        stub: The signature and the notes that the model sees.
        frame_stub: The same for a program that gets DataFrames as such; empty if the tool returns none.
        schema: The JSON schema of the arguments.
        parameters, required: The names in programs, in the order of the signature.
        own_names: The own names of the parameters that have another name in programs.
        version: Changes with the tool's source, schema or options. Approvals are bound to it.
    """

    name: str
    description: str
    stub: str
    schema: JSONObject
    parameters: tuple[str, ...]
    required: tuple[str, ...]
    is_async: bool
    version: str
    own_name: str = ""
    origin: str = ""
    own_names: Mapping[str, str] = field(default_factory=dict[str, str])
    frame_stub: str = ""

    def own_arguments(self, arguments: Mapping[str, JSONValue]) -> Mapping[str, JSONValue]:
        """Return the arguments by the tool's own names. A program can use those as well, in `call_tool`."""
        if not self.own_names:
            return arguments
        own = {name: self.own_names.get(name, name) for name in arguments}
        return {name if own[name] in arguments else own[name]: value for name, value in arguments.items()}

    def with_frames(self) -> ToolSpec:
        """Return the spec for a program that gets DataFrames as such."""
        return replace(self, stub=self.frame_stub) if self.frame_stub else self


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Tool:
    """A function on offer."""

    function: Callable[..., object]
    signature: ToolSignature
    spec: ToolSpec
    _parts: tuple[object, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_parts", _parts_of(self.function))

    @property
    def is_unchanged(self) -> bool:
        """Whether the function still has the code of its version: autoreload puts new code into the old function."""
        return all(map(operator.is_, self._parts, _parts_of(self.function)))


def _parts_of(function: Callable[..., object]) -> tuple[object, ...]:
    parts = ("__code__", "__defaults__", "__kwdefaults__")
    return tuple(getattr(layer, part, None) for layer in (function, inspect.unwrap(function)) for part in parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class BoundCall:
    """A valid call, frozen: exactly the call that was shown and approved runs, even if the tool is redefined.

    Attributes:
        arguments: Canonical JSON, with sorted names and unchanged values.
    """

    tool: Tool
    arguments: str
