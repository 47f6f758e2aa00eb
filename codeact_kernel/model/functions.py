"""Function calls of an endpoint, read as what a model without them would have written: a block with one call in it."""

from __future__ import annotations

import json
import keyword
from typing import cast

__all__ = ["FunctionCall", "get_field"]

_NAME, _ARGUMENTS = 64, 1 << 20


class FunctionCall:
    """The first function that one answer calls: one at a time. Nobody has checked the shape of its pieces."""

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
        """Where calls have no numbers, one with a new id is the next."""
        given = get_field(call, "id")
        self._id = self._id or (given if isinstance(given, str) else "")
        return isinstance(given, str) and given not in ("", self._id)

    def text(self) -> str:
        """The call as a block of Python, or nothing. What is no call at all is shown as it came, for the repair."""
        if not self._name:
            return ""
        return f"\n```python\n{self._call()}\n```\n"

    def _call(self) -> str:
        try:
            arguments: object = json.loads(self._arguments or "{}")
        except (ValueError, RecursionError):
            arguments = None
        name = self._name[:_NAME] if self._name.isidentifier() else "unknown_tool"
        if not isinstance(arguments, dict):
            return repr({"name": name, "arguments": self._arguments[:1_000]})
        named = cast("dict[str, object]", arguments)
        pairs = named.items()
        if not all(key.isidentifier() and not keyword.iskeyword(key) for key in named):
            return repr({"name": name, "arguments": named})
        return f"{name}({', '.join(f'{key}={value!r}' for key, value in pairs)})"


def get_field(value: object, name: str) -> object:
    """Return a field of a JSON object; `None` where there is no such field, or no object."""
    return cast("dict[str, object]", value).get(name) if isinstance(value, dict) else None
