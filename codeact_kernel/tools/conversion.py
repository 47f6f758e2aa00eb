"""Make a tool of anything that a user offers: a function, a method, a partial, or a tool of another framework."""

from __future__ import annotations

from collections.abc import Callable, Container

from ..errors import ToolDefinitionError
from .callables import find_callee
from .definition import described_tool, hash_definition, make_tool
from .described import describe_signature
from .foreign import ForeignTool, read_foreign_tool
from .function_signature import read_signature
from .names import validate_name
from .options import ToolOptions
from .spec import Tool

__all__ = ["as_tool"]


def as_tool(
    target: object,
    name: str | None = None,
    description: str | None = None,
    options: ToolOptions | None = None,
    *,
    schema: object = None,
    reserved: bool = False,
    find_taken: Callable[[str], Container[str]] = lambda own_name: (),
) -> Tool:
    """Make a tool of what a user offers, without adding it to a registry.

    Args:
        target: A function, a method, a partial, another object that can be called, or a tool of another framework.
        schema: The JSON schema of the arguments; by default the type hints describe them.
        reserved: Allow a name that every program has, because the function implements it.
        find_taken: Returns the names that a tool with this own name may not have.

    Raises:
        ToolDefinitionError: It cannot be offered; the message says what to change.
    """
    options = options or ToolOptions()
    if (foreign := read_foreign_tool(target)) is not None:
        if schema is not None:
            raise ToolDefinitionError(f"{foreign.name} of {foreign.framework} has a schema already: leave out schema=.")
        own_name = foreign.name if name is None else validate_name(name)
        return _make_of_foreign(foreign, own_name, description, options, find_taken(own_name))
    callee = find_callee(target)
    name = validate_name(callee.name if name is None else name, reserved=reserved)
    text = (callee.text if description is None else description).strip()
    if schema is None:
        signature = read_signature(callee.function, name=name, description=text, left_out=callee.left_out)
    else:
        signature = describe_signature(schema, name=name, description=text)
    version = hash_definition(callee.function, signature, options)
    return make_tool(callee.function, signature, options, version=version, is_async=callee.is_async)


def _make_of_foreign(
    foreign: ForeignTool, own_name: str, description: str | None, options: ToolOptions, taken: Container[str]
) -> Tool:
    return described_tool(
        own_name,
        foreign.description if description is None else description,
        foreign.schema,
        foreign.call,
        foreign.restrict(options),
        returns=foreign.returns,
        taken=taken,
        source=foreign.function,
    )
