"""Turn the items that a program showed into mimebundles for pages, exports and terminals. All text is escaped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TypeAlias, cast

from ..json_size import take_beginning
from ..text import format_bytes, truncate_middle
from ..types import DisplayItem, JSONObject, JSONValue
from .escaping import escape_controls, for_html, one_line
from .html import table_html
from .markdown_html import markdown_to_html
from .shared import TextTable, make_table, value_block
from .text import table_lines

__all__ = ["Bundle", "shown_bundle", "text_bundle", "title_bundle"]

Bundle: TypeAlias = "tuple[dict[str, Any], dict[str, Any]]"
"""Data and metadata by media type."""

_ROWS, _ROWS_OF_TEXT = 200, 20
_MARKDOWN = 20_000
"""Longer Markdown is shown as plain text. Parsing hostile Markdown of this size takes a fifth of a second."""
_TEXT = 2_000
_VEGA = "application/vnd.vegalite.v5+json"
# Tooltips are plain, because the renderer's own become HTML. Expressions are interpreted, not compiled to JavaScript.
# The menu saves the picture, but does not open the data on a web site.
_EMBED: dict[str, Any] = {
    "actions": {"export": True, "source": False, "compiled": False, "editor": False},
    "ast": True,
    "tooltip": False,
}


def shown_bundle(item: DisplayItem, picture: str = "") -> Bundle:
    """Return the bundle of `item`. Only a chart contains its title: see `title_bundle`.

    Args:
        picture: A PNG of the chart in base64, for front ends that draw no charts.
    """
    match item.kind:
        case "table":
            return _table(item)
        case "markdown":
            return _markdown(item)
        case "chart":
            return _chart(item, picture)
        case "image":
            return _image(item)
        case "json":
            value = _escape_value(item.data)
            return {"application/json": value, "text/plain": value_block(value)}, {
                "application/json": {"expanded": True}
            }
        case "text":
            return _text(str(item.data))


def text_bundle(item: DisplayItem) -> Bundle:
    """Return the beginning of `item` as text, within milliseconds. For programs whose items take too long to draw."""
    match item.kind:
        case "table":
            data = cast("dict[str, Any]", item.data)
            text = "\n".join(table_lines(make_table(data["columns"], data["rows"], data["total"], _ROWS_OF_TEXT)))
        case "image" | "chart":
            text = f"(the {item.kind} is in _codeact.shown)"
        case _:
            text = item.data if isinstance(item.data, str) else json.dumps(take_beginning(item.data))
    return _text(truncate_middle(text, _TEXT))


def title_bundle(item: DisplayItem) -> Bundle | None:
    """Return the title to show above `item`, or `None` if it has no title or contains it."""
    if not item.title or item.kind == "chart":
        return None
    title = one_line(item.title)
    return {"text/plain": title, "text/html": f'<div style="font-weight:bold">{for_html(title)}</div>'}, {}


def _text(text: str) -> Bundle:
    # With HTML as well, because pages turn addresses in plain text into links.
    html = f'<pre style="white-space:pre-wrap;background:none;margin:0">{for_html(text)}</pre>'
    return {"text/plain": escape_controls(text), "text/html": html}, {}


def _table(item: DisplayItem) -> Bundle:
    data = cast("dict[str, Any]", item.data)

    def table(rows: int) -> TextTable:
        return make_table(data["columns"], data["rows"], data["total"], rows)

    html = table_html(table(_ROWS), ";padding:6px 0;max-height:30em")
    return {"text/plain": "\n".join(table_lines(table(_ROWS_OF_TEXT))), "text/html": html}, {}


def _markdown(item: DisplayItem) -> Bundle:
    text = str(item.data)
    html = markdown_to_html(text) if len(text) <= _MARKDOWN else None
    return _text(text) if html is None else ({"text/plain": escape_controls(text), "text/html": html}, {})


def _chart(item: DisplayItem, picture: str) -> Bundle:
    # Without HTML: exports would prefer it to the picture that a page adds to the file.
    spec = cast("JSONObject", _escape_value(item.data))
    bundle: dict[str, Any] = {_VEGA: spec, "text/plain": _chart_text(spec)}
    if picture:
        bundle["image/png"] = picture
    title, *_ = bundle["text/plain"].split("\n")
    return bundle, {_VEGA: {"embed_options": _EMBED}, "image/png": _alternative(title)}


def _alternative(text: str) -> dict[str, str]:
    """Return metadata with an alternative text for a picture. A page uses it for its own picture of a chart too."""
    return {"alt": truncate_middle(text, 300)}


def _chart_text(spec: JSONObject) -> str:
    """Describe a chart by its title and a table of its data."""
    title = spec.get("title")
    title = cast("JSONObject", title).get("text") if isinstance(title, dict) else title
    words = " ".join(str(part) for part in (title if isinstance(title, list) else [title]) if part)
    lines = [f"Chart: {words}" if words else "Chart"]
    if rows := next(_data(spec), None):
        names = list(dict.fromkeys(name for row in rows for name in row))
        cells: list[list[JSONValue]] = [[row.get(name) for name in names] for row in rows[:_ROWS_OF_TEXT]]
        lines += table_lines(make_table(names, cells, len(rows), _ROWS_OF_TEXT))
    return truncate_middle("\n".join(lines), 20_000)


def _data(node: JSONValue) -> Iterator[list[JSONObject]]:
    """Yield the rows of each view of a chart."""
    if isinstance(node, dict):
        data = node.get("data")
        if isinstance(data, dict):
            yield cast("list[JSONObject]", data["values"])
        for name, value in node.items():
            if name != "data":
                yield from _data(value)
    elif isinstance(node, list):
        for item in node:
            yield from _data(item)


def _image(item: DisplayItem) -> Bundle:
    data = cast("dict[str, Any]", item.data)
    mime, size = data["mime"], len(data["base64"]) * 3 // 4
    form = "PNG" if mime == "image/png" else "JPEG"
    text = f"{form} picture, {data['width']:,} × {data['height']:,} pixels, {format_bytes(size)}"
    return {mime: data["base64"], "text/plain": text}, {mime: _alternative(one_line(item.title) or text)}


def _escape_value(value: JSONValue) -> Any:
    """Escape control codes and hidden characters in every text of `value`."""
    if isinstance(value, str):
        return _escape_text(value)
    if isinstance(value, list):
        return [_escape_value(item) for item in value]
    if isinstance(value, dict):
        return {_escape_text(name): _escape_value(item) for name, item in value.items()}
    return value


def _escape_text(text: str) -> str:
    """Replace the backslashes of escapes, because the renderer of charts would interpret them."""
    shown = escape_controls(text)
    return text if shown == text else shown.replace("\\", "\ufffd")
