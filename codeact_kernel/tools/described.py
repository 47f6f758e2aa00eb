"""The signature of a tool that a JSON schema describes."""

from __future__ import annotations

import inspect
import typing
from typing import Annotated, Any, Literal

from .names import spell_parameters
from .schema import Parameter, ToolSignature, build_signature
from .schema_hints import Property, SchemaReader

__all__ = ["describe_signature"]


def describe_signature(
    schema: object,
    *,
    name: str,
    description: str,
    output_schema: object = None,
    returns: object = inspect.Parameter.empty,
) -> ToolSignature:
    """Make a signature of a JSON schema of the arguments.

    Parameters that are not required may be left out, and `None` for one of them leaves it out, unless the schema gives
    `null` a meaning.

    Args:
        output_schema: The JSON schema of the result, for the model. The result is not checked.
        returns: The type hint of the result, if there is no schema of it.

    Raises:
        ToolDefinitionError: It is not a JSON schema, or too large.
    """
    properties = SchemaReader(schema).properties()
    spelled = spell_parameters(properties)
    parameters = [_parameter(spelled[own_name], own_name, item) for own_name, item in properties.items()]
    # A program can then pass the required arguments by position.
    parameters.sort(key=lambda parameter: not parameter.is_required)
    result = returns if output_schema is None else SchemaReader(output_schema).hint()
    return build_signature(name, description, parameters, lambda: result)


def _parameter(name: str, own_name: str, item: Property) -> Parameter:
    default: object = inspect.Parameter.empty
    if not item.is_required:
        default = None if item.default is SchemaReader.MISSING else item.default
    return Parameter(
        name=name,
        own_name=own_name,
        hint=item.hint,
        default=default,
        omits_none=default is None and not _accepts_none(item.hint),
    )


def _accepts_none(hint: Any) -> bool:
    if typing.get_origin(hint) is Annotated:
        return _accepts_none(typing.get_args(hint)[0])
    if typing.get_origin(hint) is Literal:
        return None in typing.get_args(hint)
    return hint in (Any, None, type(None)) or any(part is type(None) for part in typing.get_args(hint))
