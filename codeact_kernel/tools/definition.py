"""Check a function that a user marks, and make a `Tool` of it."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import types
import typing
import uuid
import warnings
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Literal, cast

from pydantic.fields import FieldInfo

from ..errors import ToolDefinitionError
from ..secrets import Secret
from .callables import find_callee
from .described import describe_signature
from .function_signature import read_signature
from .names import validate_name
from .options import ToolOptions
from .registry import MARK, default_registry
from .schema import MAX_DOCSTRING_CHARACTERS, ToolSignature
from .spec import Tool, ToolSpec

__all__ = ["as_tool", "hash_definition", "hash_facts", "make_tool", "offer"]

_CACHED = type(functools.lru_cache(str))


def offer(target: object, name: str | None, description: str | None, schema: object, options: ToolOptions) -> object:
    """Mark `target` and add it to the default registry; see `tool` for the arguments, the result and errors."""
    if isinstance(target, classmethod):
        return _ClassMethodTool(target, name, description, schema, options)
    tool = as_tool(target, name, description, options, schema=schema)
    previous = default_registry.get(tool.spec.name)
    default_registry.add_tool(tool)
    if previous is None or previous.version != tool.spec.version:  # the same cell, run again, gives no new warnings
        _warn_of_gaps(tool.signature)
    return cast("object", target) if isinstance(target, staticmethod) else tool.function


class _ClassMethodTool(classmethod):  # type: ignore[type-arg]  # it is not subscriptable before Python 3.14
    """A class method that is offered as soon as its class exists."""

    def __init__(self, method: Any, *arguments: Any) -> None:
        super().__init__(method.__func__)  # pyright: ignore[reportUnknownMemberType]
        self._arguments = arguments

    def __set_name__(self, owner: type[Any], name: str) -> None:
        offer(getattr(owner, name), *self._arguments)


def as_tool(
    target: object,
    name: str | None = None,
    description: str | None = None,
    options: ToolOptions | None = None,
    *,
    schema: object = None,
    reserved: bool = False,
) -> Tool:
    """Make a tool of a function without adding it to a registry.

    Args:
        target: A function, a method, a partial, or another object that can be called.
        schema: The JSON schema of the arguments; by default the type hints describe them.
        reserved: Allow a name that every program has, because the function implements it.

    Raises:
        ToolDefinitionError: It cannot be offered; the message says what to change.
    """
    callee = find_callee(target)
    options = options or ToolOptions()
    name = validate_name(callee.name if name is None else name, reserved=reserved)
    text = (callee.text if description is None else description).strip()
    if schema is None:
        signature = read_signature(callee.function, name=name, description=text, left_out=callee.left_out)
    else:
        signature = describe_signature(schema, name=name, description=text)
    version = hash_definition(callee.function, signature, options)
    return make_tool(callee.function, signature, options, version=version, is_async=callee.is_async)


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


def _warn_of_gaps(signature: ToolSignature) -> None:
    untyped = [parameter.name for parameter in signature.parameters if not parameter.is_typed]
    if signature.left_out:
        message = (
            f"Shorten the docstring of the tool {signature.name}: it is longer than {MAX_DOCSTRING_CHARACTERS:,} "
            f"characters, so the model does not see {signature.left_out:,} characters from its middle."
        )
        warnings.warn(message, UserWarning, stacklevel=_count_own_frames())
    gaps = ["a docstring"] if not signature.description else []
    if untyped:
        gaps.append(f"type hints for {', '.join(untyped)}")
    if gaps:
        message = f"Add {' and '.join(gaps)} to the tool {signature.name}: the model sees only these."
        warnings.warn(message, UserWarning, stacklevel=_count_own_frames())


def _count_own_frames() -> int:
    """Return the stack level of the user's line."""
    frame, count = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "codeact_kernel":
        frame, count = frame.f_back, count + 1
    return count


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
