"""What the rest of the engine knows of tools and of calls to them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..errors import ProgramError
from ..settings import Limits
from ..values import JSONObject, JSONValue, Kept
from .schema import Contract

__all__ = ["ApprovalMode", "BoundCall", "Convert", "OnMain", "Tool", "ToolCallError", "ToolSpec"]

ApprovalMode: TypeAlias = Literal["never_require", "always_require"]
OnMain: TypeAlias = Callable[[Callable[[], object]], Awaitable[object]]
"""Runs a synchronous callable where the person's synchronous code belongs, and gives what it returned or raised."""

Convert: TypeAlias = "Callable[[object, Limits], JSONValue | Kept]"
"""Makes of a tool's result what the program gets. Raises ProgramError where that cannot be."""


class ToolCallError(ProgramError):
    """A call that gave no result. The text is for the program; `__cause__` is the tool's own error, for the person."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolSpec:
    """What the rest of the engine knows of a tool.

    Attributes:
        stub: Python text for the prompt.
        schema: JSON schema of the arguments.
        parameters, required: names, in the order of the signature.
        max_invocations: calls per turn, counted by the turn; `None` is no limit of its own.
        direct: whether the model calls it itself, and no program can.
        version: changes with the tool's source, schema or options: what an approval is bound to.
    """

    name: str
    description: str
    stub: str
    schema: JSONObject
    parameters: tuple[str, ...]
    required: tuple[str, ...]
    approval_mode: ApprovalMode
    max_invocations: int | None
    is_async: bool
    version: str
    direct: bool = False


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Tool:
    """A function that is offered."""

    function: Callable[..., object]
    contract: Contract
    spec: ToolSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class BoundCall:
    """A call that passed validation, frozen: what was shown and approved is what runs, also after a redefinition.

    Attributes:
        arguments: canonical JSON: the names sorted, everything inside as it came.
    """

    tool: Tool
    arguments: str
