"""A program in colour. Pygments escapes what it is given."""

# pyright: reportUnknownVariableType=false, reportMissingTypeStubs=false
# Pygments has no types.

from __future__ import annotations

from typing import Any, cast

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

__all__ = ["highlighted"]

_LEXER: Any = get_lexer_by_name("python")
_FORMATTER: Any = cast("Any", HtmlFormatter)(noclasses=True, nowrap=True, style="default")


def highlighted(program: str) -> str:
    """`program` as HTML with inline colours, to stand in a `<pre>`."""
    return str(highlight(program, _LEXER, _FORMATTER)).rstrip("\n")
