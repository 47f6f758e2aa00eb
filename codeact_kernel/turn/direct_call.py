"""Recognize a program that is nothing but one call of a direct tool, which the model then calls itself."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from ..preflight.report import ToolFacts
from ..text import quote

__all__ = ["DirectCall", "direct_call"]


@dataclass(frozen=True, slots=True)
class DirectCall:
    """A call that the model makes itself.

    Attributes:
        problem: one sentence for the model if its values cannot be read, else empty.
    """

    name: str
    arguments: Mapping[str, Any]
    problem: str = ""


def direct_call(program: str, tools: Mapping[str, ToolFacts]) -> DirectCall | None:
    """Return the call if the program is nothing but one call of one of `tools`, else `None`.

    The arguments must be literals, because nothing of the program is run.
    """
    try:
        match ast.parse(program.strip()).body:
            case [ast.Expr(ast.Dict() as literal)]:
                return _from_dict(literal, tools)
            case [ast.Expr(ast.Call(ast.Name(name)) as call)] | [ast.Expr(ast.Await(ast.Call(ast.Name(name)) as call))]:
                pass
            case _:
                return None
        if name == "call_tool" and call.args and isinstance(call.args[0], ast.Constant):
            name, call.args = str(call.args[0].value), call.args[1:]
        if name not in tools:
            return None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    try:
        positional = dict(zip(tools[name].parameters, map(ast.literal_eval, call.args), strict=False))
        named = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (ValueError, TypeError, RecursionError, MemoryError):
        return DirectCall(name, {}, f"{quote(name)} is called by you, not by a program: write its values out.")
    if len(call.args) > len(tools[name].parameters) or positional.keys() & named.keys():
        return DirectCall(name, {}, f"{quote(name)} takes {', '.join(tools[name].parameters)}.")
    return _from_arguments(name, positional | named)


def _from_arguments(name: str, arguments: Mapping[Any, Any]) -> DirectCall:
    """Return the call. Python literals without a JSON form become its `problem`."""
    if not all(isinstance(key, str) and _is_json(value) for key, value in arguments.items()):
        return DirectCall(name, {}, f"{quote(name)} takes JSON: text, finite numbers, lists, dicts with text keys.")
    return DirectCall(name, json.loads(json.dumps(arguments)))


def _is_json(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_json(item) for item in cast("list[object]", value))
    if isinstance(value, dict):
        pairs = cast("dict[object, object]", value).items()
        return all(isinstance(key, str) and _is_json(item) for key, item in pairs)
    return value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))


def _from_dict(literal: ast.Dict, tools: Mapping[str, ToolFacts]) -> DirectCall | None:
    """Return the call in the form of models that were trained on function calls: `{"name": …, "arguments": {…}}`."""
    try:
        data: dict[object, Any] = ast.literal_eval(literal)
    except (ValueError, TypeError, RecursionError, MemoryError):
        return None
    name, arguments = data.get("name"), data.get("arguments")
    if data.keys() != {"name", "arguments"} or not isinstance(name, str) or name not in tools:
        return None
    if not isinstance(arguments, dict):
        return DirectCall(name, {}, f"The arguments of {quote(name)} are not a JSON object.")
    return _from_arguments(name, cast("dict[object, Any]", arguments))
