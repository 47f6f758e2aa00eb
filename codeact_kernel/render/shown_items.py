"""Write the items that a program showed: as elements of the card, as text, and as the mimebundle of a single item."""

from __future__ import annotations

import base64
import json
import struct
import time
from collections.abc import Iterator
from typing import Any, TypeAlias, cast

from ..json_size import take_beginning
from ..text import format_bytes, truncate_middle
from ..types import DisplayItem, JSONObject, JSONValue
from .elements import Element, Node, element, write_html
from .escaping import escape_controls, one_line
from .markdown_elements import read_markdown
from .tables import TextTable, make_table, table_lines
from .value_elements import PRE, SCROLL, draw_table, draw_value
from .values import value_block

__all__ = ["Bundle", "Gallery", "draw_item", "item_bundle", "item_text"]

Bundle: TypeAlias = "tuple[dict[str, Any], dict[str, Any]]"
"""Data and metadata by media type."""

_MAX_MARKDOWN = 20_000
"""Longer Markdown is shown as plain text. Parsing hostile Markdown of this size takes a fifth of a second."""
_MAX_TEXT, _MAX_CHART_TEXT, _MAX_BEGINNING = 20_000, 20_000, 2_000
_SECONDS = 3.0
"""Processor time for drawing the items of a turn, usually milliseconds each."""
_VEGA = "application/vnd.vegalite.v5+json"
# Tooltips are plain, because the renderer's own become HTML. Expressions are interpreted, not compiled to JavaScript.
# The menu saves the picture, but does not open the data on a web site.
_EMBED: dict[str, Any] = {
    "actions": {"export": True, "source": False, "compiled": False, "editor": False},
    "ast": True,
    "tooltip": False,
}


class Gallery:
    """Draws the items of one turn, each once, although the card is drawn often."""

    def __init__(self) -> None:
        # With the items, because the id of an item that is gone may be that of another one.
        self._drawn: dict[tuple[int, str], tuple[DisplayItem, Element]] = {}
        self._seconds = 0.0
        self.is_stopped = False  # set in any thread: what is not drawn yet is only shown as text

    def draw(self, item: DisplayItem, picture: str = "") -> Element:
        """Draw an item as `draw_item` does, or its beginning as text if the items of this turn take too long."""
        key = id(item), picture[:100]
        if key not in self._drawn:
            before = time.thread_time()
            is_quick = self._seconds < _SECONDS and not self.is_stopped
            self._drawn[key] = item, draw_item(item, picture) if is_quick else _draw_beginning(item)
            self._seconds += time.thread_time() - before
        return self._drawn[key][1]


def draw_item(item: DisplayItem, picture: str = "") -> Element:
    """Draw an item for the card, below its title.

    Args:
        picture: a PNG of the chart in base64. Without it, the card shows the data of the chart.
    """
    title = one_line(item.title) if item.kind != "chart" else ""
    return element(
        "div",
        "padding:4px 10px",
        *([element("div", "font-weight:600", title)] if title else []),
        *_draw(item, picture),
    )


def _draw_beginning(item: DisplayItem) -> Element:
    return element("div", "padding:4px 10px", _draw_text(truncate_middle(item_text(item), _MAX_BEGINNING)))


def item_text(item: DisplayItem) -> str:
    """Write an item as text, within milliseconds and bounded."""
    match item.kind:
        case "table":
            return "\n".join(table_lines(_to_table(item)))
        case "chart":
            return _chart_text(cast("JSONObject", item.data))
        case "image":
            return _describe_image(item)
        case "json":
            return value_block(_bounded(item.data))
        case _:
            return escape_controls(truncate_middle(str(item.data), _MAX_TEXT))


