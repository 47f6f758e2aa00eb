"""What the rest of the engine knows of tools and of calls to them."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from ..errors import ProgramError
from ..settings import Limits
from ..types import JSONObject, JSONValue, StoredResult
from .decorator import ToolOptions
from .schema import ToolSignature

__all__ = ["BoundCall", "Convert", "OnMain", "Tool", "ToolCallError", "ToolSpec"]

OnMain: TypeAlias = Callable[[Callable[[], object]], Awaitable[object]]
"""Runs a synchronous callable where the person's synchronous code belongs, and gives what it returned or raised."""

Convert: TypeAlias = "Callable[[object, Limits], JSONValue | StoredResult]"
"""Makes of a tool's result what the program gets. Raises ProgramError where that cannot be."""


class ToolCallError(ProgramError):
    """A call that gave no result. The text is for the program; `__cause__` is the tool's own error, for the person.

    Attributes:
        is_final: whether no other program could have avoided it, so that the model need not be asked for one.
    """

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolSpec(ToolOptions):
    """What the rest of the engine knows of a tool.

    Attributes:
        stub: what the model is told of it.
        schema: JSON schema of the arguments.
        parameters, required: names, in the order of the signature.
        version: changes with the tool's source, schema or options: what an approval is bound to.
    """

    name: str
    description: str
    stub: str
    schema: JSONObject
    parameters: tuple[str, ...]
    required: tuple[str, ...]
    is_async: bool
    version: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Tool:
    """A function that is offered."""

    function: Callable[..., object]
    contract: ToolSignature
    spec: ToolSpec
    _body: tuple[object, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_body", _body_of(self.function))

    @property
    def unchanged(self) -> bool:
        """Whether the function is what it was when its version was made: autoreload puts new code into the old one."""
        return all(map(operator.is_, self._body, _body_of(self.function)))


def _body_of(function: Callable[..., object]) -> tuple[object, ...]:
    parts = ("__code__", "__defaults__", "__kwdefaults__")
    return tuple(getattr(one, part, None) for one in (function, inspect.unwrap(function)) for part in parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class BoundCall:
    """A call that passed validation, frozen: what was shown and approved is what runs, also after a redefinition.

    Attributes:
        arguments: canonical JSON: the names sorted, everything inside as it came.
    """

    tool: Tool
    arguments: str
