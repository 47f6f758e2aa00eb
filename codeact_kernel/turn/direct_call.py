"""A program that is nothing but one call of a direct tool is no program: the model calls the tool itself."""

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
    """The call that the model makes.

    Attributes:
        problem: one sentence for the model, when its values cannot be read; else empty.
    """

    name: str
    arguments: Mapping[str, Any]
    problem: str = ""


def direct_call(program: str, tools: Mapping[str, ToolFacts]) -> DirectCall | None:
    """The one call of one of `tools` that `program` is, or `None`. Its values must be literals: nothing is run."""
    try:
        match ast.parse(program.strip()).body:
            case [ast.Expr(ast.Dict() as written)]:
                return _as_data(written, tools)
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
    return _plain(name, positional | named)


def _plain(name: str, arguments: Mapping[Any, Any]) -> DirectCall:
    """The call with what JSON can carry: Python's literals are more than that."""
    if not all(isinstance(key, str) and _is_json(value) for key, value in arguments.items()):
        return DirectCall(name, {}, f"{quote(name)} takes JSON: text, finite numbers, lists, dicts with text keys.")
    return DirectCall(name, json.loads(json.dumps(arguments)))


def _is_json(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_json(one) for one in cast("list[object]", value))
    if isinstance(value, dict):
        pairs = cast("dict[object, object]", value).items()
        return all(isinstance(key, str) and _is_json(one) for key, one in pairs)
    return value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))


def _as_data(written: ast.Dict, tools: Mapping[str, ToolFacts]) -> DirectCall | None:
    """The same as models write it that have learned function calls: `{"name": ..., "arguments": {...}}`."""
    try:
        data: dict[object, Any] = ast.literal_eval(written)
    except (ValueError, TypeError, RecursionError, MemoryError):
        return None
    name, arguments = data.get("name"), data.get("arguments")
    if data.keys() != {"name", "arguments"} or not isinstance(name, str) or name not in tools:
        return None
    if not isinstance(arguments, dict):
        return DirectCall(name, {}, f"The arguments of {quote(name)} are no JSON object.")
    return _plain(name, cast("dict[object, Any]", arguments))
