"""Draw values as elements: tables that scroll, nested values as a tree that opens, and anything else as text."""

from __future__ import annotations

from collections.abc import Iterator

from ..text import plural, truncate_middle
from ..types import JSONValue
from .elements import Element, Node, element
from .escaping import escape_controls
from .tables import TextTable, to_table
from .values import is_scalar, rounded_text, value_block

__all__ = ["DIM", "LINE", "MONO", "PRE", "SCROLL", "draw_table", "draw_tree", "draw_value"]

LINE = "1px solid rgba(128,128,128,.35)"
MONO = "font-family:var(--jp-code-font-family,ui-monospace,Menlo,Consolas,monospace);font-size:12px"
SCROLL = "max-height:26em;overflow:auto"
DIM = "opacity:.8;font-size:12px"
PRE = f"white-space:pre-wrap;overflow-wrap:anywhere;margin:0;padding:4px 10px;background:none;color:inherit;{MONO}"
_GROUND = "background:var(--jp-layout-color0,var(--vscode-editor-background,Canvas))"
_MAX_NODES, _MAX_LEAF, _MAX_NAME = 300, 300, 100
_OPEN_LEVELS = 2


def draw_value(value: JSONValue) -> Element:
    """Draw any value in the form in which people read it best."""
    if (table := to_table(value)) is not None:
        return draw_table(table)
    if not is_scalar(value) and value_block(value).count("\n"):
        return draw_tree(value)
    return element("pre", f"{PRE};{SCROLL}", value_block(value))


def draw_table(table: TextTable) -> Element:
    """Draw a table. It scrolls in both directions if it is large, with its header in sight."""
    cell = "padding:3px 10px"
    sides = ["text-align:right" if numeric else "text-align:left" for numeric in table.numeric]
    head = f"{cell};border-bottom:{LINE};position:sticky;top:0;{_GROUND}"

    def draw_cell(text: str, index: int) -> Element:
        is_label = table.has_labels and index == 0
        spaces = ";white-space:pre-wrap" if "\n" in text or "  " in text else ""
        return element("th" if is_label else "td", f"{cell};{sides[index]}{spaces}", text)

    header = (element("th", f"{head};{side}", name) for name, side in zip(table.columns, sides, strict=False))
    rows = [element("tr", "", *(draw_cell(text, index) for index, text in enumerate(row))) for row in table.rows]
    parts = [element("thead", "", element("tr", "", *header))] if table.columns else []
    whole = element("table", "border-collapse:collapse;margin:0", *parts, element("tbody", "", *rows))
    size = [element("div", f"{DIM};padding:2px 10px 0", table.size)] if table.size else []
    return element("div", "", element("div", SCROLL, whole), *size)


def draw_tree(value: JSONValue) -> Element:
    """Draw a nested value as a tree whose first levels are open."""
    tree = _Tree()
    nodes = list(tree.draw_branches(value, 1))
    more = [element("div", DIM, "… the rest is in _codeact.value")] if tree.is_full else []
    return element("div", f"padding:4px 10px;{SCROLL};{MONO}", *nodes, *more)


class _Tree:
    """Draws the parts of a value, up to a number of them."""

    def __init__(self) -> None:
        self._count = 0

    @property
    def is_full(self) -> bool:
        return self._count > _MAX_NODES

    def draw_branches(self, value: JSONValue, level: int) -> Iterator[Node]:
        pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for name, item in pairs:
            self._count += 1
            if self.is_full:
                return
            yield self._draw_branch(truncate_middle(escape_controls(str(name)), _MAX_NAME), item, level)

    def _draw_branch(self, name: str, value: JSONValue, level: int) -> Element:
        label = element("span", "opacity:.8", f"{name}: ")
        if is_scalar(value) or _is_flat(value):
            line = rounded_text(value, _MAX_LEAF)
            if len(line) <= _MAX_LEAF or not isinstance(value, dict):
                return element("div", "padding-left:1.2em", label, line)
        size = plural(len(value), "key") if isinstance(value, dict) else plural(len(value), "item")  # type: ignore[arg-type]
        summary = element("summary", "cursor:pointer", label, element("span", "opacity:.8", size))
        opened = {"open": ""} if level < _OPEN_LEVELS else {}
        return element("details", "padding-left:1.2em", summary, *self.draw_branches(value, level + 1), **opened)


def _is_flat(value: JSONValue) -> bool:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(map(is_scalar, parts))
