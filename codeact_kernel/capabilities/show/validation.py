"""Validate the items that a program sends to `show`: the guest can send anything, so types and sizes are checked."""

from __future__ import annotations

import binascii
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from ...bridge import strict_json
from ...errors import BridgeError, ProgramError
from ...limits import ShowLimits
from ...text import format_bytes
from ...types import DisplayItem, JSONObject, JSONValue, ShownKind
from .charts import validate_chart
from .image_headers import image_size

__all__ = ["max_item_bytes", "revalidate_item", "validate_item"]


def max_item_bytes(kind: ShownKind, limits: ShowLimits) -> int:
    """Return the maximum size of an item while it is sent."""
    match kind:
        case "text" | "markdown":
            return 4 * limits.text_characters
        case "table":
            return limits.table_bytes
        case "chart":
            return limits.chart_bytes
        case "image":
            return limits.image_bytes * 4 // 3 + 4  # as base64
        case "json":
            return limits.json_bytes


def validate_item(kind: ShownKind, text: str, limits: ShowLimits) -> JSONValue:
    """Return the data of a `DisplayItem`.

    Args:
        text: the item as it was sent: plain text, an image in base64, or JSON.

    Raises:
        ProgramError: if the item is not valid or exceeds a limit.
    """
    match kind:
        case "text" | "markdown":
            if len(text) > limits.text_characters:
                raise ProgramError(f"a text to show has at most {limits.text_characters:,} characters: show less")
            return text
        case "image":
            return _image(text, limits)
        case "table":
            return _table(_decode(text, limits), limits)
        case "chart":
            return validate_chart(_decode(text, limits), limits)
        case "json":
            value = _decode(text, limits)
            if "__proto__" in _keys(value):  # JavaScript gives it a special meaning
                raise ProgramError("the key __proto__ cannot be shown: use another name")
            return value


def revalidate_item(item: DisplayItem) -> DisplayItem:
    """Return an item that was kept in a file, which anybody may have changed, if it is valid.

    Raises:
        ProgramError: if it is not valid, or only a part of it was kept.
    """
    data, limits = item.data, ShowLimits()
    match item.kind, data:
        case "text" | "markdown", str():
            return replace(item, data=validate_item(item.kind, data, limits))
        case "image", {"base64": str(text), **others}:
            image = _image(text, limits)
            alternative = others.get("alternative")
            return replace(item, data=image | ({"alternative": alternative} if isinstance(alternative, str) else {}))
        case ("table" | "chart", dict()) | ("json", _):
            return replace(item, data=validate_item(item.kind, json.dumps(data), limits))
        case _:
            raise ProgramError(f"this is not a {item.kind}")


def _decode(text: str, limits: ShowLimits) -> JSONValue:
    data = text.encode()
    try:
        return strict_json.loads(data, limit=len(data), depth=limits.depth)
    except BridgeError as error:
        raise ProgramError(f"this cannot be shown: {error}") from None


def _table(value: JSONValue, limits: ShowLimits) -> JSONObject:
    match value:
        case {"columns": list(columns), "rows": list(rows), "total": int(total)} if type(total) is int:
            pass
        case _:
            raise ProgramError("a table must be a list of dicts")
    if not all(isinstance(name, str) for name in columns) or len(columns) > limits.table_columns:
        raise ProgramError(f"a table has at most {limits.table_columns} columns, with text as names")
    if len(rows) > limits.table_rows or total < len(rows):
        raise ProgramError(f"a table is sent with at most {limits.table_rows:,} rows")
    if not all(isinstance(row, list) and len(row) == len(columns) for row in rows):
        raise ProgramError("each row of a table must have as many cells as columns")
    return {"columns": columns, "rows": rows, "total": total}


def _image(text: str, limits: ShowLimits) -> JSONObject:
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise ProgramError("an image must be sent as base64") from None
    if len(data) > limits.image_bytes:
        raise ProgramError(f"an image has at most {format_bytes(limits.image_bytes)}: make it smaller")
    mime, width, height = image_size(data)
    if not 0 < width * height <= limits.image_pixels:
        raise ProgramError(
            f"an image of {width} × {height} pixels is too large: the maximum is {limits.image_pixels:,}"
        )
    encoded = binascii.b2a_base64(data, newline=False).decode()
    return {"mime": mime, "width": width, "height": height, "base64": encoded}


def _keys(value: JSONValue) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _keys(item)
    elif isinstance(value, dict):
        for key, item in cast("JSONObject", value).items():
            yield key
            yield from _keys(item)
