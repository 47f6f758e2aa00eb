"""Runs in the guest as `codeact_showing`: what kind of thing is to be shown, and its way to the host in pieces."""

import json
from typing import Any

from codeact_calls import flushes, key_text, plain, service
from codeact_show import most

_PIECE = 200_000
_KINDS = ("table", "text", "markdown", "chart", "image", "json")
_SPEC = {"mark", "layer", "hconcat", "vconcat", "concat", "facet", "spec", "marks"}


def send(value: Any, chart: Any, x: Any, y: Any, color: Any, title: str | None, kind: str | None) -> None:
    """Show `value`; see `show`."""
    if kind is not None and kind not in _KINDS:
        raise ValueError(f"show(kind={kind!r}): kind is one of {', '.join(_KINDS)}")
    if chart is not None:
        from codeact_charts import chart_of

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


def is_table(value: Any) -> bool:
    """A list of dicts, or something with columns and rows."""
    if hasattr(value, "columns") and hasattr(value, "rows"):
        return True
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(row, dict) for row in value)


def length_of(table: Any) -> int:
    """How many rows a table has."""
    return len(table if isinstance(table, (list, tuple)) else table.rows)


def names_of(table: Any) -> list[Any]:
    """The names of a table's columns, as the table has them."""
    if isinstance(table, (list, tuple)):
        return list(dict.fromkeys(name for row in table for name in row))
    return list(table.columns)


def rows_of(table: Any, most: int, names: list[Any]) -> list[list[Any]]:
    """The first rows of a table, as lists of cells."""
    first = table if isinstance(table, (list, tuple)) else table.rows
    rows = (row if isinstance(row, dict) else dict(zip(names, row, strict=True)) for row in first[:most])
    return [[cell(row.get(name)) for name in names] for row in rows]


def column_of(table: Any, name: Any) -> list[Any]:
    """One column of a table; of one that the notebook gave no other is fetched."""
    if type(table).__module__ in ("codeact_table", "codeact_rows"):
        return [cell(value) for value in table[name]]
    at = names_of(table).index(name)
    rows = table if isinstance(table, (list, tuple)) else table.rows
    return [cell(row.get(name) if isinstance(row, dict) else row[at]) for row in rows]


def cell(value: Any) -> Any:
    """One cell as JSON; what has no form there as its text."""
    try:
        return plain(value, non_finite=_leave_out)
    except TypeError:
        return str(value)


def _name(label: Any) -> str:
    """The name of a column; what has no form as a key as its text."""
    try:
        return key_text(label)
    except TypeError:
        return str(label)


def _leave_out(value: float) -> None:
    """A picture or a cell has no place for infinity and NaN."""


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
            "rows": rows_of(value, most["table_rows"], names),
            "total": length_of(value),
        }
    elif kind == "chart":
        from codeact_charts import completed

        value = completed(value)
    return json.dumps(plain(value, non_finite=_leave_out), ensure_ascii=False, separators=(",", ":"))
