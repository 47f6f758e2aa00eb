"""Split a program into tokens of a few kinds, which have a colour each."""

# pyright: reportUnknownVariableType=false, reportMissingTypeStubs=false, reportUnknownMemberType=false
# Pygments has no types.

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

from pygments.lexers import get_lexer_by_name
from pygments.token import Token as T

__all__ = ["Line", "tokenize"]

Line: TypeAlias = "list[list[str]]"
"""One line of a program, as pairs of kind and text."""

_LEXER: Any = get_lexer_by_name("python", stripnl=False, ensurenl=False)
_MAX_CHARS = 20_000
"""Longer programs are not coloured: a program is drawn again each time it grows."""

_KINDS = (
    (T.Comment, "comment"),
    (T.Literal.String, "string"),
    (T.Literal.Number, "number"),
    (T.Keyword.Constant, "number"),
    (T.Keyword, "keyword"),
    (T.Operator.Word, "keyword"),
    (T.Name.Builtin, "builtin"),
    (T.Name.Function, "builtin"),
    (T.Name.Decorator, "builtin"),
)


@lru_cache(maxsize=16)
def tokenize(program: str) -> list[Line]:
    """Split `program` into lines, each a list of `[kind, text]`. The kind of plain text is empty."""
    if len(program) > _MAX_CHARS:
        return [[["", line]] for line in program.split("\n")]
    lines: list[Line] = [[]]
    for token_type, text in _LEXER.get_tokens(program):
        kind = next((name for parent, name in _KINDS if token_type in parent), "")
        for number, part in enumerate(text.split("\n")):
            if number:
                lines.append([])
            if part:
                lines[-1].append([kind, part])
    return lines
