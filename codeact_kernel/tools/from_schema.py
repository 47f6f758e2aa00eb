"""`tool_from_schema`: offer a function that a JSON schema describes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Unpack

from .definition import described_tool
from .offer import warn_of_spelling
from .options import OptionKeywords, ToolOptions
from .registry import default_registry

__all__ = ["tool_from_schema"]


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
        taken=default_registry.names_of_others(name),
    )
    default_registry.add_tool(tool)
    warn_of_spelling(tool.spec)
    return tool.function
