"""Make a `Tool` of its parts: of a function and its signature, or of a JSON schema and a function to call."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import keyword
import types
import typing
import uuid
from collections.abc import Callable, Container
from dataclasses import asdict
from typing import Any, Literal

from pydantic.fields import FieldInfo

from ..errors import ToolDefinitionError
from ..secrets import Secret
from .described import describe_signature
from .names import spell_tool
from .options import ToolOptions
from .schema import ToolSignature
from .spec import MARK, Tool, ToolSpec

__all__ = ["described_tool", "hash_definition", "hash_facts", "make_tool"]

_CACHED = type(functools.lru_cache(str))


def make_tool(
    function: Callable[..., object],
    signature: ToolSignature,
    options: ToolOptions,
    *,
    version: str,
    is_async: bool,
    own_name: str = "",
    origin: str = "",
) -> Tool:
    """Make a tool from its parts, and mark the function.

    Args:
        own_name: The name that the user knows, if it is not the one in programs.
        origin: Where a tool from outside is from; empty for a function of the user.
    """
    _check_options(options, is_async)
    spec = ToolSpec(
        name=signature.name,
        own_name=own_name or signature.name,
        origin=origin,
        description=signature.description,
        stub=signature.stub(),
        frame_stub=signature.stub(as_frame=True) if signature.returns_frame else "",
        schema=signature.schema,
        parameters=tuple(parameter.name for parameter in signature.parameters),
        required=tuple(parameter.name for parameter in signature.parameters if parameter.is_required),
        is_async=is_async,
        version=version,
        own_names={item.name: item.own_name for item in signature.parameters if item.name != item.own_name},
        **asdict(options),
    )
    tool = Tool(function=function, signature=signature, spec=spec)
    setattr(function, MARK, tool)
    return tool


def described_tool(
    own_name: str,
    description: str,
    schema: object,
    call: Callable[..., object],
    options: ToolOptions,
    *,
    output_schema: object = None,
    returns: object = inspect.Parameter.empty,
    taken: Container[str] = (),
    origin: str = "",
    prefix: str = "tool",
    version: str = "",
    source: Callable[..., object] | None = None,
) -> Tool:
    """Make a tool of a description, without adding it to a registry.

    Args:
        output_schema: The JSON schema of the result, for the model. The result is not checked.
        returns: The type hint of the result, if there is no schema of it.
        taken: The names of other tools.
        origin: Where it is from; see `ToolSpec`.
        prefix: Goes before a name that a program cannot use; see `names.spell_tool`.
        version: What its calls do, if the description does not say it; by default the code of `source`.
        source: The function that `call` leads to; by default `call` itself.

    Raises:
        ToolDefinitionError: The schema cannot be read, or an option is not valid.
    """
    signature = describe_signature(
        schema,
        name=spell_tool(own_name, taken, prefix),
        description=description.strip(),
        output_schema=output_schema,
        returns=returns,
    )
    return make_tool(
        _keyword_function(call, signature, description, source or call),
        signature,
        options,
        version=version or hash_definition(source or call, signature, options),
        is_async=_is_async(call),
        own_name=own_name,
        origin=origin,
    )


def _keyword_function(
    call: Callable[..., object], signature: ToolSignature, description: str, source: Callable[..., object]
) -> Callable[..., object]:
    """Return a function for `call` that a tool can mark, with a signature for users and for other frameworks."""

    async def function_async(**arguments: Any) -> object:
        return await call(**arguments)  # type: ignore[misc]  # it is async

    def function(**arguments: Any) -> object:
        return call(**arguments)

    made: Any = function_async if _is_async(call) else function
    made.__name__ = made.__qualname__ = signature.name
    made.__doc__ = description
    made.__wrapped__ = source
    hints = {parameter.own_name: parameter.hint for parameter in signature.parameters}
    if all(map(str.isidentifier, hints)) and not any(map(keyword.iskeyword, hints)):
        made.__annotations__ = hints
        made.__signature__ = inspect.Signature(
            [
                inspect.Parameter(
                    parameter.own_name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=parameter.default,
                    annotation=parameter.hint,
                )
                for parameter in signature.parameters
            ]
        )
    return made


def _is_async(call: Callable[..., object]) -> bool:
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(getattr(call, "__call__", None))  # noqa: B004


def hash_facts(*facts: object) -> str:
    """Return the version of a tool that these facts define. All of them are JSON."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode("utf-8", "backslashreplace")).hexdigest()[:12]


def _check_options(options: ToolOptions, is_async: bool) -> None:
    """Check each option by its type hint: `bool`, a `Literal` of texts, or `int | None` for a maximum."""
    for name, hint in typing.get_type_hints(ToolOptions).items():
        value: object = getattr(options, name)
        if hint is bool:
            if type(value) is not bool:
                raise ToolDefinitionError(f"{name}={value!r}: use True or False.")
        elif typing.get_origin(hint) is Literal:
            if value not in (choices := typing.get_args(hint)):
                raise ToolDefinitionError(f"{name}={value!r} is unknown: use {' or '.join(map(repr, choices))}.")
        elif value is not None and (type(value) is not int or value < 1):
            raise ToolDefinitionError(f"{name}={value!r}: use a whole number from 1, or leave it out.")
    if options.thread_safe and is_async:
        raise ToolDefinitionError(
            "thread_safe is for functions without `async`: calls of an async tool may overlap anyway."
        )


def hash_definition(function: Callable[..., object], signature: ToolSignature, options: ToolOptions) -> str:
    """Return the version of a tool that this function is."""
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        source = _dump_bytecode(getattr(inspect.unwrap(function), "__code__", None))
    facts: list[object] = [signature.name, signature.description, source, signature.schema, asdict(options)]
    if sources := [default.source for default in _defaults_of(inspect.unwrap(function)) if isinstance(default, Secret)]:
        facts.append(sources)
    if not _is_defined_by_source(function):
        facts.append(uuid.uuid4().hex)
    return hash_facts(*facts)


def _is_defined_by_source(function: Callable[..., object]) -> bool:
    """Whether two functions with this source always do the same.

    They may not if they use a variable of an outer function, or have an object as a default or a wrapper: one of them
    could hold the test database and the other one the production database.
    """
    while isinstance(function, _CACHED):
        function = function.__wrapped__
    if not inspect.isfunction(function) or hasattr(function, "__wrapped__"):
        return False
    try:
        json.dumps(_defaults_of(function), default=_reduce_default)
    except (TypeError, ValueError):
        return False
    return not getattr(function, "__closure__", None)


def _defaults_of(function: Callable[..., object]) -> list[object]:
    defaults: tuple[object, ...] = getattr(function, "__defaults__", None) or ()
    named: dict[str, object] = getattr(function, "__kwdefaults__", None) or {}
    return [*defaults, *named.values()]


def _reduce_default(default: object) -> object:
    """Return the value of a `Field(...)` or the source of a secret, if the source of the function says all of it."""
    if isinstance(default, Secret) and default.source:
        return default.source
    if isinstance(default, FieldInfo) and default.default_factory in (None, list, dict):
        return None if default.is_required() or default.default_factory else default.default
    raise TypeError


def _dump_bytecode(code: Any) -> str:
    # The repr of an inner code object contains its address, so inner code objects are dumped as well.
    if not isinstance(code, types.CodeType):
        return ""
    constants = [_dump_bytecode(item) if isinstance(item, types.CodeType) else repr(item) for item in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {constants}"
