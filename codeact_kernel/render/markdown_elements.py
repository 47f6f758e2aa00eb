"""Convert Markdown from a program to elements that mark up text: no pictures, no links, no foreign HTML.

Front ends read Markdown by different rules and load its pictures, and exports pass its HTML through. So none of them
receives the Markdown itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from .elements import Element, Node, element

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

__all__ = ["read_markdown"]

_MAX_ELEMENTS = 20_000
"""One line of Markdown can produce many empty cells."""
_TAGS = frozenset((
    "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "em", "strong", "s",
    "table", "thead", "tbody", "tr", "th", "td",
))  # fmt: skip
_CODE = "background:rgba(128,128,128,.12)"
_STYLES = {"table": "border-collapse:collapse", "th": "padding:3px 10px", "td": "padding:3px 10px"}
_SIDES = {"text-align:left", "text-align:center", "text-align:right"}


def read_markdown(text: str) -> list[Node] | None:
    """Convert `text` to elements. Return `None` if there would be too many."""
    builder = _Builder()
    for token in _make_parser().parse(text):
        builder.add_block(token)
        if builder.count > _MAX_ELEMENTS:
            return None
    return builder.finish()


@cache
def _make_parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # the import takes a tenth of a second, and most turns show no Markdown

    parser = MarkdownIt("commonmark", {"html": False})
    return parser.enable(["table", "strikethrough"]).disable(["html_block", "html_inline"])


class _Builder:
    """Builds a tree from the tokens, which open and close elements one after the other."""

    def __init__(self) -> None:
        self.count = 0
        self._open: list[tuple[Token | None, list[Node]]] = [(None, [])]

    def add_block(self, token: Token) -> None:
        if token.type == "inline":
            self._add_inline(token.children or [])
        elif token.type in ("fence", "code_block"):
            self._add(element("pre", f"{_CODE};padding:6px 10px;overflow:auto", element("code", "", token.content)))
        elif token.type == "hr":
            self._add(element("hr"))
        elif not token.hidden:
            self._add_tag(token)

    def finish(self) -> list[Node]:
        while len(self._open) > 1:
            self._close()
        return self._open[0][1]

    def _add(self, node: Node) -> None:
        self.count += 1
        self._open[-1][1].append(node)

    def _add_inline(self, tokens: Iterable[Token]) -> None:
        addresses: list[str] = []
        for token in tokens:
            match token.type:
                case "code_inline":
                    self._add(element("code", _CODE, token.content))
                case "softbreak":
                    self._add("\n")
                case "hardbreak":
                    self._add(element("br"))
                case "image":
                    self._add(f"[{token.content}] ({token.attrGet('src')})")
                case "link_open":
                    addresses.append("" if token.info == "auto" else f" ({token.attrGet('href')})")
                case "link_close":
                    self._add(addresses.pop())
                case _ if token.nesting:
                    self._add_tag(token)
                case _:
                    self._add(token.content)

    def _add_tag(self, token: Token) -> None:
        """Open or close an element, if its tag is one of `_TAGS`."""
        if token.tag not in _TAGS:
            return
        if token.nesting > 0:
            self._open.append((token, []))
        elif len(self._open) > 1:
            self._close()

    def _close(self) -> None:
        token, children = self._open.pop()
        assert token is not None
        self._add(_make_element(token, children))


def _make_element(token: Token, children: list[Node]) -> Element:
    style = _STYLES.get(token.tag, "")
    if token.tag in ("th", "td"):
        side = str(token.attrGet("style"))
        style += f";{side}" if side in _SIDES else ";text-align:left"  # otherwise the style of the page decides
    start = token.attrGet("start") if token.tag == "ol" else None
    return element(token.tag, style, *children, **({"start": str(start)} if isinstance(start, int) else {}))
