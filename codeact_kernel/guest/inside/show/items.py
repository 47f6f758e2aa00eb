"""Detect what kind of value to show, and send it to the host in pieces."""

import json
import sys
from typing import Any

from ..tool_calls import call_host, flush_hooks, to_jsonable, to_key_text
from .limits import max_items
from .tables import count_rows, drop_non_finite, get_column_names, is_table, read_rows

_PIECE = 200_000
_KINDS = ("table", "text", "markdown", "chart", "image", "json")
_CHART_KEYS = {"mark", "layer", "hconcat", "vconcat", "concat", "facet", "spec", "marks"}


def send(value: Any, chart: Any, x: Any, y: Any, color: Any, title: str | None, kind: str | None) -> None:
    """Show `value`; `function.show` documents the arguments."""
    if "numpy" in sys.modules:
        from .frames import adapt

        value = adapt(value)
        if isinstance(value, dict) and "data" in value:
            value = {**value, "data": adapt(value["data"])}
    if kind is not None and kind not in _KINDS:
        raise ValueError(f"show(kind={kind!r}): kind must be one of {', '.join(_KINDS)}")
    if chart is not None:
        from .charts import make_chart

        value, kind = make_chart(value, chart, x, y, color, title), "chart"
        title = None  # the chart contains it
    kind = kind or _detect_kind(value)
    for flush in flush_hooks:
        flush()  # earlier printed text must appear first
    text = _encode(kind, value)
    pieces = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)] or [""]
    words = getattr(value, "alternative", "") if kind == "image" else ""
    alternative = {"alternative": words} if words else {}
    for piece in pieces:
        is_last = piece is pieces[-1]
        call_host("show", "item", kind=kind, title=str(title or ""), text=piece, last=is_last, **alternative)


def _detect_kind(value: Any) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "image"
    if isinstance(value, str):
        return "markdown"
    if isinstance(value, dict) and ("$schema" in value or not _CHART_KEYS.isdisjoint(value)):
        return "chart"
    if is_table(value):
        return "table"
    return "json" if isinstance(value, (dict, list, tuple, set, frozenset)) else "text"


def _get_column_name(label: Any) -> str:
    """Return the name of a column as a key, or its `str` if it has no such form."""
    try:
        return to_key_text(label)
    except TypeError:
        return str(label)


def _encode(kind: str, value: Any) -> str:
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
        names = get_column_names(value)
        value = {
            "columns": [_get_column_name(name) for name in names],
            "rows": read_rows(value, max_items["table_rows"], names),
            "total": count_rows(value),
        }
    elif kind == "chart":
        from .charts import complete_chart

        value = complete_chart(value)
    return json.dumps(to_jsonable(value, non_finite=drop_non_finite), ensure_ascii=False, separators=(",", ":"))
