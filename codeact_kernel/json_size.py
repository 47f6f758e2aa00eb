"""Measure the memory of a JSON value, and take the beginning of a value that is too large."""

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
        item = todo.pop()
        size += sys.getsizeof(item)
        if isinstance(item, list):
            size += _CONTAINER
            todo += cast("list[object]", item)
        elif isinstance(item, dict):
            size += _CONTAINER
            entries = cast("dict[object, object]", item)
            todo += [*entries, *entries.values()]
    return size


def take_beginning(value: JSONValue) -> JSONValue:
    """Return the first parts of a large value, which show its shape. There are at most a few hundred of them."""
    left = _VALUES

    def cut(part: JSONValue) -> JSONValue:
        nonlocal left
        left -= 1
        if isinstance(part, str):
            return part[:_CHARACTERS]
        if isinstance(part, list):
            return [cut(item) for item in part[:_ITEMS] if left > 0]
        if isinstance(part, dict):
            entries: JSONObject = {}
            for name, item in part.items():
                if left <= 0 or len(entries) == _ENTRIES:
                    break
                entries[name[:_CHARACTERS]] = cut(item)
            return entries
        return part

    return cut(value)
