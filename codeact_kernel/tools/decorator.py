"""`@tool`: offers a function to the model. The function itself stays what it was, it only carries a mark."""

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
from typing import Any, TypeVar, overload

from pydantic.fields import FieldInfo

from ..capability import RESERVED_NAMES
from ..errors import ToolDefinitionError
from .registry import MARK, default_registry
from .schema import DOCSTRING_CHARACTERS, LONGEST_NAME, ToolSignature, contract_of
from .spec import ApprovalMode, Source, Tool, ToolOptions, ToolSpec

__all__ = ["as_tool", "tool"]

F = TypeVar("F", bound=Callable[..., object])

_CACHED = type(functools.lru_cache(str))
_OURS = ("codeact", "codeact_kernel")


@overload
def tool(function: F, /) -> F: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    approval_mode: ApprovalMode = "never_require",
    max_invocations: int | None = None,
    direct: bool = False,
    read_only: bool = False,
    thread_safe: bool = False,
    max_concurrency: int | None = None,
    source: Source = "trusted",
) -> Callable[[F], F]: ...
def tool(
    function: Callable[..., object] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    approval_mode: ApprovalMode = "never_require",
    max_invocations: int | None = None,
    direct: bool = False,
    read_only: bool = False,
    thread_safe: bool = False,
    max_concurrency: int | None = None,
    source: Source = "trusted",
) -> object:
    """Offer a function to the model, bare `@tool` or with options: `@tool(approval_mode="always_require")`.

    The function is returned unchanged and works as before. Its type hints say what the model may pass; its docstring
    and its hints are all that the model knows of it. Defining a tool of the same name again replaces it.

    Args:
        name: what the model calls it; the function's own name by default.
        description: what the model reads; the docstring by default.
        approval_mode: `"always_require"` asks the person before each call.
        max_invocations: calls allowed in one turn; `None` is no limit but the run's.
        direct: the model calls it itself, one call at a time, and no program can: for single acts with an effect.
        read_only: calling it changes nothing that another call could see. Calls in a loop are then in flight together.
        thread_safe: a function without `async` may run in threads, several calls at a time; without this its calls
            run one after another, in a notebook on the kernel's main thread.
        max_concurrency: calls that may run at a time; `None` is no limit but the run's.
        source: `"untrusted"` where an outsider can write what it returns: mails, web pages, tickets. After such a
            result every later call of the turn asks the person, whatever was allowed before, but for `read_only` tools.

    Raises:
        ToolDefinitionError: the function cannot be offered; the sentence says what to change.
    """

    options = ToolOptions(
        approval_mode=approval_mode,
        max_invocations=max_invocations,
        direct=direct,
        read_only=read_only,
        thread_safe=thread_safe,
        max_concurrency=max_concurrency,
        source=source,
    )

    def offer(function: Callable[..., object]) -> Callable[..., object]:
        made = as_tool(function, name, description, options)
        known = default_registry.get(made.spec.name)
        default_registry.add(function)
        if known is None or known.version != made.spec.version:  # the same cell, run again, has nothing new to say
            _warn_of_gaps(made.contract)
        return function

    return offer if function is None else offer(function)


def as_tool(
    function: Callable[..., object],
    name: str | None = None,
    description: str | None = None,
    options: ToolOptions | None = None,
    *,
    reserved: bool = False,
) -> Tool:
    """Mark a function without offering it anywhere.

    Args:
        reserved: whether its name may be one that every program has, since it is the function behind it.

    Raises:
        ToolDefinitionError: it cannot be offered; the sentence says what to change.
    """
    _check_function(function)
    options = options or ToolOptions()
    is_async = inspect.iscoroutinefunction(function)
    _check_options(options, is_async)
    name = _checked(getattr(function, "__name__", "") if name is None else name, reserved)
    text = (inspect.getdoc(function) or "" if description is None else description).strip()
    contract = contract_of(function, name=name, description=text)
    spec = ToolSpec(
        name=name,
        description=contract.description,
        stub=contract.stub(),
        schema=contract.schema,
        parameters=tuple(parameter.name for parameter in contract.parameters),
        required=tuple(parameter.name for parameter in contract.parameters if parameter.required),
        is_async=is_async,
        version=_version(function, contract, asdict(options)),
        **asdict(options),
    )
    setattr(function, MARK, made := Tool(function=function, contract=contract, spec=spec))
    return made


