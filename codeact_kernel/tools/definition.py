"""Check a function that a user marks, and make a `Tool` of it."""

from __future__ import annotations

import builtins
import functools
import hashlib
import inspect
import json
import keyword
import types
import typing
import uuid
import warnings
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Literal

from pydantic.fields import FieldInfo

from ..capability import RESERVED_NAMES
from ..errors import ToolDefinitionError
from .options import ToolOptions
from .registry import MARK, default_registry
from .schema import MAX_DOCSTRING_CHARACTERS, MAX_NAME_CHARACTERS, ToolSignature, read_signature
from .spec import Tool, ToolSpec

__all__ = ["as_tool", "offer", "validate_name"]

_CACHED = type(functools.lru_cache(str))


def offer(function: Callable[..., object], name: str | None, description: str | None, options: ToolOptions) -> None:
    """Mark `function` and add it to the default registry; see `tool` for the arguments and errors."""
    tool = as_tool(function, name, description, options)
    previous = default_registry.get(tool.spec.name)
    default_registry.add(function)
    if previous is None or previous.version != tool.spec.version:  # the same cell, run again, gives no new warnings
        _warn_of_gaps(tool.signature)


def as_tool(
    function: Callable[..., object],
    name: str | None = None,
    description: str | None = None,
    options: ToolOptions | None = None,
    *,
    reserved: bool = False,
) -> Tool:
    """Mark a function without adding it to a registry.

    Args:
        reserved: Allow a name that every program has, because the function implements it.

    Raises:
        ToolDefinitionError: The function cannot be offered; the message says what to change.
    """
    _check_function(function)
    options = options or ToolOptions()
    is_async = inspect.iscoroutinefunction(function)
    _check_options(options, is_async)
    name = validate_name(getattr(function, "__name__", "") if name is None else name, reserved=reserved)
    text = (inspect.getdoc(function) or "" if description is None else description).strip()
    signature = read_signature(function, name=name, description=text)
    spec = ToolSpec(
        name=name,
        description=signature.description,
        stub=signature.stub(),
        frame_stub=signature.stub(as_frame=True) if signature.returns_frame else "",
        schema=signature.schema,
        parameters=tuple(parameter.name for parameter in signature.parameters),
        required=tuple(parameter.name for parameter in signature.parameters if parameter.is_required),
        is_async=is_async,
        version=_hash_definition(function, signature, options),
        **asdict(options),
    )
    tool = Tool(function=function, signature=signature, spec=spec)
    setattr(function, MARK, tool)
    return tool


def _check_function(function: object) -> None:
    name = getattr(function, "__name__", type(function).__name__)
    if isinstance(function, type):
        raise ToolDefinitionError(f"{name} is a class: put @tool on a function that makes and returns an instance.")
    if name == "<lambda>":
        raise ToolDefinitionError("A lambda has no name, hints or docstring: write the tool with `def`.")
    is_plain = inspect.isfunction(function) or (callable(function) and hasattr(function, "__wrapped__"))  # lru_cache
    if not is_plain or type(function) in (types.MethodType, staticmethod, classmethod):
        raise ToolDefinitionError(f"@tool needs a function, not a {type(function).__name__}: write one with `def`.")
    owner = getattr(function, "__qualname__", name).rpartition(".")[0]
    if owner and not owner.endswith("<locals>"):
        raise ToolDefinitionError(
            f"{name} is a method of {owner}: write a function that calls it, and put @tool on that function."
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ToolDefinitionError(f"{name} is a generator: return a list instead of using `yield`.")


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


def validate_name(name: object, *, reserved: bool = False) -> str:
    """Return the name if a tool can have it.

    Args:
        reserved: Allow a name that every program has.

    Raises:
        ToolDefinitionError: No tool can have the name.
    """
    if not isinstance(name, str) or not (name.isascii() and name.isidentifier()) or len(name) > MAX_NAME_CHARACTERS:
        fault = f"is not an ASCII identifier of at most {MAX_NAME_CHARACTERS} characters"
    elif name.startswith("_"):
        fault = "starts with an underscore"
    elif keyword.iskeyword(name) or hasattr(builtins, name):
        fault = "means something else in Python"
    elif name in RESERVED_NAMES and not reserved:
        fault = "is the name of a function that every program has"
    else:
        return name
    shown = str(name)[:MAX_NAME_CHARACTERS]
    raise ToolDefinitionError(f"The tool name {shown!r} {fault}: use another, @tool(name=...).")


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


def _hash_definition(function: Callable[..., object], signature: ToolSignature, options: ToolOptions) -> str:
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        source = _dump_bytecode(getattr(inspect.unwrap(function), "__code__", None))
    facts = [signature.name, signature.description, source, signature.schema, asdict(options)]
    if not _is_defined_by_source(function):
        facts.append(uuid.uuid4().hex)
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode("utf-8", "backslashreplace")).hexdigest()[:12]


def _is_defined_by_source(function: Callable[..., object]) -> bool:
    """Whether two functions with this source always do the same.

    They may not if they use a variable of an outer function, or have an object as a default or a wrapper: one of them
    could hold the test database and the other one the production database.
    """
    while isinstance(function, _CACHED):
        function = function.__wrapped__
    if not inspect.isfunction(function) or hasattr(function, "__wrapped__"):
        return False
    defaults = [getattr(function, "__defaults__", None), getattr(function, "__kwdefaults__", None)]
    try:
        json.dumps(defaults, default=_reduce_field)
    except (TypeError, ValueError):
        return False
    return not getattr(function, "__closure__", None)


def _reduce_field(default: object) -> object:
    """Return the value of a `Field(...)` as a default, if the source of the function says all of it."""
    if isinstance(default, FieldInfo) and default.default_factory in (None, list, dict):
        return None if default.is_required() or default.default_factory else default.default
    raise TypeError


def _dump_bytecode(code: Any) -> str:
    # The repr of an inner code object contains its address, so inner code objects are dumped as well.
    if not isinstance(code, types.CodeType):
        return ""
    constants = [_dump_bytecode(item) if isinstance(item, types.CodeType) else repr(item) for item in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {constants}"
