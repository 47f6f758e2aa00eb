"""A small tree of elements, from which the saved HTML and the live card are written: both look alike by construction.

Text in the tree is plain text and never markup. The HTML escapes it; the live card makes text nodes of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import TypeAlias

from ..types import JSONValue
from .escaping import escape_controls, for_html

__all__ = ["Element", "Node", "element", "write_html", "write_json"]

_VOID = frozenset({"img", "br", "hr"})


@dataclass(frozen=True, slots=True)
class Element:
    """An element with inline styles. `attributes` are ours, or escaped by the writers; names are always ours."""

    tag: str
    style: str = ""
    children: tuple[Node, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])


Node: TypeAlias = "Element | str"


def element(tag: str, style: str = "", *children: Node, **attributes: str) -> Element:
    """Make an element. An underscore in the name of an attribute becomes a hyphen."""
    return Element(tag, style, children, {name.replace("_", "-"): text for name, text in attributes.items()})


def write_html(node: Node) -> str:
    """Write a node as HTML."""
    if isinstance(node, str):
        return for_html(node)
    pairs = ({"style": node.style} if node.style else {}) | dict(node.attributes)
    attributes = "".join(f' {name}="{_escape_attribute(text)}"' if text else f" {name}" for name, text in pairs.items())
    start = f"<{node.tag}{attributes}>"
    return start if node.tag in _VOID else f"{start}{''.join(map(write_html, node.children))}</{node.tag}>"


def _escape_attribute(text: str) -> str:
    return escape(text).replace("$", "&#36;")  # a page that typesets formulas may look everywhere


def write_json(node: Node) -> JSONValue:
    """Write a node as plain data: a text, or `[tag, attributes, *children]`."""
    if isinstance(node, str):
        return escape_controls(node)
    attributes: dict[str, JSONValue] = {"style": node.style} if node.style else {}
    return [node.tag, attributes | dict(node.attributes), *map(write_json, node.children)]
