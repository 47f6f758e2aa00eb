"""What kind of thing is to be shown, and its way to the host in pieces."""

import json
from typing import Any

from ..tool_calls import flushes, key_text, plain, service
from .limits import max_items
from .tables import is_table, leave_out, length_of, names_of, rows_of

_PIECE = 200_000
_KINDS = ("table", "text", "markdown", "chart", "image", "json")
_SPEC = {"mark", "layer", "hconcat", "vconcat", "concat", "facet", "spec", "marks"}


def send(value: Any, chart: Any, x: Any, y: Any, color: Any, title: str | None, kind: str | None) -> None:
    """Show `value`; see `show`."""
    if kind is not None and kind not in _KINDS:
        raise ValueError(f"show(kind={kind!r}): kind is one of {', '.join(_KINDS)}")
    if chart is not None:
        from .charts import chart_of

        value, kind = chart_of(value, chart, x, y, color, title), "chart"
        title = None  # it stands in the chart
    kind = kind or _kind(value)
    for flush in flushes:
        flush()  # what was printed before comes before
    text = _text(kind, value)
    pieces = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)] or [""]
    for piece in pieces:
        service("show.item", kind=kind, title=str(title or ""), text=piece, last=piece is pieces[-1])


def _kind(value: Any) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "image"
    if isinstance(value, str):
        return "markdown"
    if isinstance(value, dict) and ("$schema" in value or not _SPEC.isdisjoint(value)):
        return "chart"
    if is_table(value):
        return "table"
    return "json" if isinstance(value, (dict, list, tuple, set, frozenset)) else "text"


def _name(label: Any) -> str:
    """The name of a column; what has no form as a key as its text."""
    try:
        return key_text(label)
    except TypeError:
        return str(label)


def _text(kind: str, value: Any) -> str:
    if kind in ("text", "markdown"):
        return str(value)
    if kind == "image":
        from binascii import b2a_base64

        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise ValueError("show() takes an image as the bytes of a PNG or JPEG file")
        return b2a_base64(value, newline=False).decode()
    if kind == "table":
        if not is_table(value):
            raise ValueError("show() takes a table as a list of dicts")
        names = names_of(value)
        value = {
            "columns": [_name(name) for name in names],
            "rows": rows_of(value, max_items["table_rows"], names),
            "total": length_of(value),
        }
    elif kind == "chart":
        from .charts import completed

        value = completed(value)
    return json.dumps(plain(value, non_finite=leave_out), ensure_ascii=False, separators=(",", ":"))
