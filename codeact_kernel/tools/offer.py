"""Offer what a user marks with `@tool`: make a tool of it, add it to the default registry, and say what is missing."""

from __future__ import annotations

import inspect
import warnings
from typing import Any, cast

from .conversion import as_tool
from .names import find_fault
from .options import ToolOptions
from .registry import default_registry
from .schema import MAX_DOCSTRING_CHARACTERS, ToolSignature
from .spec import ToolSpec

__all__ = ["offer", "warn_of_spelling"]


def offer(target: object, name: str | None, description: str | None, schema: object, options: ToolOptions) -> object:
    """Mark `target` and add it to the default registry; see `tool` for the arguments, the result and errors."""
    if isinstance(target, classmethod):
        return _ClassMethodTool(target, name, description, schema, options)
    tool = as_tool(target, name, description, options, schema=schema, find_taken=default_registry.names_of_others)
    previous = default_registry.get(tool.spec.name)
    default_registry.add_tool(tool)
    if previous is None or previous.version != tool.spec.version:  # the same cell, run again, gives no new warnings
        _warn_of_gaps(tool.signature)
        warn_of_spelling(tool.spec)
    return cast("object", target) if isinstance(target, staticmethod) else tool.function


class _ClassMethodTool(classmethod):  # type: ignore[type-arg]  # it is not subscriptable before Python 3.14
    """A class method that is offered as soon as its class exists."""

    def __init__(self, method: Any, *arguments: Any) -> None:
        super().__init__(method.__func__)  # pyright: ignore[reportUnknownMemberType]
        self._arguments = arguments

    def __set_name__(self, owner: type[Any], name: str) -> None:
        offer(getattr(owner, name), *self._arguments)


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


def warn_of_spelling(spec: ToolSpec) -> None:
    """Warn if the name of a tool means something else in programs, so that it got a prefix."""
    if spec.name.startswith("tool_") and (fault := find_fault(spec.own_name)):
        message = f"The tool {spec.own_name!r} is called {spec.name} in programs, because its name {fault}."
        warnings.warn(message, UserWarning, stacklevel=_count_own_frames())


def _count_own_frames() -> int:
    """Return the stack level of the user's line."""
    frame, count = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "codeact_kernel":
        frame, count = frame.f_back, count + 1
    return count
