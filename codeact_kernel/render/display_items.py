"""What a program showed, as a mimebundle: for a page, for an export, for a terminal. Pure, and all text is harmless."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TypeAlias, cast

from ..json_size import take_beginning
from ..text import format_bytes, truncate_middle
from ..types import DisplayItem, JSONObject, JSONValue
from .escaping import for_html, one_line, plain
from .html import table_html
from .markdown_html import markdown_to_html
from .shared import TextTable, make_table, value_block
from .text import table_lines

__all__ = ["Bundle", "shown_bundle", "text_bundle", "title_bundle"]

Bundle: TypeAlias = "tuple[dict[str, Any], dict[str, Any]]"
"""Data and metadata, by media type."""

_ROWS, _ROWS_OF_TEXT = 200, 20
_MARKDOWN = 20_000
"""Characters of Markdown; a longer text is shown as it is. Hostile Markdown of this size takes a fifth of a second."""
_TEXT = 2_000
_VEGA = "application/vnd.vegalite.v5+json"
# A page's renderer is told: plain tooltips (its own become HTML), expressions by an interpreter and not as JavaScript,
# and a menu that saves the picture but does not hand the data to a web site.
_EMBED: dict[str, Any] = {
    "actions": {"export": True, "source": False, "compiled": False, "editor": False},
    "ast": True,
    "tooltip": False,
}


def shown_bundle(item: DisplayItem, picture: str = "") -> Bundle:
    """What shows `item`, without its title where the kind has no place for one.

    Args:
        picture: of a chart, a PNG in base64, for what draws no charts.
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
    """Show the beginning of `item` as text, in milliseconds: for a program whose items take too long to draw."""
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
    """What stands above `item`; nothing where it has no title, or one inside."""
    if not item.title or item.kind == "chart":
        return None
    title = one_line(item.title)
    return {"text/plain": title, "text/html": f'<div style="font-weight:bold">{for_html(title)}</div>'}, {}


def _text(text: str) -> Bundle:
    # As HTML too, since a page makes links of what looks like an address in plain text.
    html = f'<pre style="white-space:pre-wrap;background:none;margin:0">{for_html(text)}</pre>'
    return {"text/plain": plain(text), "text/html": html}, {}


def _table(item: DisplayItem) -> Bundle:
    data = cast("dict[str, Any]", item.data)

    def table(rows: int) -> TextTable:
        return make_table(data["columns"], data["rows"], data["total"], rows)

    html = table_html(table(_ROWS), ";padding:6px 0;max-height:30em")
    return {"text/plain": "\n".join(table_lines(table(_ROWS_OF_TEXT))), "text/html": html}, {}


def _markdown(item: DisplayItem) -> Bundle:
    text = str(item.data)
    html = markdown_to_html(text) if len(text) <= _MARKDOWN else None
    return _text(text) if html is None else ({"text/plain": plain(text), "text/html": html}, {})


def _chart(item: DisplayItem, picture: str) -> Bundle:
    # No HTML beside it: exports would take that for the chart, and leave out the picture that a page adds to the file.
    spec = cast("JSONObject", _escape_value(item.data))
    bundle: dict[str, Any] = {_VEGA: spec, "text/plain": _chart_text(spec)}
    if picture:
        bundle["image/png"] = picture
    title, *_ = bundle["text/plain"].split("\n")
    return bundle, {_VEGA: {"embed_options": _EMBED}, "image/png": _alternative(title)}


def _alternative(text: str) -> dict[str, str]:
    """The metadata of a picture, with a text for those who do not see it; a page's own picture of a chart takes it."""
    return {"alt": truncate_middle(text, 300)}


def _chart_text(spec: JSONObject) -> str:
    """A chart in words: its title, and its data as a table."""
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
    """The rows of a chart's views."""
    if isinstance(node, dict):
        data = node.get("data")
        if isinstance(data, dict):
            yield cast("list[JSONObject]", data["values"])
        for name, value in node.items():
            if name != "data":
                yield from _data(value)
    elif isinstance(node, list):
        for one in node:
            yield from _data(one)


def _image(item: DisplayItem) -> Bundle:
    data = cast("dict[str, Any]", item.data)
    mime, size = data["mime"], len(data["base64"]) * 3 // 4
    form = "PNG" if mime == "image/png" else "JPEG"
    text = f"{form} picture, {data['width']:,} × {data['height']:,} pixels, {format_bytes(size)}"
    return {mime: data["base64"], "text/plain": text}, {mime: _alternative(one_line(item.title) or text)}


def _escape_value(value: JSONValue) -> Any:
    """The same value, in which no text has control codes or hidden characters."""
    if isinstance(value, str):
        return _escape_text(value)
    if isinstance(value, list):
        return [_escape_value(one) for one in value]
    if isinstance(value, dict):
        return {_escape_text(name): _escape_value(one) for name, one in value.items()}
    return value


def _escape_text(text: str) -> str:
    """With a sign for what is hidden: its escape has a backslash, which a chart's renderer would read."""
    shown = plain(text)
    return text if shown == text else shown.replace("\\", "\ufffd")
