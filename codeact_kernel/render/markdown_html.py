"""Convert Markdown from a program to HTML that marks up text and has no pictures, links or foreign HTML.

Front ends read Markdown by different rules and load its pictures, and exports pass its HTML through. So none of them
receives the Markdown itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING

from .escaping import for_html

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

__all__ = ["markdown_to_html"]

_MAX_CHARS = 1_000_000
"""The HTML is bounded too, because one line of Markdown can produce many empty cells."""
_TAGS = frozenset((
    "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "em", "strong", "s",
    "table", "thead", "tbody", "tr", "th", "td",
))  # fmt: skip
_CODE = "background:rgba(128,128,128,.12)"
_STYLES = {"table": "border-collapse:collapse", "th": "padding:3px 10px", "td": "padding:3px 10px"}
_SIDES = {"text-align:left", "text-align:center", "text-align:right"}


def markdown_to_html(text: str) -> str | None:
    """Convert `text` to HTML. Return `None` if that would be too large."""
    size, pieces = 0, list[str]()
    for piece in _blocks(_make_parser().parse(text)):
        pieces.append(piece)
        size += len(piece)
        if size > _MAX_CHARS:
            return None
    return "".join(pieces)


@cache
def _make_parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # the import takes a tenth of a second, and most turns show no Markdown

    parser = MarkdownIt("commonmark", {"html": False})
    return parser.enable(["table", "strikethrough"]).disable(["html_block", "html_inline"])


def _blocks(tokens: Iterable[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type == "inline":
            yield from _inline(token.children or [])
        elif token.type in ("fence", "code_block"):
            yield f'<pre style="{_CODE};padding:6px 10px;overflow:auto"><code>{for_html(token.content)}</code></pre>'
        elif token.type == "hr":
            yield "<hr>"
        elif not token.hidden:
            yield _tag(token)


def _inline(tokens: Iterable[Token]) -> Iterator[str]:
    addresses: list[str] = []
    for token in tokens:
        match token.type:
            case "code_inline":
                yield f'<code style="{_CODE}">{for_html(token.content)}</code>'
            case "softbreak":
                yield "\n"
            case "hardbreak":
                yield "<br>"
            case "image":
                yield f"[{for_html(token.content)}] ({for_html(str(token.attrGet('src')))})"
            case "link_open":
                addresses.append("" if token.info == "auto" else f" ({for_html(str(token.attrGet('href')))})")
            case "link_close":
                yield addresses.pop()
            case _:
                yield _tag(token) if token.nesting else for_html(token.content)


def _tag(token: Token) -> str:
    """Write a tag if it is one of `_TAGS`."""
    if token.tag not in _TAGS:
        return ""
    if token.nesting < 0:
        return f"</{token.tag}>"
    style = _STYLES.get(token.tag, "")
    if token.tag in ("th", "td"):
        side = str(token.attrGet("style"))
        style += f";{side}" if side in _SIDES else ";text-align:left"  # otherwise the style of the page decides
    start = token.attrGet("start") if token.tag == "ol" else None
    attribute = f' start="{start}"' if isinstance(start, int) else ""
    return f'<{token.tag} style="{style}"{attribute}>' if style else f"<{token.tag}{attribute}>"
