"""What a program sends to be shown, to what may be shown. All of it is hostile: exact kinds and sizes, or refused."""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from typing import cast

from ...bridge import strict_json
from ...errors import BridgeError, ProgramError
from ...limits import ShowLimits
from ...text import format_bytes
from ...types import JSONObject, JSONValue, ShownKind
from .charts import checked_chart
from .image_headers import image_size

__all__ = ["checked", "most_bytes"]


def most_bytes(kind: ShownKind, limits: ShowLimits) -> int:
    """The size of what may be sent of one item."""
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


def checked(kind: ShownKind, text: str, limits: ShowLimits) -> JSONValue:
    """The data of a `DisplayItem`.

    Args:
        text: what was sent: text as it is, an image in base64, all else as JSON.

    Raises:
        ProgramError: it may not be shown.
    """
    match kind:
        case "text" | "markdown":
            if len(text) > limits.text_characters:
                raise ProgramError(f"a text to show has at most {limits.text_characters:,} characters: show less")
            return text
        case "image":
            return _image(text, limits)
        case "table":
            return _table(_decoded(text, limits), limits)
        case "chart":
            return checked_chart(_decoded(text, limits), limits)
        case "json":
            value = _decoded(text, limits)
            if "__proto__" in _keys(value):  # a page would take it for more than a key
                raise ProgramError("the key __proto__ cannot be shown: give it another name")
            return value


def _decoded(text: str, limits: ShowLimits) -> JSONValue:
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
            raise ProgramError("a table is a list of dicts")
    if not all(isinstance(name, str) for name in columns) or len(columns) > limits.table_columns:
        raise ProgramError(f"a table has at most {limits.table_columns} columns, with text as names")
    if len(rows) > limits.table_rows or total < len(rows):
        raise ProgramError(f"at most {limits.table_rows:,} rows of a table are sent")
    if not all(isinstance(row, list) and len(row) == len(columns) for row in rows):
        raise ProgramError("a table's rows have as many cells as it has columns")
    return {"columns": columns, "rows": rows, "total": total}


def _image(text: str, limits: ShowLimits) -> JSONObject:
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise ProgramError("an image is sent as base64") from None
    if len(data) > limits.image_bytes:
        raise ProgramError(f"an image has at most {format_bytes(limits.image_bytes)}: make it smaller")
    mime, width, height = image_size(data)
    if not 0 < width * height <= limits.image_pixels:
        raise ProgramError(f"an image of {width} × {height} pixels is too large: {limits.image_pixels:,} are the most")
    encoded = binascii.b2a_base64(data, newline=False).decode()
    return {"mime": mime, "width": width, "height": height, "base64": encoded}


def _keys(value: JSONValue) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from _keys(one)
    elif isinstance(value, dict):
        for key, one in cast("JSONObject", value).items():
            yield key
            yield from _keys(one)
