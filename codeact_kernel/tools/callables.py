"""What users mark with `@tool`: functions, methods, static and class methods, partials, and objects that can be called.

A registry and a program need one function with a name. `Callee` is that function, with what it is called in the user's
words.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
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
    return Callee(
        function=_markable(function, name),
        name=name if named is inner else _to_snake_case(name),
        text=inspect.getdoc(inner) or "" if named is inner else inspect.getdoc(runs) or inspect.getdoc(inner) or "",
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


def _markable(function: Callable[..., object], name: str) -> Callable[..., object]:
    """Return the function itself if attributes can be set on it, or else one that calls it."""
    if inspect.isfunction(function) or type(function) is type(functools.lru_cache(str)):
        return function

    def call(*args: Any, **arguments: Any) -> object:
        return function(*args, **arguments)

    call.__name__ = call.__qualname__ = name
    call.__doc__, call.__wrapped__ = inspect.getdoc(function), function  # type: ignore[attr-defined]
    return call


def _to_snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
