"""`tool_from_schema`: offer a function that a JSON schema describes."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Container, Mapping
from typing import Any, Unpack

from .definition import hash_definition, make_tool
from .described import describe_signature
from .names import find_fault, spell_tool
from .options import OptionKeywords, ToolOptions
from .registry import default_registry
from .spec import Tool

__all__ = ["described_tool", "tool_from_schema"]


def tool_from_schema(
    name: str,
    description: str,
    schema: Mapping[str, Any],
    call: Callable[..., object],
    *,
    output_schema: Mapping[str, Any] | None = None,
    **options: Unpack[OptionKeywords],
) -> Callable[..., object]:
    """Offer a function that a JSON schema describes, as `@tool` offers one that its type hints describe.

    The arguments of each call are checked against the schema first. Programs use Python names: a tool `fetch-page` is
    `fetch_page(...)`, and its parameter `from` is `from_`. The card and `call` get the names of the schema.

    Args:
        name: The name of the tool; any text.
        description: The text that the model reads.
        schema: The JSON schema of the arguments: an object with `properties`.
        call: Runs the tool; it gets the arguments as keywords, and can be async.
        output_schema: The JSON schema of the result, for the model. The result is not checked.
        options: The options of `tool`, for example `approval_mode="always_require"`.

    Returns:
        A function that carries the tool, for example for `Session(tools=[...])`.

    Raises:
        ToolDefinitionError: The schema cannot be read, or an option is not valid.
    """
    tool = described_tool(
        name,
        description,
        schema,
        call,
        ToolOptions(**options),
        output_schema=output_schema,
        taken=_taken_by_others(name),
    )
    default_registry.add_tool(tool)
    if fault := find_fault(name) if tool.spec.name.startswith("tool_") else "":
        message = f"The tool {name!r} is called {tool.spec.name} in programs, because its name {fault}."
        warnings.warn(message, UserWarning, stacklevel=2)
    return tool.function


def described_tool(
    own_name: str,
    description: str,
    schema: object,
    call: Callable[..., object],
    options: ToolOptions,
    *,
    output_schema: object = None,
    taken: Container[str] = (),
    origin: str = "",
    prefix: str = "tool",
    version: str = "",
) -> Tool:
    """Make a tool of a description, without adding it to a registry.

    Args:
        taken: The names of other tools.
        origin: Where it is from; see `ToolSpec`.
        prefix: Goes before a name that a program cannot use; see `names.spell_tool`.
        version: What its calls do, if the description does not say it; by default the code of `call`.

    Raises:
        ToolDefinitionError: The schema cannot be read, or an option is not valid.
    """
    signature = describe_signature(
        schema,
        name=spell_tool(own_name, taken, prefix),
        description=description.strip(),
        output_schema=output_schema,
    )

    def function(**arguments: Any) -> object:
        return call(**arguments)

    function.__name__ = function.__qualname__ = signature.name
    function.__doc__ = description
    is_async = inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(getattr(call, "__call__", None))  # noqa: B004
    return make_tool(
        function,
        signature,
        options,
        version=version or hash_definition(call, signature, options),
        is_async=is_async,
        own_name=own_name,
        origin=origin,
    )


def _taken_by_others(own_name: str) -> Container[str]:
    """Return the names of the tools that a tool with this own name does not replace."""
    return {name for name, spec in default_registry.specs().items() if spec.own_name != own_name}