def item_bundle(item: DisplayItem) -> Bundle:
    """Return the mimebundle of one item, where a cell ends with it. A page draws a chart itself, with its tooltips."""
    text = item_text(item)
    if item.kind == "chart":
        # Without HTML: exports would prefer it to the picture that a page adds to the file.
        spec = cast("JSONObject", _escape_value(item.data))
        metadata = {_VEGA: {"embed_options": _EMBED}, "image/png": {"alt": _describe_chart(spec)}}
        return {_VEGA: spec, "text/plain": text}, metadata
    if item.kind == "image":
        data = cast("dict[str, Any]", item.data)
        return {data["mime"]: data["base64"], "text/plain": text}, {data["mime"]: {"alt": _describe_image(item)}}
    return {"text/plain": text, "text/html": write_html(draw_item(item))}, {}


def _draw(item: DisplayItem, picture: str) -> Iterator[Node]:
    match item.kind:
        case "table":
            yield draw_table(_to_table(item))
        case "markdown":
            text = str(item.data)
            nodes = read_markdown(text) if len(text) <= _MAX_MARKDOWN else None
            yield from [_draw_text(text)] if nodes is None else nodes
        case "chart":
            spec = cast("JSONObject", item.data)
            if picture:
                yield _draw_picture("image/png", picture, _describe_chart(spec), _chart_width(picture))
            else:
                yield _draw_text(item_text(item))
        case "image":
            data = cast("dict[str, Any]", item.data)
            yield _draw_picture(data["mime"], data["base64"], _describe_image(item), data["width"])
        case "json":
            yield draw_value(item.data)
        case "text":
            yield _draw_text(str(item.data))


def _draw_text(text: str) -> Element:
    return element("pre", f"{PRE};padding:0;{SCROLL}", truncate_middle(text, _MAX_TEXT))


def _draw_picture(mime: str, data: str, alternative: str, width: int) -> Element:
    source = f"data:{mime};base64,{data}"
    return element("img", "max-width:100%;height:auto", src=source, alt=alternative, width=str(width))


def _chart_width(picture: str) -> int:
    """Return the width at which a chart is shown: half of its pixels, so that it is sharp on every screen."""
    (width,) = struct.unpack(">I", base64.b64decode(picture[:32])[16:20])
    return width // 2


def _to_table(item: DisplayItem) -> TextTable:
    data = cast("dict[str, Any]", item.data)
    return make_table(data["columns"], data["rows"], data["total"])


def _bounded(value: JSONValue) -> JSONValue:
    return value if len(json.dumps(value)) <= _MAX_TEXT else take_beginning(value)


def _describe_chart(spec: JSONObject) -> str:
    title = spec.get("title")
    title = cast("JSONObject", title).get("text") if isinstance(title, dict) else title
    words = " ".join(str(part) for part in (title if isinstance(title, list) else [title]) if part)
    return one_line(truncate_middle(f"Chart: {words}" if words else "Chart", 300))


def _chart_text(spec: JSONObject) -> str:
    """Describe a chart by its title and a table of its data."""
    lines = [_describe_chart(spec)]
    if rows := next(_find_rows(spec), None):
        names = list(dict.fromkeys(name for row in rows for name in row))
        cells: list[list[JSONValue]] = [[row.get(name) for name in names] for row in rows[:100]]
        lines += table_lines(make_table(names, cells, len(rows)))
    return truncate_middle("\n".join(lines), _MAX_CHART_TEXT)


def _find_rows(node: JSONValue) -> Iterator[list[JSONObject]]:
    """Yield the rows of each view of a chart."""
    if isinstance(node, dict):
        data = node.get("data")
        if isinstance(data, dict):
            yield cast("list[JSONObject]", data["values"])
        for name, value in node.items():
            if name != "data":
                yield from _find_rows(value)
    elif isinstance(node, list):
        for item in node:
            yield from _find_rows(item)


def _describe_image(item: DisplayItem) -> str:
    """Return the alternative text of an image: its own, else its title, else its type and size."""
    data = cast("dict[str, Any]", item.data)
    size = len(data["base64"]) * 3 // 4
    form = "PNG" if data["mime"] == "image/png" else "JPEG"
    size_text = f"{form} picture, {data['width']:,} × {data['height']:,} pixels, {format_bytes(size)}"
    return one_line(truncate_middle(str(data.get("alternative") or item.title), 300)) or size_text


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