def _check_function(function: object) -> None:
    name = getattr(function, "__name__", type(function).__name__)
    if isinstance(function, type):
        raise ToolDefinitionError(f"{name} is a class: put @tool on a function that makes and returns one.")
    if name == "<lambda>":
        raise ToolDefinitionError("A lambda has no name, hints or docstring: write the tool with `def`.")
    plain = inspect.isfunction(function) or (callable(function) and hasattr(function, "__wrapped__"))  # lru_cache
    if not plain or type(function) in (types.MethodType, staticmethod, classmethod):
        raise ToolDefinitionError(f"@tool needs a function, not a {type(function).__name__}: write one with `def`.")
    owner = getattr(function, "__qualname__", name).rpartition(".")[0]
    if owner and not owner.endswith("<locals>"):
        raise ToolDefinitionError(f"{name} is a method of {owner}: write a function that calls it, and mark that.")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ToolDefinitionError(f"{name} is a generator: return a list instead of using `yield`.")


def _check_options(options: ToolOptions, is_async: bool) -> None:
    modes, mode = typing.get_args(ApprovalMode), options.approval_mode
    if mode not in modes:
        raise ToolDefinitionError(f"approval_mode={mode!r} is unknown: use {' or '.join(map(repr, modes))}.")
    if options.source not in (sources := typing.get_args(Source)):
        raise ToolDefinitionError(f"source={options.source!r} is unknown: use {' or '.join(map(repr, sources))}.")
    for name in ("max_invocations", "max_concurrency"):
        most: object = getattr(options, name)
        if most is not None and (type(most) is not int or most < 1):
            raise ToolDefinitionError(f"{name}={most!r}: use a whole number from 1, or leave it out.")
    for name in ("direct", "read_only", "thread_safe"):
        if type(chosen := getattr(options, name)) is not bool:
            raise ToolDefinitionError(f"{name}={chosen!r}: use True or False.")
    if options.thread_safe and is_async:
        raise ToolDefinitionError("thread_safe is for a function without `async`: calls of this one overlap anyway.")


def _checked(name: object, reserved: bool) -> str:
    if not isinstance(name, str) or not (name.isascii() and name.isidentifier()) or len(name) > LONGEST_NAME:
        fault = f"is not an ASCII identifier of at most {LONGEST_NAME} characters"
    elif name.startswith("_"):
        fault = "starts with an underscore"
    elif keyword.iskeyword(name) or hasattr(builtins, name):
        fault = "means something else in Python"
    elif name in RESERVED_NAMES and not reserved:
        fault = "is the name of a function that every program has"
    else:
        return name
    raise ToolDefinitionError(f"The tool name {str(name)[:LONGEST_NAME]!r} {fault}: use another, @tool(name=...).")


def _warn_of_gaps(contract: ToolSignature) -> None:
    untyped = [parameter.name for parameter in contract.parameters if not parameter.typed]
    if contract.left_out:
        message = (
            f"Shorten the docstring of the tool {contract.name}: the model is not told {contract.left_out:,} "
            f"characters from its middle, since it is longer than {DOCSTRING_CHARACTERS:,}."
        )
        warnings.warn(message, UserWarning, stacklevel=_frames_of_ours())
    gaps = ["a docstring"] if not contract.description else []
    if untyped:
        gaps.append(f"type hints for {', '.join(untyped)}")
    if gaps:
        message = f"Add {' and '.join(gaps)} to the tool {contract.name}: the model sees only that."
        warnings.warn(message, UserWarning, stacklevel=_frames_of_ours())


def _frames_of_ours() -> int:
    """How far up the person's line is. The CodeAct kernel has a `tool` of its own in front of this one."""
    frame, count = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _OURS:
        frame, count = frame.f_back, count + 1
    return count


def _version(function: Callable[..., object], contract: ToolSignature, *options: object) -> str:
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        source = _bytecode(getattr(inspect.unwrap(function), "__code__", None))
    facts = [contract.name, contract.description, source, contract.schema, *options]
    if not _is_all_in_its_source(function):
        facts.append(uuid.uuid4().hex)
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode("utf-8", "backslashreplace")).hexdigest()[:12]


def _is_all_in_its_source(function: Callable[..., object]) -> bool:
    """Whether two functions with this source do the same: not with a variable of an outer function, or an object as a
    default or around it, in which one may have the test database and the other the real one."""
    while isinstance(function, _CACHED):
        function = function.__wrapped__
    if not inspect.isfunction(function) or hasattr(function, "__wrapped__"):
        return False
    defaults = [getattr(function, "__defaults__", None), getattr(function, "__kwdefaults__", None)]
    try:
        json.dumps(defaults, default=_plain_default)
    except (TypeError, ValueError):
        return False
    return not getattr(function, "__closure__", None)


def _plain_default(default: object) -> object:
    """What a `Field(...)` gives, where its source says all of it."""
    if isinstance(default, FieldInfo) and default.default_factory in (None, list, dict):
        return None if default.is_required() or default.default_factory else default.default
    raise TypeError


def _bytecode(code: Any) -> str:
    # The repr of an inner code object holds its address, so those are written out too.
    if not isinstance(code, types.CodeType):
        return ""
    constants = [_bytecode(one) if isinstance(one, types.CodeType) else repr(one) for one in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {constants}"
