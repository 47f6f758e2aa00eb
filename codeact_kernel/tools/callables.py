"""What users mark with `@tool`: functions, methods, static and class methods, partials, and objects that can be called.

A registry and a program need one function with a name. `Callee` is that function, with what it is called in the user's
words.
"""

from __future__ import annotations

import functools
import inspect
import re
import typing
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from ..errors import ToolDefinitionError

__all__ = ["Callee", "find_callee"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Callee:
    """A function that can be offered.

    Attributes:
        function: Takes the arguments by name. It carries the mark of `@tool`.
        name: Its own name; empty if it has none.
        text: Its docstring.
        left_out: The names of parameters that a partial has set already. Programs cannot change them.
        is_async: Whether its result is awaited.
    """

    function: Callable[..., object]
    name: str
    text: str
    left_out: tuple[str, ...] = ()
    is_async: bool = False


def find_callee(target: object) -> Callee:
    """Return the function that a call of `target` runs.

    Raises:
        ToolDefinitionError: It cannot be offered; the message says what to write instead.
    """
    if isinstance(target, staticmethod):
        target = cast("staticmethod[..., object]", target).__func__
    _refuse(target)
    function = cast("Callable[..., object]", target)
    inner, left_out = function, dict[str, object]()
    while isinstance(inner, functools.partial):
        left_out, inner = {**inner.keywords, **left_out}, cast("Callable[..., object]", inner.func)
    runs = inner if inspect.isroutine(inner) or hasattr(inner, "__wrapped__") else cast("Any", inner).__call__
    _refuse_code(runs)
    named = inner if hasattr(inner, "__name__") else type(inner)
    name = cast("Any", named).__name__
    own_name = name if named is inner else _to_snake_case(name)
    text = inspect.getdoc(inner) or "" if named is inner else inspect.getdoc(runs) or inspect.getdoc(inner) or ""
    return Callee(
        function=_markable(function, own_name, text, runs, left_out),
        name=own_name,
        text=text,
        left_out=tuple(left_out),
        is_async=inspect.iscoroutinefunction(runs),
    )


def _refuse(target: object) -> None:
    name = getattr(target, "__name__", type(target).__name__)
    if isinstance(target, type):
        raise ToolDefinitionError(f"{name} is a class: put @tool on a function that makes and returns an instance.")
    if not callable(target):
        raise ToolDefinitionError(f"@tool needs a function, not a {type(target).__name__}: write one with `def`.")


def _refuse_code(function: Callable[..., object]) -> None:
    name = getattr(function, "__name__", type(function).__name__)
    if name == "<lambda>":
        raise ToolDefinitionError("A lambda has no name, hints or docstring: write the tool with `def`.")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ToolDefinitionError(f"{name} is a generator: return a list instead of using `yield`.")
    owner, _, _ = getattr(function, "__qualname__", name).rpartition(".")
    code = getattr(inspect.unwrap(function), "__code__", None)
    is_bound = inspect.ismethod(inspect.unwrap(function))
    if code is None or is_bound or not owner or owner.endswith("<locals>") or not code.co_argcount:
        return
    if code.co_varnames[0] in ("self", "cls"):
        instance = _to_snake_case(owner.rpartition(".")[2])
        raise ToolDefinitionError(
            f"{name} is a method of {owner}, so it needs an object: offer it with tool({instance}.{name}), where "
            f"{instance} is that object."
        )


def _markable(
    function: Callable[..., object], name: str, text: str, runs: Callable[..., object], left_out: Collection[str]
) -> Callable[..., object]:
    """Return the function itself if attributes can be set on it, or else one that calls it, with its signature."""
    is_decorated = hasattr(function, "__wrapped__") and not inspect.ismethod(function) and not left_out
    if inspect.isfunction(function) or is_decorated:
        return function

    def call(*args: Any, **arguments: Any) -> object:
        return function(*args, **arguments)

    async def call_async(*args: Any, **arguments: Any) -> object:
        return await cast("Awaitable[object]", function(*args, **arguments))

    made: Any = call_async if inspect.iscoroutinefunction(runs) else call
    made.__name__ = made.__qualname__ = name
    made.__module__, made.__doc__, made.__wrapped__ = getattr(runs, "__module__", None), text, function
    with suppress(TypeError, ValueError):  # it has no signature: the definition of the tool says so
        signature = inspect.signature(function)
        shown = [parameter for parameter in signature.parameters.values() if parameter.name not in left_out]
        hints = _read_hints(runs)
        made.__annotations__ = {
            name: hints[name] for name in (*(parameter.name for parameter in shown), "return") if name in hints
        }
        made.__signature__ = signature.replace(
            parameters=[
                parameter.replace(annotation=hints.get(parameter.name, parameter.annotation)) for parameter in shown
            ],
            return_annotation=hints.get("return", signature.return_annotation),
        )
    return made


def _read_hints(function: Callable[..., object]) -> Mapping[str, object]:
    """Return the hints of a function; as they are written if one of them cannot be resolved."""
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:  # evaluating a hint can raise anything; the definition of the tool says which one it is
        return cast("Mapping[str, object]", getattr(function, "__annotations__", {}))


def _to_snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
