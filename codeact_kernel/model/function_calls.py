"""Convert function calls, from an endpoint or written as text, to a program with one call.

Models that were trained to run code by a function such as `execute_code` put their program into an argument.
"""

from __future__ import annotations

import ast
import json
import keyword
from collections.abc import Collection
from typing import cast

__all__ = ["FunctionCall", "get_field", "is_runner", "read_call", "unwrap"]

_NAME, _ARGUMENTS = 64, 1 << 20
_RUNNERS = frozenset(
    [
        "execute_code",
        "execute_python",
        "execute_ipython",
        "run_code",
        "run_python",
        "run_program",
        "python",
        "python_interpreter",
        "code_interpreter",
        "python_repl",
        "python_exec",
        "ipython",
        "exec_python",
    ]
)
"""The functions by which models were trained to run code."""
_CODE = ("code", "program", "source", "script", "python", "__arg1")


class FunctionCall:
    """The first function call of one answer; further calls are ignored. Its pieces are unchecked JSON."""

    def __init__(self) -> None:
        self._id = ""
        self._name = ""
        self._arguments = ""

    def take(self, delta: object) -> None:
        """Add the next piece of the answer."""
        calls = get_field(delta, "tool_calls")
        for call in cast("list[object]", calls) if isinstance(calls, list) else []:
            if get_field(call, "index") not in (0, None) or self._is_another(call):
                continue
            function = get_field(call, "function")
            name, arguments = get_field(function, "name"), get_field(function, "arguments")
            if isinstance(name, str) and len(self._name) <= _NAME:
                self._name += name[:_NAME]
            if isinstance(arguments, str) and len(self._arguments) <= _ARGUMENTS:
                self._arguments += arguments

    def _is_another(self, call: object) -> bool:
        """Return whether this is a second call: without an index, a new id begins the next call."""
        given = get_field(call, "id")
        self._id = self._id or (given if isinstance(given, str) else "")
        return isinstance(given, str) and given not in ("", self._id)

    def text(self) -> str:
        """Return the call as a block of Python, or nothing. Invalid calls are kept, so that the model can fix them."""
        if not self._name:
            return ""
        return f"\n```python\n{self._call()}\n```\n"

    def _call(self) -> str:
        try:
            arguments: object = json.loads(self._arguments or "{}")
        except (ValueError, RecursionError):
            arguments = None
        name = self._name[:_NAME] if self._name.isidentifier() else "unknown_tool"
        if name in _RUNNERS and not isinstance(arguments, dict):
            return f"{name}(code={self._arguments!r})"
        if not isinstance(arguments, dict):
            return repr({"name": name, "arguments": self._arguments[:1_000]})
        return _write_call(name, cast("dict[str, object]", arguments))


def get_field(value: object, name: str) -> object:
    """Return a field of a JSON object, or `None` if the field is missing or `value` is not an object."""
    return cast("dict[str, object]", value).get(name) if isinstance(value, dict) else None


def is_runner(name: str) -> bool:
    """Return whether a function of this name runs code."""
    return name in _RUNNERS


def unwrap(program: str, tree: ast.Module | None, tools: Collection[str]) -> str | None:
    """Return the program that `program` passes to a function such as `execute_code`, or the tool call it describes.

    Returns:
        The inner program; `None` if there is none, and `program` itself is to be used.
    """
    text = program.strip()
    if text.startswith(("{", "[")):
        try:
            return read_call(json.loads(text, strict=False), tools)
        except (ValueError, RecursionError):
            pass
    match tree.body if tree is not None else []:
        case [ast.Expr(ast.Dict() as written)]:
            return read_call(_literal(written), tools)
        case [ast.Expr(ast.Call(ast.Name(name), arguments, keywords))] if name in _RUNNERS and name not in tools:
            given = {str(item.arg): _literal(item.value) for item in keywords}
            if arguments:
                given["code"] = _literal(arguments[0])
            return _code_in(given)
        case _:
            return None


def read_call(value: object, tools: Collection[str]) -> str | None:
    """Return the program of a call in JSON: `{"name": "execute_code", "arguments": {"code": "..."}}`, in any spelling.

    Args:
        tools: the names of the offered tools. A call of a tool is a program too.
    """
    items = cast("list[object]", value) if isinstance(value, list) else []
    value = items[0] if len(items) == 1 else cast("object", value)
    inner = get_field(value, "function")
    call = cast("object", inner if isinstance(inner, dict) else value)
    name = _first_field(call, "name", "tool", "tool_name", "function")
    found = _first_field(call, "arguments", "parameters", "args", "input")
    if not isinstance(name, str) or (name not in tools and name not in _RUNNERS):
        return None
    arguments = _arguments(found)
    if name in tools:
        return _write_call(name, arguments) if arguments is not None else None
    return _code_in({"code": found} if arguments is None else arguments)


def _first_field(call: object, *names: str) -> object:
    return next((value for name in names if (value := get_field(call, name))), None)


def _arguments(found: object) -> dict[str, object] | None:
    if found is None:
        return {}
    if isinstance(found, str):
        try:
            found = json.loads(found, strict=False)
        except (ValueError, RecursionError):
            return None
    return cast("dict[str, object]", found) if isinstance(found, dict) else None


def _code_in(arguments: dict[str, object]) -> str | None:
    code = next((value for key in _CODE if isinstance(value := arguments.get(key), str) and value.strip()), None)
    # JSON can contain a lone surrogate, which is not valid in a program.
    return None if code is None else code.encode("utf-8", "replace").decode()


def _write_call(name: str, arguments: dict[str, object]) -> str:
    if not all(key.isidentifier() and not keyword.iskeyword(key) for key in arguments):
        return repr({"name": name, "arguments": arguments})
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"


def _literal(node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError):
        return None
