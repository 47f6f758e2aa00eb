"""How much memory a JSON value takes, and its beginning where the whole would take too much."""

from __future__ import annotations

import sys
from typing import cast

from .types import JSONObject, JSONValue

__all__ = ["take_beginning", "weigh"]

_CONTAINER = 16
"""Bytes that the garbage collector adds to each list and dict."""
_CHARACTERS, _ITEMS, _ENTRIES, _VALUES = 200, 3, 50, 200


def weigh(value: object) -> int:
    """Return the bytes that a JSON value takes in memory, every part counted as if nothing were shared.

    JSON text says little about that: `[[],[],…]` takes 27 times as much as its text.
    """
    size, todo = 0, [value]
    while todo:
        one = todo.pop()
        size += sys.getsizeof(one)
        if isinstance(one, list):
            size += _CONTAINER
            todo += cast("list[object]", one)
        elif isinstance(one, dict):
            size += _CONTAINER
            entries = cast("dict[object, object]", one)
            todo += [*entries, *entries.values()]
    return size


def take_beginning(value: JSONValue) -> JSONValue:
    """Return what shows a large value and its shape: its first parts, at most some hundred of them."""
    left = _VALUES

    def cut(one: JSONValue) -> JSONValue:
        nonlocal left
        left -= 1
        if isinstance(one, str):
            return one[:_CHARACTERS]
        if isinstance(one, list):
            return [cut(item) for item in one[:_ITEMS] if left > 0]
        if isinstance(one, dict):
            made: JSONObject = {}
            for name, item in one.items():
                if left <= 0 or len(made) == _ENTRIES:
                    break
                made[name[:_CHARACTERS]] = cut(item)
            return made
        return one

    return cut(value)
